"""Who tries to get in: without a key, with a wrong one, without the right to control, and a sniffer on the wire."""

import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from monitor import config
from monitor.events import Alert, AlertState, Priority
from monitor.link import AlertListener, AlertSocket, ControlSocket, Operator, Order, free_port, keys, new_context, wait
from monitor.link.sockets import Context
from monitor.rules import BY_KIND

_TRY_S = 1.0
"""s in which one who may would long have got something."""
SECRET = "ventricular tachycardia"
"""What must not be read."""

ALERT = Alert(
    schema="ecg-monitor/alert/1", id="p/vt/10", stream="p", seq=1, kind="vt", priority=Priority.HIGH,
    class_="physiological", state=AlertState.RAISED, latched=False, sample=100, onset_sample=10, onset_time=1.5,
    published_time=None, value=182.0, limit=100.0, unit="1/min", message=SECRET, beats=(10, 60, 100), previous=0,
)  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """What one of them got."""

    alerts: int
    controlled: bool


class Server:
    """A daemon's alert and control sockets, with keys, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "server"
        keys.make(self.folder, ["ward"], control=False)
        keys.make(self.folder, ["nurse"], control=True)
        settings = config.load()
        self.security = msgspec.structs.replace(settings.security, keys=str(self.folder))
        self.port = free_port()
        place = msgspec.structs.replace(settings.alert_socket, port=self.port)
        self.context = new_context(self.security)
        self._alerts = AlertSocket(self.context, place, {}, 1 << 20)
        self._control = ControlSocket(self.context, place, BY_KIND, 600.0, 1 << 20)
        self._alerts.publish(ALERT)
        self.orders = 0

    def serve(self) -> None:
        wait([*self._alerts.sockets, self._control.socket], 0.02)
        self._alerts.serve()
        self.orders += len(self._control.receive(["p"]))
        self._control.done()

    def close(self) -> None:
        self._alerts.close()
        self._control.close()
        self.context.term()


def tries(server: Server, context: Context, port: int) -> Tried:
    """A client that listens and gives an order, for a while."""
    listener = AlertListener(context, f"tcp://127.0.0.1:{port}", history=True)
    operator = Operator(context, f"tcp://127.0.0.1:{server.port + 2}")
    operator.ask(Order("acknowledge"))
    before, heard, answered = server.orders, 0, False
    until = time.monotonic() + _TRY_S
    while time.monotonic() < until and not (heard and answered):
        server.serve()
        heard += len(listener.receive())
        answered = answered or any(answer.ok for answer in operator.heard())
    listener.close()
    operator.close()
    return Tried(heard, server.orders > before or answered)


class Sniffer:
    """Passes on everything between two ports, and keeps it."""

    def __init__(self, port: int) -> None:
        self.seen = bytearray()
        self._to = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._door, *self._open):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(data)
        except OSError:
            return


def run() -> dict[str, tuple[Tried, Tried]]:
    """By who they are: what they got, and what they should have got."""
    everything, nothing = Tried(1, True), Tried(0, False)
    out = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        server = Server(folder)
        other = folder / "other"
        keys.make(other, ["ward"], control=True)
        wrong = other / "for" / "ward"
        # Knows the right server, but is on nobody's list.
        (wrong / "server.key").write_bytes((server.folder / "server.key").read_bytes())
        own = server.folder / "for"
        for who, client, expected in (
            ("no key", None, nothing),
            ("a key that is on no list", wrong, nothing),
            ("a key without the right to control", own / "ward", Tried(1, False)),
            ("a key with it", own / "nurse", everything),
        ):
            security = msgspec.structs.replace(server.security, keys="", client=str(client) if client else "")
            context = new_context(security)
            out[who] = (tries(server, context, server.port), expected)
            context.term()
        server.close()
    return out


def overheard() -> tuple[int, bool]:
    """Bytes that a sniffer saw between server and client, and whether an alert could be read in them."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        server = Server(Path(name))
        sniffer = Sniffer(server.port)
        security = msgspec.structs.replace(server.security, keys="", client=str(server.folder / "for" / "nurse"))
        context = new_context(security)
        listener = AlertListener(context, f"tcp://127.0.0.1:{sniffer.port}", history=True)
        alerts = msgspec.structs.replace(ALERT, seq=2, previous=1)
        until = time.monotonic() + _TRY_S
        while time.monotonic() < until:
            server.serve()
            listener.receive()
        server._alerts.publish(alerts)
        until = time.monotonic() + _TRY_S
        heard = 0
        while time.monotonic() < until and not heard:
            server.serve()
            heard += len(listener.receive())
        listener.close()
        context.term()
        server.close()
        sniffer.close()
        assert heard or sniffer.seen, "the sniffer stood in the way"
        return len(sniffer.seen), SECRET.encode() in sniffer.seen
