"""What the network sees of a beat: made of the past and the present only."""

import numpy as np
import pytest
from streams import demo

from monitor import beats
from monitor.events import FS
from trainer.dataset import find_beats

RR = beats.FEATURES.index("rr")
RR_32 = beats.FEATURES.index("rr_32")
HAS_RR = beats.FEATURES.index("has_rr")
LIKENESS = beats.FEATURES.index("likeness")


def see(found, upto=None, gaps=()):
    found = found[:upto]
    x, f = beats.empty(len(found))
    beats.step_many(
        np.zeros(1, beats.STATE),
        np.zeros(len(found), dtype=np.int64),
        np.stack([b.window for b in found]),
        np.array([b.sample for b in found], dtype=np.int64),
        np.array([b.after_gap or k in gaps for k, b in enumerate(found)]),
        np.array([b.search_back for b in found]),
        np.zeros(len(found), dtype=np.int64),
        x,
        f,
    )
    return x, f


@pytest.fixture(scope="module")
def found(settings):
    return find_beats(demo(120.0), settings)


def test_nothing_of_the_future_is_in_it(found):
    """The view of a beat is the same whether or not others follow: at every prefix."""
    x, f = see(found)
    for upto in (1, 2, 17, len(found) - 1):
        earlier = see(found, upto)
        np.testing.assert_array_equal(earlier[0], x[:upto])
        np.testing.assert_array_equal(earlier[1], f[:upto])


def test_all_is_finite_and_bounded(found):
    x, f = see(found)
    assert np.isfinite(x).all()
    assert np.isfinite(f).all()
    assert np.abs(x).max() <= 8.0
    names = ("complex_unusual", "t_unusual", "onset_unusual", "early_apart", "early_pause_apart")
    unusual = [beats.FEATURES.index(name) for name in names]
    assert f[:, unusual].min() >= -1.5
    assert f[:, unusual].max() <= 3.0
    assert np.abs(np.delete(f, unusual, axis=1)).max() <= 2.0


def test_rr_intervals_by_hand(found):
    _, f = see(found, gaps={10})
    samples = np.array([b.sample for b in found])
    rr = np.diff(samples) / FS
    assert f[0, HAS_RR] == 0
    assert f[10, HAS_RR] == 0
    assert f[10, RR] == 0
    np.testing.assert_allclose(f[1:10, RR], np.clip(np.log(rr[:9] / 0.8), -1.5, 1.5), rtol=1e-5)
    # Beat 5 is compared with the mean of the four intervals before it.
    assert f[5, RR_32] == pytest.approx(np.log(rr[4] / rr[:4].mean()), rel=1e-5)


def test_a_patients_own_shape_is_known_after_a_few_beats():
    window = np.zeros(beats.WINDOW, dtype=np.float32)
    window[190:206] = np.hanning(16)
    odd = np.zeros_like(window)
    odd[185:225] = -2 * np.hanning(40)
    state = np.zeros(1, beats.STATE)[0]
    x, f = beats.empty(1)
    likeness = []
    for k in range(12):
        shape = odd if k == 9 else window
        beats.step(state, shape, 300 * k, k == 0, False, 0, x[0], f[0])
        likeness.append(float(f[0, LIKENESS]))
    assert likeness[0] == 0.0  # nothing to be like yet
    assert min(likeness[1:9] + likeness[10:]) > 0.999
    assert likeness[9] < 0.5


def test_neither_gain_nor_the_other_streams_matter(found):
    """Shapes are seen in sizes of the patient's own; rows of other patients are left alone."""
    x, _ = see(found)
    louder = [type(b)(**{n: getattr(b, n) for n in b.__struct_fields__} | {"window": 3 * b.window}) for b in found]
    np.testing.assert_allclose(see(louder)[0], x, atol=2e-5)
    states = np.zeros(3, beats.STATE)
    a, b = beats.empty(1)
    beats.step(states[1], found[0].window, 100, True, False, 0, a[0], b[0])
    assert states[0].tobytes() == states[2].tobytes() == bytes(beats.STATE.itemsize)
    assert states[1]["count"] == 1


def test_unusable_signal_teaches_nothing(found):
    state = np.zeros(1, beats.STATE)[0]
    x, f = beats.empty(1)
    beats.step(state, found[3].window, 100, True, False, 2, x[0], f[0])
    assert state["weight"].sum() == 0
    assert state["count"] == 1


def test_early_beats_do_not_move_the_median_baseline():
    """Every third beat comes early: against the median of the last sixteen the others are on time."""
    early, normal = beats.FEATURES.index("rr_median"), beats.FEATURES.index("rr_upper")
    state = np.zeros(1, beats.STATE)
    shape = np.sin(np.arange(beats.WINDOW) / 9).astype(np.float32)
    x, f = beats.empty(60)
    at = 0
    for k in range(60):
        at += 180 if k % 3 == 2 else 300
        beats.step(state[0], shape, at, k == 0, False, 0, x[k], f[k])
    last = f[48:]
    regular = [k for k in range(12) if (48 + k) % 3 != 2]
    np.testing.assert_allclose(last[regular, early], 0.0, atol=1e-6)
    np.testing.assert_allclose(last[2::3, normal], np.log(180 / 300), rtol=1e-5)


def test_a_p_wave_that_is_always_there_is_told_from_none():
    """A bump where the P wave lies raises both measures; noise in its place neither."""
    steady, size = beats.FEATURES.index("p_steady"), beats.FEATURES.index("p_template")
    t = (np.arange(beats.WINDOW) - beats.BEFORE) / FS
    qrs = np.exp(-(t**2) / (2 * 0.012**2))
    p_wave = 0.15 * np.exp(-((t + 0.16) ** 2) / (2 * 0.02**2))
    seen = {}
    for name, has_p in (("p", True), ("none", False)):
        rng = np.random.default_rng(0)
        state = np.zeros(1, beats.STATE)
        x, f = beats.empty(60)
        for k in range(60):
            window = qrs + (p_wave if has_p else 0.0) + rng.normal(0, 0.02, len(t))
            beats.step(state[0], window.astype(np.float32), 300 * k, k == 0, False, 0, x[k], f[k])
        seen[name] = f[-1]
    assert seen["p"][steady] > 0.9
    assert seen["none"][steady] < 0.5
    assert seen["p"][size] > 2 * seen["none"][size]
