"""What four seconds of samples look like: measures that the literature found to tell ventricular tachyarrhythmia from
everything else; compiled.

With their sources, and where they deviate (compared in Amann 2005, 10.1186/1475-925X-4-60):

* VF filter leakage (Kuo & Dillman 1978): what is left when the signal is added to itself half a mean period later.
* Threshold crossing (Thakor 1990, IEEE Trans Biomed Eng 37:837), on both polarities and with hysteresis: rate and
  irregularity of the crossings; and how much of the time is spent beyond a share of the maximum (threshold crossing
  sample count, Arafat 2011, Signal Image Video Process 5:1).
* Spectral moment and shares around the dominant frequency (Barro 1989, J Biomed Eng 11:320), entropy, band powers.
* Hjorth's mobility and complexity; skewness and kurtosis; quantiles of the slope's energy (in rhythms with narrow
  complexes most of the time nothing happens); the autocorrelation's peak; changes of amplitude within the window.

Law: no measure but the amplitude knows a voltage.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import signal

from monitor.events import FS, Floats
from monitor.filters import Doubles, compiled

POOL = 4
"""Samples averaged into one: 90 Hz is enough for what is looked at."""
RATE = FS // POOL
"""Hz."""
WINDOW = 4 * RATE
"""Pooled samples described at once: 4 s, what CinC 2015 and the manuals ask of VF."""
_BAND = (1.0, 25.0)
"""Hz, of the signal that the measures in time look at."""
_BINS = 79
"""Frequencies 0.5 Hz apart, from 0.5 Hz: up to 39.5 Hz."""
_LAGS = 126
"""Lags of the autocorrelation: up to 1.4 s."""

_APART = int(0.15 * RATE)
"""Pooled samples between two peaks of the slope, and of the autocorrelation, at least."""

MEASURES = (
    "rms",
    "leakage",
    "crossings",
    "crossing_irregularity",
    "beyond_10",
    "beyond_20",
    "beyond_35",
    "beyond_50",
    "skew",
    "kurtosis",
    "mobility",
    "complexity",
    "slope_quiet",
    "slope_median",
    "slope_90",
    "slope_peaks",
    "slope_peak_variation",
    "slope_interval_variation",
    "steepest",
    "dominant",
    "centroid",
    "spectral_entropy",
    "around_dominant",
    "harmonics",
    "band_0.5_1.5",
    "band_1.5_3",
    "band_3_5",
    "band_5_8",
    "band_8_12",
    "band_12_18",
    "band_18_25",
    "band_25_40",
    "autocorrelation",
    "autocorrelation_lag",
    "autocorrelation_least",
    "autocorrelation_narrow",
    "rms_variation",
    "peak_variation",
    "drift",
)
"""Names of what is measured, in order; part of the weights' metadata."""
INPUTS = len(MEASURES)


class Tables(NamedTuple):
    """What the kernel needs besides its state."""

    band: Doubles
    """[section, 6]"""
    cosine: Doubles
    """[WINDOW, _BINS], Hann window included."""
    sine: Doubles


def tables() -> Tables:
    """Filter and Fourier matrix."""
    band = signal.butter(2, _BAND, "bandpass", fs=RATE, output="sos")
    n = np.arange(WINDOW)[:, None]
    angle = 2.0 * np.pi * n * (0.5 * np.arange(1, _BINS + 1)[None, :]) / RATE
    hann = signal.windows.hann(WINDOW, sym=False)[:, None]
    return Tables(band, np.ascontiguousarray(hann * np.cos(angle)), np.ascontiguousarray(hann * np.sin(angle)))


@compiled
def quantile(ordered: Doubles, share: float) -> float:
    """The value below which ``share`` of the sorted values lie."""
    value: float = ordered[min(int(share * ordered.shape[0]), ordered.shape[0] - 1)]
    return value


@compiled
def variation(values: Doubles, count: int) -> float:
    """Standard deviation over mean of the first ``count`` positive values, at most 2; 1 of fewer than two."""
    if count < 2:
        return 1.0
    mean = 0.0
    for k in range(count):
        mean += values[k]
    mean /= count
    square = 0.0
    for k in range(count):
        square += (values[k] - mean) ** 2
    return min(math.sqrt(square / count) / max(mean, 1e-12), 2.0)


