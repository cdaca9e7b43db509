"""RR intervals beside the patient's own: the averages by hand, and the two groups of a bigeminy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import intervals

STATE = np.dtype(intervals.FIELDS)
AT = {name: k for k, name in enumerate(intervals.FEATURES)}


def after(rrs):
    """Features of the last of ``rrs``, s."""
    state = np.zeros(1, STATE)[0]
    f = np.zeros(len(intervals.FEATURES), np.float32)
    for rr in rrs:
        f[:] = 0.0
        intervals.measure(state, rr, f)
        intervals.learn(state, rr)
    return f


def test_bigeminy_that_is_hardly_early_is_two_narrow_groups():
    """0.73 s and 0.84 s by turns: early by a tenth only, but never anything between."""
    steady = np.random.default_rng(0).normal(0.0, 0.005, 61)
    short, long = (after([(0.73, 0.84)[k % 2] + steady[k] for k in range(n)]) for n in (61, 60))
    for f in (short, long):
        assert f[AT["mode_quality"]] > 0.9
        assert f[AT["mode_gap"]] == pytest.approx(np.log(0.84 / 0.73), abs=0.01)
        assert f[AT["mode_share"]] == pytest.approx(0.5, abs=0.04)
    assert short[AT["mode_place"]] == pytest.approx(-0.5, abs=0.15)
    assert short[AT["mode_place_previous"]] == pytest.approx(0.5, abs=0.15)
    assert long[AT["mode_place"]] == pytest.approx(0.5, abs=0.15)


def test_neither_a_steady_nor_an_irregular_rhythm_is_two_groups():
    rng = np.random.default_rng(1)
    assert after(0.8 + rng.normal(0.0, 0.004, 60))[AT["mode_quality"]] < 0.3
    assert after(0.8 * np.exp(rng.normal(0.0, 0.25, 60)))[AT["mode_quality"]] < 0.8


@given(st.lists(st.floats(-2.0, 2.0), min_size=2, max_size=12))
def test_the_two_groups_are_those_furthest_apart(values):
    """Against every way to part them."""
    ordered = np.sort(np.array(values))
    n = len(ordered)
    lower, upper, share, quality = intervals.two_groups(ordered)
    between = [k * (n - k) / n * (ordered[:k].mean() - ordered[k:].mean()) ** 2 for k in range(1, n)]
    variance = ((ordered - ordered.mean()) ** 2).sum()
    assert 0.0 <= quality <= 1.0
    assert quality == pytest.approx(max(between) / (variance + n * 1e-4), abs=1e-9)
    k = round(share * n)
    assert lower == pytest.approx(ordered[:k].mean(), abs=1e-9)
    assert upper == pytest.approx(ordered[k:].mean(), abs=1e-9)


def test_means_over_three_horizons():
    f = after([0.8] * 500 + [0.4] * 40 + [0.4])
    assert f[AT["rr_8"]] == pytest.approx(0.0, abs=0.02)
    assert f[AT["rr_32"]] < -0.1
    assert f[AT["rr_400"]] < -0.5
    assert f[AT["rr_median"]] == 0.0


def test_to_measure_changes_nothing_and_no_interval_says_nothing():
    state = np.zeros(1, STATE)
    for rr in (0.8, 0.7, 0.9, 0.8):
        intervals.learn(state[0], rr)
    before = state.tobytes()
    f = np.zeros(len(intervals.FEATURES), np.float32)
    intervals.measure(state[0], 0.6, f)
    assert f[AT["rr"]] < 0
    assert state.tobytes() == before
    f[:] = 0.0
    intervals.measure(state[0], 0.0, f)
    assert not f.any()
