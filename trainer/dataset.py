"""Recordings → sequences of beats as the network sees them, by the detector and the beat functions that run live.

A sequence is one lead of one record: its beats in their order, found by our own detector, with the reference's class
where a reference beat lies within 150 ms. Augmentation changes the *signal* before the detector sees it, so that
detection errors, templates and RR features come out as they would from such a patient.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

from monitor import beats
from monitor.config import Settings
from monitor.detector import Detector
from monitor.events import CLASSES, FS, Beat, Closed, Floats, Level, Opened, Samples
from monitor.sources import SourceRequest, open_source
from replay import physionet
from trainer.ec57 import MATCH_WINDOW_S, match
from trainer.references import load_reference

Ints = npt.NDArray[np.int64]

UNKNOWN = -1
"""Label of a detection that no reference beat belongs to: not learnt from."""
_ATRIAL = ("AFIB", "AFL")
"""Names of the rhythms of atria that fibrillate or flutter."""

NOISES = ("bw", "em", "ma")
"""The noise records of nstdb: baseline wander, electrode motion, muscle."""


@dataclass(frozen=True)
class Recording:
    """One lead of one record, with its reference."""

    record: str
    lead: int
    signal: Floats
    """[n] at 360 Hz, mV; NaN where samples are missing."""
    samples: Ints
    """Reference beats, at 360 Hz."""
    labels: Ints
    """Their AAMI classes, as indices of CLASSES."""
    fibrillates: bool = False
    """Most of its beats are of atrial fibrillation or flutter: what it holds besides them are these waves."""


@dataclass(frozen=True)
class Sequence:
    """A patient's beats in their order."""

    record: str
    lead: int
    x: Floats
    """[beat, CHANNELS, LENGTH]"""
    f: Floats
    """[beat, feature]"""
    labels: Ints
    """[beat], UNKNOWN where there is no reference beat."""


class Augmentation(msgspec.Struct, frozen=True):
    """One draw of everything that is varied. Neutral by default."""

    gain: float = 1.0
    polarity: float = 1.0
    stretch: float = 1.0
    """Duration over the original duration: below 1 the heart is faster and every wave shorter."""
    noise: tuple[tuple[int, float, int], ...] = ()
    """(index of NOISES, root-mean-square in mV, first sample) each."""


def draw(
    rng: np.random.Generator,
    level: Callable[[], float],
    *,
    noisy: float,
    gain: float,
    inverted: float,
    stretch: tuple[float, float],
) -> Augmentation:
    """A random patient's worth of variation.

    Args:
        rng: what ``level`` draws from, too.
        level: a root-mean-square of noise, mV.
        noisy: chance of each of NOISES.
        gain: standard deviation of its logarithm.
        inverted: chance of the other polarity.
        stretch: range of it, in six cases of ten.
    """
    noise = tuple((kind, level(), int(rng.integers(0, 600_000))) for kind in range(len(NOISES)) if rng.random() < noisy)
    return Augmentation(
        gain=float(np.exp(rng.normal(0.0, gain))),
        polarity=-1.0 if rng.random() < inverted else 1.0,
        stretch=float(rng.uniform(*stretch)) if rng.random() < 0.6 else 1.0,
        noise=noise,
    )


def mild(rng: np.random.Generator) -> Augmentation:
    """Such that half of what is seen stays nearly as recorded."""
    return draw(rng, lambda: float(rng.uniform(0.01, 0.12)), noisy=0.25, gain=0.3, inverted=0.12, stretch=(0.82, 1.2))


def read_signal(record: str, lead: int, settings: Settings) -> Floats:
    """[n] at 360 Hz, mV, NaN where samples are missing: through the very source that runs live."""
    request = SourceRequest(uri=f"replay:{record}", stream=record, leads=(str(lead),), now=0.0)
    source = open_source(request, settings)
    pieces: list[Samples] = []
    length = 0
    while not length:
        for event in source.read(60 * FS):
            if isinstance(event, Samples):
                pieces.append(event)
            elif isinstance(event, Closed):
                length = event.sample
    source.close()
    signal = np.full(length, np.nan, dtype=np.float32)
    for piece in pieces:
        signal[piece.start : piece.stop] = piece.signal[0]
    return signal


