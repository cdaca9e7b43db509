"""Is there a P wave? The stretch before each QRS complex, and the patient's own average of it; compiled.

Where the atria contract in an orderly way, what comes before the complexes is alike from beat to beat and stands out of
the noise; in atrial fibrillation it is neither (after Slocum 1992, J Electrocardiol 25:1, who
subtracts the ventricular complexes; here they are simply not looked at).
"""

import math
from typing import Any

import numpy as np

from monitor.filters import Doubles, compiled

FROM = 100
"""Samples before the R peak at which the stretch begins: 0.28 s, a long PR interval."""
_POOL = 4
POINTS = 19
"""The stretch in averages of four samples; it ends 0.067 s before R, where the QRS complex begins."""
_QRS = (-30, 40)
"""Samples around R between which the complex's height is taken."""
_LIMIT = 1.0
"""mV; more is an artefact, and counts for no more than that."""
_RATE = 0.125
"""Share by which a beat moves the average."""
_LEARN = 4
"""Beats before anything is said."""


@compiled
def look(s: Any, filtered: Doubles, mask: int, r: int) -> tuple[float, float]:
    """Compares the stretch before the R peak with the average of those before it, and takes it into the average.

    Args:
        s: state with ``p_wave`` [POINTS], mV, and ``p_beats``, how many are in it.
        filtered: ring of the filtered signal, mV, indexed ``& mask``.
        r: place of the R peak in it.

    Returns:
        Their correlation, −1 to 1, and the average's peak-to-peak value over the complex's, at most 1; 0 and 0 for the
        first beats.
    """
    wave = np.empty(POINTS)
    mean = 0.0
    slope = 0.0
    square = 0.0
    for k in range(POINTS):
        total = 0.0
        for n in range(_POOL):
            total += filtered[(r - FROM + k * _POOL + n) & mask]
        wave[k] = total / _POOL
        mean += wave[k] / POINTS
    for k in range(POINTS):
        t = k - 0.5 * (POINTS - 1)
        slope += wave[k] * t
        square += t * t
    slope /= square
    ab = 0.0
    aa = 0.0
    bb = 0.0
    low = 0.0
    high = 0.0
    for k in range(POINTS):
        v = wave[k] - mean - slope * (k - 0.5 * (POINTS - 1))
        v = min(max(v, -_LIMIT), _LIMIT)
        p = s.p_wave[k]
        ab += v * p
        aa += v * v
        bb += p * p
        low = min(low, p)
        high = max(high, p)
        s.p_wave[k] += (v - p) * max(_RATE, 1.0 / (s.p_beats + 1))
    bottom = filtered[r & mask]
    top = bottom
    for n in range(r + _QRS[0], r + _QRS[1]):
        bottom = min(bottom, filtered[n & mask])
        top = max(top, filtered[n & mask])
    s.p_beats += 1
    if s.p_beats <= _LEARN:
        return 0.0, 0.0
    return ab / math.sqrt(aa * bb + 1e-12), min((high - low) / max(top - bottom, 1e-6), 1.0)
