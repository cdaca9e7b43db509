"""How unlike the dominant shape is this beat, in units of what is usual for the patient: complex and T wave. Compiled.

A correlation of .9 is a ventricular beat in one patient, and noise in the next. So differences are told in units of the
patient's own: those of the beats whose complex is of the dominant shape. Two further signs are the field's old ones. A
beat that begins in the ventricles repolarizes in another order, so its T wave differs even where its complex hardly
does; a supraventricular one keeps the T wave of a normal beat. And a wide complex has less steep flanks for its size,
and lasts longer. Where a bundle is still refractory, a supraventricular beat is wide too; but it begins as the others
do.

Laws: made of the past alone; ``measure`` changes nothing, ``learn`` takes the beat in.
"""

import math
from typing import Any

from monitor.events import Floats
from monitor.filters import Doubles, compiled
from monitor.likeness import FS, likeness, log_ratio, mean_square

FEATURES = ("complex_unusual", "t_likeness", "t_unusual", "steepness", "onset_unusual", "duration", "longer")
"""Names of what :func:`measure` writes, in order."""

_COMPLEX = (-18, 22)
"""Samples at 180 Hz around R, −0.1 … +0.12 s."""
_ONSET = (-18, -3)
"""Likewise, −0.1 … −0.02 s: how the complex begins. A bundle that is still refractory delays its end; a
ventricular beat begins otherwise."""
_DURATION = (-22, 36)
"""Likewise, −0.12 … +0.2 s: where a wide complex lies."""
_WITHIN = (0.04, 0.96)
"""Shares of the squared slopes between which the complex lasts."""
_USUAL_S = 0.08
"""s; a duration that others are compared with."""
_T = (18, 56)
"""Likewise, +0.1 … +0.31 s: the ST segment and what the window holds of the T wave."""
AFTER = _T[1]
"""Samples that a window must have after R, besides the shift."""
_RATE = 1.0 / 32.0
"""Share by which a beat moves a mean square difference, once that is settled."""
_FEWEST = 3
"""Beats in a mean before anything is said of what is usual."""
_MOST_ERROR = 9.0
"""A square difference counts for no more than so many times the mean one: three standard deviations."""
_LEAST_ERROR = 3e-3
"""In template sizes: a difference is never taken for smaller."""
_LEAST, _MOST = -1.5, 3.0
"""Of a logarithm: a fifth of what is usual, and twenty times; what is beyond says nothing more."""

FIELDS = [
    ("usual", "f8", (3,)),  # mean square difference of beats of the dominant shape from it: complex, T wave, onset
    ("usual_beats", "i8"),
]
"""Of one stream's state."""


@compiled
def slope_share(beat: Doubles, first: int, last: int) -> float:
    """Sum of squared slopes over the sum of squares: the larger, the narrower are the waves; 0 where there are none."""
    slopes = 0.0
    squares = 0.0
    for n in range(first, last):
        slopes += (beat[n + 1] - beat[n - 1]) ** 2
        squares += beat[n] * beat[n]
    return slopes / squares if squares > 0.0 else 0.0


@compiled
def duration(beat: Doubles, first: int, last: int) -> float:
    """s in which the greater part of the squared slopes lies."""
    total = 0.0
    for n in range(first, last):
        total += (beat[n + 1] - beat[n - 1]) ** 2
    if total <= 0.0:
        return 0.0
    below = 0.0
    begin = float(first)
    end = float(last)
    for n in range(first, last):
        share = (beat[n + 1] - beat[n - 1]) ** 2 / total
        if below < _WITHIN[0] <= below + share:
            begin = n + (_WITHIN[0] - below) / share
        if below < _WITHIN[1] <= below + share:
            end = n + (_WITHIN[1] - below) / share
        below += share
    return (end - begin) / FS


@compiled
def measure(
    s: Any, beat: Doubles, template: Doubles, r: int, shift: int, known: bool, scale: float, f: Floats
) -> tuple[float, float, float]:
    """Writes the features, and returns the three square differences, in template sizes, for :func:`learn`.

    Args:
        s: state with FIELDS.
        beat: the window, mV at 180 Hz.
        template: the dominant shape, likewise.
        r: index of the R peak in both.
        shift: by which the complexes lie over each other.
        known: there is a dominant shape.
        scale: its size, mV.
        f: [len(FEATURES)], all zeros, written.
    """
    if not known:
        return 0.0, 0.0, 0.0
    of_complex = mean_square(beat, template, r + _COMPLEX[0], r + _COMPLEX[1], shift) / scale**2
    of_t = mean_square(beat, template, r + _T[0], r + _T[1], shift) / scale**2
    of_onset = mean_square(beat, template, r + _ONSET[0], r + _ONSET[1], shift) / scale**2
    least = _LEAST_ERROR**2
    if s.usual_beats > _FEWEST:
        f[0] = min(max(0.5 * math.log((of_complex + least) / (s.usual[0] + least)), _LEAST), _MOST)
        f[2] = min(max(0.5 * math.log((of_t + least) / (s.usual[1] + least)), _LEAST), _MOST)
        f[4] = min(max(0.5 * math.log((of_onset + least) / (s.usual[2] + least)), _LEAST), _MOST)
    f[1] = likeness(beat, template, r + _T[0], r + _T[1], shift)
    own = slope_share(beat, r + _COMPLEX[0], r + _COMPLEX[1])
    there = slope_share(template, r + _COMPLEX[0], r + _COMPLEX[1])
    if own > 0.0 and there > 0.0:
        f[3] = 0.5 * log_ratio(own, there)
    lasts = max(duration(beat, r + _DURATION[0], r + _DURATION[1]), 1.0 / FS)
    f[5] = log_ratio(lasts, _USUAL_S)
    f[6] = log_ratio(lasts, max(duration(template, r + _DURATION[0], r + _DURATION[1]), 1.0 / FS))
    return of_complex, of_t, of_onset


@compiled
def learn(s: Any, of_complex: float, of_t: float, of_onset: float) -> None:
    """A beat of the dominant shape, in a usable signal, is past; the differences are what :func:`measure` returned."""
    rate = max(1.0 / (s.usual_beats + 1.0), _RATE)
    settled = s.usual_beats > _FEWEST
    for k, error in ((0, of_complex), (1, of_t), (2, of_onset)):
        capped = min(error, _MOST_ERROR * s.usual[k]) if settled else error
        s.usual[k] += rate * (capped - s.usual[k])
    s.usual_beats += 1
