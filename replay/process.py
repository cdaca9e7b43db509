"""The source stage: one process that plays any number of sources, in time, onto one link."""

import time
from typing import Any

from monitor.config import Settings
from monitor.events import FS, Closed, Event, Samples, Status, position
from monitor.keeper import Checkpoints, Keeper
from monitor.link import Publisher, new_context, wait
from monitor.report import Reporter, Teller
from monitor.sources import LiveSource, SourceRequest, open_source
from monitor.stage import Lifeline, gone, until_farewell
from monitor.wire import decode, encode
from replay.pacer import Pacer

_MOST = 1000
"""Events in a message, of those that had to wait."""
_SLICE_S = 0.05
"""s; the longest wait, so that requests and signals are answered at any speed."""


class _Playing:
    """One source, how far it has got, and when the next samples are due."""

    def __init__(self, request: SourceRequest, settings: Settings, speed: float | None) -> None:
        self.stream = request.stream
        self.source = source = open_source(request, settings)
        self.live = source if isinstance(source, LiveSource) else None
        self.pacer = Pacer(speed, settings.source)
        self.position = 0
        self.done = False

    @property
    def delay(self) -> float:
        """s until the next chunk is due; nobody knows when a device's is."""
        return self.pacer.delay(self.position) if self.live is None else _SLICE_S

    def read(self) -> list[Event]:
        """The next chunk."""
        return self._took(self.source.read(self.pacer.chunk))

    def state(self, wall: float) -> dict[str, Any]:
        return {
            "source": self.source.state(),
            "pacer": self.pacer.state(wall),
            "position": self.position,
            "done": self.done,
        }

    def restore(self, state: dict[str, Any], wall: float) -> None:
        self.source.restore(state["source"])
        self.position, self.done = state["position"], state["done"]
        self.pacer.restore(state["pacer"], self.position, wall)

    def again(self) -> list[Event]:
        """What a device gave after that state was taken."""
        return self._took(self.live.again()) if self.live is not None else []

    def _took(self, events: list[Event]) -> list[Event]:
        for event in events:
            self.position = max(self.position, getattr(event, "stop", position(event)))
            self.done = self.done or isinstance(event, Closed)
        return events


def main(
    requests: list[SourceRequest],
    speed: float | None,
    settings: Settings,
    endpoint: str,
    lifeline: Lifeline,
    *,
    awaits: list[str],
    keeper: Keeper | None,
    state: dict[str, Any] | None,
) -> None:
    """Plays until all sources have ended or it is told to stop.

    Raises:
        UserError: a source cannot be opened, or the endpoint not be bound.
    """
    playing = [_Playing(request, settings, speed) for request in requests]
    backlog: list[Event] = []
    for number, each in enumerate(playing):
        if each.live is not None and keeper is not None:
            each.live.keep(keeper.path.with_name(f"{keeper.path.stem}.{number}.journal"))
    if state is not None:
        backlog += [event for event in decode(state["backlog"]).events if not isinstance(event, Status)]
        for each, former in zip(playing, state["sources"], strict=True):
            each.restore(former, time.time())
            backlog += each.again()
    context = new_context(settings.security)
    publisher = Publisher(context, endpoint, settings.link, awaits=awaits, state=state["out"] if state else None)
    checkpoints = Checkpoints(keeper, settings.checkpoint)
    lifeline.ready()
    try:
        loop = _Loop(playing, backlog, speed, publisher, checkpoints, lifeline, settings)
        if state is None:
            checkpoints.now(loop.state)  # the lineage is on the disk before anybody hears of it
        loop.run()
    finally:
        checkpoints.close()
        for each in playing:
            each.source.close()
        publisher.close()
        context.term()


