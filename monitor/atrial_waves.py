"""Do the atria flutter? How well a steady wave fits what lies between the T wave and the next complex. Compiled.

Where the atria flutter or fibrillate coarsely, a wave stands before every complex, and at one distance if they keep
step: by itself it looks like the P wave of a sinus beat, and before an early beat like that of an ectopic one. What
tells is that there are more of them. So where an interval is long enough for the T wave to be over, waves of 200 to 420
a minute are fitted to the stretch before the complex; how much of it they explain, and how high they are, is remembered
for the beats that come sooner. (This project's own.)

Laws: made of the past alone; ``measure`` changes nothing, ``learn`` takes the beat in.
"""

import math
from typing import Any

import numpy as np

from monitor.events import Floats
from monitor.filters import Doubles, compiled
from monitor.likeness import FS, log_ratio

FEATURES = ("waves", "waves_usual", "waves_size")
"""Names of what :func:`measure` writes, in order."""

_FROM, _TO = -86, -15
"""Samples at 180 Hz around R between which waves are fitted: −0.48 … −0.08 s, two waves of flutter."""
BEFORE = -_FROM
"""Samples that a window must have before R."""
_FREE_S = 0.8
"""RR interval, s, from which most of the T wave before is over when the stretch begins, 0.32 s after that beat; a
parabola takes what is left of it."""
_RATES = np.arange(200.0, 421.0, 22.0) / 60.0
"""Hz: of flutter slowed by drugs, to that of coarse fibrillation."""
_RATE = 1.0 / 8.0
"""Share by which a beat moves what is usual: flutter comes and goes."""
_SMALLEST = 0.003
"""In template sizes; a logarithm needs something. (Under 0.022 all are alike.)"""
_USUAL_SIZE = 0.1
"""In template sizes: a size that others are compared with."""

FIELDS = [
    ("waves", "f8", (2,)),  # usual share explained, usual size in template sizes
    ("waves_beats", "i8"),
]
"""Of one stream's state."""


def _bases() -> tuple[Doubles, Doubles]:
    """Orthonormal: of parabolas [3, sample], and of the waves of every rate, parabolas taken off, [rate, 2, sample]."""
    t = np.arange(_TO - _FROM) / FS
    slow = np.linalg.qr(np.vander(t - t.mean(), 3))[0].T
    waves = []
    for rate in _RATES:
        both = np.stack([np.sin(2 * np.pi * rate * t), np.cos(2 * np.pi * rate * t)])
        both -= both @ slow.T @ slow
        waves.append(np.linalg.qr(both.T)[0].T)
    return np.ascontiguousarray(slow), np.ascontiguousarray(waves)


_SLOW, _WAVES = _bases()


@compiled
def fit(beat: Doubles, r: int) -> tuple[float, float]:
    """The share of the stretch's squares that a steady wave explains, a parabola taken off, and the wave's
    root-mean-square in the unit of ``beat``."""
    length = _TO - _FROM
    rest = np.empty(length)
    for n in range(length):
        rest[n] = beat[r + _FROM + n]
    for k in range(3):
        along = 0.0
        for n in range(length):
            along += _SLOW[k, n] * rest[n]
        for n in range(length):
            rest[n] -= along * _SLOW[k, n]
    total = 0.0
    for n in range(length):
        total += rest[n] * rest[n]
    if total <= 0.0:
        return 0.0, 0.0
    best = 0.0
    for k in range(_WAVES.shape[0]):
        a = 0.0
        b = 0.0
        for n in range(length):
            a += _WAVES[k, 0, n] * rest[n]
            b += _WAVES[k, 1, n] * rest[n]
        best = max(best, a * a + b * b)
    return best / total, math.sqrt(best / length)


@compiled
def measure(s: Any, beat: Doubles, r: int, rr: float, scale: float, f: Floats) -> tuple[float, float]:
    """Writes the features, and returns what :func:`learn` needs: :func:`fit`, in template sizes.

    Args:
        s: state with FIELDS.
        beat: the window, mV at 180 Hz.
        r: index of the R peak in it.
        rr: interval since the beat before, s; 0: not known.
        scale: size of the dominant shape, mV.
        f: [len(FEATURES)], all zeros, written.
    """
    share = 0.0
    height = 0.0
    if rr >= _FREE_S:
        share, height = fit(beat, r)
        f[0] = share
    if s.waves_beats > 0:
        f[1] = s.waves[0]
        f[2] = log_ratio(max(s.waves[1], _SMALLEST), _USUAL_SIZE)
    return share, height / scale


@compiled
def learn(s: Any, rr: float, share: float, height: float) -> None:
    """A beat in a usable signal is past; the last two are what :func:`measure` returned."""
    if rr < _FREE_S:
        return
    s.waves_beats += 1
    rate = max(1.0 / s.waves_beats, _RATE)
    s.waves[0] += rate * (share - s.waves[0])
    s.waves[1] += rate * (min(height, 2.0) - s.waves[1])
