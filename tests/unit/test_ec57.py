"""Matching, on cases worked out by hand."""

import numpy as np
import pytest
import wfdb.processing
from hypothesis import given
from hypothesis import strategies as st

from trainer.ec57 import Detection, detection, match

WINDOW = 54  # 150 ms at 360 Hz


def pairs(reference, test):
    return match(np.array(reference, dtype=np.int64), np.array(test, dtype=np.int64), WINDOW)


@pytest.mark.parametrize(
    ("reference", "test", "expected"),
    [
        ([], [], []),
        ([100], [], [(0, -1)]),
        ([], [100], [(-1, 0)]),
        ([100], [100], [(0, 0)]),
        ([100], [154], [(0, 0)]),  # exactly 150 ms still matches
        ([100], [155], [(0, -1), (-1, 0)]),
        ([100], [60, 110], [(-1, 0), (0, 1)]),  # the nearer of two takes it
        ([100], [90, 130], [(0, 0), (-1, 1)]),
        ([100, 140], [135], [(0, -1), (1, 0)]),
        ([100, 400, 700], [102, 690], [(0, 0), (1, -1), (2, 1)]),
    ],
)
def test_by_hand(reference, test, expected):
    assert sorted(pairs(reference, test)) == sorted(expected)


@given(
    st.lists(st.integers(0, 20000), max_size=40, unique=True), st.lists(st.integers(0, 20000), max_size=40, unique=True)
)
def test_each_is_used_once_and_pairs_are_near(reference, test):
    reference, test = sorted(reference), sorted(test)
    found = pairs(reference, test)
    assert sorted(i for i, _ in found if i >= 0) == list(range(len(reference)))
    assert sorted(j for _, j in found if j >= 0) == list(range(len(test)))
    assert all(abs(reference[i] - test[j]) <= WINDOW for i, j in found if i >= 0 and j >= 0)


@given(st.integers(0, 2**32 - 1))
def test_as_wfdb_where_both_must_agree(seed):
    """Beats further apart than two windows, moved a little, some left out, some added far from all others."""
    rng = np.random.default_rng(seed)
    reference = np.cumsum(rng.integers(250, 500, size=60))
    kept = rng.random(60) > 0.1
    test = reference[kept] + rng.integers(-50, 51, size=int(kept.sum()))
    extra = reference[~kept] + 125
    test = np.sort(np.concatenate((test, extra)))
    theirs = wfdb.processing.compare_annotations(reference, test, WINDOW)
    mine = detection(reference, test, 360.0)
    assert (mine.tp, mine.fp, mine.fn) == (theirs.tp, theirs.fp, theirs.fn)


def test_ventricular_fibrillation_counts_for_neither_side():
    reference, test = np.array([100, 500, 900]), np.array([100, 400, 480, 900])
    assert detection(reference, test, 360.0, [(350, 600)]) == Detection(2, 0, 0)


def test_figures():
    d = Detection(tp=90, fp=10, fn=30) + Detection(tp=0, fp=0, fn=0)
    assert d.sensitivity == 0.75
    assert d.positive_predictivity == 0.9
    assert d.f1 == pytest.approx(2 * 0.75 * 0.9 / 1.65)
