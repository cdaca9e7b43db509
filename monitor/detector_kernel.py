"""The detector's inner loop: one sample of one stream at a time, compiled.

Laws: each sample changes the state of its own stream only, in one fixed order of arithmetic, so that neither the cut
into chunks nor the company of other streams changes anything.

How it decides, after Pan & Tompkins 1985 (10.1109/TBME.1985.325532) and Hamilton & Tompkins 1986, deviating where
measurement showed better:

1. the band of the QRS complex (Butterworth instead of their integer filters), its root-mean-square over about one
   complex (they use the mean square: the root makes the levels comparable over a tenfold change of amplitude);
2. its local maxima are candidates; a larger one within the decision time takes the place of a smaller one;
3. a candidate above a threshold between the running noise and signal levels is a beat, unless it follows a beat so
   closely and so much flatter that it must be the T wave;
4. where a beat is overdue, the best candidate since the last one is taken at a lowered threshold (search-back);
5. R is the largest deflection of the filtered signal inside the complex.
"""

from typing import Any, NamedTuple

import numpy as np

from monitor import quality
from monitor.filters import Doubles, compiled, sos_step

RING = 1024
"""Samples of filtered signal kept: 2.8 s, the longest search-back plus a beat window; a power of two."""

BEFORE = 198
"""Samples of a beat's window before the R peak: 0.55 s, so that the P wave of a prolonged PR interval is in it."""

AFTER = 119
"""Samples after it: 0.33 s, the beginning of the T wave; bounds the delay of a beat to a third of a second."""

WINDOW = BEFORE + 1 + AFTER
"""Samples of a beat's window; the R peak is at index BEFORE."""

PENDING = 4
"""R peaks that may wait for the end of their window: more than the refractory period lets in."""

BEAT, QUALITY = 0, 1
"""What a row of the output speaks of."""

FOUND = np.dtype(
    [
        ("row", "i8"),  # which of the call's chunks
        ("what", "i8"),  # BEAT or QUALITY
        ("sample", "i8"),  # R peak, or the sample up to which all is known
        ("confirmed", "i8"),
        ("late", "i8"),  # 1: by search-back
        ("amplitude", "f8"),
        ("level", "i8"),
        ("cause", "i8"),
        ("noise", "f8"),
        ("silence", "i8"),
        ("window", "f4", (WINDOW,)),
    ]
)
"""One row of the kernel's output."""

CANDIDATES = 8
"""Rejected candidates remembered for the search-back."""

STATE = np.dtype(
    [
        ("next", "i8"),  # index of the next sample
        ("origin", "i8"),  # first sample of this stretch of signal
        ("highpass", "f8", (1, 2)),
        ("lowpass", "f8", (1, 2)),
        ("band", "f8", (2, 2)),
        ("energy", "f8"),  # running sum of the integration window
        ("rise", "f8"),  # largest feature since the last candidate was settled
        ("rise_at", "i8"),  # and where; -1: none
        ("rise_slope", "f8"),
        ("signal", "f8"),  # level of beats, mV rms in the band
        ("noise", "f8"),  # level of rejected candidates
        ("learned", "i8"),  # 1 once the first levels are set
        ("last_peak", "i8"),  # feature maximum of the last beat; -1: none
        ("last_beat", "i8"),  # R of the last beat; -1: none
        ("last_slope", "f8"),
        ("rr", "f8"),  # mean RR interval, samples; 0: unknown
        ("waiting", "i8"),  # R peaks that wait for their window
        ("waiting_r", "i8", (PENDING,)),
        ("waiting_late", "i8", (PENDING,)),
        ("count", "i8"),  # rejected candidates remembered
        ("rejected_at", "i8", (CANDIDATES,)),
        ("rejected", "f8", (CANDIDATES,)),
        ("rejected_slope", "f8", (CANDIDATES,)),
        ("filtered", "f8", (RING,)),
        ("banded", "f8", (RING,)),
        ("feature", "f8", (RING,)),
    ]
)
"""One stream's whole state."""


class Plan(NamedTuple):
    """The settings in samples and coefficients, as the kernel wants them."""

    highpass: Doubles
    highpass_seed: Doubles
    lowpass: Doubles
    band: Doubles
    integration: int
    refractory: int
    twave: int
    twave_slope: float
    twave_level: float
    threshold: float
    search_threshold: float
    search_rr: float
    search_limit: int
    decision: int
    floor: float
    learn: int
    rate: float
    locate_before: int
    locate_after: int
    decay_after: int
    decay: float
    lag: int


