"""Is this candidate a QRS complex? What is seen of it, and a small network's answer; compiled.

A candidate is a maximum of the QRS band's energy. It is looked at a quarter of a second after it, when the T wave, or
the larger complex that it came before, has had time to show: its waveform and energy around it in units of the
patient's own beats, its likeness to them, and the rhythm. A multilayer perceptron (two hidden layers, 3,100 products)
gives the probability that it is a beat. Trained by ``ecg-train qrs``; nothing in it knows an absolute voltage, so a
patient with a tenth of the amplitude is seen alike.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from monitor import weights
from monitor.events import FS, Floats
from monitor.filters import Doubles, compiled

BEFORE = 114
"""Samples of signal seen before a candidate's maximum: 0.32 s, the P wave."""
AFTER = 78
"""Samples seen after it: 0.22 s. The maximum comes 0.11 s after the R peak (filters, integration), 0.12 s at the most
(``locate_before_s``), so that all is decided within 0.35 s of it."""
_POOL = 4
"""Samples averaged into one of the waveform: 90 Hz."""
_ENERGY_POOL = 12
"""The same of the energy: 30 Hz."""
WAVE = (BEFORE + AFTER) // _POOL
_ENERGY = (BEFORE + AFTER) // _ENERGY_POOL
_ASIDE = FS // 12
"""Samples around the maximum that belong to it; beyond them is another candidate."""

CONTEXT = (
    "height",
    "noise",
    "slope",
    "since_beats",
    "since_seconds",
    "rr_known",
    "rr_change",
    "higher_before",
    "higher_after",
    "likeness",
    "likeness_size",
    "doubt",
)
"""Names of what is told beside waveform and energy; part of the weights' metadata."""

INPUTS = WAVE + _ENERGY + len(CONTEXT)
LIKENESS = WAVE + _ENERGY + CONTEXT.index("likeness")
"""Place of the correlation with the patient's beats among the inputs."""
HIDDEN = (32, 16)
SHIPPED = Path(__file__).with_name("qrs.safetensors")
_FORMAT = "ecg-monitor/qrs/1"


class Network(NamedTuple):
    """Weights, as [from, to], and biases."""

    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    w3: Floats
    b3: float


def contract() -> str:
    """What weights and code must agree on."""
    return f"{_FORMAT} {FS} Hz {BEFORE}+{AFTER} {WAVE}+{_ENERGY} {' '.join(CONTEXT)}"


def load(path: Path = SHIPPED) -> Network:
    """The weights at ``path``.

    Raises:
        UserError: not there, not whole, or made for another contract.
    """
    shapes = {"w1": (INPUTS, HIDDEN[0]), "b1": HIDDEN[:1], "w2": HIDDEN, "b2": HIDDEN[1:], "w3": HIDDEN[1:], "b3": (1,)}
    made_for = "made for another detector; train anew with `ecg-train qrs`"
    w1, b1, w2, b2, w3, b3 = weights.load(path, shapes, contract(), made_for)
    return Network(w1, b1, w2, b2, w3, float(b3[0]))


@compiled
def log_ratio(a: float, b: float, limit: float) -> float:
    """log(a / b), within ±limit; both at least a nanovolt."""
    return min(max(math.log(max(a, 1e-6) / max(b, 1e-6)), -limit), limit)


@compiled
def describe(
    s: Any, filtered: Doubles, feature: Doubles, mask: int, peak: int, height: float, slope: float, x: Floats
) -> None:
    """Writes what is seen of the candidate at ``peak`` into ``x`` [INPUTS].

    Args:
        s: the detector's state of this stream.
        filtered, feature: rings of the filtered signal, mV, and of the band's energy, mV rms; indexed ``& mask``.
        peak: sample of the maximum.
        height: of the maximum, mV rms.
        slope: steepest slope in the complex, mV a sample.
    """
    unit = max(s.signal, 1e-6)
    first = peak - BEFORE
    for k in range(WAVE):
        total = 0.0
        for n in range(_POOL):
            total += filtered[(first + k * _POOL + n) & mask]
        # Four levels are about one R wave.
        x[k] = min(max(total / (_POOL * 4.0 * unit), -3.0), 3.0)
    for k in range(_ENERGY):
        total = 0.0
        for n in range(_ENERGY_POOL):
            total += feature[(first + k * _ENERGY_POOL + n) & mask]
        x[WAVE + k] = min(total / (_ENERGY_POOL * unit), 3.0)
    before = 0.0
    after = 0.0
    for n in range(first, peak - _ASIDE):
        before = max(before, feature[n & mask])
    for n in range(peak + _ASIDE, peak + AFTER):
        after = max(after, feature[n & mask])
    aa = 0.0
    bb = 0.0
    ab = 0.0
    for k in range(WAVE):
        aa += x[k] * x[k]
        bb += s.template[k] * s.template[k]
        ab += x[k] * s.template[k]
    c = WAVE + _ENERGY
    since = peak - s.last_peak if s.last_peak >= 0 else 3 * FS
    x[c] = log_ratio(height, unit, 3.0)
    x[c + 1] = log_ratio(s.noise, unit, 4.0)
    x[c + 2] = log_ratio(slope, s.last_slope, 2.0) if s.last_slope > 0.0 else 0.0
    x[c + 3] = min(since / s.rr, 3.0) if s.rr > 0.0 else 1.0
    x[c + 4] = min(since / FS, 2.0)
    x[c + 5] = 1.0 if s.rr > 0.0 else 0.0
    x[c + 6] = min(s.rr_change / s.rr, 1.0) if s.rr > 0.0 else 0.0
    x[c + 7] = min(before / max(height, 1e-6), 3.0)
    x[c + 8] = min(after / max(height, 1e-6), 3.0)
    x[c + 9] = ab / math.sqrt(aa * bb) if aa > 0.0 and bb > 0.0 else 0.0
    x[c + 10] = log_ratio(aa, bb, 2.0) if bb > 0.0 else 0.0
    x[c + 11] = s.doubt


@compiled
def judge(net: Network, x: Floats, h1: Floats, h2: Floats) -> float:
    """Probability that ``x`` is a beat; ``h1`` and ``h2`` are room for the hidden layers."""
    for j in range(h1.shape[0]):
        h1[j] = net.b1[j]
    for i in range(x.shape[0]):
        xi = x[i]
        for j in range(h1.shape[0]):
            h1[j] += net.w1[i, j] * xi
    for j in range(h2.shape[0]):
        h2[j] = net.b2[j]
    for i in range(h1.shape[0]):
        hi = max(h1[i], np.float32(0.0))
        for j in range(h2.shape[0]):
            h2[j] += net.w2[i, j] * hi
    z = net.b3
    for i in range(h2.shape[0]):
        z += net.w3[i] * max(h2[i], np.float32(0.0))
    return 1.0 / (1.0 + math.exp(-z))
