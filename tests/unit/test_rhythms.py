"""Which rhythms a patient has after each other, by chance."""

from itertools import pairwise

import numpy as np

from trainer import episodes, rhythms
from trainer.episodes import EARLY, NORMAL, VENTRICULAR
from trainer.rhythms import drawn


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


def test_some_patients_fibrillate_now_and_then_and_not_always_fast(monkeypatch):
    for name, value in {"_SICK": 0.0, "_FIBRILLATING": 0.0, "_FLUTTERING": 0.0, "_PAROXYSMS": 1.0}.items():
        monkeypatch.setattr(rhythms, name, value)
    several = [drawn(np.random.default_rng(seed), 1200.0, ventricular=False) for seed in range(20)]
    slow = [np.mean([beat.p == "none" and not beat.waves and beat.rr > 0.75 for beat in one]) for one in several]
    assert 0.01 < np.mean(slow) < 0.5


def test_who_fibrillates_takes_the_intervals_that_are_there(monkeypatch):
    monkeypatch.setattr(rhythms, "_RECORDED_INTERVALS", 1.0)
    some = drawn(np.random.default_rng(0), 300.0, ventricular=False, fibrillating=True, intervals=(0.5, 1.5))
    ratios = np.array([a.rr / b.rr for a, b in zip(some[1:], some, strict=False)])
    assert np.mean((np.abs(ratios - 3.0) < 0.01) | (np.abs(ratios - 1 / 3) < 0.01)) > 0.8


def test_what_does_not_tell_is_never_another_p_wave():
    """And then no focus leads: it would be an irregular sinus rhythm."""
    several = [
        drawn(np.random.default_rng(seed), 400.0, ventricular=False, tells=False, focus_tells=False)
        for seed in range(60)
    ]
    assert {beat.p for one in several for beat in one} == {"own", "none"}
    shares = [np.mean([beat.label == EARLY for beat in one]) for one in several]
    assert 0.02 < np.mean(shares) < 0.15
    assert max(shares) < 0.7


def test_a_focus_leads_where_its_p_wave_tells_only_among_many(monkeypatch):
    monkeypatch.setattr(rhythms, "_SICK", 1.0)

    def led(**tells):
        several = [drawn(np.random.default_rng(seed), 400.0, ventricular=False, **tells) for seed in range(30)]
        return sum(np.mean([beat.p == "other" for beat in one]) > 0.3 for one in several)

    assert led(tells=False, focus_tells=True) > 5
    assert led(tells=False, focus_tells=False) == 0


def test_in_bigeminy_another_p_wave_tells_among_many(monkeypatch):
    """One that no single beat shows is only where there are many such beats."""
    monkeypatch.setattr(rhythms, "_SICK", 0.0)

    def others(chance):
        monkeypatch.setattr(rhythms, "_IN_BIGEMINY", chance)
        several = [
            drawn(np.random.default_rng(seed), 400.0, ventricular=False, tells=False, focus_tells=True)
            for seed in range(30)
        ]
        return sum(any(beat.p == "other" for beat in one) for one in several)

    assert others(1.0) > 10
    assert others(0.0) == 0


def test_not_every_patients_sinus_node_pauses(monkeypatch):
    for name in ("_SICK", "_BLOCKED", "_PAROXYSMS", "_FIBRILLATING", "_FLUTTERING"):
        monkeypatch.setattr(rhythms, name, 0.0)
    monkeypatch.setattr(rhythms, "_EPISODES", (episodes.steady,))

    def paused(chance):
        monkeypatch.setattr(rhythms, "_PAUSING_SINUS", chance)
        several = [drawn(np.random.default_rng(seed), 2000.0, ventricular=False) for seed in range(20)]
        return sum(max(beat.rr for beat in one) > 2.0 for one in several)

    assert paused(0.0) == 0
    assert 5 < paused(0.5) < 20


def test_in_some_patients_an_atrial_focus_leads_all_the_time_with_fibrillation_beside_it(monkeypatch):
    monkeypatch.setattr(rhythms, "_SICK", 1.0)
    several = [drawn(np.random.default_rng(seed), 1200.0, ventricular=False) for seed in range(60)]
    led = [one for one in several if np.mean([beat.label == EARLY for beat in one]) > 0.5]
    assert 5 <= len(led) <= 40
    assert any(np.mean([beat.p == "none" for beat in one]) > 0.03 for one in led)


def test_sinus_rhythm_comes_back_after_a_focus(monkeypatch):
    for name, value in {"_SICK": 1.0, "_OTHER_P": 1.0, "_FLUTTERING": 0.0, "_FIBRILLATING": 0.0}.items():
        monkeypatch.setattr(rhythms, name, value)
    monkeypatch.setattr(rhythms, "_SICK_EPISODES", (1000,))

    def longest(chance):
        """N in succession, of the sinus node; of the patient in the middle."""
        monkeypatch.setattr(rhythms, "_SINUS_BACK", chance)
        out = []
        for seed in range(20):
            some = drawn(np.random.default_rng(seed), 600.0, ventricular=False)
            ends = [k for k, beat in enumerate(some) if beat.label != NORMAL or beat.p != "own"]
            out.append(max(np.diff([-1, *ends, len(some)])) - 1)
        return np.median(out)

    assert longest(0.0) < 15
    assert longest(1.0) > 30


def test_much_ectopy_is_uneven_and_has_its_p_waves(monkeypatch):
    for name, value in {"_SICK": 0.0, "_OTHER_P": 1.0, "_FLUTTERING": 0.0, "_FIBRILLATING": 0.0}.items():
        monkeypatch.setattr(rhythms, name, value)

    def shares(chance):
        """Of S and of V, in all patients."""
        monkeypatch.setattr(rhythms, "_MUCH_ECTOPY", chance)
        several = [drawn(np.random.default_rng(seed), 600.0, ventricular=True) for seed in range(30)]
        early, v = (np.mean([beat.label == label for one in several for beat in one]) for label in (EARLY, VENTRICULAR))
        return early, v

    (many, v), (few, less) = shares(1.0), shares(0.0)
    assert many > few + 0.02
    assert v > less + 0.03


def test_some_patients_are_in_bigeminy_much_of_the_time(monkeypatch):
    monkeypatch.setattr(rhythms, "_SICK", 0.0)

    def shares(chance):
        monkeypatch.setattr(rhythms, "_IN_BIGEMINY", chance)
        several = [drawn(np.random.default_rng(seed), 600.0, ventricular=False) for seed in range(40)]
        alone = [
            sum(
                a.label == c.label == NORMAL and b.label == EARLY
                for a, b, c in zip(one, one[1:], one[2:], strict=False)
            )
            / len(one)
            for one in several
        ]
        return np.mean(np.array(alone) > 0.2)

    assert shares(0.0) < 0.1
    assert shares(1.0) > 0.12


def test_who_has_ventricular_beats_may_have_them_in_order_and_in_runs_and_nobody_else(monkeypatch):
    def pairs(ventricular):
        several = [drawn(np.random.default_rng(seed), 600.0, ventricular=ventricular) for seed in range(30)]
        return sum(a.label == b.label == VENTRICULAR for one in several for a, b in pairwise(one))

    assert pairs(ventricular=True) > 100
    assert pairs(ventricular=False) == 0
    monkeypatch.setattr(rhythms, "_VENTRICULAR_EPISODES", (0,))
    assert pairs(ventricular=True) < 20
