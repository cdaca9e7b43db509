"""Signal quality, as the signal comes: gap, flat, saturated, lead off, noisy.

The signal is folded into blocks of 1/8 s on the stream's own grid; the verdict looks back over the last blocks. Noise
is what the QRS band holds *between* beats, in relation to the beats themselves: the 40th percentile of the blocks'
band level over the detector's signal level. In clean ECG that is a few hundredths; a beat a block would be needed to
raise it at 300 beats a minute. To it comes how undecided the detector was about the last candidates, and how unlike
each other the last beats were: noise that passes for beats shows there. A lead that has come off, or just been put
back, shows as the amplifier's slow way back from its limit: much drift, all one way, and no beat on it.
"""

from typing import Any, NamedTuple

import numpy as np

from monitor.config import QualitySettings
from monitor.events import FS, Cause, Level
from monitor.filters import Doubles, compiled

BLOCK = FS // 8
"""Samples: 1/8 s, the finest step at which quality is told."""
BLOCKS = 16
"""Blocks remembered: 2 s."""

LEVELS = (Level.GOOD, Level.NOISY, Level.UNUSABLE)
CAUSES = (Cause.NONE, Cause.NOISE, Cause.FLAT, Cause.SATURATED, Cause.LEAD_OFF)

STATE = np.dtype(
    [
        ("seen", "i8"),  # blocks folded since the stretch began, at most BLOCKS
        ("filled", "i8"),  # samples in the current block
        ("low", "f8"),
        ("high", "f8"),
        ("total", "f8"),  # sum of the samples
        ("band", "f8"),  # sum of the band level
        ("clipped", "i8"),
        ("lows", "f8", (BLOCKS,)),
        ("highs", "f8", (BLOCKS,)),
        ("means", "f8", (BLOCKS,)),
        ("bands", "f8", (BLOCKS,)),
        ("clips", "i8", (BLOCKS,)),
        ("at", "i8"),  # next place in the rings
        ("level", "i8"),
        ("cause", "i8"),
        ("noise", "f8"),
    ]
)
"""One stream's state."""


class Plan(NamedTuple):
    flat: float
    saturated: float
    saturated_share: float
    drift: float
    drift_share: float
    unlike_from: float
    unlike_weight: float
    noisy: float
    unusable: float
    step: int
    idle_after: int


def plan(settings: QualitySettings) -> Plan:
    """The settings in samples and mV."""
    return Plan(
        settings.flat_mv,
        settings.saturated_mv,
        settings.saturated_share,
        settings.drift_mv,
        settings.drift_share,
        settings.unlike_from,
        settings.unlike_weight,
        settings.noisy,
        settings.unusable,
        round(settings.step_s * FS),
        round(settings.idle_after_s * FS),
    )


@compiled
def reset(q: Any) -> None:
    """A new stretch of signal: nothing is known of it."""
    q.seen = 0
    q.filled = 0
    q.at = 0
    q.low = np.inf
    q.high = -np.inf
    q.total = 0.0
    q.band = 0.0
    q.clipped = 0
    q.level = 0
    q.cause = 0
    q.noise = 0.0


@compiled
def judge(q: Any, plan: Plan, signal: float, doubt: float, unlike: float, silence: int) -> None:
    """Verdict on the blocks remembered.

    Args:
        signal: the detector's level of beats, mV rms in the band.
        doubt: how undecided the detector was about the last candidates, 0 to 1.
        unlike: 1 − correlation of the last beats with the beats before them, their mean.
        silence: samples since the last beat.
    """
    low = np.inf
    high = -np.inf
    clipped = 0
    for k in range(q.seen):
        low = min(low, q.lows[k])
        high = max(high, q.highs[k])
        clipped += q.clips[k]
    bands = np.sort(q.bands[: q.seen])
    between = bands[(2 * q.seen) // 5] / signal if signal > 0.0 else 1.0
    q.noise = min(between + doubt + plan.unlike_weight * max(unlike - plan.unlike_from, 0.0), 1.0)
    q.level = 0
    q.cause = 0
    if q.seen < BLOCKS // 2:
        return
    newest = (q.at - 1) % BLOCKS
    oldest = (q.at - q.seen) % BLOCKS
    drift = abs(q.means[newest] - q.means[oldest])
    if high - low < plan.flat:
        q.level = 2
        q.cause = 2
    elif clipped > plan.saturated_share * q.seen * BLOCK:
        q.level = 2
        q.cause = 3
    elif silence > plan.idle_after and drift > plan.drift and drift > plan.drift_share * (high - low):
        q.level = 2
        q.cause = 4
    elif q.noise > plan.unusable:
        q.level = 2
        q.cause = 1
    elif q.noise > plan.noisy:
        q.level = 1
        q.cause = 1


@compiled
def fold(q: Any, plan: Plan, x: Doubles, first: int, last: int, band: Doubles, at: int, mask: int) -> None:
    """Takes in the raw values ``x[first:last]``, mV, and their band levels, ring ``band`` from index ``at & mask``; all
    within one block."""
    low = q.low
    high = q.high
    total = q.total
    level = q.band
    clipped = 0
    for k in range(first, last):
        v = x[k]
        low = min(low, v)
        high = max(high, v)
        total += v
        level += band[(at + k - first) & mask]
        if abs(v) > plan.saturated:
            clipped += 1
    q.low = low
    q.high = high
    q.total = total
    q.band = level
    q.filled += last - first
    q.clipped += clipped


@compiled
def close_block(q: Any) -> None:
    """A block is complete."""
    q.lows[q.at] = q.low
    q.highs[q.at] = q.high
    q.means[q.at] = q.total / q.filled
    q.bands[q.at] = q.band / q.filled
    q.clips[q.at] = q.clipped
    q.at = (q.at + 1) % BLOCKS
    q.seen = min(q.seen + 1, BLOCKS)
    q.low = np.inf
    q.high = -np.inf
    q.total = 0.0
    q.band = 0.0
    q.filled = 0
    q.clipped = 0
