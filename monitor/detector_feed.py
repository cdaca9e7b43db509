"""A push taken apart for the detector, lead by lead, and what became known put in one order again."""

import math
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from monitor.events import Beat, Closed, Event, Gap, Lost, Opened, Samples, position


class Queue:
    """One stream's events of one push; a chunk can be put back from some sample on."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events[::-1]

    def pop(self) -> Event | None:
        return self._events.pop() if self._events else None

    def push_back(self, event: Samples, start: int) -> None:
        if start < event.stop:
            rest = event.signal[:, start - event.start :]
            self._events.append(Samples(stream=event.stream, seq=event.seq, start=start, signal=rest))


def parts(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Events in parts in each of which a stream has one life, and what is no matter of samples comes first."""
    begun: set[str] = set()
    ended: set[str] = set()
    first = 0
    for at, event in enumerate(events):
        if event.stream in ended or (isinstance(event, Opened | Lost) and event.stream in begun):
            yield events[first:at]
            first = at
            begun.clear()
            ended.clear()
        begun.add(event.stream)
        if isinstance(event, Closed):
            ended.add(event.stream)
    yield events[first:]


def second_lead(events: list[Event]) -> list[Event]:
    """One stream's events as those of its second lead; where its row is missing it has no samples."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, Samples):
            row = event.signal[1:2] if len(event.signal) > 1 else np.full_like(event.signal[:1], np.nan)
            event = msgspec.structs.replace(event, signal=row)  # noqa: PLW2901
        out.append(event)
    return out


def known(event: Event) -> float:
    """The sample with which an event of the detector became known."""
    match event:
        case Opened() | Lost():
            return -math.inf
        case Closed():
            return math.inf
        case Beat():
            return event.confirmed
        case Gap():
            return event.stop + 0.5  # behind either lead's last report on it, before what comes next
        case _:
            return position(event)
