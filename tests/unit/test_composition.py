"""Composed rhythms: real complexes, honest labels."""

import numpy as np
import pytest

from monitor.events import CLASSES, FS
from trainer.composition import composed
from trainer.dataset import Recording, find_beats, read
from trainer.ec57 import detection

N, S, V = (CLASSES.index(name) for name in "NSV")


@pytest.fixture(scope="module")
def recording(settings, data_dir):
    return read("mitdb/119", 0, settings)


@pytest.fixture(scope="module")
def several(recording):
    return [composed(recording, np.random.default_rng(seed), 300.0) for seed in range(8)]


def test_the_same_draw_gives_the_same_rhythm(recording):
    one, two = (composed(recording, np.random.default_rng(3), 60.0) for _ in range(2))
    np.testing.assert_array_equal(one.signal, two.signal)
    np.testing.assert_array_equal(one.labels, two.labels)


def test_only_classes_that_can_be_composed(several):
    labels = np.concatenate([one.labels for one in several])
    assert set(labels.tolist()) == {N, S, V}


def test_the_detector_finds_the_beats_where_they_were_put(several, settings):
    """But for beats so early that they lie in the one before."""
    for one in several:
        found = np.array([beat.sample for beat in find_beats(one.signal, settings)])
        assert detection(one.samples, found, FS).f1 > 0.97


def test_supraventricular_beats_come_early_where_they_begin(several):
    """The first of a run comes earlier than the mean of the normal intervals before it."""
    early = []
    for one in several:
        rr = np.diff(one.samples)
        first = np.flatnonzero((one.labels[1:] == S) & (one.labels[:-1] == N))
        for k in first[first > 10]:
            normal = rr[k - 8 : k][one.labels[k - 7 : k + 1] == N]
            if len(normal) > 3:
                early.append(rr[k] / np.median(normal))
    assert len(early) > 20
    assert np.median(early) < 0.9


def test_a_patient_with_few_normal_beats_gives_none(recording):
    bare = Recording("x", 0, recording.signal, recording.samples, np.full(len(recording.samples), V))
    assert composed(bare, np.random.default_rng(0), 60.0) is None
