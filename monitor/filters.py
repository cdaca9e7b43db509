"""Causal filters with carried state: second-order sections, one sample at a time, compiled.

Laws: the state of a filter is seeded from the first *sample*, never from the first chunk, so the output does not
depend on how the signal was cut; a sample that is not finite never reaches a filter (the caller treats it as a gap).

Filters are Butterworth designs (scipy.signal.butter) in transposed direct form II, as ``scipy.signal.sosfilt`` runs
them; a test holds the two together.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])
_NUMBA: Any = numba.config  # its settings are not declared


def compiled(function: F) -> F:
    """numba.njit as used everywhere here: cached on disk, IEEE arithmetic (fastmath would make results depend on
    how loops are cut), the interpreter's lock released.

    numba takes a cached function for current if the file that defines it has not changed. What is compiled into it
    from other files may have; so the cache's folder is named after all of them.
    """
    usual = _NUMBA.CACHE_DIR
    _NUMBA.CACHE_DIR = str(_cache())  # read where the function is decorated, and of no concern to others
    try:
        return cast(F, numba.njit(cache=True, nogil=True, fastmath=False)(function))
    finally:
        _NUMBA.CACHE_DIR = usual


@cache
def _cache() -> Path:
    """Where what was compiled from these very sources is kept: beside them, or where the user keeps such things."""
    here = Path(__file__).parent
    base = here / "__pycache__"
    if _NUMBA.CACHE_DIR:
        base = Path(_NUMBA.CACHE_DIR)
    elif not os.access(base if base.exists() else here, os.W_OK):
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ecg-monitor"
    return base / f"compiled-{digest(here.glob('*.py'))}"


def digest(sources: Iterable[Path]) -> str:
    """Of the files' contents, in the order of their names."""
    whole = hashlib.sha256()
    for source in sorted(sources):
        whole.update(source.read_bytes())
    return whole.hexdigest()[:16]


def highpass(cutoff_hz: float, fs: float, order: int = 2) -> Doubles:
    """Butterworth high-pass, [section, 6]."""
    from scipy import signal  # takes a second to load, and only those who design filters need it

    sos: Doubles = signal.butter(order, cutoff_hz, "highpass", fs=fs, output="sos")
    return sos


def lowpass(cutoff_hz: float, fs: float, order: int = 2) -> Doubles:
    """Butterworth low-pass, [section, 6]."""
    from scipy import signal

    sos: Doubles = signal.butter(order, cutoff_hz, "lowpass", fs=fs, output="sos")
    return sos


def bandpass(low_hz: float, high_hz: float, fs: float, order: int = 2) -> Doubles:
    """Butterworth band-pass, [section, 6]; ``order`` counts the poles of each flank."""
    from scipy import signal

    sos: Doubles = signal.butter(order, (low_hz, high_hz), "bandpass", fs=fs, output="sos")
    return sos


def steady(sos: Doubles) -> Doubles:
    """State [section, 2] of a filter that has seen the constant 1 for ever; times x it is the seed for x."""
    from scipy import signal

    zi: Doubles = signal.sosfilt_zi(sos)
    return zi


@compiled
def coefficients(sections: Doubles, which: int) -> tuple[float, float, float, float, float]:
    """b0, b1, b2, a1, a2 of one section; a0 is 1."""
    return sections[which, 0], sections[which, 1], sections[which, 2], sections[which, 4], sections[which, 5]
