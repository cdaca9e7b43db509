"""Beats cut out of a recording, from zero to zero, and what is left of it without them.

What is composed (``trainer.composition``) and what is lent for it (``trainer.lenders``) is made of these.
"""

import numpy as np

from monitor.events import FS
from trainer.background import Background
from trainer.dataset import Recording
from trainer.episodes import NORMAL
from trainer.protocols import Mask
from trainer.waves import AFTER, BEFORE, QRS, Doubles

TAPER = int(0.04 * FS)
"""Samples over which a piece comes from zero and goes back to it."""
FEWEST_NORMAL = 12
"""Normal beats that a rhythm can be made of without being one beat over and over."""
_LEAST_BEFORE_S, _LEAST_BEFORE_NORMAL_S = 0.3, 0.55
"""RR interval, s, from which a beat has room before it; a normal one's P wave has to be clear of the last T wave."""


def _edges() -> Doubles:
    """By which a piece begins and ends at zero."""
    edges = np.ones(BEFORE + AFTER)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(TAPER) / TAPER)
    edges[:TAPER], edges[-TAPER:] = ramp, ramp[::-1]
    return edges


EDGES = _edges()
"""[BEFORE + AFTER] by which a piece begins and ends at zero."""


def has_room(recording: Recording, label: int) -> Mask:
    """[beat]: those of a class with room before and behind them."""
    rr = np.diff(recording.samples, prepend=0, append=0)
    room = (recording.labels == label) & (recording.samples >= BEFORE)
    room &= recording.samples + AFTER <= len(recording.signal)
    least = _LEAST_BEFORE_NORMAL_S if label == NORMAL else _LEAST_BEFORE_S
    room &= (rr[:-1] >= least * FS) & (rr[1:] >= AFTER)
    room[:1] = room[-1:] = False
    return np.asarray(room)


def pieces_of(recording: Recording, label: int) -> list[Doubles]:
    """The waveforms of the beats of a class that have room before and behind them: from zero to zero."""
    signal = np.nan_to_num(recording.signal.astype(np.float64))
    at = recording.samples[has_room(recording, label)]
    pieces = signal[at[:, None] + np.arange(-BEFORE, AFTER)]
    first, last = (pieces[:, part].mean(axis=1, keepdims=True) for part in (slice(TAPER), slice(-TAPER, None)))
    return list((pieces - first - (last - first) * np.linspace(0.0, 1.0, BEFORE + AFTER)) * EDGES)


def height_of(pieces: list[Doubles]) -> float:
    """Of the complexes, mV."""
    return float(np.median([np.abs(piece[QRS]).max() for piece in pieces]))


def background_of(recording: Recording, pieces: list[Doubles]) -> Background | None:
    """What the recording holds besides its beats; ``pieces`` are of those of its normal ones that have room."""
    normal = recording.labels == NORMAL
    unusual = np.isnan(recording.signal)
    for r in recording.samples[~normal]:
        unusual[max(r - BEFORE, 0) : r + AFTER] = True
    ends = recording.samples[[0, -1]] - BEFORE  # the last beat may not be there as a whole
    unusual[: max(ends[0], 0)] = True
    unusual[max(ends[1], 0) :] = True
    at = recording.samples[normal]
    room = np.flatnonzero(has_room(recording, NORMAL)[normal])
    next_with_room = np.minimum(np.searchsorted(room, np.arange(len(at))), len(room) - 1)
    signal = np.nan_to_num(recording.signal.astype(np.float64))
    return Background.of(signal, at.tolist(), [pieces[k] for k in next_with_room], unusual)
