"""Annotation files as they are written: marks in time order, of a record's reference or of a test.

What the marks mean to a comparison is in ``ec57`` (beats) and ``ec57_runs`` (runs); here they are read, rescaled, and
their beat codes mapped to AAMI classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import wfdb

from monitor.errors import UserError
from monitor.events import BeatClass, Verdict
from monitor.recorder.annotations import to_record
from replay.headers import UNREADABLE, read_header

SHUTDOWN_BITS = 0x30
"""A NOISE mark (``~``) with both bits in its subtype begins a shutdown: no signal can be read. Any other ends it."""


class Convention(StrEnum):
    """Where the beats go on which EC57 and the literature disagree: atrial (``e``) and junctional (``j``) escapes."""

    AAMI = "aami"  # S, as WFDB's `bxb -L` and `rxr` count them
    LITERATURE = "literature"  # N, as de Chazal 2004 (10.1109/TBME.2004.827359) and what followed


_LITERATURE: dict[str, BeatClass] = {
    **dict.fromkeys("NLRBej", BeatClass.N),
    **dict.fromkeys("AaJSn", BeatClass.S),
    **dict.fromkeys("VEr", BeatClass.V),
    "F": BeatClass.F,
    **dict.fromkeys("/fQ?", BeatClass.Q),
}
CLASS_OF: dict[Convention, dict[str, BeatClass]] = {
    Convention.LITERATURE: _LITERATURE,
    Convention.AAMI: {**_LITERATURE, **dict.fromkeys("ej", BeatClass.S)},
}
"""MIT code of a beat → AAMI class. ``n`` (supraventricular escape) is S and ``r`` (R-on-T) V in both; paced beats
(``/``, ``f``) and beats of the learning period (``?``) are Q."""


@dataclass(frozen=True)
class Mark:
    """One annotation."""

    sample: int
    """In the record's own samples."""
    symbol: str
    """MIT code: ``N``, ``V``, ``[``, ``~``, ``+``, …"""
    subtype: int = 0
    note: str = ""
    """Its text: of a ``+``, the rhythm, with its bracket."""


@dataclass(frozen=True)
class Annotations:
    """What one annotator says of one record."""

    fs: float
    """Hz, of the record."""
    length: int
    """Of the record, samples: where what nobody ended ends."""
    marks: tuple[Mark, ...]
    """In time order."""


def read(record: Path, extension: str, *, file: Path | None = None) -> Annotations:
    """The annotations of ``record`` (given without extension), in the record's own samples.

    Args:
        record: its header says sampling rate and length.
        extension: of the annotation file: ``atr``, ``ecgm``, …
        file: the annotation file without extension, where it does not lie beside the record.

    Raises:
        UserError: there is no such record or no such file, or one of them cannot be read.
    """
    header = read_header(record)
    where = file or record
    if not Path(f"{where}.{extension}").is_file():
        raise UserError(f"{where}.{extension}: there is no such annotation file")
    try:
        found = wfdb.rdann(str(where), extension)
        notes = [str(note).strip("\x00 ") for note in found.aux_note]
        # A file may be written at another rate than the record; then it says which.
        scale = header.fs / float(found.fs) if found.fs else 1.0
        marks = tuple(
            Mark(round(int(sample) * scale), str(symbol), int(subtype), note)
            for sample, symbol, subtype, note in zip(found.sample, found.symbol, found.subtype, notes, strict=True)
        )
    except UNREADABLE as error:
        raise UserError(f"{where}.{extension}: not a WFDB annotation file: {' '.join(str(error).split())}") from error
    length = header.frames or max((mark.sample for mark in marks), default=0)
    return Annotations(header.fs, length, marks)


def of_verdicts(verdicts: Sequence[Verdict], fs: float, length: int) -> Annotations:
    """The same marks that ``recorder`` writes of these verdicts, of a stream that began with its record."""
    # The AAMI classes' letters are MIT codes too.
    return Annotations(fs, length, tuple(Mark(to_record(v.sample, fs, 0), v.label.value) for v in verdicts))
