"""Episodes, ventricular ones too, are the rhythms that they are named for."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rhythm_episodes import PATIENT, RECORDED, episode, intervals

from trainer import episodes, ventricular
from trainer.episodes import EARLY, NORMAL, VENTRICULAR

OWN = replace(PATIENT, other_p="own", tells=False)
FAINT = replace(PATIENT, tells=False)
"""Its other P wave tells among many alone."""


@pytest.fixture
def no_slowing(monkeypatch):
    monkeypatch.setattr(episodes, "_SLOWING", (0.0, 0.0))


@pytest.mark.parametrize("seed", range(5))
def test_flutter_conducts_every_second_to_fifth(seed, no_slowing):
    """Intervals are multiples of one cycle, which is found by trial."""
    rr = intervals(episode(episodes.flutter, seed=seed), NORMAL)
    misfit = min(np.abs(rr / cycle - np.round(rr / cycle)).mean() for cycle in np.arange(0.19, 0.3, 0.001))
    assert misfit < 0.06


def test_flutter_waves_go_on_through_ventricular_beats(no_slowing):
    """As many waves as cycles have passed, and whole ones from each conducted beat to the next."""
    patient = episodes.Patient(ectopic=0.05, ventricular=0.2, other_p="other")
    some = episode(episodes.flutter, patient=patient)
    cycles = [beat.rr / beat.waves for beat in some]
    assert np.ptp(cycles) < 0.2 * np.median(cycles)
    conducted = np.cumsum([beat.waves for beat in some])[[beat.label == NORMAL for beat in some]]
    np.testing.assert_allclose(conducted, np.round(conducted), atol=1e-6)
    assert any(beat.label == VENTRICULAR for beat in some)


def test_what_comes_sooner_after_another_is_conducted_more_slowly_in_flutter(monkeypatch):
    """So the waves do not stand in one place before every complex."""
    monkeypatch.setattr(episodes, "_SLOWING", (0.4, 0.4))
    some = episode(episodes.flutter, length=400)
    delays = np.cumsum([beat.waves for beat in some]) % 1.0
    ratios = np.array([round(beat.waves) for beat in some])
    for ratio in (2, 3, 4, 5):
        assert np.median(delays[ratios == ratio]) == pytest.approx(0.8 / ratio, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_dropped_beats_leave_their_p_waves_where_they_were_due(seed):
    some = episode(episodes.dropped_by_chance, seed=seed)
    dropped = [beat for beat in some if beat.blocked]
    assert dropped
    assert all(beat.label == NORMAL and beat.p == "own" for beat in some)
    due = np.array([beat.rr / beat.blocked for beat in dropped])
    np.testing.assert_allclose(due, np.round(due))
    assert due.min() == 2
    assert np.median([beat.blocked for beat in dropped]) == pytest.approx(0.8, rel=0.05)


def test_several_beats_are_dropped_in_succession_but_none_gets_up_from_more_than_six_seconds(monkeypatch):
    monkeypatch.setattr(episodes, "_MORE_DROPPED", (0.9, 0.9))
    longest = max(max(beat.rr for beat in episode(episodes.dropped_by_chance, seed=seed)) for seed in range(5))
    assert 5.0 < longest <= 6.0 + 1e-9


def test_a_beat_dropped_in_order_leaves_its_p_wave_or_none():
    """In the node it is there, and the P waves are even; out of the sinus node it is not, and two intervals in turn,
    one twice as long, would be bigeminy."""
    of_all = [episode(episodes.dropped, seed=seed) for seed in range(30)]
    seen = [any(beat.blocked for beat in some) for some in of_all]
    assert 0 < sum(seen) < 30
    for some, is_seen in zip(of_all, seen, strict=True):
        dropped = [k for k, beat in enumerate(some) if beat.rr > 1.2]
        assert set(np.diff(dropped)) == {dropped[1] - dropped[0]}
        assert dropped[1] - dropped[0] >= (2 if is_seen else 3)
        assert [k for k, beat in enumerate(some) if beat.blocked] == (dropped if is_seen else [])
        assert all(some[k].blocked == pytest.approx(some[k].rr / 2) for k in dropped if is_seen)


def test_two_to_one_block_ends_and_all_beats_are_conducted_again():
    """The P waves that are not conducted lie half way; afterwards intervals are half as long, and nothing is S."""
    some = episode(episodes.two_to_one, length=60)
    assert {(beat.label, beat.p) for beat in some} == {(NORMAL, "own")}
    blocked = [bool(beat.blocked) for beat in some]
    assert blocked == [True] * 60 + [False] * (len(some) - 60)
    assert len(some) >= 80
    assert all(beat.rr == pytest.approx(2 * beat.blocked) for beat in some[:60])
    assert np.mean([beat.rr for beat in some[60:]]) == pytest.approx(0.8, rel=0.03)


def test_a_pausing_sinus_node_has_pauses_and_no_other_label():
    for seed in range(5):
        some = episode(episodes.pausing_sinus, seed=seed)
        assert {(beat.label, beat.p) for beat in some} == {(NORMAL, "own")}
        ratios = np.array([beat.rr / 0.8 for beat in some])
        assert np.median(ratios[ratios < 1.4]) == pytest.approx(1.0, rel=0.05)
        assert not np.any((ratios > 1.4) & (ratios < 1.8))
        assert 0.03 < np.mean(ratios >= 1.8) < 0.8


@pytest.mark.parametrize("kind", [episodes.fibrillation, episodes.paroxysm])
def test_fibrillation_comes_as_unevenly_as_a_recorded_one(kind):
    for seed in range(10):
        some = episode(kind, patient=replace(PATIENT, intervals=RECORDED), seed=seed)
        ratios = np.array([beat.rr for beat in some])
        ratios /= ratios[: len(RECORDED)].mean()
        first = int(np.abs(np.array(RECORDED) / 0.53 - ratios[0]).argmin())
        want = [RECORDED[(first + k) % len(RECORDED)] / 0.53 for k in range(len(ratios))]
        np.testing.assert_allclose(ratios, want, rtol=1e-6)


def test_recorded_intervals_come_at_their_own_rate_or_at_the_patients():
    patient = replace(PATIENT, intervals=RECORDED)
    means = np.array(
        [np.mean([b.rr for b in episode(episodes.fibrillation, rr=1.2, patient=patient, seed=k)]) for k in range(40)]
    )
    own = np.abs(means / 0.53 - 1.0) < 0.4
    assert 0.25 < np.mean(own) < 0.75
    np.testing.assert_allclose(means[~own], 1.2, rtol=0.01)


def test_a_paroxysm_does_not_come_as_unevenly_as_slow_fibrillation():
    slow = replace(PATIENT, intervals=tuple(2.0 * rr for rr in RECORDED))
    assert len({round(beat.rr, 9) for beat in episode(episodes.paroxysm, patient=slow)}) > 2 * len(RECORDED)


@pytest.mark.parametrize(("at_shortest", "least"), [(1.0, 0.5), (0.0, 0.1)])
def test_intervals_that_are_drawn_lie_around_their_mean_or_above_a_shortest(monkeypatch, at_shortest, least):
    """Where the node conducts as soon as it can, none comes much sooner than most do."""
    monkeypatch.setattr(episodes, "_AT_SHORTEST", at_shortest)
    for seed in range(10):
        rr = np.array([beat.rr for beat in episode(episodes.fibrillation, length=2000, seed=seed)])
        assert np.mean(rr) == pytest.approx(0.8, rel=0.1)
        assert np.std(rr) > 0.05
        below, above = (np.percentile(rr, q) - np.median(rr) for q in (1, 99))
        assert (above > -1.5 * below) or not at_shortest
        assert rr.min() > least * 0.8


def test_waves_of_fibrillation_do_not_stop_before_ventricular_beats():
    some = episode(episodes.fibrillation, patient=replace(PATIENT, ventricular=0.3))
    assert {(beat.label, beat.p) for beat in some} == {(NORMAL, "none"), (VENTRICULAR, "none")}


def test_a_sick_sinus_node_is_slower_than_the_atria_that_lead():
    for seed in range(5):
        some = episode(episodes.sick_sinus, seed=seed)
        assert np.median(intervals(some, EARLY)) < 0.95 * np.median(intervals(some, NORMAL))
        assert all(beat.p == "other" for beat in some if beat.label == EARLY)


@pytest.mark.parametrize("patient", [OWN, FAINT])
def test_where_no_beat_tells_bigeminy_and_runs_are_no_dropped_beats_and_no_change_of_rate(patient):
    ratios, faster = [], []
    for seed in range(40):
        some = episode(episodes.bigeminy, patient=patient, seed=seed)
        rr = np.array([beat.rr for beat in some])
        early = np.array([beat.label == EARLY for beat in some])
        ratios.append(np.mean(rr[:-1][early[1:]]) / np.mean(rr[early]))
        run = episode(episodes.run, patient=replace(patient, ectopic=0.0), seed=seed)
        faster.append(np.median(intervals(run, EARLY)) / np.median(intervals(run, NORMAL)))
    assert max(ratios) < 1.8
    assert min(ratios) > 1.15
    assert max(faster) < 0.9


def test_bigeminy_that_lasts_may_be_hardly_early_where_many_tell():
    several = [episode(episodes.bigeminy, patient=replace(FAINT, in_bigeminy=True), seed=seed) for seed in range(40)]
    assert max(np.mean(intervals(some, EARLY)) for some in several) > 0.9 * 0.8


def test_early_beats_after_an_early_one_are_early_where_no_beat_tells():
    for patient, latest in ((OWN, 0.85), (FAINT, 0.85), (PATIENT, 0.95)):
        many = replace(patient, ectopic=0.3)
        later = []
        for seed in range(20):
            some = episode(episodes.ectopic_sinus, patient=many, seed=seed)
            later += [b.rr / 0.8 for a, b in pairwise(some) if a.label == b.label == EARLY]
        assert latest - 0.05 < max(later) < latest * 1.15  # breathing makes a tenth


def test_beats_dropped_in_order_leave_no_p_waves_where_none_is_seen():
    """And are not every other one, which would be bigeminy."""
    for seed in range(30):
        some = episode(episodes.dropped, patient=replace(PATIENT, seen=False), seed=seed)
        assert not any(beat.blocked for beat in some)
        dropped = [k for k, beat in enumerate(some) if beat.rr > 1.2]
        assert min(np.diff(dropped)) >= 3


def test_a_sick_sinus_node_comes_back(monkeypatch):
    monkeypatch.setattr(episodes, "_PAUSING", (2.0, 2.0))
    longest = [intervals(episode(episodes.sick_sinus, seed=seed), NORMAL).max() for seed in range(10)]
    assert max(longest) == 6.0


def test_bigeminy_is_early_beat_by_beat():
    some = episode(episodes.bigeminy)
    early = [k for k, beat in enumerate(some) if beat.label == EARLY]
    assert len(early) > 20
    assert len(set(np.diff(early))) == 1
    assert np.median(intervals(some, EARLY)) < np.median(intervals(some, NORMAL))


@pytest.mark.parametrize("rr", [0.42, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_ventricular_bigeminy_is_as_early_as_ever_and_keeps_the_sinus_nodes_time(seed, rr):
    """Every second to fourth beat; its own interval and the next make two of the sinus node's."""
    some = episode(ventricular.in_order, rr=rr, seed=seed)
    at = [k for k, beat in enumerate(some) if beat.label == VENTRICULAR]
    assert len(at) > 20
    assert set(np.diff(at)) <= {2, 3, 4}
    assert len(set(np.diff(at))) == 1
    early = np.array([some[k].rr for k in at])
    assert early.max() < 1.1 * rr
    assert np.std(early) < 0.06 * np.mean(early)
    together = early + np.array([some[k + 1].rr for k in at])
    assert np.all((together > 1.89 * rr) & (together < 2.01 * rr))


