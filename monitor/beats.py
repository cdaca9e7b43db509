"""Beat windows and features: what the network sees of a heartbeat. The trainer uses these very functions.

A beat becomes three channels of waveform (the beat, the patient's own dominant shape, and their difference) and a
vector of features: of its interval (``intervals``), of its P wave (``p_waves``), of how unlike the dominant shape it is
(``deviation``), of waves of flutter before it (``atrial_waves``), of likeness to all shapes. All of it is causal: it is
made from this beat's window and from what came before, never from the beat that follows.

The patient's shapes are kept as a few running templates, clustered online as beats come (after Lagerholm et al. 2000,
10.1109/10.846677, who clustered whole records; deviation: leader clustering by correlation, since it streams).

Laws: one stream's state depends on its own beats alone; ``step`` has one fixed order of arithmetic.
"""

import math
from typing import Any

import numpy as np

from monitor import atrial_waves, deviation, intervals, p_waves
from monitor.detector_layout import AFTER, BEFORE, WINDOW
from monitor.events import FS, Floats
from monitor.filters import Doubles, compiled
from monitor.likeness import log_ratio, size

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
_ALIKE = 0.92
"""Correlation from which two beats have the same shape."""
_SIZE = 1.6
"""Ratio of sizes up to which they have."""
_RATE = 1.0 / 16.0
"""Share by which a new beat moves its template, once that is settled."""
_FADE = 0.997
"""Weight that a template keeps from beat to beat: a shape unseen for 230 beats has lost half of it."""
_FEWEST = 3
"""RR intervals before which late and early mean nothing."""
UNUSABLE = 2
"""As ``quality`` has it: a shape that is mostly noise."""
_CLIP = 8.0
"""In template sizes; an artefact is not worth more."""
_SMALLEST = 0.05
"""mV; a template is never taken for smaller, so that noise is not blown up."""

_OWN = (
    "likeness",
    "size",
    "likeness_best",
    "share_best",
    "likeness_previous",
    "share_dominant",
    "age",
    "search_back",
    "quality",
)
FEATURES = (*intervals.FEATURES, *p_waves.FEATURES, *deviation.FEATURES, *atrial_waves.FEATURES, *_OWN)
"""Names of the features, in their order; part of a checkpoint's metadata, so that a mismatch is refused."""

_P_AT = len(intervals.FEATURES)
_DEVIATION_AT = _P_AT + len(p_waves.FEATURES)
_WAVES_AT = _DEVIATION_AT + len(deviation.FEATURES)
_OWN_AT = _WAVES_AT + len(atrial_waves.FEATURES)

STATE = np.dtype(
    [
        ("count", "i8"),  # beats seen
        ("last", "i8"),  # R of the last beat
        *intervals.FIELDS,
        *p_waves.FIELDS,
        *deviation.FIELDS,
        *atrial_waves.FIELDS,
        ("weight", "f8", (TEMPLATES,)),  # 0: unused
        ("beats", "f8", (TEMPLATES,)),
        ("template", "f8", (TEMPLATES, LENGTH)),
        ("previous", "f8", (LENGTH,)),
    ]
)
"""One stream's state."""


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

    # Rhythm: when did it come? And what came before its complex?
    f[:] = 0.0
    rr = (sample - s.last) / FS if s.count > 0 and not after_gap else 0.0
    timed = quality < UNUSABLE and rr > 0.0 and s.rrs >= _FEWEST
    atria = f[_P_AT:_DEVIATION_AT]
    intervals.measure(s, rr, f[:_P_AT])
    clear = p_waves.clear_from(rr, f[intervals.RR_32]) if timed else float(p_waves.LENGTH)
    p, flat = p_waves.measure(s, beat, s.template[dominant], CENTRE, shift, known, scale, clear, atria)
    of_complex, of_t, of_onset = deviation.measure(
        s, beat, s.template[dominant], CENTRE, shift, known, scale, f[_DEVIATION_AT:_WAVES_AT]
    )
    share, height = atrial_waves.measure(s, beat, CENTRE, rr, scale, f[_WAVES_AT:_OWN_AT])
    shape_f = f[_OWN_AT:]
    shape_f[0] = alike
    shape_f[1] = log_ratio(max(own, 0.01), scale)
    shape_f[2] = max(best_likeness, 0.0)
    if total > 0.0:
        shape_f[3] = s.weight[best] / total
        shape_f[5] = s.weight[dominant] / total
    if s.count > 0:
        _, shape_f[4] = best_shift(beat, s.previous)
    shape_f[6] = min(np.log(1.0 + s.count) / 8.0, 1.0)
    shape_f[7] = 1.0 if search_back else 0.0
    shape_f[8] = quality / 2.0

    # From here on the beat is past.
    p_waves.learn(s, p, flat, alike, timed, f[intervals.RR_32], clear, atria)
    intervals.learn(s, rr)
    if known and alike >= _ALIKE and quality < UNUSABLE:
        deviation.learn(s, of_complex, of_t, of_onset)
    s.last = sample
    s.count += 1
    s.previous[:] = beat
    if quality >= UNUSABLE:
        return  # a shape that is mostly noise teaches nothing
    atrial_waves.learn(s, rr, share, height)
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


assert CENTRE >= p_waves.BEFORE, "the P wave lies inside the window"
assert CENTRE >= atrial_waves.BEFORE, "flutter is fitted inside the window"
assert CENTRE + deviation.AFTER + _SHIFT <= LENGTH, "the T wave lies inside the window, shifted or not"
assert DECIMATION * (_QRS[1] - CENTRE + _SHIFT) < AFTER, "the compared part lies inside the window"
