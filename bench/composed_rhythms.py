"""Beats called supraventricular in rhythms composed of patients who were not learnt from.

    python -m bench.composed_rhythms runs/ds1-*/weights.safetensors

Where recordings of a rhythm are missing, it is composed (``trainer.composition``) of the beats of every third patient
of svdb: ten minutes each, sinus rhythm and the other in turn. The rhythms are this module's own, not those that are
learnt from; fibrillation has the waves and intervals of vfdb's 609, which nobody has learnt from. Right is that every
beat of a focus is S and no other is. A composed patient is an easier one than a real one: what is bad here is not
learnt, what is good here may still be bad in a ward. The weights that ship, and ``svdb-*``, have learnt from these
patients' beats.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from monitor import config
from monitor.beats import FEATURES
from monitor.checkpoint import SHIPPED, load
from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import FS, Floats
from monitor.network import HIDDEN, Network, together
from replay import physionet
from trainer import dataset
from trainer.composition import composed
from trainer.dataset import UNKNOWN, Ints, Recording, read, read_signal
from trainer.episodes import EARLY, NORMAL, Random, RhythmBeat
from trainer.lenders import Fibrillation, Lent
from trainer.pool import with_usual_beats
from trainer.protocols import SVDB
from trainer.references import load_reference
from trainer.train import run_over

_SECONDS = 600.0
_EVERY = 3
"""Of svdb's patients one in so many."""
_FIBRILLATING = "vfdb/609"
"""18 minutes of fibrillation."""
_SINUS_BEATS, _OTHER_BEATS, _BLOCKED_BEATS = 120, 240, 100
"""Beats of sinus rhythm, and of the other at least, in turn; of 2:1 block, which are twice as long."""
_LONGEST_PAUSE_S = 6.0
"""What a patient gets up from again."""

_Other = Callable[[Random, float], list[RhythmBeat]]
"""(rng, RR interval in s) → a few beats."""


def fibrillation(settings: Settings) -> Fibrillation:
    """What the longest stretch of ``_FIBRILLATING`` lends."""
    reference = load_reference(physionet.locate(_FIBRILLATING, settings.data))
    signal = read_signal(_FIBRILLATING, 0, settings)
    begins = [int(sample * FS / reference.fs) for sample, _ in reference.rhythms] + [len(signal)]
    stretches = [begins[k : k + 2] for k, (_, name) in enumerate(reference.rhythms) if name == "AFIB"]
    first, end = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
    nothing = np.zeros(0, np.int64)
    recording = Recording(_FIBRILLATING, 0, signal[first:end], nothing, nothing)
    lent = Fibrillation.of(with_usual_beats(recording, settings))
    if lent is None or lent.waves is None:
        raise RuntimeError(f"{_FIBRILLATING}: too little between its beats")
    return lent


def _around(rng: Random, rr: float, spread: float) -> float:
    return rr * float(np.exp(rng.normal(0.0, spread)))


def _focus(rng: Random, rr: float) -> list[RhythmBeat]:
    """An atrial focus with a P wave of its own leads; after it a slow sinus node, late by half or by more."""
    some = [RhythmBeat(EARLY, _around(rng, 0.9 * rr, 0.05), "other") for _ in range(int(rng.geometric(0.15)))]
    late = 1.45 * float(np.exp(abs(rng.normal(0.0, 0.5))))
    return [*some, *(RhythmBeat(NORMAL, min(_around(rng, late * rr, 0.08), _LONGEST_PAUSE_S)) for _ in range(2))]


def _pauses(rng: Random, rr: float) -> list[RhythmBeat]:
    """The sinus node itself, which pauses for two intervals or more."""
    late = 1.8 * float(np.exp(abs(rng.normal(0.0, 0.3))))
    some = [RhythmBeat(NORMAL, _around(rng, rr, 0.03)) for _ in range(int(rng.geometric(0.2)))]
    return [*some, RhythmBeat(NORMAL, min(late * rr, _LONGEST_PAUSE_S))]


def _dropped(rng: Random, rr: float) -> list[RhythmBeat]:
    """One beat in five is not conducted; its P wave is there."""
    some = [RhythmBeat(NORMAL, _around(rng, rr, 0.015)) for _ in range(int(rng.geometric(0.25)))]
    return [*some, RhythmBeat(NORMAL, 2.0 * rr, blocked=rr)]


def _flutter(rng: Random, rr: float) -> list[RhythmBeat]:
    """Every second to fourth wave is conducted."""
    waves = [float(n) for n in rng.choice([2, 3, 4], 12)]
    return [RhythmBeat(NORMAL, _around(rng, rr * n / 3.0, 0.015), "none", waves=n) for n in waves]


def _two_to_one(rng: Random, rr: float) -> list[RhythmBeat]:
    """Every other beat is conducted, for minutes; the P waves of the others are there."""
    return [RhythmBeat(NORMAL, 2.0 * value, blocked=value) for value in (_around(rng, rr, 0.015) for _ in range(20))]


