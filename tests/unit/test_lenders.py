"""What recordings lend to others: P waves of supraventricular beats."""

from dataclasses import replace

import numpy as np
import pytest

from monitor.events import CLASSES, FS
from trainer import composition, lenders
from trainer.composition import composed
from trainer.dataset import Recording
from trainer.episodes import RhythmBeat
from trainer.lenders import EctopicP, Fibrillation, Lent, uneven
from trainer.waves import P

N, S, V = (CLASSES.index(name) for name in "NSV")
HEIGHT = 2.0
OWN, OTHER = (-0.16, 0.1), (-0.13, -0.15)
"""s from R, height in heights of the complexes: of the sinus node's P wave, of the other."""


def bell(t, at, width, size):
    return size * np.exp(-((t - at) ** 2) / (2 * width**2))


@pytest.fixture(scope="module")
def recording():
    """Complexes of 2 mV; every fourth beat is S, has another P wave and lies in the T wave of the one before."""
    rr = np.tile([0.9, 0.9, 1.1, 0.6], 60)
    samples = np.round((1.0 + np.cumsum(rr)) * FS).astype(np.int64)
    labels = np.tile([N, N, N, S], 60)
    t = np.arange(samples[-1] + 2 * FS) / FS
    signal = np.zeros(len(t))
    for at, label in zip(samples / FS, labels, strict=True):
        signal += bell(t, at, 0.01, 1.0) + bell(t, at + 0.3, 0.05, 0.25)
        p_at, size = OTHER if label == S else OWN
        signal += bell(t, at + p_at, 0.015, size)
    return Recording("x", 0, (HEIGHT * signal).astype(np.float32), samples, labels)


def test_p_waves_of_s_beats_are_what_is_left_without_the_beat_before(recording):
    """Not the T wave that they lie in; in heights of the complexes."""
    lent = EctopicP.of(recording)
    assert len(lent.waves) == 60 // 12
    seconds = np.arange(P.start, P.stop) / FS - 0.32
    for wave in lent.waves:
        wanted = bell(seconds, OTHER[0], 0.015, OTHER[1])
        assert np.corrcoef(wave, wanted)[0, 1] > 0.97
        np.testing.assert_allclose(wave, wanted, atol=0.035)


def test_what_lies_in_the_complex_of_the_beat_before_is_not_lent(recording):
    earlier = recording.samples.copy()
    earlier[3::4] -= int(0.2 * FS)  # 0.4 s after the beat before
    assert EctopicP.of(replace(recording, samples=earlier)) is None


def test_who_has_few_s_beats_after_n_ones_lends_none(recording):
    labels = recording.labels.copy()
    labels[40:] = N
    assert EctopicP.of(replace(recording, labels=labels)) is None
    runs = np.where(recording.labels == S, S, np.roll(recording.labels, -1))
    runs[1::4] = V
    assert EctopicP.of(replace(recording, labels=runs)) is None


def test_what_is_no_p_wave_is_not_lent(recording):
    """Too faint to be seen; of foci that have little in common; or of atria that fibrillate."""
    at = recording.samples[recording.labels == S]

    def changed(sizes):
        signal = recording.signal.astype(np.float64)
        t = np.arange(len(signal)) / FS
        for r, size in zip(at / FS, sizes, strict=True):
            signal += HEIGHT * bell(t, r + OTHER[0], 0.015, size - OTHER[1])
        return replace(recording, signal=signal.astype(np.float32))

    assert EctopicP.of(changed(np.full(len(at), OTHER[1]))) is not None
    assert EctopicP.of(changed(np.full(len(at), 0.01))) is None
    assert EctopicP.of(changed(np.tile([0.2, -0.08], len(at))[: len(at)])) is None
    assert EctopicP.of(replace(recording, fibrillates=True)) is None


def test_a_p_wave_is_lent_larger_and_smaller_and_upside_down(recording):
    lent = EctopicP.of(recording)
    heights = np.array([lent.lent(np.random.default_rng(seed))[np.abs(lent.waves[0]).argmax()] for seed in range(60)])
    ratios = heights / OTHER[1]
    assert 0.15 < np.mean(ratios < 0.0) < 0.45
    assert 0.45 < np.abs(ratios).min() < 0.75
    assert 1.1 < np.abs(ratios).max() < 1.6


def test_s_beats_of_others_have_the_p_wave_that_is_lent(recording, monkeypatch):
    monkeypatch.setattr(composition, "_LENT_P", 1.0)
    monkeypatch.setattr(lenders, "_INVERTED", 0.0)
    monkeypatch.setattr(lenders, "_P_SIZE", (1.0, 1.0))
    patient = replace(recording, labels=np.where(recording.labels == S, V, N))  # has no S itself
    beats = [RhythmBeat(N, 0.9), RhythmBeat(N, 0.9), RhythmBeat(S, 0.7, "other")] * 30
    lent = Lent(p=EctopicP.of(recording))
    one = composed(patient, np.random.default_rng(0), 60.0, lent=lent, beats=beats)
    found = one.signal[one.samples[one.labels == S] + int(OTHER[0] * FS)] / HEIGHT
    assert len(found) > 20
    assert np.median(found) == pytest.approx(OTHER[1], abs=0.05)


def test_intervals_that_are_few_or_even_are_not_lent(recording):
    assert len(uneven(recording)) == 2 * len(recording.samples) // 4
    even = replace(recording, samples=FS * np.arange(1, len(recording.samples) + 1))
    assert uneven(even) == ()
    few = replace(recording, samples=recording.samples[:12], labels=recording.labels[:12])
    assert uneven(few) == ()


def test_fast_fibrillation_lends_its_intervals_alone(recording):
    """Between its beats there is no room for waves to be seen."""
    rr = np.random.default_rng(0).uniform(0.36, 0.5, 400)
    at = (FS * np.cumsum(rr)).astype(np.int64)
    fast = replace(recording, samples=at, labels=np.full(len(at), N))
    lent = Fibrillation.of(fast)
    assert lent.waves is None
    np.testing.assert_allclose(lent.intervals, np.diff(at) / FS)
    even = replace(fast, samples=int(0.4 * FS) * np.arange(1, len(at) + 1))
    assert Fibrillation.of(even) is None
    beats = [RhythmBeat(N, 0.8, "none")] * 60  # has drawn waves
    assert composed(recording, np.random.default_rng(0), 40.0, lent=Lent(fibrillation=lent), beats=beats) is not None
