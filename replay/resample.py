"""A streaming resampler: any sampling rate → 360 Hz, linear phase, its delay compensated.

A polyphase windowed-sinc interpolator (Crochiere & Rabiner 1983, chapter 4; the Kaiser window after Kaiser 1974).

Laws:

* Output sample k is the signal at k / 360 s after the first input sample: no delay is left in it, no drift adds up
  (the time base is a ratio of integers).
* n input samples give ceil(n · 360 / fs) output samples, however they are cut into chunks, and bit for bit the same.
* NaN means missing. An output sample is missing where the input sample at or just before its time is; what lies
  beyond a missing sample is never looked at: there, as at both ends of the recording, the nearest sample is held.
  A piece between two gaps comes out as if it were a recording of its own on the same grid.
"""

from fractions import Fraction
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt
from msgspec import Struct

from monitor.events import FS

HALF_WIDTH = 24
"""Samples (of the slower of the two rates) on each side of a point that it is computed from. With ATTENUATION_DB this
makes the transition band 0.09 of that rate: from 100 Hz, 41 Hz still pass, which holds the monitor's 0.5–40 Hz."""

ATTENUATION_DB = 70.0
"""Of images and aliases, and the ripple in the passband: 3e-4, below half a step of a 12-bit recording of ±5 mV."""

MAX_DENOMINATOR = 1_000_000
"""Of the rate as a fraction: wrong by 5e-7 Hz at the worst, which is under a millisecond in a day."""

MAX_PHASES = 4096
"""Rows of the filter bank. A ratio that needs more takes the nearest row: wrong by 1/8192 sample at the most."""

Signal = npt.NDArray[np.float64]


class ResamplerState(Struct, frozen=True, kw_only=True):
    """What a resampler carries from one chunk to the next."""

    tail: Signal
    """[lead, n] input that outputs to come still need; column ``half`` is the one at or before the next output."""
    rest: int
    """How far the next output lies behind that column, in units of 1 / ``up`` sample."""


