"""The sending end of a link; the laws are the package's."""

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import zmq

from monitor.config import LinkSettings
from monitor.events import Closed, Event, Opened, Status
from monitor.link.keys import LISTEN
from monitor.link.requests import Acknowledge, Hello, Repair, Request, Settled, decoder
from monitor.link.sockets import Context, Socket, bind, requests_of, take
from monitor.wire import decode, encode

TOPIC = b"ecg"
"""Of events; also the beginning of REPORTS, so that whoever wants events hears both."""
REPORTS = b"ecg/report"
"""Of what stages say of themselves."""
_REPLY_PAGES = 64
_REPLY_BYTES = 262_144
"""Pages and bytes in one message of an answer: few enough not to fill a socket's queue, and no great burst."""
_GIVE_UP = 10
"""Times ``link.hold_s`` of silence after which a durable subscriber will not come back: checkpoints need not grow."""
_FORGET = 10
"""Times ``link.dead_s`` of silence after which nothing is remembered of a subscriber."""


@dataclass
class _Peer:
    """What a publisher knows of a subscriber."""

    needed: bool
    name: str
    acknowledged: int
    heard: float


@dataclass
class _Keeping:
    """What it knows of a durable one, through all its lives."""

    upto: dict[str, int]
    heard: float


@dataclass(frozen=True)
class _Page:
    """One message in the history."""

    number: int
    frame: bytes
    last: dict[str, int]
    """By stream, the highest sequence number in it."""


