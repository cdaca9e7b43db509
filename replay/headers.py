"""WFDB headers, read and checked against their signal files before a sample is taken from them.

The header's grammar is wfdb's (header(5) of the WFDB Applications Guide). Checked here is what wfdb lets pass: rates
that it cannot read and takes for the default of 250 Hz, units whose first letter is not ASCII, files that are shorter
than the header says. A gain of 0 or none means "not calibrated" and is taken for 200 per mV, as header(5) says and as
every WFDB tool does: a third of PhysioNet's svdb is like that. Every failure is one line that names the file.
"""

import re
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import wfdb
from msgspec import Struct

from monitor.errors import UserError

FS_DEFAULT = 250.0
"""Hz, where a header gives no rate: header(5)."""

PACKING = {
    **{"8": (1, 1), "80": (1, 1), "16": (1, 2), "61": (1, 2), "160": (1, 2), "24": (1, 3), "32": (1, 4)},
    **{"212": (2, 3), "310": (3, 4), "311": (3, 4)},
}
"""Samples in so many bytes, by signal(5)'s format; FLAC's formats below have no fixed relation."""

FLAC = ("508", "516", "524")

TO_MV = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3}
"""mV in each unit of voltage, in lower case; micro is in Unicode twice."""

# What wfdb's reader is seen to raise on files that are not what they seem.
UNREADABLE = (ValueError, IndexError, KeyError, TypeError, AttributeError, ArithmeticError, RuntimeError)


class Lead(Struct, frozen=True, kw_only=True):
    """One signal as the header describes it."""

    name: str
    file: str
    fmt: str
    offset: int
    """Bytes before the first sample."""
    per_frame: int
    """Samples in a frame: this lead's rate in units of the record's."""
    unit: str
    """Of the voltage, as written; mV where nothing is."""

    def to_mv(self, where: Path) -> float:
        """mV in this lead's unit.

        Raises:
            UserError: it is no voltage.
        """
        if self.unit.casefold() not in TO_MV:
            raise UserError(f"{where}.hea: lead {self.name} is in {self.unit}, not in mV, uV or V; choose another lead")
        return TO_MV[self.unit.casefold()]


class Header(Struct, frozen=True, kw_only=True):
    """One header."""

    path: Path
    """Of the record, without extension."""
    fs: float
    """Frames per second."""
    frames: int | None
    """Its length, where the header gives one."""
    leads: tuple[Lead, ...]
    parts: tuple[tuple[str, int], ...]
    """Segments of a record in several: name (``~``: nothing was recorded) and frames."""
    start_time: float | None
    """Wall clock of the first frame, seconds since the Unix epoch. Headers know no time zones: it is read as UTC."""


