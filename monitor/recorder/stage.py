"""The recorder's loop: signals from the source's link, beats and alerts from the classifier's, into files.

It writes checkpoints as the stages between two links do, and its files are part of them: what was written after the
last is cut off again and comes anew. A checkpoint names new files before anything is in them: what a next life finds
and does not know is somebody else's.

Law: a disk that is full, away or read-only, and files that cannot be opened, end nothing. The signal of that time is
missing from the record; beats and alerts wait in memory, and in the checkpoint; the status says what cannot be written,
of one stream without harm to the others, of its strips or header without harm to its signal, and it is tried again.
"""

import enum
import functools
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from monitor.config import Settings
from monitor.events import Alert, AlertState, Closed, Event, Opened, Samples, Status
from monitor.keeper import Checkpoints
from monitor.link import Publisher, Subscriber, wait
from monitor.log import say
from monitor.recorder import strips
from monitor.recorder.files import StreamFiles, file_name, names_in
from monitor.report import Reporter, Teller
from monitor.stage import Lifeline

_IDLE_S = 0.05
"""s; the loop looks at the clock this often even when nothing comes."""
_RETRY_S = 2.0
"""s between two attempts to write to a disk that refused."""


class _Part(enum.Enum):
    """What is refused by itself: a strip or a header needs a new file where the signal has its own."""

    SIGNAL = enum.auto()
    LINES = enum.auto()
    """Beats and alerts, the header, and the end."""
    STRIPS = enum.auto()


class Recorder:
    """Everything that is written down, of all streams.

    Args:
        folder: for the files; made if need be.
        state: to go on from, as :meth:`state` gave it.
        beside: files that are there already are left alone, and new ones get other names.

    Raises:
        UserError: the files that are there are not those of the state.
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, state: dict[str, Any] | None = None, *, beside: bool = False) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".writing-*"):  # a former life was killed while it wrote annotations
            shutil.rmtree(left, ignore_errors=True)
        self._names: dict[str, str] = {}
        """Of the files, by stream."""
        self._taken = names_in(folder) if beside else []
        self._files: dict[str, StreamFiles] = {}
        """By their names; those of streams that have ended until all is written."""
        self._wanted: list[tuple[str, strips.Wanted]] = []
        self._refused: dict[tuple[str, _Part], tuple[float, str]] = {}
        """By the files' names and part: when (monotonic s) and why it could not be written."""
        if state is not None:
            self._names, self._taken = dict(state["names"]), list(state["taken"])
            try:
                for name, own in state["files"].items():
                    self._files[name] = StreamFiles(folder, name, own)
            except BaseException:
                self.close()
                raise
            self._wanted = [(name, strips.Wanted(alert, sample)) for name, alert, sample in state["wanted"]]

    @property
    def trouble(self) -> str:
        """What cannot be written at present; "" when all can."""
        if not self._refused:
            return ""
        _, why = next(iter(self._refused.values()))
        return f"cannot record {', '.join(dict.fromkeys(name for name, _ in self._refused))}: {why}"

    @property
    def descriptors(self) -> list[int]:
        return [one for files in self._files.values() for one in files.descriptors]

    @property
    def done(self) -> bool:
        """Nothing waits to be written."""
        return not self._wanted and all(files.finished or not files.closed for files in self._files.values())

    @property
    def waiting(self) -> int:
        """Beats and alerts that could not be written yet."""
        return sum(files.waiting for files in self._files.values())

    def state(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "names": self._names,
            "taken": self._taken,
            "files": {name: files.state() for name, files in self._files.items()},
            "wanted": [(name, strip.alert, strip.sample) for name, strip in self._wanted],
        }

    def opens(self, event: Event, *, judged: bool) -> bool:
        """It wants files that are not there yet."""
        former = self._files.get(self._names.get(event.stream, ""))
        if judged:
            return former is None
        return isinstance(event, Opened) and (former is None or former.stop > 0)

    def begin(self, events: Sequence[Event]) -> None:
        """Makes files for the first of these events, which :meth:`opens` them, and for those that will want some too.

        Raises:
            UserError: there are such files already.
        """
        former = self._files.get(self._names.get(events[0].stream, ""))
        if former is not None:  # the source has begun anew: so does the record
            former.close_off()
            del self._names[events[0].stream]
        for event in (events[0], *(event for event in events if isinstance(event, Opened))):
            self._of(event.stream)

    def signal(self, event: Event) -> None:
        """An event of the source's link."""
        if self.opens(event, judged=False):
            self.begin([event])
        elif self._names.get(event.stream) not in self._files:
            return
        files = self._of(event.stream)
        if not isinstance(event, Samples) or not self._resting(files.name, _Part.SIGNAL):
            self._try(files.name, _Part.SIGNAL, functools.partial(files.signal, event))
        if isinstance(event, Opened):
            self._try(files.name, _Part.LINES, files.flush)
        elif isinstance(event, Closed):  # there is nothing left that could not be written
            self._refused.pop((files.name, _Part.SIGNAL), None)

    def judged(self, event: Event) -> None:
        """An event of the classifier's link."""
        files = self._of(event.stream)
        self._try(files.name, _Part.LINES, functools.partial(files.judged, event))
        if isinstance(event, Alert) and event.state is AlertState.RAISED:
            self._wanted.append((files.name, strips.wanted(event)))

    def turn(self) -> None:
        """What is due besides the events: strips, the ends of records, and what could not be written before."""
        for name, files in self._files.items():
            if not self._resting(name, _Part.LINES):
                self._try(name, _Part.LINES, files.flush)
        for name, strip in list(self._wanted):
            files = self._files[name]
            if self._resting(name, _Part.STRIPS) or not strips.due(strip, files):
                continue
            if self._try(name, _Part.STRIPS, functools.partial(strips.write, self._folder / "strips", strip, files)):
                self._wanted.remove((name, strip))
        kept = {name for name, _ in self._wanted}
        for name, files in list(self._files.items()):
            if files.closed and not files.finished and not self._resting(name, _Part.LINES):
                self._try(name, _Part.LINES, files.finish)
            if files.finished and name not in kept:
                files.close()
                del self._files[name]
                for part in _Part:
                    self._refused.pop((name, part), None)

    def finish(self) -> None:
        """Headers and annotations of what there is; an end that was not the streams' own."""
        for name, files in self._files.items():
            self._try(name, _Part.LINES, files.finish)

    def close(self) -> None:
        for files in self._files.values():
            files.close()

    def _resting(self, name: str, part: _Part) -> bool:
        """It was refused a moment ago."""
        return (name, part) in self._refused and time.monotonic() - self._refused[name, part][0] < _RETRY_S

    def _of(self, stream: str) -> StreamFiles:
        name = self._names.get(stream, "")
        if name not in self._files:
            name = file_name(stream, self._taken)
            self._files[name] = StreamFiles(self._folder, name)
            self._names[stream] = name
            self._taken.append(name)
        return self._files[name]

    def _try(self, name: str, part: _Part, write: Callable[[], None]) -> bool:
        try:
            write()
        except OSError as error:
            self._refused[name, part] = (time.monotonic(), error.strerror or str(error))
            return False
        if not self._resting(name, part):
            self._refused.pop((name, part), None)
        return True


