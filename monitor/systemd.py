"""What systemd wants to know of a service: that it is ready, what it does, that it lives, that it stops.

sd_notify(3): datagrams of ``NAME=VALUE`` lines to the socket that ``NOTIFY_SOCKET`` names. Without one, and where a
datagram cannot be sent, nothing happens.
"""

import contextlib
import os
import socket
from collections.abc import MutableMapping


class Notifier:
    """The service's end.

    Args:
        address: of the socket: a path, or ``@`` and a name in the abstract namespace; "": there is none.
        watchdog_s: s without a sign of life after which systemd ends the service; None: it does not watch.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> "Notifier":
        """What systemd has said there, which is taken out: it is not for the processes that this one starts."""
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        watched = microseconds.isdecimal() and pid in ("", str(os.getpid()))
        return cls(address, int(microseconds) / 1e6 if watched else None)

    def ready(self) -> None:
        self._tell("READY=1")

    def alive(self) -> None:
        """To be said more often than every ``watchdog_s``."""
        if self.watchdog_s is not None:
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def status(self, words: str) -> None:
        """One line for people; said when it has changed."""
        if words != self._status:
            self._status = words
            self._tell(f"STATUS={words}")

    def _tell(self, line: str) -> None:
        if not self._address.startswith(("/", "\0")):
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            datagrams.setblocking(False)
            datagrams.sendto(line.encode(), self._address)
