"""Links between stages: what is published arrives, in order, once. The only file that knows ZeroMQ.

A link has one publisher and any number of subscribers, and two sockets:

* PUB → SUB carries frames (``wire.py``) as they are made. It may drop: before a subscription arrives, at the
  high-water mark, while a process is dead.
* ROUTER ↔ DEALER carries requests: a subscriber says hello, acknowledges, and asks for what it missed; the publisher
  answers from a bounded history.

Laws:

* Events of one stream are delivered in the order of ``seq``, each once. A gap in ``seq`` is asked for; what cannot be
  had back is counted and delivered as one :class:`Gap` with cause ``lost``, never silently.
* A publisher is never more than ``link.window`` messages ahead of a subscriber that is *needed*; it tells so with
  ``congested`` and its owner waits. Others may be as slow as they like. A needed subscriber that is silent for
  ``link.dead_s`` is needed no more until it speaks again.
* A publisher that begins a new life (``run`` changes) begins its numbers anew, and so do its subscribers.
* Frames that cannot be read are counted, and nothing else happens.
"""

import os
import socket as socket_module
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq
from msgspec import Struct

from monitor.config import AlertSocketSettings, LinkSettings
from monitor.errors import UserError
from monitor.events import Alert, AlertState, Closed, Event, Gap, Opened, Samples, Status, position
from monitor.wire import Frame, FrameError, Wired, decode, decode_alert, encode, encode_alert

_TOPIC = b"ecg"
_ALERT_TOPIC = b"alert"
_HELLO_TOPIC = b"hello/"
_REPLY_EVENTS = 512
"""Events in one answer to a repair request: a few hundred kilobytes."""


class Hello(Struct, frozen=True, tag="hello"):
    """A subscriber is there."""

    needed: bool


class Acknowledge(Struct, frozen=True, tag="acknowledge"):
    """All messages up to this one are handled; also says that the subscriber lives."""

    number: int


class Repair(Struct, frozen=True, tag="repair"):
    """Send again what came after these sequence numbers; of streams not named: everything."""

    after: dict[str, int]
    ask: int
    """Comes back with the answer: what was asked for earlier says nothing of what is missed since."""


_Request = Hello | Acknowledge | Repair
_request_decoder = msgspec.msgpack.Decoder(_Request)


def requests_of(endpoint: str) -> str:
    """The endpoint that answers requests, beside the one that publishes: for TCP the next port."""
    if endpoint.startswith("tcp://"):
        host, _, port = endpoint.rpartition(":")
        return f"{host}:{int(port) + 1}"
    return f"{endpoint}.requests"


def _bind(what: str, sockets: dict[str, zmq.Socket[bytes]]) -> None:
    """Binds each socket to its endpoint; where one cannot be, all are closed."""
    for endpoint, socket in sockets.items():
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            for each in sockets.values():
                each.close()
            if error.errno == zmq.EADDRINUSE:
                raise UserError(
                    f"{what}: {endpoint} is in use: does another ecg-monitor run? "
                    "`--alert-port N` or [alert_socket] port chooses another"
                ) from error
            raise UserError(f"{what}: cannot bind {endpoint}: {error.strerror}") from error


@dataclass
class _Peer:
    """What a publisher knows of a subscriber."""

    needed: bool
    acknowledged: int
    heard: float


@dataclass
class _Page:
    """One message in the history."""

    number: int
    events: list[Event]
    size: int


