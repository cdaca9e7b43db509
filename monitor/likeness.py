"""How alike two stretches of signal are, how far apart, and how large one is; compiled."""

import math

from monitor.filters import Doubles, compiled

FS = 180.0
"""Hz: beats are looked at at half the rate of the signal."""
_MOST = 1.5
"""A ratio of four and a half, as a logarithm; more says nothing more."""


@compiled
def likeness(a: Doubles, b: Doubles, first: int, last: int, shift: int) -> float:
    """Correlation of ``a`` with ``b`` moved by ``shift``, over ``first:last``, neither made zero-mean: the high-pass
    has done that, and an offset is a difference."""
    aa = 0.0
    bb = 0.0
    ab = 0.0
    for n in range(first, last):
        u = a[n]
        v = b[n + shift]
        aa += u * u
        bb += v * v
        ab += u * v
    if aa <= 0.0 or bb <= 0.0:
        return 0.0
    return ab / math.sqrt(aa * bb)


@compiled
def mean_square(a: Doubles, b: Doubles, first: int, last: int, shift: int) -> float:
    """Of ``a`` less ``b`` moved by ``shift``, over ``first:last``, in the square of their unit."""
    total = 0.0
    for n in range(first, last):
        total += (a[n] - b[n + shift]) ** 2
    return total / (last - first)


@compiled
def size(a: Doubles, first: int, last: int) -> float:
    """Root-mean-square over ``first:last``, in the unit of ``a``."""
    total = 0.0
    for n in range(first, last):
        total += a[n] * a[n]
    return math.sqrt(total / (last - first))


@compiled
def log_ratio(a: float, b: float) -> float:
    """log(a / b), within ±1.5."""
    return min(max(math.log(a / b), -_MOST), _MOST)
