"""The recorder's loop: signals from the source's link, beats and alerts from the classifier's, into files.

It writes checkpoints as the stages between two links do, and its files are part of them: what was written after the
last is cut off again and comes anew. A disk that is full stops the signal's recording until there is room; the span is
missing from the file then, and the status says so. Beats and alerts wait in memory meanwhile.
"""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from monitor.config import Settings
from monitor.events import Alert, AlertState, Closed, Event, Opened, Samples, Status
from monitor.link import Publisher, Subscriber, wait
from monitor.recorder import strips
from monitor.recorder.files import StreamFiles, file_name
from monitor.stage import Checkpoints, Lifeline, Reporter

_IDLE_S = 0.05
"""s; the loop looks at the clock this often even when nothing comes."""
_RETRY_S = 2.0
"""s between two attempts to write to a disk that refused."""


class Recorder:
    """Everything that is written down, of all streams.

    Args:
        folder: for the files; made if need be.
        state: to go on from, as :meth:`state` gave it.

    Raises:
        UserError: the files that are there are not those of the state.
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, state: dict[str, Any] | None = None) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._names: dict[str, str] = {}
        self._taken: list[str] = []
        self._files: dict[str, StreamFiles] = {}
        self._wanted: list[tuple[str, strips.Wanted]] = []
        self._refused = 0.0
        self.trouble = ""
        if state is not None:
            self._names, self._taken = dict(state["names"]), list(state["taken"])
            for stream, own in state["files"].items():
                self._files[stream] = StreamFiles(folder, self._names[stream], own)
            self._wanted = [(stream, strips.Wanted(alert, sample)) for stream, alert, sample in state["wanted"]]

    @property
    def descriptors(self) -> list[int]:
        return [one for files in self._files.values() for one in files.descriptors]

    def state(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "names": self._names,
            "taken": self._taken,
            "files": {stream: files.state() for stream, files in self._files.items()},
            "wanted": [(stream, strip.alert, strip.sample) for stream, strip in self._wanted],
        }

    def signal(self, event: Event) -> None:
        """An event of the source's link."""
        if isinstance(event, Opened) and event.stream in self._files and self._files[event.stream].stop:
            self._try(self._files[event.stream].finish)  # the source has begun anew: so does the record
            self._files[event.stream].close()
            del self._files[event.stream]
        if isinstance(event, Opened) or event.stream in self._files:
            files = self._of(event.stream)
            if not isinstance(event, Samples) or not self._waiting:
                self._try(functools.partial(files.signal, event))

    def judged(self, event: Event) -> None:
        """An event of the classifier's link."""
        files = self._of(event.stream)
        self._try(functools.partial(files.judged, event))
        if isinstance(event, Alert) and event.state is AlertState.RAISED:
            self._wanted.append((event.stream, strips.wanted(event)))
        if isinstance(event, Closed):
            self._try(files.finish)

    def turn(self) -> None:
        """What is due besides the events: strips, and what could not be written before."""
        if self._waiting:
            return
        for files in self._files.values():
            self._try(files.flush)
        for stream, strip in list(self._wanted):
            files = self._files[stream]
            if not strips.due(strip, files):
                continue
            if self._try(functools.partial(strips.write, self._folder / "strips", strip, files)):
                self._wanted.remove((stream, strip))

    def finish(self) -> None:
        """Headers and annotations of what there is; an end that was not the streams' own."""
        for files in self._files.values():
            self._try(files.finish)

    def close(self) -> None:
        for files in self._files.values():
            files.close()

    @property
    def _waiting(self) -> bool:
        return bool(self.trouble) and time.monotonic() - self._refused < _RETRY_S

    def _of(self, stream: str) -> StreamFiles:
        if stream not in self._files:
            name = self._names[stream] = file_name(stream, self._taken)
            self._taken.append(name)
            self._files[stream] = StreamFiles(self._folder, name)
        return self._files[stream]

    def _try(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except OSError as error:
            self.trouble = f"cannot record: {error.strerror or error}"
            self._refused = time.monotonic()
            return False
        if not self._waiting:
            self.trouble = ""
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
    sockets = [*signals.sockets, *judgements.sockets, reports.socket]
    next_report = 0.0
    over = False

    def state() -> dict[str, Any]:
        return {"recorder": recorder.state(), "in": {"source": signals.state(), "classifier": judgements.state()}}

    while True:
        if lifeline.stopped(wait([*sockets, *lifeline.descriptors], _IDLE_S)):
            recorder.finish()
            return
        reports.serve()
        now = time.monotonic()
        for link, take in ((signals, recorder.signal), (judgements, recorder.judged)):
            events = [event for event in link.receive() if not isinstance(event, Status)]
            report.took(events)
            for event in events:
                take(event)
            link.acknowledge()
        recorder.turn()
        report.worked(time.monotonic() - now)
        for taken in checkpoints.done():
            signals.settled(taken["source"])
            judgements.settled(taken["classifier"])
            over = taken["classifier"]["over"] and taken["source"]["over"]
        if over:
            return
        if now >= next_report:
            trouble = "; ".join(filter(None, (recorder.trouble, checkpoints.trouble)))
            reports.report(report.status(lost=signals.lost + judgements.lost, trouble=trouble))
            lifeline.alive()
            next_report = now + settings.link.heartbeat_s
        checkpoints.take(state, at_once=judgements.finished and signals.finished, files=recorder.descriptors)