class Publisher:
    """The sending end of a link."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, settings: LinkSettings, *, awaits: int = 0
    ) -> None:
        self._settings = settings
        self._awaits = awaits
        self._run = int.from_bytes(os.urandom(8), "little") >> 1
        self._number = 0
        self._final = False
        self._history: deque[_Page] = deque()
        self._history_bytes = 0
        self._opened: dict[str, Opened] = {}
        self._peers: dict[bytes, _Peer] = {}
        self.rejected = 0
        self._pub = context.socket(zmq.PUB)
        self._router = context.socket(zmq.ROUTER)
        for socket in (self._pub, self._router):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.SNDHWM, settings.high_water_mark)
            socket.setsockopt(zmq.MAXMSGSIZE, settings.max_frame_bytes)
        _bind("link", {endpoint: self._pub, requests_of(endpoint): self._router})

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """Readable when there are requests; :meth:`serve` answers them."""
        return self._router

    @property
    def congested(self) -> bool:
        """A needed subscriber is too far behind, or the first ``awaits`` of them are not there yet: wait."""
        if sum(peer.needed for peer in self._peers.values()) < self._awaits:
            return True
        now = time.monotonic()
        return any(
            self._number - peer.acknowledged >= self._settings.window
            for peer in self._peers.values()
            if peer.needed and now - peer.heard < self._settings.dead_s
        )

    @property
    def drained(self) -> bool:
        """Every living subscriber has acknowledged everything."""
        now = time.monotonic()
        return all(
            peer.acknowledged >= self._number
            for peer in self._peers.values()
            if now - peer.heard < self._settings.dead_s
        )

    def send(self, events: Sequence[Event]) -> None:
        """Publishes one message and keeps it for repair."""
        if not events:
            return
        self._number += 1
        frame = encode(events, run=self._run, number=self._number)
        self._history.append(_Page(self._number, list(events), len(frame)))
        self._history_bytes += len(frame)
        while self._history_bytes > self._settings.history_bytes and len(self._history) > 1:
            self._history_bytes -= self._history.popleft().size
        for event in events:
            if isinstance(event, Opened):
                self._opened[event.stream] = event
            elif isinstance(event, Closed):
                self._opened.pop(event.stream, None)
        self._pub.send_multipart([_TOPIC, frame])

    def report(self, status: Status) -> None:
        """Publishes a heartbeat: the stage's report, with the number of the last message, so that a loss at the end
        of a burst is noticed too."""
        frame = encode([status], run=self._run, number=self._number, final=self._final)
        self._pub.send_multipart([_TOPIC, frame])

    def finish(self, status: Status) -> None:
        """Nothing follows on this link: subscribers that have everything are done."""
        self._final = True
        self.report(status)

    def serve(self) -> None:
        """Answers all requests that are waiting."""
        while True:
            try:
                parts = self._router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(parts) != 2:
                self.rejected += 1
                continue
            identity, body = parts
            try:
                request = _request_decoder.decode(body)
            except (msgspec.MsgspecError, ValueError):
                self.rejected += 1
                continue
            self._answer(identity, request)

    def close(self) -> None:
        self._pub.close()
        self._router.close()

    def _answer(self, identity: bytes, request: _Request) -> None:
        now = time.monotonic()
        peer = self._peers.get(identity)
        if peer is not None:
            peer.heard = now
        match request:
            case Hello(needed=needed):
                # What was published before is in the history; the newcomer asks for it.
                self._peers[identity] = _Peer(needed, 0 if needed else self._number, now)
                self._reply(identity, b"hello", 0, [])
            case Acknowledge(number=number):
                if peer is not None:
                    peer.acknowledged = max(peer.acknowledged, min(number, self._number))
            case Repair(after=after, ask=ask):
                batch: list[Event] = []
                oldest = self._history[0].events[0] if self._history else None
                for stream, opened in self._opened.items():
                    # The beginning of a stream may have left the history; without it nobody knows what it is.
                    if opened.seq > after.get(stream, 0) and (oldest is None or oldest is not opened):
                        batch.append(opened)
                for page in self._history:
                    batch.extend(event for event in page.events if event.seq > after.get(event.stream, 0))
                    if len(batch) >= _REPLY_EVENTS:
                        self._reply(identity, b"more", ask, batch)
                        batch = []
                self._reply(identity, b"done", ask, batch)

    def _reply(self, identity: bytes, kind: bytes, ask: int, events: list[Event]) -> None:
        frame = encode(events, run=self._run, number=self._number, final=self._final)
        # A subscriber that does not take its answers loses them (ROUTER drops); it asks again.
        self._router.send_multipart([identity, kind, b"%d" % ask, frame])


@dataclass
class _Track:
    """One stream at the receiving end."""

    last: int = 0
    """Highest sequence number delivered."""
    at: int = 0
    """Where the last event delivered ends, in samples."""
    held: dict[int, Event] = field(default_factory=dict)
    """Came too early: something before them is missing."""


class Subscriber:
    """The receiving end of a link."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, settings: LinkSettings, *, needed: bool
    ) -> None:
        self._settings = settings
        self._needed = needed
        self._run: int | None = None
        self._number = 0
        """All messages up to this one are here."""
        self._early: set[int] = set()
        """Messages after it that are here."""
        self._told = 0
        """The last message that the publisher is known to have sent."""
        self._final: int | None = None
        self._tracks: dict[str, _Track] = {}
        self._ask_number = 0
        self._asked: float | None = None
        """When, while the answer is still to come."""
        self._sure: dict[str, int] = {}
        """By stream: when the answer has ended, what is missing before this sequence number is not to be had."""
        self._tries = 0
        self._greeted = False
        self._acknowledged = -1
        self._spoke = 0.0
        self.heard = time.monotonic()
        """When the publisher was last heard of, monotonic seconds."""
        self.lost = 0
        self.repaired = 0
        self.rejected = 0
        self._sub = context.socket(zmq.SUB)
        self._dealer = context.socket(zmq.DEALER)
        for socket in (self._sub, self._dealer):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVHWM, settings.high_water_mark)
            socket.setsockopt(zmq.MAXMSGSIZE, settings.max_frame_bytes)
            socket.setsockopt(zmq.RECONNECT_IVL, 20)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self._sub.setsockopt(zmq.SUBSCRIBE, _TOPIC)
        self._sub.connect(endpoint)
        self._dealer.connect(requests_of(endpoint))

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        return self._sub, self._dealer

    @property
    def finished(self) -> bool:
        """The publisher has said that nothing follows, and all that it ever sent is here."""
        return self._final is not None and self._number >= self._final and not self._missing

    @property
    def alive(self) -> bool:
        """The publisher was heard of within ``link.dead_s``."""
        return time.monotonic() - self.heard < self._settings.dead_s

    @property
    def _missing(self) -> bool:
        return self._told > self._number or any(track.held for track in self._tracks.values())

    def receive(self) -> list[Wired]:
        """All events that are here and in order, and the publisher's reports; never waits."""
        out: list[Wired] = []
        if not self._greeted:
            self._request(Hello(self._needed))
            self._greeted = True
            self._ask()
        # Answers first: what they bring lets held events go.
        while (parts := _take(self._dealer)) is not None:
            frame = self._read(parts, 3)
            if frame is None:
                continue
            self._new_life(frame.run)
            before = sum(track.last for track in self._tracks.values())
            self._accept(frame.events, out)
            if self._tries:
                self.repaired += sum(track.last for track in self._tracks.values()) - before
            current = parts[1] == b"%d" % self._ask_number
            if current:
                for stream in {event.stream for event in frame.events if not isinstance(event, Status)}:
                    if self._tracks[stream].held:
                        self._sure.setdefault(stream, min(self._tracks[stream].held))
            if parts[0] == b"done":
                # Whatever was asked for, it was all that the publisher had sent by then and was not here.
                self._arrived(frame.number, all_before=True)
                self._final = frame.number if frame.final else self._final
                if current:
                    self._asked = None
                    self._give_up(out)
        while (parts := _take(self._sub)) is not None:
            frame = self._read(parts, 2)
            if frame is None:
                continue
            self._new_life(frame.run)
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

    def close(self) -> None:
        self._sub.close()
        self._dealer.close()

    def _read(self, parts: list[bytes], count: int) -> Frame | None:
        if len(parts) != count:
            self.rejected += 1
            return None
        try:
            frame = decode(parts[-1])
        except FrameError:
            self.rejected += 1
            return None
        self.heard = time.monotonic()
        return frame

    def _new_life(self, run: int) -> None:
        if self._run is not None and run != self._run:
            self._tracks.clear()
            self._number = self._told = 0
            self._early.clear()
            self._final = None
            self._asked = None
            self._request(Hello(self._needed))
            self._ask()
        self._run = run

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

    def _request(self, request: _Request) -> None:
        try:
            self._dealer.send(msgspec.msgpack.encode(request), zmq.NOBLOCK)
        except zmq.Again:
            self._greeted = self._greeted and not isinstance(request, Hello)


