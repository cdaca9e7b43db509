"""Waves that composed beats have besides their own."""

import numpy as np
import pytest

from monitor.events import FS
from trainer import composition, waves
from trainer.rhythms import EARLY, NORMAL, VENTRICULAR, RhythmBeat
from trainer.waves import AFTER, BEFORE, QRS, Aberrancy, OtherP, P

SECONDS = np.arange(-BEFORE, AFTER) / FS


def bell(at, width, size):
    return size * np.exp(-((SECONDS - at) ** 2) / (2 * width**2))


@pytest.fixture
def piece():
    """A P wave, a complex of 1 mV, a T wave."""
    return bell(-0.16, 0.02, 0.15) + bell(0.0, 0.012, 1.0) + bell(0.26, 0.04, 0.3)


def laid(beats, piece, seed=0):
    pieces = {NORMAL: [piece], VENTRICULAR: []}
    return composition._laid(beats, pieces, np.random.default_rng(seed), 1.5 + sum(beat.rr for beat in beats))[0]


def test_another_p_wave_leaves_complex_and_t_wave_alone(piece):
    for seed in range(20):
        changed = OtherP(np.random.default_rng(seed)).instead(piece, present=True)
        np.testing.assert_allclose(changed[P.stop + 10 :], piece[P.stop + 10 :], atol=0.02)
        assert np.abs(changed[P] - piece[P]).max() > 0.01


def test_a_p_wave_akin_to_the_sinus_nodes_has_its_shape(piece, monkeypatch):
    monkeypatch.setattr(waves, "_KIN", 1.0)
    shares, at = [], []
    for seed in range(40):
        changed = OtherP(np.random.default_rng(seed)).instead(piece, present=True)
        peak = int(np.abs(changed[P]).argmax())
        shares.append(changed[P][peak] / 0.15)
        at.append(SECONDS[P][peak])
    assert min(shares) < -0.5
    assert max(shares) > 0.5
    assert np.abs(shares).max() < 1.15
    large = np.abs(shares) > 0.3
    assert np.abs(np.array(at)[large] + 0.16).min() > 0.01
    assert np.abs(np.array(at)[large] + 0.16).max() < 0.06


def test_none_is_present_where_none_is_wanted(piece):
    for seed in range(20):
        changed = OtherP(np.random.default_rng(seed)).instead(piece, present=False)
        assert np.abs(changed[P]).max() < 0.5 * piece[P].max()


def test_flutter_keeps_step_with_the_beats(piece, monkeypatch):
    """What stands before each complex is the same, however many waves went by; none go before the first."""
    beats = [RhythmBeat(NORMAL, 0.25 * n, "none", waves=float(n)) for n in (3, 2, 4, 3, 2, 5, 3)]
    with_waves = laid(beats, piece)
    monkeypatch.setattr(waves, "_FLUTTER_SIZE", (1e-9, 1e-9))
    flutter = with_waves - laid(beats, piece)
    at = np.round((1.0 + np.cumsum([beat.rr for beat in beats])) * FS).astype(int)
    before = np.stack([flutter[r - 60 : r - 2] for r in at[1:]])
    assert np.corrcoef(before).min() > 0.98
    assert 0.02 < np.abs(before).max() < 0.35
    assert np.abs(flutter[: at[0]]).max() == 0.0


def test_fibrillation_is_where_the_atria_fibrillate_and_nowhere_else(piece):
    sinus = [RhythmBeat(NORMAL, 0.8) for _ in range(10)]
    fibrillating = [RhythmBeat(NORMAL, 0.8, "none") for _ in range(10)]
    differs = np.abs(laid([*sinus, *fibrillating], piece) - laid([*sinus, *sinus], piece))
    begin = int((1.0 + 8.0) * FS)
    assert differs[: begin - int(0.3 * FS)].max() == 0.0
    assert differs[begin + FS :].max() > 0.005


@pytest.mark.parametrize(("late", "shorter"), [(1.0, 0.0), (0.0, 1.0)])
def test_aberrancy_is_the_greater_the_earlier(piece, monkeypatch, late, shorter):
    """A late wave within the complex or right after it; a T wave that is another."""
    monkeypatch.setattr(waves, "_ABERRANT", late)
    monkeypatch.setattr(waves, "_SHORTER", shorter)
    for seed in range(10):
        patient = Aberrancy(np.random.default_rng(seed), 1.0)
        very, little, not_at_all = (np.abs(patient.conducted(piece, early) - piece) for early in (0.5, 0.8, 0.95))
        assert not_at_all.max() == 0.0
        assert 0.0 < little.max() < very.max()
        t_wave = slice(QRS.stop + FS // 15, None)
        where, elsewhere = (slice(BEFORE, None), t_wave) if late else (t_wave, slice(0, QRS.stop))
        assert very[where].max() > 0.008
        assert very[elsewhere].max() < 0.3 * very[where].max()
        assert very[: P.stop].max() < 1e-3


def test_normal_beats_are_never_aberrant(piece, monkeypatch):
    monkeypatch.setattr(waves, "_ABERRANT", 1.0)
    steady = [RhythmBeat(NORMAL, 0.8)] * 3
    early, normal = (laid([*steady, RhythmBeat(label, 0.45)], piece) for label in (EARLY, NORMAL))
    np.testing.assert_array_equal(normal, laid([*steady, RhythmBeat(NORMAL, 0.45)], piece, seed=5))
    assert np.abs(early - normal).max() > 0.03
