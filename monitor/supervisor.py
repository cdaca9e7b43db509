"""Starts the stages, restarts the dead, stops them in order.

Laws: no stage outlives the supervisor (each holds one end of a lifeline, a socket pair that closes with it, even when
it is killed); the terminal is left as it was found; a stage that ends with a person's mistake ends the daemon with
that line, a stage that dies or hangs is started again, and one that dies again and again ends the daemon with its last
words. Each start goes on from the stage's last checkpoint. A stage that is not *essential* (the recorder) ends the
daemon only in its first seconds, by a person's mistake; later it is left out, and the monitoring goes on.
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
from pathlib import Path
from types import FrameType
from typing import Any

from monitor.child import Child, Standby, dismiss
from monitor.config import SupervisorSettings
from monitor.errors import UserError
from monitor.log import Logbook
from monitor.systemd import Notifier

_TICK_S = 0.05
"""s between two looks at the children."""
_START_S = 150.0
"""s until every stage must be ready: the first start compiles the kernels, 15 s of work for a core that may be slow or
busy."""
_PARTING_S = 3.0
"""s that the foreground may take to end by itself after all stages have, and a stage after all that it feeds."""
_SIGNS = 4096
"""Signs of life read at once."""
_BEGINNING_S = 10.0
"""s after all are ready in which a person's mistake still ends the daemon, whosever it is: by then the first signal has
come, and the recorder has found files that are in its way."""
_PING_S = 1.0
"""s between two signs of life to systemd at most; a stage that gives none is killed and back in fewer than its
WatchdogSec."""
_RESTORE_SCREEN = "\x1b[?1049l\x1b[?25h"
"""Leaves the alternate screen and shows the cursor, should the dashboard have been killed."""

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
QUIT = 4
"""Exit code of a foreground child that a person left: the others are to stop, whatever they still have."""


class Supervisor:
    """One daemon's processes.

    Args:
        folder: for their logs.
        echo: what they log also goes to standard error.
        notifier: to whoever runs this as a service.
        inherited: descriptors that the children hold too.
    """

    def __init__(
        self,
        children: Sequence[Child],
        folder: Path,
        settings: SupervisorSettings,
        *,
        echo: bool = False,
        notifier: Notifier | None = None,
        inherited: Sequence[int] = (),
    ) -> None:
        self._children = list(children)
        self._settings = settings
        self._logbook = Logbook(folder, echo=echo)
        self._notifier = notifier or Notifier()
        self._inherited = tuple(inherited)
        self._pinged = 0.0
        self._looked = time.monotonic()
        self._ready_at: float | None = None
        """When all were ready, monotonic s."""
        self._over_at: float | None = None
        """Since when all but the foreground have ended, monotonic s."""
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
                self._tell_service()
                backs = [child for child in self._children if not child.foreground]
                if self._left_behind(time.monotonic()):
                    self._let_finish()
                    return 0
                if all(child.ready or child.over for child in backs):
                    for child in self._children:
                        if child.foreground and child.process is None and child.again_at is None:
                            self._start(child)
                elif time.monotonic() - started > _START_S:
                    slow = [child.name for child in backs if not child.ready]
                    words = "".join(map(self._logbook.last_words, slow))
                    raise UserError(f"not ready after {_START_S:.0f} s: {', '.join(slow)}{words}")
            return INTERRUPTED if self._signal == signal.SIGINT else 128 + self._signal
        finally:
            self._notifier.stopping()
            self._stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = number

    def _start(self, child: Child) -> None:
        if child.lifeline is not None:
            child.lifeline.close()
            child.lifeline = None
        child.again_at = child.heard = None
        waiting, child.standby = child.standby, None
        if waiting is not None and waiting.take_over():
            child.process, child.lifeline = waiting.process, waiting.lifeline
        else:
            dismiss(waiting)
            try:
                child.process, child.lifeline = self._spawn(child, [])
            except OSError as error:  # no process, descriptor or memory to be had
                self._died(child, f"not started: {error.strerror or error}", time.monotonic())
                return
        child.up_since = time.monotonic()
        self._logbook.note_pid(child.name, child.process.pid)

    def _spawn(self, child: Child, more: list[str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "monitor", *child.arguments, *more, "--lifeline", str(theirs.fileno())]
        with contextlib.ExitStack() as stack, contextlib.ExitStack() as failed:
            stack.callback(theirs.close)
            failed.callback(ours.close)
            log = stack.enter_context(self._logbook.open(child.name))
            process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(), *self._inherited),
                stdin=None if child.foreground else subprocess.DEVNULL,
                stdout=None if child.foreground else log,
                stderr=log,
            )
            failed.pop_all()
        return process, ours

    def _stand_by(self, child: Child, now: float) -> None:
        """Sees to it that a process stands by for a stage that has been up for a while."""
        if child.standby is not None and child.standby.process.poll() is not None:
            self._logbook.say("standby died", name=child.name)
            dismiss(child.standby)
            child.standby, child.up_since = None, now
        if child.standby is None and now - child.up_since > self._settings.standby_after_s:
            try:
                child.standby = Standby(*self._spawn(child, ["--standby"]))
            except OSError as error:
                self._logbook.say("no standby", name=child.name, why=error.strerror or str(error))
                child.up_since = now

    def _listen(self) -> None:
        """Waits a tick for signs of life; the first says that a stage is ready."""
        lines = {child.lifeline.fileno(): child for child in self._children if child.lifeline and not child.over}
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
        self._logbook.forward(child.name for child in self._children)
        for child in self._children:
            if child.again_at is not None and now >= child.again_at:
                self._start(child)
            if child.process is None or child.over:
                continue
            if (code := child.process.poll()) is None:
                if child.heard is not None and now - child.heard > self._settings.hang_s:
                    self._logbook.say("stage hangs", name=child.name, silent_s=round(now - child.heard, 1))
                    child.process.kill()
                    child.heard = None
                if self._alone(child, now):
                    child.process.terminate()
                    child.finished = True
                    dismiss(child.standby)
                    child.standby = None
                elif self._settings.standby and not child.attendant and child.ready and not child.foreground:
                    self._stand_by(child, now)
                continue
            if child.again_at is not None:
                continue
            if child.foreground and code in (0, QUIT, INTERRUPTED):
                child.finished = True
                if code == 0:
                    self._let_finish()
                return 0 if code == QUIT else code
            if code == 0:
                child.finished = True
                dismiss(child.standby)
                child.standby = None
                continue
            mistake = self._mistake(child, code)
            beginning = self._ready_at is None or now - self._ready_at < _BEGINNING_S
            if mistake and (child.essential or beginning):
                raise UserError(mistake)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self._died(child, f"{how}: {mistake}" if mistake else how, now)
        return None

    def _alone(self, child: Child, now: float) -> bool:
        """All that it feeds have ended, and it does not: it died when the last of them had all that they needed, and
        waits in its new life for somebody to ask."""
        fed = [other for other in self._children if other.name in child.feeds]
        if not (all(other.over for other in fed) and any(other.finished for other in fed)):
            child.alone_since = None
        elif child.alone_since is None:
            child.alone_since = now
        return child.alone_since is not None and now - child.alone_since > _PARTING_S

    def _mistake(self, child: Child, code: int) -> str | None:
        """What a person did wrong, so that this process could not begin or go on."""
        words = self._logbook.mistake(child.name) if code in (1, 2) else None
        return words or (f"{child.name} ended without a word" if code == 2 else None)

    def _left_behind(self, now: float) -> bool:
        """All stages have ended, and the foreground does not: it came, or came back, too late to hear of the end."""
        if not all(child.over for child in self._children if not (child.foreground or child.attendant)):
            self._over_at = None
        elif self._over_at is None:
            self._over_at = now
        return self._over_at is not None and now - self._over_at > _PARTING_S

    def _let_finish(self) -> None:
        """The signal has ended: those that still write it down may end by themselves.

        Raises:
            UserError: they could not; the line says who.
        """
        until = time.monotonic() + self._settings.finish_s
        backs = [child for child in self._children if not (child.foreground or child.attendant)]
        while time.monotonic() < until and not self._signal and not all(child.over for child in backs):
            self._listen()
            self._look()
            self._tell_service()
        for child in backs:
            if child.given_up:
                raise UserError(f"{child.name} had to be left out: {child.given_up}")
        for child in backs:
            if not child.finished and not self._signal:
                raise UserError(
                    f"{child.name} has not finished {self._settings.finish_s:g} s after the signal's end"
                    f"{self._logbook.last_words(child.name)}"
                )

    def _died(self, child: Child, how: str, now: float) -> None:
        settings = self._settings
        done = {other.name for other in self._children if other.over}
        if child.feeds and done.issuperset(child.feeds):
            child.finished = True
            return
        child.deaths = [at for at in child.deaths if now - at < settings.restart_window_s] + [now]
        if len(child.deaths) > settings.restart_limit:
            self._give_up(child, f"died {len(child.deaths)} times, last by {how}")
            return
        # A signal leaves no words; of a bug the log should say more than that there is one.
        last = {} if how.startswith("signal") else {"last": self._logbook.last_word(child.name)}
        self._logbook.say("stage died", name=child.name, how=how, recent_deaths=len(child.deaths), **last)
        if child.foreground:
            self._restore_terminal()
        if child.standby is not None and child.standby.ready and len(child.deaths) == 1:
            child.again_at = now
            return
        child.again_at = now + min(settings.restart_s * 2 ** (len(child.deaths) - 1), settings.restart_max_s)

    def _give_up(self, child: Child, why: str) -> None:
        if child.essential:
            raise UserError(f"{child.name} {why}; giving up{self._logbook.last_words(child.name)}")
        child.given_up = why
        dismiss(child.standby)
        child.standby = None
        self._logbook.say("stage left out", name=child.name, why=why, instead="the others go on without it")
        for other in self._children:  # nobody who is started from now on waits for it
            word = f"--awaits={child.name}"
            if word in other.arguments:
                other.arguments.remove(word)
                dismiss(other.standby)
                other.standby = None

    def _tell_service(self) -> None:
        """What systemd wants to know."""
        now = time.monotonic()
        running = [child for child in self._children if not child.over]
        if self._ready_at is None and running and all(child.ready for child in running):
            self._ready_at = now
            self._notifier.ready()
        if now - self._pinged < min(_PING_S, (self._notifier.watchdog_s or _PING_S) / 2):
            return
        self._pinged = now
        silent = [child.name for child in running if child.heard is None or now - child.heard > self._settings.hang_s]
        left_out = [child.name for child in self._children if child.given_up]
        words = "monitoring" if self._ready_at is not None else "starting"
        words += f"; not up: {', '.join(silent)}" if silent and self._ready_at is not None else ""
        self._notifier.status(words + (f"; left out: {', '.join(left_out)}" if left_out else ""))
        if not any(child.essential and child.name in silent for child in running):
            self._notifier.alive()

    def _stop(self) -> None:
        """All processes, the foreground first, so that the terminal is free; what does not end in time is killed."""
        for child in self._children:
            dismiss(child.standby)
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

    def _restore_terminal(self) -> None:
        if self._terminal is None:
            return
        descriptor, attributes = self._terminal
        if termios.tcgetattr(descriptor) != attributes:
            # Only when the dashboard could not do it itself.
            termios.tcsetattr(descriptor, termios.TCSADRAIN, attributes)
            os.write(sys.stdout.fileno(), _RESTORE_SCREEN.encode())


def _terminal_state() -> tuple[int, list[Any]] | None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    descriptor = sys.stdin.fileno()
    return descriptor, termios.tcgetattr(descriptor)