def read_header(path: Path) -> Header:
    """The header ``path``.hea, without a look at its signal files.

    Raises:
        UserError: there is none, or it is not one that can be played.
    """
    hea = Path(f"{path}.hea")
    try:
        text = hea.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such record, there is no {hea}; write replay:PATH, replay:DATABASE/RECORD or replay:demo"
        ) from error
    except OSError as error:
        raise UserError(f"{hea}: cannot be read: {error.strerror}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    try:
        parsed = wfdb.rdheader(str(path))
        fs = _rate(lines[0])
        start_time = _start_time(parsed)
    except UNREADABLE as error:
        raise UserError(f"{hea}: not a WFDB header: {_line(error)}") from error
    if not fs > 0:
        raise UserError(f"{hea}: a sampling rate of {fs:g} Hz; write the true one into its first line")
    parts = getattr(parsed, "seg_name", None)
    if parts is not None:
        if len(parts) != parsed.n_seg:
            raise UserError(f"{hea}: says {parsed.n_seg} segments but lists {len(parts)}")
        segments = tuple(zip(parts, parsed.seg_len, strict=True))
        return Header(path=path, fs=fs, frames=parsed.sig_len, leads=(), parts=segments, start_time=start_time)
    described = len(parsed.file_name or ())
    if not parsed.n_sig == described == len(lines) - 1:
        raise UserError(f"{hea}: says {parsed.n_sig} signals but describes {len(lines) - 1}")
    if not described:
        raise UserError(f"{hea}: has no signals, so there is nothing to play")
    leads = tuple(_lead(parsed, index, line) for index, line in enumerate(lines[1:]))
    return Header(path=path, fs=fs, frames=parsed.sig_len, leads=leads, parts=(), start_time=start_time)


def check_files(header: Header) -> int:
    """Frames that the signal files of a record in one piece are good for: the header's count, or all that they hold.

    Raises:
        UserError: a file is missing, too short, or of a format that cannot be read.
    """
    held = []
    for name in dict.fromkeys(lead.file for lead in header.leads):
        file = header.path.parent / name
        leads = [lead for lead in header.leads if lead.file == name]
        if not file.is_file():
            raise UserError(f"{file}: not there, but {header.path}.hea names it; put the file beside its header")
        if leads[0].fmt in FLAC:
            continue
        if leads[0].fmt not in PACKING:
            known = ", ".join((*PACKING, *FLAC))
            raise UserError(f"{header.path}.hea: unknown signal format {leads[0].fmt}; known are {known}")
        samples, size = PACKING[leads[0].fmt]
        stored = max(0, file.stat().st_size - leads[0].offset)
        held.append((stored * samples // size // sum(lead.per_frame for lead in leads), file))
    if header.frames is None and not held:
        raise UserError(f"{header.path}.hea: gives no length; write it after the sampling rate")
    frames, shortest = min(held, default=(header.frames or 0, header.path))
    if header.frames == 0 and frames:
        raise UserError(f"{header.path}.hea: says 0 samples, but {shortest} holds {frames}; write that number there")
    if header.frames is not None and frames < header.frames:
        raise UserError(
            f"{shortest}: cut short: it holds {frames} of the {header.frames} samples that its header promises; "
            "copy or fetch the record again"
        )
    return frames if header.frames is None else header.frames


def choose(wanted: Sequence[str], names: Sequence[str], where: str) -> tuple[int, ...]:
    """Indices of the wanted leads: by name, in any case of letters, or by number from 0; () means the first.

    Raises:
        UserError: a lead is not there, or is wanted twice.
    """
    folded = [name.casefold() for name in names]
    chosen: list[int] = []
    for word in wanted or ("0",):
        if word in names:
            index = names.index(word)
        elif word.casefold() in folded:
            index = folded.index(word.casefold())
        elif word.isascii() and word.isdigit() and int(word) < len(names):
            index = int(word)
        else:
            raise UserError(f"{where}: no lead {word}; there are {', '.join(names)} (or 0 to {len(names) - 1})")
        if index in chosen:
            raise UserError(f"{where}: lead {word} is wanted twice; name each lead once")
        chosen.append(index)
    return tuple(chosen)


def _lead(parsed: Any, index: int, line: str) -> Lead:
    # wfdb drops letters that are not ASCII, which makes µV a V: look for ourselves.
    words = line.split()
    unit = words[2].partition("/")[2] if len(words) > 2 else ""
    return Lead(
        name=parsed.sig_name[index] or str(index),
        file=parsed.file_name[index],
        fmt=parsed.fmt[index],
        offset=parsed.byte_offset[index] or 0,
        per_frame=parsed.samps_per_frame[index] or 1,
        unit=unit or "mV",
    )


def _rate(line: str) -> float:
    words = line.split()
    return float(re.split(r"[/(]", words[2])[0]) if len(words) > 2 else FS_DEFAULT


def _start_time(parsed: Any) -> float | None:
    began = getattr(parsed, "base_datetime", None)
    return None if began is None else float(began.replace(tzinfo=UTC).timestamp())


def _line(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
