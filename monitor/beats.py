"""Beat windows and RR features: what the network sees of a heartbeat. The trainer uses these very functions.

A beat becomes three channels of waveform (the beat, the patient's own dominant shape, and their difference) and a
vector of features about rhythm and likeness. All of it is causal: it is made from this beat's window and from what
came before, never from the beat that follows.

The patient's shapes are kept as a few running templates, clustered online as beats come (after Lagerholm et al. 2000,
10.1109/10.846677, who clustered whole records; deviation: leader clustering by correlation, since it streams).

Laws: one stream's state depends on its own beats alone; ``step`` has one fixed order of arithmetic.
"""

import math
from typing import Any

import numpy as np

from monitor.detector_layout import AFTER, BEFORE, WINDOW
from monitor.events import FS, Floats
from monitor.filters import Doubles, compiled

DECIMATION = 2
"""The window is above all low-pass at 40 Hz: 180 Hz hold it, at half the network's cost."""
LENGTH = WINDOW // DECIMATION
"""Samples of a window as the network sees it, 180 Hz."""
CENTRE = BEFORE // DECIMATION
"""Index of the R peak in it."""
CHANNELS = 3
"""Beat, dominant template, difference."""

TEMPLATES = 6
"""Shapes remembered of a patient: enough for sinus beats and five kinds of ectopy."""
_SHIFT = 2
"""Samples at 180 Hz by which two windows may be shifted against each other: R is located to ±11 ms in wide beats."""
_QRS = (CENTRE - 22, CENTRE + 36)
"""The QRS complex and the beginning of the ST segment, −0.12 … +0.2 s: the part that shapes are compared by."""
_P = (CENTRE - 54, CENTRE - 14)
"""Where a P wave lies, −0.3 … −0.08 s."""
_ALIKE = 0.92
"""Correlation from which two beats have the same shape."""
_SIZE = 1.6
"""Ratio of sizes up to which they have."""
_RATE = 1.0 / 16.0
"""Share by which a new beat moves its template, once that is settled."""
_FADE = 0.997
"""Weight that a template keeps from beat to beat: a shape unseen for 230 beats has lost half of it."""
_HORIZONS = (8.0, 32.0, 400.0)
"""Beats over which RR intervals are averaged: the moment, the rhythm, the patient."""
RECENT = 16
"""RR intervals whose quantiles are a baseline that early beats among them do not move, as they do a mean."""
_P_RATE = 1.0 / 16.0
"""Share by which a beat moves the mean likeness of the P waves."""
_CLIP = 8.0
"""In template sizes; an artefact is not worth more."""
_SMALLEST = 0.05
"""mV; a template is never taken for smaller, so that noise is not blown up."""

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
    "likeness",
    "size",
    "likeness_best",
    "share_best",
    "likeness_previous",
    "share_dominant",
    "p_likeness",
    "p_difference",
    "p_size",
    "has_rr",
    "age",
    "search_back",
    "quality",
    "rr_median",
    "rr_upper",
    "previous_median",
    "before_previous_median",
    "two_median",
    "spread",
    "p_template",
    "p_steady",
)
"""Names of the features, in their order; part of a checkpoint's metadata, so that a mismatch is refused."""

STATE = np.dtype(
    [
        ("count", "i8"),  # beats seen
        ("last", "i8"),  # R of the last beat
        ("rr", "f8", (3,)),  # the last three RR intervals, s, newest first; 0: unknown
        ("rrs", "i8"),  # RR intervals seen
        ("mean", "f8", (3,)),  # over _HORIZONS, s
        ("change", "f8", (2,)),  # mean |difference| of successive RR intervals over the first two horizons, s
        ("recent", "f8", (RECENT,)),  # ring of RR intervals, s
        ("p_steady", "f8"),  # mean likeness of the P waves of beats of the dominant shape
        ("weight", "f8", (TEMPLATES,)),  # 0: unused
        ("beats", "f8", (TEMPLATES,)),
        ("template", "f8", (TEMPLATES, LENGTH)),
        ("previous", "f8", (LENGTH,)),
    ]
)
"""One stream's state."""


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
def size(a: Doubles, first: int, last: int) -> float:
    """Root-mean-square over ``first:last``, mV."""
    total = 0.0
    for n in range(first, last):
        total += a[n] * a[n]
    return math.sqrt(total / (last - first))


