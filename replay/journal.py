"""What a live source has taken in since its last checkpoint, in files beside it: a device does not say it twice.

What was taken in is in the journal before anything of it is published; a source that was killed goes over it again, and
so comes to the very events, with the very numbers, that its former life published. Segments are numbered: each
checkpoint begins a new one, and those before it go when it is on the disk. A record: length of the data, CRC-32 of time
and data, time (s, float64), data. What was killed while it wrote leaves a torn record at the end, of which nothing had
been published; it is left out.

It survives the death of the process, not that of the machine: the files are not flushed to the disk each time.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_RECORD = struct.Struct("<IId")


class Journal:
    """Segments ``PATH.1``, ``PATH.2``, …

    Args:
        path: what they begin with.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = max([0, *(number for number, _ in self._segments())])
        self._file: int | None = None
        self.trouble = ""
        """Why nothing can be written; "" when it can."""

    def read(self, since: int) -> Iterator[tuple[float, bytes]]:
        """Times and data of the segments from number ``since`` on, up to the first torn record."""
        for number, path in sorted(self._segments()):
            if number >= since:
                yield from _records(path)

    def begin(self) -> int:
        """A new segment, and its number: a checkpoint that is taken now covers all before it."""
        self.close()
        self._number += 1
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            self._file = os.open(self._path.with_name(f"{self._path.name}.{self._number}"), flags, 0o600)
        return self._number

    def write(self, now: float, data: bytes) -> None:
        """Before anything of it is published."""
        if self._file is None:
            self.begin()
        body = struct.pack("<d", now) + data
        record = _RECORD.pack(len(data), zlib.crc32(body), now) + data
        try:
            if self._file is None:
                raise OSError("no file")
            if os.write(self._file, record) != len(record):
                raise OSError("no room")
            self.trouble = ""
        except OSError as error:
            # What is torn ends the segment for whoever reads it: the next record must not stand behind it.
            self.close()
            self.trouble = f"cannot keep what devices say: {error.strerror or error}"

    def drop(self, before: int, *, last: bool = False) -> None:
        """Segments that a checkpoint on the disk covers: those before a number, or the one with it."""
        for number, path in self._segments():
            if number == before if last else number < before:
                with suppress(OSError):
                    path.unlink()

    def close(self) -> None:
        """Lets go of the file; one with nothing in it goes."""
        if self._file is not None:
            empty = os.fstat(self._file).st_size == 0
            os.close(self._file)
            self._file = None
            if empty:
                self.drop(self._number, last=True)

    def _segments(self) -> list[tuple[int, Path]]:
        beginning = f"{self._path.name}."
        found = []
        for path in self._path.parent.glob(f"{beginning}*"):
            ending = path.name.removeprefix(beginning)
            if ending.isascii() and ending.isdigit():
                found.append((int(ending), path))
        return found


def _records(path: Path) -> Iterator[tuple[float, bytes]]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    at = 0
    while at + _RECORD.size <= len(content):
        length, crc, now = _RECORD.unpack_from(content, at)
        data = content[at + _RECORD.size : at + _RECORD.size + length]
        if len(data) != length or zlib.crc32(struct.pack("<d", now) + data) != crc:
            return
        yield now, data
        at += _RECORD.size + length
