"""One core between two links: receive, push, publish, checkpoint. The only loop there is, whatever the stage.

The loop also is the edge where the wall clock comes in: it stamps alerts, reports once a ``link.heartbeat_s``, and
tells the core of sources that have gone silent. It ends when everything before it has ended and everything after it
has what was made, when it is told to (SIGTERM), or when its supervisor is gone (the lifeline closes).

Laws, for a stage that keeps checkpoints:

* A checkpoint is taken between two pushes: the core's state, what of its input went into it, and what of its output
  those behind may still ask for belong together.
* What a core makes depends on its input alone, so that what was published after the last checkpoint is made again,
  with the same numbers, and the receiver drops what it has. What came from nowhere but here (a person's command, a
  source gone silent, a gap that was given up) would not come again: it is in a checkpoint before its effects leave.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any, Protocol

import msgspec

from monitor.config import LinkSettings
from monitor.events import Alert, Closed, Command, Event, Gap, Lost, Samples, Status, position
from monitor.keeper import Checkpoints
from monitor.link import AlertSocket, ControlSocket, Publisher, Subscriber, wait
from monitor.report import Reporter, Teller
from monitor.wire import Wired

_IDLE_S = 0.05
"""s; the loop wakes up this often even when nothing comes, to look at the clock."""
_SIGN_S = 0.5
"""s between two signs of life at least."""
_ORPHAN_S = 1.0
"""s that a stage has for closing in good order when its supervisor is gone."""
_PUSH_EVENTS = 256
"""Events pushed at once: what a repair brings is taken in bites, so that heartbeats go on."""
_FAREWELL_S = 2.0
"""s that the last messages may take to reach subscribers that nobody needs."""


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
    """Between a stage and its supervisor. Tells when to stop: SIGTERM came, or the supervisor's end of the lifeline (a
    socket pair) closed. Tells the supervisor when the stage is ready, and that it lives."""

    def __init__(self, descriptor: int | None) -> None:
        self.descriptor = descriptor
        self._stopped = False
        self._said = 0.0
        self._wake, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_signal)
        # Ctrl-C reaches every process of the terminal; the supervisor decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

        self._ready = False
        if descriptor is not None:
            os.set_blocking(descriptor, False)
            threading.Thread(target=self._watch, args=(descriptor,), name="lifeline", daemon=True).start()

    def stand_by(self) -> None:
        """Everything is loaded: waits until the supervisor needs this process, in place of one that died."""
        if self.descriptor is None:
            return
        os.write(self.descriptor, b"s")
        select.select([self.descriptor], [], [])
        if not os.read(self.descriptor, 1):
            os._exit(0)  # the supervisor is gone, and it was never needed

    def ready(self) -> None:
        """Everything that a person could have got wrong has been tried, and was right."""
        self._ready = True
        if self.descriptor is not None:
            os.write(self.descriptor, b"r")

    def alive(self) -> None:
        """The stage's loop goes round: a supervisor that does not hear it for long enough starts the stage anew."""
        now = time.monotonic()
        if self.descriptor is not None and now - self._said > _SIGN_S:
            self._said = now
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                os.write(self.descriptor, b".")

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

    def _watch(self, descriptor: int) -> None:
        """Ends the process when the supervisor is gone and the loop does not see to it: it still loads, or hangs."""
        hangup = select.poll()
        hangup.register(descriptor, 0)  # of what is sent nothing wakes it, only that the other end is gone
        hangup.poll()
        if self._ready:
            time.sleep(_ORPHAN_S)
        os._exit(1)


def stamped(events: Sequence[Event], now: float) -> list[Event]:
    """Alerts with the time at which they leave."""
    return [
        msgspec.structs.replace(event, published_time=round(now, 4)) if isinstance(event, Alert) else event
        for event in events
    ]


def repeatable(event: Event) -> bool:
    """It would come again, should this stage die now."""
    return not isinstance(event, Lost | Command) and not (isinstance(event, Gap) and event.cause == "lost")


