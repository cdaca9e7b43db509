"""What is composed beside what is recorded."""

import numpy as np
import pytest

from bench import composed_features
from bench.composed_features import apart, beats_of
from monitor.beats import FEATURES
from trainer.pool import Order, Prepared


def sequence(record, labels, value):
    f = np.full((len(labels), len(FEATURES)), value, np.float32)
    return Prepared(Order("recorded", record, 0, 0, 0), None, f, np.array(labels, np.int8))


def test_everyone_counts_by_some_beats_of_the_class():
    many, few = sequence("a/1", [0, 1] * 500, 1.0), sequence("a/2", [1, 0, 1, -1], 2.0)
    found = beats_of([many, few, sequence("a/3", [2] * 5, 3.0)], 1, np.random.default_rng(0))
    assert found[:, 0].tolist() == [1.0] * 60 + [2.0] * 2


def test_what_lies_elsewhere_is_apart_and_what_does_not_is_not():
    rng = np.random.default_rng(0)
    recorded, composed = rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3))
    composed[:, 1] += 3.0
    composed[:, 2] = recorded[:, 2] = 5.0
    difference, first, second = apart(recorded, composed)
    assert difference[0] < 0.1
    assert difference[1] == pytest.approx(3.0 / np.sqrt(1.0 + 1.5**2), rel=0.05)
    assert difference[2] == 0.0
    assert second[2, 1] - first[2, 1] == pytest.approx(3.0, abs=0.1)


def test_prints_a_table_of_each_class(settings, data_dir, capsys, monkeypatch):
    """Of few sequences, so that it takes seconds."""
    everything = composed_features.orders

    def few(*given):
        found = everything(*given)
        return [one for one in found if one.record in ("mitdb/106", "mitdb/209")]

    monkeypatch.setattr(composed_features, "orders", few)
    assert composed_features.main(["--every", "1", "--most", "3", "--processes", "1"]) == 0
    told = capsys.readouterr().out
    for name in ("N", "S", "V"):
        assert f"\n{name}: " in told
    assert told.count("\n| ") == 3 * (1 + 3)


def test_a_number_that_cannot_be_is_the_users_mistake(capsys):
    assert composed_features.main(["--every", "0"]) == 1
    assert "1 at least" in capsys.readouterr().err


def test_where_no_beats_are_left_a_line_says_so(settings, data_dir, capsys, monkeypatch):
    monkeypatch.setattr(composed_features, "prepared", lambda *given: [sequence("a/1", [0, 1, 2], 1.0)])
    assert composed_features.main(["--every", "9"]) == 1
    told = capsys.readouterr()
    assert told.err == ("composed_features: --every 9: no beats of class N on one side; a smaller N has more\n")