def _release(track: _Track, out: list[Wired]) -> None:
    """Delivers what is next in order."""
    while (event := track.held.pop(track.last + 1, None)) is not None:
        track.last += 1
        track.at = event.stop if isinstance(event, Samples | Gap) else position(event)
        out.append(event)


def _take(socket: zmq.Socket[bytes]) -> list[bytes] | None:
    try:
        return socket.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return None


class AlertRequest(Struct, frozen=True):
    """What may be asked of the alert socket, as JSON."""

    request: str
    """``active``: the alerts that are active now; ``history``: all alert events since the start (the last
    ``_ALERTS_KEPT``); ``links``: the endpoints of the daemon's links."""


_ALERTS_KEPT = 10_000
"""Alert events kept for latecomers: some 5 MB, a day of a troubled patient."""


class AlertSocket:
    """Where alerts leave the daemon: ``[b"alert", JSON]`` for whoever subscribes, and a ROUTER on the next port that
    answers :class:`AlertRequest` with one JSON object a frame.

    A subscription takes effect some time after it was made, and what is published before is lost to the subscriber.
    One that must miss nothing also subscribes to a topic ``hello/…`` of its own, which comes back to it as soon as its
    subscriptions hold; then it asks for what is active. The same happens when it has connected again."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        settings: AlertSocketSettings,
        links: dict[str, str],
        max_frame_bytes: int,
    ) -> None:
        self._pub = context.socket(zmq.XPUB)  # a PUB that sees who subscribes
        self._pub.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._router = context.socket(zmq.ROUTER)
        self._links = links
        self._history: deque[Alert] = deque(maxlen=_ALERTS_KEPT)
        self._active: dict[str, Alert] = {}
        self.rejected = 0
        for socket in (self._pub, self._router):
            socket.setsockopt(zmq.LINGER, 500)
            socket.setsockopt(zmq.SNDHWM, _ALERTS_KEPT)
            socket.setsockopt(zmq.MAXMSGSIZE, max_frame_bytes)
        endpoint = alert_endpoint(settings)
        _bind("alert socket", {endpoint: self._pub, requests_of(endpoint): self._router})

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        return self._pub, self._router

    def publish(self, alert: Alert) -> None:
        self._history.append(alert)
        if alert.state is AlertState.ENDED:
            self._active.pop(alert.id, None)
        else:
            self._active[alert.id] = alert
        self._pub.send_multipart([_ALERT_TOPIC, encode_alert(alert)])

    def serve(self) -> None:
        """Answers all greetings and requests that are waiting."""
        while (parts := _take(self._pub)) is not None:
            if parts[0].startswith(b"\x01" + _HELLO_TOPIC):
                self._pub.send_multipart([parts[0][1:], b"null"])
        while (parts := _take(self._router)) is not None:
            identity, body = parts[0], parts[-1]
            try:
                wanted = msgspec.json.decode(body, type=AlertRequest).request
            except (msgspec.MsgspecError, ValueError):
                self.rejected += 1
                continue
            if wanted == "links":
                answer = [msgspec.json.encode(self._links)]
            elif wanted == "active":
                answer = [encode_alert(alert) for alert in self._active.values()]
            elif wanted == "history":
                answer = [encode_alert(alert) for alert in self._history]
            else:
                self.rejected += 1
                continue
            # The delimiter lets REQ sockets ask too.
            delimiter = [b""] if len(parts) > 2 else []
            self._router.send_multipart([identity, *delimiter, *(answer or [b"null"])])

    def close(self) -> None:
        self._pub.close()
        self._router.close()


class AlertListener:
    """The other end of the alert socket: what is active (or all there was) first, then what comes, each once."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, *, history: bool) -> None:
        self._sub = context.socket(zmq.SUB)
        self._dealer = context.socket(zmq.DEALER)
        self._hello = _HELLO_TOPIC + os.urandom(16).hex().encode()
        self._request = msgspec.json.encode(AlertRequest("history" if history else "active"))
        self._last: dict[str, int] = {}
        self._held: list[Alert] | None = []
        for socket in (self._sub, self._dealer):
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVHWM, _ALERTS_KEPT)
            socket.setsockopt(zmq.RECONNECT_IVL, 20)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self._sub.setsockopt(zmq.SUBSCRIBE, _ALERT_TOPIC)
        self._sub.setsockopt(zmq.SUBSCRIBE, self._hello)
        self._sub.connect(endpoint)
        self._dealer.connect(requests_of(endpoint))

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        return self._sub, self._dealer

    def receive(self) -> list[Alert]:
        """Alert events that are here; never waits."""
        out: list[Alert] = []
        while (parts := _take(self._dealer)) is not None:
            if parts != [b"null"]:
                self._pass(sorted(map(decode_alert, parts), key=lambda alert: alert.seq), out)
            held, self._held = self._held or [], None
            self._pass(held, out)
        while (parts := _take(self._sub)) is not None:
            if parts[0] == self._hello:
                # From here on all that is published arrives; what was before is asked for.
                self._held = self._held or []
                self._dealer.send(self._request)
                continue
            alert = decode_alert(parts[-1])
            if self._held is not None:
                self._held.append(alert)
            else:
                self._pass([alert], out)
        return out

    def close(self) -> None:
        self._sub.close()
        self._dealer.close()

    def _pass(self, alerts: Sequence[Alert], out: list[Alert]) -> None:
        for alert in alerts:
            if alert.seq > self._last.get(alert.stream, 0):
                self._last[alert.stream] = alert.seq
                out.append(alert)


