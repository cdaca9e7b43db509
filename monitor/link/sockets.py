"""What all ends of all links share: contexts, endpoints, who may bind and connect where, waiting.

Law: a socket that other machines can reach speaks CURVE, to those alone who are on its list, or is not bound at all.
"""

import ipaddress
import socket as socket_module
import time
from collections.abc import Sequence
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator

from monitor.config import SecuritySettings
from monitor.errors import UserError
from monitor.link import keys

Socket = zmq.Socket[bytes]

PATIENCE_S = 3.0
"""s that a former life may take to let go of its ports."""
_RETRY_S = 0.05
"""s between two attempts."""


class Context:
    """The sockets of a process, with its keys.

    Args:
        security: where the keys are; None: there are none, and nothing but this machine can be reached.

    Raises:
        UserError: keys that are named cannot be used.
    """

    def __init__(self, security: SecuritySettings | None = None) -> None:
        folder = Path(security.keys).expanduser() if security is not None and security.keys else None
        mine = Path(security.client).expanduser() if security is not None and security.client else None
        self._server = keys.of_server(folder) if folder is not None else None
        if mine is None and folder is not None:
            mine = folder / "for" / keys.LOCAL
        self._client = keys.of_client(mine) if mine is not None else None
        self.inner: zmq.Context[Socket] = zmq.Context(io_threads=1)
        self._doorman: ThreadAuthenticator | None = None
        if folder is not None:
            self._doorman = ThreadAuthenticator(self.inner)
            self._doorman.start()
            for domain in (keys.LISTEN, keys.CONTROL):
                self._doorman.configure_curve(domain=domain, location=folder / domain)

    def socket(self, kind: int) -> Socket:
        return self.inner.socket(kind)

    def lock(self, what: str, socket: Socket, endpoint: str, domain: str) -> None:
        """Before a socket is bound: only who is on the list of ``domain`` may connect, from wherever it can be reached.

        Raises:
            UserError: it could be reached from other machines, and there are no keys.
        """
        if not endpoint.startswith("tcp://"):
            return
        if self._server is not None:
            socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())
            socket.setsockopt(zmq.CURVE_SERVER, 1)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, self._server.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, self._server.secret)
        elif not on_loopback(endpoint):
            raise UserError(
                f"{what}: {endpoint} can be reached by others, and nothing would be encrypted; "
                "`ecg-monitor keys DIR` makes keys, [security] keys = DIR uses them"
            )

    def unlock(self, socket: Socket, endpoint: str) -> None:
        """Before a socket connects: says who this is."""
        if self._client is not None and endpoint.startswith("tcp://"):
            pair, server = self._client
            socket.setsockopt(zmq.CURVE_SERVERKEY, server)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)

    def term(self) -> None:
        """When all its sockets are closed."""
        if self._doorman is not None:
            self._doorman.stop()
        self.inner.term()


def new_context(security: SecuritySettings | None = None) -> Context:
    return Context(security)


def on_loopback(endpoint: str) -> bool:
    """Whether this machine alone reaches it."""
    host = endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, an interface, or *


def requests_of(endpoint: str) -> str:
    """The endpoint that answers requests, beside the one that publishes: for TCP the next port."""
    if endpoint.startswith("tcp://"):
        host, _, port = endpoint.rpartition(":")
        return f"{host}:{int(port) + 1}"
    return f"{endpoint}.requests"


def bind(context: Context, what: str, domain: str, sockets: dict[str, Socket], patience_s: float = 0.0) -> None:
    """Binds each socket to its endpoint; where one cannot be, all are closed.

    Args:
        what: they are, for people.
        domain: who may connect.
        sockets: by endpoint.
        patience_s: how long an endpoint may still be in use, by a former life that is closing.

    Raises:
        UserError: with the endpoint and the reason.
    """
    until = time.monotonic() + patience_s
    for endpoint, socket in sockets.items():
        try:
            context.lock(what, socket, endpoint, domain)
            while True:
                try:
                    socket.bind(endpoint)
                    break
                except zmq.ZMQError as error:
                    if error.errno != zmq.EADDRINUSE or time.monotonic() > until:
                        raise
                    time.sleep(_RETRY_S)
        except (zmq.ZMQError, UserError) as error:
            for each in sockets.values():
                each.close()
            if isinstance(error, UserError):
                raise
            if error.errno == zmq.EADDRINUSE:
                raise UserError(
                    f"{what}: {endpoint} is in use: does another ecg-monitor run? "
                    "`--alert-port N` or [alert_socket] port chooses another"
                ) from error
            raise UserError(f"{what}: cannot bind {endpoint}: {error.strerror}") from error


def connecting(context: Context, kind: int, queue: int, endpoint: str) -> Socket:
    """A socket that will connect, keeps trying, and never holds up the end of its process."""
    socket: Socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVHWM, queue)
    socket.setsockopt(zmq.RECONNECT_IVL, 20)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    context.unlock(socket, endpoint)
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
