"""The stages' cores, put together: live, offline, in scoring and in tests the very same."""

from pathlib import Path

from monitor.alarms import Alarms
from monitor.config import Settings
from monitor.detector import Detector
from monitor.events import Closed, Opened, Samples
from monitor.stage import Chain, Core


def detector(settings: Settings) -> tuple[Core, str]:
    """The detector stage's core, its kernels compiled, and what it runs on."""
    import numpy as np

    warm = Detector(settings)
    head = Opened(stream="", seq=1, source="", fs=360.0, leads=("",), start_time=0.0, length=1)
    body = Samples(stream="", seq=2, start=0, signal=np.zeros((1, 1), dtype=np.float32))
    warm.push([head, body, Closed(stream="", seq=3, sample=1, reason="")])
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
    classifier = Classifier(settings, network, chosen)
    return Chain(classifier, Alarms(settings)), str(chosen)


def whole(settings: Settings, device: str) -> Core:
    """Samples in, verdicts and alerts out: all cores as one."""
    return Chain(detector(settings)[0], judge(settings, device)[0])
