"""``ecg-monitor score``: the whole pipeline, or annotation files, against a reference after EC57.

The command line finds it by its entry point, so that the monitor imports no trainer. Light to import: what it needs
comes when it is called.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.ec57_statistics import Estimate
    from trainer.scoring import Rules, Score, Summary

SCHEMA = "ecg-monitor/score/1"

_EXAMPLES = """examples:
  ecg-monitor score mitdb/100 mitdb/208                     EC57's way: from the sixth minute, escapes are S
  ecg-monitor score ds2 --from 0 --convention literature    as the literature counts
  ecg-monitor score svdb --json | jq .gross.statistics
  ecg-monitor score mitdb/208 --annotations results         what `ecg-monitor annotate` wrote there
  ecg-monitor score /data/patient7 --ref-ext man
"""


def parser() -> argparse.ArgumentParser:
    from monitor.cli import seconds

    words = "score beats and runs against reference annotations, after ANSI/AAMI EC57"
    top = argparse.ArgumentParser(
        prog="ecg-monitor score",
        description=f"{words}: the whole pipeline with its own R peaks, streaming, first lead; or annotation files.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--config", type=Path, metavar="FILE", help="settings to lay over the defaults (TOML)")
    top.add_argument(
        "records",
        nargs="+",
        metavar="RECORD",
        help="DATABASE/RECORD, a path, or many at once: ds1, ds2, mitdb, svdb, …",
    )
    top.add_argument(
        "--annotations", type=Path, metavar="DIR", help="score DIR/RECORD.EXT instead of running the pipeline"
    )
    top.add_argument("--ext", default="ecgm", help="their extension (default: ecgm, which annotate writes)")
    top.add_argument("--ref-ext", default="atr", metavar="EXT", help="extension of the reference (default: atr)")
    top.add_argument(
        "--from",
        dest="from_s",
        type=seconds,
        default=None,
        metavar="SECONDS",
        help="learning period, not scored (default: 300, as EC57; the literature has 0)",
    )
    top.add_argument(
        "--convention",
        choices=("aami", "literature"),
        default="aami",
        help="atrial and junctional escapes (e, j) are S, as WFDB's bxb has it, or N (default: aami)",
    )
    top.add_argument("--weights", type=Path, metavar="FILE", help="(default: those of the settings)")
    top.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    return top


def main(arguments: Sequence[str]) -> int:
    """Score beats and runs against reference annotations, after ANSI/AAMI EC57.

    Returns:
        0.

    Raises:
        UserError: a record, its reference, its annotations or the weights are not there or cannot be used.
        UsageError: options that do not go together.
    """
    given = parser().parse_args(arguments)
    from monitor import config
    from monitor.errors import UsageError
    from trainer.annotations import Convention
    from trainer.ec57 import LEARNING_S
    from trainer.scoring import Rules, find, judge, reference_of, score, summarize, without, written

    if given.annotations and given.weights:
        raise UsageError("score: --annotations are scored as they are written, no --weights are used; leave one out")
    settings = config.load(given.config)
    rules = Rules(LEARNING_S if given.from_s is None else given.from_s, Convention(given.convention))
    records = find(given.records, settings)
    # All that may be missing is looked for before the first of many records is judged.
    references = {where.name: reference_of(where, given.ref_ext) for where in records}
    tests = {}
    if given.annotations:
        tests = {where.name: written(where, given.annotations, given.ext) for where in records}
        source = f"{given.annotations}/*.{given.ext}"
    else:
        from monitor.checkpoint import SHIPPED, load

        weights = given.weights or (Path(settings.classifier.weights) if settings.classifier.weights else SHIPPED)
        network, _ = load(weights)
        source = f"pipeline, {weights.name}"
    scores = []
    for where in records:
        reference = references[where.name]
        score(where.name, reference, reference, rules)  # a learning period longer than the record shows here
    for number, where in enumerate(records, 1):
        if where.name not in tests:
            if sys.stderr.isatty():
                print(f"\r{number}/{len(records)} {where.name}\x1b[K", end="", file=sys.stderr, flush=True)
            tests[where.name] = judge(where, network, settings, references[where.name])
        scores.append(score(where.name, references[where.name], tests[where.name], rules))
    if sys.stderr.isatty() and not given.annotations:
        print("\r\x1b[K", end="", file=sys.stderr)
    rest = without(scores)
    whole, apart = summarize(scores), summarize(rest) if rest else None
    if given.json:
        print(json.dumps(as_json(scores, whole, apart, rules, source), indent=1))
    else:
        from rich.console import Console

        from trainer.score_tables import report

        Console().print(report(scores, whole, apart, rules, source))
    return 0


def as_json(
    scores: "Sequence[Score]", whole: "Summary", apart: "Summary | None", rules: "Rules", source: str
) -> dict[str, Any]:
    """All there is, for machines: figures are shares from 0 to 1, null where undefined."""
    from trainer.ec57 import LABELS, MATCH_WINDOW_S
    from trainer.ec57_statistics import CONFIDENCE, DRAWS, SEED, record_values

    each = record_values(whole.each)
    return {
        "schema": SCHEMA,
        "rules": {
            "from_s": rules.from_s,
            "convention": rules.convention.value,
            "match_window_s": MATCH_WINDOW_S,
            "labels": LABELS,
            "interval": {"of": "records", "confidence": CONFIDENCE, "draws": DRAWS, "seed": SEED},
        },
        "test": source,
        "records": [
            {
                "record": one.record,
                "confusion": one.confusion.tolist(),
                "runs": {
                    kind.value: {"sensitivity": run.sensitivity.tolist(), "predictivity": run.predictivity.tolist()}
                    for kind, run in one.runs.items()
                },
                "rr_error_ms": one.beats.rr_error_ms,
                "shutdown_s": one.beats.shutdown_s,
                "statistics": _tree(each[number]),
            }
            for number, one in enumerate(scores)
        ],
        **_summary(whole),
        "without_232": None if apart is None else _summary(apart),
    }


def _summary(one: "Summary") -> dict[str, Any]:
    def told(estimate: "Estimate") -> dict[str, Any]:
        return {"value": estimate.value, "low": estimate.low, "high": estimate.high}

    def counted(estimate: "Estimate") -> dict[str, Any]:
        return {**told(estimate), "of": [estimate.above, estimate.below]}

    return {
        "gross": {
            "records": len(one.records),
            "confusion": one.confusion.tolist(),
            "statistics": _tree({name: counted(estimate) for name, estimate in one.gross.items()}),
        },
        "average": {
            "records": len(one.records),
            "statistics": _tree({name: told(estimate) for name, estimate in one.average.items()}),
        },
    }


def _tree(flat: dict[str, Any]) -> dict[str, Any]:
    """``{"veb.f1": x}`` → ``{"veb": {"f1": x}}``."""
    out: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        at = out
        for word in path:
            at = at.setdefault(word, {})
        at[last] = value
    return out
