"""What the detector's kernel works on: one stream's state, the settings in samples, and the rows it puts out."""

from typing import Any, NamedTuple

import numpy as np

from monitor import atrial, candidates
from monitor.filters import Doubles

RING = 1024
"""Samples of filtered signal kept: 2.8 s, the longest search-back plus a beat window plus a block; a power of two."""
MASK = RING - 1

SQUARES = 128
"""Squares of the band kept: more than the integration window; a power of two."""

BEFORE = 198
"""Samples of a beat's window before the R peak: 0.55 s, so that the P wave of a prolonged PR interval is in it."""

AFTER = 119
"""Samples after it: 0.33 s, the beginning of the T wave; bounds the delay of a beat to a third of a second."""

WINDOW = BEFORE + 1 + AFTER
"""Samples of a beat's window; the R peak is at index BEFORE."""

PENDING = 4
"""R peaks that may wait for the end of their window: more than the refractory period lets in."""

BEAT, QUALITY, RHYTHM = 0, 1, 2
"""What a row of the output speaks of."""

FOUND = np.dtype(
    [
        ("row", "i8"),  # which of the call's chunks
        ("what", "i8"),  # BEAT, QUALITY or RHYTHM
        ("sample", "i8"),  # R peak, or the sample up to which all is known
        ("confirmed", "i8"),
        ("late", "i8"),  # 1: by search-back
        ("amplitude", "f8"),
        ("level", "i8"),
        ("cause", "i8"),
        ("noise", "f8"),
        ("silence", "i8"),
        ("vt", "f8"),
        ("vf", "f8"),
        ("p_likeness", "f8"),
        ("p_amplitude", "f8"),
        ("window", "f4", (WINDOW,)),
    ]
)
"""One row of the kernel's output."""

UNDECIDED = 8
"""Candidates that may wait for their decision: those of the first second, or of a third of one."""

STATE = np.dtype(
    [
        ("next", "i8"),  # index of the next sample
        ("origin", "i8"),  # first sample of this stretch of signal
        ("highpass", "f8", (2,)),
        ("lowpass", "f8", (2,)),
        ("band", "f8", (4,)),
        ("energy", "f8"),  # running sum of the integration window
        ("signal", "f8"),  # level of beats, mV rms in the band
        ("noise", "f8"),  # level of rejected candidates
        ("learned", "i8"),  # 1 once the first levels are set
        ("last_peak", "i8"),  # energy maximum of the last beat; -1: none
        ("last_beat", "i8"),  # R of the last beat; -1: none
        ("last_tall", "i8"),  # R of the last that was no bump; -1: none
        ("usual", "f8"),  # the height of beats, kept where `signal` begins anew
        ("last_slope", "f8"),
        ("rr", "f8"),  # mean RR interval, samples; 0: unknown
        ("rr_change", "f8"),  # mean |difference| of successive intervals to the mean, samples
        ("doubt", "f8"),  # how undecided the last candidates were, 0 to 1
        ("unlike", "f8"),  # how unlike each other the last beats were, 0 to 1
        ("template", "f8", (candidates.WAVE,)),  # of the beats, in units of the signal level
        ("waiting", "i8"),  # R peaks that wait for their window
        ("waiting_r", "i8", (PENDING,)),
        ("waiting_late", "i8", (PENDING,)),
        ("count", "i8"),  # candidates that wait for their decision
        ("peak", "i8", (UNDECIDED,)),
        ("height", "f8", (UNDECIDED,)),
        ("spare", "f8"),  # probability of the best candidate rejected since the last beat; 0: none
        ("spare_peak", "i8"),
        ("spare_height", "f8"),
        ("p_wave", "f8", (atrial.POINTS,)),  # average of the stretch before the complexes, mV
        ("p_beats", "i8"),  # beats in it
        ("filtered", "f8", (RING,)),
        ("squared", "f8", (SQUARES,)),
        ("feature", "f8", (RING,)),
    ]
)
"""One stream's whole state."""


class Filters(NamedTuple):
    """Second-order sections, [section, 6], and the high-pass's state at rest, [section, 2]. Apart from Plan: arrays
    that are handed to a function cost more than the function, sample by sample."""

    highpass: Doubles
    highpass_seed: Doubles
    lowpass: Doubles
    band: Doubles


class Plan(NamedTuple):
    """The settings in samples, as the kernel wants them."""

    integration: int
    merge: int
    refractory: int
    probability: float
    search_probability: float
    search_rr: float
    search_limit: int
    floor: float
    least: float
    learn: int
    rate: float
    doubt_rate: float
    locate_before: int
    locate_after: int
    silence: int
    lag: int


class Trace(NamedTuple):
    """For training: what every candidate looked like. All arrays are empty in the monitor."""

    teacher: Any
    """[n] uint8: where a candidate's maximum is a beat, whatever the network says; empty: the network decides."""
    peaks: Any
    """[candidates] int64, written."""
    inputs: Any
    """[candidates, INPUTS] float32, written."""
    probabilities: Any
    """[candidates] float32, written."""
    count: Any
    """[1] int64: how many were written."""


def no_trace() -> Trace:
    """What the monitor gives."""
    nothing = np.zeros(0, np.int64)
    return Trace(
        np.zeros(0, np.uint8),
        nothing,
        np.zeros((0, candidates.INPUTS), np.float32),
        np.zeros(0, np.float32),
        np.zeros(1, np.int64),
    )
