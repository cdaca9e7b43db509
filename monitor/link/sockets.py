"""What all ends of all links share: contexts, endpoints, binding, waiting."""

import socket as socket_module
import time
from collections.abc import Sequence
from pathlib import Path

import zmq

from monitor.errors import UserError

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]

PATIENCE_S = 3.0
"""s that a former life may take to let go of its ports."""
_RETRY_S = 0.05
"""s between two attempts."""


def new_context() -> Context:
    return zmq.Context(io_threads=1)


def requests_of(endpoint: str) -> str:
    """The endpoint that answers requests, beside the one that publishes: for TCP the next port."""
    if endpoint.startswith("tcp://"):
        host, _, port = endpoint.rpartition(":")
        return f"{host}:{int(port) + 1}"
    return f"{endpoint}.requests"


def bind(what: str, sockets: dict[str, Socket], patience_s: float = 0.0) -> None:
    """Binds each socket to its endpoint; where one cannot be, all are closed.

    Args:
        what: they are, for people.
        sockets: by endpoint.
        patience_s: how long an endpoint may still be in use, by a former life that is closing.

    Raises:
        UserError: with the endpoint and the reason.
    """
    until = time.monotonic() + patience_s
    for endpoint, socket in sockets.items():
        try:
            while True:
                try:
                    socket.bind(endpoint)
                    break
                except zmq.ZMQError as error:
                    if error.errno != zmq.EADDRINUSE or time.monotonic() > until:
                        raise
                    time.sleep(_RETRY_S)
        except zmq.ZMQError as error:
            for each in sockets.values():
                each.close()
            if error.errno == zmq.EADDRINUSE:
                raise UserError(
                    f"{what}: {endpoint} is in use: does another ecg-monitor run? "
                    "`--alert-port N` or [alert_socket] port chooses another"
                ) from error
            raise UserError(f"{what}: cannot bind {endpoint}: {error.strerror}") from error


def connecting(context: Context, kind: int, queue: int) -> Socket:
    """A socket that connects, keeps trying, and never holds up the end of its process."""
    socket: Socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVHWM, queue)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    return socket


def take(socket: Socket) -> list[bytes] | None:
    """A message, if one is there."""
    try:
        return socket.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return None


def wait(readable: Sequence[Socket | int], timeout_s: float) -> set[int]:
    """Waits until one of the sockets or file descriptors is readable; the descriptors that are."""
    poller = zmq.Poller()
    for one in readable:
        poller.register(one, zmq.POLLIN)
    ready = poller.poll(max(0, int(1000 * timeout_s)))
    return {one for one, _ in ready if isinstance(one, int)}


def links_in(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Endpoints of a daemon's own links: sockets in its runtime folder, or TCP on loopback where there is no ipc."""
    if zmq.has("ipc"):
        return {name: f"ipc://{folder / name}" for name in names}
    return {name: f"tcp://127.0.0.1:{free_port()}" for name in names}


def free_port(ports: int = 3) -> int:
    """A TCP port on loopback that is free now, and so are those that follow it."""
    while True:
        with socket_module.socket() as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            others = [socket_module.socket() for _ in range(ports - 1)]
            try:
                for k, other in enumerate(others, 1):
                    other.bind(("127.0.0.1", port + k))
            except (OSError, OverflowError):
                continue
            finally:
                for other in others:
                    other.close()
            return port
