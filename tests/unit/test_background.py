"""What a recording holds besides its beats: beats off, the rest as it was."""

import numpy as np
import pytest

from monitor.events import FS
from trainer.background import Background, smoothed
from trainer.waves import AFTER, BEFORE

SECONDS = 60
T = np.arange(BEFORE + AFTER)
PIECE = np.exp(-(((T - BEFORE) / 6.0) ** 2)) + 0.3 * np.exp(-(((T - BEFORE - 100) / 25.0) ** 2))
"""A complex and a T wave."""
OTHER = np.exp(-(((T - BEFORE) / 14.0) ** 2)) * np.sin((T - BEFORE) / 5.0)


@pytest.fixture
def waves():
    """Of fibrillation: 6 Hz, 0.1 mV."""
    return 0.1 * np.sin(2 * np.pi * 6.0 * np.arange(SECONDS * FS) / FS)


@pytest.fixture
def peaks():
    rng = np.random.default_rng(0)
    return np.cumsum(rng.uniform(0.5, 1.1, 60) * FS).astype(int)


@pytest.fixture
def signal(waves, peaks):
    out = waves.copy()
    for r in peaks:
        if BEFORE <= r <= len(out) - AFTER:
            out[r - BEFORE : r + AFTER] += PIECE
    return out


@pytest.fixture
def nothing(signal):
    return np.zeros(len(signal), dtype=np.bool_)


def test_neighbours_take_each_others_noise_away():
    rng = np.random.default_rng(1)
    noisy = [PIECE + rng.normal(0.0, 0.03, len(PIECE)) for _ in range(30)]
    left = np.std([piece - PIECE for piece in smoothed(noisy)])
    assert left < 0.03 / 2.0


def test_a_piece_with_another_complex_is_left_alone():
    pieces = [PIECE, PIECE, OTHER, PIECE, PIECE]
    np.testing.assert_allclose(smoothed(pieces)[2], OTHER)
    np.testing.assert_allclose(smoothed(pieces)[1], PIECE)


def test_a_piece_of_nothing_is_itself():
    nothing = np.zeros(len(PIECE))
    np.testing.assert_array_equal(smoothed([PIECE, nothing, PIECE])[1], nothing)


def test_waves_are_left_when_the_beats_are_off(signal, waves, peaks, nothing):
    background = Background.of(signal, peaks.tolist(), [PIECE] * len(peaks), nothing)
    (left,) = background.parts
    inner = slice(FS, -FS)  # at the ends nothing is known of the mean
    assert np.corrcoef(left[inner], waves[inner])[0, 1] > 0.95


def test_a_complex_that_is_not_taken_off_is_no_higher_than_what_else_is_there(signal, waves, peaks, nothing):
    background = Background.of(signal, peaks[1:].tolist(), [PIECE] * (len(peaks) - 1), nothing)
    assert np.abs(np.concatenate(background.parts)).max() < 5.0 * waves.max()
    assert signal.max() > 9.0 * waves.max()


def test_unusual_stretches_are_left_out(signal, peaks, nothing):
    signal[20 * FS : 21 * FS] += 5.0
    nothing[20 * FS : 21 * FS] = True
    background = Background.of(signal, peaks.tolist(), [PIECE] * len(peaks), nothing)
    assert sorted(round(len(part) / FS) for part in background.parts) == [20, 39]


def test_what_is_beside_an_unusual_stretch_does_not_shift(signal, waves, peaks, nothing):
    """The slow mean is of what is usual alone."""
    signal[20 * FS : 22 * FS] += 5.0
    nothing[20 * FS : 22 * FS] = True
    background = Background.of(signal, peaks.tolist(), [PIECE] * len(peaks), nothing)
    before, after = background.parts
    assert abs(before[-FS // 4 :].mean()) < 0.05
    assert abs(after[: FS // 4].mean()) < 0.05


def test_a_beat_that_is_not_there_as_a_whole_is_left_out(signal, peaks, nothing):
    """It cannot be taken off."""
    first = int(np.searchsorted(peaks, BEFORE))
    end = peaks[50] + 20
    background = Background.of(signal[:end], peaks[first:51].tolist(), [PIECE] * (51 - first), nothing[:end])
    assert [len(part) for part in background.parts] == [peaks[50] - BEFORE]


def test_too_little_is_none(signal, peaks, nothing):
    nothing[7 * FS :] = True
    assert Background.of(signal, peaks.tolist(), [PIECE] * len(peaks), nothing) is None
    short = np.ones(len(signal), dtype=np.bool_)
    for k in range(12):
        short[5 * k * FS : 5 * k * FS + FS] = False  # twelve seconds, one by one
    assert Background.of(signal, peaks.tolist(), [PIECE] * len(peaks), short) is None


def test_what_is_laid_is_as_high_as_what_is_there_and_has_no_steps(waves):
    background = Background((waves[: 7 * FS], waves[: 30 * FS]))
    laid = background.laid(np.random.default_rng(2), 600 * FS)
    assert len(laid) == 600 * FS
    assert np.std(laid) == pytest.approx(np.std(waves), rel=0.05)
    assert np.abs(np.diff(laid)).max() < 2.0 * np.abs(np.diff(waves)).max()


def test_the_same_draw_lays_the_same(waves):
    background = Background((waves,)).scaled(2.0)
    one, two, other = (background.laid(np.random.default_rng(seed), 20 * FS) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
