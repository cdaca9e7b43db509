"""Beats called supraventricular in rhythms composed of patients who were not learnt from.

    python -m bench.composed_rhythms runs/ds1-*/weights.safetensors

Where recordings of a rhythm are missing, it is composed (``trainer.composition``) of the beats of every third patient
of svdb: ten minutes each, sinus rhythm and the other in turn. Fibrillation has the waves and intervals of vfdb's 609,
which nobody has learnt from. Right is that every beat of a focus is S and no other is. A composed patient is an easier
one than a real one: what is bad here is not learnt, what is good here may still be bad in a ward. The weights that
ship, and ``svdb-*``, have learnt from these patients' beats.
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
from monitor.events import FS
from monitor.network import HIDDEN, Network, together
from replay import physionet
from trainer import dataset
from trainer.composition import Fibrillation, composed
from trainer.dataset import Ints, Recording, read, read_signal
from trainer.pool import with_usual_beats
from trainer.protocols import SVDB
from trainer.references import load_reference
from trainer.rhythms import BY_NAME, EARLY, NORMAL, alternating
from trainer.train import run_over

_SECONDS = 600.0
_EVERY = 3
"""Of svdb's patients one in so many."""
_FIBRILLATING = "vfdb/609"
"""18 minutes of fibrillation."""


def fibrillation(settings: Settings) -> Fibrillation | None:
    """What the longest fibrillation of ``_FIBRILLATING`` lends."""
    reference = load_reference(physionet.locate(_FIBRILLATING, settings.data))
    signal = read_signal(_FIBRILLATING, 0, settings)
    begins = [int(sample * FS / reference.fs) for sample, _ in reference.rhythms] + [len(signal)]
    stretches = [begins[k : k + 2] for k, (_, name) in enumerate(reference.rhythms) if name == "AFIB"]
    first, end = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
    nothing = np.zeros(0, np.int64)
    return Fibrillation.of(with_usual_beats(Recording(_FIBRILLATING, 0, signal[first:end], nothing, nothing), settings))


def patients(names: Sequence[str], settings: Settings) -> Iterator[tuple[str, dataset.Sequence]]:
    """(rhythm, sequence) of all that is composed of these recordings."""
    lent = fibrillation(settings)
    uneven = lent.uneven if lent else ()
    for seed, record in enumerate(names):
        recording = read(record, 0, settings)
        for rhythm in BY_NAME:
            rng = np.random.default_rng([seed, list(BY_NAME).index(rhythm)])
            beats = alternating(rng, rhythm, _SECONDS, uneven)
            one = composed(recording, rng, _SECONDS, lent=lent, beats=beats)
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
        networks = {path: load(path)[0] for path in given.weights}
        judged: dict[tuple[Path, str], list[tuple[Ints, Ints]]] = {}
        for rhythm, sequence in patients(given.records, settings):
            for path, network in networks.items():
                judged.setdefault((path, rhythm), []).append((sequence.labels, answers(network, sequence)))
        if not judged:
            raise UserError(f"{', '.join(given.records)}: too few normal beats to compose anything of")
    except UserError as error:
        print(f"composed_rhythms: {error}", file=sys.stderr)
        return 1
    print(f"patients, each with each rhythm: {len(judged[given.weights[0], 'focus'])}\n")
    print("| weights | S found, focus | " + " | ".join(f"N called S, {rhythm}" for rhythm in BY_NAME) + " |")
    print("|---" * (len(BY_NAME) + 2) + "|")
    for path in given.weights:
        row = {rhythm: shares(judged[path, rhythm]) for rhythm in BY_NAME}
        wrong = " | ".join(f"{100 * row[rhythm][1]:.1f} %" for rhythm in BY_NAME)
        print(f"| {path.parent.name}/{path.name} | {100 * row['focus'][0]:.1f} % | {wrong} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
