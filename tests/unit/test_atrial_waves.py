"""One wave before a complex is a P wave, several are flutter."""

import numpy as np
import pytest

from monitor import atrial_waves, beats
from monitor.events import FS

AT = {name: k for k, name in enumerate(beats.FEATURES)}
T = (np.arange(beats.WINDOW) - beats.BEFORE) / FS
QRS = np.exp(-(T**2) / (2 * 0.012**2))
P_WAVE = 0.15 * np.exp(-((T + 0.16) ** 2) / (2 * 0.02**2))
SLOW = (np.arange(beats.LENGTH) - beats.CENTRE) / 180.0
"""s around R, as the network sees a beat."""


def flutter(rate=5.0, size=0.1):
    return size * np.sin(2 * np.pi * rate * T) * (T < -0.06)


def see(windows, intervals, qualities=None):
    """Features [beat, feature] of beats with these RR intervals, s."""
    rng = np.random.default_rng(0)
    state = np.zeros(1, beats.STATE)[0]
    rows, at = [], 0
    for k, (window, rr) in enumerate(zip(windows, intervals, strict=True)):
        at += round(rr * FS)
        x, f = beats.empty(1)
        seen = window + rng.normal(0.0, 0.005, len(T))
        beats.step(state, seen.astype(np.float32), at, k == 0, False, qualities[k] if qualities else 0, x[0], f[0])
        rows.append(f[0])
    return np.array(rows)


@pytest.mark.parametrize("rate", [200 / 60, 4.1, 5.0, 6.3, 7.0])
def test_a_steady_wave_is_fitted_whatever_its_phase_rate_and_height(rate):
    for phase in (0.0, 1.0, 2.5):
        share, height = atrial_waves.fit(0.2 * np.sin(2 * np.pi * rate * SLOW + phase), beats.CENTRE)
        assert share > 0.9
        assert height == pytest.approx(0.2 / np.sqrt(2), rel=0.45), "a parabola takes something of slow waves"


def test_a_slope_and_a_bend_are_no_waves():
    _, height = atrial_waves.fit(0.3 + SLOW + 2.0 * SLOW**2 + 1e-4 * np.sin(40.0 * SLOW**2), beats.CENTRE)
    assert height < 1e-3
    assert atrial_waves.fit(np.zeros(beats.LENGTH), beats.CENTRE) == (0.0, 0.0)


def test_flutter_is_told_from_a_p_wave():
    sinus = see([QRS + P_WAVE] * 20, [1.0] * 20)
    fluttering = see([QRS + flutter()] * 20, [1.0] * 20)
    assert sinus[5:, AT["waves_usual"]].max() < 0.65
    assert fluttering[5:, AT["waves_usual"]].min() > 0.9
    assert fluttering[-1, AT["waves"]] > 0.9


def test_what_late_beats_tell_is_remembered_for_those_that_come_soon():
    """Conduction of four waves, then of two: the interval is too short to see more than one."""
    f = see([QRS + flutter()] * 21, [0.9] * 20 + [0.45])
    assert f[20, AT["waves"]] == 0.0
    assert f[20, AT["waves_usual"]] > 0.9
    lower = see([QRS + flutter(size=0.05)] * 21, [0.9] * 20 + [0.45])
    assert f[20, AT["waves_size"]] - lower[20, AT["waves_size"]] == pytest.approx(np.log(2), abs=0.25)


def test_neither_a_short_interval_nor_noise_teaches():
    nothing = see([QRS + flutter()] * 20, [0.5] * 20)
    assert not nothing[:, AT["waves_usual"]].any()
    assert not nothing[:, AT["waves_size"]].any()
    f = see([QRS + P_WAVE] * 20 + [QRS + flutter()] * 10, [1.0] * 30, [0] * 20 + [beats.UNUSABLE] * 10)
    assert f[29, AT["waves_usual"]] == f[20, AT["waves_usual"]]


def test_flutter_that_ends_is_forgotten():
    f = see([QRS + flutter()] * 20 + [QRS + P_WAVE] * 30, [1.0] * 50)
    assert f[20, AT["waves_usual"]] > 0.9
    assert f[49, AT["waves_usual"]] < 0.65
