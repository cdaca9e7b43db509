"""The alert socket: where alerts leave the daemon as JSON, for whoever listens, and its other end.

Two ZeroMQ sockets: one publishes ``[b"alert", JSON]``; beside it a ROUTER on the next port answers
:class:`AlertRequest`. docs/protocol.md is its manual for others.

A subscription takes effect some time after it was made, and what is published before is lost to the subscriber. One
that must miss nothing also subscribes to a topic ``hello/…`` of its own, which comes back to it as soon as its
subscriptions hold, and again when it has connected anew; then it asks. What is dropped later shows in ``previous``.
"""

import os
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
import zmq
from msgspec import Struct

from monitor.config import AlertSocketSettings
from monitor.errors import UserError
from monitor.events import Alert, AlertState
from monitor.link.keys import LISTEN
from monitor.link.sockets import PATIENCE_S, Context, Socket, bind, connecting, requests_of, take
from monitor.wire import decode_alert, encode_alert

_TOPIC = b"alert"
_HELLO = b"hello/"
_QUEUE = 10_000
"""Messages queued in a socket before ZeroMQ drops: a day of a troubled patient."""


class AlertRequest(Struct, frozen=True):
    """What may be asked of the alert socket, as JSON."""

    request: str
    """``active``: the alerts that are active now; ``history``: all alert events since the start (the last
    ``alert_socket.kept``); ``since``: those of them after the sequence numbers in ``after``; ``links``: the endpoints
    of the daemon's links."""
    after: dict[str, int] = {}
    """By stream; streams not named: all."""


class Greeting(Struct, frozen=True):
    """What comes back on the topic ``hello/…``."""

    lineage: int
    """Of the daemon: sequence numbers of another lineage count anew."""
    last: dict[str, int]
    """By stream, the sequence number of its last alert event."""


class AlertSocket:
    """The daemon's end.

    Args:
        links: endpoints of the daemon's links, by stage.
        state: of a former life, from :meth:`state`.
    """

    def __init__(
        self,
        context: Context,
        settings: AlertSocketSettings,
        links: dict[str, str],
        max_frame_bytes: int,
        state: dict[str, Any] | None = None,
    ) -> None:
        self._pub: Socket = context.socket(zmq.XPUB)  # a PUB that sees who subscribes
        self._pub.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._router: Socket = context.socket(zmq.ROUTER)
        self._links = links
        self._lineage = 0
        self._history: deque[Alert] = deque(maxlen=settings.kept)
        self._active: dict[str, Alert] = {}
        self._last: dict[str, int] = {}
        self._unsent: list[Alert] = []
        self.rejected = 0
        if state is not None:
            self._history.extend(map(decode_alert, state["history"]))
            self._active = {alert.id: alert for alert in map(decode_alert, state["active"])}
            self._last = dict(state["last"])
        for socket in (self._pub, self._router):
            socket.setsockopt(zmq.LINGER, 500)
            socket.setsockopt(zmq.SNDHWM, _QUEUE)
            socket.setsockopt(zmq.MAXMSGSIZE, max_frame_bytes)
        endpoint = alert_endpoint(settings)
        patience = PATIENCE_S if state is not None else 0.0
        bind(context, "alert socket", LISTEN, {endpoint: self._pub, requests_of(endpoint): self._router}, patience)

    @property
    def sockets(self) -> tuple[Socket, Socket]:
        return self._pub, self._router

    def begin(self, lineage: int) -> None:
        """From here on requests are answered: sequence numbers are those of this lineage."""
        self._lineage = lineage

    def hold(self, alert: Alert) -> None:
        """Keeps an alert for latecomers; it goes out with :meth:`release`."""
        self._history.append(alert)
        if alert.state is AlertState.ENDED:
            self._active.pop(alert.id, None)
        else:
            self._active[alert.id] = alert
        self._last[alert.stream] = alert.seq
        self._unsent.append(alert)

    def release(self) -> None:
        """Publishes what is held."""
        for alert in self._unsent:
            self._pub.send_multipart([_TOPIC, encode_alert(alert)])
        self._unsent.clear()

    def publish(self, alert: Alert) -> None:
        """Both at once."""
        self.hold(alert)
        self.release()

    def serve(self) -> None:
        """Answers all greetings and requests that are waiting."""
        while (parts := take(self._pub)) is not None:
            if parts[0].startswith(b"\x01" + _HELLO):
                self._pub.send_multipart([parts[0][1:], msgspec.json.encode(Greeting(self._lineage, self._last))])
        while (parts := take(self._router)) is not None:
            identity, body = parts[0], parts[-1]
            try:
                answer = self._answer(msgspec.json.decode(body, type=AlertRequest))
            except (msgspec.MsgspecError, ValueError):
                self.rejected += 1
                continue
            # The delimiter lets REQ sockets ask too.
            delimiter = [b""] if len(parts) > 2 else []
            self._router.send_multipart([identity, *delimiter, *(answer or [b"null"])])

    def state(self) -> dict[str, Any]:
        """What the next life needs: plain types."""
        return {
            "history": [encode_alert(alert) for alert in self._history],
            "active": [encode_alert(alert) for alert in self._active.values()],
            "last": dict(self._last),
        }

    def close(self) -> None:
        self._pub.close()
        self._router.close()

    def _answer(self, asked: AlertRequest) -> list[bytes]:
        match asked.request:
            case "links":
                return [msgspec.json.encode(self._links)]
            case "active":
                return [encode_alert(alert) for alert in self._active.values()]
            case "history" | "since":
                wanted = (alert for alert in self._history if alert.seq > asked.after.get(alert.stream, 0))
                return [encode_alert(alert) for alert in wanted]
            case _:
                raise ValueError(asked.request)


