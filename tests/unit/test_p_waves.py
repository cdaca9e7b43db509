"""Late beats say what the sinus node's P wave is, however few they are."""

import numpy as np
import pytest

from monitor import beats, p_waves
from monitor.events import FS

AT = {name: k for k, name in enumerate(beats.FEATURES)}
T = (np.arange(beats.WINDOW) - beats.BEFORE) / FS
QRS = np.exp(-(T**2) / (2 * 0.012**2))


def p_wave(size, at):
    return size * np.exp(-((T + at) ** 2) / (2 * 0.02**2))


def t_wave(at):
    """Of the beat before, so many s before R."""
    return 0.25 * np.exp(-((T + at) ** 2) / (2 * 0.035**2))


def see(pattern, cycles, p_of, t_after=None, *, settled=True):
    """Features [beat, feature] of ``cycles`` of a pattern of (RR in s, kind), P wave by kind; T waves so many s after
    the R peaks, or none. The second half of them, if ``settled``."""
    rng = np.random.default_rng(0)
    state = np.zeros(1, beats.STATE)[0]
    rows, kinds, at = [], [], 0
    for k in range(cycles * len(pattern)):
        rr, kind = pattern[k % len(pattern)]
        at += round(rr * FS)
        x, f = beats.empty(1)
        window = QRS + p_of[kind] + rng.normal(0.0, 0.01, len(T))
        if t_after is not None:
            window += t_wave(rr - t_after)
        beats.step(state, window.astype(np.float32), at, k == 0, False, 0, x[0], f[0])
        rows.append(f[0])
        kinds.append(kind)
    half = len(rows) // 2 if settled else 0
    return np.array(rows)[half:], np.array(kinds)[half:]


@pytest.mark.parametrize("early", [1, 4])
def test_an_ectopic_p_wave_is_unlike_the_late_ones(early):
    """Bigeminy; and four early beats to a late one, where the dominant shape has the ectopic P wave."""
    pattern = [(1.1, "sinus")] + [(0.7, "ectopic")] * early
    f, kinds = see(pattern, 40, {"sinus": p_wave(0.15, 0.16), "ectopic": p_wave(-0.12, 0.12)})
    sinus, ectopic = f[kinds == "sinus"], f[kinds == "ectopic"]
    assert sinus[:, AT["late_likeness"]].min() > 0.9
    assert ectopic[:, AT["late_likeness"]].max() < 0.2
    assert ectopic[:, AT["early_likeness"]].min() > 0.9
    assert ectopic[:, AT["late_unusual"]].min() > 1.0
    assert abs(np.median(sinus[:, AT["late_unusual"]])) < 0.6


def test_where_an_atrial_focus_leads_the_pauses_tell_the_sinus_nodes_p_wave():
    """Twenty ectopic beats, half of them a little late, to a pause: the average of what is late is the focus's own."""
    run = [(0.8 + 0.03 * (-1) ** k, "ectopic") for k in range(20)]
    f, kinds = see([*run, (1.3, "sinus")], 12, {"sinus": p_wave(0.15, 0.16), "ectopic": p_wave(-0.12, 0.12)})
    sinus, ectopic = f[kinds == "sinus"], f[kinds == "ectopic"]
    assert ectopic[:, AT["late_likeness"]].min() > 0.2
    assert ectopic[:, AT["pause_likeness"]].max() < 0.2
    assert sinus[:, AT["pause_likeness"]].min() > 0.9
    assert ectopic[:, AT["pause_unusual"]].min() > 1.0
    assert np.median(sinus[:, AT["pause_unusual"]]) < 0.6


@pytest.mark.parametrize(("size", "at", "apart", "place"), [(-0.12, 0.12, 2.0, 1.5), (0.08, 0.16, 0.5, 0.2)])
def test_averages_tell_an_ectopic_p_wave_and_which_beat_has_it(size, at, apart, place):
    """Another one; and the sinus node's own, a fifth smaller, which no single beat shows."""
    run = [(0.8 + 0.03 * (-1) ** k, "ectopic") for k in range(12)]
    p_of = {"sinus": p_wave(0.1, 0.16), "ectopic": p_wave(size, at)}
    f, kinds = see([*run, (1.3, "sinus"), (1.2, "sinus")], 12, p_of)
    sinus, ectopic = f[kinds == "sinus"], f[kinds == "ectopic"]
    assert f[:, AT["early_pause_apart"]].min() > apart
    assert np.median(ectopic[:, AT["early_pause_place"]]) > place
    assert np.median(sinus[:, AT["early_pause_place"]]) < -place