def test_ventricular_runs_are_couplets_and_longer_ones_fast_or_slow():
    lengths, rates = [], []
    for seed in range(20):
        some = episode(ventricular.in_runs, seed=seed)
        labels = "".join("V" if beat.label == VENTRICULAR else "." for beat in some)
        lengths += [len(run) for run in labels.split(".") if run]
        rates.append(np.median(intervals(some, VENTRICULAR)) / np.median(intervals(some, NORMAL)))
    assert lengths.count(2) > 10
    assert max(lengths) > 10
    assert min(rates) < 0.6
    assert max(rates) > 0.9
    assert max(rates) < 1.25


@pytest.mark.parametrize("kind", [episodes.ectopic_sinus, episodes.fibrillation, episodes.flutter])
def test_ventricular_beats_need_not_be_early(kind, monkeypatch, no_slowing):
    """The others keep their time all the same: they come evenly here, but for breathing."""
    monkeypatch.setattr(episodes, "_AT_SHORTEST", 0.0)
    monkeypatch.setattr(episodes, "_SPREAD", (0.0, 0.0))
    patient = replace(PATIENT, ectopic=0.0, ventricular=0.2)
    shares, together = [], []
    for seed in range(10):
        some = episode(kind, patient=patient, seed=seed)
        usual = np.median(intervals(some, NORMAL))
        pairs = [(a.rr, b.rr) for a, b in pairwise(some) if a.label == VENTRICULAR]
        shares += [early / usual for early, _ in pairs]
        together += [(early + later) / usual for early, later in pairs]
    if kind is not episodes.flutter:  # whose conduction changes
        assert np.quantile(shares, 0.9) > 0.85
        assert np.quantile(shares, 0.1) < 0.58
        assert np.mean(together) == pytest.approx(1.95, abs=0.05)
    assert max(shares) > 0.9


def test_a_run_is_faster_than_what_it_interrupts():
    some = episode(episodes.run, seed=3)
    first = next(k for k, beat in enumerate(some) if beat.label == EARLY and some[k + 1].label == EARLY)
    assert np.median(intervals(some, EARLY)) < 0.95 * np.median(intervals(some[:first], NORMAL))


@pytest.mark.parametrize("kind", [episodes.steady, episodes.ramp, episodes.dropped, episodes.paroxysm])
def test_irregular_rhythms_that_are_normal_by_class(kind):
    assert {beat.label for beat in episode(kind)} == {NORMAL}
