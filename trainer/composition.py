"""Other rhythms of a patient's own beats: the complexes, cut out and set anew along a rhythm that is drawn.

MIT-BIH's training half has six patients with more than a handful of supraventricular beats and two in atrial
fibrillation. What it lacks can be composed (``trainer.rhythms``), since the QRS of a supraventricular beat is the
patient's own; what changes is the P wave. That wave, ventricular beats and fibrillation can be lent by other patients
(``trainer.lenders``). After the idea of synthetic ectopy as augmentation; the composition by overlapping pieces is this
project's own.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from monitor.events import FS
from trainer.background import Background, smoothed
from trainer.dataset import Recording
from trainer.episodes import EARLY, NORMAL, VENTRICULAR, Random, RhythmBeat
from trainer.lenders import Lent, uneven
from trainer.pieces import EDGES, FEWEST_NORMAL, TAPER, background_of, height_of, pieces_of
from trainer.rhythms import drawn
from trainer.waves import (
    AFTER,
    BEFORE,
    FADES,
    Aberrancy,
    Doubles,
    Flutter,
    OtherP,
    P,
    fibrillation,
    is_seen,
    line,
    mean_p,
)

_FEWEST_VENTRICULAR = 3
_LENT_P = 0.6
"""Chance that S beats have the P wave of another's, where one lends it, and not a drawn one."""
_LENT_WAVES = 0.7
"""Chance that fibrillation's waves are a recording's, where one lends them, and not drawn."""
_FOCUS_TELLS = 0.35
"""Of what a P wave must differ by to tell: enough where a focus leads, of whose many beats the mean is known."""
_CUT = 0.65
"""Where between two beats a recording of fibrillation is cut: after most T waves, and there is no P wave."""
_LENT_LEVEL = (0.4, 1.4)
"""Range of their level beside the complexes, in what it is in their own patient."""
_DRAWN_LEVEL_MV = 0.06
"""Most that drawn ones have of it, root-mean-square."""
_NOISE_MV = (0.003, 0.02)
"""Range of the root-mean-square of white noise over all that is composed: of amplifiers, and of the digits of files."""
_NOTHING = Lent()


def repeated(recording: Recording, seconds: float) -> Recording:
    """A recording of fibrillation over and over, ``seconds`` long, without labels: from between two beats to between
    two others, so that one goes on where the other ended.

    A strip is over before much is usual for its patient. Where there are too few beats it stays as it is.
    """
    if len(recording.samples) < FEWEST_NORMAL:
        return recording
    ends = [int(a + _CUT * (b - a)) for a, b in (recording.samples[1:3], recording.samples[-3:-1])]
    signal = recording.signal[ends[0] : ends[1]].astype(np.float64)
    first, last = (float(np.nan_to_num(part).mean()) for part in (signal[:TAPER], signal[-TAPER:]))
    signal -= np.linspace(first, last, len(signal))  # one end is as high as the other
    signal = np.tile(signal, int(np.ceil(seconds * FS / len(signal))))[: int(seconds * FS)]
    nothing = np.zeros(0, dtype=np.int64)
    return replace(recording, signal=signal.astype(np.float32), samples=nothing, labels=nothing)


