"""``ecg-train``: fit and evaluate the beat classifier, and fit the detector's networks."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from monitor import config
from monitor.errors import UserError
from trainer.protocols import PROTOCOLS


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="ecg-train", description="Fits and evaluates the networks.")
    top.add_argument("--config", type=Path, metavar="FILE")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    fit = commands.add_parser(
        "fit",
        help="train",
        epilog="examples:\n  ecg-train fit --out runs/a\n  ecg-train fit --final --out runs/final",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fit.add_argument("--protocol", choices=sorted(PROTOCOLS), default="between-patients")
    fit.add_argument("--final", action="store_true", help="learn from the validation patients too; choose nothing")
    fit.add_argument("--out", type=Path, required=True, metavar="DIR", help="weights.safetensors and log.csv go there")
    fit.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change the recipe: epochs=20")
    fit.add_argument("--threads", type=int, default=2, help="of torch")
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
        return {"fit": _fit, "evaluate": _evaluate, "qrs": _qrs, "rhythm": _rhythm, "af": _af}[given.command](
            given, settings
        )
    except UserError as error:
        print(f"ecg-train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


_R = TypeVar("_R", bound=msgspec.Struct)


def _recipe(words: Sequence[str], kind: type[_R]) -> _R:
    """The recipe with what ``--set`` changes in it."""
    changes = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in kind.__struct_fields__:
            raise UserError(f"--set {word}: the recipe has {', '.join(kind.__struct_fields__)}")
        try:
            changes[name] = json.loads(value)
        except ValueError as error:
            raise UserError(f"--set {word}: {value} is no number") from error
    try:
        return msgspec.convert(changes, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"--set: {error}") from error


def _fit(given: argparse.Namespace, settings: config.Settings) -> int:
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from trainer.train import Recipe, fit

    recipe = _recipe(given.set, Recipe)
    protocol = PROTOCOLS[given.protocol]
    torch.set_num_threads(given.threads)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[said]}"))
    console = Console()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("epochs", total=recipe.epochs, said="")

        def tell(epoch: int, figures: dict[str, float]) -> None:
            words = "  ".join(f"{name} {value:.3f}" for name, value in figures.items() if name != "epoch")
            progress.update(task, completed=epoch, said=words)
            if not console.is_terminal:
                print(f"epoch {epoch}: {words}", flush=True)

        path = fit(protocol.final() if given.final else protocol, recipe, settings, given.out, tell)
    print(path)
    return 0


def _qrs(given: argparse.Namespace, settings: config.Settings) -> int:
    import torch

    from trainer.qrs import Recipe, fit, records

    recipe = _recipe(given.set, Recipe)
    known = records()
    if unknown := [name for name in given.hold_out if name not in known]:
        raise UserError(f"--hold-out {unknown[0]}: not among what is learnt from: {' '.join(known)}")
    torch.set_num_threads(given.threads)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    fit(records(given.hold_out), recipe, settings, given.out, lambda line: print(line, flush=True))
    print(given.out)
    return 0


def _rhythm(given: argparse.Namespace, settings: config.Settings) -> int:
    import torch

    from trainer.rhythm import Recipe, records, run

    recipe = _recipe(given.set, Recipe)
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
    from trainer.evaluate import Result, evaluate, scores, table

    network, origin = load(given.weights or SHIPPED)
    protocol = PROTOCOLS[given.protocol]
    records = protocol.test if given.on == "test" else protocol.validate

    def tell(result: Result) -> None:
        v, s = (scores(result.confusion)[name] for name in "VS")
        print(f"{result.record}: V F1 {v[2]:.3f} of {v[3]}, S F1 {s[2]:.3f} of {s[3]}", file=sys.stderr, flush=True)

    results = evaluate(records, network, settings, tell)
    if given.json:
        print(json.dumps({r.record: r.confusion.tolist() for r in results}))
    else:
        print(f"weights: {origin['protocol']}, seed {origin['recipe']['seed']}; on {given.protocol}, {given.on}")
        print(table(results))
    return 0