@compiled
def best_shift(a: Doubles, b: Doubles) -> tuple[int, float]:
    """The shift at which ``a``'s complex is most like ``b``'s, and that likeness (:func:`likeness`).

    All shifts at once, since sums that do not wait for each other take no more time together than one alone.
    """
    aa = 0.0
    ab0 = ab1 = ab2 = ab3 = ab4 = 0.0
    bb0 = bb1 = bb2 = bb3 = bb4 = 0.0
    for n in range(_QRS[0], _QRS[1]):
        u = a[n]
        v0, v1, v2, v3, v4 = b[n], b[n + 1], b[n - 1], b[n + 2], b[n - 2]
        aa += u * u
        ab0 += u * v0
        ab1 += u * v1
        ab2 += u * v2
        ab3 += u * v3
        ab4 += u * v4
        bb0 += v0 * v0
        bb1 += v1 * v1
        bb2 += v2 * v2
        bb3 += v3 * v3
        bb4 += v4 * v4
    at = 0
    best = -2.0
    for shift, ab, bb in ((0, ab0, bb0), (1, ab1, bb1), (-1, ab2, bb2), (2, ab3, bb3), (-2, ab4, bb4)):
        value = 0.0 if aa <= 0.0 or bb <= 0.0 else ab / math.sqrt(aa * bb)
        if value > best + 1e-9:
            best = value
            at = shift
    return at, best


@compiled
def log_ratio(a: float, b: float) -> float:
    """log(a / b), within ±1.5."""
    return min(max(math.log(a / b), -1.5), 1.5)


