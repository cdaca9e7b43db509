"""One stream's files, that grow while it is watched and may be cut off at any instant.

``NAME.dat`` and ``NAME.hea`` are a WFDB record at 360 Hz (format 16, all leads; what is missing has the format's value
for that), ``NAME.verdicts.jsonl`` holds one judged beat a line, ``NAME.alarms.jsonl`` one alert event a line, all in
samples of that record. When the stream ends, ``NAME.ecgm`` holds its beats as WFDB annotations.

Laws: what was appended stays; an append that fails leaves the file as long as it was, and the next one begins there;
cut back to lengths that were noted, the files go on as if nothing had happened since.
"""

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
_PADDING = 60 * FS
"""Missing samples written at once."""


class Growing:
    """A file that only grows.

    Raises (all methods):
        OSError: the disk is full, or away; the length stays what it was.
    """

    def __init__(self, path: Path, length: int) -> None:
        self.path = path
        self.length = length
        """Bytes that count."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        there = os.fstat(self._descriptor).st_size
        if there < length:
            os.close(self._descriptor)
            raise UserError(
                f"{path}: has {there} bytes where {length} were recorded: it was altered, or lost with power"
            )
        os.ftruncate(self._descriptor, length)

    @property
    def descriptor(self) -> int:
        return self._descriptor

    def append(self, data: bytes) -> None:
        rest, at = memoryview(data), self.length
        while rest:
            written = os.pwrite(self._descriptor, rest, at)
            rest, at = rest[written:], at + written
        self.length = at

    def close(self) -> None:
        os.close(self._descriptor)


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


class StreamFiles:
    """The files of one stream.

    Args:
        folder: that they lie in; it is there.
        state: to go on from, as :meth:`state` gave it.

    Raises:
        UserError: there are such files already, or they are not what the state says.
        OSError: they cannot be opened.
    """

    def __init__(self, folder: Path, name: str, state: dict[str, Any] | None = None) -> None:
        self.name = name
        self._folder = folder
        lengths = state["lengths"] if state is not None else [0, 0, 0]
        paths = [folder / f"{name}.{kind}" for kind in ("dat", "verdicts.jsonl", "alarms.jsonl")]
        if state is None and (there := [path for path in paths if path.exists() and path.stat().st_size]):
            raise UserError(f"{there[0]} is there already, and no state to go on from: choose another folder")
        self._signal, self._verdicts, self._alarms = (Growing(p, n) for p, n in zip(paths, lengths, strict=True))
        self._leads: tuple[str, ...] = tuple(state["leads"]) if state is not None else ()
        self._opened: list[float] = list(state["opened"]) if state is not None else [0.0]
        self._waiting: list[tuple[int, bytes]] = []
        """Lines for verdicts (0) and alarms (1) that could not be written yet."""
        self.stop = int(state["stop"]) if state is not None else 0
        """One past the last sample."""
        self.closed = bool(state["closed"]) if state is not None else False

    @property
    def descriptors(self) -> list[int]:
        return [file.descriptor for file in (self._signal, self._verdicts, self._alarms)]

    def state(self) -> dict[str, Any]:
        """Plain types. What could not be written yet is no part of it."""
        return {
            "lengths": [self._signal.length, self._verdicts.length, self._alarms.length],
            "leads": self._leads,
            "opened": self._opened,
            "stop": self.stop,
            "closed": self.closed,
        }

    def signal(self, event: Event) -> None:
        """An event of the source's link."""
        match event:
            case Opened() if not self._leads:
                self._leads, self._opened = event.leads, [event.start_time]
                self._write_header()
            case Samples():
                self._pad(event.start)
                self._signal.append(self._packed(event.signal))
                self.stop = event.stop
            case Gap():
                self._pad(event.stop)
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
                self.closed = True
            case _:
                pass
        self.flush()

    def flush(self) -> None:
        """Writes the lines that are waiting."""
        while self._waiting:
            which, line = self._waiting[0]
            (self._verdicts, self._alarms)[which].append(line)
            del self._waiting[0]

    def finish(self) -> None:
        """The header with the record's length and the beats as WFDB annotations, as far as they are known by now."""
        self._write_header()
        self.flush()
        lines = self._verdicts.path.read_bytes()[: self._verdicts.length].splitlines()
        found = [msgspec.json.decode(line, type=Verdicts) for line in lines]
        beats = [(beat.sample, beat.label) for beat in found]
        annotations.write_beats(self._folder, self.name, beats, FS)

    def cut(self, start: int, stop: int) -> tuple[Floats, tuple[str, ...]]:
        """[lead, sample] mV of the recorded signal, NaN where it is missing, and the leads' names."""
        width = 2 * max(len(self._leads), 1)
        first, last = max(start, 0), min(stop, self.stop)
        data = os.pread(self._signal.descriptor, max(last - first, 0) * width, first * width)
        steps = np.frombuffer(data, "<i2").reshape(-1, max(len(self._leads), 1)).T
        return np.where(steps == MISSING, np.nan, steps / GAIN).astype(np.float32), self._leads

    def close(self) -> None:
        for file in (self._signal, self._verdicts, self._alarms):
            file.close()

    def _pad(self, stop: int) -> None:
        """What is missing before ``stop``."""
        while self.stop < stop:
            count = min(stop - self.stop, _PADDING)
            self._signal.append(np.full((count, max(len(self._leads), 1)), MISSING, "<i2").tobytes())
            self.stop += count

    def _packed(self, signal: Floats) -> bytes:
        steps = np.clip(np.rint(np.nan_to_num(signal.T) * GAIN), MISSING + 1, -MISSING - 1)
        return np.where(np.isnan(signal.T), MISSING, steps).astype("<i2").tobytes()

    def _write_header(self) -> None:
        write_header(self._folder, self.name, self._leads, self.stop, self._opened[0])


def write_header(folder: Path, name: str, leads: tuple[str, ...], length: int, start_time: float) -> None:
    """``NAME.hea`` beside ``NAME.dat``, whole or not at all."""
    from datetime import UTC, datetime

    began = datetime.fromtimestamp(start_time, UTC)
    head = f"{name} {len(leads)} {FS} {length} {began:%H:%M:%S}.{began.microsecond // 1000:03d} {began:%d/%m/%Y}"
    lines = [head] + [f"{name}.dat 16 {GAIN:g}(0)/mV 16 0 0 0 0 {lead or 'ECG'}" for lead in leads]
    temporary = folder / f".{name}.hea"
    temporary.write_text("\n".join([*lines, "# start in UTC", ""]), "ascii", "replace")
    temporary.replace(folder / f"{name}.hea")