BLOCK = "2:1 block"
RHYTHMS: dict[str, _Other | None] = {
    "focus": _focus,
    "pauses": _pauses,
    "dropped beats": _dropped,
    "flutter": _flutter,
    "fibrillation": None,
    BLOCK: _two_to_one,
}
"""None: of recorded intervals."""
AFTER_FOCUS = "sinus after focus"
_BACK = 3
"""N in succession after S from which sinus rhythm is back: while a focus leads there are two at most."""
AFTER_BLOCK = "1:1 after 2:1 block"
_LONG = 1.5
"""Of the median interval of the first ``_SINUS_BEATS``: longer ones are of the block, where they are twice as long."""
_COLUMNS = ("focus", AFTER_FOCUS, *(rhythm for rhythm in RHYTHMS if rhythm != "focus"), AFTER_BLOCK)


def alternating(rng: Random, name: str, seconds: float, intervals: Sequence[float]) -> list[RhythmBeat]:
    """Sinus rhythm and one of ``RHYTHMS`` in turn, ``seconds`` long and a little more."""
    rr = 60.0 / float(rng.uniform(55, 95))
    out: list[RhythmBeat] = []
    while sum(beat.rr for beat in out) < seconds:
        out += [RhythmBeat(NORMAL, _around(rng, rr, 0.02)) for _ in range(_SINUS_BEATS)]
        other, some = RHYTHMS[name], list[RhythmBeat]()
        while other and len(some) < (_BLOCKED_BEATS if name == BLOCK else _OTHER_BEATS):
            some += other(rng, rr)
        if not other:
            first = int(rng.integers(len(intervals)))
            mean = float(np.mean(intervals))
            uneven = [intervals[(first + k) % len(intervals)] / mean for k in range(_OTHER_BEATS)]
            some = [RhythmBeat(NORMAL, rr * ratio, "none") for ratio in uneven]
        out += some
    return out


def patients(names: Sequence[str], settings: Settings) -> Iterator[tuple[str, dataset.Sequence]]:
    """(rhythm, sequence) of all that is composed of these recordings."""
    lent = Lent(fibrillation=(fibrillates := fibrillation(settings)))
    for seed, record in enumerate(names):
        recording = read(record, 0, settings)
        for k, rhythm in enumerate(RHYTHMS):
            rng = np.random.default_rng([seed, k])
            beats = alternating(rng, rhythm, _SECONDS, fibrillates.intervals)
            one = composed(recording, rng, _SECONDS, lent=lent, beats=beats)
            if one is not None:
                yield rhythm, dataset.prepare(one, settings)


def answers(network: Network, sequence: dataset.Sequence) -> Ints:
    """Class by class index of every beat, from the first on."""
    with torch.inference_mode():
        x, f = (torch.from_numpy(values)[:, None] for values in (sequence.x, sequence.f))
        logits = together(run_over(network, x, f, torch.zeros(1, HIDDEN))[0])
    return np.asarray(logits[:, 0].argmax(-1).numpy())


def parts(rhythm: str, labels: Ints, rr: Floats) -> Iterator[tuple[str, Ints]]:
    """(column, labels [beat]) of what is told apart: of a focus, while it leads, and when sinus rhythm is back, from
    the third N on; of 2:1 block the same by the RR intervals ``rr`` [beat], in any unit. What lies in another column is
    UNKNOWN, and so is what comes before any focus, and any block."""
    if rhythm == BLOCK:
        long = rr > _LONG * np.median(rr[1:_SINUS_BEATS])
        yield rhythm, np.where(long, labels, UNKNOWN)
        yield AFTER_BLOCK, np.where(~long & (np.cumsum(long) > 0), labels, UNKNOWN)
        return
    if rhythm != "focus":
        yield rhythm, labels
        return
    early = np.flatnonzero(labels == EARLY)
    beat = np.arange(len(labels))
    last = np.searchsorted(early, beat, side="right") - 1
    since = np.where(last >= 0, beat - early[np.maximum(last, 0)], -1) if len(early) else np.full(len(labels), -1)
    yield rhythm, np.where((since >= 0) & (since < _BACK), labels, UNKNOWN)
    yield AFTER_FOCUS, np.where(since >= _BACK, labels, UNKNOWN)


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
                called = answers(network, sequence)
                for column, labels in parts(rhythm, sequence.labels, np.exp(sequence.f[:, FEATURES.index("rr")])):
                    judged.setdefault((path, column), []).append((labels, called))
        if not judged:
            raise UserError(f"{', '.join(given.records)}: too few normal beats to compose anything of")
    except UserError as error:
        print(f"composed_rhythms: {error}", file=sys.stderr)
        return 1
    print(f"patients, each with each rhythm: {len(judged[given.weights[0], 'focus'])}\n")
    print("| weights | S found, focus | " + " | ".join(f"N called S, {column}" for column in _COLUMNS) + " |")
    print("|---" * (len(_COLUMNS) + 2) + "|")
    for path in given.weights:
        row = {column: shares(judged[path, column]) for column in _COLUMNS}
        wrong = " | ".join(f"{100 * row[column][1]:.1f} %" for column in _COLUMNS)
        print(f"| {path.parent.name}/{path.name} | {100 * row['focus'][0]:.1f} % | {wrong} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
