"""What became of every beat of a record: what it is, what the pipeline called it, and how sure it was.

The same run, pairs and counts as ``ecg-train evaluate``; a confusion matrix keeps their sums, this keeps the beats.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.config import Settings
from monitor.events import CLASSES, Verdict
from monitor.network import Network
from trainer.annotations import Annotations, of_verdicts
from trainer.ec57 import LABELS, Ints, cells, match, match_window, side
from trainer.protocols import Protocol
from trainer.references import load_reference
from trainer.scoring import LITERATURE, Where, locate, reference_of, verdicts

Floats = npt.NDArray[np.float64]

NONE = -1
"""The sample of what is not there: of a reference beat that was made up, of a verdict on a beat that was missed."""


@dataclass(frozen=True)
class Outcomes:
    """The beats of one record that count, in time order; those that were missed and those made up too."""

    where: Where
    fs: float
    """Hz, of the record."""
    rows: Ints
    """[n], what they are, as indices of ``ec57.LABELS``."""
    columns: Ints
    """[n], what they were called, likewise."""
    probabilities: Floats
    """[n, class]; NaN where no verdict is."""
    reference: Ints
    """[n], where they are, in the record's own samples, or NONE."""
    test: Ints
    """[n], where they were found, likewise."""

    @property
    def confusion(self) -> Ints:
        """[7, 7], as :class:`trainer.scoring.Score` has it."""
        out = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
        np.add.at(out, (self.rows, self.columns), 1)
        return out

    def only(self, kept: npt.NDArray[np.bool_]) -> "Outcomes":
        """Those beats alone."""
        return Outcomes(
            self.where,
            self.fs,
            self.rows[kept],
            self.columns[kept],
            self.probabilities[kept],
            self.reference[kept],
            self.test[kept],
        )


def compare(where: Where, reference: Annotations, found: Sequence[Verdict]) -> Outcomes:
    """A whole record, as the literature counts."""
    said = of_verdicts(found, reference.fs, reference.length)
    ref, tst = side(reference, LITERATURE.convention), side(said, LITERATURE.convention)
    pairs = match(ref.samples, tst.samples, match_window(reference.fs))
    rows, columns, probabilities, at, found_at = [], [], [], [], []
    for (i, j), cell in zip(pairs, cells(ref, tst, pairs), strict=True):
        if cell is None:
            continue
        rows.append(cell[0])
        columns.append(cell[1])
        probabilities.append(found[j].probabilities if j >= 0 else (np.nan,) * len(CLASSES))
        at.append(ref.samples[i] if i >= 0 else NONE)
        found_at.append(tst.samples[j] if j >= 0 else NONE)
    return Outcomes(
        where,
        reference.fs,
        np.array(rows, dtype=np.int64),
        np.array(columns, dtype=np.int64),
        np.array(probabilities, dtype=np.float64).reshape(-1, len(CLASSES)),
        np.array(at, dtype=np.int64),
        np.array(found_at, dtype=np.int64),
    )


def judge(record: str, protocol: Protocol, network: Network, settings: Settings) -> Outcomes:
    """The beats of a record that ``protocol`` tests with; every beat is seen in its order.

    Where beats, not patients, are parted, nothing is counted as found where there is none, since such a detection
    belongs to no part.
    """
    where = locate(record, settings)
    out = compare(where, reference_of(where, "atr"), verdicts(where, network, settings))
    if protocol.beats is None:
        return out
    reference = load_reference(where.path)
    labels = np.array([CLASSES.index(label) for label in reference.labels], dtype=np.int64)
    return out.only(np.isin(out.reference, reference.samples[protocol.tested(record, labels)]))


@dataclass(frozen=True)
class Curve:
    """Precision and recall of one class at every threshold of its probability, the strictest first."""

    precision: Floats
    recall: Floats
    average_precision: float
    """Mean precision over recall, by steps, without interpolation; 0 where there are no such beats."""
    at: tuple[float, float]
    """(recall, precision) of the verdicts as they are given: of the likeliest class."""
    beats: int


def curve(outcomes: Sequence[Outcomes], k: int) -> Curve:
    """Of class ``k``. A beat that was missed is never recalled; one that was made up is never right."""
    rows, columns = (np.concatenate([getattr(one, name) for one in outcomes]) for name in ("rows", "columns"))
    p = np.concatenate([one.probabilities[:, k] for one in outcomes])
    beats, found = int((rows == k).sum()), ~np.isnan(p)
    order = np.argsort(-p[found], kind="stable")
    right, falling = (rows[found] == k)[order], p[found][order]
    # Beats of one probability pass a threshold together.
    last = np.flatnonzero(np.append(np.diff(falling) < 0, True)) if len(falling) else np.zeros(0, dtype=np.int64)
    hits = np.cumsum(right)[last]
    precision, recall = hits / (last + 1), hits / max(beats, 1)
    hit = int(((rows == k) & (columns == k)).sum())
    at = (hit / max(beats, 1), hit / max(int((columns == k).sum()), 1))
    return Curve(precision, recall, float(np.sum(np.diff(recall, prepend=0.0) * precision)), at, beats)


@dataclass(frozen=True)
class Example:
    """One misjudged beat: the ``index``-th of ``outcomes``."""

    outcomes: Outcomes
    index: int

    @property
    def sample(self) -> int:
        """Where it is, in the record's own samples."""
        there = int(self.outcomes.reference[self.index])
        return int(self.outcomes.test[self.index]) if there == NONE else there


def examples(outcomes: Sequence[Outcomes], count: int) -> list[Example]:
    """Misjudged beats to look at: of every kind of error one, the most frequent kind first, then of every kind a
    second, and so on. Within a kind every record gives one before any gives a second, and the surest error first
    (of missed beats, the first)."""
    kinds: dict[tuple[int, int], list[list[Example]]] = {}
    total: dict[tuple[int, int], int] = {}
    for one in outcomes:
        own: dict[tuple[int, int], list[int]] = {}
        for n in np.flatnonzero(one.rows != one.columns):
            own.setdefault((int(one.rows[n]), int(one.columns[n])), []).append(int(n))
        for kind, indices in own.items():
            sure = np.nan_to_num(one.probabilities[indices].max(axis=1))
            order = np.argsort(-sure, kind="stable")
            kinds.setdefault(kind, []).append([Example(one, indices[n]) for n in order])
            total[kind] = total.get(kind, 0) + len(indices)
    queues = []
    for kind in sorted(kinds, key=lambda kind: -total[kind]):
        records = sorted(kinds[kind], key=len, reverse=True)
        queues.append([one[n] for n in range(len(records[0])) for one in records if n < len(one)])
    deepest = max(map(len, queues), default=0)
    return [queue[n] for n in range(deepest) for queue in queues if n < len(queue)][:count]
