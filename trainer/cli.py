"""``ecg-train``: fit, evaluate, draw and export the beat classifier, and fit the detector's networks."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from monitor import config
from monitor.errors import UserError
from trainer.protocols import PROTOCOLS, Protocol
from trainer.recipe import changed


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="ecg-train", description="Fits and evaluates the networks.")
    top.add_argument("--config", type=Path, metavar="FILE")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    fit = commands.add_parser(
        "fit",
        help="train",
        epilog="examples:\n  ecg-train fit --out runs/a\n  ecg-train fit --final --out runs/final\n"
        "  ecg-train fit --protocol everything --from runs/final/weights.safetensors --out runs/everything",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fit.add_argument("--protocol", choices=sorted(PROTOCOLS), default="between-patients")
    fit.add_argument("--final", action="store_true", help="learn from the validation patients too; choose nothing")
    fit.add_argument("--out", type=Path, required=True, metavar="DIR", help="weights.safetensors and log.csv go there")
    fit.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change the recipe: steps=200")
    fit.add_argument("--from", dest="base", type=Path, metavar="FILE", help="weights to begin with (else by chance)")
    fit.add_argument("--resume", action="store_true", help="take up what ended early; the other words as they were")
    fit.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    fit.add_argument("--threads", type=int, default=1, help="of torch (default: 1; the parts are too small for more)")
    evaluate = commands.add_parser(
        "evaluate",
        help="score weights with the whole pipeline, own R peaks",
        epilog="examples:\n  ecg-train evaluate\n  ecg-train evaluate --on validate --weights FILE",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evaluate.add_argument("--protocol", choices=sorted(PROTOCOLS), default="between-patients")
    evaluate.add_argument("--on", choices=("validate", "test"), default="test")
    evaluate.add_argument("--weights", type=Path, metavar="FILE", help="(default: those that ship)")
    evaluate.add_argument("--json", action="store_true")
    figures = commands.add_parser(
        "figures",
        help="draw how a training went and how its weights judge, errors on ECG paper too",
        epilog="examples:\n  ecg-train figures runs/a --out runs/a/figures\n"
        "  ecg-train figures runs/a --records svdb/800 svdb/802 --out runs/a/svdb",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    figures.add_argument("run", type=Path, metavar="RUN_DIR", help="what fit wrote: weights.safetensors and log.csv")
    figures.add_argument("--protocol", choices=sorted(PROTOCOLS), default="between-patients")
    figures.add_argument("--on", choices=("validate", "test"), default="test")
    figures.add_argument("--records", nargs="+", metavar="RECORD", help="judge these instead: DATABASE/RECORD, ds1, …")
    figures.add_argument("--out", type=Path, required=True, metavar="DIR", help="PNG and SVG files go there")
    export = commands.add_parser(
        "export",
        help="write the network as ONNX, for where there is no torch",
        epilog="example:\n  ecg-train export --weights runs/a/weights.safetensors --out a.onnx",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("--weights", type=Path, metavar="FILE", help="(default: those that ship)")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.onnx")
    qrs = commands.add_parser(
        "qrs",
        help="train the network that judges the R peak detector's candidates",
        epilog="examples:\n  ecg-train qrs --out monitor/qrs.safetensors\n"
        "  ecg-train qrs --hold-out mitdb/108 --hold-out mitdb/203 --out runs/qrs.safetensors",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    qrs.add_argument("--hold-out", action="append", default=[], metavar="RECORD", help="not to be learnt from")
    qrs.add_argument("--out", type=Path, required=True, metavar="FILE")
    qrs.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change the recipe: rounds=2")
    qrs.add_argument("--threads", type=int, default=2, help="of torch")
    rhythm = commands.add_parser(
        "rhythm",
        help="train the network that sees fibrillation in samples",
        epilog="examples:\n  ecg-train rhythm --folds 1 --out monitor/rhythm.safetensors\n"
        "  ecg-train rhythm --folds 5 --out runs/rhythm/whole.safetensors",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    rhythm.add_argument("--folds", type=int, default=5, help="parts of the cross-validation; 1: none (default: 5)")
    rhythm.add_argument("--out", type=Path, required=True, metavar="FILE")
    rhythm.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change the recipe: epochs=20")
    rhythm.add_argument("--threads", type=int, default=2, help="of torch")
    commands.add_parser(
        "af", help="fit the weights by which atrial fibrillation is judged; prints a line of config.toml"
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Exit codes as ``ecg-monitor``'s."""
    given = parser().parse_args(arguments)
    try:
        settings = config.load(given.config)
        commands = {
            "fit": _fit,
            "evaluate": _evaluate,
            "figures": _figures,
            "export": _export,
            "qrs": _qrs,
            "rhythm": _rhythm,
            "af": _af,
        }
        return commands[given.command](given, settings)
    except UserError as error:
        print(f"ecg-train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _fit(given: argparse.Namespace, settings: config.Settings) -> int:
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from monitor.classifier import choose_device
    from trainer import parallel
    from trainer.train import Recipe, fit

    recipe = changed(Recipe, given.set)
    protocol = PROTOCOLS[given.protocol]
    torch.set_num_threads(given.threads)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[said]}"))
    console = Console(quiet=parallel.rank() > 0)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("steps", total=recipe.steps, said="preparing the sequences")

        def tell(step: int, figures: dict[str, float]) -> None:
            words = "  ".join(f"{name} {value:.3f}" for name, value in figures.items() if name != "step")
            progress.update(task, completed=step, said=words)
            if not console.is_terminal:
                print(f"step {step}: {words}", flush=True)

        path = fit(
            protocol.final() if given.final else protocol,
            recipe,
            settings,
            given.out,
            tell,
            device=choose_device(given.device),
            base=given.base,
            resumed=given.resume,
        )
    console.print(str(path), highlight=False, soft_wrap=True)
    return 0


