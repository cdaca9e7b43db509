"""One core between two links: receive, push, publish. The only loop there is, whatever the stage.

The loop also is the edge where the wall clock comes in: it stamps alerts, reports once a ``link.heartbeat_s``, and
tells the core of sources that have gone silent. It ends when everything before it has ended and everything after it
has what was made, when it is told to (SIGTERM), or when its supervisor is gone (the lifeline closes).
"""

import os
import signal
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any, Protocol

import msgspec

from monitor.config import LinkSettings
from monitor.events import Alert, Closed, Event, Lost, Opened, Samples, Status, position
from monitor.link import AlertSocket, Publisher, Subscriber, wait

_IDLE_S = 0.05
"""s; the loop wakes up this often even when nothing comes, to look at the clock."""
_PUSH_EVENTS = 256
"""Events pushed at once: what a repair brings is taken in bites, so that heartbeats go on."""
_FAREWELL_S = 2.0
"""s that the last messages may take to reach slow subscribers."""


class Core(Protocol):
    """A stage's state machine."""

    def push(self, events: Sequence[Event]) -> list[Event]: ...
    def state(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


class Chain:
    """Cores one behind the other, as one."""

    def __init__(self, *cores: Core) -> None:
        self._cores = cores

    def push(self, events: Sequence[Event]) -> list[Event]:
        out = list(events)
        for core in self._cores:
            out = core.push(out)
        return out

    def state(self) -> dict[str, Any]:
        return {str(k): core.state() for k, core in enumerate(self._cores)}

    def restore(self, state: dict[str, Any]) -> None:
        for k, core in enumerate(self._cores):
            core.restore(state[str(k)])


class Lifeline:
    """Tells when to stop: SIGTERM came, or the supervisor's end of the lifeline (a socket pair) closed. Tells the
    supervisor when the stage is ready."""

    def __init__(self, descriptor: int | None) -> None:
        self.descriptor = descriptor
        self._stopped = False
        self._wake, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_signal)
        # Ctrl-C reaches every process of the terminal; the supervisor decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ready(self) -> None:
        """Everything that a person could have got wrong has been tried, and was right."""
        if self.descriptor is not None:
            os.write(self.descriptor, b"r")

    @property
    def descriptors(self) -> list[int]:
        return [self._wake] if self.descriptor is None else [self._wake, self.descriptor]

    def stopped(self, readable: set[int]) -> bool:
        """After a wait that found these descriptors readable."""
        if self.descriptor is not None and self.descriptor in readable and not os.read(self.descriptor, 1):
            self._stopped = True
        return self._stopped

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopped = True


class Reporter:
    """Counts what a stage does and makes its Status."""

    def __init__(self, stage: str, detail: str) -> None:
        self._stage = stage
        self._detail = detail
        self._start = time.monotonic()
        self._since = self._start
        self._worked = 0.0
        self.events_in = 0
        self.events_out = 0
        self.samples = 0
        self.streams = 0

    def took(self, events: Sequence[Event]) -> None:
        self.events_in += len(events)
        for event in events:
            if isinstance(event, Samples):
                self.samples += event.signal.shape[1]
            elif isinstance(event, Opened):
                self.streams += 1
            elif isinstance(event, Closed):
                self.streams -= 1

    def worked(self, seconds: float) -> None:
        self._worked += seconds

    def status(self, *, lost: int = 0, repaired: int = 0, rejected: int = 0) -> Status:
        now = time.monotonic()
        busy = self._worked / max(now - self._since, 1e-6)
        self._since, self._worked = now, 0.0
        return Status(
            stage=self._stage,
            pid=os.getpid(),
            time=time.time(),
            uptime=round(now - self._start, 3),
            events_in=self.events_in,
            events_out=self.events_out,
            samples=self.samples,
            streams=self.streams,
            lost=lost,
            repaired=repaired,
            rejected=rejected,
            busy=round(min(busy, 1.0), 4),
            detail=self._detail,
        )


def stamped(events: Sequence[Event], now: float) -> list[Event]:
    """Alerts with the time at which they leave."""
    return [
        msgspec.structs.replace(event, published_time=round(now, 4)) if isinstance(event, Alert) else event
        for event in events
    ]


def run_stage(
    name: str,
    core: Core,
    subscriber: Subscriber,
    publisher: Publisher,
    lifeline: Lifeline,
    settings: LinkSettings,
    *,
    alert_socket: AlertSocket | None = None,
    detail: str = "",
) -> None:
    """Runs until the end of the link before it, or until told to stop."""
    report = Reporter(name, detail)
    silence = _Silence()
    pending: list[Event] = []
    sockets = [*subscriber.sockets, publisher.socket, *(alert_socket.sockets if alert_socket else ())]
    next_report = 0.0

    def status() -> Status:
        rejected = subscriber.rejected + publisher.rejected + (alert_socket.rejected if alert_socket else 0)
        return report.status(lost=subscriber.lost, repaired=subscriber.repaired, rejected=rejected)

    while True:
        waiting = pending and not publisher.congested
        readable = wait([*sockets, *lifeline.descriptors], 0.0 if waiting else _IDLE_S)
        if lifeline.stopped(readable):
            return
        publisher.serve()
        if alert_socket is not None:
            alert_socket.serve()
        now = time.monotonic()
        if now >= next_report:
            publisher.report(status())
            next_report = now + settings.heartbeat_s
        if publisher.congested:
            if subscriber.alive:
                subscriber.keep_alive()
            continue
        if not pending:
            pending = [event for event in subscriber.receive() if not isinstance(event, Status)]
            pending = silence.heard(pending) if pending else silence.lost(alive=subscriber.alive)
        if pending:
            bite, pending = pending[:_PUSH_EVENTS], pending[_PUSH_EVENTS:]
            report.took(bite)
            out = stamped(core.push(bite), time.time())
            report.events_out += len(out)
            publisher.send(out)
            if alert_socket is not None:
                for event in out:
                    if isinstance(event, Alert):
                        alert_socket.publish(event)
            report.worked(time.monotonic() - now)
        if not pending:
            subscriber.acknowledge()
            if subscriber.finished:
                publisher.finish(status())
                farewell(publisher, lifeline, alert_socket)
                return


def farewell(publisher: Publisher, lifeline: Lifeline, alert_socket: AlertSocket | None = None) -> None:
    """Waits until every living subscriber has everything."""
    until = time.monotonic() + _FAREWELL_S
    while not publisher.drained and time.monotonic() < until:
        if lifeline.stopped(wait([publisher.socket, *lifeline.descriptors], _IDLE_S)):
            return
        publisher.serve()
        if alert_socket is not None:
            alert_socket.serve()


class _Silence:
    """Which streams are open, and whether their source is there: makes Lost events."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[int, int]] = {}
        self._told = False

    def heard(self, events: list[Event]) -> list[Event]:
        self._told = False
        for event in events:
            if isinstance(event, Closed):
                self._streams.pop(event.stream, None)
            else:
                at = event.stop if isinstance(event, Samples) else position(event)
                self._streams[event.stream] = (event.seq, at)
        return events

    def lost(self, *, alive: bool) -> list[Event]:
        if alive or self._told:
            return []
        self._told = True
        return [Lost(stream=stream, seq=seq, sample=at) for stream, (seq, at) in self._streams.items()]