class Stage:
    """A core between two links.

    Args:
        streams: those that were open in a former life, as its checkpoint says; None: there was none.
        before: the name of the stage before it.
    """

    def __init__(
        self,
        name: str,
        core: Core,
        subscriber: Subscriber,
        publisher: Publisher,
        lifeline: Lifeline,
        settings: LinkSettings,
        checkpoints: Checkpoints,
        *,
        alert_socket: AlertSocket | None = None,
        control: ControlSocket | None = None,
        streams: dict[str, Sequence[int]] | None = None,
        detail: str = "",
        before: str = "input",
    ) -> None:
        self._core = core
        self._subscriber = subscriber
        self._publisher = publisher
        self._lifeline = lifeline
        self._settings = settings
        self._checkpoints = checkpoints
        self._alert_socket = alert_socket
        self._control = control
        self._report = Reporter(name, detail)
        self._teller = Teller(name, {before: subscriber}, publisher)
        self._silence = _Silence(streams or {})
        self._fresh = streams is None
        self._pending: list[Event] = []
        self._next_report = 0.0
        self._ended = checkpoints.none
        """A checkpoint holds that everything is done."""
        if alert_socket is not None:
            alert_socket.begin(publisher.lineage)
        self._others = [publisher.socket, *(alert_socket.sockets if alert_socket else ())]
        if control is not None:
            self._others.append(control.socket)

    def run(self) -> None:
        """Until the end of the link before it, or until told to stop."""
        if self._fresh:
            # The lineage is on the disk before anybody hears of it.
            self._checkpoints.now(self._state)
        while not self._subscriber.finished or self._pending:
            if self._stopped():
                return
            self._serve()
            if self._publisher.congested:
                self._subscriber.keep_alive()
                continue
            if not self._pending:
                self._receive()
            if self._pending:
                bite, self._pending = self._pending[:_PUSH_EVENTS], self._pending[_PUSH_EVENTS:]
                self._report.took(bite)
                self._push(bite)
            if not self._pending:
                self._subscriber.acknowledge()
        self._publisher.finish(self._status())
        if self._farewell():
            self._teller.finished(self._status())

    def _stopped(self) -> bool:
        """Waits for something to do; whether the stage is told to stop."""
        busy = self._publisher.answering or (self._pending and not self._publisher.congested)
        # Behind a full link nothing is taken in: what waits there is no reason to wake up.
        sockets = self._others if self._publisher.congested else [*self._others, *self._subscriber.sockets]
        return self._lifeline.stopped(wait([*sockets, *self._lifeline.descriptors], 0.0 if busy else _IDLE_S))

    def _serve(self) -> None:
        """Everything besides the work itself."""
        self._publisher.serve()
        if self._alert_socket is not None:
            self._alert_socket.serve()
        if self._control is not None and self._caught_up and (commands := self._control.receive(self._silence.streams)):
            self._push(commands)
            self._control.done()
        now = time.monotonic()
        if now >= self._next_report:
            status = self._status()
            self._publisher.report(status)
            self._teller.tell(rejected=status.rejected, trouble=status.trouble)
            self._lifeline.alive()
            self._next_report = now + self._settings.heartbeat_s
        for taken in self._checkpoints.done():
            self._subscriber.settled(taken)
            self._ended = taken["over"]
        self._checkpoints.take(self._state)

    def _receive(self) -> None:
        events = self._silence.heard(self._subscriber.receive())
        self._pending = events
        if self._caught_up:
            alive = self._subscriber.alive or self._subscriber.finished
            self._pending = events + self._silence.lost(alive=alive)

    @property
    def _caught_up(self) -> bool:
        """What a former life has published is published again, as far as anybody knows. Before that nothing may come in
        between that did not then: what follows would have numbers that others had, and leave twice."""
        return self._subscriber.caught_up or self._subscriber.finished

    def _push(self, events: Sequence[Event]) -> None:
        began = time.monotonic()
        out = stamped(self._core.push(events), time.time())
        self._report.events_out += len(out)
        self._publisher.hold(out)
        if self._alert_socket is not None:
            for event in out:
                if isinstance(event, Alert):
                    self._alert_socket.hold(event)
        if not all(map(repeatable, events)):
            self._checkpoints.now(self._state)
        self._publisher.release()
        if self._alert_socket is not None:
            self._alert_socket.release()
        self._report.worked(time.monotonic() - began)

    def _state(self) -> dict[str, Any]:
        return {
            "core": self._core.state(),
            "in": self._subscriber.state(self._pending),
            "out": self._publisher.state(),
            "alerts": self._alert_socket.state() if self._alert_socket is not None else None,
            "streams": self._silence.state(),
        }

    def _status(self) -> Status:
        parts = (self._subscriber, self._publisher, self._alert_socket, self._control)
        return self._report.status(
            lost=self._subscriber.lost,
            repaired=self._subscriber.repaired,
            rejected=sum(part.rejected for part in parts if part is not None),
            trouble=self._checkpoints.trouble,
        )

    def _farewell(self) -> bool:
        """Until those behind have everything, and those before know that the last checkpoint does; False: it was told
        to stop before."""
        until = until_farewell()
        while not (self._ended and gone(self._publisher, until)):
            if self._stopped():
                return False
            self._serve()
            self._subscriber.receive()  # a publisher that has to begin again asks who is there
            self._subscriber.acknowledge()
            if not self._ended:
                self._checkpoints.take(self._state, at_once=True)
        return True


def until_farewell() -> float:
    """Until when the last messages may take, of a link that ends now; monotonic s."""
    return time.monotonic() + _FAREWELL_S


def gone(publisher: Publisher, until: float) -> bool:
    """The last messages have reached all who need them, and, until then (monotonic s), the others too."""
    return publisher.drained or (publisher.settled and time.monotonic() > until)


class _Silence:
    """Which streams are open, and whether their source is there: makes Lost events.

    Args:
        streams: of a former life, from :meth:`state`.
    """

    def __init__(self, streams: dict[str, Sequence[int]]) -> None:
        self._streams = {stream: (int(seq), int(at)) for stream, (seq, at) in streams.items()}
        self._quiet: set[str] = set()
        """Those of which the source says that their devices give nothing."""
        self._told: set[str] = set()

    @property
    def streams(self) -> Iterable[str]:
        """Those that are open."""
        return self._streams.keys()

    def heard(self, received: Sequence[Wired]) -> list[Event]:
        """What came, without the reports."""
        events: list[Event] = []
        for event in received:
            if isinstance(event, Status):
                self._quiet = set(event.silent)
                continue
            events.append(event)
            self._told.discard(event.stream)
            self._quiet.discard(event.stream)
            if isinstance(event, Closed):
                self._streams.pop(event.stream, None)
            else:
                at = event.stop if isinstance(event, Samples) else position(event)
                self._streams[event.stream] = (event.seq, at)
        return events

    def lost(self, *, alive: bool) -> list[Event]:
        """Of streams of which nothing is heard any more; once each."""
        gone = (self._quiet & self._streams.keys() if alive else self._streams.keys()) - self._told
        self._told |= gone
        places = [(stream, *self._streams[stream]) for stream in sorted(gone)]
        return [Lost(stream=stream, seq=seq, sample=at) for stream, seq, at in places]

    def state(self) -> dict[str, tuple[int, int]]:
        return dict(self._streams)