@compiled
def describe(d: Doubles, x: Doubles, t: Tables, f: Floats) -> float:
    """Writes the measures of one window into ``f`` [INPUTS].

    Args:
        d: [WINDOW] pooled signal, mV.
        x: [WINDOW] the same, band-passed.

    Returns:
        Peak-to-peak value in the quietest of the window's seconds, mV.
    """
    f[:] = 0.0
    amplitude, top, absolute, total = _sizes(d, x, f)
    if top > 0.0:
        steepest = _changes(x, absolute, total, f)
        f[18] = steepest / top
        _crossings(x, top, f)
        _slopes(x, f)
        _spectrum(d, t, f)
        _repetition(x, f)
    return amplitude


@compiled
def _sizes(d: Doubles, x: Doubles, f: Floats) -> tuple[float, float, float, float]:
    """How large it is, and how evenly (0, 8, 9, 36, 37, 38). Returns the peak-to-peak value of the quietest second, the
    mean of the seconds' largest values (0: there is nothing at all), the sum of the values without sign, and of their
    squares."""
    n = x.shape[0]
    seconds = n // RATE
    tops = np.zeros(seconds)
    powers = np.zeros(seconds)
    spans = np.zeros(seconds)
    total = 0.0
    absolute = 0.0
    cube = 0.0
    fourth = 0.0
    wide = 0.0
    middle = d.mean()
    for s in range(seconds):
        low = d[s * RATE]
        high = low
        for k in range(s * RATE, (s + 1) * RATE):
            v = x[k]
            square = v * v
            powers[s] += square
            tops[s] = max(tops[s], abs(v))
            absolute += abs(v)
            cube += square * v
            fourth += square * square
            low = min(low, d[k])
            high = max(high, d[k])
            wide += (d[k] - middle) ** 2
        total += powers[s]
        spans[s] = high - low
    amplitude = float(spans.min())
    rms = math.sqrt(total / n)
    f[0] = math.log10(max(rms, 1e-4))
    if rms < 1e-6:
        return amplitude, 0.0, absolute, total
    f[8] = min(max(cube / n / rms**3, -5.0), 5.0)
    f[9] = math.log(max(fourth / n / rms**4, 1.0))
    f[36] = min(math.log(max(powers.max(), 1e-12) / max(powers.min(), 1e-12)) / 2.0, 6.0)
    f[37] = min(math.log(max(tops.max(), 1e-9) / max(tops.min(), 1e-9)), 6.0)
    f[38] = math.log(max(wide / total, 1e-3))
    return amplitude, max(float(tops.mean()), 1e-9), absolute, total


