"""Other rhythms of a patient's own beats: the complexes, cut out and set anew along a rhythm that is drawn.

MIT-BIH's training half has six patients with more than a handful of supraventricular beats and two in atrial
fibrillation. What it lacks can be composed (``trainer.rhythms``), since the QRS of a supraventricular beat is the
patient's own; what changes is the P wave. Ventricular beats can be lent by another patient, as they are or half-way to
the patient's own complex: such are the narrow ones that begin in the septum. After the idea of synthetic ectopy as
augmentation; the composition by overlapping pieces is this project's own.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from monitor.events import FS
from trainer.dataset import Recording
from trainer.rhythms import NORMAL, VENTRICULAR, Random, RhythmBeat, drawn

Doubles = npt.NDArray[np.float64]

_BEFORE = int(0.32 * FS)
"""Samples of a piece before R: the P wave with a long PR interval."""
_AFTER = int(0.48 * FS)
"""Samples after it: to the end of the T wave."""
_TAPER = int(0.04 * FS)
_P = slice(_BEFORE - int(0.28 * FS), _BEFORE - int(0.07 * FS))
"""Where in a piece the P wave lies."""
_QRS = slice(_BEFORE - int(0.084 * FS), _BEFORE + int(0.084 * FS))
"""The complex, 84 ms to either side of R, by whose height shapes of two patients are brought to one size."""
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
_COMPLEX_ENDS = (_QRS.stop - FS // 50, _QRS.stop + FS // 20)
"""Samples of a piece between which the one goes over into the other."""


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
        return cls(tuple(piece / _height(normal) for piece in pieces))

    def lent(self, rng: Random, normal: list[Doubles]) -> list[Doubles]:
        """Some of them as a patient with these ``normal`` beats might have them."""
        first = int(rng.integers(0, len(self.pieces)))
        sign = -1.0 if rng.random() < _INVERTED else 1.0
        pieces = [sign * _height(normal) * piece for piece in self.pieces[first : first + _LENT]]
        if rng.random() >= _BLENDED:
            return pieces
        bare = _OtherP(rng)
        own = [bare.instead(normal[k % len(normal)], present=False) for k in range(len(pieces))]
        if rng.random() < _NARROW:
            return _narrow(rng, pieces, own)
        share = float(rng.uniform(0.0, _OWN_SHARE))
        return [(1.0 - share) * piece + share * usual for piece, usual in zip(pieces, own, strict=True)]


def _narrow(rng: Random, pieces: list[Doubles], own: list[Doubles]) -> list[Doubles]:
    """The patient's ``own`` shapes, a little of the lent ``pieces`` in the complex, the T wave of the other sign."""
    after = np.interp(np.arange(_BEFORE + _AFTER), _COMPLEX_ENDS, (0.0, 1.0))  # 0 in the complex, 1 in the T wave
    of_complex, of_t = rng.uniform(*_NARROW_SHARE), rng.uniform(*_T_SHARE)
    share = of_complex + (of_t - of_complex) * after
    alike = float(np.sum(after * np.mean(pieces, axis=0) * np.mean(own, axis=0)))
    sign = 1.0 - 2.0 * after if alike > 0.0 else 1.0
    return [(1.0 - np.abs(share)) * sign * piece + share * usual for piece, usual in zip(pieces, own, strict=True)]


def composed(
    recording: Recording,
    rng: Random,
    seconds: float,
    *,
    lender: Ventricular | None = None,
    fibrillating: bool = False,
) -> Recording | None:
    """``seconds`` of a drawn rhythm made of the recording's beats; None where it has too few normal ones.

    Args:
        recording: whose beats of class N, and of class V, are taken.
        rng: what everything is drawn from.
        seconds: s.
        lender: whose ventricular beats are taken instead.
        fibrillating: the recording is of atrial fibrillation: its beats have no P wave, and no rhythm but this one.
    """
    pieces = {label: _pieces(recording, label) for label in (NORMAL, VENTRICULAR)}
    if len(pieces[NORMAL]) < _FEWEST_NORMAL:
        return None
    if lender is not None:
        pieces[VENTRICULAR] = lender.lent(rng, pieces[NORMAL])
    enough = len(pieces[VENTRICULAR]) >= _FEWEST_VENTRICULAR
    beats = drawn(rng, seconds, ventricular=enough, fibrillating=fibrillating)
    signal, samples, labels = _laid(beats, pieces, rng, seconds)
    noise = float(np.exp(rng.uniform(np.log(0.003), np.log(0.02))))
    signal += rng.normal(0.0, noise, len(signal))
    if any(beat.p == "none" for beat in beats):
        signal += _fibrillation(rng, len(signal)) * float(rng.uniform(0.0, 0.06))
    return replace(
        recording,
        signal=signal.astype(np.float32),
        samples=np.array(samples, dtype=np.int64),
        labels=np.array(labels, dtype=np.int64),
    )


