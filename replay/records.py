"""WFDB records, in blocks of millivolts.

Laws: what is read does not depend on the blocks; NaN means that a sample is missing; memory is bounded by the block,
but for two kinds of records that can only be read at once: those in format 8 (differences from the start) and those
whose header gives no length. A record of several segments reads like one; where a segment lacks a lead, or nothing
was recorded, samples are missing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import wfdb
from msgspec import Struct

from monitor.errors import UserError
from replay.headers import UNREADABLE, Header, check_files, choose, read_header

FS_MIN, FS_MAX = 50.0, 10_000.0
"""Hz. Below, a QRS complex of 80 ms has fewer than four samples; above is no ECG recorder, but a mistaken header."""

SUFFIXES = (".hea", ".dat", ".mat", ".atr")
"""Of a record's own files: any of them names the record."""

Signal = npt.NDArray[np.float64]


class Recording(Protocol):
    """Anything that can be played from beginning to end."""

    leads: tuple[str, ...]
    fs: float
    """Hz."""
    length: int
    """Samples."""
    start_time: float | None
    """Wall clock of sample 0, seconds since the Unix epoch, UTC; None where nobody wrote it down."""

    def read(self, start: int, stop: int) -> Signal:
        """[lead, stop - start] mV, NaN where missing."""
        ...


class _Part(Struct, frozen=True, kw_only=True):
    """Consecutive frames out of one set of signal files."""

    start: int
    stop: int
    path: Path | None
    """Of the record that holds them; None where nothing was recorded."""
    rows: tuple[int, ...]
    """Rows of the output that it has."""
    channels: tuple[int, ...]
    """Signals of the file for these rows."""
    scale: tuple[float, ...]
    """mV per unit of each."""
    at_once: bool
    """Can only be read from its first frame to its last."""
    length_known: bool
    """To its header, that is, and so to wfdb."""


class Record:
    """A WFDB record on disk.

    Args:
        path: of the record: without extension, or of one of its files.
        leads: names or numbers, in the order they are wanted; () means the first.

    Raises:
        UserError: it is not there, damaged, no voltage, or has no such lead.
    """

    def __init__(self, path: Path, leads: tuple[str, ...] = ()) -> None:
        if path.suffix.lower() in SUFFIXES:
            path = path.with_suffix("")
        header = read_header(path)
        pieces = _pieces(header)
        first = pieces[0][1] if header.parts else header  # where in several parts: the layout, or the first of them
        if first is None:
            raise UserError(f"{path}.hea: its first segment holds nothing, so its leads are unknown")
        names = [lead.name for lead in first.leads]
        chosen = choose(leads, names, str(path))
        rates = {first.leads[index].per_frame for index in chosen}
        self.leads = tuple(names[index] for index in chosen)
        self._parts: list[_Part] = []
        begin = 0
        for frames, piece in pieces:
            if frames:
                part, more = _part(begin, begin + frames, piece, self._find(header, piece, chosen))
                self._parts.append(part)
                rates |= more
            begin += frames
        if len(rates) > 1:
            raise UserError(f"{path}: leads {', '.join(self.leads)} have different sampling rates; choose one of them")
        self._per_frame = rates.pop()
        self.fs = header.fs * self._per_frame
        if not FS_MIN <= self.fs <= FS_MAX:
            raise UserError(f"{path}.hea: a sampling rate of {self.fs:g} Hz; an ECG has {FS_MIN:g} to {FS_MAX:g} Hz")
        self.length = begin * self._per_frame
        self.start_time = header.start_time
        self._kept: dict[Path, Signal] = {}
        for part in self._parts:
            self._read(
                part, part.stop - 1, part.stop
            )  # what size does not tell (FLAC, garbage) shows in the last frame

    def read(self, start: int, stop: int) -> Signal:
        """Samples ``start`` to ``stop``.

        Returns:
            [lead, stop - start] mV, NaN where missing.

        Raises:
            UserError: the files cannot be read any more.
        """
        if not 0 <= start <= stop <= self.length:
            raise ValueError(f"samples {start} to {stop} of {self.length}")
        each = self._per_frame
        first, last = start // each, -(-stop // each)
        pieces = [np.empty((len(self.leads), 0))]
        for part in self._parts:
            a, b = max(first, part.start), min(last, part.stop)
            if a < b:
                pieces.append(self._read(part, a, b))
        return np.concatenate(pieces, axis=1)[:, start - first * each : stop - first * each]

    def blocks(self, samples: int) -> Iterator[Signal]:
        """The whole record, so many samples at a time."""
        for start in range(0, self.length, samples):
            yield self.read(start, min(start + samples, self.length))

    def _find(self, header: Header, piece: Header | None, chosen: tuple[int, ...]) -> dict[int, int]:
        """Row → channel of the chosen leads in one piece: by name where a layout says what there is, else by place."""
        if piece is None:
            return {}
        there = [lead.name for lead in piece.leads]
        if header.parts and header.parts[0][1] == 0:
            return {row: there.index(name) for row, name in enumerate(self.leads) if name in there}
        if max(chosen) >= len(there):
            raise UserError(f"{piece.path}.hea: fewer leads than the segments before it")
        return dict(enumerate(chosen))

    def _read(self, part: _Part, start: int, stop: int) -> Signal:
        each = self._per_frame
        signal = np.full((len(self.leads), (stop - start) * each), np.nan)
        if part.path is None or not part.channels:
            return signal
        a, b = start - part.start, stop - part.start
        if part.at_once:
            if part.path not in self._kept:
                self._kept[part.path] = _physical(part, 0, part.stop - part.start)
            signal[list(part.rows)] = self._kept[part.path][:, a * each : b * each]
        else:
            signal[list(part.rows)] = _physical(part, a, b)
        return signal


