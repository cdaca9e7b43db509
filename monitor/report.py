"""What a stage says of itself: its Status on its link, and lines in the log when something happens at its links."""

import os
import time
from collections.abc import Mapping, Sequence

from monitor.events import Closed, Event, Opened, Samples, Status
from monitor.link import Publisher, Subscriber
from monitor.log import say

_REJECTED_S = 10.0
"""s between two lines on frames that were refused: whoever sends rubbish sends much of it."""
_LOSSES = 20
"""Lines on losses at once; the rest is told as a number."""


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

    def status(
        self, *, lost: int = 0, repaired: int = 0, rejected: int = 0, trouble: str = "", silent: Sequence[str] = ()
    ) -> Status:
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
            trouble=trouble,
            silent=tuple(silent),
        )


class Teller:
    """Says in the log what has happened at a stage's links.

    Args:
        stage: its name.
        inputs: by the names of the stages before it.
    """

    def __init__(self, stage: str, inputs: Mapping[str, Subscriber], output: Publisher) -> None:
        self._stage = stage
        self._inputs = inputs
        self._output = output
        self._gone: set[str] = set()
        self._silent: set[str] = set()
        self._given_up: set[str] = set()
        self._trouble = ""
        self._rejected = 0
        self._rejected_at = -_REJECTED_S

    def tell(self, *, rejected: int, trouble: str = "") -> None:
        """What is new since the last time.

        Args:
            rejected: frames refused since the start.
            trouble: what the stage cannot do at present.
        """
        for name, link in self._inputs.items():
            losses = link.losses()
            for loss in losses[:_LOSSES]:
                say(self._stage, "events lost", link=name, stream=loss.stream, first=loss.first, last=loss.last)
            if len(losses) > _LOSSES:
                say(self._stage, "events lost", link=name, further=len(losses) - _LOSSES)
        gone = {name for name, link in self._inputs.items() if link.gone}
        self._changed("publisher gone", "publisher back", self._gone, gone)
        silent, given_up = self._output.silent, self._output.given_up
        self._changed("subscriber gone", "subscriber back", self._silent, silent)
        self._changed("subscriber given up", "subscriber held for again", self._given_up, given_up)
        self._gone, self._silent, self._given_up = gone, silent, given_up
        now = time.monotonic()
        if rejected > self._rejected and now - self._rejected_at >= _REJECTED_S:
            say(self._stage, "frames rejected", count=rejected - self._rejected, since_start=rejected)
            self._rejected, self._rejected_at = rejected, now
        if trouble != self._trouble:
            say(self._stage, "trouble" if trouble else "trouble over", why=trouble or self._trouble)
            self._trouble = trouble

    def finished(self, status: Status) -> None:
        """Everything is done."""
        totals = {name: getattr(status, name) for name in ("events_in", "events_out", "samples", "lost", "repaired")}
        say(self._stage, "finished", **totals, rejected=status.rejected)

    def _changed(self, lost: str, found: str, before: set[str], now: set[str]) -> None:
        for name in sorted(now - before):
            say(self._stage, lost, name=name)
        for name in sorted(before - now):
            say(self._stage, found, name=name)