def _qrs(given: argparse.Namespace, settings: config.Settings) -> int:
    import torch

    from trainer.qrs import Recipe, fit, records

    recipe = changed(Recipe, given.set)
    known = records()
    if unknown := [name for name in given.hold_out if name not in known]:
        raise UserError(f"--hold-out {unknown[0]}: not among what is learnt from: {' '.join(known)}")
    torch.set_num_threads(given.threads)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    fit(records(given.hold_out), recipe, settings, given.out, lambda line: print(line, flush=True))
    print(given.out)
    return 0


def _records(protocol: Protocol, on: str) -> tuple[str, ...]:
    records = protocol.test if on == "test" else protocol.validate
    if not records:
        has = [name for name, one in PROTOCOLS.items() if (one.test if on == "test" else one.validate)]
        raise UserError(f"--on {on}: {protocol.name} has no records for it; {', '.join(has)} have")
    return records


def _rhythm(given: argparse.Namespace, settings: config.Settings) -> int:
    import torch

    from trainer.rhythm import Recipe, records, run

    recipe = changed(Recipe, given.set)
    torch.set_num_threads(given.threads)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    run(records(settings), given.folds, recipe, settings, given.out, lambda line: print(line, flush=True))
    print(given.out)
    return 0


def _af(given: argparse.Namespace, settings: config.Settings) -> int:
    from trainer.irregularity import run

    run(settings, lambda line: print(line, flush=True))
    return 0


def _evaluate(given: argparse.Namespace, settings: config.Settings) -> int:
    from monitor.checkpoint import SHIPPED, load
    from trainer.evaluate import Counted, Result, evaluate, macro, scores, table, tested_beats

    network, origin = load(given.weights or SHIPPED)
    protocol = PROTOCOLS[given.protocol]
    records = _records(protocol, given.on)

    def tell(result: Result) -> None:
        v, s = (scores(result.confusion)[name] for name in "VS")
        print(f"{result.record}: V F1 {v[2]:.3f} of {v[3]}, S F1 {s[2]:.3f} of {s[3]}", file=sys.stderr, flush=True)

    results: list[Result | Counted]
    if protocol.beats is not None:
        results = [tested_beats(protocol, network, settings, record) for record in records]
    else:
        results = list(evaluate(records, network, settings, tell))
    if given.json:
        print(json.dumps({r.record: r.confusion.tolist() for r in results}))
    else:
        print(f"weights: {origin['protocol']}, seed {origin['recipe']['seed']}; on {given.protocol}, {given.on}")
        print(table(results))
        if protocol.beats is not None:
            whole = np.sum([r.confusion for r in results], axis=0)
            print(f"\nmacro F1 {macro(whole):.3f}")
    return 0


def _figures(given: argparse.Namespace, settings: config.Settings) -> int:
    from monitor.checkpoint import load
    from trainer import figures, outcomes, scoring

    figures.require()
    log = figures.read_log(given.run / "log.csv")
    network, origin = load(given.run / "weights.safetensors")
    protocol = PROTOCOLS[given.protocol]
    if given.records:
        records = [where.name for where in scoring.find(given.records, settings)]
        on = records[0] if len(records) == 1 else f"{len(records)} records, {records[0]} … {records[-1]}"
    else:
        records = list(_records(protocol, given.on))
        on = f"{given.protocol}, {given.on}, {len(records)} records"
    seen = [record for record in records if record in origin["data_sha256"]]
    if seen and protocol.beats is None:
        on += f", {len(seen)} of them learnt from"
    found = []
    for number, record in enumerate(records, 1):
        found.append(outcomes.judge(record, protocol, network, settings))
        print(f"{number}/{len(records)} {record}: {found[-1].confusion.sum()} beats", file=sys.stderr, flush=True)
    title = f"{origin['protocol']}, seed {origin['recipe']['seed']}; on {on}"
    for path in figures.draw_all(log, found, title, given.out):
        print(path)
    return 0


def _export(given: argparse.Namespace, settings: config.Settings) -> int:
    from monitor.checkpoint import SHIPPED
    from trainer.export import export

    difference = export(given.weights or SHIPPED, given.out)
    print(f"{given.out}: {given.out.stat().st_size} bytes, differs from torch by {difference:.1e} at most")
    return 0
