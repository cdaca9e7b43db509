"""The detector's inner loop: chunks of many streams, compiled.

Laws: each sample changes the state of its own stream only, in one fixed order of arithmetic, and a decision taken at
sample n sees nothing beyond n, so that neither the cut into chunks nor the company of other streams changes anything.

How it decides, after Pan & Tompkins 1985 (10.1109/TBME.1985.325532), deviating where measurement showed better:

1. the band of the QRS complex (Butterworth instead of their integer filters), its root-mean-square over about one
   complex (they use the mean square: the root makes the levels comparable over a tenfold change of amplitude);
2. its local maxima are candidates; of two within a tenth of a second the larger one stays;
3. a quarter of a second later a small network says how probably a candidate is a beat (they: two thresholds);
4. where a beat is overdue, the most probable candidate since the last one is taken at a lower probability
   (search-back);
5. R is the largest deflection of the filtered signal inside the complex.
"""

from typing import Any

import numpy as np

from monitor import atrial, candidates, quality, rhythm
from monitor.detector_layout import (
    AFTER,
    BEAT,
    BEFORE,
    MASK,
    PENDING,
    QUALITY,
    RHYTHM,
    SQUARES,
    UNDECIDED,
    WINDOW,
    Filters,
    Plan,
    Trace,
)
from monitor.events import FS
from monitor.filters import Doubles, coefficients, compiled

_BLOCK = 256
"""Samples filtered at once; with what is looked back on they fit into the ring."""

_LONGEST_RR = 3.0 * FS
"""Samples; a longer interval is a silence, and says no more about the rhythm than this one."""
_RR_GROWS = 1.5
"""Times the mean RR interval: an interval with a beat missing in it does not pull the mean to twice its value."""
_LEVEL_GROWS = 2.0
"""Times the signal level: a V, or an artefact, that is larger does not raise it further."""
_FIRST_LEVEL = 0.6
"""Share of the highest maximum that is taken for the signal level at first: the highest may be a V."""
_FIRST_NOISE = 0.1
"""Share of that level taken for the noise level at first."""
_BUMP = 0.3
"""Share of the usual height below which a beat may be a P wave without answer: it does not put off the reports that
asystole is told by."""
_BUMP_RATE = 0.1
"""Times the rate of other beats at which bumps move what is usual: complexes that have become small are soon none."""
_ANEW_EVERY = FS
"""Samples of the stream's own grid on which a silent stream is begun anew: as often as a beat could come that the new
levels let through."""


@compiled
def reset(s: Any, at: int) -> None:
    """A stretch of signal begins at sample ``at``: filters empty, positions void; levels and shape are kept."""
    s.next = at
    s.origin = at
    s.highpass[:] = 0.0
    s.lowpass[:] = 0.0
    s.band[:] = 0.0
    s.energy = 0.0
    s.last_peak = -1
    s.last_beat = -1
    s.last_tall = -1
    s.rr = 0.0
    s.rr_change = 0.0
    s.count = 0
    s.waiting = 0
    s.spare = 0.0
    s.filtered[:] = 0.0
    s.p_wave[:] = 0.0
    s.p_beats = 0
    s.squared[:] = 0.0
    s.feature[:] = 0.0


