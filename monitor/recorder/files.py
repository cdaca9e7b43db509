"""One stream's files, that grow while it is watched and may be cut off at any instant.

``NAME.dat`` and ``NAME.hea`` are a WFDB record at 360 Hz (format 16, all leads; what is missing has the format's value
for that), ``NAME.verdicts.jsonl`` holds one judged beat a line, ``NAME.alarms.jsonl`` one alert event a line, all in
samples of that record. When the stream ends, ``NAME.ecgm`` holds its beats as WFDB annotations.

Laws: what was appended stays; an append that fails leaves the file as long as it was, and the next one begins there;
cut back to lengths that were noted, the files go on as if nothing had happened since. A file that cannot be opened yet
is opened when it can be: what belongs into it waits (lines) or is missing (signal).
"""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from monitor.errors import UserError
from monitor.events import FS, Alert, Closed, Event, Floats, Gap, Opened, Samples, Verdict
from monitor.recorder import annotations
from monitor.wire import encode_alert

GAIN = 1000.0
"""Units a mV in the signal file: 1 µV a step, ±32.7 mV."""
MISSING = -32768
"""What format 16 has for a sample that is not there (signal(5))."""
KINDS = ("dat", "verdicts.jsonl", "alarms.jsonl")
"""Endings of the files that grow."""
_PADDING = 60 * FS
"""Missing samples written at once."""


