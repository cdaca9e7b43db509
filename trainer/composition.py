"""Other rhythms of a patient's own beats: the complexes, cut out and set anew along a rhythm that is drawn.

MIT-BIH's training half has six patients with more than a handful of supraventricular beats and two in atrial
fibrillation. What it lacks can be composed (``trainer.rhythms``), since the QRS of a supraventricular beat is the
patient's own; what changes is the P wave. Ventricular beats can be lent by another patient, as they are or half-way to
the patient's own complex: such are the narrow ones that begin in the septum. After the idea of synthetic ectopy as
augmentation; the composition by overlapping pieces is this project's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from monitor.events import FS
from trainer.background import Background, smoothed
from trainer.dataset import Recording
from trainer.protocols import Mask
from trainer.rhythms import EARLY, NORMAL, VENTRICULAR, Random, RhythmBeat, drawn
from trainer.waves import AFTER, BEFORE, FADES, QRS, Aberrancy, Doubles, Flutter, OtherP, P, fibrillation, line

_TAPER = int(0.04 * FS)
"""Samples over which a piece comes from zero and goes back to it."""
_LEAST_BEFORE_S, _LEAST_BEFORE_NORMAL_S = 0.3, 0.55
"""RR interval, s, from which a beat has room before it; a normal one's P wave has to be clear of the last T wave."""
_FEWEST_NORMAL = 12
"""Normal beats that a rhythm can be made of without being one beat over and over."""
_FEWEST_VENTRICULAR = 3
_LENDS = 20
"""Ventricular beats from which a recording has some to lend."""
_LENT = 40
"""Beats that are lent: as they followed each other."""
_INVERTED = 0.3
"""Chance that they are lent with the other sign: another lead of another heart."""
_BLENDED = 0.6
"""Chance that they take on something of the patient's own complex."""
_OWN_SHARE = 0.65
"""Most that a lent shape may take on of the patient's own complex."""
_NARROW = 0.6
"""Chance, of those, that the complex is nearly the patient's own and the T wave tells: an origin near the bundles."""
_NARROW_SHARE = (0.7, 0.95)
"""Range of what such a complex has of the patient's own."""
_T_SHARE = (-0.9, 0.0)
"""Range of what its T wave has of the patient's own: repolarization takes another order."""
_COMPLEX_ENDS = (QRS.stop - FS // 50, QRS.stop + FS // 20)
"""Samples of a piece between which the one goes over into the other."""
_LENT_WAVES = 0.7
"""Chance that fibrillation's waves are a recording's, where one lends them, and not drawn."""
_LENT_LEVEL = (0.4, 1.4)
"""Range of their level beside the complexes, in what it is in their own patient."""
_DRAWN_LEVEL_MV = 0.06
"""Most that drawn ones have of it, root-mean-square."""
_NOISE_MV = (0.003, 0.02)
"""Range of the root-mean-square of white noise over all that is composed: of amplifiers, and of the digits of files."""


@dataclass(frozen=True)
class Ventricular:
    """Ventricular beats to lend, in normal heights of their own patient's complexes."""

    pieces: tuple[Doubles, ...]

    @classmethod
    def of(cls, recording: Recording) -> "Ventricular | None":
        """A recording's; None where there are too few of them, or of the normal ones that they are measured by."""
        pieces = _pieces(recording, VENTRICULAR)
        normal = _pieces(recording, NORMAL)
        if len(pieces) < _LENDS or len(normal) < _FEWEST_NORMAL:
            return None
        height = _height(normal)
        return cls(tuple(piece / height for piece in pieces))

    def lent(self, rng: Random, normal: list[Doubles]) -> list[Doubles]:
        """Some of them as a patient with these ``normal`` beats might have them."""
        first = int(rng.integers(0, len(self.pieces)))
        sign = -1.0 if rng.random() < _INVERTED else 1.0
        height = sign * _height(normal)
        pieces = [height * piece for piece in self.pieces[first : first + _LENT]]
        if rng.random() >= _BLENDED:
            return pieces
        bare = OtherP(rng)
        own = [bare.instead(normal[k % len(normal)], present=False) for k in range(len(pieces))]
        if rng.random() < _NARROW:
            return _narrow(rng, pieces, own)
        share = float(rng.uniform(0.0, _OWN_SHARE))
        return [(1.0 - share) * piece + share * usual for piece, usual in zip(pieces, own, strict=True)]


def _narrow(rng: Random, pieces: list[Doubles], own: list[Doubles]) -> list[Doubles]:
    """The patient's ``own`` shapes, a little of the lent ``pieces`` in the complex, the T wave of the other sign."""
    after = np.interp(np.arange(BEFORE + AFTER), _COMPLEX_ENDS, (0.0, 1.0))  # 0 in the complex, 1 in the T wave
    of_complex, of_t = rng.uniform(*_NARROW_SHARE), rng.uniform(*_T_SHARE)
    share = of_complex + (of_t - of_complex) * after
    alike = float(np.sum(after * np.mean(pieces, axis=0) * np.mean(own, axis=0)))
    sign = 1.0 - 2.0 * after if alike > 0.0 else 1.0
    return [(1.0 - np.abs(share)) * sign * piece + share * usual for piece, usual in zip(pieces, own, strict=True)]


def lent_waves(recording: Recording) -> Background | None:
    """Waves of a recording of fibrillation, in normal heights of its complexes; None where there is too little."""
    pieces = _pieces(recording, NORMAL)
    if len(pieces) < _FEWEST_NORMAL:
        return None
    left = _background(recording, smoothed(pieces))
    return None if left is None else left.scaled(1.0 / _height(pieces))


def composed(
    recording: Recording,
    rng: Random,
    seconds: float,
    *,
    lender: Ventricular | None = None,
    waves: Background | None = None,
    fibrillating: bool = False,
    beats: Sequence[RhythmBeat] | None = None,
) -> Recording | None:
    """``seconds`` of a rhythm made of the recording's beats; None where it has too few normal ones.

    Args:
        recording: whose beats of class N, and of class V, are taken.
        rng: what everything is drawn from.
        seconds: s.
        lender: whose ventricular beats are taken instead.
        waves: ``lent_waves`` of another, where the rhythm fibrillates, if it is not ``fibrillating`` itself.
        fibrillating: the recording is of atrial fibrillation: its beats have no P wave, and no rhythm but this one.
        beats: the rhythm, with ventricular beats only where the recording or ``lender`` has some; None: it is drawn.
    """
    pieces = {label: _pieces(recording, label) for label in (NORMAL, VENTRICULAR)}
    if len(pieces[NORMAL]) < _FEWEST_NORMAL:
        return None
    usual = smoothed(pieces[NORMAL])
    background = _background(recording, usual)
    if fibrillating:  # the waves are taken off the beats and run through them as they are laid
        pieces[NORMAL] = usual
    if lender is not None:
        pieces[VENTRICULAR] = lender.lent(rng, pieces[NORMAL])
    enough = len(pieces[VENTRICULAR]) >= _FEWEST_VENTRICULAR
    if beats is None:
        beats = drawn(rng, seconds, ventricular=enough, fibrillating=fibrillating)
    signal, samples, labels, fibrillates = _laid(beats, pieces, rng, seconds)
    if not fibrillating:
        signal += fibrillates * _waves(rng, len(signal), _height(pieces[NORMAL]), waves)
    if background is not None:
        beneath = background.laid(rng, len(signal))
        signal += beneath if fibrillating else beneath * _between(samples, len(signal))
    noise = float(np.exp(rng.uniform(*np.log(_NOISE_MV))))
    signal += rng.normal(0.0, noise, len(signal))
    return replace(
        recording,
        signal=signal.astype(np.float32),
        samples=np.array(samples, dtype=np.int64),
        labels=np.array(labels, dtype=np.int64),
    )


def _laid(
    beats: Sequence[RhythmBeat], pieces: dict[int, list[Doubles]], rng: Random, seconds: float
) -> tuple[Doubles, list[int], list[int], Doubles]:
    """The pieces along the rhythm: signal, R of every beat, label of every beat, and the share of fibrillation's waves
    in every sample."""
    signal = np.zeros(int(seconds * FS) + AFTER + FS)
    samples: list[int] = []
    labels: list[int] = []
    at = 1.0
    # Pieces that follow each other in the recording follow each other here: shapes drift as they did.
    source = {label: int(rng.integers(0, max(len(pieces[label]), 1))) for label in pieces}
    other = OtherP(rng)
    height = _height(pieces[NORMAL])
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
        if beat.label == EARLY:
            piece = aberrant.conducted(piece, beat.rr / max(rr, beat.rr))
        if kind == NORMAL and beat.p != "own":
            piece = other.instead(piece, present=beat.p == "other")
        signal[r - BEFORE : r + AFTER] += piece
        if beat.blocked:
            first = int((at - beat.rr + beat.blocked) * FS) - BEFORE
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


def _background(recording: Recording, pieces: list[Doubles]) -> Background | None:
    """What the recording holds besides its beats; ``pieces`` are of those of its normal ones that have room."""
    normal = recording.labels == NORMAL
    unusual = np.isnan(recording.signal)
    for r in recording.samples[~normal]:
        unusual[max(r - BEFORE, 0) : r + AFTER] = True
    ends = recording.samples[[0, -1]] - BEFORE  # the last beat may not be there as a whole
    unusual[: max(ends[0], 0)] = True
    unusual[max(ends[1], 0) :] = True
    at = recording.samples[normal]
    room = np.flatnonzero(_has_room(recording, NORMAL)[normal])
    next_with_room = np.minimum(np.searchsorted(room, np.arange(len(at))), len(room) - 1)
    signal = np.nan_to_num(recording.signal.astype(np.float64))
    return Background.of(signal, at.tolist(), [pieces[k] for k in next_with_room], unusual)


def _height(pieces: list[Doubles]) -> float:
    """Of the complexes, mV."""
    return float(np.median([np.abs(piece[QRS]).max() for piece in pieces]))


def _edges() -> Doubles:
    """By which a piece begins and ends at zero."""
    edges = np.ones(BEFORE + AFTER)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(_TAPER) / _TAPER)
    edges[:_TAPER], edges[-_TAPER:] = ramp, ramp[::-1]
    return edges


