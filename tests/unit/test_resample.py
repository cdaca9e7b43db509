"""The streaming resampler: time base, gain, anti-aliasing, edges, gaps, and that chunking never changes the answer."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.resample import Resampler, output_length

RATES = (100, 128, 250, 257.5, 300, 360, 500, 1000, 128.003)


def whole(x, fs):
    x = np.atleast_2d(x)
    resampler = Resampler(fs, len(x))
    return np.concatenate((resampler.push(x), resampler.flush()), axis=1)


def sine(hz, fs, seconds):
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * fs)) / fs + 0.3)


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("hz", [0.5, 5, 40])
def test_a_sine_comes_out_on_the_new_grid_without_delay(fs, hz):
    y = whole(sine(hz, fs, 12), fs)[0]
    assert np.abs(y - sine(hz, 360, 13)[: len(y)])[360:-360].max() < 1e-3


@pytest.mark.parametrize("fs", [500, 1000, 10_000])
@pytest.mark.parametrize("hz", [182, 220])
def test_what_360_hz_cannot_hold_is_removed_not_folded(fs, hz):
    assert np.abs(whole(sine(hz, fs, 4), fs))[0, 360:-360].max() < 1e-3


@pytest.mark.parametrize("fs", RATES)
def test_a_constant_stays_one_to_the_very_ends(fs):
    np.testing.assert_allclose(whole(np.full(2000, -4.75), fs), -4.75, rtol=1e-12)


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("n", [0, 1, 2, 49, 1001])
def test_length(fs, n):
    expected = sum(1 for k in range(40 * (n + 1)) if k * fs < n * 360 - 1e-6)
    assert whole(np.zeros((2, n)), fs).shape == (2, expected)
    assert output_length(n, fs) == expected


def test_360_hz_passes_untouched():
    x = np.random.default_rng(1).normal(size=(3, 500))
    resampler = Resampler(360.0, 3)
    assert resampler.push(x).tobytes() == x.tobytes()
    assert resampler.flush().shape == (3, 0)


def test_no_drift_in_a_day():
    fs = 249.5  # 360 / fs = 720 / 499
    x = np.zeros((1, int(fs * 7200)))
    x[0, -1000] = 1.0  # input sample n is at n / fs seconds
    peak = int(np.argmax(whole(x, fs)[0]))
    assert abs(peak / 360 - (x.shape[1] - 1000) / fs) <= 0.5 / 360


@settings(max_examples=40, deadline=None)
@given(
    fs=st.sampled_from(RATES),
    cuts=st.lists(st.integers(0, 700), max_size=12),
    missing=st.lists(st.tuples(st.integers(0, 699), st.integers(1, 60)), max_size=3),
)
def test_chunking_never_changes_a_bit(fs, cuts, missing):
    x = np.random.default_rng(len(cuts)).normal(size=(2, 700))
    for start, length in missing:
        x[0, start : start + length] = np.nan
    before = x.copy()
    resampler = Resampler(fs, 2)
    edges = [0, *sorted(cuts), 700]
    parts = [resampler.push(x[:, a:b]) for a, b in pairwise(edges)]
    y = np.concatenate((*parts, resampler.flush()), axis=1)
    assert y.tobytes() == whole(x, fs).tobytes()
    assert x.tobytes() == before.tobytes()


@pytest.mark.parametrize("fs", RATES)
def test_sample_by_sample_is_the_same(fs):
    x = np.random.default_rng(2).normal(size=(1, 200))
    resampler = Resampler(fs, 1)
    y = np.concatenate((*(resampler.push(x[:, i : i + 1]) for i in range(200)), resampler.flush()), axis=1)
    assert y.tobytes() == whole(x, fs).tobytes()


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("cut", [0, 1, 30, 333, 500])
def test_save_and_restore_at_any_point(fs, cut):
    x = np.random.default_rng(3).normal(size=(2, 500))
    first, second = Resampler(fs, 2), Resampler(fs, 2)
    before = first.push(x[:, :cut])
    state = first.state()
    first.push(x)  # what the first goes on to do is nothing to the state it gave away
    second.push(x[:, :7])
    second.restore(state)
    y = np.concatenate((before, second.push(x[:, cut:]), second.flush()), axis=1)
    assert y.tobytes() == whole(x, fs).tobytes()


def test_a_foreign_state_is_refused():
    with pytest.raises(ValueError, match="another rate"):
        Resampler(250, 1).restore(Resampler(250, 2).state())


def test_flush_begins_anew():
    x = np.random.default_rng(4).normal(size=(1, 300))
    resampler = Resampler(250, 1)
    laps = [np.concatenate((resampler.push(x), resampler.flush()), axis=1) for _ in range(2)]
    assert laps[0].tobytes() == laps[1].tobytes()


@pytest.mark.parametrize("fs", [128, 250, 257.5, 500, 1000])
def test_pieces_around_a_gap_are_recordings_of_their_own(fs):
    x = np.random.default_rng(5).normal(size=(1, 900)) + 5
    gappy = x.copy()
    gappy[0, 400:411] = np.nan
    y = whole(gappy, fs)[0]
    first, last = output_length(400, fs), output_length(411, fs)
    assert np.isnan(y[first:last]).all()
    assert np.isfinite(y[:first]).all()
    assert np.isfinite(y[last:]).all()
    assert y[:first].tobytes() == whole(x[:, :400], fs)[0].tobytes()
    assert len(y) == output_length(900, fs)


def test_the_piece_after_a_gap_stays_on_the_grid():
    fs = 250
    x = sine(5, fs, 12)
    x[1001:1303] = np.nan
    y = whole(x, fs)[0]
    error = np.abs(y - sine(5, 360, 12))
    away = slice(output_length(1303, fs) + 100, -100)
    assert error[away].max() < 1e-3


def test_a_gap_in_one_lead_leaves_the_others_alone():
    x = np.random.default_rng(6).normal(size=(3, 600))
    gappy = x.copy()
    gappy[1, 100:200] = np.nan
    y, clean = whole(gappy, 250), whole(x, 250)
    assert y[[0, 2]].tobytes() == clean[[0, 2]].tobytes()
    assert np.isnan(y[1]).any()


@pytest.mark.parametrize("bad", [0, -360])
def test_rates_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="positive"):
        Resampler(bad, 1)


def test_a_signal_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="2 leads"):
        Resampler(250, 2).push(np.zeros((1, 5)))
