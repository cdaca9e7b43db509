"""Run-by-run comparison: by hand, as rxr counts, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import annotations, both, bxb_cases

from trainer.annotations import Annotations, Convention, Mark
from trainer.ec57_runs import Kind, compare, timeline

AAMI = Convention.AAMI


def beats(codes, step=300, first=400):
    return " ".join(f"{first + step * k}{code}" for k, code in enumerate(codes) if code != ".")


def runs(reference, test, kind=Kind.VEB, from_s=0.0):
    """(reference length, test length) → count, of the runs of the reference and of the test."""
    found = compare(annotations(reference), annotations(test), AAMI, from_s)[kind]
    return tuple(
        {(int(i), int(j)): int(one[i, j]) for i, j in zip(*np.nonzero(one), strict=True)}
        for one in (found.sensitivity, found.predictivity)
    )


@pytest.mark.parametrize("case", bxb_cases(), ids=lambda case: f"{case['fs']}Hz-{case['reference'][:8]}")
def test_as_rxr(case):
    found = compare(*both(case), AAMI, case["from_s"])
    mine = [one for kind in (Kind.VEB, Kind.SVEB) for one in (found[kind].sensitivity, found[kind].predictivity)]
    assert [one.tolist() for one in mine] == case["runs"]


@pytest.mark.parametrize(
    ("reference", "test", "sensitivity", "predictivity"),
    [
        ("NNVVNN", "NNVVNN", {(2, 2): 1}, {(2, 2): 1}),
        ("NNVVNN", "NNVNNN", {(2, 1): 1}, {(1, 1): 1}),  # the window ends 150 ms after the run it is of
        ("NNVNNN", "NNVVNN", {(1, 1): 1}, {(1, 2): 1}),
        ("NVVVVVN", "NVVNVVN", {(5, 2): 1}, {(2, 2): 2}),
        ("NVVVVVVVVN", "NVVVVVVVVN", {(6, 6): 1}, {(6, 6): 1}),  # lengths beyond five are one
        ("NVFVN", "NVVFN", {(3, 3): 1}, {(3, 3): 1}),  # F makes it longer
        ("NVQVN", "NVVVN", {(1, 1): 2}, {(1, 3): 1}),  # Q ends it
        ("NVV.VVN", "NVV.VVN", {(4, 4): 1}, {(4, 4): 1}),  # a pause does not
        ("NVVSN", "NVVNN", {(2, 2): 1}, {(2, 2): 1}),
        ("NNNN", "NVVN", {}, {(0, 2): 1}),
        ("NVV", "NVV", {(2, 2): 1}, {(2, 2): 1}),  # the record's end ends it
    ],
)
def test_ventricular_runs(reference, test, sensitivity, predictivity):
    assert runs(beats(reference), beats(test)) == (sensitivity, predictivity)


def test_runs_are_within_150_ms():
    assert runs("500V 800V 1100N", "554V 854V 1100N")[0] == {(2, 2): 1}
    assert runs("500V 800V 1100N", "555V 855V 1100N")[0] == {(2, 1): 1}


def test_supraventricular_runs():
    assert runs(beats("NSSSNVN"), beats("NSSSNVN"), Kind.SVEB) == ({(3, 3): 1}, {(3, 3): 1})
    assert runs(beats("NSSVSN"), beats("NSSSSN"), Kind.SVEB) == ({(2, 2): 1, (1, 1): 1}, {(2, 4): 1})


def test_vf_is_a_run_of_the_greatest_length():
    reference = "400N 700[ 2000] 2300N"
    assert runs(reference, "400N 800V 1100V 1400V 2300N")[0] == {(6, 3): 1}
    assert runs(reference, "400N 900[ 2100] 2300N") == ({(6, 6): 1}, {(6, 6): 1})
    assert runs("400N 700V 2300N", "400N 500[ 2100] 2300N")[0] == {(1, 6): 1}
    assert runs("400N 700+(VFL 2000+(N 2300N", "400N 2300N")[0] == {(6, 0): 1}


def test_af_is_a_supraventricular_run_of_the_greatest_length():
    reference = "400N 700+(AFIB 800N 1000N 1300N 1500+(N 2000N"
    assert runs(reference, "400N 800N 1000N 1300N 2000N", Kind.SVEB)[0] == {(6, 0): 1}
    assert runs(reference, "400N 800S 1000S 1300N 2000N", Kind.SVEB)[0] == {(6, 2): 1}
    assert runs(reference, "400N 800+(AF 1000N 1400+(N 2000N", Kind.SVEB) == ({(6, 6): 1}, {(6, 6): 1})


def test_episodes_that_nobody_ended():
    assert runs("400N 700[", "400N 5000V 5300V 5600N")[0] == {(6, 2): 1}
    assert runs("400N 5000V 5600N", "400N 700[")[0] == {(1, 6): 1}


def test_the_learning_period():
    reference = beats("NVVNNVVVN")
    assert runs(reference, reference, from_s=4.0)[0] == {(3, 3): 1}
    # An episode that began in it goes on.
    assert runs("400[ 3000] 3300N", "400N 1500V 1800V 3300N", from_s=2.0)[0] == {(6, 2): 1}


def test_a_shutdown_ends_a_run():
    assert runs("400V 700V 800~-1 1500~0 1600V 2000N", "400V 700V 1600V 2000N")[0] == {(2, 2): 1, (1, 1): 1}


def test_what_is_repeated_begins_and_ends_once():
    text = "100[ 110+(VFL 300] 310+(N 400~-1 500~-1 600~0 700+(AFIB 800N 900+(AFL 950j 1000+(B 1100N 1200] 1300+"
    assert timeline(annotations(text), AAMI) == [
        (100, "["), (300, "]"), (400, "U"), (700, "{"), (800, "S"), (950, "S"), (1000, "}"), (1100, "N"),
    ]  # fmt: skip


@st.composite
def annotated(draw):
    samples = sorted(draw(st.lists(st.integers(200, 9000), max_size=50, unique=True)))
    return Annotations(200.0, 9001, tuple(Mark(at, draw(st.sampled_from("NNSVVFQ"))) for at in samples))


@given(annotated(), annotated())
def test_every_run_is_counted_once(reference, test):
    found = compare(reference, test, AAMI, 0.0)
    for kind, codes in ((Kind.VEB, "VF"), (Kind.SVEB, "S")):
        for one, axis, of in ((found[kind].sensitivity, 1, reference), (found[kind].predictivity, 0, test)):
            words = "".join(mark.symbol if mark.symbol in codes else " " for mark in of.marks).split()
            lengths = [min(len(word), 6) for word in words]
            assert one.sum(axis=axis).tolist() == [lengths.count(length) for length in range(7)]


@given(annotated())
def test_the_sides_are_alike(one):
    other = Annotations(one.fs, one.length, one.marks[::2])
    there, back = compare(one, other, AAMI, 0.0), compare(other, one, AAMI, 0.0)
    for kind in Kind:
        np.testing.assert_array_equal(there[kind].sensitivity, back[kind].predictivity.T)
