"""Reference annotations of a record: beats with their AAMI class, VF segments, rhythm."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monitor.events import BeatClass
from trainer.annotations import CLASS_OF, Convention, read


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
    """Their classes as the literature has them: what is learnt, and scored against what is published."""
    vf: list[tuple[int, int]]
    """Ventricular flutter or fibrillation, (first, last) sample."""
    rhythms: list[tuple[int, str]]
    """Rhythm changes: sample and name, without the bracket."""


def load_reference(path: Path, extension: str = "atr") -> Reference:
    """Reads RECORD.atr beside the record ``path`` (given without extension).

    Raises:
        UserError: one of the two is not there or cannot be read.
    """
    annotations = read(path, extension)
    classes = CLASS_OF[Convention.LITERATURE]
    samples, symbols, vf, rhythms = [], [], [], []
    begun: int | None = None
    for mark in annotations.marks:
        if mark.symbol in classes:
            samples.append(mark.sample)
            symbols.append(mark.symbol)
        elif mark.symbol == "[":
            begun = mark.sample
        elif mark.symbol == "]" and begun is not None:
            vf.append((begun, mark.sample))
            begun = None
        elif mark.symbol == "+" and mark.note:
            rhythms.append((mark.sample, mark.note.lstrip("(")))
    if begun is not None:
        vf.append((begun, annotations.length))
    labels = [classes[symbol] for symbol in symbols]
    return Reference(annotations.fs, np.array(samples, dtype=np.int64), symbols, labels, vf, rhythms)
