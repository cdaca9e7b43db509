"""The receiving end of a link; the laws are the package's."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

from monitor.config import LinkSettings
from monitor.events import Event, Gap, Lost, Samples, Status, position
from monitor.link.publisher import TOPIC
from monitor.link.requests import Acknowledge, Hello, Repair, Request, Settled
from monitor.link.sockets import Context, Socket, connecting, requests_of, take
from monitor.wire import Frame, FrameError, Wired, decode

_LINGER_MS = 200
"""ms that the last request may take to leave, should the publisher be gone."""
_LOSSES = 1000
"""Losses kept for whoever asks for them; all are counted."""


@dataclass
class _Track:
    """One stream at the receiving end."""

    last: int = 0
    """Highest sequence number delivered."""
    at: int = 0
    """Where the last event delivered ends, in samples."""
    held: dict[int, Event] = field(default_factory=dict)
    """Came too early: something before them is missing."""


@dataclass(frozen=True)
class Loss:
    """Events that were given up: these sequence numbers of a stream, the last included."""

    stream: str
    first: int
    last: int


class Subscriber:
    """The receiving end of a link.

    Args:
        needed: the publisher waits for it.
        name: of its stage.
        durable: its owner writes checkpoints, and tells of them with :meth:`settled`.
        state: of a former life, from :meth:`state`: what was delivered then is not delivered again.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        settings: LinkSettings,
        *,
        needed: bool,
        name: str = "",
        durable: bool = False,
        state: dict[str, Any] | None = None,
    ) -> None:
        self._settings = settings
        self._hello = Hello(needed, name, durable)
        self._run: int | None = None
        self._lineage: int | None = None
        self._number = 0
        """All messages up to this one are here."""
        self._early: set[int] = set()
        """Messages after it that are here."""
        self._told = 0
        """The last message that the publisher is known to have sent."""
        self._final: int | None = None
        self._over = False
        """It had everything in a former life already."""
        self._tracks: dict[str, _Track] = {}
        self._ask_number = 0
        self._asked: float | None = None
        """When, while the answer is still to come."""
        self._sure: dict[str, int] = {}
        """By stream: when the answer has ended, what is missing before this sequence number is not to be had."""
        self._tries = 0
        self._greeted: float | None = None
        """When it last said hello."""
        self._welcomed: int | None = None
        """The run of the publisher that answered: one that has died may have taken the greeting with it."""
        self.caught_up = False
        """All that the publisher had sent when it was first asked has come. A former life may have had as much: whoever
        takes in anything else before has taken it in at another place."""
        self._acknowledged = -1
        self._settled: dict[str, int] = {}
        self._spoke = 0.0
        self.heard = time.monotonic()
        """When the publisher was last heard of, monotonic seconds."""
        self._listened = self.heard
        self._losses: list[Loss] = []
        self.lost = 0
        self.repaired = 0
        self.rejected = 0
        if state is not None:
            self._lineage, self._over = state["lineage"], state["over"]
            self._tracks = {stream: _Track(last, at) for stream, (last, at) in state["tracks"].items()}
        self._sub = connecting(context, zmq.SUB, settings.high_water_mark, endpoint)
        self._dealer = connecting(context, zmq.DEALER, settings.high_water_mark, endpoint)
        for socket in (self._sub, self._dealer):
            socket.setsockopt(zmq.MAXMSGSIZE, settings.max_frame_bytes)
        self._sub.setsockopt(zmq.SUBSCRIBE, TOPIC)
        self._sub.connect(endpoint)
        self._dealer.connect(requests_of(endpoint))

    @property
    def sockets(self) -> tuple[Socket, Socket]:
        return self._sub, self._dealer

    @property
    def finished(self) -> bool:
        """The publisher has said that nothing follows, and all that it ever sent is here."""
        return self._over or (self._final is not None and self._number >= self._final and not self._missing)

    @property
    def alive(self) -> bool:
        """The publisher was heard of within ``link.dead_s``."""
        return time.monotonic() - self.heard < self._settings.dead_s

    @property
    def gone(self) -> bool:
        """The publisher was there, and is silent since ``link.dead_s`` though this end has listened."""
        met = self._run is not None and not self.finished
        return met and self._listened - self.heard >= self._settings.dead_s

    @property
    def _missing(self) -> bool:
        return self._told > self._number or any(track.held for track in self._tracks.values())

    def receive(self) -> list[Wired]:
        """All events that are here and in order, and the publisher's reports; never waits."""
        out: list[Wired] = []
        self._listened = time.monotonic()
        welcome = self._welcomed is not None and self._run in (None, self._welcomed)
        if self._greeted is None or (not welcome and time.monotonic() - self._greeted > self._settings.repair_wait_s):
            self._greet()
        # Answers first: what they bring lets held events go.
        while (parts := take(self._dealer)) is not None:
            self._take_answer(parts, out)
        while (parts := take(self._sub)) is not None:
            frame = self._read(parts[-1] if len(parts) == 2 else b"")
            if frame is None:
                continue
            self._new_life(frame)
            if frame.final:
                self._final = frame.number
            reports = [event for event in frame.events if isinstance(event, Status)]
            out.extend(reports)
            self._told = max(self._told, frame.number)
            if len(reports) < len(frame.events):
                self._arrived(frame.number, all_before=False)
                self._accept(frame.events, out)
        if self._missing and (self._asked is None or time.monotonic() - self._asked > self._settings.repair_wait_s):
            self._tries += 1
            self._ask()
        elif not self._missing:
            self._tries = 0
        return out

    def acknowledge(self) -> None:
        """Everything received so far has been handled. Also, and at least twice in ``dead_s``: I live."""
        now = time.monotonic()
        if self._missing and now - self._spoke < self._settings.heartbeat_s:
            return
        if self._number != self._acknowledged or now - self._spoke > self._settings.heartbeat_s:
            self._request(Acknowledge(0 if self._missing else self._number))
            self._acknowledged = self._number
            self._spoke = now

    def keep_alive(self) -> None:
        """Says no more than: I live, though I take nothing in now."""
        now = time.monotonic()
        if now - self._spoke > self._settings.heartbeat_s:
            self._request(Acknowledge(max(self._acknowledged, 0)))
            self._spoke = now

    def settled(self, state: dict[str, Any]) -> None:
        """This state of it is in a checkpoint: the publisher need not keep what it covers."""
        if state["lineage"] != self._lineage:
            return
        upto = {stream: last for stream, (last, _) in state["tracks"].items()}
        news = {stream: last for stream, last in upto.items() if last > self._settled.get(stream, 0)}
        if news:
            self._request(Settled(news))
            self._settled.update(news)

    def state(self, pending: Sequence[Event] = ()) -> dict[str, Any]:
        """What was delivered and is not ``pending`` with its owner any more: plain types."""
        tracks = {stream: [track.last, track.at] for stream, track in self._tracks.items()}
        for event in reversed(pending):
            if event.stream in tracks and not isinstance(event, Lost):
                tracks[event.stream] = [event.seq - 1, position(event)]
        return {"lineage": self._lineage, "over": self.finished and not pending, "tracks": tracks}

    def losses(self) -> list[Loss]:
        """What was given up since the last call."""
        losses, self._losses = self._losses, []
        return losses

    def close(self) -> None:
        self._sub.close()
        # What was said last may still have to leave: the publisher waits for it.
        self._dealer.close(linger=_LINGER_MS)

    def _take_answer(self, parts: list[bytes], out: list[Wired]) -> None:
        frame = self._read(parts[2] if len(parts) >= 3 else b"")
        if frame is None:
            return
        self._new_life(frame)
        before = sum(track.last for track in self._tracks.values())
        brought: list[Wired] = list(frame.events)
        for body in parts[3:]:
            page = self._read(body)
            brought += page.events if page is not None else []
        self._accept(brought, out)
        if self._tries:
            self.repaired += sum(track.last for track in self._tracks.values()) - before
        if parts[0] == b"hello":
            self._welcomed = frame.run
        current = parts[1] == b"%d" % self._ask_number
        if current:
            for stream in {event.stream for event in brought if not isinstance(event, Status)}:
                if self._tracks[stream].held:
                    self._sure.setdefault(stream, min(self._tracks[stream].held))
        if parts[0] == b"done":
            # Whatever was asked for, it was all that the publisher had sent by then and was not here.
            self._arrived(frame.number, all_before=True)
            self._final = frame.number if frame.final else self._final
            if current:
                self._asked = None
                self.caught_up = True
                self._give_up(out)

    def _read(self, body: bytes) -> Frame | None:
        try:
            frame = decode(body)
        except FrameError:
            self.rejected += 1
            return None
        self.heard = time.monotonic()
        return frame

    def _new_life(self, frame: Frame) -> None:
        """A frame of another run or lineage than the last."""
        if self._lineage is not None and frame.lineage != self._lineage:
            self._tracks.clear()
            self._settled.clear()
            self._over = False
        self._lineage = frame.lineage
        if self._run is not None and frame.run != self._run:
            self._number = self._told = 0
            self._early.clear()
            self._final = None
            self._asked = None
            for track in self._tracks.values():
                track.held.clear()  # what they wait for will be sent again, and so will they
            self._greet()
        self._run = frame.run

    def _arrived(self, number: int, *, all_before: bool) -> None:
        if all_before:
            self._number = max(self._number, number)
            self._early = {early for early in self._early if early > self._number}
        elif number > self._number:
            self._early.add(number)
        while self._number + 1 in self._early:
            self._number += 1
            self._early.remove(self._number)
        self._told = max(self._told, self._number)

    def _accept(self, events: Sequence[Wired], out: list[Wired]) -> None:
        for event in events:
            if isinstance(event, Status):
                continue
            track = self._tracks.setdefault(event.stream, _Track())
            if event.seq <= track.last:
                continue
            track.held[event.seq] = event
            _release(track, out)

    def _give_up(self, out: list[Wired]) -> None:
        """The publisher has answered, and something that it had sent before it was asked is still missing: it is
        lost."""
        for stream, sure in self._sure.items():
            track = self._tracks[stream]
            while track.held and (first := min(track.held)) <= sure:
                self.lost += first - track.last - 1
                self._losses = [*self._losses[-_LOSSES:], Loss(stream, track.last + 1, first - 1)]
                stop = position(track.held[first])
                if stop > track.at:
                    out.append(Gap(stream=stream, seq=first, start=track.at, stop=stop, cause="lost"))
                track.last = first - 1
                _release(track, out)

    def _ask(self) -> None:
        self._ask_number += 1
        self._sure = {stream: min(track.held) for stream, track in self._tracks.items() if track.held}
        self._request(Repair({stream: track.last for stream, track in self._tracks.items()}, self._ask_number))
        self._asked = time.monotonic()

    def _greet(self) -> None:
        """Says who is there, what its checkpoint holds, and what it misses."""
        self._greeted = time.monotonic()
        self._request(self._hello)
        if self._settled:
            self._request(Settled(self._settled))
        self._ask()

    def _request(self, request: Request) -> None:
        # What finds the queue full is lost, as it is when the publisher dies: greetings and questions are said again.
        with contextlib.suppress(zmq.Again):
            self._dealer.send(msgspec.msgpack.encode(request), zmq.NOBLOCK)


def _release(track: _Track, out: list[Wired]) -> None:
    """Delivers what is next in order."""
    while (event := track.held.pop(track.last + 1, None)) is not None:
        track.last += 1
        track.at = event.stop if isinstance(event, Samples | Gap) else position(event)
        out.append(event)
