"""Starts the stages, restarts the dead, stops them in order.

Laws: no stage outlives the supervisor (each holds one end of a lifeline, a socket pair that closes with it, even when
it is killed); the terminal is left as it was found; a stage that ends with a person's mistake ends the daemon with
that line, a stage that dies or hangs is started again, and one that dies again and again ends the daemon with its last
words. Each start goes on from the stage's last checkpoint.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from monitor.config import SupervisorSettings
from monitor.errors import UserError
from monitor.log import line

_TICK_S = 0.05
"""s between two looks at the children."""
_START_S = 60.0
"""s until every stage must be ready: the first start compiles the kernels."""
_SIGNS = 4096
"""Signs of life read at once."""
_LAST_WORDS = 12
"""Lines of a dead stage's log that are shown."""
_RESTORE_SCREEN = "\x1b[?1049l\x1b[?25h"
"""Leaves the alternate screen and shows the cursor, should the dashboard have been killed."""

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
QUIT = 4
"""Exit code of a foreground child that a person left: the others are to stop, whatever they still have."""


@dataclass
class Standby:
    """A process that has loaded everything, and waits to take the place of its stage."""

    process: subprocess.Popen[bytes]
    lifeline: socket.socket
    ready: bool = False


@dataclass
class Child:
    """One process of the daemon."""

    name: str
    arguments: list[str]
    """Of ``python -m monitor``; the lifeline's descriptor is appended."""
    foreground: bool = False
    """Has the terminal; the daemon ends when it ends."""
    feeds: tuple[str, ...] = ()
    """Those that work with what it makes: when all of them have finished, it is needed no more."""
    process: subprocess.Popen[bytes] | None = None
    lifeline: socket.socket | None = None
    ready: bool = False
    standby: "Standby | None" = None
    up_since: float = 0.0
    """When it was ready, monotonic s."""
    heard: float | None = None
    """When it last gave a sign of life, monotonic s; None: it has given none yet, and none is asked for."""
    finished: bool = False
    deaths: list[float] = field(default_factory=list)
    again_at: float | None = None


