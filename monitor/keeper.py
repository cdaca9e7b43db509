"""Checkpoints: a stage's state in one file, written whole or not at all, and refused where it does not fit.

The file: magic ``ECGS``, version, CRC-32 and length of what follows; then MessagePack: what it belongs to (``foot``: a
digest of all that the state depends on besides the events) and the state. It is written under another name, flushed to
the disk and renamed, by a thread of its own: a slow disk delays nobody.
"""

import contextlib
import errno
import os
import queue
import struct
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from monitor.config import CheckpointSettings

MAGIC = b"ECGS"
VERSION = 1
_HEADER = struct.Struct("<4sHIQ")


class StateError(ValueError):
    """A checkpoint that is torn, of another version, or of something else: the message says which."""


def read(path: Path, foot: str) -> Any:
    """The state in the file; None where there is no file.

    Args:
        path: of the checkpoint.
        foot: what it must belong to.

    Raises:
        StateError: it cannot be used; what is wrong with it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"checkpoint {path.name}: {error.strerror or error}") from error
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise StateError(f"checkpoint {path.name}: not one of ours")
    _, version, crc, length = _HEADER.unpack_from(data)
    body = memoryview(data)[_HEADER.size :]
    if version != VERSION:
        raise StateError(f"checkpoint {path.name}: version {version}, this program writes {VERSION}")
    if len(body) != length or zlib.crc32(body) != crc:
        raise StateError(f"checkpoint {path.name}: torn: {len(body)} of {length} bytes, or altered")
    try:
        content = msgspec.msgpack.decode(body)
    except msgspec.MsgspecError as error:
        raise StateError(f"checkpoint {path.name}: {error}") from error
    if not isinstance(content, dict) or content.get("foot") != foot:
        raise StateError(f"checkpoint {path.name}: of another program version, model, configuration or source")
    return content.get("state")


def write(path: Path, foot: str, state: Any) -> None:
    """Writes a state so that the file is at all times the whole former or the whole new one.

    Raises:
        OSError: it could not be written; the former one is still there.
    """
    _put(path, msgspec.msgpack.encode({"foot": foot, "state": state}))


def _put(path: Path, body: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for part in (_HEADER.pack(MAGIC, VERSION, zlib.crc32(body), len(body)), body):
                rest = memoryview(part)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        # The name is on the disk when its folder is.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EBADF:  # its owner has closed it meanwhile, and synced it then
            raise


class Keeper:
    """Writes one stage's checkpoints, one at a time, in the background.

    Args:
        path: of the file.
        foot: what the states belong to.
    """

    def __init__(self, path: Path, foot: str) -> None:
        self.path = path
        self._foot = foot
        self._work: queue.Queue[tuple[bytes, Any, Sequence[int]] | None] = queue.Queue(maxsize=1)
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._writing = False
        self.trouble = ""
        """Why the last checkpoint could not be written; "" when it could."""
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """One is being written: the next has to wait."""
        return self._writing

    def write(self, state: Any, token: Any, files: Sequence[int] = ()) -> None:
        """Begins to write a state; ``token`` comes back from :meth:`done` when it is through. Not while ``busy``.

        ``files`` are descriptors of what the state speaks of: it is on the disk before the state is.
        """
        self._writing = True
        self._work.put((self._encoded(state), token, files))

    def write_now(self, state: Any) -> None:
        """Writes a state before it returns."""
        while self._writing:
            self._done.put(self._finish())
        self._try(self._encoded(state))

    def done(self) -> list[Any]:
        """Tokens of what was written since the last call.

        Those of what could not be written come too, with ``trouble`` set: nobody may wait for a disk that is full.
        """
        out = []
        while not self._done.empty():
            out.append(self._done.get())
        self._writing = self._writing and not out
        return out

    def close(self) -> None:
        """Waits for what is being written."""
        self._work.put(None)
        self._thread.join()

    def _encoded(self, state: Any) -> bytes:
        return msgspec.msgpack.encode({"foot": self._foot, "state": state})

    def _finish(self) -> Any:
        token = self._done.get()
        self._writing = False
        return token

    def _try(self, body: bytes, files: Sequence[int] = ()) -> None:
        try:
            for descriptor in files:
                _sync(descriptor)
            _put(self.path, body)
            self.trouble = ""
        except OSError as error:
            self.trouble = f"cannot write checkpoints: {error.strerror or error}"

    def _run(self) -> None:
        while (job := self._work.get()) is not None:
            body, token, files = job
            self._try(body, files)
            self._done.put(token)


class Checkpoints:
    """When a stage's checkpoints are due, and what became of them.

    Args:
        keeper: writes them; None: the stage keeps none.
    """

    def __init__(self, keeper: Keeper | None, settings: CheckpointSettings) -> None:
        self._keeper = keeper
        self._settings = settings
        self._due = time.monotonic() + settings.every_s

    @property
    def trouble(self) -> str:
        return self._keeper.trouble if self._keeper is not None else ""

    @property
    def none(self) -> bool:
        """The stage keeps none."""
        return self._keeper is None

    def take(self, state: Callable[[], dict[str, Any]], *, at_once: bool = False, files: Sequence[int] = ()) -> None:
        """Begins one if it is due, or is wanted ``at_once``; ``state()["in"]`` comes back from :meth:`done`.

        ``files``: descriptors of what belongs to it."""
        if self._keeper is None or self._keeper.busy:
            return
        began = time.monotonic()
        if began < self._due and not at_once:
            return
        taken = state()
        self._keeper.write(taken, taken.get("in"), files)
        cost = time.monotonic() - began
        self._due = began + max(self._settings.every_s, cost / self._settings.share)

    def now(self, state: Callable[[], dict[str, Any]]) -> None:
        """Takes one, and returns when it is written."""
        if self._keeper is not None:
            self._keeper.write_now(state())

    def done(self) -> list[Any]:
        """``state()["in"]`` of those written since the last call."""
        return self._keeper.done() if self._keeper is not None else []

    def close(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
