"""The source stage: one process that plays any number of sources, in time, onto one link."""

import time

from monitor.config import Settings
from monitor.events import Closed, Event, position
from monitor.link import Publisher, new_context, wait
from monitor.sources import Source, SourceRequest, open_source
from monitor.stage import Lifeline, Reporter, farewell
from replay.pacer import Pacer

_SLICE_S = 0.05
"""s; the longest wait, so that requests and signals are answered at any speed."""


class _Playing:
    """One source and how far it has got."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.position = 0
        self.done = False

    def read(self, samples: int) -> list[Event]:
        events = self.source.read(samples)
        for event in events:
            self.position = max(self.position, getattr(event, "stop", position(event)))
            self.done = self.done or isinstance(event, Closed)
        return events


def main(
    requests: list[SourceRequest], speed: float | None, settings: Settings, endpoint: str, lifeline: Lifeline
) -> None:
    """Plays until all sources have ended or it is told to stop.

    Raises:
        UserError: a source cannot be opened, or the endpoint not be bound.
    """
    playing = [_Playing(open_source(request, settings)) for request in requests]
    pacers = [Pacer(speed, settings.source) for _ in playing]
    context = new_context()
    publisher = Publisher(context, endpoint, settings.link, awaits=1)
    report = Reporter("source", f"speed {'max' if speed is None else f'{speed:g}'}")
    lifeline.ready()
    next_report = 0.0
    try:
        while True:
            now = time.monotonic()
            if now >= next_report:
                publisher.report(report.status(rejected=publisher.rejected))
                next_report = now + settings.link.heartbeat_s
            batch: list[Event] = []
            if not publisher.congested:
                for each, pacer in zip(playing, pacers, strict=True):
                    if not each.done and pacer.delay(each.position) <= 0.0:
                        batch += each.read(pacer.chunk)
                report.took(batch)
                report.events_out += len(batch)
                publisher.send(batch)
                report.worked(time.monotonic() - now)
            if all(each.done for each in playing):
                publisher.finish(report.status(rejected=publisher.rejected))
                farewell(publisher, lifeline)
                return
            open_ = [(e, p) for e, p in zip(playing, pacers, strict=True) if not e.done]
            pause = _SLICE_S if publisher.congested else min(p.delay(e.position) for e, p in open_)
            readable = wait([publisher.socket, *lifeline.descriptors], min(pause, _SLICE_S))
            if lifeline.stopped(readable):
                return
            publisher.serve()
    finally:
        for each in playing:
            each.source.close()
        publisher.close()
        context.term()
