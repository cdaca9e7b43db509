"""Rhythms by chance are the rhythms that they are named for."""

import numpy as np
import pytest

from trainer import rhythms
from trainer.rhythms import EARLY, NORMAL, VENTRICULAR, drawn

PATIENT = rhythms._Patient(ectopic=0.05, ventricular=0.0, other_p="other")


def episode(kind, rr=0.8, length=150, patient=PATIENT, seed=0):
    return kind(np.random.default_rng(seed), patient, rr, length)


def intervals(some, label):
    return np.array([beat.rr for beat in some if beat.label == label])


def test_as_long_as_wanted_and_every_kind_of_beat():
    several = [drawn(np.random.default_rng(seed), 600.0, ventricular=True) for seed in range(20)]
    for one in several:
        assert 600.0 <= sum(beat.rr for beat in one) < 900.0
        assert min(beat.rr for beat in one) >= 0.24
    assert {beat.label for one in several for beat in one} == {NORMAL, EARLY, VENTRICULAR}
    assert {beat.p for one in several for beat in one} == {"own", "none", "other"}
    assert any(beat.blocked for one in several for beat in one)


def test_no_ventricular_beats_where_there_are_none_to_take():
    for seed in range(10):
        assert all(beat.label != VENTRICULAR for beat in drawn(np.random.default_rng(seed), 300.0, ventricular=False))


def test_a_fibrillating_patient_has_no_other_rhythm():
    for seed in range(10):
        some = drawn(np.random.default_rng(seed), 300.0, ventricular=True, fibrillating=True)
        assert {beat.label for beat in some} <= {NORMAL, VENTRICULAR}
        assert all(beat.p == "none" for beat in some if beat.label == NORMAL)


@pytest.mark.parametrize("seed", range(5))
def test_flutter_conducts_every_second_to_fifth(seed):
    """Intervals are multiples of one cycle, which is found by trial."""
    rr = intervals(episode(rhythms._flutter, seed=seed), NORMAL)
    misfit = min(np.abs(rr / cycle - np.round(rr / cycle)).mean() for cycle in np.arange(0.19, 0.3, 0.001))
    assert misfit < 0.06


def test_flutter_waves_go_on_through_ventricular_beats():
    """As many waves as cycles have passed, and whole ones from each conducted beat to the next."""
    patient = rhythms._Patient(ectopic=0.05, ventricular=0.2, other_p="other")
    some = episode(rhythms._flutter, patient=patient)
    cycles = [beat.rr / beat.waves for beat in some]
    assert np.ptp(cycles) < 0.2 * np.median(cycles)
    conducted = np.cumsum([beat.waves for beat in some])[[beat.label == NORMAL for beat in some]]
    np.testing.assert_allclose(conducted, np.round(conducted), atol=1e-6)
    assert any(beat.label == VENTRICULAR for beat in some)


@pytest.mark.parametrize("seed", range(5))
def test_a_dropped_beat_leaves_its_p_wave_half_way(seed):
    some = episode(rhythms._dropped_by_chance, seed=seed)
    dropped = [beat for beat in some if beat.blocked]
    assert dropped
    assert all(beat.label == NORMAL and beat.p == "own" for beat in some)
    assert all(beat.blocked == pytest.approx(beat.rr / 2) for beat in dropped)
    assert np.median([beat.rr for beat in dropped]) == pytest.approx(1.6, rel=0.05)


def test_a_sick_sinus_node_is_slower_than_the_atria_that_lead():
    for seed in range(5):
        some = episode(rhythms._sick_sinus, seed=seed)
        assert np.median(intervals(some, EARLY)) < 0.95 * np.median(intervals(some, NORMAL))
        assert all(beat.p == "other" for beat in some if beat.label == EARLY)


