"""Recordings whose rhythm alone is known."""

from dataclasses import replace

import numpy as np

from monitor.events import CLASSES
from trainer.dataset import UNKNOWN
from trainer.pool import orders, prepared
from trainer.protocols import PROTOCOLS
from trainer.strips import STRIPS, is_short, is_strip, strips
from trainer.told_by_eye import FIBRILLATING


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


def test_a_recording_is_longer_than_a_strip_and_is_not_repeated(settings, data_dir):
    """In both leads its beats are N or unknown; its versions differ by what is augmented, not in what follows what."""
    protocol = replace(PROTOCOLS["between-patients"], train=("mitdb/100",), validate=(), composed=False)
    wanted = [one for one in orders(protocol, 0, 3, 0, 0, settings) if one.record == "challenge2015/t106s"]
    assert [(one.lead, one.copy) for one in wanted] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    some = prepared(wanted, protocol, settings, 1)
    assert [one.order for one in some] == wanted
    for one in some:
        assert set(np.unique(one.labels)) == {UNKNOWN, CLASSES.index("N")}
        assert 600 < len(one.labels) < 800
        assert np.mean(one.labels == CLASSES.index("N")) > 0.5
