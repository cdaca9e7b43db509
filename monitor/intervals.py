"""When a beat came: its RR interval beside the patient's own, over several horizons; compiled.

A premature beat is early beside what is usual, and what is usual depends on how far one looks back: a run of early
beats soon is its own average, a change of rate soon is not. So there are means over three horizons; quantiles, which
early beats among the last sixteen do not move; and the two groups into which the last thirty-two fall, if they do
(Otsu 1979, 10.1109/TSMC.1979.4310076, on logarithms of intervals instead of grey levels): in bigeminy, and where an
ectopic focus is as common as the sinus node, no one average means anything, but the groups are narrow and apart.

Laws: made of the past alone; ``measure`` changes nothing, ``learn`` takes the interval in.
"""

import math
from typing import Any

import numpy as np

from monitor.events import Floats
from monitor.filters import Doubles, compiled
from monitor.likeness import log_ratio

FEATURES = (
    "rr",
    "rr_previous",
    "rr_8",
    "rr_32",
    "rr_400",
    "previous_32",
    "before_previous_32",
    "irregular_8",
    "irregular_32",
    "has_rr",
    "rr_median",
    "rr_upper",
    "previous_median",
    "before_previous_median",
    "two_median",
    "spread",
    "mode_gap",
    "mode_quality",
    "mode_share",
    "mode_place",
    "mode_place_previous",
)
"""Names of what :func:`measure` writes, in order."""
RR_32 = FEATURES.index("rr_32")

_USUAL_S = 0.8
"""An RR interval of 75 beats a minute, which others are compared with."""
_HORIZONS = (8.0, 32.0, 400.0)
"""Beats over which RR intervals are averaged: the moment, the rhythm, the patient."""
_LONGEST_S = 3.0
"""A longer interval is a pause, and moves a mean no further."""
_MOST_CHANGE_S = 1.5
"""Two intervals that differ by more differ by a pause."""
_MOST = 1.5
"""Of an irregularity in mean intervals, and of the groups' distance as a logarithm; more says nothing more."""
_FURTHEST = 2.0
"""Distances of the groups from their middle; an interval further out belongs to neither."""
_RECENT = 16
"""RR intervals whose quantiles are a baseline that early beats among them do not move, as they do a mean."""
_MODES = 32
"""RR intervals that are parted into two groups."""
_FEWEST = 3
"""RR intervals without which there are neither quantiles nor groups."""
_JITTER = 1e-4
"""Variance of log RR of a perfectly steady rhythm, 1 %: groups that are closer than this are none."""
_NARROWEST = 0.05
"""Distance of the groups, as a logarithm, that one is never taken to be under."""

FIELDS = [
    ("rr", "f8", (3,)),  # the last three RR intervals, s, newest first; 0: unknown
    ("rrs", "i8"),  # RR intervals seen
    ("mean", "f8", (3,)),  # over _HORIZONS, s
    ("change", "f8", (2,)),  # mean |difference| of successive RR intervals over the first two horizons, s
    ("recent", "f8", (_RECENT,)),  # ring of RR intervals, s
    ("logs", "f8", (_MODES,)),  # ring of their logarithms
]
"""Of one stream's state."""


@compiled
def two_groups(ordered: Doubles) -> tuple[float, float, float, float]:
    """Parts numbers in rising order into the two groups that are furthest apart for their width.

    Returns:
        Mean of the lower, mean of the upper, share of the lower, and the share of all variance (with that of a steady
        rhythm) that lies between them: 0.64 for a normal distribution, 0.75 for an even one, near 1 for two groups.
    """
    n = len(ordered)
    total = 0.0
    for value in ordered:
        total += value
    variance = 0.0
    for value in ordered:
        variance += (value - total / n) ** 2
    lower = upper = total / n
    share = 0.5
    best = -1.0
    below = 0.0
    for k in range(1, n):
        below += ordered[k - 1]
        a = below / k
        b = (total - below) / (n - k)
        between = k * (n - k) / n * (b - a) ** 2
        if between > best:
            best = between
            lower, upper, share = a, b, k / n
    return lower, upper, share, max(best, 0.0) / (variance + n * _JITTER)


@compiled
def measure(s: Any, rr: float, f: Floats) -> None:
    """Writes the features of a beat that came ``rr`` s after the last; 0: that is not known.

    Args:
        s: state with FIELDS.
        rr: s.
        f: [len(FEATURES)], all zeros, written.
    """
    if rr <= 0.0:
        return
    f[0] = log_ratio(rr, _USUAL_S)
    if s.rr[0] > 0.0:
        f[1] = log_ratio(rr, s.rr[0])
    if s.rrs > 0:
        for h in range(3):
            f[2 + h] = log_ratio(rr, s.mean[h])
        if s.rr[0] > 0.0:
            f[5] = log_ratio(s.rr[0], s.mean[1])
        if s.rr[1] > 0.0:
            f[6] = log_ratio(s.rr[1], s.mean[1])
        f[7] = min(s.change[0] / s.mean[0], _MOST)
        f[8] = min(s.change[1] / s.mean[1], _MOST)
    f[9] = 1.0
    known = min(s.rrs, _RECENT)
    if known < _FEWEST:
        return
    ordered = np.sort(s.recent[:known])
    median = ordered[known // 2]
    f[10] = log_ratio(rr, median)
    f[11] = log_ratio(rr, ordered[(3 * known) // 4])
    if s.rr[0] > 0.0:
        f[12] = log_ratio(s.rr[0], median)
        f[14] = log_ratio(0.5 * (rr + s.rr[0]), median)
    if s.rr[1] > 0.0:
        f[13] = log_ratio(s.rr[1], median)
    f[15] = log_ratio(ordered[(4 * known) // 5], ordered[known // 5])
    lower, upper, share, quality = two_groups(np.sort(s.logs[: min(s.rrs, _MODES)]))
    middle = 0.5 * (lower + upper)
    width = max(upper - lower, _NARROWEST)
    f[16] = min(upper - lower, _MOST)
    f[17] = quality
    f[18] = share
    f[19] = min(max((math.log(rr) - middle) / width, -_FURTHEST), _FURTHEST)
    if s.rr[0] > 0.0:
        f[20] = min(max((math.log(s.rr[0]) - middle) / width, -_FURTHEST), _FURTHEST)


@compiled
def learn(s: Any, rr: float) -> None:
    """The interval is past; 0: it is not known."""
    if rr > 0.0:
        s.recent[s.rrs % _RECENT] = rr
        s.logs[s.rrs % _MODES] = math.log(rr)
        s.rrs += 1
        for h in range(3):
            rate = max(1.0 / s.rrs, 1.0 / _HORIZONS[h])
            s.mean[h] += rate * (min(rr, _LONGEST_S) - s.mean[h])
        if s.rr[0] > 0.0:
            for h in range(2):
                rate = max(1.0 / s.rrs, 1.0 / _HORIZONS[h])
                s.change[h] += rate * (min(abs(rr - s.rr[0]), _MOST_CHANGE_S) - s.change[h])
    s.rr[2] = s.rr[1]
    s.rr[1] = s.rr[0]
    s.rr[0] = rr
