"""``pipe:PATH`` sources: a device that writes lines (``replay.live``) into a named pipe, or a serial line of them.

The edge: descriptors, the clock, the journal. Who writes may leave and come back; the pipe stays.
"""

import os
import stat
import termios
import time
import tty
from contextlib import suppress
from pathlib import Path
from typing import Any

from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import Event
from monitor.sources import SourceRequest
from replay.journal import Journal
from replay.live import Live

_BITE = 1 << 16
"""Bytes read at once: what a pipe holds."""
_BITES = 64
"""At once, at the most: others are waiting."""
_AGAIN_S = 1.0
"""s between two tries to open what has gone, and between two looks at whether it is still the same."""


def _boot() -> str:
    """Names this run of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Pipe:
    """A device behind a path; a live source (``monitor.sources``).

    Args:
        request: ``pipe:PATH``; a named pipe is made where there is nothing.

    Raises:
        UserError: the path is something else, or cannot be opened.
    """

    def __init__(self, request: SourceRequest, settings: Settings) -> None:
        self._path = Path(request.uri.partition(":")[2]).expanduser()
        self._uri = request.uri
        if self._path == Path() or str(self._path) == ".":
            raise UserError(f"source {request.uri}: no path; write pipe:/tmp/ecg")
        if request.start_s or request.loop:
            raise UserError(f"source {request.uri}: --start and --loop are for recordings; leave them out")
        self._live = Live(request, settings)
        self._skew = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        self._boot = _boot()
        self._last = 0.0
        self._journal: Journal | None = None
        self._segment = 0
        self._closed = False
        self._tried = 0.0
        # What comes and goes by itself (a serial device, a link to one) is waited for; a pipe is made.
        if not (self._path.exists() or self._path.is_symlink() or self._path.is_relative_to("/dev")):
            self._make()
        self.descriptor = self._open() if self._path.exists() else None

    @property
    def trouble(self) -> str:
        """What it cannot do at present; "" when all is well."""
        journal = self._journal.trouble if self._journal is not None else ""
        return "; ".join(filter(None, (journal, self._live.trouble)))

    @property
    def keeps_writers(self) -> bool:
        """It is a pipe: one who writes into it must not be left without a reader."""
        return self.descriptor is not None and stat.S_ISFIFO(os.fstat(self.descriptor).st_mode)

    @property
    def refused(self) -> int:
        """Lines that were none."""
        return self._live.refused

    @property
    def silent(self) -> bool:
        """The device gives nothing, though it did."""
        return self._live.silent(self._now())

    def read(self, samples: int) -> list[Event]:
        """What has come; ``samples`` means nothing here. Never waits."""
        events: list[Event] = []
        for _ in range(_BITES):
            data = self._bite()
            now = self._now()
            if self._journal is not None and (data or self._live.unsettled):
                self._journal.write(now, data)
            events += self._live.push(data, now)
            if not data or self._live.closed:
                break
        return events

    def keep(self, path: Path) -> None:
        """From now on what comes is kept in a journal at this path."""
        self._journal = Journal(path)

    def again(self) -> list[Event]:
        """What was taken in after the state that was restored, from the journal."""
        if self._journal is None:
            return []
        return [event for now, data in self._journal.read(self._segment) for event in self._live.push(data, now)]

    def settled(self, journal: int) -> None:
        """The state with this ``["journal"]`` is in a checkpoint on the disk."""
        if self._journal is not None:
            self._journal.drop(journal)

    def state(self) -> dict[str, Any]:
        """Plain types and bytes."""
        segment = self._journal.begin() if self._journal is not None else 0
        return {"live": self._live.state(), "journal": segment, "skew": self._skew, "boot": self._boot}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`, for the same request."""
        self._live.restore(state["live"])
        self._segment = state["journal"]
        if state["boot"] == self._boot:
            self._skew = state["skew"]  # whatever has been done to the wall clock meanwhile
        else:
            self._live.renumber()  # the journal may have lost its end with the power

    def close(self) -> None:
        """Lets go of the pipe and the journal."""
        self._closed = True
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
        if self._journal is not None:
            self._journal.close()

    def _now(self) -> float:
        """s since the Unix epoch; goes on evenly whatever is done to the wall clock, from life to life, and while the
        machine sleeps. Never back."""
        self._last = max(self._last, self._skew + time.clock_gettime(time.CLOCK_BOOTTIME))
        return self._last

    def _make(self) -> None:
        try:
            os.mkfifo(self._path, 0o600)
        except OSError as error:
            raise UserError(f"source {self._uri}: {error.strerror or error}") from error

    def _open(self) -> int:
        """Its descriptor.

        Raises:
            UserError: it is something else, or cannot be opened.
        """
        self._tried = time.monotonic()
        try:
            mode = self._path.stat().st_mode
            if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
                raise UserError(
                    f"source {self._uri}: neither a pipe nor a device; for a recording write replay:{self._path}"
                )
            # A pipe that is open for writing here too does not end when the device lets go of it.
            way = os.O_RDWR if stat.S_ISFIFO(mode) else os.O_RDONLY
            descriptor = os.open(self._path, way | os.O_NONBLOCK | os.O_NOCTTY)
            if os.isatty(descriptor):
                with suppress(termios.error):  # pulled this very moment: the first read will find that out
                    tty.setraw(descriptor)  # whole lines, no echo; the speed is whoever plugged it in's to set
            return descriptor
        except OSError as error:
            raise UserError(f"source {self._uri}: {error.strerror or error}") from error

    def _bite(self) -> bytes:
        if self.descriptor is None:
            self._reopen()
        if self.descriptor is None:
            return b""
        try:
            data = os.read(self.descriptor, _BITE)
        except BlockingIOError:
            self._is_it_still()
            return b""
        except OSError:  # a serial line that was pulled
            os.close(self.descriptor)
            self.descriptor = None
            return b""
        if not data:
            os.close(self.descriptor)
            self.descriptor = None
        return data

    def _is_it_still(self) -> None:
        """Another pipe at its place (removed, and made anew by a device's own script) is the one to read."""
        if self.descriptor is None or time.monotonic() - self._tried < _AGAIN_S:
            return
        self._tried = time.monotonic()
        with suppress(OSError):
            there, here = self._path.stat(), os.fstat(self.descriptor)
            if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
                os.close(self.descriptor)
                self.descriptor = None
                self._tried = -_AGAIN_S

    def _reopen(self) -> None:
        if not self._closed and time.monotonic() - self._tried > _AGAIN_S:
            try:
                self.descriptor = self._open()
            except UserError:
                self.descriptor = None  # not there yet: that it is silent is being told
