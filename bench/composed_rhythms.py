"""Beats called supraventricular in rhythms composed of patients who were not learnt from.

    python -m bench.composed_rhythms runs/ds1-*/weights.safetensors

Where recordings of a rhythm are missing, it is composed (``trainer.composition``) of the beats of every third patient
of svdb: ten minutes each, sinus rhythm and the other in turn. Right is that every beat of a focus is S and no other is.
A composed patient is an easier one than a real one: what is bad here is not learnt, what is good here may still be bad
in a ward. The weights that ship, and ``svdb-*``, have learnt from these patients' beats.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from monitor import config
from monitor.checkpoint import SHIPPED, load
from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import CLASSES
from monitor.network import HIDDEN, Network, together
from trainer import dataset
from trainer.composition import composed
from trainer.dataset import Ints, read
from trainer.protocols import SVDB
from trainer.rhythms import BY_NAME, EARLY, NORMAL, alternating
from trainer.train import run_over

_SECONDS = 600.0
_EVERY = 3
"""Of svdb's patients one in so many."""


def patients(names: Sequence[str], settings: Settings) -> Iterator[tuple[str, dataset.Sequence]]:
    """(rhythm, sequence) of all that is composed of these recordings."""
    for seed, record in enumerate(names):
        recording = read(record, 0, settings)
        for rhythm in BY_NAME:
            rng = np.random.default_rng([seed, list(BY_NAME).index(rhythm)])
            one = composed(recording, rng, _SECONDS, beats=alternating(rng, rhythm, _SECONDS))
            if one is not None:
                yield rhythm, dataset.prepare(one, settings)


def answers(network: Network, sequence: dataset.Sequence) -> Ints:
    """Class by class index of every beat, from the first on."""
    with torch.inference_mode():
        x, f = (torch.from_numpy(values)[:, None] for values in (sequence.x, sequence.f))
        logits = together(run_over(network, x, f, torch.zeros(1, HIDDEN))[0])
    return np.asarray(logits[:, 0].argmax(-1).numpy())


def shares(judged: Sequence[tuple[Ints, Ints]]) -> tuple[float, float]:
    """Of the (labels, answers) of several patients: S found, of all S, and N called S, of all N; nan of none."""
    labels, called = (np.concatenate([pair[k] for pair in judged]) for k in (0, 1))

    def called_s(kind: int) -> float:
        there = called[labels == kind]
        return float(np.mean(there == EARLY)) if len(there) else float("nan")

    return called_s(EARLY), called_s(NORMAL)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.composed_rhythms", description="Beats called S in composed rhythms."
    )
    parser.add_argument("weights", nargs="*", type=Path, default=[SHIPPED], metavar="FILE", help="default: what ships")
    parser.add_argument(
        "--records", nargs="+", default=list(SVDB[::_EVERY]), metavar="RECORD", help="composed of these"
    )
    given = parser.parse_args(words)
    settings = config.load()
    try:
        networks = {path: load(path)[0].eval() for path in given.weights}
        judged: dict[tuple[Path, str], list[tuple[Ints, Ints]]] = {}
        for rhythm, sequence in patients(given.records, settings):
            for path, network in networks.items():
                judged.setdefault((path, rhythm), []).append((sequence.labels, answers(network, sequence)))
    except UserError as error:
        print(f"composed_rhythms: {error}", file=sys.stderr)
        return 1
    print(f"{len(given.records)} patients, each with each rhythm; classes {', '.join(CLASSES)}, S judged\n")
    print("| weights | S found, focus | " + " | ".join(f"N called S, {rhythm}" for rhythm in BY_NAME) + " |")
    print("|---" * (len(BY_NAME) + 2) + "|")
    for path in given.weights:
        row = {rhythm: shares(judged[path, rhythm]) for rhythm in BY_NAME}
        wrong = " | ".join(f"{100 * row[rhythm][1]:.1f} %" for rhythm in BY_NAME)
        print(f"| {path.parent.name}/{path.name} | {100 * row['focus'][0]:.1f} % | {wrong} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
