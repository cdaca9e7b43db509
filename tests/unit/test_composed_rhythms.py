"""Beats called S in composed rhythms: what is composed, and what is counted."""

import numpy as np
import pytest

from bench.composed_rhythms import (
    AFTER_BLOCK,
    AFTER_FOCUS,
    BLOCK,
    RHYTHMS,
    alternating,
    fibrillation,
    main,
    parts,
    shares,
)
from monitor.events import FS
from trainer.episodes import EARLY, NORMAL, VENTRICULAR

MARKS = {
    "focus": lambda beat: beat.label == EARLY and beat.p == "other",
    "pauses": lambda beat: beat.rr > 1.15 and beat.p == "own" and not beat.blocked,
    "dropped beats": lambda beat: beat.blocked,
    "fibrillation": lambda beat: beat.p == "none" and not beat.waves,
    "flutter": lambda beat: beat.waves,
    BLOCK: lambda beat: beat.blocked and beat.rr == pytest.approx(2 * beat.blocked),
}
"""What a beat has in one rhythm alone, or in one and its like."""


@pytest.mark.parametrize("name", RHYTHMS)
def test_sinus_rhythm_and_what_it_is_asked_about(name):
    some = alternating(np.random.default_rng(0), name, 600.0, (0.7, 1.3))
    assert sum(beat.rr for beat in some) >= 600.0
    assert {beat.label for beat in some} == ({NORMAL, EARLY} if name == "focus" else {NORMAL})
    assert sum(bool(MARKS[name](beat)) for beat in some) > 20
    assert not any(MARKS[name](beat) for beat in some[:120])


def test_a_focus_and_the_sinus_rhythm_after_it_are_two_things():
    """Before any focus neither; while it leads two N at most stand between its beats."""
    n, s, unknown = NORMAL, EARLY, -1
    labels = np.array([n, n, n, s, n, n, s, s, n, n, n, n, unknown, s])
    leads, after = (dict(parts("focus", labels, np.ones(len(labels))))[name] for name in ("focus", AFTER_FOCUS))
    assert leads.tolist() == [-1] * 3 + [s, n, n, s, s, n, n, -1, -1, -1, s]
    assert after.tolist() == [-1] * 10 + [n, n, -1, -1]
    assert [(name, part.tolist()) for name, part in parts("pauses", labels, np.ones(len(labels)))] == [
        ("pauses", labels.tolist())
    ]
    assert all((part == unknown).all() for _, part in parts("focus", np.array([n, n, n]), np.ones(3)))


def test_a_block_and_what_comes_after_it_are_two_things():
    """By their intervals; before any block neither."""
    labels = np.zeros(130, np.int64)
    rr = np.ones(130)
    rr[120:125] = 2.0
    block, after = (dict(parts(BLOCK, labels, rr))[name] for name in (BLOCK, AFTER_BLOCK))
    assert np.flatnonzero(block == NORMAL).tolist() == list(range(120, 125))
    assert np.flatnonzero(after == NORMAL).tolist() == list(range(125, 130))


def test_of_s_those_found_and_of_n_those_called_s():
    labels = np.array([EARLY, EARLY, EARLY, EARLY, NORMAL, NORMAL, VENTRICULAR, -1])
    called = np.array([EARLY, NORMAL, EARLY, EARLY, EARLY, NORMAL, EARLY, EARLY])
    assert shares([(labels[:4], called[:4]), (labels[4:], called[4:])]) == (0.75, 0.5)
    nothing, wrong = shares([(labels[4:], called[4:])])
    assert np.isnan(nothing)
    assert wrong == 0.5


def test_fibrillation_is_a_recorded_one(settings, data_dir):
    """Of vfdb's 609, with waves and intervals."""
    lent = fibrillation(settings)
    assert sum(len(part) for part in lent.waves.parts) > 300 * FS
    assert len(lent.intervals) > 200
    assert np.std(lent.intervals) > 0.1
    some = alternating(np.random.default_rng(0), "fibrillation", 600.0, lent.intervals)
    rr = [beat.rr for beat in some if beat.p == "none"]
    assert len(set(np.round(np.array(rr) / np.mean(rr), 9))) > 100


def test_a_table_of_one_patient(data_dir, capsys):
    assert main(["--records", "svdb/800"]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split("|")
    found, *wrong = (float(cell.split()[0]) for cell in row[2:-1])
    assert len(wrong) == len(RHYTHMS) + 2
    assert found > max(wrong)


@pytest.mark.parametrize("words", [["nowhere.safetensors"], ["--records", "svdb/nobody"], ["--records", "mitdb/107"]])
def test_what_is_not_there_is_one_line(words, data_dir, capsys):
    """107 is paced: nothing can be composed of it."""
    assert main(words) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
