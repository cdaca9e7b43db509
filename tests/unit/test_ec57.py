"""Beat-by-beat comparison: by hand, as bxb counts, as wfdb-python where both must agree, and its laws."""

import numpy as np
import pytest
import wfdb.processing
from hypothesis import given
from hypothesis import strategies as st
from marks import annotations, both, bxb_cases

from monitor.events import BeatClass
from trainer.annotations import Annotations, Convention, Mark
from trainer.ec57 import LABELS, Detection, compare, detection, match, side

WINDOW = 54  # 150 ms at 360 Hz
AAMI, LITERATURE = Convention.AAMI, Convention.LITERATURE


def pairs(reference, test, window=WINDOW, start=0):
    return match(np.array(reference, dtype=np.int64), np.array(test, dtype=np.int64), window, start)


def counted(reference, test, from_s=0.0, convention=AAMI):
    """The confusion as a dictionary of what is in it, ``Nv``: N called V."""
    confusion = compare(annotations(reference), annotations(test), convention, from_s).confusion
    return {
        f"{LABELS[i]}{LABELS[j].lower()}": int(confusion[i, j]) for i, j in zip(*np.nonzero(confusion), strict=True)
    }


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
        ([100], [90, 110], [(-1, 0), (0, 1)]),  # of two as near, the later
        ([90, 110], [100], [(0, -1), (1, 0)]),
        ([100], [90, 130], [(0, 0), (-1, 1)]),
        ([100, 140], [135], [(0, -1), (1, 0)]),
        ([100, 400, 700], [102, 690], [(0, 0), (1, -1), (2, 1)]),
    ],
)
def test_by_hand(reference, test, expected):
    assert sorted(pairs(reference, test)) == sorted(expected)


def test_the_amendment_of_2002():
    """The case told in bxb's own notes: 37 samples of window; the second test beat is the second reference beat's."""
    assert pairs([96, 160], [128, 185], window=37) == [(0, 0), (1, 1)]
    assert pairs([128, 185], [96, 160], window=37) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(
    ("reference", "test", "expected"),
    [
        ([900, 1100], [905, 1105], [(1, 1)]),  # what lies before is not counted
        ([900], [905], []),
        ([1010], [990, 1300], [(0, 0), (-1, 1)]),  # but may be the partner of the first beat after it
        ([1010], [990, 1011], [(0, 1)]),  # unless a nearer one is
        ([990, 1300], [1010, 1300], [(1, 1)]),  # within the window after the start and not needed: passed over
        ([990, 1300], [1060, 1300], [(-1, 0), (1, 1)]),  # after that, an extra beat
        ([990, 1300], [980, 1298], [(1, 1)]),
    ],
)
def test_the_learning_period(reference, test, expected):
    assert pairs(reference, test, start=1000) == expected


marks = st.lists(st.integers(0, 20000), max_size=40, unique=True).map(sorted)


@given(marks, marks)
def test_each_is_used_once_and_pairs_are_near(reference, test):
    found = pairs(reference, test)
    assert [i for i, _ in found if i >= 0] == list(range(len(reference)))
    assert [j for _, j in found if j >= 0] == list(range(len(test)))
    assert all(abs(reference[i] - test[j]) <= WINDOW for i, j in found if i >= 0 and j >= 0)


@given(marks, marks)
def test_the_sides_are_alike(reference, test):
    assert pairs(test, reference) == [(j, i) for i, j in pairs(reference, test)]


@given(marks, marks, st.integers(1, 20000))
def test_what_is_before_the_start_is_neither_missed_nor_extra(reference, test, start):
    found = pairs(reference, test, start=start)
    assert [i for i, _ in found if i >= 0] == [i for i, at in enumerate(reference) if at >= start]
    extra = [test[j] for i, j in found if i < 0]
    assert all(at >= start for at in extra)
    later = [j for j, at in enumerate(test) if at >= start]
    used = [j for _, j in found if j >= 0]
    assert set(later[1:]) <= set(used)
    assert len(used) >= len(later) - 1


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


@pytest.mark.parametrize("case", bxb_cases(), ids=lambda case: f"{case['fs']}Hz-{case['reference'][:8]}")
def test_as_bxb(case):
    reference, test = both(case)
    mine = compare(reference, test, AAMI, case["from_s"])
    assert mine.confusion.tolist() == case["confusion"]
    assert mine.rr_error_ms == pytest.approx(case["rr_error_ms"], abs=0.0051)  # it prints two decimals
    assert mine.shutdown_s == pytest.approx(case["shutdown_s"], abs=0.51)  # and whole seconds


@st.composite
def annotated(draw):
    """Any beats, and one episode of VF."""
    samples = draw(st.lists(st.integers(0, 5000), max_size=60, unique=True))
    beats = [Mark(at, draw(st.sampled_from("NLSAVEFQ/ej"))) for at in samples]
    begin = draw(st.integers(0, 5000))
    vf = (begin, draw(st.integers(begin, 5000)))
    bracketed = [Mark(vf[0], "["), Mark(vf[1], "]")] if draw(st.booleans()) else []
    return Annotations(100.0, 5001, tuple(sorted([*beats, *bracketed], key=lambda mark: mark.sample)))