class Supervisor:
    """One daemon's processes.

    Args:
        folder: for their logs.
        echo: what they log also goes to standard error.
    """

    def __init__(
        self, children: Sequence[Child], folder: Path, settings: SupervisorSettings, *, echo: bool = False
    ) -> None:
        self._children = list(children)
        self._folder = folder
        self._settings = settings
        self._echo = echo
        # What former lives have logged was told by them.
        self._told = {path.stem: path.stat().st_size for path in folder.glob("*.log")}
        self._looked = time.monotonic()
        self._signal = 0
        self._terminal = _terminal_state()

    def run(self) -> int:
        """Until the foreground child ends, a signal comes, or something fails for good; the exit code.

        Raises:
            UserError: a stage could not begin or go on; its line.
        """
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for child in self._children:
                if not child.foreground:
                    self._start(child)
            started = time.monotonic()
            while not self._signal:
                self._listen()
                ended = self._look()
                if ended is not None:
                    return ended
                backs = [child for child in self._children if not child.foreground]
                if all(child.ready for child in backs):
                    for child in self._children:
                        if child.foreground and child.process is None:
                            self._start(child)
                elif time.monotonic() - started > _START_S:
                    slow = ", ".join(child.name for child in backs if not child.ready)
                    raise UserError(f"not ready after {_START_S:.0f} s: {slow}{self._last_words(slow)}")
            return INTERRUPTED if self._signal == signal.SIGINT else 128 + self._signal
        finally:
            self._stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = number

    def _start(self, child: Child) -> None:
        if child.lifeline is not None:
            child.lifeline.close()
        waiting, child.standby = child.standby, None
        if waiting is not None and waiting.ready and waiting.process.poll() is None:
            waiting.lifeline.send(b"g")
            child.process, child.lifeline = waiting.process, waiting.lifeline
        else:
            _dismiss(waiting)
            child.process, child.lifeline = self._spawn(child, [])
        child.again_at = child.heard = None
        child.up_since = time.monotonic()
        (self._folder / f"{child.name}.pid").write_text(f"{child.process.pid}\n")

    def _spawn(self, child: Child, more: list[str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "monitor", *child.arguments, *more, "--lifeline", str(theirs.fileno())]
        with contextlib.ExitStack() as stack:
            stack.callback(theirs.close)
            log = stack.enter_context((self._folder / f"{child.name}.log").open("ab"))
            process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                stdin=None if child.foreground else subprocess.DEVNULL,
                stdout=None if child.foreground else log,
                stderr=log,
            )
        return process, ours

    def _stand_by(self, child: Child, now: float) -> None:
        """Sees to it that a process stands by for a stage that has been up for a while."""
        if child.standby is not None and child.standby.process.poll() is not None:
            self._say("standby died", name=child.name)
            _dismiss(child.standby)
            child.standby, child.up_since = None, now
        if child.standby is None and now - child.up_since > self._settings.standby_after_s:
            child.standby = Standby(*self._spawn(child, ["--standby"]))

    def _listen(self) -> None:
        """Waits a tick for signs of life; the first says that a stage is ready."""
        lines = {child.lifeline.fileno(): child for child in self._children if child.lifeline and not child.finished}
        waiting = {
            child.standby.lifeline.fileno(): child.standby
            for child in self._children
            if child.standby is not None and not child.standby.ready
        }
        readable, _, _ = select.select([*lines, *waiting], [], [], _TICK_S)
        dead = False
        for descriptor in readable:
            if descriptor in waiting:
                standby = waiting[descriptor]
                standby.ready = bool(os.read(descriptor, 1))
                dead = dead or not standby.ready
                continue
            child = lines[descriptor]
            try:
                signs = os.read(descriptor, _SIGNS)
            except ConnectionResetError:
                signs = b""
            child.ready = child.ready or bool(signs)
            if b"." in signs:
                child.heard = time.monotonic()
            dead = dead or not signs  # _look finds it
        if dead:
            time.sleep(_TICK_S)

    def _look(self) -> int | None:
        """Reaps and restarts; the daemon's exit code when it is over."""
        now = time.monotonic()
        if now - self._looked > 1.0:  # it was this process that stood still, not they
            for child in self._children:
                child.heard = None
        self._looked = now
        self._forward()
        for child in self._children:
            if child.again_at is not None and now >= child.again_at:
                self._start(child)
            if child.process is None or child.finished:
                continue
            if (code := child.process.poll()) is None:
                if child.heard is not None and now - child.heard > self._settings.hang_s:
                    self._say("stage hangs", name=child.name, silent_s=round(now - child.heard, 1))
                    child.process.kill()
                    child.heard = None
                if self._settings.standby and child.ready and not child.foreground:
                    self._stand_by(child, now)
                continue
            if child.again_at is not None:
                continue
            if child.foreground and code in (0, QUIT, INTERRUPTED):
                if code == 0:
                    self._let_finish()
                return 0 if code == QUIT else code
            if code == 0:
                child.finished = True
                _dismiss(child.standby)
                child.standby = None
                continue
            if code in (1, 2):
                raise UserError(self._last_line(child))
            self._died(child, code, now)
        return None

    def _let_finish(self) -> None:
        """The signal has ended: those that still write it down may end by themselves."""
        until = time.monotonic() + self._settings.finish_s
        while time.monotonic() < until and not self._signal:
            backs = [child for child in self._children if not child.foreground]
            if all(child.finished for child in backs):
                return
            self._listen()
            self._look()

    def _died(self, child: Child, code: int, now: float) -> None:
        settings = self._settings
        done = {other.name for other in self._children if other.finished}
        if child.feeds and done.issuperset(child.feeds):
            child.finished = True
            return
        child.deaths = [at for at in child.deaths if now - at < settings.restart_window_s] + [now]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if len(child.deaths) > settings.restart_limit:
            words = self._last_words(child.name)
            raise UserError(f"{child.name} died {len(child.deaths)} times, last by {how}; giving up{words}")
        self._say("stage died", name=child.name, how=how, recent_deaths=len(child.deaths))
        if child.foreground:
            self._restore_terminal()
        if child.standby is not None and child.standby.ready and len(child.deaths) == 1:
            child.again_at = now
            return
        child.again_at = now + min(settings.restart_s * 2 ** (len(child.deaths) - 1), settings.restart_max_s)

    def _stop(self) -> None:
        """All processes, the foreground first, so that the terminal is free; what does not end in time is killed."""
        for child in self._children:
            _dismiss(child.standby)
        running = [c for c in reversed(self._children) if c.process is not None and c.process.poll() is None]
        for child in running:
            if child.process is not None:
                child.process.terminate()
        until = time.monotonic() + self._settings.stop_s
        for child in running:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        for child in self._children:
            if child.lifeline is not None:
                child.lifeline.close()
        self._restore_terminal()

    def _say(self, what: str, **more: Any) -> None:
        with (self._folder / "supervisor.log").open("a") as log:
            print(line("supervisor", what, **more), file=log)

    def _forward(self) -> None:
        """What has been logged since the last time, to standard error."""
        if not self._echo:
            return
        for name in ("supervisor", *(child.name for child in self._children)):
            path = self._folder / f"{name}.log"
            told = self._told.get(name, 0)
            if not path.exists() or path.stat().st_size <= told:
                continue
            with path.open("rb") as log:
                log.seek(told)
                whole, _, _ = log.read().rpartition(b"\n")
            self._told[name] = told + len(whole) + 1 if whole else told
            for each in whole.splitlines():
                if each.startswith(b"{"):  # the rest is a traceback, or a line that ends the daemon and is told then
                    sys.stderr.write(each.decode("utf-8", "replace") + "\n")
        sys.stderr.flush()

    def _restore_terminal(self) -> None:
        if self._terminal is None:
            return
        descriptor, attributes = self._terminal
        if termios.tcgetattr(descriptor) != attributes:
            # Only when the dashboard could not do it itself.
            termios.tcsetattr(descriptor, termios.TCSADRAIN, attributes)
            os.write(sys.stdout.fileno(), _RESTORE_SCREEN.encode())

    def _last_line(self, child: Child) -> str:
        lines = self._log(child.name)
        return lines[-1].removeprefix("ecg-monitor: ") if lines else f"{child.name} ended without a word"

    def _last_words(self, name: str) -> str:
        lines = self._log(name)[-_LAST_WORDS:]
        return "".join(f"\n  {line}" for line in lines)

    def _log(self, name: str) -> list[str]:
        path = self._folder / f"{name}.log"
        return path.read_text("utf-8", "replace").rstrip().splitlines() if path.exists() else []


def _dismiss(standby: Standby | None) -> None:
    """A process that is needed no more."""
    if standby is not None:
        standby.process.kill()
        standby.process.wait()
        standby.lifeline.close()


def _terminal_state() -> tuple[int, list[Any]] | None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    descriptor = sys.stdin.fileno()
    return descriptor, termios.tcgetattr(descriptor)