def read(record: str, lead: int, settings: Settings) -> Recording:
    """One lead and the reference of ``database/record``."""
    signal = read_signal(record, lead, settings)
    reference = load_reference(physionet.locate(record, settings.data))
    labels = np.array([CLASSES.index(label) for label in reference.labels], dtype=np.int64)
    samples = np.round(reference.samples * (FS / reference.fs)).astype(np.int64)
    begins = np.array([sample for sample, _ in reference.rhythms], dtype=np.int64)
    atrial = np.array([False, *(name in _ATRIAL for _, name in reference.rhythms)])
    beats_in_it = int(np.count_nonzero(atrial[np.searchsorted(begins, reference.samples, side="right")]))
    return Recording(record, lead, signal, samples, labels, fibrillates=2 * beats_in_it > len(samples))


def read_noise(settings: Settings) -> list[Floats]:
    """The noise records, first lead, scaled to a root-mean-square of 1."""
    noises = []
    for name in NOISES:
        signal = read_signal(f"nstdb/{name}", 0, settings)
        signal = signal - signal.mean()
        noises.append((signal / np.sqrt(np.mean(signal**2))).astype(np.float32))
    return noises


def augmented(recording: Recording, how: Augmentation, noises: list[Floats]) -> Recording:
    """The recording as another patient or another electrode would have given it."""
    signal = recording.signal.astype(np.float64)
    samples = recording.samples
    if how.stretch != 1.0:
        length = int(len(signal) * how.stretch)
        signal = np.interp(np.arange(length) / how.stretch, np.arange(len(signal)), signal)
        samples = np.round(samples * how.stretch).astype(np.int64)
    signal = signal * (how.gain * how.polarity)
    for kind, level, start in how.noise:
        noise = noises[kind]
        signal = signal + level * noise[(start + np.arange(len(signal))) % len(noise)]
    return replace(recording, signal=signal.astype(np.float32), samples=samples)


def find_beats(signal: Floats, settings: Settings) -> list[Beat]:
    """All beats of a whole signal, by the detector that runs live."""
    head = Opened(stream="s", seq=1, source="", fs=FS, leads=("",), start_time=0.0, length=len(signal))
    body = Samples(stream="s", seq=2, start=0, signal=signal[None, :])
    tail = Closed(stream="s", seq=3, sample=len(signal), reason="")
    return [event for event in Detector(settings).push([head, body, tail]) if isinstance(event, Beat)]


def prepare(recording: Recording, settings: Settings) -> Sequence:
    """What the network would see of this recording, with the reference's labels."""
    found = find_beats(recording.signal, settings)
    x, f = beats.empty(len(found))
    levels = {Level.GOOD: 0, Level.NOISY: 1, Level.UNUSABLE: 2}
    beats.step_many(
        np.zeros(1, beats.STATE),
        np.zeros(len(found), dtype=np.int64),
        np.stack([beat.window for beat in found]),
        np.array([beat.sample for beat in found], dtype=np.int64),
        np.array([beat.after_gap for beat in found], dtype=np.bool_),
        np.array([beat.search_back for beat in found], dtype=np.bool_),
        np.array([levels[beat.level] for beat in found], dtype=np.int64),
        x,
        f,
    )
    labels = np.full(len(found), UNKNOWN, dtype=np.int64)
    peaks = np.array([beat.sample for beat in found], dtype=np.int64)
    for i, j in match(recording.samples, peaks, MATCH_WINDOW_S * FS):
        if i >= 0 and j >= 0:
            labels[j] = recording.labels[i]
    return Sequence(recording.record, recording.lead, x, f, labels)
