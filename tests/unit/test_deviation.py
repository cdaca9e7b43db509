"""What is unusual is so for the patient: complex, T wave and flanks beside the dominant shape."""

import numpy as np
import pytest

from monitor import beats
from monitor.events import FS

AT = {name: k for k, name in enumerate(beats.FEATURES)}
T = (np.arange(beats.WINDOW) - beats.BEFORE) / FS


def shape(*, t=0.3, width=0.012):
    """A complex of 1 mV and a T wave of ``t`` mV."""
    return np.exp(-(T**2) / (2 * width**2)) + t * np.exp(-((T - 0.27) ** 2) / (2 * 0.025**2))


def see(windows, noise=0.01, quality=0):
    """Features [beat, feature]."""
    rng = np.random.default_rng(0)
    state = np.zeros(1, beats.STATE)[0]
    rows = []
    for k, window in enumerate(windows):
        x, f = beats.empty(1)
        seen = window + rng.normal(0.0, noise, len(T))
        beats.step(state, seen.astype(np.float32), 300 * k, k == 0, False, quality, x[0], f[0])
        rows.append(f[0])
    return np.array(rows)


def test_a_t_wave_of_the_other_sign_behind_the_same_complex():
    f = see([shape()] * 40 + [shape(t=-0.3)])
    usual, last = f[20:40], f[40]
    assert usual[:, AT["t_likeness"]].min() > 0.9
    assert np.abs(np.median(usual[:, AT["t_unusual"]])) < 0.3
    assert last[AT["likeness"]] > 0.92, "the complex tells nothing"
    assert last[AT["t_likeness"]] < 0.0
    assert last[AT["t_unusual"]] > 1.5


def test_the_same_difference_is_worth_less_where_differences_are_usual():
    other = shape(width=0.016)
    quiet, noisy = (see([shape()] * 40 + [other], noise)[40] for noise in (0.01, 0.06))
    assert quiet[AT["complex_unusual"]] > 1.0
    assert noisy[AT["complex_unusual"]] < quiet[AT["complex_unusual"]] - 0.7


@pytest.mark.parametrize(("width", "sign"), [(0.03, -1), (0.007, 1)])
def test_a_wide_complex_has_less_steep_flanks(width, sign):
    f = see([shape()] * 20 + [shape(width=width)], 0.001)
    assert abs(f[19, AT["steepness"]]) < 0.05
    assert sign * f[20, AT["steepness"]] > 0.3


def test_a_wide_complex_lasts_longer():
    f = see([shape(t=0.0)] * 20 + [shape(t=0.0, width=0.03)], 0.001)
    assert abs(f[19, AT["longer"]]) < 0.05
    assert f[20, AT["longer"]] > 0.5
    assert f[20, AT["duration"]] - f[19, AT["duration"]] == pytest.approx(f[20, AT["longer"]], abs=0.05)


def test_a_late_part_of_the_complex_is_no_other_beginning():
    """A bundle that is refractory delays the end of a complex; a ventricular beat begins otherwise."""
    late = shape() + 0.4 * np.exp(-((T - 0.06) ** 2) / (2 * 0.012**2))
    early = shape() - 0.4 * np.exp(-((T + 0.06) ** 2) / (2 * 0.012**2))
    of_late, of_early = (see([shape()] * 40 + [other])[40] for other in (late, early))
    assert of_late[AT["complex_unusual"]] > 1.5
    assert of_early[AT["complex_unusual"]] > 1.5
    assert of_early[AT["onset_unusual"]] > 1.5
    assert of_late[AT["onset_unusual"]] < of_early[AT["onset_unusual"]] - 1.0


@pytest.mark.parametrize(
    ("last", "quality"), [(-1.5 * shape(width=0.05), 0), (shape(), beats.UNUSABLE)], ids=["shape", "unusable"]
)
def test_neither_another_shape_nor_noise_teaches_what_is_usual(last, quality):
    state = np.zeros(1, beats.STATE)[0]
    x, f = beats.empty(1)
    for k in range(30):
        window = shape() * (1.0 + 0.05 * (-1) ** k)
        beats.step(state, window.astype(np.float32), 300 * k, k == 0, False, 0, x[0], f[0])
    before = state["usual"].copy(), int(state["usual_beats"])
    assert before[1] == 29, "all but the first, which has no shape to be unlike"
    beats.step(state, last.astype(np.float32), 300 * 30, False, False, quality, x[0], f[0])
    np.testing.assert_array_equal(state["usual"], before[0])
    assert state["usual_beats"] == before[1]


def test_an_artefact_moves_what_is_usual_by_three_deviations_at_most():
    state = np.zeros(1, beats.STATE)[0]
    x, f = beats.empty(1)
    for k in range(30):
        window = shape() * (1.0 + 0.05 * (-1) ** k)
        beats.step(state, window.astype(np.float32), 300 * k, k == 0, False, 0, x[0], f[0])
    before = state["usual"].copy()
    beats.step(state, shape(t=3.0).astype(np.float32), 300 * 30, False, False, 0, x[0], f[0])
    assert f[0, AT["t_unusual"]] > 1.5
    assert state["usual"][1] < before[1] * (1.0 + 9.0 / 29.0)
    assert state["usual"][1] > before[1]