class AlertListener:
    """The other end of the alert socket: what is active (or all there was) first, then what comes, each once and in
    order, whatever dies in between."""

    def __init__(self, context: Context, endpoint: str, *, history: bool) -> None:
        self._sub = connecting(context, zmq.SUB, _QUEUE, endpoint)
        self._dealer = connecting(context, zmq.DEALER, _QUEUE, endpoint)
        self._hello = _HELLO + os.urandom(16).hex().encode()
        self._history = history
        self._lineage: int | None = None
        self._last: dict[str, int] = {}
        self._baseline: dict[str, int] | None = None
        """Until the active alerts have come: what was published by then is of interest only where it is active."""
        self._held: list[Alert] | None = []
        """What came while an answer is awaited."""
        self.rejected = 0
        self._sub.setsockopt(zmq.SUBSCRIBE, _TOPIC)
        self._sub.setsockopt(zmq.SUBSCRIBE, self._hello)
        self._sub.connect(endpoint)
        self._dealer.connect(requests_of(endpoint))

    @property
    def sockets(self) -> tuple[Socket, Socket]:
        return self._sub, self._dealer

    def receive(self) -> list[Alert]:
        """Alert events that are here; never waits."""
        out: list[Alert] = []
        while (parts := take(self._dealer)) is not None:
            try:
                answer = [] if parts == [b"null"] else sorted(map(decode_alert, parts), key=lambda alert: alert.seq)
            except (msgspec.MsgspecError, ValueError):
                self.rejected += 1
                continue
            self._pass(answer, out)
            for stream, seq in (self._baseline or {}).items():
                self._last[stream] = max(seq, self._last.get(stream, 0))
            held, self._held, self._baseline = self._held or [], None, None
            self._pass(held, out)
        while (parts := take(self._sub)) is not None:
            try:
                if parts[0] == self._hello:
                    self._greeted(msgspec.json.decode(parts[-1], type=Greeting))
                    continue
                alert = decode_alert(parts[-1])
            except (msgspec.MsgspecError, ValueError):
                self.rejected += 1
                continue
            if self._held is None and alert.previous > self._last.get(alert.stream, 0):
                self._ask(AlertRequest("since", dict(self._last)))  # something was dropped on the way
            if self._held is not None:
                self._held.append(alert)
            else:
                self._pass([alert], out)
        return out

    def close(self) -> None:
        self._sub.close()
        self._dealer.close()

    def _greeted(self, greeting: Greeting) -> None:
        """From here on all that is published arrives; what was before is asked for."""
        if greeting.lineage != self._lineage and self._lineage is not None:
            self._last.clear()  # another daemon: all of it is news
        if self._lineage is None and not self._history:
            self._baseline = greeting.last
            self._ask(AlertRequest("active"))
        else:
            self._ask(AlertRequest("since", dict(self._last)))
        self._lineage = greeting.lineage

    def _ask(self, request: AlertRequest) -> None:
        self._held = self._held or []
        self._dealer.send(msgspec.json.encode(request))

    def _pass(self, alerts: Sequence[Alert], out: list[Alert]) -> None:
        for alert in alerts:
            if alert.seq > self._last.get(alert.stream, 0):
                self._last[alert.stream] = alert.seq
                out.append(alert)


def alert_endpoint(settings: AlertSocketSettings) -> str:
    return f"tcp://{settings.host}:{settings.port}"


def ask_links(context: Context, endpoint: str, timeout_s: float) -> dict[str, str]:
    """The endpoints of the links of the daemon whose alert socket is at ``endpoint``.

    Raises:
        UserError: no daemon answers there.
    """
    with connecting(context, zmq.DEALER, _QUEUE, endpoint) as dealer:
        dealer.connect(requests_of(endpoint))
        dealer.send(msgspec.json.encode(AlertRequest("links")))
        if not dealer.poll(int(1000 * timeout_s)):
            raise UserError(f"no ecg-monitor answers at {endpoint}: is one running? Its alert socket is the endpoint")
        try:
            return msgspec.json.decode(dealer.recv_multipart()[-1], type=dict[str, str])
        except (msgspec.MsgspecError, ValueError) as error:
            raise UserError(f"{endpoint}: what answers there is no ecg-monitor") from error
