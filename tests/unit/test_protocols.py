"""Who is learnt from, and who tests: no patient is on both sides where patients are apart, no beat where beats are."""

import numpy as np
import pytest

from monitor.events import CLASSES
from trainer.dataset import UNKNOWN, read
from trainer.protocols import DS1, DS2, MITDB, PACED, PROTOCOLS, SAME_MAN, SVDB, BeatSplit


def test_the_patients_that_test_are_never_learnt_from():
    for protocol in PROTOCOLS.values():
        if protocol.beats is None:
            assert not set(protocol.train) & (set(protocol.test) | set(protocol.validate)), protocol.name
            assert not set(protocol.final().train) & set(protocol.test), protocol.name


def test_the_man_of_202_is_learnt_from_as_by_everybody_and_strictly_not(data_dir):
    assert "same" in (data_dir / "mitdb" / "202.hea").read_text()
    assert set(PROTOCOLS["between-patients"].final().train) == {f"mitdb/{record}" for record in DS1}
    for name in ("between-patients-strict", "between-patients-strict+svdb"):
        protocol = PROTOCOLS[name]
        assert "mitdb/202" in protocol.test
        assert {f"mitdb/{record}" for record in DS1} - set(protocol.final().train) == {"mitdb/201"}


def test_a_record_whose_reference_contradicts_others_tests_and_is_not_learnt_from():
    assert not [protocol.name for protocol in PROTOCOLS.values() if "svdb/826" in protocol.final().train]
    assert [protocol.name for protocol in PROTOCOLS.values() if "svdb/826" in protocol.test] == ["svdb-3"]
    assert len(set(PROTOCOLS["everything"].train)) == 48 + 39


def test_only_ds1_lends_and_201_only_where_all_of_it_and_nothing_else_is_learnt():
    ds1 = tuple(f"mitdb/{record}" for record in DS1)
    others = tuple(record for record in ds1 if record not in SAME_MAN)
    assert PROTOCOLS["between-patients"].final().lenders == ds1
    for name, protocol in PROTOCOLS.items():
        if name != "between-patients":
            assert set(protocol.lenders) == set(protocol.train) & set(others), name
    assert PROTOCOLS["everything"].lenders == PROTOCOLS["svdb-2"].lenders == others


def test_ds1_ds2_and_the_paced_are_all_of_mitdb_each_once():
    assert len(DS1) == len(DS2) == 22
    assert sorted(DS1 + DS2 + PACED) == sorted(set(MITDB))
    assert len(MITDB) == 48


def test_the_odd_half_of_svdb_is_nowhere():
    used = {record for p in PROTOCOLS.values() for record in (*p.train, *p.validate, *p.test)}
    assert not [record for record in used if record.startswith("svdb") and int(record[5:]) % 2]
    assert len(SVDB) == 40
    parts = [record for part in (1, 2, 3, 4) for record in PROTOCOLS[f"svdb-{part}"].test]
    assert sorted(parts) == sorted(SVDB)


def test_beats_that_test_are_hidden_from_the_training(settings, data_dir):
    protocol = PROTOCOLS["within-patients"]
    recording = read("mitdb/100", 0, settings)
    shown, tested = protocol.shown(recording), protocol.tested("mitdb/100", recording.labels)
    np.testing.assert_array_equal(shown.labels == UNKNOWN, tested)
    assert tested.mean() == pytest.approx(0.22, abs=0.03)
    same, again, other = (BeatSplit().parts(f"mitdb/{record}", recording.labels)[1] for record in (100, 100, 101))
    np.testing.assert_array_equal(same, again)
    assert not np.array_equal(same, other)


def test_rebalanced_few_normal_beats_take_part_and_every_other(settings, data_dir):
    protocol = PROTOCOLS["within-patients-rebalanced"]
    recording = read("mitdb/208", 0, settings)
    learnt = protocol.shown(recording).labels != UNKNOWN
    tested = protocol.tested("mitdb/208", recording.labels)
    normal = recording.labels == CLASSES.index("N")
    assert not (learnt & tested).any()
    np.testing.assert_array_equal((learnt | tested)[~normal], True)
    assert (learnt | tested)[normal].mean() == pytest.approx(10_000 / 90_631, abs=0.03)
    for label in "VF":
        assert tested[recording.labels == CLASSES.index(label)].mean() == pytest.approx(0.3, abs=0.05)
