"""Other rhythms of a patient's own beats: the complexes, cut out and set anew along a rhythm that is drawn.

MIT-BIH's training half has six patients with more than a handful of supraventricular beats and two in atrial
fibrillation. What it lacks can be composed, since the QRS of a supraventricular beat is the patient's own: early beats,
alone, in pairs, runs, bigeminy, their P wave changed; and, as the other side of it, irregular rhythms that are normal
by class: fibrillation without P waves, lasting or in fast paroxysms, dropped beats, sinus arrhythmia, slow and quick
changes of the rate. After the idea of synthetic ectopy as augmentation; the composition by overlapping pieces is this
project's own.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.events import CLASSES, FS
from trainer.dataset import Recording

Doubles = npt.NDArray[np.float64]
Random = np.random.Generator

_N, _S, _V = (CLASSES.index(name) for name in ("N", "S", "V"))
_BEFORE = int(0.32 * FS)
"""Samples of a piece before R: the P wave with a long PR interval."""
_AFTER = int(0.48 * FS)
"""Samples after it: to the end of the T wave."""
_TAPER = int(0.04 * FS)
_P = (int(0.28 * FS), int(0.07 * FS))
"""Samples before R between which a P wave lies."""


@dataclass
class _Beat:
    """One beat of the rhythm to be."""

    label: int
    rr: float
    """s since the beat before."""
    p: str = "own"
    """own, none, or other: another P wave in its place."""


def composed(recording: Recording, rng: Random, seconds: float) -> Recording | None:
    """``seconds`` of a drawn rhythm made of the recording's beats; None where it has too few normal ones."""
    pieces = {label: _pieces(recording, label) for label in (_N, _V)}
    if len(pieces[_N]) < 60:
        return None
    beats = _rhythm(rng, seconds, can_v=len(pieces[_V]) >= 3)
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
        kind = _V if beat.label == _V else _N
        source[kind] = (source[kind] + 1) % len(pieces[kind])
        piece = pieces[kind][source[kind]]
        if kind == _N and beat.p != "own":
            piece = other.instead(piece, present=beat.p == "other")
        signal[r - _BEFORE : r + _AFTER] += piece
        samples.append(r)
        labels.append(beat.label)
    noise = float(np.exp(rng.uniform(np.log(0.003), np.log(0.02))))
    signal += rng.normal(0.0, noise, len(signal))
    if any(beat.p == "none" for beat in beats):
        signal += _fibrillation(rng, len(signal)) * float(rng.uniform(0.0, 0.06))
    return Recording(
        recording.record,
        recording.lead,
        signal.astype(np.float32),
        np.array(samples, dtype=np.int64),
        np.array(labels, dtype=np.int64),
    )


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
        if samples[k] - samples[k - 1] < (0.55 if label == _N else 0.3) * FS or samples[k + 1] - r < _AFTER:
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
        first, last = _BEFORE - _P[0], _BEFORE - _P[1]
        changed = piece.copy()
        line = np.linspace(piece[first], piece[last], last - first)
        changed[first:last] = line + self._rest * (piece[first:last] - line)
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