def run_recorder(
    recorder: Recorder,
    signals: Subscriber,
    judgements: Subscriber,
    reports: Publisher,
    lifeline: Lifeline,
    settings: Settings,
    checkpoints: Checkpoints,
) -> None:
    """Until both links have ended, or until told to stop."""
    report = Reporter("recorder", "")
    links = (signals, judgements)
    teller = Teller("recorder", {"source": signals, "classifier": judgements}, reports)
    sockets = [*signals.sockets, *judgements.sockets, reports.socket]
    next_report = 0.0
    over = False

    pending: dict[Subscriber, Sequence[Event]] = {}

    def state() -> dict[str, Any]:
        source, classifier = (link.state(pending.get(link, ())) for link in links)
        return {"recorder": recorder.state(), "in": {"source": source, "classifier": classifier}}

    def status() -> Status:
        return report.status(
            lost=sum(link.lost for link in links),
            repaired=sum(link.repaired for link in links),
            rejected=sum(link.rejected for link in links),
            trouble="; ".join(filter(None, (recorder.trouble, checkpoints.trouble))),
        )

    while True:
        if lifeline.stopped(wait([*sockets, *lifeline.descriptors], _IDLE_S)):
            recorder.finish()
            if recorder.trouble:
                say("recorder", "stopped with work left", why=recorder.trouble, waiting=recorder.waiting)
            return
        reports.serve()
        now = time.monotonic()
        for link, take in ((signals, recorder.signal), (judgements, recorder.judged)):
            events = [event for event in link.receive() if not isinstance(event, Status)]
            if link is signals:
                report.took(events)
            else:
                report.events_in += len(events)
            for k, event in enumerate(events):
                if recorder.opens(event, judged=link is judgements):
                    recorder.begin(events[k:])
                    pending[link] = events[k:]
                    checkpoints.now(state)
                    pending.clear()
                take(event)
            link.acknowledge()
        recorder.turn()
        report.worked(time.monotonic() - now)
        ended = judgements.finished and signals.finished
        for taken in checkpoints.done():
            signals.settled(taken["source"])
            judgements.settled(taken["classifier"])
            over = taken["classifier"]["over"] and taken["source"]["over"]
        if (over or (ended and checkpoints.none)) and recorder.done:
            teller.finished(status())
            return
        if now >= next_report:
            latest = status()
            reports.report(latest)
            teller.tell(rejected=latest.rejected, trouble=latest.trouble)
            lifeline.alive()
            next_report = now + settings.link.heartbeat_s
        checkpoints.take(state, at_once=ended and not over, files=recorder.descriptors)