class _Loop:
    """Reads what is due and publishes it."""

    def __init__(
        self,
        playing: list[_Playing],
        backlog: list[Event],
        speed: float | None,
        publisher: Publisher,
        checkpoints: Checkpoints,
        lifeline: Lifeline,
        settings: Settings,
    ) -> None:
        self._playing = playing
        self._backlog = backlog
        """Read, and not yet published."""
        self._room = round(settings.device.backlog_s * FS) * max(1, sum(each.live is not None for each in playing))
        self._publisher = publisher
        self._checkpoints = checkpoints
        self._lifeline = lifeline
        self._settings = settings.link
        self._report = Reporter("source", f"speed {'max' if speed is None else f'{speed:g}'}")
        self._teller = Teller("source", {}, publisher)
        self._next_report = 0.0
        self._kept = checkpoints.none

    def run(self) -> None:
        while self._backlog or not all(each.done for each in self._playing):
            began = time.monotonic()
            congested = self._publisher.congested
            for each in self._playing:
                # A recording waits; a device does not, as long as there is room.
                if not each.done and (self._has_room if each.live is not None else not congested and each.delay <= 0.0):
                    self._took(each.read())
            while self._backlog and not self._publisher.congested:
                batch, self._backlog = self._backlog[:_MOST], self._backlog[_MOST:]
                self._report.events_out += len(batch)
                self._publisher.send(batch)
                self._report.worked(time.monotonic() - began)
                began = time.monotonic()
            delays = [each.delay for each in self._playing if not each.done]
            pause = _SLICE_S if self._publisher.congested else min([*delays, _SLICE_S])
            if self._served(pause):
                return
        self._publisher.finish(self._status())
        until = until_farewell()
        while not (self._kept and gone(self._publisher, until)):
            if not self._kept:
                self._checkpoints.take(self.state, at_once=True)
            if self._served(_SLICE_S):
                return
        self._teller.finished(self._status())

    def _served(self, pause: float) -> bool:
        """Everything besides the work, for up to ``pause`` s; whether it is told to stop."""
        busy = self._publisher.answering
        watched: list[Any] = [self._publisher.socket, *self._lifeline.descriptors]
        if self._has_room:
            devices = [each.live.descriptor for each in self._playing if each.live is not None and not each.done]
            watched += [descriptor for descriptor in devices if descriptor is not None]
        if self._lifeline.stopped(wait(watched, 0.0 if busy else pause)):
            return True
        self._publisher.serve()
        now = time.monotonic()
        if now >= self._next_report:
            status = self._status()
            self._publisher.report(status)
            self._teller.tell(rejected=status.rejected, trouble=status.trouble)
            self._lifeline.alive()
            self._next_report = now + self._settings.heartbeat_s
        for done in self._checkpoints.done():
            self._kept = done["final"]
            if not self._checkpoints.trouble:
                for each, journal in zip(self._playing, done["journals"], strict=True):
                    if each.live is not None:
                        each.live.settled(journal)
        self._checkpoints.take(self.state)
        return False

    def state(self) -> dict[str, Any]:
        """For a checkpoint: plain types and bytes."""
        wall = time.time()
        sources = [each.state(wall) for each in self._playing]
        return {
            "sources": sources,
            "backlog": encode(self._backlog, run=0, lineage=0, number=0),
            "out": self._publisher.state(),
            # What comes back when it is written: whether all has ended, and what of their journals devices still need.
            "in": {
                "final": self._publisher.final,
                "journals": [state["source"].get("journal") for state in sources],
            },
        }

    @property
    def _has_room(self) -> bool:
        return sum(int(event.signal.shape[1]) for event in self._backlog if isinstance(event, Samples)) < self._room

    def _took(self, events: list[Event]) -> None:
        self._report.took(events)
        self._backlog += events

    def _status(self) -> Status:
        live = [each for each in self._playing if each.live is not None]
        troubles = {each.live.trouble for each in live if each.live is not None} | {self._checkpoints.trouble}
        return self._report.status(
            rejected=self._publisher.rejected + sum(each.live.refused for each in live if each.live is not None),
            trouble="; ".join(sorted(troubles - {""})),
            silent=[each.stream for each in live if each.live is not None and not each.done and each.live.silent],
        )
