"""What comes before the QRS complex, beside the patient's own: is it the sinus node's P wave? Compiled.

An atrial ectopic beat has the QRS complex of a normal one; its P wave is another. Which of a patient's P waves is the
sinus node's is not said by numbers alone, where ectopic beats are as common as sinus beats; but those that come late
are the sinus node's, for what is ectopic comes early. So the average of the late beats' P waves is kept apart from that
of the early ones, and with it how much late beats differ from it among themselves: a difference means as much as it is
unusual. Where an atrial focus leads and the sinus node comes in at its pauses alone, most of what is a little late is
the focus's too; so a third average weighs beats by how late they are.

One P wave hardly rises over the noise, an average does. So it is also told how far the early beats' average is from
that of the late ones, and from that after pauses, over what noise would do to averages; and to which of two a beat's P
wave is nearer, by the logarithm of the ratio of their likelihoods if all that is left is noise (Neyman & Pearson 1933,
10.1098/rsta.1933.0009; deviation: per sample, since samples are not independent). What comes early, or at a high rate,
has the end of the T wave before where what comes late has none; so for these each sample of an average is of those
beats alone whose T wave is over there, and compared is only what lies behind that of the beat at hand. (All this
project's own.)

Laws: made of the past alone; ``measure`` changes nothing, ``learn`` takes the beat in.
"""

import math
from typing import Any

import numpy as np

from monitor.events import Floats
from monitor.filters import Doubles, compiled
from monitor.likeness import FS, likeness, log_ratio, mean_square, size

FEATURES = (
    "p_likeness",
    "p_difference",
    "p_size",
    "p_template",
    "p_steady",
    "late_likeness",
    "late_difference",
    "late_unusual",
    "early_likeness",
    "pause_likeness",
    "pause_unusual",
    "early_apart",
    "early_place",
    "early_pause_apart",
    "early_pause_place",
)
"""Names of what :func:`measure` writes, in order."""

_P = (-54, -14)
"""Samples at 180 Hz before R where a P wave lies, −0.3 … −0.08 s."""
_FROM = -58
"""Where the stretch begins that late and early beats are compared by: −0.32 s, a long PR interval."""
BEFORE = -_FROM
"""Samples that a window must have before R."""
LENGTH = 44
"""Its samples; it ends where the QRS complex begins."""
_ENDS = 4
"""Samples at either end between which the baseline is drawn."""
_ALIKE = 0.92
"""Correlation of the QRS complex with the dominant shape from which a beat's P wave counts as one of the patient's."""
_USUAL = 0.9
"""The same for late and early beats, of which there are fewer."""
_RATE = 1.0 / 16.0
"""Share by which a beat moves an average, once that is settled."""
_ERROR_RATE = 1.0 / 32.0
"""The same for the late beats' mean square difference."""
_CLEARLY = 0.25
"""Log of the RR interval over its mean from which a beat is as late as any: it ends a pause."""
_PAUSE_KEPT = 0.98
"""Weight that a beat after a pause keeps from beat to beat."""
_LEAST_WEIGHT = 0.02
"""Of all beats in that average before anything is said of its likeness: one late by a twenty-fifth, or four by a
fiftieth."""
_FEWEST = 3
"""Beats in an average before anything is said of its likeness."""
_MOST_ERROR = 9.0
"""A square difference counts for no more than so many times the mean one: three standard deviations."""
_LEAST_ERROR = 1e-3
"""In template sizes: a difference is never taken for smaller."""
_MOST = 2.0
"""In template sizes; a larger wave or difference is an artefact."""
_SETTLED = 2.0 / _RATE - 1.0
"""Beats whose plain mean is as steady as an average that is settled."""
_LEAST_APART, _MOST_APART = -1.5, 3.0
"""Of a logarithm: averages that are nearer than noise would have them, or twenty times as far; and …"""
_MOST_PLACE = 2.0
"""… of what a sample tells: it is beyond doubt."""
_T_ENDS = 0.44
"""Of the RR interval in s, by its cube root: s after an R peak at which the T wave is over, by a wide margin
(Fridericia 1920, 10.1111/j.0954-6820.1920.tb18266.x: QT, which begins before R, of most)."""
_FEWEST_CLEAR = 14
"""Samples behind it before averages are compared."""
_ENOUGH = 0.5
"""Share of the early beats of late that are to be in every sample of their average that is compared."""
_FREE_KEPT = 0.995
"""Weight that a beat keeps in averages free of T waves from one late or early beat to the next: half after 140. What is
known outlasts a paroxysm of some tens of beats; where none has been free for minutes, at another rate, nothing is."""
_LATE, _PAUSE, _EARLY = 0, 1, 2

