"""A process of the daemon, as its supervisor sees it."""

import socket
import subprocess
from dataclasses import dataclass, field


@dataclass
class Standby:
    """A process that has loaded everything, and waits to take the place of its stage."""

    process: subprocess.Popen[bytes]
    lifeline: socket.socket
    ready: bool = False

    def take_over(self) -> bool:
        """Tells it that it is the stage from now on; False: it is not there, or has not loaded everything."""
        if not self.ready or self.process.poll() is not None:
            return False
        try:
            return self.lifeline.send(b"g") == 1
        except OSError:  # it has died just now
            return False


@dataclass
class Child:
    """One process of the daemon."""

    name: str
    arguments: list[str]
    """Of ``python -m monitor``; the lifeline's descriptor is appended."""
    foreground: bool = False
    """Has the terminal; the daemon ends when it ends."""
    essential: bool = True
    """Without it there is no monitoring."""
    attendant: bool = False
    """It only watches the others: none stands by for it, and the daemon's end does not wait for it."""
    feeds: tuple[str, ...] = ()
    """Those that work with what it makes: when all of them have finished, it is needed no more."""
    process: subprocess.Popen[bytes] | None = None
    lifeline: socket.socket | None = None
    ready: bool = False
    standby: Standby | None = None
    up_since: float = 0.0
    """When it was ready, monotonic s."""
    heard: float | None = None
    """When it last gave a sign of life, monotonic s; None: it has given none yet, and none is asked for."""
    finished: bool = False
    given_up: str = ""
    """Why it is not started any more."""
    deaths: list[float] = field(default_factory=list)
    again_at: float | None = None
    alone_since: float | None = None
    """Since when all that it feeds have ended, monotonic s."""

    @property
    def over(self) -> bool:
        """It is not expected to do any more."""
        return self.finished or bool(self.given_up)


def dismiss(standby: Standby | None) -> None:
    """A process that is needed no more."""
    if standby is not None:
        standby.process.kill()
        standby.process.wait()
        standby.lifeline.close()
