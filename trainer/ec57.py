"""Beat-by-beat comparison of annotations after ANSI/AAMI EC57, as WFDB's ``bxb`` does it.

What is built: one-to-one matching within 150 ms, exclusion of ventricular flutter/fibrillation, gross and per-record
detection statistics, and the confusion of AAMI classes on the matched beats. Not yet built: the 5-minute learning
period and shutdown, the VEB/SVEB rules for F and Q, run-by-run comparison.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

MATCH_WINDOW_S = 0.150
"""EC57 4.3.2: two annotations within 150 ms speak of the same beat."""


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


def match(reference: Ints, test: Ints, window: float) -> list[tuple[int, int]]:
    """Pairs (reference, test), -1 where one has no partner.

    Both sorted, in samples; ``window`` in samples. The earlier of the two annotations at hand looks at the other: it
    is its partner if it lies within the window and no later one of its own side is nearer; an annotation passed over
    is a miss or an extra beat. This is bxb's rule, each annotation used once.
    """
    pairs: list[tuple[int, int]] = []
    i = j = 0
    n, m = len(reference), len(test)
    while i < n and j < m:
        r, t = int(reference[i]), int(test[j])
        if t <= r:
            nearer = j + 1 < m and abs(int(test[j + 1]) - r) < r - t
            if r - t <= window and not nearer:
                pairs.append((i, j))
                i += 1
            else:
                pairs.append((-1, j))
            j += 1
        else:
            nearer = i + 1 < n and abs(int(reference[i + 1]) - t) < t - r
            if t - r <= window and not nearer:
                pairs.append((i, j))
                j += 1
            else:
                pairs.append((i, -1))
            i += 1
    pairs.extend((k, -1) for k in range(i, n))
    pairs.extend((-1, k) for k in range(j, m))
    return pairs


def outside(samples: Ints, segments: list[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Which samples lie in none of the (first, last) segments: VF is excluded from both sides."""
    keep = np.ones(len(samples), dtype=np.bool_)
    for first, last in segments:
        keep &= ~((samples >= first) & (samples <= last))
    return keep


def detection(reference: Ints, test: Ints, fs: float, vf: list[tuple[int, int]] | None = None) -> Detection:
    """TP, FP and FN of one record; ``vf`` are segments in samples that count for neither side."""
    segments = vf or []
    pairs = match(reference[outside(reference, segments)], test[outside(test, segments)], window=MATCH_WINDOW_S * fs)
    tp = sum(1 for i, j in pairs if i >= 0 and j >= 0)
    fp = sum(1 for i, _ in pairs if i < 0)
    fn = sum(1 for _, j in pairs if j < 0)
    return Detection(tp, fp, fn)
