"""Beat-by-beat comparison of annotations after ANSI/AAMI EC57, equal to WFDB's ``bxb -S``.

Laws: every reference beat of the test period is counted once, in the row of its class; every test beat that has no
partner once, in the row O (or X, where the reference says that nothing could be read), unless the reference has
ventricular flutter or fibrillation there; each annotation has one partner at most.

Sources: ANSI/AAMI EC57:1998 as bxb(1) and "Evaluating ECG Analyzers" of the WFDB Applications Guide tell it, and what
bxb 10.7.0 prints, on which tests/unit/ec57_cases.json stands. Deviations, each in what MIT-BIH's own references never
contain:

* ventricular flutter or fibrillation that nobody ended lasts to the end of the record every time (bxb knows this only
  of the first such episode);
* a flutter wave (``!``) outside of ``[`` … ``]`` is no beat (bxb lets it take a test beat, and counts that as extra);
* of all shutdown and VF segments, not only of the latest two, is known what lies within them;
* test annotations after the end of a record without a length are counted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.events import CLASSES, BeatClass
from trainer.annotations import CLASS_OF, SHUTDOWN_BITS, Annotations, Convention

Ints = npt.NDArray[np.int64]
Segment = tuple[int, int]
"""First and last sample."""

MATCH_WINDOW_S = 0.150
"""EC57 4.3.2: two annotations within 150 ms speak of the same beat."""

LEARNING_S = 300.0
"""The first five minutes of a record are the device's to learn from and are not scored (EC57)."""

MISSED, UNREAD = len(CLASSES), len(CLASSES) + 1
"""Indices of no beat: where the other side should have found one, and where it says that nothing could be read."""

LABELS = (*(c.value for c in CLASSES), "O", "X")
"""Rows (reference) and columns (test) of a confusion matrix, in bxb's own words."""

_NEVER = 1 << 62
"""The sample of what does not come: later than any."""


@dataclass(frozen=True)
class Detection:
    """Counts of one record, and what follows from them."""

    tp: int
    fp: int
    fn: int

    @property
    def sensitivity(self) -> float:
        return self.tp / max(self.tp + self.fn, 1)

    @property
    def positive_predictivity(self) -> float:
        return self.tp / max(self.tp + self.fp, 1)

    @property
    def f1(self) -> float:
        return 2 * self.tp / max(2 * self.tp + self.fp + self.fn, 1)

    def __add__(self, other: "Detection") -> "Detection":
        return Detection(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)


@dataclass(frozen=True)
class Side:
    """What one annotator gives to a beat-by-beat comparison. Samples are the record's own."""

    samples: Ints
    """Beats, in time order, without those marked within VF."""
    labels: list[BeatClass]
    vf: list[Segment]
    """Ventricular flutter or fibrillation."""
    shutdown: list[Segment]
    """Where nothing could be read."""


@dataclass(frozen=True)
class BeatByBeat:
    """One record, compared."""

    confusion: Ints
    """[7, 7] counts, reference by test, both in the order of LABELS; [5:, 5:] is empty."""
    rr_error_s2: float
    """Sum of squared differences of RR intervals, s²."""
    rr_errors: int
    """How many there were."""
    shutdown_s: float
    """What the test annotator calls unreadable, in all, s."""

    @property
    def rr_error_ms(self) -> float | None:
        """Root mean square, ms; None where no two intervals could be compared."""
        return 1000.0 * math.sqrt(self.rr_error_s2 / self.rr_errors) if self.rr_errors else None


def match_window(fs: float) -> int:
    """MATCH_WINDOW_S in samples: bxb counts in whole ones, and rounds to the nearest."""
    return int(MATCH_WINDOW_S * fs + 0.5)


def match(reference: Ints, test: Ints, window: float, start: int = 0) -> list[tuple[int, int]]:
    """Pairs (reference, test) of indices in time order, -1 where one has no partner.

    Both sorted, in samples, as are ``window`` and ``start``. The earlier of the two annotations at hand looks at the
    other. They are partners if they lie within the window, unless the next one of the earlier's own side is at least
    as near to the other, and not nearer still to the other's next; an annotation passed over is a miss or an extra
    beat. This is bxb's rule, with its amendment of 2002.

    ``start`` ends the learning period. What lies before is neither missed nor extra, but the last test annotation
    before it may be the partner of the first reference annotation after it; and a test annotation within the window
    after it is passed over uncounted where the next one is nearer to the first reference annotation.
    """
    ref, tst = [*reference.tolist(), _NEVER, _NEVER], [*test.tolist(), _NEVER, _NEVER]
    n, m = len(reference), len(test)
    i, j = int(np.searchsorted(reference, start)), int(np.searchsorted(test, start))
    pairs: list[tuple[int, int]] = []
    if start > 0:
        nearness = abs(ref[i] - tst[j])
        if j > 0 and i < n and ref[i] - tst[j - 1] <= window and ref[i] - tst[j - 1] < nearness:
            pairs.append((i, j - 1))
            i += 1
        elif j < m and tst[j] - start <= window and abs(ref[i] - tst[j + 1]) < nearness:
            j += 1
    while i < n or j < m:
        r, t, next_r, next_t = ref[i], tst[j], ref[i + 1], tst[j + 1]
        rival = abs(r - next_t) if t < r else abs(next_r - t)
        apart = abs(r - t)
        if apart <= window and (apart < rival or abs(next_r - next_t) < rival):
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif t < r:
            pairs.append((-1, j))
            j += 1
        else:
            pairs.append((i, -1))
            i += 1
    return pairs


