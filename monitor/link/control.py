"""The control socket: what a person wants of the alarms, and whether it was done.

A ROUTER two ports after the alert socket. Each request is one JSON object (:class:`Order`), each answer another
(:class:`Answer`); what was answered with ``ok`` survives the death of the stage that did it.
"""

from collections.abc import Container, Iterable

import msgspec
import zmq
from msgspec import Struct

from monitor.config import AlertSocketSettings
from monitor.errors import UserError
from monitor.events import Acknowledge, Command, Enable, Silence
from monitor.link.keys import CONTROL
from monitor.link.sockets import PATIENCE_S, Context, Socket, bind, connecting, take

_QUEUE = 100
"""Orders queued in a socket."""


class Order(Struct, frozen=True):
    """What may be asked for, as JSON."""

    command: str
    """``acknowledge``, ``silence``, ``enable`` or ``disable``."""
    stream: str | None = None
    """None: all that are open."""
    alert: str | None = None
    """acknowledge: the id of one alert; None: all of the stream's."""
    kind: str = ""
    """enable, disable: which kind of alert."""
    seconds: float = 0.0
    """silence: how long; 0 ends it."""


class Answer(Struct, frozen=True):
    """What became of an order."""

    ok: bool
    streams: list[str] = []
    """Those that it was carried out for."""
    error: str = ""
    """One line for people."""


class ControlSocket:
    """The daemon's end.

    Args:
        kinds: that can be enabled and disabled.
        longest_s: that a stream may be silenced for.
    """

    def __init__(
        self,
        context: Context,
        settings: AlertSocketSettings,
        kinds: Container[str],
        longest_s: float,
        max_frame_bytes: int,
    ) -> None:
        self._kinds = kinds
        self._longest_s = longest_s
        self._answers: list[list[bytes]] = []
        self.rejected = 0
        self._router: Socket = context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 500)
        self._router.setsockopt(zmq.MAXMSGSIZE, max_frame_bytes)
        bind(context, "control socket", CONTROL, {control_endpoint(settings): self._router}, PATIENCE_S)

    @property
    def socket(self) -> Socket:
        return self._router

    def receive(self, streams: Iterable[str]) -> list[Command]:
        """What the orders that are waiting come to, for these open streams; what cannot be done is answered.

        The others are answered with :meth:`done`.
        """
        out: list[Command] = []
        while (parts := take(self._router)) is not None:
            envelope = parts[:-1]
            try:
                order = msgspec.json.decode(parts[-1], type=Order)
            except (msgspec.MsgspecError, ValueError):
                self.rejected += 1
                self._reply(envelope, Answer(False, error="not an order: see docs/protocol.md"))
                continue
            targets = [name for name in streams if order.stream in (None, name)]
            problem = self._problem(order, targets)
            if problem:
                self.rejected += 1
                self._reply(envelope, Answer(False, error=problem))
                continue
            out += [_command(order, stream) for stream in targets]
            self._answers.append([*envelope, msgspec.json.encode(Answer(True, targets))])
        return out

    def done(self) -> None:
        """What :meth:`receive` gave has been carried out."""
        for answer in self._answers:
            self._router.send_multipart(answer)
        self._answers.clear()

    def close(self) -> None:
        self._router.close()

    def _problem(self, order: Order, targets: list[str]) -> str:
        if order.command not in ("acknowledge", "silence", "enable", "disable"):
            return f"no such command: {order.command}; there are acknowledge, silence, enable, disable"
        if order.command in ("enable", "disable") and order.kind not in self._kinds:
            return f"no such kind of alert: {order.kind}"
        if not 0 <= order.seconds <= self._longest_s:
            return f"silence for {order.seconds:g} s: 0 to {self._longest_s:g} s can be had"
        if not targets:
            return "no stream is open" if order.stream is None else f"no such stream: {order.stream}"
        return ""

    def _reply(self, envelope: list[bytes], answer: Answer) -> None:
        self._router.send_multipart([*envelope, msgspec.json.encode(answer)])


def _command(order: Order, stream: str) -> Command:
    if order.command == "acknowledge":
        return Acknowledge(stream=stream, seq=1, sample=0, alert=order.alert)
    if order.command == "silence":
        return Silence(stream=stream, seq=1, sample=0, seconds=order.seconds)
    return Enable(stream=stream, seq=1, sample=0, kind=order.kind, on=order.command == "enable")


class Operator:
    """The other end, for a screen: orders go out, answers come when they come."""

    def __init__(self, context: Context, endpoint: str) -> None:
        self._dealer = connecting(context, zmq.DEALER, _QUEUE, endpoint)
        self._dealer.connect(endpoint)
        self.rejected = 0

    def ask(self, wanted: Order) -> None:
        self._dealer.send(msgspec.json.encode(wanted), zmq.NOBLOCK)

    def heard(self) -> list[Answer]:
        """The answers that are here; never waits."""
        out = []
        while (parts := take(self._dealer)) is not None:
            try:
                out.append(msgspec.json.decode(parts[-1], type=Answer))
            except (msgspec.MsgspecError, ValueError):
                self.rejected += 1
        return out

    def close(self) -> None:
        self._dealer.close()


def control_endpoint(settings: AlertSocketSettings) -> str:
    return f"tcp://{settings.host}:{settings.port + 2}"


def order(context: Context, endpoint: str, wanted: Order, timeout_s: float) -> Answer:
    """What a daemon makes of an order.

    Args:
        endpoint: of its control socket.

    Raises:
        UserError: no daemon answers there.
    """
    with connecting(context, zmq.DEALER, _QUEUE, endpoint) as dealer:
        dealer.connect(endpoint)
        dealer.send(msgspec.json.encode(wanted))
        if not dealer.poll(int(1000 * timeout_s)):
            raise UserError(f"no ecg-monitor answers at {endpoint}: is one running, and may this user control it?")
        try:
            return msgspec.json.decode(dealer.recv_multipart()[-1], type=Answer)
        except (msgspec.MsgspecError, ValueError) as error:
            raise UserError(f"{endpoint}: what answers there is no ecg-monitor") from error