_EDGES = _edges()


def _between(samples: list[int], length: int) -> Doubles:
    """1 where no piece lies, 0 where one does."""
    free = np.ones(length)
    for r in samples:
        free[r - BEFORE : r + AFTER] = np.minimum(free[r - BEFORE : r + AFTER], 1.0 - _EDGES)
    return free


def _has_room(recording: Recording, label: int) -> Mask:
    """[beat]: those of a class with room before and behind them."""
    rr = np.diff(recording.samples, prepend=0, append=0)
    room = (recording.labels == label) & (recording.samples >= BEFORE)
    room &= recording.samples + AFTER <= len(recording.signal)
    least = _LEAST_BEFORE_NORMAL_S if label == NORMAL else _LEAST_BEFORE_S
    room &= (rr[:-1] >= least * FS) & (rr[1:] >= AFTER)
    room[:1] = room[-1:] = False
    return np.asarray(room)


def _pieces(recording: Recording, label: int) -> list[Doubles]:
    """The waveforms of the beats of a class that have room before and behind them: from zero to zero."""
    signal = np.nan_to_num(recording.signal.astype(np.float64))
    at = recording.samples[_has_room(recording, label)]
    pieces = signal[at[:, None] + np.arange(-BEFORE, AFTER)]
    first, last = (pieces[:, part].mean(axis=1, keepdims=True) for part in (slice(_TAPER), slice(-_TAPER, None)))
    return list((pieces - first - (last - first) * np.linspace(0.0, 1.0, BEFORE + AFTER)) * _EDGES)