def test_of_a_pausing_sinus_node_averages_are_no_further_apart_than_noise_would_have_them():
    run = [(0.8 + 0.03 * (-1) ** k, "sinus") for k in range(12)]
    f, _ = see([*run, (1.6, "sinus"), (1.5, "sinus")], 12, {"sinus": p_wave(0.1, 0.16)})
    for name in ("early_apart", "early_pause_apart"):
        assert f[:, AT[name]].max() < 0.4
    for name in ("early_place", "early_pause_place"):
        assert np.abs(f[:, AT[name]]).max() < 0.4


def test_in_bigeminy_early_and_late_averages_are_apart():
    """And the place says which is which."""
    pattern = [(0.84, "sinus"), (0.73, "ectopic")]
    f, kinds = see(pattern, 60, {"sinus": p_wave(0.12, 0.16), "ectopic": p_wave(0.09, 0.15)})
    assert f[:, AT["early_apart"]].min() > 0.5
    assert f[kinds == "ectopic", AT["early_place"]].min() > f[kinds == "sinus", AT["early_place"]].max()


AVERAGES = ("early_apart", "early_place", "early_pause_apart", "early_pause_place")


@pytest.mark.parametrize("rr", [0.5, 0.58, 0.64, 0.7])
def test_the_end_of_the_t_wave_is_no_other_p_wave(rr):
    """Dropped beats at a high rate: what comes in time has a T wave where what comes late has none."""
    f, _ = see([*[(rr, "sinus")] * 4, (2.0 * rr, "sinus")], 30, {"sinus": p_wave(0.1, 0.15)}, t_after=0.27)
    assert f[:, [AT["early_apart"], AT["early_pause_apart"]]].max() < 0.6
    assert np.abs(f[:, [AT["early_place"], AT["early_pause_place"]]]).max() < 0.4


def test_behind_the_t_wave_another_p_wave_is_told():
    """Of beats that are all so early that a part of the stretch is the T wave's."""
    p_of = {"sinus": p_wave(0.1, 0.15), "ectopic": p_wave(-0.1, 0.13)}
    f, kinds = see([*[(0.62, "ectopic")] * 4, (1.2, "sinus")], 30, p_of, t_after=0.27)
    assert f[:, AT["early_pause_apart"]].min() > 1.0
    assert np.median(f[kinds == "ectopic", AT["early_pause_place"]]) > 1.0
    assert np.median(f[kinds == "sinus", AT["early_pause_place"]]) < -1.0


def test_what_was_known_of_early_beats_at_another_rate_is_forgotten():
    """A slow rhythm with an ectopic P wave for half an hour, then a faster one of the sinus node alone with dropped
    beats: there early beats tell less of the stretch, and what the ectopic ones told of it holds no longer."""
    slow = [(1.0, "sinus"), (1.0, "sinus"), (0.85, "ectopic")] * 600
    fast = [*[(0.58, "sinus")] * 4, (1.16, "sinus")] * 60
    p_of = {"sinus": p_wave(0.1, 0.15), "ectopic": p_wave(-0.1, 0.13)}
    f, _ = see([*slow, *fast], 1, p_of, t_after=0.27, settled=False)
    assert f[: len(slow), AT["early_pause_apart"]].max() > 2.0
    later = f[len(slow) + 120 :]
    assert later[:, [AT["early_apart"], AT["early_pause_apart"]]].max() < 0.9
    assert np.abs(later[:, [AT["early_place"], AT["early_pause_place"]]]).max() < 0.6


def test_what_is_known_of_early_beats_outlasts_a_paroxysm():
    """Half a minute in which no P wave is free of the T wave before it, after some minutes of ectopic beats."""
    slow = [(1.0, "sinus"), (1.0, "sinus"), (0.8, "ectopic")] * 60
    fast = [(0.45 + 0.02 * (-1) ** k, "sinus") for k in range(60)]
    p_of = {"sinus": p_wave(0.1, 0.15), "ectopic": p_wave(-0.1, 0.13)}
    f, _ = see([*slow, *fast, *slow[:3]], 1, p_of, t_after=0.27, settled=False)
    assert (f[-3:, AT["early_pause_apart"]] > 1.5).all()
    assert np.sign(f[-3:, AT["early_pause_place"]]).tolist() == [-1.0, -1.0, 1.0]


@pytest.mark.parametrize(("rr", "beats_fast"), [(0.4, 120), (0.4, 400), (0.36, 400), (0.45, 200)])
def test_the_t_waves_of_a_fast_spell_are_no_other_p_wave_when_it_is_over(rr, beats_fast):
    """One P wave all along: what came late in the spell had a T wave before it, and sinus beats after it have none."""
    slow = [(1.0, "sinus"), (1.0, "sinus"), (0.8, "sinus")] * 60
    fast = [(rr + 0.02 * (-1) ** k, "sinus") for k in range(beats_fast)]
    f, _ = see([*slow, *fast, *slow], 1, {"sinus": p_wave(0.1, 0.15)}, t_after=0.27, settled=False)
    later = f[len(slow) + beats_fast :]
    assert later[:, [AT["early_apart"], AT["early_pause_apart"]]].max() < 0.6
    assert np.abs(later[:, [AT["early_place"], AT["early_pause_place"]]]).max() < 0.4


