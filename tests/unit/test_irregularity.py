"""Atrial fibrillation: the measures and what they say."""

from dataclasses import dataclass

import numpy as np
import pytest

from monitor import irregularity
from monitor.events import FS, BeatClass


@dataclass(frozen=True)
class Beat:
    rr: int | None
    label: BeatClass = BeatClass.N
    p_likeness: float = 0.9
    p_amplitude: float = 0.12


def beats(intervals, p_likeness=0.9):
    return [Beat(None)] + [Beat(round(rr * FS), p_likeness=p_likeness) for rr in intervals]


def named(found):
    assert found is not None
    return dict(zip(irregularity.MEASURES, found, strict=True))


def test_a_regular_rhythm_is_all_zeros():
    found = named(irregularity.measure(beats([0.8] * 60)))
    for name in ("pnn10", "upper_quartile", "lag_2", "turning", "change"):
        assert found[name] == pytest.approx(0.0, abs=1e-12)
    assert found["rate"] == pytest.approx(0.75)
    assert found["p_likeness"] == 0.9


def test_the_measures_know_no_rate_but_the_rate():
    rng = np.random.default_rng(0)
    intervals = rng.uniform(0.5, 1.0, 80)
    one, other = (named(irregularity.measure(beats(intervals * factor))) for factor in (1.0, 1.5))
    for name in irregularity.MEASURES:
        if name != "rate":
            assert other[name] == pytest.approx(one[name], abs=0.03), name
    assert other["rate"] == pytest.approx(one["rate"] / 1.5, rel=0.01)


def test_intervals_beside_a_ventricular_beat_are_left_out():
    regular = beats([0.8] * 40)
    ectopic = [
        Beat(
            round((0.5 if k % 5 == 0 else 1.1 if k % 5 == 1 else 0.8) * FS), BeatClass.V if k % 5 == 0 else BeatClass.N
        )
        for k in range(60)
    ]
    found = named(irregularity.measure(regular + ectopic))
    assert found["pnn10"] == found["upper_quartile"] == pytest.approx(0.0, abs=1e-12)
    # Twelve times in 99 differences it is 0.3, 0.6 (which counts as 0.6 median intervals) and 0.3 s.
    assert found["change"] == pytest.approx(12 * (0.375 + 0.6 + 0.375) / 99, rel=0.05)


def test_too_few_intervals_say_nothing():
    assert irregularity.measure(beats([0.8] * 8)) is None
    assert irregularity.measure([]) is None
    assert irregularity.measure([Beat(288, BeatClass.V)] * 80) is None


def test_fibrillation_against_sinus_rhythm(settings):
    weights = settings.alarms.af_weights
    rng = np.random.default_rng(1)
    fibrillation = beats(rng.uniform(0.4, 0.95, 90), p_likeness=0.0)
    sinus = beats(0.85 + 0.08 * np.sin(np.arange(70) / 2))
    assert irregularity.probability(fibrillation, weights) > 0.5
    assert irregularity.probability(sinus, weights) < 0.05
    assert len(weights) == len(irregularity.MEASURES) + 1


def test_a_p_wave_speaks_against_it(settings):
    intervals = np.random.default_rng(2).uniform(0.55, 0.9, 80)
    with_p, without = (irregularity.probability(beats(intervals, p), settings.alarms.af_weights) for p in (0.95, 0.0))
    assert with_p < without


@pytest.mark.parametrize("label", [BeatClass.N, BeatClass.S])
@pytest.mark.parametrize("share", [0.1, 0.2])
def test_sinus_rhythm_with_premature_beats_is_none(share, label, settings):
    """Whatever they are called: supraventricular, or normal."""
    rng = np.random.default_rng(3)
    found = beats([])
    while len(found) < 80:
        if rng.random() < share:
            found.append(Beat(round(0.85 * rng.uniform(0.6, 0.75) * FS), label, p_likeness=0.2))
            found += beats([0.85 * rng.uniform(1.1, 1.2)], p_likeness=0.8)[1:]
        else:
            found += beats([0.85 * (1.0 + 0.03 * rng.normal())], p_likeness=0.8)[1:]
    assert irregularity.probability(found, settings.alarms.af_weights) < 0.3


@pytest.mark.parametrize("seed", range(5))
def test_fibrillation_with_ventricular_beats_and_a_pause_is_fibrillation_all_the_same(seed, settings):
    rng = np.random.default_rng(seed)
    found = beats(rng.uniform(0.4, 0.95, 90), p_likeness=0.1)
    found[40] = Beat(3 * FS, p_likeness=0.1)
    for k in (10, 25, 60, 75):
        found[k] = Beat(round(0.45 * FS), BeatClass.V, p_likeness=0.1)
    assert irregularity.probability(found, settings.alarms.af_weights) > 0.5
