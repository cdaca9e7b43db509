"""A strip of every alert: the signal around it, so that a person can judge it.

``strips/NAME-KIND-SAMPLE`` is a WFDB record of 6 s before and 4 s after the sample at which the alert was raised, with
the alert itself as JSON beside it; ``SAMPLE`` is that sample in the stream's record.
"""

from pathlib import Path

import msgspec
import numpy as np

from monitor.events import FS, Alert
from monitor.recorder.files import GAIN, MISSING, StreamFiles, write_header
from monitor.wire import encode_alert

BEFORE_S = 6.0
AFTER_S = 4.0
"""s around the alert: what a bedside monitor prints."""


class Wanted(msgspec.Struct, frozen=True):
    """A strip whose end has still to come."""

    alert: bytes
    """JSON."""
    sample: int


def wanted(alert: Alert) -> Wanted:
    return Wanted(encode_alert(alert), alert.sample)


def write(folder: Path, strip: Wanted, files: StreamFiles) -> None:
    """Writes one strip; the same again changes nothing.

    Raises:
        OSError: the disk is full, or away.
    """
    alert = msgspec.json.decode(strip.alert, type=Alert)
    first = max(strip.sample - int(BEFORE_S * FS), 0)
    signal, leads = files.cut(first, strip.sample + int(AFTER_S * FS))
    folder.mkdir(exist_ok=True)
    name = f"{files.name}-{alert.kind}-{strip.sample}"
    steps = np.where(np.isnan(signal.T), MISSING, np.rint(np.nan_to_num(signal.T) * GAIN)).astype("<i2")
    (folder / f"{name}.dat").write_bytes(steps.tobytes())
    onset = alert.onset_time + (first - alert.onset_sample) / FS
    write_header(folder, name, leads, signal.shape[1], onset)
    (folder / f"{name}.json").write_bytes(strip.alert + b"\n")


def due(strip: Wanted, files: StreamFiles) -> bool:
    """All of its signal is here, or will never be."""
    return files.closed or files.stop >= strip.sample + int(AFTER_S * FS)