def _pieces(header: Header) -> list[tuple[int, Header | None]]:
    """Frames and header of each piece of a record, the layout (0 frames) first where there is one."""
    if not header.parts:
        return [(check_files(header), header)]
    pieces: list[tuple[int, Header | None]] = []
    for name, frames in header.parts:
        if name == "~":
            pieces.append((frames, None))
            continue
        piece = read_header(header.path.parent / name)
        if piece.parts:
            raise UserError(f"{piece.path}.hea: a segment that has segments itself; play it alone")
        if piece.fs != header.fs:
            raise UserError(f"{piece.path}.hea: {piece.fs:g} Hz, but {header.path}.hea says {header.fs:g} Hz")
        if frames and check_files(piece) != frames:
            raise UserError(f"{piece.path}.hea: has another length than the {frames} samples of {header.path}.hea")
        pieces.append((frames, piece))
    return pieces


def _part(start: int, stop: int, piece: Header | None, places: dict[int, int]) -> tuple[_Part, set[int]]:
    """One piece, ``places`` being row → channel, and the samples per frame of its leads."""
    if piece is None:
        path, leads, known = None, [], True
    else:
        path, leads, known = piece.path, [piece.leads[channel] for channel in places.values()], piece.frames is not None
    part = _Part(
        start=start,
        stop=stop,
        path=path,
        rows=tuple(places),
        channels=tuple(places.values()),
        scale=tuple(lead.to_mv(path) for lead in leads if path is not None),
        at_once=not known or any(lead.fmt == "8" for lead in leads),
        length_known=known,
    )
    return part, {lead.per_frame for lead in leads}


def _physical(part: _Part, start: int, stop: int) -> Signal:
    """Frames ``start`` to ``stop`` of a part's file, its own leads only: [lead, sample] mV."""
    limits = {"sampfrom": start, "sampto": stop} if part.length_known else {}
    try:
        read = wfdb.rdrecord(
            str(part.path), channels=list(part.channels), physical=True, smooth_frames=False, return_res=64, **limits
        )
        signal: Signal = np.stack(read.e_p_signal) * np.array(part.scale)[:, np.newaxis]
    except (OSError, *UNREADABLE) as error:
        raise UserError(f"{part.path}: its signals cannot be read: {' '.join(str(error).split())}") from error
    return signal
