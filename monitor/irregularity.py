"""How probably the last beats are atrial fibrillation: RR intervals that are irregular by themselves, and no P wave.

The measures are of the literature's kinds: differences of successive intervals (pNN), turning points (Dash 2009, Ann
Biomed Eng 37:1701), the map of successive differences (Lian 2011, Am J Cardiol 107:614), here all relative to the
median interval; and of the stretch before the QRS complexes its likeness to the patient's average and that average's
height. Deviations: intervals beside a ventricular beat are left out instead of the beat's being interpolated, but the
mean change of all intervals, these too, is a measure of its own: what it has more is irregular by ectopic beats and
pauses; a logistic function of all measures decides instead of one threshold each.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from monitor.events import FS, BeatClass

MEASURES = (
    "pnn10",
    "upper_quartile",
    "lag_2",
    "turning",
    "cells",
    "change",
    "rate",
    "p_likeness",
    "p_amplitude",
)
"""Names of what is measured, in order."""
LEAST = 12
"""Intervals without which nothing is said."""
_CELL = 0.08
"""Median intervals: width of the cells of the map."""
_CAP = 0.6
"""Median intervals: a single change counts for no more, so that one pause among all intervals says little."""

_SINUS_OR_ATRIAL = (BeatClass.N, BeatClass.S)


class Judged(Protocol):
    """What is wanted of a beat."""

    @property
    def label(self) -> BeatClass: ...
    @property
    def rr(self) -> int | None: ...
    @property
    def p_likeness(self) -> float: ...
    @property
    def p_amplitude(self) -> float: ...


def measure(beats: Sequence[Judged]) -> list[float] | None:
    """The measures of consecutive beats, MEASURES; None of too few intervals."""
    rr = np.array([beat.rr or 0 for beat in beats], dtype=np.float64)
    own = np.array([beat.label in _SINUS_OR_ATRIAL for beat in beats], dtype=np.bool_)
    good = np.array([beat.rr is not None for beat in beats], dtype=np.bool_) & own
    good[1:] &= own[:-1]
    pairs = good[1:] & good[:-1]
    if good.sum() < LEAST or pairs.sum() < LEAST - 2:
        return None
    middle = float(np.median(rr[good]))
    steps = np.diff(rr) / middle
    d = np.abs(steps[pairs])
    threes = pairs[1:] & pairs[:-1]
    n = max(int(threes.sum()), 1)
    first, second = steps[:-1][threes], steps[1:][threes]
    cells = set(zip(np.round(first / _CELL).tolist(), np.round(second / _CELL).tolist(), strict=True))
    known = rr > 0.0
    own_beats = [beat for beat, is_own in zip(beats, own, strict=True) if is_own]
    return [
        float(np.mean(d > 0.1)),
        float(np.quantile(d, 0.75)),
        float(np.median(np.abs(first + second))) if threes.any() else 0.0,
        float(np.sum(first * second < 0)) / n,
        len(cells) / n,
        float(np.mean(np.minimum(np.abs(steps[known[1:] & known[:-1]]), _CAP))),
        60.0 * FS / middle / 100.0,
        float(np.median([beat.p_likeness for beat in own_beats])),
        math.log(float(np.median([beat.p_amplitude for beat in own_beats])) + 0.01),
    ]


def probability(beats: Sequence[Judged], weights: Sequence[float]) -> float | None:
    """Of atrial fibrillation; ``weights`` are the constant and one for each measure. None of too few intervals."""
    found = measure(beats)
    if found is None:
        return None
    z = weights[0] + sum(w * x for w, x in zip(weights[1:], found, strict=True))
    return 1.0 / (1.0 + math.exp(-z))