@compiled
def filter_block(s: Any, filters: Filters, integration: int, x: Doubles, first: int, last: int) -> None:
    """``x[first:last]`` through the filters into the rings; states are held in registers meanwhile.

    Transposed direct form II, section by section (a test holds it and SciPy's ``sosfilt`` together).
    """
    n = s.next
    if n == s.origin and last > first:
        s.highpass[0] = filters.highpass_seed[0, 0] * x[first]
        s.highpass[1] = filters.highpass_seed[0, 1] * x[first]
    p0, p1, p2, p4, p5 = coefficients(filters.highpass, 0)
    q0, q1, q2, q4, q5 = coefficients(filters.lowpass, 0)
    a0, a1, a2, a4, a5 = coefficients(filters.band, 0)
    b0, b1, b2, b4, b5 = coefficients(filters.band, 1)
    ps, pt = s.highpass[0], s.highpass[1]
    qs, qt = s.lowpass[0], s.lowpass[1]
    as_, at = s.band[0], s.band[1]
    bs, bt = s.band[2], s.band[3]
    energy = s.energy
    filtered, squared, feature = s.filtered, s.squared, s.feature
    for k in range(first, last):
        v = x[k]
        h = p0 * v + ps
        ps = p1 * v - p4 * h + pt
        pt = p2 * v - p5 * h
        y = q0 * h + qs
        qs = q1 * h - q4 * y + qt
        qt = q2 * h - q5 * y
        c = a0 * h + as_
        as_ = a1 * h - a4 * c + at
        at = a2 * h - a5 * c
        d = b0 * c + bs
        bs = b1 * c - b4 * d + bt
        bt = b2 * c - b5 * d
        filtered[n & MASK] = y
        d = d * d
        energy = max(energy + d - squared[(n - integration) & (SQUARES - 1)], 0.0)
        squared[n & (SQUARES - 1)] = d
        feature[n & MASK] = np.sqrt(energy / integration)
        n += 1
    s.highpass[0], s.highpass[1] = ps, pt
    s.lowpass[0], s.lowpass[1] = qs, qt
    s.band[0], s.band[1], s.band[2], s.band[3] = as_, at, bs, bt
    s.energy = energy


