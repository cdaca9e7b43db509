"""What is seen in samples rather than in beats: ventricular fibrillation, flutter, ventricular tachycardia; compiled.

Once a second the last four seconds are described by the measures of ``rhythm_measures``, and a small multilayer
perceptron turns them into the probabilities of three classes. Trained by ``ecg-train rhythm``.

Laws: what is published depends on the stream's own samples alone, not on the cut into chunks; four seconds after a gap
nothing is published.
"""

import math
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from monitor import weights
from monitor.config import RhythmSettings
from monitor.events import FS, Floats
from monitor.filters import Doubles, compiled
from monitor.rhythm_measures import INPUTS, MEASURES, POOL, RATE, WINDOW, Tables, describe, tables

_RING = 512
"""Pooled samples kept; a power of two, more than WINDOW."""
_MASK = _RING - 1

CLASSES = ("other", "vt", "vf")
"""What the network tells apart: ventricular tachycardia; flutter and fibrillation; everything else, noise and asystole
included."""
HIDDEN = (24, 12)
SHIPPED = Path(__file__).with_name("rhythm.safetensors")
_FORMAT = "ecg-monitor/rhythm/1"

STATE = np.dtype(
    [
        ("total", "f8"),  # of the samples that wait to be pooled
        ("filled", "i8"),
        ("count", "i8"),  # pooled samples since the stretch began
        ("band", "f8", (4,)),
        ("pooled", "f8", (_RING,)),  # mV
        ("banded", "f8", (_RING,)),  # the same, band-passed
        ("measures", "f4", (INPUTS,)),  # of the last window
        ("vt", "f8"),
        ("vf", "f8"),
        ("amplitude", "f8"),
    ]
)
"""One stream's state."""


class Network(NamedTuple):
    """Weights, as [from, to], and biases; ``mean`` and ``scale`` bring the measures to zero and one."""

    mean: Floats
    scale: Floats
    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    w3: Floats
    b3: Floats


SHAPES = {
    "mean": (INPUTS,),
    "scale": (INPUTS,),
    "w1": (INPUTS, HIDDEN[0]),
    "b1": HIDDEN[:1],
    "w2": HIDDEN,
    "b2": HIDDEN[1:],
    "w3": (HIDDEN[1], len(CLASSES)),
    "b3": (len(CLASSES),),
}


def contract() -> str:
    """What weights and code must agree on."""
    return f"{_FORMAT} {RATE} Hz {WINDOW} {' '.join(MEASURES)} -> {' '.join(CLASSES)}"


def load(path: Path = SHIPPED) -> Network:
    """The weights at ``path``.

    Raises:
        UserError: not there, not whole, or made for another contract.
    """
    made_for = "made for another rhythm detector; train anew with `ecg-train rhythm`"
    return Network(*weights.load(path, SHAPES, contract(), made_for))


class Watch(NamedTuple):
    """All that the kernel needs besides the state."""

    tables: Tables
    network: Network
    step: int
    """Samples between two looks; 0: none is taken, where only R peaks are wanted."""


def watch(settings: RhythmSettings, network: Network | None = None) -> Watch:
    """The settings in samples, and the network: by default the one that ships."""
    return Watch(tables(), network if network is not None else _shipped(), round(settings.step_s * FS))


@cache
def _shipped() -> Network:
    return load()


def blank() -> Network:
    """A network that knows nothing: where only the measures are wanted."""
    return Network(*(np.zeros(shape, np.float32) for shape in SHAPES.values()))


@compiled
def reset(r: Any) -> None:
    """A new stretch of signal: nothing is known of it."""
    r.total = 0.0
    r.filled = 0
    r.count = 0
    r.band[:] = 0.0


@compiled
def fold(r: Any, tables: Tables, filtered: Doubles, mask: int, first: int, last: int) -> None:
    """Takes in samples ``first`` … ``last`` of the filtered signal, a ring indexed ``& mask``, mV."""
    for n in range(first, last + 1):
        r.total += filtered[n & mask]
        r.filled += 1
        if (n + 1) % POOL == 0:
            v = r.total / r.filled
            r.total = 0.0
            r.filled = 0
            at = r.count & _MASK
            r.pooled[at] = v
            for k in range(2):
                y = tables.band[k, 0] * v + r.band[2 * k]
                r.band[2 * k] = tables.band[k, 1] * v - tables.band[k, 4] * y + r.band[2 * k + 1]
                r.band[2 * k + 1] = tables.band[k, 2] * v - tables.band[k, 5] * y
                v = y
            r.banded[at] = v
            r.count += 1


@compiled
def judge(r: Any, how: Watch) -> bool:
    """Describes the last window and classifies it; False where there is none yet."""
    if r.count < WINDOW:
        return False
    net = how.network
    d = np.empty(WINDOW)
    x = np.empty(WINDOW)
    for k in range(WINDOW):
        at = (r.count - WINDOW + k) & _MASK
        d[k] = r.pooled[at]
        x[k] = r.banded[at]
    r.amplitude = describe(d, x, how.tables, r.measures)
    h1 = net.b1.copy()
    for i in range(INPUTS):
        z = (r.measures[i] - net.mean[i]) * net.scale[i]
        for j in range(h1.shape[0]):
            h1[j] += net.w1[i, j] * z
    h2 = net.b2.copy()
    for i in range(h1.shape[0]):
        z = max(h1[i], np.float32(0.0))
        for j in range(h2.shape[0]):
            h2[j] += net.w2[i, j] * z
    out = net.b3.copy()
    for i in range(h2.shape[0]):
        z = max(h2[i], np.float32(0.0))
        for j in range(out.shape[0]):
            out[j] += net.w3[i, j] * z
    high = max(out[0], out[1], out[2])
    a = math.exp(out[0] - high)
    b = math.exp(out[1] - high)
    c = math.exp(out[2] - high)
    r.vt = b / (a + b + c)
    r.vf = c / (a + b + c)
    return True