FIELDS = [
    ("p_steady", "f8"),  # mean likeness of the P waves of beats of the dominant shape
    ("p_waves", "f8", (3, LENGTH)),  # of late beats, of those after pauses, and of early ones, in template sizes
    ("p_beats", "f8", (3,)),  # in each; of those after pauses the sum of weights
    ("p_error", "f8", (2,)),  # mean square difference from the first two
    ("p_measured", "f8", (2,)),  # differences in each mean; of those after pauses the sum of weights
    ("p_free", "f8", (3, LENGTH)),  # the same of each beat where no T wave lies in it
    ("p_free_beats", "f8", (3, LENGTH)),  # in each of their samples, the sum of weights
]
"""Of one stream's state."""


@compiled
def stretch(beat: Doubles, r: int, scale: float) -> Doubles:
    """What comes before the complex, [LENGTH], in template sizes, the line between its ends taken off."""
    first = 0.0
    last = 0.0
    for n in range(_ENDS):
        first += beat[r + _FROM + n] / _ENDS
        last += beat[r + _FROM + LENGTH - 1 - n] / _ENDS
    out = np.empty(LENGTH)
    for n in range(LENGTH):
        line = first + (last - first) * (n - 0.5 * (_ENDS - 1)) / (LENGTH - _ENDS)
        out[n] = (beat[r + _FROM + n] - line) / scale
    return out


@compiled
def _flat(beat: Doubles, r: int, scale: float) -> Doubles:
    """What :func:`stretch` has, [LENGTH], in template sizes, with the level before the complex taken off instead of the
    line: a T wave at its beginning moves nothing else."""
    level = 0.0
    for n in range(_ENDS):
        level += beat[r + _FROM + LENGTH - 1 - n] / _ENDS
    return (beat[r + _FROM : r + _FROM + LENGTH] - level) / scale


@compiled
def measure(
    s: Any, beat: Doubles, template: Doubles, r: int, shift: int, known: bool, scale: float, clear: float, f: Floats
) -> tuple[Doubles, Doubles]:
    """Writes the features, and returns the :func:`stretch`, without the line and without the level alone, for
    :func:`learn`.

    Args:
        s: state with FIELDS.
        beat: the window, mV at 180 Hz.
        template: the dominant shape, likewise.
        r: index of the R peak in both.
        shift: by which the complexes lie over each other.
        known: there is a dominant shape.
        scale: its size, mV.
        clear: what :func:`clear_from` returned.
        f: [len(FEATURES)], all zeros, written.
    """
    f[2] = min(size(beat, r + _P[0], r + _P[1]) / scale, _MOST)
    if known:
        # The P wave is compared where the complexes lie over each other.
        f[0] = likeness(beat, template, r + _P[0], r + _P[1], shift)
        f[1] = min(math.sqrt(mean_square(beat, template, r + _P[0], r + _P[1], shift)) / scale, _MOST)
        f[3] = min(size(template, r + _P[0], r + _P[1]) / scale, _MOST)
        f[4] = s.p_steady
    p = stretch(beat, r, scale)
    if s.p_beats[_LATE] > _FEWEST:
        error = math.sqrt(mean_square(p, s.p_waves[_LATE], 0, LENGTH, 0))
        f[5] = likeness(p, s.p_waves[_LATE], 0, LENGTH, 0)
        f[6] = min(error, _MOST)
        f[7] = log_ratio(error + _LEAST_ERROR, math.sqrt(s.p_error[_LATE]) + _LEAST_ERROR)
    if s.p_beats[_EARLY] > _FEWEST:
        f[8] = likeness(p, s.p_waves[_EARLY], 0, LENGTH, 0)
    if s.p_beats[_PAUSE] > _LEAST_WEIGHT:
        error = math.sqrt(mean_square(p, s.p_waves[_PAUSE], 0, LENGTH, 0))
        f[9] = likeness(p, s.p_waves[_PAUSE], 0, LENGTH, 0)
        f[10] = log_ratio(error + _LEAST_ERROR, math.sqrt(s.p_error[_PAUSE]) + _LEAST_ERROR)
    clear_of_t = max(math.ceil(clear), _known(s, _EARLY, _FEWEST + 1.0))
    if s.p_measured[_LATE] >= _FEWEST:
        f[11], f[12] = _between(s, p, _LATE, max(clear_of_t, _known(s, _LATE, _FEWEST + 1.0)))
    if s.p_measured[_PAUSE] > _LEAST_WEIGHT:
        f[13], f[14] = _between(s, p, _PAUSE, max(clear_of_t, _known(s, _PAUSE, _LEAST_WEIGHT)))
    return p, _flat(beat, r, scale)


@compiled
def clear_from(rr: float, lateness: float) -> float:
    """Sample of the :func:`stretch` from which the T wave before is over, with RR interval ``rr``, s, which is late by
    ``lateness``, its logarithm over the mean one; below zero: before the stretch."""
    ends: float = _T_ENDS * (rr * math.exp(-lateness)) ** (1.0 / 3.0)
    return (ends - rr) * FS - _FROM


@compiled
def _known(s: Any, which: int, least: float) -> int:
    """Sample of an average free of T waves from which beats enough are in it, ``least`` at the least; LENGTH: there is
    none."""
    enough = max(least, _ENOUGH * s.p_free_beats[which, LENGTH - 1])
    for n in range(LENGTH):
        if s.p_free_beats[which, n] >= enough:
            return n
    return LENGTH


