"""The vertical scale of the picture of a signal: it follows the patient, not the beat."""

import numpy as np

from monitor.events import Floats

STEP_MV = 0.25
"""The limits of the picture lie on multiples of this, so that they are readable and seldom move."""
SPAN_MV = 1.0
"""The least height of the picture: noise on a flat line shall look like a flat line."""
TAIL = 0.002
"""Share of the samples that may lie outside the picture: a spike shall not flatten everything else."""
FLAT = (-SPAN_MV / 2, SPAN_MV / 2)
"""Limits before any signal, mV."""


def settle(limits: tuple[float, float] | None, signal: Floats) -> tuple[float, float]:
    """Limits of the picture, mV, one second later: widened at once to what ``signal`` needs, narrowed slowly.

    They narrow only when more than one step is empty, and then by a quarter of what is empty: a picture that
    follows every beat cannot be read.
    """
    low, high = (float(q) for q in np.quantile(signal, (TAIL, 1 - TAIL)))
    spare = max(0.0, SPAN_MV - (high - low)) / 2
    low = float(np.floor((low - spare) / STEP_MV)) * STEP_MV
    high = float(np.ceil((high + spare) / STEP_MV)) * STEP_MV
    if limits is None:
        return low, high
    return _follow(limits[0], low, -1), _follow(limits[1], high, 1)


def _follow(limit: float, wanted: float, outwards: int) -> float:
    empty = (limit - wanted) * outwards
    if empty < 0:
        return wanted
    if empty <= STEP_MV:
        return limit
    return limit - outwards * STEP_MV * float(np.ceil(empty / 4 / STEP_MV))
