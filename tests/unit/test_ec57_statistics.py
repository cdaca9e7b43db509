"""What follows from counts: EC57's rules, worked out by hand on one confusion; intervals."""

import numpy as np
import pytest

from trainer.ec57_runs import Kind, RunByRun
from trainer.ec57_statistics import average, beat_quotients, gross, quotients, record_values, run_quotients

# Rows N S V F Q O X by columns n s v f q o x. Every entry another number, so that none can stand for another.
CONFUSION = np.array(
    [
        [1000, 2, 3, 4, 5, 6, 7],
        [11, 100, 12, 13, 14, 15, 16],
        [21, 22, 300, 23, 24, 25, 26],
        [31, 32, 33, 70, 34, 35, 36],
        [41, 42, 43, 44, 50, 45, 46],
        [51, 52, 53, 54, 55, 0, 0],
        [61, 62, 63, 64, 65, 0, 0],
    ]
)
EMPTY = {kind: RunByRun(np.zeros((7, 7), dtype=np.int64), np.zeros((7, 7), dtype=np.int64)) for kind in Kind}


def only(**entries):
    """A confusion with these alone: ``Nv=3``."""
    out = np.zeros((7, 7), dtype=np.int64)
    for name, count in entries.items():
        out["NSVFQOX".index(name[0]), "nsvfqox".index(name[1])] = count
    return out


def of(confusions, name):
    return gross(quotients(confusions, [EMPTY] * len(confusions)))[name]


def test_by_hand():
    """The sums of EC57's tables, written out term by term."""
    q = {name: (int(above), int(below)) for name, (above, below) in beat_quotients(CONFUSION).items()}
    found, missed = int(CONFUSION[:5, :5].sum()), int(CONFUSION[:5, 5:].sum())
    assert q["qrs.sensitivity"] == (found, found + missed)
    assert q["qrs.positive_predictivity"] == (found, found + 51 + 52 + 53 + 54 + 55 + 61 + 62 + 63 + 64 + 65)
    assert q["veb.sensitivity"] == (300, 300 + 21 + 22 + 23 + 24 + 25 + 26)
    assert q["veb.positive_predictivity"] == (300, 300 + 3 + 12 + 53 + 63)  # neither Fv nor Qv
    tn = 1000 + 2 + 4 + 5 + 11 + 100 + 13 + 14 + 31 + 32 + 70 + 34 + 41 + 42 + 44 + 50
    tn += 51 + 52 + 54 + 55 + 61 + 62 + 64 + 65
    assert q["veb.false_positive_rate"] == (3 + 12 + 53 + 63, 3 + 12 + 53 + 63 + tn)
    assert q["sveb.sensitivity"] == (100, 100 + 11 + 12 + 13 + 14 + 15 + 16)
    assert q["sveb.positive_predictivity"] == (100, 100 + 2 + 22 + 32 + 52 + 62)  # not Qs
    tn = 1000 + 3 + 4 + 5 + 21 + 300 + 23 + 24 + 31 + 33 + 70 + 34 + 41 + 43 + 44 + 50
    tn += 51 + 53 + 54 + 55 + 61 + 63 + 64 + 65
    assert q["sveb.false_positive_rate"] == (2 + 22 + 32 + 52 + 62, 2 + 22 + 32 + 52 + 62 + tn)
    assert q["class.F.sensitivity"] == (70, 31 + 32 + 33 + 70 + 34 + 35 + 36)
    assert q["class.F.positive_predictivity"] == (70, 4 + 13 + 23 + 70 + 44 + 54 + 64)
    assert q["class.F.f1"] == (140, (31 + 32 + 33 + 70 + 34 + 35 + 36) + (4 + 13 + 23 + 70 + 44 + 54 + 64))


@pytest.mark.parametrize(
    ("entry", "veb", "sveb"),
    [
        # a false negative, a false positive of VEB; of SVEB
        ("Nv", (0, 1), (0, 0)),
        ("Sv", (0, 1), (1, 0)),
        ("Fv", (0, 0), (0, 0)),
        ("Qv", (0, 0), (0, 0)),
        ("Ov", (0, 1), (0, 0)),
        ("Xv", (0, 1), (0, 0)),
        ("Vf", (1, 0), (0, 0)),
        ("Vq", (1, 0), (0, 0)),
        ("Vo", (1, 0), (0, 0)),
        ("Vx", (1, 0), (0, 0)),
        ("Ns", (0, 0), (0, 1)),
        ("Vs", (1, 0), (0, 1)),
        ("Fs", (0, 0), (0, 1)),
        ("Qs", (0, 0), (0, 0)),
        ("Os", (0, 0), (0, 1)),
        ("Sn", (0, 0), (1, 0)),
        ("Sx", (0, 0), (1, 0)),
        ("Nf", (0, 0), (0, 0)),
    ],
)
def test_what_may_be_called_what(entry, veb, sveb):
    q = beat_quotients(only(**{entry: 1}))
    for name, expected in (("veb", veb), ("sveb", sveb)):
        (tp, positives), (_, called) = q[f"{name}.sensitivity"], q[f"{name}.positive_predictivity"]
        assert (int(positives - tp), int(called - tp)) == expected
        assert int(q[f"{name}.false_positive_rate"][0]) == expected[1]