@compiled
def _level(wave: Doubles, first: int) -> None:
    """Takes off the line between the ends of ``wave[first:]``."""
    begin = 0.0
    end = 0.0
    for n in range(_ENDS):
        begin += wave[first + n] / _ENDS
        end += wave[LENGTH - 1 - n] / _ENDS
    for n in range(first, LENGTH):
        wave[n] -= begin + (end - begin) * (n - first - 0.5 * (_ENDS - 1)) / (LENGTH - first - _ENDS)


@compiled
def _between(s: Any, p: Doubles, which: int, first: int) -> tuple[float, float]:
    """How far apart the averages of the early beats and of others are from sample ``first`` on: as a logarithm, over
    what noise would do. And which of them a P wave is nearer to: below zero the others', above it the early ones'.
    Zeros where too little is free of T waves."""
    if first > LENGTH - _FEWEST_CLEAR:
        return 0.0, 0.0
    step = s.p_free[_EARLY] - s.p_free[which]
    off = p - 0.5 * (s.p_free[_EARLY] + s.p_free[which])
    _level(step, first)
    _level(off, first)
    apart = 0.0
    nearer = 0.0
    for n in range(first, LENGTH):
        apart += step[n] * step[n]
        nearer += step[n] * off[n]
    samples = LENGTH - first
    error = s.p_error[which] + _LEAST_ERROR**2
    early, others = s.p_free_beats[_EARLY, first], s.p_free_beats[which, first]
    noise = error * (1.0 / min(early, _SETTLED) + 1.0 / min(others, _SETTLED))
    far = 0.5 * math.log((apart / samples + _LEAST_ERROR**2) / noise)
    return min(max(far, _LEAST_APART), _MOST_APART), min(max(nearer / samples / error, -_MOST_PLACE), _MOST_PLACE)


@compiled
def _move(s: Any, which: int, p: Doubles, rate: float) -> None:
    """An average towards a beat's P wave."""
    for n in range(LENGTH):
        s.p_waves[which, n] += rate * (p[n] - s.p_waves[which, n])


@compiled
def _move_error(s: Any, which: int, p: Doubles, weight: float, slowest: float) -> None:
    """A mean square difference towards that of a beat's P wave from the average, the beat counting ``weight``."""
    error = mean_square(p, s.p_waves[which], 0, LENGTH, 0)
    if s.p_error[which] > 0.0:
        error = min(error, _MOST_ERROR * s.p_error[which])
    s.p_measured[which] += weight
    s.p_error[which] += max(weight / s.p_measured[which], slowest) * (error - s.p_error[which])


@compiled
def _move_free(s: Any, which: int, flat: Doubles, clear: float, kept: float, weight: float, slowest: float) -> None:
    """An average free of T waves towards this beat where that is, the beat counting ``weight`` and those before it
    ``kept`` of what they did."""
    for n in range(LENGTH):
        s.p_free_beats[which, n] *= kept
        if n >= clear and weight > 0.0:
            s.p_free_beats[which, n] += weight
            rate = max(weight / s.p_free_beats[which, n], slowest)
            s.p_free[which, n] += rate * (flat[n] - s.p_free[which, n])


@compiled
def learn(
    s: Any, p: Doubles, flat: Doubles, alike: float, timed: bool, lateness: float, clear: float, f: Floats
) -> None:
    """The beat is past.

    Args:
        s: state with FIELDS.
        p: what :func:`measure` returned; and …
        flat: … the same.
        alike: of the complex with the dominant shape.
        timed: the signal is usable and the RR interval known.
        lateness: log of the RR interval over its mean.
        clear: what :func:`clear_from` returned.
        f: what :func:`measure` wrote.
    """
    if alike >= _ALIKE:
        s.p_steady += _RATE * (f[0] - s.p_steady)
    if alike < _USUAL or not timed:
        return
    which = _LATE if lateness >= 0.0 else _EARLY
    if which == _LATE and s.p_beats[_LATE] > _FEWEST:
        _move_error(s, _LATE, p, 1.0, _ERROR_RATE)
    s.p_beats[which] += 1.0
    _move(s, which, p, max(1.0 / s.p_beats[which], _RATE))
    _move_free(s, which, flat, clear, _FREE_KEPT, 1.0, _RATE)
    weight = min(max(lateness, 0.0) / _CLEARLY, 1.0) ** 2
    s.p_beats[_PAUSE] *= _PAUSE_KEPT
    s.p_measured[_PAUSE] *= _PAUSE_KEPT
    _move_free(s, _PAUSE, flat, clear, _PAUSE_KEPT, weight, 0.0)
    if weight > 0.0:
        settled = s.p_beats[_PAUSE] > _LEAST_WEIGHT
        s.p_beats[_PAUSE] += weight
        if settled:
            _move_error(s, _PAUSE, p, weight, 0.0)
        _move(s, _PAUSE, p, weight / s.p_beats[_PAUSE])
