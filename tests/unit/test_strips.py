"""Recordings whose rhythm alone is known."""

from dataclasses import replace

import numpy as np
import pytest

from monitor.events import CLASSES
from trainer.dataset import UNKNOWN, Recording, read_signal
from trainer.lenders import uneven
from trainer.pool import orders, prepared, with_usual_beats
from trainer.protocols import PROTOCOLS
from trainer.strips import FIBRILLATING, STRIPS, is_short, is_strip, strips

FLUTTERS = "challenge2015/v258s"


def test_every_strip_once_and_no_other_recording(settings, data_dir):
    found = strips(settings)
    assert len({(one.record, one.lead) for one in found}) == len(found) > 600
    assert all(is_strip(one.record) for one in found)
    assert {one.record for one in found if not is_short(one.record)} == set(FIBRILLATING)
    assert {one.lead for one in found if not is_short(one.record)} == {0, 1}
    assert not is_strip("mitdb/203")
    assert not is_strip("challenge2015/a103l")


def test_no_strip_is_of_a_patient_who_tests():
    databases = {record.split("/")[0] for protocol in PROTOCOLS.values() for record in protocol.test}
    assert not databases & {STRIPS, "challenge2015"}


@pytest.mark.parametrize("record", FIBRILLATING)
def test_who_was_told_by_eye_comes_unevenly(record, settings, data_dir):
    """Intervals are uneven, all along, and hardly follow from those before them, as they would in bigeminy; who
    flutters has two kinds of them."""
    nothing = np.zeros(0, np.int64)
    signal = read_signal(record, 0, settings)
    rr = np.array(uneven(with_usual_beats(Recording(record, 0, signal, nothing, nothing), settings)))
    assert len(rr) > 150
    for part in np.array_split(rr, 3):
        assert np.std(part) > 0.1 * np.mean(part)
    assert abs(np.corrcoef(rr[1:], rr[:-1])[0, 1]) < 0.5
    kinds = [rr[rr < np.mean(rr)], rr[rr >= np.mean(rr)]]
    assert all(np.std(kind) < 0.06 * np.mean(kind) for kind in kinds) == (record == FLUTTERS)


def test_a_recording_is_longer_than_a_strip_and_is_not_repeated(settings, data_dir):
    """In both leads its beats are N or unknown; its versions differ by what is augmented, not in what follows what."""
    protocol = replace(PROTOCOLS["between-patients"], train=("mitdb/100",), validate=(), composed=False)
    wanted = [one for one in orders(protocol, 0, 3, 0, 0, settings) if one.record == "challenge2015/t106s"]
    assert [(one.lead, one.copy) for one in wanted] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    some = prepared(wanted, protocol, settings, 1)
    assert [one.order for one in some] == wanted
    for one in some:
        assert set(np.unique(one.labels)) == {UNKNOWN, CLASSES.index("N")}
        assert 600 < len(one.labels) < 800
        assert np.mean(one.labels == CLASSES.index("N")) > 0.5
