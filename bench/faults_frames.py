"""Junk at every socket: random bytes and mutations of what belongs there, in volume, between real messages."""

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq

from bench.faults_intruders import ALERT
from monitor import config
from monitor.events import Opened, Samples, Status
from monitor.link import (
    AlertListener,
    AlertSocket,
    ControlSocket,
    Operator,
    Publisher,
    Subscriber,
    free_port,
    new_context,
)
from monitor.link.alerts import AlertRequest
from monitor.link.control import Answer, Order
from monitor.link.requests import Acknowledge, Hello, Repair, Settled, decoder
from monitor.rules import BY_KIND
from monitor.wire import FrameError, decode, decode_alert, encode, encode_alert

_BATCH = 100
"""Frames sent before the socket under test is read: fewer than any queue holds, so that none is dropped."""
_PATIENCE_S = 20.0
"""s in which a batch must have been read."""


@dataclass(frozen=True)
class Struck:
    """What became of the junk at one socket."""

    sent: int
    rejected: int
    expected: int
    """How many of them were junk; a mutation may by chance be another valid message."""
    wrong: int
    """Events delivered that nobody sent."""


def mutated(rng: random.Random, whole: bytes) -> bytes:
    """Something else: bits turned, cut short, drawn out, parts swapped, or bytes from nowhere."""
    data = bytearray(whole)
    match rng.randrange(6):
        case 0:
            return rng.randbytes(rng.randrange(200))
        case 1:
            del data[rng.randrange(len(data) + 1) :]
        case 2:
            data += rng.randbytes(rng.randrange(1, 40))
        case 3:
            a, b = sorted(rng.randrange(len(data)) for _ in range(2))
            data[a:b] = reversed(data[a:b])
        case _:
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def strike(
    count: int,
    seed: int,
    models: list[bytes],
    valid: Callable[[bytes], bool],
    send: Callable[[bytes], None],
    read: Callable[[], int],
    rejected: Callable[[], int],
) -> Struck:
    """Sends mutations of ``models``.

    Args:
        valid: whether a frame is by chance a message that belongs there; such are not sent.
        send: one frame to the socket under test.
        read: lets the owner of the socket take what has come; wrong events it delivered.
        rejected: how many frames it has refused so far.
    """
    rng = random.Random(seed)
    sent = wrong = 0
    before = rejected()
    while sent < count:
        size = min(_BATCH, count - sent)
        made = 0
        while made < size:
            frame = mutated(rng, rng.choice(models))
            if valid(frame):
                continue
            send(frame)
            made += 1
        sent += made
        until = time.monotonic() + _PATIENCE_S
        while rejected() - before < sent and time.monotonic() < until:
            wrong += read()
    return Struck(sent, rejected() - before, sent, wrong)


def run(each: int) -> dict[str, Struck]:
    """``each`` frames at every socket there is."""
    settings = config.load()
    out = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        context = new_context()
        for name, test in (
            ("link, subscriber's SUB", _sub),
            ("link, subscriber's DEALER", _dealer),
            ("link, publisher's ROUTER", _router),
            ("alert socket, ROUTER", _alert_router),
            ("alert socket, listener's SUB", _listener_sub),
            ("alert socket, listener's DEALER", _listener_dealer),
            ("control socket, ROUTER", _control),
            ("control socket, operator's DEALER", _operator),
        ):
            out[name] = test(context, settings, Path(folder), each)
        context.term()
    return out


def _events() -> list[Any]:
    opened = Opened(stream="p", seq=1, source="", fs=360.0, leads=("I",), start_time=0.0, length=None)
    return [opened, Samples(stream="p", seq=2, start=0, signal=np.ones((1, 36), np.float32))]


def _is_frame(data: bytes) -> bool:
    try:
        decode(data)
    except FrameError:
        return False
    return True


def _reads(kind: Any) -> Callable[[bytes], bool]:
    def valid(data: bytes) -> bool:
        try:
            msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, ValueError):
            return False
        return True

    return valid


def _sub(context: Any, settings: Any, folder: Path, count: int) -> Struck:
    return _subscriber(context, settings, f"ipc://{folder}/s", count, answers=False)


def _dealer(context: Any, settings: Any, folder: Path, count: int) -> Struck:
    return _subscriber(context, settings, f"ipc://{folder}/d", count, answers=True)


def _subscriber(context: Any, settings: Any, endpoint: str, count: int, *, answers: bool) -> Struck:
    pub, router = context.socket(zmq.PUB), context.socket(zmq.ROUTER)
    for socket, where in ((pub, endpoint), (router, f"{endpoint}.requests")):
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.bind(where)
    subscriber = Subscriber(context, endpoint, settings.link, needed=False)
    subscriber.receive()
    identity = router.recv_multipart()[0]
    until = time.monotonic() + _PATIENCE_S
    while not subscriber.rejected and time.monotonic() < until:  # until the subscription has arrived
        pub.send_multipart([b"ecg", b"junk"])
        subscriber.receive()
    whole = encode(_events(), run=1, lineage=1, number=1)

    def send(frame: bytes) -> None:
        if answers:
            router.send_multipart([identity, b"done", b"1", frame])
        else:
            pub.send_multipart([b"ecg", frame])

    def read() -> int:
        while router.poll(0):
            router.recv_multipart()
        return sum(not isinstance(event, Status) for event in subscriber.receive())

    time.sleep(0.1)
    read()
    struck = strike(count, 1, [whole], _is_frame, send, read, lambda: subscriber.rejected)
    for socket in (pub, router, subscriber):
        socket.close()
    return struck