@compiled
def step(
    s: Any, window: Floats, sample: int, after_gap: bool, search_back: bool, quality: int, x: Floats, f: Floats
) -> None:
    """One beat of one stream.

    Args:
        s: the stream's state (STATE), changed in place.
        window: [WINDOW] filtered signal around R, mV.
        sample: R, at 360 Hz.
        after_gap: no RR interval reaches back.
        search_back: found late.
        quality: 0 good, 1 noisy, 2 unusable.
        x: [CHANNELS, LENGTH], written: waveform in sizes of the dominant template.
        f: [len(FEATURES)], written.
    """
    beat = np.empty(LENGTH)
    for n in range(LENGTH):
        beat[n] = 0.5 * (float(window[2 * n]) + float(window[2 * n + 1]))

    # Shapes: what is this beat like?
    dominant = 0
    total = 0.0
    for k in range(TEMPLATES):
        total += s.weight[k]
        if s.weight[k] > s.weight[dominant]:
            dominant = k
    own = size(beat, _QRS[0], _QRS[1])
    known = s.weight[dominant] > 0.0
    scale = max(size(s.template[dominant], _QRS[0], _QRS[1]) if known else own, _SMALLEST)
    best = -1
    best_at = 0
    best_likeness = -1.0
    shift = 0
    alike = 0.0
    for k in range(TEMPLATES):
        if s.weight[k] > 0.0:
            at, value = best_shift(beat, s.template[k])
            if value > best_likeness:
                best, best_at, best_likeness = k, at, value
            if k == dominant:
                shift, alike = at, value
    for n in range(LENGTH):
        b = beat[n] / scale
        m = min(max(n + shift, 0), LENGTH - 1)
        t = s.template[dominant, m] / scale if known else b
        x[0, n] = min(max(b, -_CLIP), _CLIP)
        x[1, n] = min(max(t, -_CLIP), _CLIP)
        x[2, n] = min(max(b - t, -_CLIP), _CLIP)

    # Rhythm: when did it come?
    f[:] = 0.0
    rr = 0.0
    if s.count > 0 and not after_gap:
        rr = (sample - s.last) / FS
    if rr > 0.0:
        f[0] = log_ratio(rr, 0.8)
        if s.rr[0] > 0.0:
            f[1] = log_ratio(rr, s.rr[0])
        if s.rrs > 0:
            for h in range(3):
                f[2 + h] = log_ratio(rr, s.mean[h])
            if s.rr[0] > 0.0:
                f[5] = log_ratio(s.rr[0], s.mean[1])
            if s.rr[1] > 0.0:
                f[6] = log_ratio(s.rr[1], s.mean[1])
            f[7] = min(s.change[0] / s.mean[0], 1.5)
            f[8] = min(s.change[1] / s.mean[1], 1.5)
        f[18] = 1.0
        known_rrs = min(s.rrs, RECENT)
        if known_rrs >= 3:
            ordered = np.sort(s.recent[:known_rrs])
            median = ordered[known_rrs // 2]
            f[22] = log_ratio(rr, median)
            f[23] = log_ratio(rr, ordered[(3 * known_rrs) // 4])
            if s.rr[0] > 0.0:
                f[24] = log_ratio(s.rr[0], median)
                f[26] = log_ratio(0.5 * (rr + s.rr[0]), median)
            if s.rr[1] > 0.0:
                f[25] = log_ratio(s.rr[1], median)
            f[27] = log_ratio(ordered[(4 * known_rrs) // 5], ordered[known_rrs // 5])
    f[9] = alike
    f[10] = log_ratio(max(own, 0.01), scale)
    f[11] = max(best_likeness, 0.0)
    if total > 0.0:
        f[12] = s.weight[best] / total
        f[14] = s.weight[dominant] / total
    if s.count > 0:
        _, f[13] = best_shift(beat, s.previous)
    if known:
        # The P wave is compared where the complexes lie over each other.
        f[15] = likeness(beat, s.template[dominant], _P[0], _P[1], shift)
        difference = 0.0
        for n in range(_P[0], _P[1]):
            d = beat[n] - s.template[dominant, n + shift]
            difference += d * d
        f[16] = min(np.sqrt(difference / (_P[1] - _P[0])) / scale, 2.0)
        f[28] = min(size(s.template[dominant], _P[0], _P[1]) / scale, 2.0)
        f[29] = s.p_steady
        if alike >= _ALIKE:
            s.p_steady += _P_RATE * (f[15] - s.p_steady)
    f[17] = min(size(beat, _P[0], _P[1]) / scale, 2.0)
    f[19] = min(np.log(1.0 + s.count) / 8.0, 1.0)
    f[20] = 1.0 if search_back else 0.0
    f[21] = quality / 2.0

    # From here on the beat is past.
    if rr > 0.0:
        s.recent[s.rrs % RECENT] = rr
        s.rrs += 1
        for h in range(3):
            rate = max(1.0 / s.rrs, 1.0 / _HORIZONS[h])
            s.mean[h] += rate * (min(rr, 3.0) - s.mean[h])
        if s.rr[0] > 0.0:
            for h in range(2):
                rate = max(1.0 / s.rrs, 1.0 / _HORIZONS[h])
                s.change[h] += rate * (min(abs(rr - s.rr[0]), 1.5) - s.change[h])
    s.rr[2] = s.rr[1]
    s.rr[1] = s.rr[0]
    s.rr[0] = rr
    s.last = sample
    s.count += 1
    s.previous[:] = beat
    if quality >= 2:
        return  # a shape that is mostly noise teaches nothing
    for k in range(TEMPLATES):
        s.weight[k] *= _FADE
    ratio = 1.0
    if best >= 0:
        there = max(size(s.template[best], _QRS[0], _QRS[1]), 1e-6)
        ratio = max(own, 1e-6) / there
    if best >= 0 and best_likeness >= _ALIKE and ratio < _SIZE and ratio > 1.0 / _SIZE:
        s.weight[best] += 1.0
        s.beats[best] += 1.0
        rate = max(1.0 / s.beats[best], _RATE)
        for n in range(LENGTH):
            m = n - best_at  # the beat as it lies over the template
            if 0 <= m < LENGTH:
                s.template[best, n] += rate * (beat[m] - s.template[best, n])
    else:
        lightest = 0
        for k in range(TEMPLATES):
            if s.weight[k] < s.weight[lightest]:
                lightest = k
        s.weight[lightest] = 1.0
        s.beats[lightest] = 1.0
        s.template[lightest, :] = beat


@compiled
def step_many(
    states: Any,
    rows: Any,
    windows: Floats,
    samples: Any,
    after_gaps: Any,
    search_backs: Any,
    qualities: Any,
    x: Floats,
    f: Floats,
) -> None:
    """:func:`step` for beat ``i`` of stream ``rows[i]``, in order; ``x`` [beat, channel, n] and ``f`` [beat, feature]
    are written."""
    for i in range(rows.shape[0]):
        step(states[rows[i]], windows[i], samples[i], after_gaps[i], search_backs[i], qualities[i], x[i], f[i])


def empty(beats: int) -> tuple[Floats, Floats]:
    """Room for the network's view of so many beats: x [beat, CHANNELS, LENGTH] and f [beat, feature]."""
    return (
        np.zeros((beats, CHANNELS, LENGTH), dtype=np.float32),
        np.zeros((beats, len(FEATURES)), dtype=np.float32),
    )


assert DECIMATION * (_QRS[1] - CENTRE + _SHIFT) < AFTER, "the compared part lies inside the window"
