"""The stages' cores, put together: live, offline, in scoring and in tests the very same."""

from pathlib import Path

import numpy as np

from monitor.alarms import Alarms
from monitor.config import Settings
from monitor.detector_layout import WINDOW
from monitor.events import FS, Beat, Cause, Closed, Event, Level, Opened, Samples
from monitor.stage import Chain, Core


def detector(settings: Settings) -> tuple[Core, str]:
    """The detector stage's core, its kernels compiled, and what it runs on."""
    from monitor.detector import Detector

    Detector(settings).push(_pulses())
    return Detector(settings), "numba"


def judge(settings: Settings, device: str) -> tuple[Core, str]:
    """The classifier stage's core, classifier and alarms, and what it runs on.

    Raises:
        UserError: the weights cannot be used, or the device is not there.
    """
    from monitor.checkpoint import SHIPPED, load
    from monitor.classifier import Classifier, choose_device

    chosen = choose_device(device)
    network, _ = load(Path(settings.classifier.weights) if settings.classifier.weights else SHIPPED)
    # What is compiled and loaded at first use is used now, not at the patient's first beat.
    Classifier(settings, network, chosen).push(_beats())
    classifier = Classifier(settings, network, chosen)
    return Chain(classifier, Alarms(settings)), str(chosen)


def whole(settings: Settings, device: str) -> Core:
    """Samples in, verdicts and alerts out: all cores as one."""
    return Chain(detector(settings)[0], judge(settings, device)[0])


def _beats() -> list[Event]:
    """Something like heartbeats, found, to wake the network with."""
    window = np.zeros(WINDOW, dtype=np.float32)
    window[WINDOW // 2] = 1.0
    found = [
        Beat(
            stream="", seq=k + 2, sample=k * FS, confirmed=k * FS, amplitude=1.0, level=Level.GOOD, cause=Cause.NONE,
            search_back=False, window=window, p_likeness=0.0, p_amplitude=0.0, after_gap=k == 0,
        )
        for k in range(3)
    ]  # fmt: skip
    opened = Opened(stream="", seq=1, source="", fs=FS, leads=("",), start_time=0.0, length=None)
    return [opened, *found, Closed(stream="", seq=5, sample=3 * FS, reason="")]


def _pulses() -> list[Event]:
    """A few seconds of something like heartbeats, to wake the kernels with."""
    signal = np.zeros((1, 5 * FS), dtype=np.float32)
    signal[0, FS // 2 :: FS] = 5.0
    return [
        Opened(stream="", seq=1, source="", fs=FS, leads=("",), start_time=0.0, length=signal.shape[1]),
        Samples(stream="", seq=2, start=0, signal=signal),
        Closed(stream="", seq=3, sample=signal.shape[1], reason=""),
    ]
