"""The source stage: one process that plays any number of sources, in time, onto one link."""

import time
from typing import Any

from monitor.config import LinkSettings, Settings
from monitor.events import Closed, Event, Status, position
from monitor.keeper import Checkpoints, Keeper
from monitor.link import Publisher, new_context, wait
from monitor.report import Reporter, Teller
from monitor.sources import Source, SourceRequest, open_source
from monitor.stage import Lifeline, gone, until_farewell
from replay.pacer import Pacer

_SLICE_S = 0.05
"""s; the longest wait, so that requests and signals are answered at any speed."""


class _Playing:
    """One source, how far it has got, and when the next samples are due."""

    def __init__(self, source: Source, pacer: Pacer) -> None:
        self.source = source
        self.pacer = pacer
        self.position = 0
        self.done = False

    @property
    def delay(self) -> float:
        """s until the next chunk is due."""
        return self.pacer.delay(self.position)

    def read(self) -> list[Event]:
        """The next chunk."""
        events = self.source.read(self.pacer.chunk)
        for event in events:
            self.position = max(self.position, getattr(event, "stop", position(event)))
            self.done = self.done or isinstance(event, Closed)
        return events

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
    playing = [_Playing(open_source(request, settings), Pacer(speed, settings.source)) for request in requests]
    if state is not None:
        for each, former in zip(playing, state["sources"], strict=True):
            each.restore(former, time.time())
    context = new_context(settings.security)
    publisher = Publisher(context, endpoint, settings.link, awaits=awaits, state=state["out"] if state else None)
    checkpoints = Checkpoints(keeper, settings.checkpoint)
    lifeline.ready()
    try:
        loop = _Loop(playing, speed, publisher, checkpoints, lifeline, settings.link)
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
        speed: float | None,
        publisher: Publisher,
        checkpoints: Checkpoints,
        lifeline: Lifeline,
        settings: LinkSettings,
    ) -> None:
        self._playing = playing
        self._publisher = publisher
        self._checkpoints = checkpoints
        self._lifeline = lifeline
        self._settings = settings
        self._report = Reporter("source", f"speed {'max' if speed is None else f'{speed:g}'}")
        self._teller = Teller("source", {}, publisher)
        self._next_report = 0.0
        self._kept = checkpoints.none

    def run(self) -> None:
        while not all(each.done for each in self._playing):
            began = time.monotonic()
            batch: list[Event] = []
            if not self._publisher.congested:
                for each in self._playing:
                    if not each.done and each.delay <= 0.0:
                        batch += each.read()
                self._report.took(batch)
                self._report.events_out += len(batch)
                self._publisher.send(batch)
                self._report.worked(time.monotonic() - began)
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
        if self._lifeline.stopped(wait([self._publisher.socket, *self._lifeline.descriptors], 0.0 if busy else pause)):
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
            self._kept = bool(done)
        self._checkpoints.take(self.state)
        return False

    def state(self) -> dict[str, Any]:
        """For a checkpoint: plain types and bytes."""
        wall = time.time()
        # "in": what the checkpoint says of the input, for a source whether it has ended.
        return {
            "sources": [each.state(wall) for each in self._playing],
            "out": self._publisher.state(),
            "in": self._publisher.final,
        }

    def _status(self) -> Status:
        return self._report.status(rejected=self._publisher.rejected, trouble=self._checkpoints.trouble)