def _laid(
    beats: list[RhythmBeat], pieces: dict[int, list[Doubles]], rng: Random, seconds: float
) -> tuple[Doubles, list[int], list[int]]:
    """The pieces along the rhythm: signal, R of every beat, label of every beat."""
    signal = np.zeros(int(seconds * FS) + _AFTER + FS)
    samples: list[int] = []
    labels: list[int] = []
    at = 1.0
    # Pieces that follow each other in the recording follow each other here: shapes drift as they did.
    source = {label: int(rng.integers(0, max(len(pieces[label]), 1))) for label in pieces}
    other = _OtherP(rng)
    for beat in beats:
        at += beat.rr
        r = int(at * FS)
        if r + _AFTER >= len(signal):
            break
        kind = VENTRICULAR if beat.label == VENTRICULAR else NORMAL
        source[kind] = (source[kind] + 1) % len(pieces[kind])
        piece = pieces[kind][source[kind]]
        if kind == NORMAL and beat.p != "own":
            piece = other.instead(piece, present=beat.p == "other")
        signal[r - _BEFORE : r + _AFTER] += piece
        if beat.blocked:
            first = int((at - beat.rr + beat.blocked) * FS) - _BEFORE
            signal[first + _P.start : first + _P.stop] += piece[_P] - _line(piece)
        samples.append(r)
        labels.append(beat.label)
    return signal, samples, labels


def _line(piece: Doubles) -> Doubles:
    """What would be there without the P wave."""
    return np.linspace(piece[_P.start], piece[_P.stop], _P.stop - _P.start)


def _height(pieces: list[Doubles]) -> float:
    """Of the complexes, mV."""
    return float(np.median([np.abs(piece[_QRS]).max() for piece in pieces]))


def _pieces(recording: Recording, label: int) -> list[Doubles]:
    """The waveforms of the beats of a class that have room before and behind them: from zero to zero."""
    signal = np.nan_to_num(recording.signal.astype(np.float64))
    edges = np.ones(_BEFORE + _AFTER)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(_TAPER) / _TAPER)
    edges[:_TAPER], edges[-_TAPER:] = ramp, ramp[::-1]
    out = []
    samples = recording.samples
    for k in np.flatnonzero(recording.labels == label):
        r = int(samples[k])
        if not 0 < k < len(samples) - 1 or r < _BEFORE or r + _AFTER > len(signal):
            continue
        if samples[k] - samples[k - 1] < (0.55 if label == NORMAL else 0.3) * FS or samples[k + 1] - r < _AFTER:
            continue
        piece = signal[r - _BEFORE : r + _AFTER]
        ends = np.linspace(piece[:_TAPER].mean(), piece[-_TAPER:].mean(), len(piece))
        out.append((piece - ends) * edges)
    return out


class _OtherP:
    """A P wave of another origin: its polarity, size, width and distance are one patient's."""

    def __init__(self, rng: Random) -> None:
        self._distance = rng.uniform(0.09, 0.20)
        self._width = rng.uniform(0.012, 0.03)
        self._size = rng.uniform(0.07, 0.22) * (-1.0 if rng.random() < 0.5 else 1.0)
        self._rest = rng.uniform(-0.3, 0.3) if rng.random() < 0.5 else 0.0

    def instead(self, piece: Doubles, *, present: bool) -> Doubles:
        """The piece with its own P wave taken out and, if ``present``, the other one put in."""
        changed = piece.copy()
        line = _line(piece)
        changed[_P] = line + self._rest * (piece[_P] - line)
        if present:
            t = np.arange(-_BEFORE, _AFTER) / FS
            scale = float(np.abs(piece[_BEFORE - 20 : _BEFORE + 20]).max())
            changed += self._size * scale * np.exp(-((t + self._distance) ** 2) / (2 * self._width**2)) * (t < -0.04)
        return changed


def _fibrillation(rng: Random, length: int) -> Doubles:
    """f waves: 4–9 Hz, rms 1."""
    t = np.arange(length) / FS
    rate = rng.uniform(4.5, 8.0) + 0.6 * np.sin(2 * np.pi * 0.2 * t + rng.uniform(0, 6.3))
    wave = np.sin(2 * np.pi * np.cumsum(rate) / FS)
    waxing = 1.0 + 0.4 * np.sin(2 * np.pi * 0.31 * t)
    return np.asarray(np.sqrt(2.0) * wave * waxing)
