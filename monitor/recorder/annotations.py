"""Beats and alerts written back beside a record, in the record's own sample numbers.

``RECORD.ecgm`` is a WFDB annotation file with MIT beat codes; ``RECORD.alarms.jsonl`` holds one alert event a line
(docs/protocol.md). Both appear whole or not at all: they are written under another name and then renamed.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from monitor.errors import UserError
from monitor.events import FS, Alert, Verdict
from monitor.wire import encode_alert

EXTENSION = "ecgm"


def to_record(sample: int, fs: float, start: int) -> int:
    """A sample at 360 Hz of a stream that began at the record's sample ``start``, in the record's own."""
    return start + round(sample * fs / FS)


def in_record(alert: Alert, fs: float, start: int) -> Alert:
    """An alert with all its samples in the record's own."""
    return msgspec.structs.replace(
        alert,
        sample=to_record(alert.sample, fs, start),
        onset_sample=to_record(alert.onset_sample, fs, start),
        beats=tuple(to_record(beat, fs, start) for beat in alert.beats),
    )


def write(
    folder: Path, name: str, verdicts: Sequence[Verdict], alerts: Sequence[Alert], *, fs: float, start: int
) -> None:
    """Writes both files of one record.

    Args:
        folder: where to; made if need be.
        name: of the record, without folder.
        fs: the record's sampling rate, Hz.
        start: the record's sample at which the stream began.

    Raises:
        UserError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as name_of_temporary:
            temporary = Path(name_of_temporary)
            lines = b"".join(encode_alert(in_record(alert, fs, start)) + b"\n" for alert in alerts)
            (temporary / "alarms").write_bytes(lines)
            beats = [(to_record(verdict.sample, fs, start), verdict.label.value) for verdict in verdicts]
            _write_beats(temporary, beats, fs)
            (temporary / "alarms").replace(folder / f"{name}.alarms.jsonl")
            (temporary / f"beats.{EXTENSION}").replace(folder / f"{name}.{EXTENSION}")
    except OSError as error:
        raise UserError(f"--out {folder}: {error.strerror or error}") from error


def write_beats(folder: Path, name: str, beats: Sequence[tuple[int, str]], fs: float) -> None:
    """``NAME.ecgm`` alone, whole or not at all: (sample, AAMI class) of each beat, in the record's own samples."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
        _write_beats(Path(temporary), beats, fs)
        (Path(temporary) / f"beats.{EXTENSION}").replace(folder / f"{name}.{EXTENSION}")


def _write_beats(folder: Path, beats: Sequence[tuple[int, str]], fs: float) -> None:
    import wfdb

    if not beats:  # wfdb writes no empty file; the format's end mark alone is one
        (folder / f"beats.{EXTENSION}").write_bytes(b"\0\0")
        return
    wfdb.wrann(
        "beats",
        EXTENSION,
        sample=np.array([sample for sample, _ in beats], dtype=np.int64),
        # The AAMI classes' letters are MIT codes too: N, S, V, F, Q.
        symbol=[label for _, label in beats],
        fs=fs,
        write_dir=str(folder),
    )