def outside(samples: Ints, segments: Sequence[Segment]) -> npt.NDArray[np.bool_]:
    """Which samples lie in none of the (first, last) segments."""
    keep = np.ones(len(samples), dtype=np.bool_)
    for first, last in segments:
        keep &= ~((samples >= first) & (samples <= last))
    return keep


def detection(reference: Ints, test: Ints, fs: float, vf: Sequence[Segment] = ()) -> Detection:
    """TP, FP and FN of one whole record, whatever the classes; ``vf`` in samples, counts for neither side."""
    inside = ~outside(test, vf)
    pairs = match(reference[outside(reference, vf)], test, window=MATCH_WINDOW_S * fs)
    tp = sum(1 for i, j in pairs if i >= 0 and j >= 0)
    fp = sum(1 for i, j in pairs if i < 0 and not inside[j])
    fn = sum(1 for _, j in pairs if j < 0)
    return Detection(tp, fp, fn)


def side(annotations: Annotations, convention: Convention) -> Side:
    """Beats, VF and shutdown out of one annotator's marks.

    A shutdown begins with a NOISE mark with both SHUTDOWN_BITS and ends with the next NOISE mark without. Where
    another mark comes first, it is AHA's way of one mark in the middle: it lasts from 150 ms after the beat (or VF)
    before it to 150 ms before the mark after it.
    """
    window = match_window(annotations.fs)
    samples, labels, vf, shutdown = [], [], [], []
    marks = iter(annotations.marks)
    mark = next(marks, None)
    while mark is not None:
        following = next(marks, None)
        if mark.symbol in CLASS_OF[convention]:
            samples.append(mark.sample)
            labels.append(CLASS_OF[convention][mark.symbol])
        elif mark.symbol == "[":
            while following is not None and following.symbol != "]":
                following = next(marks, None)
            vf.append((mark.sample, annotations.length if following is None else following.sample))
        elif _is_shutdown(mark.symbol, mark.subtype):
            if following is None:
                shutdown.append((mark.sample, annotations.length))
            elif following.symbol == "~" and not _is_shutdown(following.symbol, following.subtype):
                shutdown.append((mark.sample, following.sample))
            else:
                before = max(samples[-1] if samples else 0, vf[-1][1] if vf else 0)
                last = following.sample - window
                shutdown.append((min(before + window, last), last))
        mark = following
    return Side(np.array(samples, dtype=np.int64), labels, vf, shutdown)


def cells(ref: Side, tst: Side, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int] | None]:
    """(row, column) of the confusion that each pair counts in; None for a test beat within the reference's VF."""
    in_vf, unread = ~outside(tst.samples, ref.vf), ~outside(tst.samples, ref.shutdown)
    off = ~outside(ref.samples, tst.shutdown)
    out: list[tuple[int, int] | None] = []
    for i, j in pairs:
        if i < 0 and in_vf[j]:
            out.append(None)
            continue
        row = CLASSES.index(ref.labels[i]) if i >= 0 else UNREAD if unread[j] else MISSED
        column = CLASSES.index(tst.labels[j]) if j >= 0 else UNREAD if off[i] else MISSED
        out.append((row, column))
    return out


def compare(reference: Annotations, test: Annotations, convention: Convention, from_s: float) -> BeatByBeat:
    """Reference by test, beat by beat, after the learning period of ``from_s`` seconds.

    The RR error is bxb's: at every pair, also of a beat with no beat, the intervals that end with the two annotations
    at hand are compared, where both have one (no VF or shutdown begins within it).
    """
    fs = reference.fs
    ref, tst = side(reference, convention), side(test, convention)
    start, window = round(from_s * fs), match_window(fs)
    ref_rr, test_rr = _rr(ref), _rr(tst)
    confusion = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
    errors = []
    pairs = match(ref.samples, tst.samples, window, start)
    at_hand_r = min((i for i, _ in pairs if i >= 0), default=len(ref_rr))
    at_hand_t = min((j for _, j in pairs if j >= 0), default=len(test_rr))
    for (i, j), counted in zip(pairs, cells(ref, tst, pairs), strict=True):
        if at_hand_r < len(ref_rr) and at_hand_t < len(test_rr) and ref_rr[at_hand_r] and test_rr[at_hand_t]:
            errors.append((ref_rr[at_hand_r] - test_rr[at_hand_t]) / fs)
        at_hand_r, at_hand_t = at_hand_r + (i >= 0), at_hand_t + (j >= 0)
        if counted is not None:
            confusion[counted] += 1
    shutdown_s = sum(last - first for first, last in tst.shutdown) / fs
    return BeatByBeat(confusion, float(np.sum(np.square(errors))), len(errors), shutdown_s)


def _is_shutdown(symbol: str, subtype: int) -> bool:
    return symbol == "~" and subtype & SHUTDOWN_BITS == SHUTDOWN_BITS


def _rr(one: Side) -> list[int]:
    """The interval that ends with each beat, samples; 0 where there is none."""
    begins = np.sort(np.array([first for first, _ in (*one.vf, *one.shutdown)], dtype=np.int64))
    out = [0] * min(1, len(one.samples))
    for before, at in zip(one.samples[:-1].tolist(), one.samples[1:].tolist(), strict=True):
        broken = np.searchsorted(begins, before) < np.searchsorted(begins, at)
        out.append(0 if broken else at - before)
    return out
