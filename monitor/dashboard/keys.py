"""Keys: bytes from a terminal → actions → another look at the same snapshot.

``parse`` and ``steer`` are pure; ``Keyboard`` reads the terminal and gives it back as it found it.
"""

import os
import select
import termios
import tty
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

from msgspec.structs import replace

from monitor.dashboard.look import Look
from monitor.views import Snapshot


class Action(Enum):
    QUIT = auto()
    NEXT = auto()
    PREVIOUS = auto()
    LONGER = auto()
    SHORTER = auto()
    PAUSE = auto()
    HELP = auto()
    ACKNOWLEDGE = auto()
    SILENCE = auto()


_KEYS = {
    b"q": Action.QUIT,
    b"Q": Action.QUIT,
    b"\t": Action.NEXT,
    b"\x1b[C": Action.NEXT,
    b"\x1bOC": Action.NEXT,
    b"\x1b[B": Action.NEXT,
    b"\x1bOB": Action.NEXT,
    b"\x1b[Z": Action.PREVIOUS,  # Shift-Tab
    b"\x1b[D": Action.PREVIOUS,
    b"\x1bOD": Action.PREVIOUS,
    b"\x1b[A": Action.PREVIOUS,
    b"\x1bOA": Action.PREVIOUS,
    b"+": Action.LONGER,
    b"=": Action.LONGER,  # the plus key without Shift
    b"-": Action.SHORTER,
    b"_": Action.SHORTER,
    b"p": Action.PAUSE,
    b"P": Action.PAUSE,
    b" ": Action.PAUSE,
    b"?": Action.HELP,
    b"h": Action.HELP,
    b"a": Action.ACKNOWLEDGE,
    b"A": Action.ACKNOWLEDGE,
    b"s": Action.SILENCE,
    b"S": Action.SILENCE,
}
_ZOOM_STEP, _ZOOM_MIN, _ZOOM_MAX = 2.0, 0.25, 4.0
_READ_BYTES = 1024


def parse(data: bytes) -> tuple[list[Action], bytes]:
    """The actions in ``data``, and the beginning of a key whose other bytes are still to come.

    Keys without a meaning are passed over, escape sequences as a whole.
    """
    actions: list[Action] = []
    at = 0
    while at < len(data):
        length = _length(data, at)
        if at + length > len(data):
            return actions, data[at:]
        action = _KEYS.get(data[at : at + length])
        if action is not None:
            actions.append(action)
        at += length
    return actions, b""


def _length(data: bytes, at: int) -> int:
    """Bytes of the key that begins at ``at``; more than there are if it is not whole."""
    if data[at : at + 1] != b"\x1b":
        return 1
    kind = data[at + 1 : at + 2]
    if kind == b"":
        return 2
    if kind == b"O":
        return 3
    if kind != b"[":
        return 1  # Escape by itself, then another key
    end = at + 2
    while end < len(data) and not 0x40 <= data[end] <= 0x7E:  # ECMA-48: parameters, then one final byte
        end += 1
    return end + 1 - at


def steer(look: Look, action: Action, snapshot: Snapshot) -> Look:
    """The look after a key."""
    count = max(1, len(snapshot.streams))
    match action:
        case Action.NEXT:
            return replace(look, stream=(look.stream + 1) % count, held=None)
        case Action.PREVIOUS:
            return replace(look, stream=(look.stream - 1) % count, held=None)
        case Action.LONGER:
            return replace(look, zoom=min(_ZOOM_MAX, look.zoom * _ZOOM_STEP))
        case Action.SHORTER:
            return replace(look, zoom=max(_ZOOM_MIN, look.zoom / _ZOOM_STEP))
        case Action.PAUSE:
            shown = snapshot.streams[look.stream] if look.stream < len(snapshot.streams) else None
            return replace(look, held=None if look.held is not None else shown)
        case Action.HELP:
            return replace(look, help=not look.help)
        case Action.QUIT | Action.ACKNOWLEDGE | Action.SILENCE:
            return look  # not about how one looks


class Keyboard:
    """A terminal that gives single keys, unechoed, for the length of a ``with`` block. Ctrl-C stays a signal."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

    def read(self, timeout: float = 0.0) -> list[Action]:
        """What was pressed; waits up to ``timeout`` s. A terminal that has been hung up quits."""
        if not select.select([self._fd], [], [], timeout)[0]:
            return []
        try:
            data = os.read(self._fd, _READ_BYTES)
        except OSError:  # EIO: the other side of the terminal has gone
            data = b""
        if not data:
            return [Action.QUIT]
        actions, self._rest = parse(self._rest + data)
        return actions