class Resampler:
    """One stream's resampler from ``fs`` (Hz) to 360 Hz.

    Args:
        fs: sampling rate of the input, Hz; positive.
        leads: number of leads.
    """

    def __init__(self, fs: float, leads: int) -> None:
        if not (fs > 0 and leads > 0):
            raise ValueError(f"fs {fs} Hz and {leads} leads must be positive")
        ratio = FS / Fraction(fs).limit_denominator(MAX_DENOMINATOR)
        self._leads = leads
        self._up, self._down = ratio.numerator, ratio.denominator
        self._bank = np.ones((1, 1)) if ratio == 1 else _bank(self._up, self._down)
        self._half = (self._bank.shape[1] - 1) // 2
        self._begin()

    def _begin(self) -> None:
        # Before the first sample nothing is known; the column `half` is to be that sample.
        self._tail: Signal = np.full((self._leads, self._half), np.nan)
        self._rest = 0

    @property
    def cycle(self) -> tuple[int, int]:
        """So many input samples are so many output samples exactly, from any place."""
        return self._down, self._up

    def push(self, x: Signal) -> Signal:
        """Take the next input samples, give the output samples that they settle.

        Args:
            x: [lead, n], any unit, NaN where missing; not changed.

        Returns:
            [lead, m] at 360 Hz.
        """
        if x.ndim != 2 or x.shape[0] != self._leads:
            raise ValueError(f"signal of shape {x.shape}, but there are {self._leads} leads")
        if self._up == self._down:
            return np.array(x, np.float64)
        held = np.concatenate((self._tail, x), axis=1, dtype=np.float64)
        room = held.shape[1] - 2 * self._half  # columns whose neighbours on both sides are here
        count = max(0, -((self._rest - room * self._up) // self._down))
        y = _interpolate(held, self._bank, self._rest, (self._up, self._down), count)
        drop, self._rest = divmod(self._rest + count * self._down, self._up)
        self._tail = held[:, drop:].copy()
        return y

    def flush(self) -> Signal:
        """The output samples that were waiting for input that will not come; begins anew afterwards.

        Returns:
            [lead, m] at 360 Hz.
        """
        y = self.push(np.full((self._leads, self._half if self._up != self._down else 0), np.nan))
        self._begin()
        return y

    def state(self) -> ResamplerState:
        """All that is carried; a copy."""
        return ResamplerState(tail=self._tail.copy(), rest=self._rest)

    def restore(self, state: ResamplerState) -> None:
        """Go on where :meth:`state` was taken, by a resampler of the same rate and number of leads.

        Raises:
            ValueError: the state is another kind of resampler's.
        """
        if state.tail.shape[0] != self._leads or not 0 <= state.rest < self._up:
            raise ValueError("state of a resampler with another rate or number of leads")
        self._tail = np.array(state.tail, np.float64)
        self._rest = state.rest


def output_length(samples: int, fs: float) -> int:
    """Samples at 360 Hz that ``samples`` at ``fs`` Hz become."""
    rate = Fraction(fs).limit_denominator(MAX_DENOMINATOR)
    return -(-samples * FS * rate.denominator // rate.numerator)


@lru_cache(maxsize=8)
def _bank(up: int, down: int) -> Signal:
    """The interpolator's rows: [phase, tap], tap ``half`` at the input sample at or before the output's time.

    Row p of P is for outputs p / P of a sample behind that one. The last row, a whole sample behind, is there for
    the rounding up where the ratio has more phases than the bank.
    """
    from scipy.signal import firwin, kaiser_atten, kaiser_beta

    phases = min(up, MAX_PHASES)
    slower = min(1.0, up / down)  # the slower rate, in units of the input's
    half = int(np.ceil(HALF_WIDTH / slower))
    taps = 2 * half * phases + 1
    # The width of the transition band that so many taps can do, found from the attenuation's formula, which is linear.
    base, slope = kaiser_atten(taps, 0.0), kaiser_atten(taps, 1.0) - kaiser_atten(taps, 0.0)
    width = (ATTENUATION_DB - base) / slope * phases  # in units of the input's Nyquist frequency
    cutoff = (slower - width / 2) / phases  # its stopband begins at the slower rate's Nyquist frequency
    prototype = firwin(taps, cutoff, window=("kaiser", kaiser_beta(ATTENUATION_DB)))
    padded = np.concatenate((np.zeros(phases), prototype))
    bank = np.stack([padded[phases - p :: phases][: 2 * half + 1] for p in range(phases + 1)])
    # Each row by itself passes a constant unchanged, or the baseline would ripple with the phases.
    bank /= bank.sum(axis=1, keepdims=True)
    bank.setflags(write=False)
    return bank


@numba.njit(cache=True)
def _interpolate(x: Signal, bank: Signal, rest: int, ratio: tuple[int, int], count: int) -> Signal:
    """``count`` outputs: the first ``rest / up`` sample behind column ``half``, then one every ``down / up`` samples.

    Sums run outwards from the centre in one fixed order, in float64, so that they do not depend on the chunk.
    """
    up, down = ratio
    leads = x.shape[0]
    phases = bank.shape[0] - 1
    half = (bank.shape[1] - 1) // 2
    y = np.empty((leads, count))
    for lead in range(leads):
        row = x[lead]
        centre, behind = half, rest
        for k in range(count):
            weights = bank[(behind * phases + up // 2) // up]
            total = row[centre] * weights[half]
            for step in (1, -1):
                nearest = row[centre]
                there = True
                for j in range(1, half + 1):
                    value = row[centre + step * j]
                    there = there and not np.isnan(value)
                    if there:
                        nearest = value
                    total += nearest * weights[half + step * j]
            y[lead, k] = total
            centre += down // up
            behind += down % up
            if behind >= up:
                behind -= up
                centre += 1
    return y
