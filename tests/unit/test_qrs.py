"""Fitting the candidate network: examples, augmentation, determinism."""

import msgspec
import numpy as np
import pytest

from monitor import candidates
from monitor.events import FS
from trainer import qrs
from trainer.dataset import Recording, read


@pytest.fixture(scope="module")
def recording(settings, data_dir):
    whole = read("mitdb/100", 0, settings)
    end = 120 * FS
    return Recording(whole.record, 0, whole.signal[:end], whole.samples[whole.samples < end - FS], whole.labels)


def test_every_reference_beat_is_an_example_and_little_else(settings, recording):
    x, y = qrs.examples(recording, [], settings, None, np.random.default_rng(0), shaken=False)
    assert x.shape == (len(y), candidates.INPUTS)
    assert np.isfinite(x).all()
    assert abs(int(y.sum()) - len(recording.samples)) <= 2
    assert len(y) > 1.2 * y.sum()


def test_what_lies_in_fibrillation_is_no_example(settings, recording):
    _, whole = qrs.examples(recording, [], settings, None, np.random.default_rng(0), shaken=False)
    _, cut = qrs.examples(recording, [(60 * FS, 120 * FS)], settings, None, np.random.default_rng(0), shaken=False)
    assert 0.4 * whole.sum() < cut.sum() < 0.6 * whole.sum()


def test_the_beats_of_a_retimed_recording_are_the_same_beats(recording):
    changed = qrs.retimed(recording, np.random.default_rng(0))
    assert len(changed.samples) > 0.9 * len(recording.samples)
    intervals = np.diff(changed.samples)
    assert intervals.min() >= 0.19 * FS
    heights = changed.signal[changed.samples] - np.median(changed.signal)
    original = recording.signal[recording.samples] - np.median(recording.signal)
    assert np.median(heights) == pytest.approx(np.median(original), rel=0.15)


def test_no_beats_are_none_to_set_to_another_rate():
    empty = Recording("x", 0, np.zeros(10 * FS, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert len(qrs.retimed(empty, np.random.default_rng(0)).samples) == 0


def test_a_fit_is_the_same_twice_and_learns(settings, data_dir, tmp_path):
    recipe = qrs.Recipe(rounds=1, epochs=2, copies=0, noise_copies=0, batch=512)
    names, lines = ["mitdb/100", "mitdb/106"], []
    one = qrs.fit(names, recipe, settings, tmp_path / "a", lines.append)
    qrs.fit(names, recipe, settings, tmp_path / "b", lines.append)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert lines[0] == lines[1]
    recording = read("mitdb/101", 0, settings)
    x, y = qrs.examples(recording, [], settings, None, np.random.default_rng(0), shaken=False)
    rooms = [np.empty(size, np.float32) for size in candidates.HIDDEN]
    right = np.mean(
        [(candidates.judge(one, row, *rooms) > 0.5) == bool(label) for row, label in zip(x, y, strict=True)]
    )
    assert right > 0.97


def test_the_kept_aside_is_not_learnt_from():
    names = qrs.records()
    assert not any(name.startswith("mitdb/119") or "/119" in name for name in names)
    assert all(int(name.split("/")[1]) % 2 == 0 for name in names if name.startswith("svdb"))
    assert "mitdb/108" not in qrs.records(["mitdb/108"])
    assert msgspec.json.decode(msgspec.json.encode(qrs.Recipe()), type=qrs.Recipe) == qrs.Recipe()
