"""Who was told by eye to fibrillate does, by the intervals."""

import numpy as np
import pytest

from monitor.events import CLASSES, FS
from trainer.dataset import Recording, read_signal
from trainer.pool import with_usual_beats
from trainer.told_by_eye import FIBRILLATING

FLUTTERS = "challenge2015/v258s"


@pytest.mark.parametrize("record", FIBRILLATING)
def test_beats_come_unevenly(record, settings, data_dir):
    """All along; and how soon one comes hardly follows from how soon the last one did, as it would in bigeminy. Who
    flutters has two kinds of intervals, who fibrillates all of them."""
    nothing = np.zeros(0, np.int64)
    usual = with_usual_beats(Recording(record, 0, read_signal(record, 0, settings), nothing, nothing), settings)
    normal = usual.labels == CLASSES.index("N")
    rr = np.diff(usual.samples)[normal[1:] & normal[:-1]] / FS
    assert len(rr) > 150
    for part in np.array_split(rr, 3):
        assert np.std(part) > 0.1 * np.mean(part)
    assert abs(np.corrcoef(rr[1:], rr[:-1])[0, 1]) < 0.5
    kinds = [rr[rr < np.mean(rr)], rr[rr >= np.mean(rr)]]
    assert all(np.std(kind) < 0.06 * np.mean(kind) for kind in kinds) == (record == FLUTTERS)