def test_runs_by_hand():
    """Rows the reference's lengths, columns the test's; a run is found by one that is as long as its kind."""
    sensitivity, predictivity = np.arange(49).reshape(7, 7), np.arange(100, 149).reshape(7, 7)
    q = {
        name.removeprefix("runs.veb."): (int(a), int(b))
        for name, (a, b) in run_quotients(Kind.VEB, sensitivity, predictivity).items()
    }
    s, p = sensitivity, predictivity
    assert q["couplet.sensitivity"] == (s[2, 2] + s[2, 3] + s[2, 4] + s[2, 5] + s[2, 6], s[2].sum())
    assert q["short_run.sensitivity"] == (
        s[3, 3] + s[3, 4] + s[3, 5] + s[3, 6]
        + s[4, 3] + s[4, 4] + s[4, 5] + s[4, 6]
        + s[5, 3] + s[5, 4] + s[5, 5] + s[5, 6],
        s[3].sum() + s[4].sum() + s[5].sum(),
    )  # fmt: skip
    assert q["long_run.sensitivity"] == (s[6, 6], s[6].sum())
    assert q["couplet.positive_predictivity"] == (p[2, 2] + p[3, 2] + p[4, 2] + p[5, 2] + p[6, 2], p[:, 2].sum())
    assert q["short_run.positive_predictivity"] == (p[3:, 3:6].sum(), p[:, 3:6].sum())
    assert q["long_run.positive_predictivity"] == (p[6, 6], p[:, 6].sum())


def test_gross_and_average():
    """Two records with V: 9 of 10 found, 1 of 2; one without."""
    confusions = [only(Vv=9, Vn=1, Nn=100), only(Vv=1, Vo=1, Nn=5), only(Nn=50, Nv=1)]
    each = quotients(confusions, [EMPTY] * 3)
    assert gross(each)["veb.sensitivity"].value == pytest.approx(10 / 12)
    assert (gross(each)["veb.sensitivity"].above, gross(each)["veb.sensitivity"].below) == (10, 12)
    assert average(each)["veb.sensitivity"].value == pytest.approx((0.9 + 0.5) / 2)
    assert gross(each)["class.F.f1"].value is None
    assert average(each)["class.F.f1"].value is None
    assert [values["veb.sensitivity"] for values in record_values(each)] == [0.9, 0.5, None]


def test_one_record_has_no_interval():
    estimate = of([only(Vv=9, Vn=1)], "veb.sensitivity")
    assert (estimate.value, estimate.low, estimate.high) == (0.9, None, None)


def test_records_that_are_alike_leave_no_doubt():
    estimate = of([only(Vv=9, Vn=1)] * 5, "veb.sensitivity")
    assert estimate.low == estimate.value == estimate.high == 0.9


def test_the_interval_is_that_of_drawing_records():
    """Two records, 0 and 1: a draw has both of one kind in a quarter of all cases each."""
    estimate = of([only(Vv=10), only(Vn=10)], "veb.sensitivity")
    assert (estimate.low, estimate.value, estimate.high) == (0.0, 0.5, 1.0)
    # Of 400 records, the standard error of the mean of 0 and 1 is 0.025.
    estimate = of([only(Vv=10), only(Vn=10)] * 200, "veb.sensitivity")
    assert estimate.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.01)
    assert estimate.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.01)


def test_the_same_interval_every_time():
    rng = np.random.default_rng(0)
    confusions = [rng.integers(0, 50, size=(7, 7)) for _ in range(12)]
    runs = [{kind: RunByRun(c, c.T) for kind in Kind} for c in confusions]
    each = quotients(confusions, runs)
    assert gross(each) == gross(quotients(confusions, runs))
    assert average(each) == average(quotients(confusions, runs))
    for name, estimate in (gross(each) | average(each)).items():
        assert estimate.low < estimate.value < estimate.high, name


def test_draws_without_the_class_say_nothing():
    """The one record with F is left out of a third of the draws; in the others its figure is 0.75."""
    estimate = of([only(Ff=3, Fv=1), only(Nn=5), only(Nn=7)], "class.F.sensitivity")
    assert (estimate.low, estimate.value, estimate.high) == (0.75, 0.75, 0.75)