@compiled
def reset(s: Any, at: int) -> None:
    """A stretch of signal begins at sample ``at``: filters empty, positions void; levels and rhythm are kept."""
    s.next = at
    s.origin = at
    s.highpass[:] = 0.0
    s.lowpass[:] = 0.0
    s.band[:] = 0.0
    s.energy = 0.0
    s.rise = 0.0
    s.rise_at = -1
    s.last_peak = -1
    s.last_beat = -1
    s.rr = 0.0
    s.count = 0
    s.waiting = 0
    s.filtered[:] = 0.0
    s.banded[:] = 0.0
    s.feature[:] = 0.0


@compiled
def locate(s: Any, plan: Plan, peak: int) -> int:
    """R peak of the complex whose feature peaks at ``peak``."""
    first = max(peak - plan.locate_before, s.origin)
    if s.last_beat >= 0:  # two beats never share an R peak
        first = max(first, s.last_beat + plan.lag + plan.refractory // 2)
    last = max(min(peak + plan.locate_after, s.next - 1), first)
    mean = 0.0
    for n in range(first, last + 1):
        mean += s.filtered[n % RING]
    mean /= last - first + 1
    best = first
    height = -1.0
    for n in range(first, last + 1):
        deflection = abs(s.filtered[n % RING] - mean)
        if deflection > height:
            height = deflection
            best = n
    r: int = max(best - plan.lag, s.origin)
    return r


@compiled
def steepness(s: Any, plan: Plan, peak: int) -> float:
    """Largest slope of the filtered signal inside the complex, mV a sample."""
    first = max(peak - plan.locate_before, s.origin + 2)
    last = min(peak + plan.locate_after, s.next - 1)
    best = 0.0
    for n in range(first, last + 1):
        best = max(best, abs(s.filtered[n % RING] - s.filtered[(n - 2) % RING]))
    return 0.5 * best


@compiled
def accept(s: Any, plan: Plan, peak: int, height: float, slope: float, late: bool) -> int:
    """The candidate at ``peak`` is a beat; its R peak."""
    r = locate(s, plan, peak)
    if s.last_beat >= 0:
        rr = float(r - s.last_beat)
        s.rr = rr if s.rr == 0.0 else s.rr + plan.rate * (min(rr, 1.5 * s.rr) - s.rr)
    rate = 2 * plan.rate if late else plan.rate
    s.signal += rate * (min(height, 2.0 * s.signal) - s.signal)
    s.last_peak = peak
    s.last_beat = r
    s.last_slope = slope
    s.count = 0
    return r


@compiled
def remember(s: Any, peak: int, height: float, slope: float) -> None:
    """A rejected candidate, kept for the search-back."""
    if s.count == CANDIDATES:
        for k in range(CANDIDATES - 1):
            s.rejected_at[k] = s.rejected_at[k + 1]
            s.rejected[k] = s.rejected[k + 1]
            s.rejected_slope[k] = s.rejected_slope[k + 1]
        s.count -= 1
    s.rejected_at[s.count] = peak
    s.rejected[s.count] = height
    s.rejected_slope[s.count] = slope
    s.count += 1


@compiled
def settle(s: Any, plan: Plan, peak: int, height: float) -> int:
    """The decision on one candidate: its R peak, or -1."""
    slope = steepness(s, plan, peak)
    since = peak - s.last_peak if s.last_peak >= 0 else RING
    if since < plan.refractory or height < plan.floor:
        return -1
    threshold = s.noise + plan.threshold * (s.signal - s.noise)
    if height > threshold:
        if since < plan.twave and slope < plan.twave_slope * s.last_slope and height < plan.twave_level * s.signal:
            remember(s, peak, 0.0, slope)
            return -1
        return accept(s, plan, peak, height, slope, False)
    s.noise += plan.rate * (height - s.noise)
    remember(s, peak, height, slope)
    return -1


@compiled
def search_back(s: Any, plan: Plan) -> int:
    """The best candidate since the last beat, where a beat is overdue; its R peak, or -1."""
    best = -1
    threshold = max(s.noise + plan.search_threshold * (s.signal - s.noise), plan.floor)
    for k in range(s.count):
        recent = s.next - s.rejected_at[k] < plan.search_limit
        if recent and s.rejected[k] > threshold and (best < 0 or s.rejected[k] > s.rejected[best]):
            best = k
    if best < 0:
        return -1
    peak = s.rejected_at[best]
    return accept(s, plan, peak, s.rejected[best], s.rejected_slope[best], True)


@compiled
def step(s: Any, plan: Plan, x: float) -> None:
    """One finite sample, mV; an R peak that it makes certain joins those that wait for their window."""
    n = s.next
    if n == s.origin:
        for k in range(s.highpass.shape[0]):
            s.highpass[k, 0] = plan.highpass_seed[k, 0] * x
            s.highpass[k, 1] = plan.highpass_seed[k, 1] * x
    h = sos_step(plan.highpass, s.highpass, x)
    s.filtered[n % RING] = sos_step(plan.lowpass, s.lowpass, h)
    b = sos_step(plan.band, s.band, h)
    s.banded[n % RING] = b
    gone = s.banded[(n - plan.integration) % RING]
    s.energy = max(s.energy + b * b - gone * gone, 0.0)
    f = np.sqrt(s.energy / plan.integration)
    s.feature[n % RING] = f
    s.next = n + 1

    if s.learned == 0:
        if n - s.origin < plan.learn:
            s.signal = max(s.signal, 0.6 * f)
            s.noise = 0.1 * s.signal
        else:
            s.learned = 1

    before = s.feature[(n - 1) % RING]
    if before > f and before >= s.feature[(n - 2) % RING] and before > s.rise:
        s.rise = before
        s.rise_at = n - 1
    found = -1
    late = 0
    if s.rise_at >= 0 and n - s.rise_at >= plan.decision and s.learned == 1:
        found = settle(s, plan, s.rise_at, s.rise)
        s.rise = 0.0
        s.rise_at = -1
    if found < 0 and s.rr > 0.0 and s.count > 0 and n - s.last_peak > plan.search_rr * s.rr:
        found = search_back(s, plan)
        late = 1
    if found >= 0 and s.waiting < PENDING:
        s.waiting_r[s.waiting] = found
        s.waiting_late[s.waiting] = late
        s.waiting += 1
    if s.learned == 1 and n - max(s.last_peak, s.origin) > plan.decay_after:
        s.signal = max(s.signal * plan.decay, plan.floor)
        s.noise = min(s.noise, s.signal)


@compiled
def publish(s: Any, q: Any, plan: Plan, row: int, out: Any) -> None:
    """The oldest waiting R peak, its window now complete, becomes a row of the output."""
    r = s.waiting_r[0]
    out.row = row
    out.what = BEAT
    out.sample = r
    out.confirmed = s.next
    out.late = s.waiting_late[0]
    out.amplitude = s.filtered[(r + plan.lag) % RING]
    out.level = q.level
    out.cause = q.cause
    for k in range(WINDOW):
        n = r + plan.lag - BEFORE + k
        out.window[k] = s.filtered[n % RING] if n >= s.origin else 0.0
    s.waiting -= 1
    for k in range(s.waiting):
        s.waiting_r[k] = s.waiting_r[k + 1]
        s.waiting_late[k] = s.waiting_late[k + 1]


@compiled
def advance(
    states: Any,
    qualities: Any,
    plan: Plan,
    quality_plan: quality.Plan,
    rows: Any,
    offsets: Any,
    x: Doubles,
    out: Any,
) -> int:
    """Chunks of many streams: stream ``rows[i]`` gets ``x[offsets[i]:offsets[i + 1]]``, mV, all finite.

    Returns how many rows of ``out`` (FOUND) were written, in the order in which they became known, stream by stream.
    """
    count = 0
    for i in range(rows.shape[0]):
        s = states[rows[i]]
        q = qualities[rows[i]]
        for k in range(offsets[i], offsets[i + 1]):
            step(s, plan, x[k])
            n = s.next - 1
            silence = s.next - max(s.last_beat, s.origin)
            whole = quality.step(q, quality_plan, x[k], s.feature[n % RING], s.signal, silence, n)
            if s.waiting > 0 and s.next > s.waiting_r[0] + plan.lag + AFTER:
                publish(s, q, plan, i, out[count])
                count += 1
            if whole and (s.next % quality_plan.step == 0 or silence > quality_plan.idle_after):
                row = out[count]
                row.row = i
                row.what = QUALITY
                row.sample = s.next
                row.level = q.level
                row.cause = q.cause
                row.noise = q.noise
                row.silence = silence
                count += 1
    return count
