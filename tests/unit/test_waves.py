"""Waves that composed beats have besides their own."""

import numpy as np
import pytest

from monitor.events import FS
from trainer import composition, waves
from trainer.episodes import EARLY, NORMAL, VENTRICULAR, RhythmBeat
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
    rng = np.random.default_rng(seed)
    return composition._laid(beats, pieces, rng, 1.5 + sum(beat.rr for beat in beats), OtherP(rng))[0]


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


def test_a_recorded_p_wave_stands_in_the_place_of_the_patients_own(piece):
    """In heights of the complexes, whatever their sign."""
    recorded = np.sin(np.linspace(0.0, np.pi, P.stop - P.start))
    for sign in (1.0, -2.0):
        changed = OtherP(np.random.default_rng(0), 0.2 * recorded).instead(sign * piece, present=True)
        np.testing.assert_allclose(changed[P] - waves.line(changed), abs(sign) * 0.2 * recorded, atol=0.01)
        np.testing.assert_array_equal(changed[P.stop :], sign * piece[P.stop :])


def test_a_p_wave_tells_where_it_differs_by_more_than_the_sinus_nodes_do(piece):
    """Among themselves; and by more than a little, for noise comes on top."""
    own = (piece[P] - waves.line(piece)).copy()

    def tells(recorded, noise, of=piece):
        rng = np.random.default_rng(0)
        pieces = [of + rng.normal(0.0, noise, len(of)) for _ in range(30)]
        return OtherP(rng, recorded, waves.mean_p(pieces)).tells(pieces) >= 1.0

    other = -0.8 * own
    assert tells(other, 0.0)
    assert tells(other, 0.02)
    assert not tells(other, 0.3)
    assert not tells(own, 0.0)
    assert not tells(0.9 * own, 0.0)
    assert tells(other, 0.0, of=5.0 * piece)


@pytest.mark.parametrize("kind", ["lent", "kin", "drawn", "none"])
def test_a_beat_whose_p_wave_is_exchanged_is_no_quieter_than_another(piece, kind, monkeypatch):
    """What its own P wave had besides the usual one, by chance, is there."""
    monkeypatch.setattr(waves, "_KIN", float(kind == "kin"))
    rng = np.random.default_rng(0)
    pieces = [piece + rng.normal(0.0, 0.02, len(piece)) for _ in range(200)]
    lent = 0.2 * np.hanning(P.stop - P.start) if kind == "lent" else None
    other = OtherP(rng, lent, waves.mean_p(pieces))
    changed = np.stack([other.instead(one, present=kind != "none")[P] for one in pieces])
    own = np.stack([one[P] for one in pieces])
    assert np.std(changed - changed.mean(axis=0)) == pytest.approx(np.std(own - own.mean(axis=0)), rel=0.05)
    if kind == "lent":
        np.testing.assert_allclose(changed.mean(axis=0) - waves.line(piece), lent, atol=0.02)


def test_a_p_wave_is_seen_where_it_is_more_than_noise(piece):
    rng = np.random.default_rng(0)

    def seen(share, noise):
        without = piece.copy()
        without[P] -= (1.0 - share) * (piece[P] - waves.line(piece))
        return waves.is_seen([without + rng.normal(0.0, noise, len(piece)) for _ in range(40)])

    assert seen(1.0, 0.02)
    assert not seen(1.0, 0.2)
    assert not seen(0.05, 0.001)


def test_a_p_wave_akin_does_not_come_back_at_the_other_end():
    wave = np.arange(1.0, 6.0)
    assert waves._moved(wave, 2).tolist() == [0, 0, 1, 2, 3]
    assert waves._moved(wave, -2).tolist() == [3, 4, 5, 0, 0]
    assert waves._moved(wave, 0).tolist() == wave.tolist()


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


def test_flutter_goes_on_where_it_was():
    """After a beat that was conducted later than in step, as if it had not been there."""
    parts = [waves.Flutter(np.random.default_rng(0), 1.0) for _ in range(2)]
    whole = parts[0].between(700, 7.0)
    pieces = np.concatenate([parts[1].between(230, 2.3), parts[1].between(470, 4.7)])
    np.testing.assert_allclose(pieces, whole, atol=1e-12)


def test_fibrillation_is_where_the_atria_fibrillate_and_nowhere_else(piece):
    """And the P waves are not."""
    beats = [RhythmBeat(NORMAL, 0.8, p) for p in ("own", "none") for _ in range(10)]
    rng = np.random.default_rng(0)
    signal, _, _, share = composition._laid(beats, {NORMAL: [piece], VENTRICULAR: []}, rng, 17.5, OtherP(rng))
    begin = int((1.0 + 8.0) * FS)
    assert share[: begin - FS // 4].max() == 0.0
    assert share[begin + FS // 4 : begin + 7 * FS].min() == pytest.approx(1.0)
    sinus = laid([RhythmBeat(NORMAL, 0.8)] * 20, piece)
    differs = np.abs(signal - sinus)
    assert differs[: begin - FS // 3].max() == 0.0
    assert differs[begin + FS :].max() > 0.05


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


def test_beats_that_the_atria_begin_are_aberrant_and_those_of_the_sinus_node_never(piece, monkeypatch):
    """Too early ones, and in fibrillation any: by a shape nobody can tell them apart."""
    monkeypatch.setattr(waves, "_ABERRANT", 1.0)
    steady = [RhythmBeat(NORMAL, 0.8)] * 3
    early, normal, fibrillating = (
        laid([*steady, RhythmBeat(label, 0.45, p)], piece)
        for label, p in ((EARLY, "own"), (NORMAL, "own"), (NORMAL, "none"))
    )
    np.testing.assert_array_equal(normal, laid([*steady, RhythmBeat(NORMAL, 0.45)], piece, seed=5))
    assert np.abs(early - normal).max() > 0.03
    r = int((1.0 + 3 * 0.8 + 0.45) * FS)
    np.testing.assert_allclose(fibrillating[r : r + FS // 3], early[r : r + FS // 3], atol=1e-9)