@compiled
def _changes(x: Doubles, absolute: float, total: float, f: Floats) -> float:
    """Leakage (half a mean period, from the mean slope), mobility, complexity (1, 10, 11). Returns the largest step."""
    n = x.shape[0]
    slope = 0.0
    bend = 0.0
    turns = 0.0
    steepest = 0.0
    for k in range(1, n):
        step = x[k] - x[k - 1]
        slope += abs(step)
        bend += step * step
        steepest = max(steepest, abs(step))
        if k > 1:
            turns += (step - (x[k - 1] - x[k - 2])) ** 2
    half = min(max(int(math.pi * absolute / max(slope, 1e-12) + 0.5), 1), n // 4)
    above = 0.0
    below = 0.0
    for k in range(half, n):
        above += abs(x[k] + x[k - half])
        below += abs(x[k]) + abs(x[k - half])
    f[1] = above / max(below, 1e-12)
    mobility = math.sqrt(bend / total)
    f[10] = mobility
    f[11] = min(math.sqrt(turns / max(bend, 1e-12)) / max(mobility, 1e-6), 10.0)
    return steepest


@compiled
def _crossings(x: Doubles, top: float, f: Floats) -> None:
    """Crossings from beyond one threshold to beyond the other, and time beyond four of them (2 to 7)."""
    n = x.shape[0]
    places = np.zeros(n)
    count = 0
    side = 0
    last = -1
    limit = 0.2 * top
    shares = np.zeros(4)
    for k in range(n):
        v = x[k]
        a = abs(v)
        if a > 0.1 * top:
            shares[0] += 1.0
        if a > 0.2 * top:
            shares[1] += 1.0
        if a > 0.35 * top:
            shares[2] += 1.0
        if a > 0.5 * top:
            shares[3] += 1.0
        now = 1 if v > limit else -1 if v < -limit else side
        if now != side:
            if side != 0:
                if last >= 0:
                    places[count] = k - last
                    count += 1
                last = k
            side = now
    f[2] = count / (2.0 * (n // RATE))
    f[3] = variation(places, count)
    for k in range(4):
        f[4 + k] = shares[k] / n


@compiled
def _slopes(x: Doubles, f: Floats) -> None:
    """Energy of the slope over a tenth of a second: its quantiles, its peaks and how regular they are (12 to 17)."""
    n = x.shape[0]
    width = RATE // 10
    energy = np.zeros(n - width)
    running = 0.0
    for k in range(1, n):
        running += (x[k] - x[k - 1]) ** 2
        if k > width:
            running -= (x[k - width] - x[k - width - 1]) ** 2
        if k >= width:
            energy[k - width] = math.sqrt(max(running, 0.0))
    ordered = np.sort(energy)
    high = max(quantile(ordered, 0.9), 1e-12)
    most = max(ordered[ordered.shape[0] - 1], 1e-12)
    f[12] = quantile(ordered, 0.25) / high
    f[13] = quantile(ordered, 0.5) / high
    f[14] = high / most
    heights = np.zeros(n)
    intervals = np.zeros(n)
    peaks = 0
    previous = -n
    for k in range(1, energy.shape[0] - 1):
        e = energy[k]
        if e > 0.4 * quantile(ordered, 0.97) and e >= energy[k - 1] and e > energy[k + 1]:
            if peaks > 0 and k - previous < _APART:
                heights[peaks - 1] = max(heights[peaks - 1], e)
            else:
                if peaks > 0:
                    intervals[peaks - 1] = k - previous
                heights[peaks] = e
                peaks += 1
                previous = k
    f[15] = peaks / (n // RATE)
    f[16] = variation(heights, peaks)
    f[17] = variation(intervals, peaks - 1)


@compiled
def _spectrum(d: Doubles, t: Tables, f: Floats) -> None:
    """Where the power lies: the dominant frequency, centroid, entropy, harmonics, eight bands (19 to 31)."""
    middle = d.mean()
    re = np.zeros(_BINS)
    im = np.zeros(_BINS)
    for k in range(d.shape[0]):
        v = d[k] - middle
        for j in range(_BINS):
            re[j] += v * t.cosine[k, j]
            im[j] += v * t.sine[k, j]
    whole = 0.0
    inner = 0.0
    moment = 0.0
    best = 1
    for j in range(_BINS):
        re[j] = re[j] * re[j] + im[j] * im[j]
        hz = 0.5 * (j + 1)
        whole += re[j]
        if 1.0 <= hz <= 25.0:
            inner += re[j]
            moment += hz * re[j]
            if hz <= 12.0 and re[j] > re[best]:
                best = j
    whole = max(whole, 1e-12)
    inner = max(inner, 1e-12)
    dominant = 0.5 * (best + 1)
    f[19] = dominant
    f[20] = moment / inner
    entropy = 0.0
    around = 0.0
    harmonic = 0.0
    for j in range(1, 50):
        share = re[j] / inner
        hz = 0.5 * (j + 1)
        if share > 1e-9:
            entropy -= share * math.log(share)
        if 0.7 * dominant <= hz <= 1.4 * dominant:
            around += share
        elif abs(hz / dominant - round(hz / dominant)) * dominant <= 0.5 and hz > dominant:
            harmonic += share
    f[21] = entropy / math.log(49.0)
    f[22] = around
    f[23] = harmonic
    edges = (0.5, 1.5, 3.0, 5.0, 8.0, 12.0, 18.0, 25.0, 40.0)
    for b in range(8):
        share = 0.0
        for j in range(_BINS):
            hz = 0.5 * (j + 1)
            if edges[b] <= hz < edges[b + 1]:
                share += re[j]
        f[24 + b] = math.log(max(share / whole, 1e-5))


@compiled
def _repetition(x: Doubles, f: Floats) -> None:
    """Autocorrelation; what overlaps is normalised by its own energy (32 to 35)."""
    n = x.shape[0]
    before = np.zeros(n + 1)
    for k in range(n):
        before[k + 1] = before[k] + x[k] * x[k]
    r = np.zeros(_LAGS)
    for k in range(n):
        v = x[k]
        for lag in range(min(_LAGS, n - k)):
            r[lag] += v * x[k + lag]
    for lag in range(_LAGS):
        r[lag] /= math.sqrt(max((before[n] - before[lag]) * before[n - lag], 1e-24))
    narrow = 0
    while narrow < _LAGS - 1 and r[narrow] > 0.5:
        narrow += 1
    zero = narrow
    while zero < _LAGS - 1 and r[zero] > 0.0:
        zero += 1
    least = 0.0
    at = 0
    peak = -1.0
    for lag in range(zero, _LAGS):
        least = min(least, r[lag])
        if lag >= _APART and r[lag] > peak:
            peak = r[lag]
            at = lag
    f[32] = peak
    f[33] = at / RATE
    f[34] = least
    f[35] = narrow / RATE