def test_a_sick_sinus_node_pauses_long_where_the_focus_has_a_p_wave_of_its_own():
    """With the sinus node's P wave a focus and pauses would be nothing but an irregular sinus rhythm."""
    own = rhythms._Patient(ectopic=0.05, ventricular=0.0, other_p="own")
    longest = {
        patient: max(
            intervals(episode(rhythms._sick_sinus, patient=patient, seed=seed), NORMAL).max() for seed in range(30)
        )
        for patient in (PATIENT, own)
    }
    assert longest[own] < 0.8 * 1.6 * 1.4
    assert longest[PATIENT] > 2.0


def test_a_sick_sinus_node_comes_back(monkeypatch):
    monkeypatch.setattr(rhythms, "_PAUSING", (2.0, 2.0))
    longest = [intervals(episode(rhythms._sick_sinus, seed=seed), NORMAL).max() for seed in range(10)]
    assert max(longest) == 6.0


def test_in_some_patients_an_atrial_focus_leads_all_the_time_with_fibrillation_beside_it(monkeypatch):
    monkeypatch.setattr(rhythms, "_SICK", 1.0)
    several = [drawn(np.random.default_rng(seed), 1200.0, ventricular=False) for seed in range(60)]
    led = [one for one in several if np.mean([beat.label == EARLY for beat in one]) > 0.5]
    assert 5 <= len(led) <= 40
    assert any(np.mean([beat.p == "none" for beat in one]) > 0.03 for one in led)


def test_bigeminy_is_early_beat_by_beat():
    some = episode(rhythms._bigeminy)
    early = [k for k, beat in enumerate(some) if beat.label == EARLY]
    assert len(early) > 20
    assert len(set(np.diff(early))) == 1
    assert np.median(intervals(some, EARLY)) < np.median(intervals(some, NORMAL))


def test_a_run_is_faster_than_what_it_interrupts():
    some = episode(rhythms._run, seed=3)
    first = next(k for k, beat in enumerate(some) if beat.label == EARLY and some[k + 1].label == EARLY)
    assert np.median(intervals(some, EARLY)) < 0.95 * np.median(intervals(some[:first], NORMAL))


@pytest.mark.parametrize("kind", [rhythms._steady, rhythms._ramp, rhythms._dropped, rhythms._paroxysm])
def test_irregular_rhythms_that_are_normal_by_class(kind):
    assert {beat.label for beat in episode(kind)} == {NORMAL}


@pytest.mark.parametrize("seed", range(5))
def test_two_to_one_block_goes_and_what_was_blocked_is_conducted(seed):
    """Intervals of two cycles, a P wave at the first, and then of one."""
    some = episode(rhythms._two_to_one, length=60, seed=seed)
    assert {(beat.label, beat.p) for beat in some} == {(NORMAL, "own")}
    blocked = np.array([beat.blocked for beat in some])
    rr = np.array([beat.rr for beat in some])
    np.testing.assert_allclose(rr[:60], 2.0 * blocked[:60])
    assert not blocked[60:].any()
    assert 20 <= len(some) - 60 < 150
    assert np.median(rr[60:]) == pytest.approx(0.5 * np.median(rr[:60]), rel=0.02)


@pytest.mark.parametrize(("at_shortest", "least"), [(1.0, 0.5), (0.0, 0.1)])
@pytest.mark.parametrize("kind", [rhythms._fibrillation, rhythms._paroxysm])
def test_intervals_of_fibrillation_lie_around_their_mean_or_above_a_shortest(monkeypatch, kind, at_shortest, least):
    """Where the node conducts as soon as it can, none comes much sooner than most do."""
    monkeypatch.setattr(rhythms, "_AT_SHORTEST", at_shortest)
    monkeypatch.setattr(rhythms, "_SHORTEST_FIBRILLATION_S", 0.0)
    for seed in range(10):
        rr = np.array([beat.rr for beat in episode(kind, length=2000, seed=seed)])
        assert np.std(rr) > 0.05 * np.mean(rr)
        below, above = (np.percentile(rr, q) - np.median(rr) for q in (1, 99))
        assert (above > -1.5 * below) or not at_shortest
        assert rr.min() > least * np.mean(rr)