class Publisher:
    """The sending end of a link.

    Args:
        awaits: names of the subscribers that must have greeted before anything is sent.
        state: of a former life, from :meth:`state`; its lineage goes on.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        settings: LinkSettings,
        *,
        awaits: Sequence[str] = (),
        state: dict[str, Any] | None = None,
    ) -> None:
        self._settings = settings
        self._awaited = set(awaits)
        # Those who outlived a former life greet again at once; those who died with it are not waited for forever.
        self._await_until = time.monotonic() + settings.hold_s if state else None
        self._run = int.from_bytes(os.urandom(8), "little") >> 1
        self._lineage = int.from_bytes(os.urandom(8), "little") >> 1
        self._number = 0
        self._final = False
        self._unsent: list[bytes] = []
        self._history: deque[_Page] = deque()
        self._history_bytes = 0
        self._opened: dict[str, Opened] = {}
        self._peers: dict[bytes, _Peer] = {}
        self._keeping: dict[str, _Keeping] = {}
        self._settled = 0
        """The last message that, with all before it, no durable subscriber can ask for again."""
        self._answers: deque[Iterator[list[bytes]]] = deque()
        self.rejected = 0
        if state is not None:
            self._restore(state)
        self._pub = context.socket(zmq.PUB)
        self._router = context.socket(zmq.ROUTER)
        for socket in (self._pub, self._router):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.SNDHWM, settings.high_water_mark)
            socket.setsockopt(zmq.MAXMSGSIZE, settings.max_frame_bytes)
        bind(context, "link", LISTEN, {endpoint: self._pub, requests_of(endpoint): self._router})

    @property
    def socket(self) -> Socket:
        """Readable when there are requests; :meth:`serve` answers them."""
        return self._router

    @property
    def answering(self) -> bool:
        """:meth:`serve` has more to do, whatever comes."""
        return bool(self._answers)

    @property
    def lineage(self) -> int:
        return self._lineage

    @property
    def final(self) -> bool:
        """Nothing follows on this link."""
        return self._final

    @property
    def congested(self) -> bool:
        """A needed subscriber is too far behind or has not greeted yet, or the history is full of what a durable one
        may still ask for: wait."""
        now = time.monotonic()
        if self._awaited and (self._await_until is None or now < self._await_until):
            return True
        if any(
            self._number - peer.acknowledged >= self._settings.window
            for peer in self._peers.values()
            if peer.needed and now - peer.heard < self._settings.dead_s
        ):
            return True
        self._forget_pages()
        return self._history_bytes > self._settings.history_bytes and len(self._history) > 1

    @property
    def silent(self) -> set[str]:
        """Names of the needed and the durable subscribers that are held for dead."""
        now = time.monotonic()
        heard = {name: keeping.heard for name, keeping in self._keeping.items()}
        heard |= {peer.name: peer.heard for peer in self._peers.values() if peer.needed and peer.name}
        return {name for name, at in heard.items() if now - at >= self._settings.dead_s}

    @property
    def given_up(self) -> set[str]:
        """Names of the durable subscribers whose silence keeps a full history no more."""
        now = time.monotonic()
        return {name for name, keeping in self._keeping.items() if now - keeping.heard >= self._settings.hold_s}

    @property
    def settled(self) -> bool:
        """The checkpoints of all durable subscribers that were heard of within ``link.hold_s`` hold everything."""
        self._settle()
        now = time.monotonic()
        heard = [kept.upto for kept in self._keeping.values() if now - kept.heard < self._settings.hold_s]
        return self._settled == self._number or all(self._is_settled(page, heard) for page in self._unsettled())

    @property
    def drained(self) -> bool:
        """So they do, and every living subscriber has acknowledged everything."""
        now = time.monotonic()
        return self.settled and all(
            peer.acknowledged >= self._number
            for peer in self._peers.values()
            if now - peer.heard < self._settings.dead_s
        )

    def hold(self, events: Sequence[Event]) -> None:
        """Makes one message of the events and keeps it for repair; it goes out with :meth:`release`."""
        if not events:
            return
        self._number += 1
        frame = encode(events, run=self._run, lineage=self._lineage, number=self._number)
        self._keep(frame, events)
        self._unsent.append(frame)
        self._forget_pages()

    def release(self) -> None:
        """Publishes what is held."""
        for frame in self._unsent:
            self._pub.send_multipart([TOPIC, frame])
        self._unsent.clear()

    def send(self, events: Sequence[Event]) -> None:
        """Publishes one message and keeps it for repair."""
        self.hold(events)
        self.release()

    def report(self, status: Status) -> None:
        """Publishes a heartbeat: the stage's report, with the number of the last message, so that a loss at the end
        of a burst is noticed too."""
        self._pub.send_multipart([REPORTS, self._header([status])])

    def finish(self, status: Status) -> None:
        """Nothing follows on this link: subscribers that have everything are done."""
        self._final = True
        self.report(status)

    def serve(self) -> None:
        """Takes all requests that are waiting, and answers for ``link.serve_s``: however many ask, the stage's work
        goes on in between."""
        while (parts := take(self._router)) is not None:
            if len(parts) != 2:
                self.rejected += 1
                continue
            identity, body = parts
            try:
                request = decoder.decode(body)
            except (msgspec.MsgspecError, ValueError):
                self.rejected += 1
                continue
            self._hear(identity, request)
        until = time.monotonic() + self._settings.serve_s
        while self._answers and time.monotonic() < until:
            message = next(self._answers[0], None)
            if message is None:
                self._answers.popleft()
            else:
                # A subscriber that does not take its answers loses them (ROUTER drops); it asks again.
                self._router.send_multipart(message)
                self._answers.rotate(-1)

    def state(self) -> dict[str, Any]:
        """What the next life needs to go on with this lineage: plain types. Of the history, what a durable subscriber
        may still ask for."""
        self._settle()
        return {
            "lineage": self._lineage,
            "final": self._final,
            "opened": encode(list(self._opened.values()), run=0, lineage=0, number=0),
            "pages": [page.frame for page in self._unsettled()],
            "settled": {name: keeping.upto for name, keeping in self._keeping.items()},
        }

    def close(self) -> None:
        self._pub.close()
        self._router.close()

    def _restore(self, state: dict[str, Any]) -> None:
        now = time.monotonic()
        self._lineage = state["lineage"]
        self._final = state["final"]
        for event in decode(state["opened"]).events:
            if isinstance(event, Opened):
                self._opened[event.stream] = event
        for frame in state["pages"]:
            # In this run the messages count anew.
            events = [event for event in decode(frame).events if not isinstance(event, Status)]
            self._number += 1
            self._keep(encode(events, run=self._run, lineage=self._lineage, number=self._number), events)
        self._keeping = {name: _Keeping(dict(upto), now) for name, upto in state["settled"].items()}

    def _keep(self, frame: bytes, events: Sequence[Event]) -> None:
        last: dict[str, int] = {}
        for event in events:
            last[event.stream] = max(event.seq, last.get(event.stream, 0))
            if isinstance(event, Opened):
                self._opened[event.stream] = event
            elif isinstance(event, Closed):
                self._opened.pop(event.stream, None)
        self._history.append(_Page(self._number, frame, last))
        self._history_bytes += len(frame)

    def _settle(self) -> None:
        """Moves ``_settled`` on."""
        now = time.monotonic()
        gone = _GIVE_UP * self._settings.hold_s
        self._keeping = {name: each for name, each in self._keeping.items() if now - each.heard < gone}
        kept = [each.upto for each in self._keeping.values()]
        if self._history:
            self._settled = max(self._settled, self._history[0].number - 1)
        for page in self._unsettled():
            if not self._is_settled(page, kept):
                return
            self._settled = page.number

    def _unsettled(self) -> Iterator[_Page]:
        first = self._history[0].number if self._history else 0
        return islice(self._history, max(self._settled + 1 - first, 0), None)

    @staticmethod
    def _is_settled(page: _Page, kept: Sequence[dict[str, int]]) -> bool:
        return all(seq <= upto.get(stream, 0) for upto in kept for stream, seq in page.last.items())

    def _forget_pages(self) -> None:
        """Lets go of the oldest messages while the history is too large: of what is settled, and of what only those may
        still ask for who have been silent for too long."""
        if self._history_bytes <= self._settings.history_bytes:
            return
        now = time.monotonic()
        heard = [kept.upto for kept in self._keeping.values() if now - kept.heard < self._settings.hold_s]
        while (
            self._history_bytes > self._settings.history_bytes
            and len(self._history) > 1
            and self._is_settled(self._history[0], heard)
        ):
            self._history_bytes -= len(self._history.popleft().frame)

    def _hear(self, identity: bytes, request: Request) -> None:
        now = time.monotonic()
        peer = self._peers.get(identity)
        if peer is not None:
            peer.heard = now
            if peer.name in self._keeping:
                self._keeping[peer.name].heard = now
        match request:
            case Hello(needed=needed, name=name, durable=durable):
                self._peers = {
                    other: known
                    for other, known in self._peers.items()
                    if not (name and known.name == name) and now - known.heard < _FORGET * self._settings.dead_s
                }
                # What was published before is in the history; the newcomer asks for it.
                acknowledged = peer.acknowledged if peer is not None else 0 if needed else self._number
                self._peers[identity] = _Peer(needed, name, acknowledged, now)
                self._awaited.discard(name)
                if durable and name:
                    self._keeping.setdefault(name, _Keeping({}, now)).heard = now
                self._answers.append(iter([[identity, b"hello", b"0", self._header([])]]))
            case Acknowledge(number=number):
                if peer is not None:
                    peer.acknowledged = max(peer.acknowledged, min(number, self._number))
            case Settled(upto=upto):
                if peer is not None and peer.name in self._keeping:
                    self._keeping[peer.name].upto.update(upto)
            case Repair(after=after, ask=ask):
                self._answers.append(self._repair(identity, after, ask))

    def _repair(self, identity: bytes, after: dict[str, int], ask: int) -> Iterator[list[bytes]]:
        """The messages of one answer. What is sent while they leave is no part of it."""
        number, final = self._number, self._final
        # The beginning of a stream may have left the history; without it nobody knows what it is.
        heads = [opened for stream, opened in self._opened.items() if opened.seq > after.get(stream, 0)]
        wanted = [
            page.frame for page in self._history if any(seq > after.get(stream, 0) for stream, seq in page.last.items())
        ]

        def message(kind: bytes, pages: list[bytes], first: Sequence[Event]) -> list[bytes]:
            head = encode(first, run=self._run, lineage=self._lineage, number=number, final=final)
            return [identity, kind, b"%d" % ask, head, *pages]

        batch: list[bytes] = []
        size = 0
        for frame in wanted:
            batch.append(frame)
            size += len(frame)
            if len(batch) >= _REPLY_PAGES or size >= _REPLY_BYTES:
                yield message(b"more", batch, heads)
                batch, size, heads = [], 0, []
        yield message(b"done", batch, heads)

    def _header(self, events: Sequence[Status]) -> bytes:
        return encode(events, run=self._run, lineage=self._lineage, number=self._number, final=self._final)