def _router(context: Any, settings: Any, folder: Path, count: int) -> Struck:
    endpoint = f"ipc://{folder}/r"
    publisher = Publisher(context, endpoint, settings.link)
    publisher.send(_events())
    requests = [Hello(True, "n", True), Acknowledge(7), Settled({"p": 3}), Repair({"p": 2}, 4)]

    def valid(data: bytes) -> bool:
        try:
            decoder.decode(data)
        except (msgspec.MsgspecError, ValueError):
            return False
        return True

    def read() -> int:
        publisher.serve()
        return 0

    struck = _by_dealer(
        context,
        f"{endpoint}.requests",
        count,
        [msgspec.msgpack.encode(one) for one in requests],
        valid,
        read,
        publisher,
    )
    publisher.close()
    return struck


def _by_dealer(
    context: Any,
    endpoint: str,
    count: int,
    models: list[bytes],
    valid: Callable[[bytes], bool],
    read: Callable[[], int],
    struck: Any,
) -> Struck:
    with context.socket(zmq.DEALER) as stranger:
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.connect(endpoint)

        def reading() -> int:
            while stranger.poll(0):
                stranger.recv_multipart()
            return read()

        return strike(count, 2, models, valid, stranger.send, reading, lambda: struck.rejected)


def _alert_router(context: Any, settings: Any, folder: Path, count: int) -> Struck:
    place = msgspec.structs.replace(settings.alert_socket, port=free_port())
    socket = AlertSocket(context, place, {}, 1 << 20)
    socket.publish(ALERT)
    known = ("active", "history", "since", "links")

    def valid(data: bytes) -> bool:
        return _reads(AlertRequest)(data) and msgspec.json.decode(data, type=AlertRequest).request in known

    def read() -> int:
        socket.serve()
        return 0

    models = [msgspec.json.encode(AlertRequest(one, {"p": 3})) for one in known]
    struck = _by_dealer(context, f"tcp://127.0.0.1:{place.port + 1}", count, models, valid, read, socket)
    socket.close()
    return struck


def _listener_sub(context: Any, settings: Any, folder: Path, count: int) -> Struck:
    return _listener(context, f"ipc://{folder}/a", count, answers=False)


def _listener_dealer(context: Any, settings: Any, folder: Path, count: int) -> Struck:
    return _listener(context, f"ipc://{folder}/b", count, answers=True)


def _listener(context: Any, endpoint: str, count: int, *, answers: bool) -> Struck:
    pub, router = context.socket(zmq.XPUB), context.socket(zmq.ROUTER)
    for socket, where in ((pub, endpoint), (router, f"{endpoint}.requests")):
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.bind(where)
    listener = AlertListener(context, endpoint, history=True)
    hello = b""
    while not hello.startswith(b"\x01hello/"):
        hello = pub.recv_multipart()[0]
    pub.send_multipart([hello[1:], b'{"lineage": 1, "last": {}}'])
    identity = b""
    while not identity:
        listener.receive()
        if router.poll(10):
            identity = router.recv_multipart()[0]

    def send(frame: bytes) -> None:
        if answers:
            router.send_multipart([identity, frame])
        else:
            pub.send_multipart([b"alert", frame])

    def valid(data: bytes) -> bool:
        try:
            decode_alert(data)
        except (msgspec.MsgspecError, ValueError):
            return data == b"null"
        return True

    struck = strike(
        count, 3, [encode_alert(ALERT)], valid, send, lambda: len(listener.receive()), lambda: listener.rejected
    )
    for socket in (pub, router, listener):
        socket.close()
    return struck


def _control(context: Any, settings: Any, folder: Path, count: int) -> Struck:
    place = msgspec.structs.replace(settings.alert_socket, port=free_port())
    socket = ControlSocket(context, place, BY_KIND, 600.0, 1 << 20)
    models = [
        msgspec.json.encode(Order(one, "p", kind="vt", seconds=9.0)) for one in ("acknowledge", "silence", "enable")
    ]

    def read() -> int:
        return len(socket.receive(["p"]))

    struck = _by_dealer(context, f"tcp://127.0.0.1:{place.port + 2}", count, models, _reads(Order), read, socket)
    socket.close()
    return struck


def _operator(context: Any, settings: Any, folder: Path, count: int) -> Struck:
    endpoint = f"ipc://{folder}/o"
    router = context.socket(zmq.ROUTER)
    router.setsockopt(zmq.LINGER, 0)
    router.bind(endpoint)
    operator = Operator(context, endpoint)
    operator.ask(Order("acknowledge"))
    identity = router.recv_multipart()[0]
    struck = strike(
        count,
        4,
        [msgspec.json.encode(Answer(True, ["p"], "no"))],
        _reads(Answer),
        lambda frame: router.send_multipart([identity, frame]),
        lambda: len(operator.heard()),
        lambda: operator.rejected,
    )
    router.close()
    operator.close()
    return struck
