"""Folds what the stages publish into one frozen :class:`Snapshot`: the boundary between the links and the screen.

Laws:

* Pure: no clock, no socket, no terminal. Wall time comes in as ``now``, seconds since the Unix epoch.
* Events of one link come in order and once, as the link sees to it; those of different links interleave freely.
* A snapshot never changes after it was taken.
"""

from collections import deque
from collections.abc import Iterable

from monitor.config import Settings
from monitor.events import Event, Status
from monitor.stream_fold import StreamFold
from monitor.views import Snapshot, StageState, StageView

__all__ = ["STAGES", "Fold", "Snapshot"]

STAGES = ("source", "detector", "classifier")
"""Along the flow; these are expected, others are listed as they report."""
REPORTS = 5
"""Reports over which a throughput is taken: 2 s at two a second, so that the figure can be read."""


class _StageFold:
    """The reports of one stage."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._reports: deque[Status] = deque(maxlen=REPORTS)
        self._heard = 0.0
        self._restarts = 0

    def advance(self, report: Status, now: float) -> None:
        if self._reports and self._reports[-1].pid != report.pid:
            self._restarts += 1
            self._reports.clear()  # its counters begin at zero again
        self._reports.append(report)
        self._heard = now

    def view(self, now: float, dead_s: float, over: bool) -> StageView:
        if not self._reports:
            return StageView(
                name=self._name, state=StageState.STARTING, age=0.0, events_in=0.0, events_out=0.0, samples=0.0,
                lost=0, repaired=0, rejected=0, busy=0.0, restarts=0, detail="", trouble="",
            )  # fmt: skip
        first, last = self._reports[0], self._reports[-1]
        elapsed = last.time - first.time
        per_s = 1 / elapsed if elapsed > 0 else 0.0
        age = max(0.0, now - self._heard)
        state = StageState.UP if age <= dead_s else StageState.STOPPED if over else StageState.DOWN
        return StageView(
            name=self._name,
            state=state,
            age=age,
            events_in=(last.events_in - first.events_in) * per_s,
            events_out=(last.events_out - first.events_out) * per_s,
            samples=(last.samples - first.samples) * per_s,
            lost=last.lost,
            repaired=last.repaired,
            rejected=last.rejected,
            busy=last.busy if state is StageState.UP else 0.0,
            restarts=self._restarts,
            detail=last.detail,
            trouble=last.trouble,
        )


class Fold:
    """Events in, snapshots out."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._streams: dict[str, StreamFold] = {}
        self._stages = {name: _StageFold(name) for name in STAGES}

    def advance(self, events: Iterable[Event | Status], now: float) -> None:
        """Takes in what has come by ``now``."""
        for event in events:
            if isinstance(event, Status):
                self._stages.setdefault(event.stage, _StageFold(event.stage)).advance(event, now)
                continue
            stream = self._streams.get(event.stream)
            if stream is None or stream.succeeded_by(event):
                stream = self._streams[event.stream] = StreamFold(event.stream, self._settings, now)
            stream.advance(event, now)

    def streams(self) -> tuple[str, ...]:
        """Names of the streams, in the order in which they appeared."""
        return tuple(self._streams)

    def snapshot(self, now: float, focus: int | None = None) -> Snapshot:
        """Everything a screen shows.

        Args:
            now: wall clock.
            focus: index of the one stream whose waveform, trend and log are wanted; None: of all of them. With
                many streams, copying what is not shown would be most of the work.
        """
        over = bool(self._streams) and all(stream.closed for stream in self._streams.values())
        dead_s = self._settings.link.dead_s
        return Snapshot(
            now=now,
            streams=tuple(s.view(now, focus in (None, i)) for i, s in enumerate(self._streams.values())),
            stages=tuple(stage.view(now, dead_s, over) for stage in self._stages.values()),
        )