@given(annotated(), annotated(), st.sampled_from(Convention), st.sampled_from((0.0, 20.0)))
def test_counts_add_up(reference, test, convention, from_s):
    confusion = compare(reference, test, convention, from_s).confusion
    ref, start = side(reference, convention), from_s * 100
    for k, label in enumerate(BeatClass):
        in_period = [at for at, given in zip(ref.samples, ref.labels, strict=True) if given == label and at >= start]
        assert confusion[k].sum() == len(in_period)
    tests = side(test, convention).samples
    assert confusion[:, :5].sum() <= len(tests)
    if from_s == 0.0 and not ref.vf:
        assert confusion[:, :5].sum() == len(tests)
    assert not confusion[5:, 5:].any()


@given(annotated())
def test_nobody_disagrees_with_himself(one):
    confusion = compare(one, one, AAMI, 0.0).confusion
    assert confusion.sum() == np.trace(confusion) == len(side(one, AAMI).samples)


def test_every_code_by_either_convention():
    """MIT codes of beats; `e` and `j` are what the conventions differ in."""
    codes = ["N", "L", "R", "B", "e", "j", "A", "a", "J", "S", "n", "V", "E", "r", "F", "/", "f", "Q", "?"]
    text = " ".join(f"{400 * k}{code}" for k, code in enumerate(codes, 1))
    labels = {c: "".join(side(annotations(text), c).labels) for c in Convention}
    assert labels == {AAMI: "NNNNSSSSSSSVVVFQQQQ", LITERATURE: "NNNNNNSSSSSVVVFQQQQ"}


def test_what_is_no_beat_is_none():
    text = '100+(N 120~2 200N 240| 300p 320t 350" 400x 500s 600V'
    assert side(annotations(text), AAMI).samples.tolist() == [200, 600]


def test_vf_of_the_reference_counts_for_neither_side():
    reference = "100N [ 500N 600N ] 1500N".replace("[", "450[").replace("]", "1000]")
    assert counted(reference, "100N 470N 700V 1000N 1200N 1500N") == {"Nn": 2, "On": 1}


def test_a_test_beat_within_vf_may_still_be_a_beat_before_it():
    assert counted("100N 440N 450[ 1000] 1500N", "100N 460V 1500N") == {"Nn": 2, "Nv": 1}


def test_vf_that_nobody_ended_lasts_to_the_end():
    assert counted("100N 450[ 900N", "100N 800N 999000V") == {"Nn": 1}


def test_vf_of_the_test_hides_its_beats():
    assert counted("100N 500N 900N", "100N 450[ 500N 700] 900N") == {"Nn": 2, "No": 1}


def test_shutdown_of_the_test():
    """Beats missed in it are told apart; so are those it finds in spite of it, as if there were none."""
    assert counted("100N 500V 900S 1400N", "100N 300~-1 1000~0 1390N") == {"Nn": 2, "Vx": 1, "Sx": 1}
    assert counted("100N 500V 900S", "100N 300~-1 500V 600~3") == {"Nn": 1, "Vv": 1, "So": 1}
    found = compare(annotations("100N"), annotations("100N 360~-1 1080~0"), AAMI, 0.0)
    assert found.shutdown_s == 2.0


def test_a_mark_in_the_middle_of_a_shutdown():
    """AHA's way: it lasts from 150 ms after the beat before to 150 ms before the beat after."""
    assert side(annotations("100N 500~-1 900N"), AAMI).shutdown == [(154, 846)]
    assert side(annotations("100[ 200] 500~-1 900N"), AAMI).shutdown == [(254, 846)]
    assert side(annotations("100N 120~-1 140N"), AAMI).shutdown == [(86, 86)]


def test_shutdown_of_the_reference():
    assert counted("100N 300~-1 1000~1 1400N", "100N 500V 1100S 1400N") == {"Nn": 2, "Xv": 1, "Os": 1}


def test_noise_that_is_no_shutdown():
    assert side(annotations("100N 300~1 400~2 500~3 600~16 700~32 900N"), AAMI).shutdown == []
    assert side(annotations("300~48 600~0"), AAMI).shutdown == [(300, 600)]


def test_a_shutdown_that_nobody_ended():
    assert side(annotations("100N 300~-1", length=5000), AAMI).shutdown == [(300, 5000)]


def test_the_rr_error():
    """Intervals 400 and 500 against 410 and 480 samples; the one over VF is not compared."""
    found = compare(annotations("100N 500N 1000N 1100[ 1900] 2000N"), annotations("100N 510N 990N 2050N"), AAMI, 0.0)
    assert found.rr_errors == 2
    assert found.rr_error_ms == pytest.approx(1000 * np.sqrt((10**2 + 20**2) / 2) / 360)
    assert compare(annotations("100N"), annotations("100N"), AAMI, 0.0).rr_error_ms is None


def test_from_seconds():
    text = "100N 500V 900S 1300N"
    assert counted(text, text, from_s=2.0) == {"Ss": 1, "Nn": 1}


def test_ventricular_fibrillation_counts_for_neither_side():
    reference, test = np.array([100, 500, 900]), np.array([100, 400, 480, 900])
    assert detection(reference, test, 360.0, [(350, 600)]) == Detection(2, 0, 0)


def test_figures():
    d = Detection(tp=90, fp=10, fn=30) + Detection(tp=0, fp=0, fn=0)
    assert d.sensitivity == 0.75
    assert d.positive_predictivity == 0.9
    assert d.f1 == pytest.approx(2 * 0.75 * 0.9 / 1.65)