def composed(
    recording: Recording,
    rng: Random,
    seconds: float,
    *,
    lent: Lent = _NOTHING,
    fibrillating: bool = False,
    beats: Sequence[RhythmBeat] | None = None,
) -> Recording | None:
    """``seconds`` of a rhythm made of the recording's beats; None where it has too few normal ones.

    Args:
        recording: whose beats of class N, and of class V, are taken.
        rng: what everything is drawn from.
        seconds: s.
        lent: what others lend: ventricular beats instead of its own, P waves of S beats, and what fibrillation has,
            where the rhythm fibrillates and the recording has no waves of its own.
        fibrillating: the recording is of atrial fibrillation: its beats have no P wave, and no rhythm but this one.
        beats: the rhythm, with ventricular beats only where there are some; None: it is drawn.
    """
    pieces = {label: pieces_of(recording, label) for label in (NORMAL, VENTRICULAR)}
    if len(pieces[NORMAL]) < FEWEST_NORMAL:
        return None
    usual = smoothed(pieces[NORMAL])
    background = background_of(recording, usual)
    own_waves = fibrillating and background is not None
    if own_waves:  # they are taken off the beats and run through them as they are laid
        pieces[NORMAL] = usual
    if lent.ventricular is not None:
        pieces[VENTRICULAR] = lent.ventricular.lent(rng, pieces[NORMAL])
    lent_p = lent.p.lent(rng) if lent.p is not None and rng.random() < _LENT_P else None
    other = OtherP(rng, lent_p, mean_p(pieces[NORMAL]))
    if beats is None:
        enough = len(pieces[VENTRICULAR]) >= _FEWEST_VENTRICULAR
        intervals = uneven(recording) if fibrillating else lent.fibrillation.intervals if lent.fibrillation else ()
        told = other.tells(pieces[NORMAL])
        beats = drawn(
            rng,
            seconds,
            ventricular=enough,
            fibrillating=fibrillating,
            tells=told >= 1.0,
            focus_tells=told >= _FOCUS_TELLS,
            seen=is_seen(pieces[NORMAL]),
            intervals=intervals,
        )
    signal, samples, labels, fibrillates = _laid(beats, pieces, rng, seconds, other)
    if fibrillates.any() and not own_waves:
        waves = lent.fibrillation.waves if lent.fibrillation else None
        signal += fibrillates * _waves(rng, len(signal), height_of(pieces[NORMAL]), waves)
    if background is not None:
        beneath = background.laid(rng, len(signal))
        signal += beneath if own_waves else beneath * _between(samples, len(signal))
    noise = float(np.exp(rng.uniform(*np.log(_NOISE_MV))))
    signal += rng.normal(0.0, noise, len(signal))
    return replace(
        recording,
        signal=signal.astype(np.float32),
        samples=np.array(samples, dtype=np.int64),
        labels=np.array(labels, dtype=np.int64),
    )


def _laid(
    beats: Sequence[RhythmBeat], pieces: dict[int, list[Doubles]], rng: Random, seconds: float, other: OtherP
) -> tuple[Doubles, list[int], list[int], Doubles]:
    """The pieces along the rhythm: signal, R of every beat, label of every beat, and the share of fibrillation's waves
    in every sample."""
    signal = np.zeros(int(seconds * FS) + AFTER + FS)
    samples: list[int] = []
    labels: list[int] = []
    at = 1.0
    # Pieces that follow each other in the recording follow each other here: shapes drift as they did.
    source = {label: int(rng.integers(0, max(len(pieces[label]), 1))) for label in pieces}
    height = height_of(pieces[NORMAL])
    aberrant, flutter = Aberrancy(rng, height), Flutter(rng, height)
    fibrillates = np.zeros(len(signal))
    rr = 0.0
    for beat in beats:
        before = int(at * FS)
        at += beat.rr
        r = int(at * FS)
        if r + AFTER >= len(signal):
            break
        if beat.waves and samples:
            signal[before:r] += flutter.between(r - before, beat.waves)
        elif beat.p == "none":
            fibrillates[before:r] = 1.0
        kind = VENTRICULAR if beat.label == VENTRICULAR else NORMAL
        source[kind] = (source[kind] + 1) % len(pieces[kind])
        piece = pieces[kind][source[kind]]
        if kind == NORMAL and beat.p != "own":
            piece = other.instead(piece, present=beat.p == "other")
        if beat.label == EARLY or (kind == NORMAL and beat.p == "none"):
            piece = aberrant.conducted(piece, beat.rr / max(rr, beat.rr))
        signal[r - BEFORE : r + AFTER] += piece
        for late in np.arange(1, round(beat.rr / beat.blocked) if beat.blocked else 1) * beat.blocked:
            first = int((at - beat.rr + late) * FS) - BEFORE
            signal[first + P.start : first + P.stop] += piece[P] - line(piece)
        samples.append(r)
        labels.append(beat.label)
        rr = beat.rr
    return signal, samples, labels, ndimage.uniform_filter1d(fibrillates, FADES)


def _waves(rng: Random, length: int, height: float, lent: Background | None) -> Doubles:
    """Fibrillation's, mV: a recording's, or drawn."""
    if lent is not None and rng.random() < _LENT_WAVES:
        return lent.laid(rng, length) * (height * rng.uniform(*_LENT_LEVEL))
    return fibrillation(rng, length) * float(rng.uniform(0.0, _DRAWN_LEVEL_MV))


def _between(samples: list[int], length: int) -> Doubles:
    """1 where no piece lies, 0 where one does."""
    free = np.ones(length)
    for r in samples:
        free[r - BEFORE : r + AFTER] = np.minimum(free[r - BEFORE : r + AFTER], 1.0 - EDGES)
    return free