class Growing:
    """A file that only grows. It is opened with the first append that can.

    Args:
        path: of the file.
        length: bytes of it that count; what comes after them is cut off.
    """

    def __init__(self, path: Path, length: int) -> None:
        self.path = path
        self.length = length
        """Bytes that count."""
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int | None:
        """None: it is not open."""
        return self._descriptor

    def open(self) -> None:
        """Sees to it that it is open.

        Raises:
            UserError: it is not what was noted.
            OSError: it cannot be opened now.
        """
        if self._descriptor is not None:
            return
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            there = os.fstat(descriptor).st_size
            if there < self.length:
                raise UserError(
                    f"{self.path}: has {there} bytes where {self.length} were recorded: "
                    "it was altered, or lost with power"
                )
            os.ftruncate(descriptor, self.length)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def append(self, data: bytes) -> None:
        """All of it, or nothing.

        Raises:
            OSError: the disk is full, or away; the length stays what it was.
        """
        self.open()
        assert self._descriptor is not None
        rest, at = memoryview(data), self.length
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, at)
                rest, at = rest[written:], at + written
        except OSError:
            with contextlib.suppress(OSError):  # should it fail too, the next append writes over what is left here
                os.ftruncate(self._descriptor, self.length)
            raise
        self.length = at

    def read(self, count: int, start: int) -> bytes:
        """Up to ``count`` bytes from ``start`` on.

        Raises:
            OSError: they cannot be read.
        """
        return os.pread(self._descriptor, count, start) if self._descriptor is not None else b""

    def close(self) -> None:
        """What is in it is on the disk when this returns, where it can be."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


_APART = FS // 10
"""Samples; what is nearer to a beat is the same beat, found again."""


class Verdicts(msgspec.Struct, frozen=True):
    """A line of ``NAME.verdicts.jsonl``."""

    sample: int
    label: str
    probabilities: tuple[float, ...]
    """Of N, S, V, F, Q."""


def file_name(stream: str, taken: Iterable[str]) -> str:
    """What to call a stream's files: WFDB's alphabet, and none of those ``taken``."""
    base = name = re.sub(r"[^A-Za-z0-9_-]", "_", stream) or "_"
    count = 1
    while name in taken:
        count += 1
        name = f"{base}-{count}"
    return name


def names_in(folder: Path) -> list[str]:
    """Names of the streams' files that are in a folder.

    Raises:
        OSError: it cannot be read.
    """
    kinds = {*KINDS, annotations.EXTENSION, "hea"}
    return sorted({name for name, _, kind in (path.name.partition(".") for path in folder.iterdir()) if kind in kinds})


class StreamFiles:
    """The files of one stream.

    Args:
        folder: that they lie in; it is there.
        state: to go on from, as :meth:`state` gave it.

    Raises:
        UserError: there are such files already, or they are not what the state says.
        OSError: those of a state cannot be opened; new ones that cannot be are tried again later.
    """

    def __init__(self, folder: Path, name: str, state: dict[str, Any] | None = None) -> None:
        self.name = name
        self._folder = folder
        lengths = state["lengths"] if state is not None else [0, 0, 0]
        paths = [folder / f"{name}.{kind}" for kind in KINDS]
        if state is None and (there := [path for path in paths if _size(path)]):
            raise UserError(f"{there[0]} is there already, and no state to go on from: choose another folder")
        self._signal, self._verdicts, self._alarms = (Growing(p, n) for p, n in zip(paths, lengths, strict=True))
        self._leads: tuple[str, ...] = tuple(state["leads"]) if state is not None else ()
        self._opened: list[float] = list(state["opened"]) if state is not None else [0.0]
        self._waiting: list[tuple[int, bytes]] = [(which, line) for which, line in state["waiting"]] if state else []
        """Lines for verdicts (0) and alarms (1) that could not be written yet."""
        self._headed = bool(state["headed"]) if state is not None else False
        """There is a header."""
        self.stop = int(state["stop"]) if state is not None else 0
        """One past the last sample."""
        self._ends = set(state["ends"]) if state is not None else set()
        """Which of the two links have said that nothing follows."""
        self.finished = bool(state["finished"]) if state is not None else False
        """Closed, and all of it is written."""
        if state is not None:
            try:
                self._open()
            except BaseException:
                self.close()
                raise

    @property
    def descriptors(self) -> list[int]:
        files = (self._signal, self._verdicts, self._alarms)
        return [file.descriptor for file in files if file.descriptor is not None]

    @property
    def waiting(self) -> int:
        """Lines that could not be written yet."""
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        """Nothing follows."""
        return len(self._ends) == 2

    def state(self) -> dict[str, Any]:
        """Plain types. What could not be written yet is part of it."""
        return {
            "lengths": [self._signal.length, self._verdicts.length, self._alarms.length],
            "leads": self._leads,
            "opened": self._opened,
            "waiting": self._waiting,
            "headed": self._headed,
            "stop": self.stop,
            "ends": sorted(self._ends),
            "finished": self.finished,
        }

    def signal(self, event: Event) -> None:
        """An event of the source's link. The header waits for :meth:`flush`: it is no reason to lose signal.

        Raises:
            OSError: the signal cannot be written.
        """
        match event:
            case Opened() if not self._leads:
                self._leads, self._opened = event.leads, [event.start_time]
            case Samples():
                self._pad(event.start)
                # A device's source that lost the end of its journal with the power tells some of it once more.
                if event.stop > self.stop:
                    self._signal.append(self._packed(event.signal[:, self.stop - event.start :]))
                    self.stop = event.stop
            case Gap():
                self._pad(event.stop)
            case Closed():
                self._ends.add("signal")
            case _:
                pass

    def judged(self, event: Event) -> None:
        """An event of the classifier's link."""
        match event:
            case Verdict():
                line = msgspec.json.encode(Verdicts(event.sample, event.label.value, event.probabilities))
                self._waiting.append((0, line + b"\n"))
            case Alert():
                self._waiting.append((1, encode_alert(event) + b"\n"))
            case Closed():
                self._ends.add("judged")
            case _:
                pass
        self.flush()

    def close_off(self) -> None:
        """Nothing follows, though nobody has said so."""
        self._ends = {"signal", "judged"}

    def flush(self) -> None:
        """Opens what is not open, and writes the header and the lines that are waiting."""
        self._open()
        if self._leads and not self._headed:
            self._write_header(0)
        while self._waiting:
            which, line = self._waiting[0]
            (self._verdicts, self._alarms)[which].append(line)
            del self._waiting[0]

    def finish(self) -> None:
        """The header with the record's length and the beats as WFDB annotations, as far as they are known by now."""
        self.flush()
        self._write_header(self.stop)
        lines = self._verdicts.read(self._verdicts.length, 0).splitlines()
        found = [msgspec.json.decode(line, type=Verdicts) for line in lines]
        # A detector that had to begin anew (its checkpoint was refused) finds beats again that have been judged: the
        # lines hold both, the annotations what was told first.
        beats: list[tuple[int, str]] = []
        for beat in found:
            if not beats or beat.sample - beats[-1][0] >= _APART:
                beats.append((beat.sample, beat.label))
        annotations.write_beats(self._folder, self.name, beats, FS)
        self.finished = self.closed

    def cut(self, start: int, stop: int) -> tuple[Floats, tuple[str, ...]]:
        """[lead, sample] mV of the recorded signal, NaN where it is missing, and the leads' names."""
        width = 2 * max(len(self._leads), 1)
        first, last = max(start, 0), min(stop, self.stop)
        data = self._signal.read(max(last - first, 0) * width, first * width)
        steps = np.frombuffer(data, "<i2").reshape(-1, max(len(self._leads), 1)).T
        return np.where(steps == MISSING, np.nan, steps / GAIN).astype(np.float32), self._leads

    def close(self) -> None:
        for file in (self._signal, self._verdicts, self._alarms):
            file.close()

    def _open(self) -> None:
        for file in (self._signal, self._verdicts, self._alarms):
            file.open()

    def _pad(self, stop: int) -> None:
        """What is missing before ``stop``."""
        while self.stop < stop:
            count = min(stop - self.stop, _PADDING)
            self._signal.append(np.full((count, max(len(self._leads), 1)), MISSING, "<i2").tobytes())
            self.stop += count

    def _packed(self, signal: Floats) -> bytes:
        steps = np.clip(np.rint(np.nan_to_num(signal.T) * GAIN), MISSING + 1, -MISSING - 1)
        return np.where(np.isnan(signal.T), MISSING, steps).astype("<i2").tobytes()

    def _write_header(self, length: int) -> None:
        """``length``: 0 while it is not known (header(5))."""
        write_header(self._folder, self.name, self._leads, length, self._opened[0])
        self._headed = True


def write_header(folder: Path, name: str, leads: tuple[str, ...], length: int, start_time: float) -> None:
    """``NAME.hea`` beside ``NAME.dat``, whole or not at all."""
    from datetime import UTC, datetime

    began = datetime.fromtimestamp(start_time, UTC)
    head = f"{name} {len(leads)} {FS} {length} {began:%H:%M:%S}.{began.microsecond // 1000:03d} {began:%d/%m/%Y}"
    lines = [head] + [f"{name}.dat 16 {GAIN:g}(0)/mV 16 0 0 0 0 {lead or 'ECG'}" for lead in leads]
    temporary = folder / f".{name}.hea"
    try:
        temporary.write_text("\n".join([*lines, "# start in UTC", ""]), "ascii", "replace")
        temporary.replace(folder / f"{name}.hea")
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _size(path: Path) -> int:
    """Bytes in it; 0 where there is none, or where it cannot be told: opening it will."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
