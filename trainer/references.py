"""Reference annotations of a record: beats with their AAMI class, VF segments, rhythm."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import wfdb

from monitor.events import BeatClass

# AAMI EC57 table; MIT codes as in WFDB's ecgcodes.h. The literature counts e and j as N, `bxb -L` as S.
AAMI: dict[str, BeatClass] = {
    **dict.fromkeys("NLRBej", BeatClass.N),
    **dict.fromkeys("AaJSn", BeatClass.S),
    **dict.fromkeys("VEr", BeatClass.V),
    "F": BeatClass.F,
    **dict.fromkeys("/fQ?", BeatClass.Q),
}
"""``n`` (supraventricular escape) and ``r`` (R-on-T) as EC57 places them."""


@dataclass(frozen=True)
class Reference:
    """What experts wrote about one record."""

    fs: float
    """Hz, of the record."""
    samples: npt.NDArray[np.int64]
    """Beats, in the record's own samples."""
    symbols: list[str]
    """MIT codes of the beats."""
    labels: list[BeatClass]
    vf: list[tuple[int, int]]
    """Ventricular flutter or fibrillation, (first, last) sample."""
    rhythms: list[tuple[int, str]]
    """Rhythm changes: sample and name, without the bracket."""


def load_reference(path: Path, extension: str = "atr") -> Reference:
    """Reads RECORD.atr beside the record ``path`` (given without extension)."""
    header = wfdb.rdheader(str(path))
    annotation = wfdb.rdann(str(path), extension)
    samples, symbols, vf, rhythms = [], [], [], []
    begun: int | None = None
    for sample, symbol, note in zip(annotation.sample, annotation.symbol, annotation.aux_note, strict=True):
        if symbol in AAMI:
            samples.append(int(sample))
            symbols.append(symbol)
        elif symbol == "[":
            begun = int(sample)
        elif symbol == "]" and begun is not None:
            vf.append((begun, int(sample)))
            begun = None
        elif symbol == "+" and note:
            rhythms.append((int(sample), note.strip("\x00").lstrip("(")))
    if begun is not None:
        vf.append((begun, int(header.sig_len)))
    labels = [AAMI[s] for s in symbols]
    return Reference(float(header.fs), np.array(samples, dtype=np.int64), symbols, labels, vf, rhythms)