UNEVEN = tuple(np.random.default_rng(1).lognormal(-0.29, 0.25, 60))
"""s: as fibrillation has them."""


@pytest.mark.parametrize("rrs", [(0.5, 0.75, 0.75, 1.5), (0.45, 0.8, 0.8, 0.8, 1.6), UNEVEN])
def test_the_t_waves_of_the_earliest_beats_are_no_other_p_wave_of_the_others(rrs):
    cycles = 240 // len(rrs)
    f, _ = see([(rr, "sinus") for rr in rrs], cycles, {"sinus": p_wave(0.1, 0.15)}, t_after=0.27)
    assert f[:, AT["early_apart"]].any()
    assert f[:, [AT["early_apart"], AT["early_pause_apart"]]].max() < 0.6
    assert np.abs(f[:, [AT["early_place"], AT["early_pause_place"]]]).max() < 0.4


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_far_apart_before_it_is_known_how_much_is_usual(seed):
    """From the first beat on; few pauses, so that little is known of what comes after them."""
    rrs = 0.9 + np.random.default_rng(seed).normal(0.0, 0.03, 60) + 0.4 * (np.arange(60) % 13 == 12)
    f, _ = see([(rr, "sinus") for rr in rrs], 1, {"sinus": p_wave(0.1, 0.15)}, settled=False)
    assert f[:, AT["early_apart"]].any()
    assert f[:, AT["early_pause_apart"]].any()
    assert f[:, [AT["early_apart"], AT["early_pause_apart"]]].max() < 1.0
    assert np.abs(f[:, [AT["early_place"], AT["early_pause_place"]]]).max() < 1.0


def test_after_a_gap_nobody_knows_where_the_t_wave_is():
    state = np.zeros(1, beats.STATE)[0]
    x, f = beats.empty(1)
    window = (QRS + p_wave(0.15, 0.16)).astype(np.float32)
    for k in range(40):
        beats.step(state, window, 300 * k + 12 * (k % 2), k == 0, False, 0, x[0], f[0])
    assert f[0, AT["early_apart"]]
    beats.step(state, window, 300 * 45, True, False, 0, x[0], f[0])
    assert not f[0, [AT[name] for name in AVERAGES]].any()


def test_the_t_wave_is_over_by_a_time_that_goes_with_the_usual_interval():
    """In samples at 180 Hz of a stretch that begins 0.32 s before R: 0.44 s at 60 a minute, the cube root of a half of
    that at twice the rate."""
    assert p_waves.clear_from(1.0, 0.0) == pytest.approx((0.44 - 1.0 + 0.32) * 180, abs=0.5)
    assert p_waves.clear_from(0.5, 0.0) == pytest.approx((0.44 * 0.5 ** (1 / 3) - 0.5 + 0.32) * 180, abs=0.5)
    assert p_waves.clear_from(0.6, np.log(0.6)) == pytest.approx((0.44 - 0.6 + 0.32) * 180, abs=0.5)


def test_where_the_t_wave_leaves_no_room_nothing_is_said():
    f, _ = see([*[(0.4, "sinus")] * 4, (0.8, "sinus")], 30, {"sinus": p_wave(0.1, 0.15)}, t_after=0.27)
    assert not f[:, [AT[name] for name in AVERAGES]].any()


def test_early_sinus_beats_have_the_same_p_wave():
    """Sinus arrhythmia, or dropped beats: the interval is short, the P wave the usual one."""
    f, _ = see([(1.1, "sinus"), (0.7, "sinus")], 40, {"sinus": p_wave(0.15, 0.16)})
    assert f[:, AT["late_likeness"]].min() > 0.9
    assert np.median(f[:, AT["late_unusual"]]) < 0.3


def test_a_beat_of_another_shape_teaches_nothing():
    """A ventricular beat has no P wave: no average takes it in."""
    state = np.zeros(1, beats.STATE)[0]
    x, f = beats.empty(1)
    wide = -1.5 * np.exp(-(T**2) / (2 * 0.05**2))
    for k in range(30):
        r = 300 * k + 12 * (k % 2)
        beats.step(state, (QRS + p_wave(0.15, 0.16)).astype(np.float32), r, k == 0, False, 0, x[0], f[0])
    before = state["p_waves"].copy(), state["p_error"].copy()
    assert before[0].any(axis=1).all(), "an average is empty"
    beats.step(state, wide.astype(np.float32), 300 * 30, False, False, 0, x[0], f[0])
    np.testing.assert_array_equal(state["p_waves"], before[0])
    np.testing.assert_array_equal(state["p_error"], before[1])
    assert f[0, AT["likeness"]] < 0.5