def alert_endpoint(settings: AlertSocketSettings) -> str:
    return f"tcp://{settings.host}:{settings.port}"


def ask_links(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, timeout_s: float) -> dict[str, str]:
    """The endpoints of the links of the daemon whose alert socket is at ``endpoint``.

    Raises:
        UserError: no daemon answers there.
    """
    with context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(requests_of(endpoint))
        dealer.send(msgspec.json.encode(AlertRequest("links")))
        if not dealer.poll(int(1000 * timeout_s)):
            raise UserError(f"no ecg-monitor answers at {endpoint}: is one running? Its alert socket is the endpoint")
        try:
            return msgspec.json.decode(dealer.recv_multipart()[-1], type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise UserError(f"{endpoint}: what answers there is no ecg-monitor") from error


def new_context() -> zmq.Context[zmq.Socket[bytes]]:
    return zmq.Context(io_threads=1)


def wait(readable: Sequence[zmq.Socket[bytes] | int], timeout_s: float) -> set[int]:
    """Waits until one of the sockets or file descriptors is readable; the descriptors that are."""
    poller = zmq.Poller()
    for one in readable:
        poller.register(one, zmq.POLLIN)
    ready = poller.poll(max(0, int(1000 * timeout_s)))
    return {one for one, _ in ready if isinstance(one, int)}


def links_in(folder: Path) -> dict[str, str]:
    """Endpoints of a daemon's own links: sockets in its runtime folder, or TCP on loopback where there is no ipc."""
    names = ("source", "detector", "classifier")
    if zmq.has("ipc"):
        return {name: f"ipc://{folder / name}" for name in names}
    return {name: f"tcp://127.0.0.1:{free_port()}" for name in names}


def free_port() -> int:
    """A TCP port on loopback that is free now, and the next one too."""
    while True:
        with socket_module.socket() as first, socket_module.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