def _rhythm(rng: Random, seconds: float, *, can_v: bool) -> list[_Beat]:
    """Episodes of rhythms after each other."""
    out: list[_Beat] = []
    rr = 60.0 / rng.uniform(50, 105)
    ectopic = float(np.exp(rng.uniform(np.log(0.003), np.log(0.12))))
    af = rng.random() < 0.25
    paroxysms = not af and rng.random() < 0.2
    other_p = "other" if rng.random() < 0.8 else "own"
    ventricular = float(rng.uniform(0.0, 0.08)) if can_v and rng.random() < 0.6 else 0.0
    while sum(beat.rr for beat in out) < seconds:
        rr = float(np.clip(rr * np.exp(rng.normal(0.0, 0.08)), 0.42, 1.3))
        length = int(rng.integers(20, 150))
        kinds = ("fibrillation",) if af else ("sinus", "sinus", "run", "bigeminy", "blocked", "ramp", "steady")
        if paroxysms:
            kinds = (*kinds, "paroxysm", "paroxysm")
        kind = str(rng.choice(kinds))
        match kind:
            case "fibrillation":
                spread = rng.uniform(0.12, 0.3)
                for _ in range(length):
                    value = rr * float(np.exp(rng.normal(0.0, spread)))
                    if rng.random() < ventricular:
                        out.append(_Beat(_V, max(0.6 * value, 0.3)))
                        value *= 1.3
                    out.append(_Beat(_N, max(value, 0.3), "none"))
            case "paroxysm":
                fast = rng.uniform(0.27, 0.6)
                spread = rng.uniform(0.1, 0.25)
                for _ in range(length):
                    out.append(_Beat(_N, max(fast * float(np.exp(rng.normal(0.0, spread))), 0.24), "none"))
            case "run":
                out += _sinus(rng, rr, 20, ectopic, ventricular, other_p)
                faster = rr * rng.uniform(0.5, 0.92)
                count = int(np.exp(rng.uniform(np.log(2), np.log(250))))
                for k in range(count):
                    jitter = float(np.exp(rng.normal(0.0, 0.02 if k else 0.06)))
                    out.append(_Beat(_S, max(faster * jitter, 0.3), other_p))
                out.append(_Beat(_N, rr * rng.uniform(1.0, 1.6)))
            case "bigeminy":
                period = int(rng.integers(1, 4))
                early = rng.uniform(0.5, 0.95)
                for _ in range(length // (period + 1)):
                    out += [_Beat(_N, rr * float(np.exp(rng.normal(0.0, 0.02)))) for _ in range(period - 1)]
                    out.append(_Beat(_N, rr * rng.uniform(1.0, 1.25)))
                    out.append(_Beat(_S, max(rr * early * float(np.exp(rng.normal(0.0, 0.03))), 0.3), other_p))
            case "blocked":
                every = int(rng.integers(2, 12))
                grows = rng.uniform(0.0, 0.04)
                for k in range(length):
                    dropped = k % every == every - 1
                    out.append(_Beat(_N, rr * ((2.0 - grows * every) if dropped else 1.0 + grows * (k % every))))
            case "ramp":
                target = float(np.clip(rr * rng.uniform(0.6, 1.5), 0.4, 1.4))
                for k in range(length):
                    value = rr + (target - rr) * k / length
                    out.append(_Beat(_N, value * float(np.exp(rng.normal(0.0, 0.015)))))
                rr = target
            case "steady":
                out += _sinus(rng, rr, length, 0.0, ventricular, other_p)
            case _:
                out += _sinus(rng, rr, length, ectopic, ventricular, other_p)
    return out


def _sinus(rng: Random, rr: float, length: int, ectopic: float, ventricular: float, other_p: str) -> list[_Beat]:
    """Sinus rhythm with breathing in it, and single or paired early beats."""
    out: list[_Beat] = []
    depth, period, phase = rng.uniform(0.0, 0.1), rng.uniform(3.0, 6.0), rng.uniform(0.0, 6.3)
    at = 0.0
    for _ in range(length):
        value = rr * (1.0 + depth * np.sin(2 * np.pi * at / period + phase)) * float(np.exp(rng.normal(0.0, 0.01)))
        at += value
        chance = rng.random()
        if chance < ectopic:
            for k in range(int(rng.choice([1, 1, 1, 1, 2, 3]))):
                out.append(_Beat(_S, max(value * rng.uniform(0.45, 0.85 if k == 0 else 0.95), 0.3), other_p))
            out.append(_Beat(_N, value * rng.uniform(1.0, 1.4)))
        elif chance < ectopic + ventricular:
            coupling = rng.uniform(0.45, 0.8)
            out.append(_Beat(_V, max(value * coupling, 0.3)))
            out.append(_Beat(_N, value * (rng.uniform(1.9, 2.0) - coupling)))
        else:
            out.append(_Beat(_N, float(value)))
    return out
