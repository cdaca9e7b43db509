"""Beat classes of patients not seen, beside what is published.

    for seed in 0 1 2 3 4; do
        ecg-train fit --final --set steps=8000 --set seed=$seed --out runs/first-$seed
        ecg-train fit --final --from runs/first-$seed/weights.safetensors --set steps=1500 --set rate=0.002 \
            --set seed=$seed --out runs/ds1-$seed
    done
    python -m bench.accuracy_beats runs/ds1-*
    # The same with --protocol between-patients-strict, seed 0, is runs/strict-0.
    for part in 1 2 3 4; do
        ecg-train fit --protocol svdb-$part --from runs/strict-0/weights.safetensors --set steps=1500 \
            --set rate=0.0015 --set base_share=0.5 --set s_logit=0.3 --out runs/svdb-$part
    done
    python -m bench.accuracy_beats --parts runs/svdb-*

Each folder's weights are scored on the records that their protocol tests with: the whole pipeline, our own R peaks,
streaming, first lead, first verdict, whole records. The weights that ship have seen all of these and are not scored.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from monitor import config
from monitor.checkpoint import load
from monitor.errors import UserError
from trainer.evaluate import Result, evaluate, scores, table
from trainer.protocols import PROTOCOLS, SAME_MAN
from trainer.scoring import APART

PUBLISHED = """\
Published, DS1 → DS2, all with reference R peaks and none strictly causal (S F1, V F1):
  de Chazal 2004 (two leads)              .51  .80
  Niu 2020                                .77  .90
  Farag 2023 (needs the next beat)        .82  .95
  Teijeiro 2018 (rules, clustering)       .85  .96"""


def judged(folder: Path) -> tuple[dict[str, Any], list[Result]]:
    """Where a run's weights come from, and how they judge the records that test."""
    network, origin = load(folder / "weights.safetensors")
    protocol = PROTOCOLS.get(origin["protocol"].removesuffix(", final"))
    if protocol is None or not protocol.test or protocol.beats is not None:
        raise UserError(f"{folder}: weights of protocol {origin['protocol']}, which tests with no patients of its own")
    if seen := set(protocol.test) & set(origin["data_sha256"]):
        raise UserError(f"{folder}: these weights have seen {min(seen)}")
    return origin, evaluate(protocol.test, network, config.load(), lambda result: None)


def parts(folders: list[Path]) -> None:
    """One table of a cross-validation, whose every part is tested by one run."""
    results = []
    for folder in folders:
        origin, found = judged(folder)
        results += found
        v, s = (scores(np.sum([r.confusion for r in found], axis=0))[name][2] for name in "VS")
        print(f"{origin['protocol']}, seed {origin['recipe']['seed']}, commit {origin['commit']}: V {v:.3f} S {s:.3f}")
    names = [result.record for result in results]
    if len(set(names)) < len(names):
        raise UserError("--parts: two of these runs test with the same records")
    print(f"\n{len(results)} records\n")
    print(table(results))


def seeds(folders: list[Path]) -> None:
    """A table of every run, and their mean."""
    figures = []
    for folder in folders:
        origin, results = judged(folder)
        whole = scores(np.sum([r.confusion for r in results], axis=0))
        rest = [r for r in results if r.record != APART]
        # DS1 may hold a record of the man of 202: what is left are patients of whom nothing was learnt.
        unseen = [r for r in rest if r.record not in SAME_MAN]
        without = [scores(np.sum([r.confusion for r in some], axis=0))["S"][2] for some in (rest, unseen)]
        figures.append([whole[name][2] for name in "NSVF"] + without)
        seed, commit = origin["recipe"]["seed"], origin["commit"]
        print(f"{origin['protocol']}, seed {seed}, commit {commit}; {len(results)} records\n")
        print(table(results), "\n")
    mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0)
    names = ("N", "S", "V", "F", "S without 232", "S without 232 and 202")
    words = (f"{name} {m:.3f} ± {s:.3f}" for name, m, s in zip(names, mean, spread, strict=True))
    print(f"F1, mean of {len(figures)} seeds ± standard deviation: {', '.join(words)}\n")
    print(PUBLISHED)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy_beats", description="Beats of patients not seen")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR", help="what fit wrote: weights.safetensors")
    parser.add_argument("--parts", action="store_true", help="the runs are parts of one cross-validation")
    given = parser.parse_args(arguments)
    try:
        (parts if given.parts else seeds)(given.runs)
    except UserError as error:
        print(f"accuracy_beats: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