@compiled
def locate(s: Any, plan: Plan, peak: int, now: int) -> int:
    """R peak of the complex whose energy peaks at ``peak``, seen at sample ``now``."""
    first = max(peak - plan.locate_before, s.origin)
    if s.last_beat >= 0:  # two beats never share an R peak
        first = max(first, s.last_beat + plan.lag + plan.refractory // 2)
    last = max(min(peak + plan.locate_after, now), first)
    mean = 0.0
    for n in range(first, last + 1):
        mean += s.filtered[n & MASK]
    mean /= last - first + 1
    best = first
    height = -1.0
    for n in range(first, last + 1):
        deflection = abs(s.filtered[n & MASK] - mean)
        if deflection > height:
            height = deflection
            best = n
    r: int = max(best - plan.lag, s.origin)
    return r


@compiled
def steepness(s: Any, plan: Plan, peak: int, now: int) -> float:
    """Largest slope of the filtered signal inside the complex, mV a sample."""
    first = max(peak - plan.locate_before, s.origin + 2)
    last = min(peak + plan.locate_after, now)
    best = 0.0
    for n in range(first, last + 1):
        best = max(best, abs(s.filtered[n & MASK] - s.filtered[(n - 2) & MASK]))
    return 0.5 * best


@compiled
def accept(s: Any, plan: Plan, peak: int, height: float, late: bool, now: int) -> None:
    """The candidate at ``peak`` is a beat: levels and rhythm follow it, its R peak waits for its window."""
    r = locate(s, plan, peak, now)
    if s.last_beat >= 0:
        rr = min(float(r - s.last_beat), _LONGEST_RR)
        if s.rr == 0.0:
            s.rr = rr
        else:
            s.rr_change += plan.rate * (min(abs(rr - s.rr), s.rr) - s.rr_change)
            s.rr += plan.rate * (min(rr, _RR_GROWS * s.rr) - s.rr)
    if height >= _BUMP * s.usual:
        s.last_tall = r
        s.usual += plan.rate * (min(height, _LEVEL_GROWS * s.usual) - s.usual) if s.usual > 0.0 else height
    else:
        s.usual += _BUMP_RATE * plan.rate * (height - s.usual)
    s.signal += plan.rate * (min(height, _LEVEL_GROWS * s.signal) - s.signal)
    s.last_peak = peak
    s.last_beat = r
    s.spare = 0.0
    if s.waiting < PENDING:
        s.waiting_r[s.waiting] = r
        s.waiting_late[s.waiting] = 1 if late else 0
        s.waiting += 1


@compiled
def decide(s: Any, plan: Plan, net: candidates.Network, room: Any, trace: Trace, now: int, begin: int) -> None:
    """The decision on the oldest candidate, at sample ``now``; ``begin`` is the first sample of the chunk."""
    peak = s.peak[0]
    height = s.height[0]
    s.count -= 1
    for k in range(s.count):
        s.peak[k] = s.peak[k + 1]
        s.height[k] = s.height[k + 1]
    if height < plan.least * s.signal:
        s.noise += plan.rate * (height - s.noise)
        return
    x, h1, h2 = room
    slope = steepness(s, plan, peak, now)
    candidates.describe(s, s.filtered, s.feature, MASK, peak, height, slope, x)
    p = candidates.judge(net, x, h1, h2)
    if trace.peaks.shape[0] > 0:
        m = trace.count[0]
        trace.peaks[m] = peak
        trace.inputs[m] = x
        trace.probabilities[m] = p
        trace.count[0] = m + 1
    if trace.teacher.shape[0] > 0:
        p = float(trace.teacher[peak - begin])
    s.doubt += plan.doubt_rate * (1.0 - abs(2.0 * p - 1.0) - s.doubt)
    if s.last_peak >= 0 and peak - s.last_peak < plan.refractory:
        return
    if p > plan.probability:
        for k in range(candidates.WAVE):
            s.template[k] += plan.rate * (x[k] - s.template[k])
        s.last_slope = slope
        s.unlike += plan.rate * (1.0 - x[candidates.LIKENESS] - s.unlike)
        # Those of the first second waited for its end.
        accept(s, plan, peak, height, now - peak > candidates.AFTER, now)
        return
    s.noise += plan.rate * (min(height, s.signal) - s.noise)
    if p > s.spare and p > plan.search_probability:
        s.spare = p
        s.spare_peak = peak
        s.spare_height = height


@compiled
def scan(s: Any, plan: Plan, first: int, last: int) -> None:
    """Maxima of the band's energy among samples ``first`` … ``last``, all filtered, become candidates; the levels are
    learnt from the beginning of a stretch."""
    feature = s.feature
    if s.learned == 0:
        for n in range(first, last + 1):
            s.signal = max(s.signal, _FIRST_LEVEL * feature[n & MASK])
        s.noise = _FIRST_NOISE * s.signal
        s.learned = 1 if last - s.origin + 1 >= plan.learn else 0
    floor = plan.floor
    earlier, before = feature[(first - 2) & MASK], feature[(first - 1) & MASK]
    for n in range(first, last + 1):
        f = feature[n & MASK]
        if before > f and before > floor and before >= earlier:
            notice(s, plan, n - 1, before)
        earlier, before = before, f


@compiled
def notice(s: Any, plan: Plan, peak: int, height: float) -> None:
    """A new candidate; of two that are close, the larger."""
    if s.count > 0 and peak - s.peak[s.count - 1] < plan.merge:
        if height > s.height[s.count - 1]:
            s.peak[s.count - 1] = peak
            s.height[s.count - 1] = height
    elif s.count < UNDECIDED:
        s.peak[s.count] = peak
        s.height[s.count] = height
        s.count += 1


@compiled
def due(s: Any, plan: Plan) -> int:
    """The next sample that brings more than a candidate: a decision, the search-back, a complete window, the end of
    learning, the end of a block of quality. What is noticed until then cannot bring it forward."""
    n: int = s.next
    next_due: int = n + quality.BLOCK - 1 - n % quality.BLOCK
    if s.learned == 0:
        next_due = min(next_due, s.origin + plan.learn - 1)
        return max(next_due, n)
    if s.count > 0:
        next_due = min(next_due, s.peak[0] + candidates.AFTER)
    if s.spare > 0.0:
        if s.rr > 0.0:
            next_due = min(next_due, int(s.last_peak + plan.search_rr * s.rr) + 1)
        next_due = min(next_due, s.spare_peak + plan.search_limit + 1)
    if s.waiting > 0:
        next_due = min(next_due, s.waiting_r[0] + plan.lag + AFTER)
    return max(next_due, n)


@compiled
def look_back(s: Any, plan: Plan, n: int) -> None:
    """The search-back, at sample ``n``."""
    if n - s.spare_peak > plan.search_limit:
        s.spare = 0.0
    elif s.rr > 0.0 and n - s.last_peak > plan.search_rr * s.rr:
        accept(s, plan, s.spare_peak, s.spare_height, True, n)


@compiled
def begin_anew(s: Any, plan: Plan, n: int) -> None:
    """Forgets rhythm and shape, and takes the levels from what came up to sample ``n``, as at the start: whatever led
    to a silence, from here every signal is a new one."""
    level = plan.floor
    for m in range(max(n - plan.learn + 1, s.origin), n + 1):
        level = max(level, _FIRST_LEVEL * s.feature[m & MASK])
    s.signal = level
    s.noise = _FIRST_NOISE * level
    s.last_slope = 0.0
    s.rr = 0.0
    s.rr_change = 0.0
    s.spare = 0.0
    s.template[:] = 0.0


@compiled
def publish(s: Any, q: Any, plan: Plan, row: int, out: Any) -> None:
    """The oldest waiting R peak, its window now complete, becomes a row of the output."""
    r = s.waiting_r[0]
    out.row = row
    out.what = BEAT
    out.sample = r
    out.confirmed = s.next
    out.late = s.waiting_late[0]
    out.amplitude = s.filtered[(r + plan.lag) & MASK]
    out.level = q.level
    out.cause = q.cause
    out.p_likeness, out.p_amplitude = atrial.look(s, s.filtered, MASK, r + plan.lag)
    for k in range(WINDOW):
        n = r + plan.lag - BEFORE + k
        out.window[k] = s.filtered[n & MASK] if n >= s.origin else 0.0
    s.waiting -= 1
    for k in range(s.waiting):
        s.waiting_r[k] = s.waiting_r[k + 1]
        s.waiting_late[k] = s.waiting_late[k + 1]


@compiled
def advance(
    states: Any,
    qualities: Any,
    rhythms: Any,
    filters: Filters,
    plan: Plan,
    quality_plan: quality.Plan,
    watch: rhythm.Watch,
    net: candidates.Network,
    trace: Trace,
    rows: Any,
    offsets: Any,
    x: Doubles,
    out: Any,
) -> int:
    """Chunks of many streams: stream ``rows[i]`` gets ``x[offsets[i]:offsets[i + 1]]``, mV, all finite.

    Returns how many rows of ``out`` (FOUND) were written, in the order in which they became known, stream by stream.
    """
    count = 0
    room = (
        np.empty(candidates.INPUTS, np.float32),
        np.empty(candidates.HIDDEN[0], np.float32),
        np.empty(candidates.HIDDEN[1], np.float32),
    )
    for i in range(rows.shape[0]):
        s = states[rows[i]]
        q = qualities[rows[i]]
        r = rhythms[rows[i]]
        begin = s.next
        for block in range(offsets[i], offsets[i + 1], _BLOCK):
            end = min(block + _BLOCK, offsets[i + 1])
            filter_block(s, filters, plan.integration, x, block, end)
            k = block
            while k < end:
                first = s.next
                n = min(due(s, plan), first + end - k - 1)
                scan(s, plan, first, n)
                quality.fold(q, quality_plan, x, k, k + n + 1 - first, s.feature, first, MASK)
                if watch.step > 0:
                    rhythm.fold(r, watch.tables, s.filtered, MASK, first, n)
                k += n + 1 - first
                s.next = n + 1
                if s.learned == 1:
                    while s.count > 0 and n - s.peak[0] >= candidates.AFTER:
                        decide(s, plan, net, room, trace, n, begin)
                    if s.spare > 0.0:
                        look_back(s, plan, n)
                while s.waiting > 0 and n >= s.waiting_r[0] + plan.lag + AFTER:
                    publish(s, q, plan, i, out[count])
                    count += 1
                if (n + 1) % quality.BLOCK == 0:
                    if s.learned == 1 and (n + 1) % _ANEW_EVERY == 0 and n - max(s.last_peak, s.origin) > plan.silence:
                        begin_anew(s, plan, n)
                    quality.close_block(q)
                    silence = n + 1 - max(s.last_beat, s.origin)
                    quality.judge(q, quality_plan, s.signal, s.doubt, s.unlike, silence)
                    idle = n + 1 - max(s.last_tall, s.origin) > quality_plan.idle_after
                    if (n + 1) % quality_plan.step == 0 or idle:
                        row = out[count]
                        row.row = i
                        row.what = QUALITY
                        row.sample = n + 1
                        row.level = q.level
                        row.cause = q.cause
                        row.noise = q.noise
                        row.silence = silence
                        count += 1
                    if watch.step > 0 and (n + 1) % watch.step == 0 and rhythm.judge(r, watch):
                        row = out[count]
                        row.row = i
                        row.what = RHYTHM
                        row.sample = n + 1
                        row.vt = r.vt
                        row.vf = r.vf
                        row.amplitude = r.amplitude
                        count += 1
    return count
