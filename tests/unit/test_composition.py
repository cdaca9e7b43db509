"""Composed rhythms: real complexes, honest labels."""

from dataclasses import replace

import numpy as np
import pytest

from monitor.events import CLASSES, FS
from trainer import composition, lenders, pieces, waves
from trainer.composition import composed, repeated
from trainer.dataset import Recording, find_beats, read
from trainer.ec57 import detection
from trainer.episodes import RhythmBeat
from trainer.lenders import Fibrillation, Lent, Ventricular
from trainer.rhythms import drawn
from trainer.waves import OtherP

N, S, V = (CLASSES.index(name) for name in "NSV")


@pytest.fixture(scope="module")
def recording(settings, data_dir):
    return read("mitdb/119", 0, settings)


@pytest.fixture(scope="module")
def several(recording):
    return [composed(recording, np.random.default_rng(seed), 300.0) for seed in range(8)]


def test_the_same_draw_gives_the_same_rhythm(recording):
    one, two = (composed(recording, np.random.default_rng(3), 60.0) for _ in range(2))
    np.testing.assert_array_equal(one.signal, two.signal)
    np.testing.assert_array_equal(one.labels, two.labels)


@pytest.mark.parametrize(("told", "tells", "focus_tells"), [(1.2, True, True), (0.5, False, True), (0.2, False, False)])
@pytest.mark.parametrize("seen", [True, False])
def test_the_rhythm_is_drawn_by_what_of_the_p_waves_can_be_told(recording, monkeypatch, told, tells, focus_tells, seen):
    asked = {}

    def remembered(*args, **kwargs):
        asked.update(kwargs)
        return drawn(*args, **kwargs)

    monkeypatch.setattr(composition, "drawn", remembered)
    monkeypatch.setattr(OtherP, "tells", lambda self, pieces: told)
    monkeypatch.setattr(composition, "is_seen", lambda pieces: seen)
    composed(recording, np.random.default_rng(0), 60.0)
    assert (asked["tells"], asked["focus_tells"], asked["seen"]) == (tells, focus_tells, seen)


def test_only_classes_that_can_be_composed(several):
    labels = np.concatenate([one.labels for one in several])
    assert set(labels.tolist()) == {N, S, V}


def test_the_detector_finds_the_beats_where_they_were_put(recording, settings, monkeypatch):
    """But for beats so early that they lie in the one before. Here is no flutter and no P wave that stands alone: in a
    patient's first half minute they may be taken for beats."""

    def without(*args, **kwargs):
        return [replace(beat, blocked=0.0, waves=0.0) for beat in drawn(*args, **kwargs)]

    monkeypatch.setattr(composition, "drawn", without)
    for one in (composed(recording, np.random.default_rng(seed), 300.0) for seed in range(8)):
        found = np.array([beat.sample for beat in find_beats(one.signal, settings)])
        assert detection(one.samples, found, FS).f1 > 0.97


def test_supraventricular_beats_come_early_where_they_begin(several):
    """The first of a run comes earlier than the mean of the normal intervals before it."""
    early = []
    for one in several:
        rr = np.diff(one.samples)
        first = np.flatnonzero((one.labels[1:] == S) & (one.labels[:-1] == N))
        for k in first[first > 10]:
            normal = rr[k - 8 : k][one.labels[k - 7 : k + 1] == N]
            if len(normal) > 3:
                early.append(rr[k] / np.median(normal))
    assert len(early) > 20
    assert np.median(early) < 0.9


def test_a_patient_with_few_normal_beats_gives_none(recording):
    bare = Recording("x", 0, recording.signal, recording.samples, np.full(len(recording.samples), V))
    assert composed(bare, np.random.default_rng(0), 60.0) is None


def test_ventricular_beats_are_lent_in_the_size_of_the_patient(recording, settings):
    """mitdb/100 has one of its own; 119's come in its size, some as they were, some half-way to its own complex."""
    lent = Lent(ventricular=Ventricular.of(recording))
    patient = read("mitdb/100", 0, settings)
    twice = replace(patient, signal=2.0 * patient.signal)
    ratios = []
    for seed in range(8):
        one, large = (composed(of, np.random.default_rng(seed), 600.0, lent=lent) for of in (patient, twice))
        for at in one.samples[one.labels == V]:
            complex_, larger = (of.signal[at - 40 : at + 40] for of in (one, large))
            ratios.append(np.ptp(larger) / np.ptp(complex_))
    assert len(ratios) > 20
    assert np.median(ratios) == pytest.approx(2.0, rel=0.1)


def test_narrow_ventricular_beats_have_the_complex_of_the_patient_and_another_t_wave(recording, settings, monkeypatch):
    """Such as begin near the bundles: against the mean normal beat of mitdb/100."""
    monkeypatch.setattr(lenders, "_BLENDED", 1.0)
    monkeypatch.setattr(lenders, "_NARROW", 1.0)
    lender = Ventricular.of(recording)
    normal = pieces.pieces_of(read("mitdb/100", 0, settings), N)
    usual = np.mean(normal, axis=0)
    t_wave = slice(waves.QRS.stop + FS // 20, None)

    def likeness(piece, where):
        return np.corrcoef(piece[where], usual[where])[0, 1]

    lent = [piece for seed in range(8) for piece in lender.lent(np.random.default_rng(seed), normal)]
    assert np.median([likeness(piece, waves.QRS) for piece in lent]) > 0.8
    assert np.median([likeness(piece, t_wave) for piece in lent]) < 0.3
    assert np.median([likeness(piece, t_wave) for piece in normal]) > 0.8


def test_narrow_ventricular_beats_last_longer_than_the_patients_own(recording, settings, monkeypatch):
    """Up to half as long again, R in its place."""
    monkeypatch.setattr(lenders, "_BLENDED", 1.0)
    monkeypatch.setattr(lenders, "_NARROW", 1.0)
    monkeypatch.setattr(lenders, "_NARROW_SHARE", (1.0, 1.0))
    lender = Ventricular.of(recording)
    normal = pieces.pieces_of(read("mitdb/100", 0, settings), N)

    def width(piece):
        return np.count_nonzero(np.abs(piece[waves.QRS]) > 0.3 * np.abs(piece[waves.QRS]).max())

    usual = np.median([width(piece) for piece in normal])
    several = [lender.lent(np.random.default_rng(seed), normal) for seed in range(12)]
    wider = [np.median([width(piece) for piece in lent]) / usual for lent in several]
    assert min(wider) >= 0.95
    assert 1.15 < max(wider) < 1.6
    at = [np.argmax(np.abs(piece[waves.QRS])) for piece in several[0]]
    assert np.ptp([*at, np.argmax(np.abs(normal[0][waves.QRS]))]) <= 2


def test_lent_beats_begin_and_end_at_zero_and_can_be_told_from_the_patients_own(recording, settings, monkeypatch):
    """Also where nearly all of it is the patient's own: mitdb/108's beats differ much among themselves."""
    monkeypatch.setattr(lenders, "_BLENDED", 1.0)
    monkeypatch.setattr(lenders, "_NARROW", 1.0)
    lender = Ventricular.of(recording)
    normal = pieces.pieces_of(read("mitdb/108", 0, settings), N)
    for seed in range(20):
        lent = lender.lent(np.random.default_rng(seed), normal)
        assert max(abs(piece[end]) for piece in lent for end in (0, -1)) < 1e-3
        assert lenders.tells(lent, normal)
    assert not lenders.tells(normal, normal)


def test_a_patient_with_few_ventricular_beats_lends_none(settings, data_dir):
    assert Ventricular.of(read("mitdb/100", 0, settings)) is None


def test_a_blocked_p_wave_stands_alone(recording):
    """The signal with it, less the signal without it, is the P wave of the beat that was due."""
    normal = pieces.pieces_of(recording, N)
    other = OtherP(np.random.default_rng(0))
    due = [RhythmBeat(N, 0.8), RhythmBeat(N, 1.6, blocked=0.8), RhythmBeat(N, 0.8)]
    signals = []
    for beats in (due, [replace(beat, blocked=0.0) for beat in due]):
        signals.append(composition._laid(beats, {N: normal, V: []}, np.random.default_rng(0), 10.0, other)[0])
    difference = np.abs(signals[0] - signals[1])
    r = int((1.0 + 0.8 + 0.8) * FS)
    assert difference[r - int(0.28 * FS) : r - int(0.07 * FS)].max() > 0.02
    assert difference[: r - int(0.29 * FS)].max() == difference[r - int(0.06 * FS) :].max() == 0.0


def test_several_blocked_p_waves_stand_in_a_long_pause(recording):
    normal = pieces.pieces_of(recording, N)
    other = OtherP(np.random.default_rng(0))
    due = [RhythmBeat(N, 0.8), RhythmBeat(N, 2.4, blocked=0.8)]
    with_, without = (
        composition._laid(beats, {N: normal, V: []}, np.random.default_rng(0), 10.0, other)[0]
        for beats in (due, [replace(beat, blocked=0.0) for beat in due])
    )
    difference = np.abs(with_ - without)
    p_waves = [slice(int((1.8 + k * 0.8 - 0.28) * FS), int((1.8 + k * 0.8 - 0.07) * FS)) for k in (1, 2, 3)]
    assert [difference[at].max() > 0.02 for at in p_waves] == [True, True, False]


def test_between_the_beats_is_what_the_recording_has_there(recording, monkeypatch):
    """Hum of 10 Hz, none of it the beats': after a pause of 3 s there is as much of it as there was."""
    monkeypatch.setattr(composition, "drawn", lambda *args, **kwargs: [RhythmBeat(N, 3.0)] * 40)
    hum = 0.2 * np.sin(2 * np.pi * 10.0 * np.arange(len(recording.signal)) / FS)
    noisy = replace(recording, signal=(recording.signal + hum).astype(np.float32))
    for patient, least, most in ((recording, 0.0, 0.07), (noisy, 0.1, 0.2)):
        one = composed(patient, np.random.default_rng(1), 60.0)
        between = np.concatenate([one.signal[r + FS : r + 2 * FS] for r in one.samples[:-1]])
        assert least < np.std(between) < most


def test_fibrillation_keeps_its_waves_and_lends_them(settings, data_dir, monkeypatch):
    """Waves of 6 Hz laid under mitdb/119's usual beats, as if they had been there: they run through what is composed
    of it, and through fibrillation composed of another's beats, in the size of that patient."""
    monkeypatch.setattr(composition, "_LENT_WAVES", 1.0)
    monkeypatch.setattr(composition, "_LENT_LEVEL", (1.0, 1.0))
    recording = read("mitdb/119", 0, settings)
    t = np.arange(len(recording.signal)) / FS
    flutters = replace(recording, signal=(recording.signal + 0.15 * np.sin(2 * np.pi * 6.0 * t)).astype(np.float32))
    patient = read("mitdb/101", 0, settings)
    monkeypatch.setattr(composition, "drawn", lambda *args, **kwargs: [RhythmBeat(N, 0.9, "none")] * 120)
    own, still = (composed(of, np.random.default_rng(0), 100.0, fibrillating=True) for of in (flutters, recording))
    lent = Lent(fibrillation=Fibrillation.of(flutters))
    waves = composed(patient, np.random.default_rng(0), 100.0, lent=lent)
    bare = composed(patient, np.random.default_rng(0), 100.0)

    def share(one):
        power = np.abs(np.fft.rfft(one.signal[FS : 61 * FS])) ** 2
        rate = np.fft.rfftfreq(60 * FS, 1.0 / FS)
        return power[(rate > 5.9) & (rate < 6.1)].sum() / power[(rate > 3.0) & (rate < 40.0)].sum()

    assert share(own) > 3.0 * share(still)
    assert share(waves) > 4.0 * share(bare)


@pytest.fixture(scope="module")
def uneven(recording):
    """The same with beats that are not counted, so that what is left comes unevenly."""
    kept = np.random.default_rng(0).random(len(recording.samples)) < 0.6
    return replace(recording, samples=recording.samples[kept], labels=recording.labels[kept])


def test_fibrillation_lends_its_intervals(uneven):
    rr = np.diff(uneven.samples)
    normal = (uneven.labels == N)[1:] & (uneven.labels == N)[:-1]
    np.testing.assert_allclose(Fibrillation.of(uneven).intervals, rr[normal] / FS)


@pytest.mark.parametrize("fibrillating", [True, False])
def test_a_rhythm_gets_the_intervals_of_the_recording_that_fibrillates(uneven, monkeypatch, fibrillating):
    """Its own, or the one's that lends them."""
    given = []
    monkeypatch.setattr(composition, "drawn", lambda *args, **kwargs: given.append(kwargs["intervals"]) or [])
    other = Fibrillation.of(replace(uneven, samples=uneven.samples[::2], labels=uneven.labels[::2]))
    composed(uneven, np.random.default_rng(0), 60.0, lent=Lent(fibrillation=other), fibrillating=fibrillating)
    assert given == [Fibrillation.of(uneven).intervals if fibrillating else other.intervals]
    assert len(given[0]) > 100


def test_who_fibrillates_without_waves_to_take_has_drawn_ones(recording, monkeypatch):
    """Too little lies between the beats to tell waves from noise: they are laid as in anybody else."""
    monkeypatch.setattr(composition, "background_of", lambda *args: None)
    monkeypatch.setattr(composition, "_DRAWN_LEVEL_MV", 0.0)
    still = composed(recording, np.random.default_rng(0), 60.0, fibrillating=True)
    monkeypatch.setattr(composition, "fibrillation", lambda rng, n: 20.0 * np.sin(np.arange(n)))
    monkeypatch.setattr(composition, "_DRAWN_LEVEL_MV", 0.06)
    assert np.std(composed(recording, np.random.default_rng(0), 60.0, fibrillating=True).signal - still.signal) > 0.1


def test_a_repeated_strip_goes_on_where_it_ended(recording, settings):
    """As many beats a minute as before, and no step where it begins anew."""
    there = recording.samples < 29 * FS
    ramp = np.linspace(0.0, 1.0, 30 * FS)
    signal = (recording.signal[: 30 * FS] + ramp).astype(np.float32)
    strip = replace(recording, signal=signal, samples=recording.samples[there])
    long = repeated(strip, 120.0)
    assert len(long.signal) == 120 * FS
    assert len(long.labels) == len(long.samples) == 0
    one = int(strip.samples[1] + 0.65 * np.diff(strip.samples)[1])  # from here …
    end = int(strip.samples[-3] + 0.65 * np.diff(strip.samples)[-2])  # … to here
    joints = np.arange(1, 4) * (end - one)
    assert np.abs(long.signal[joints] - long.signal[joints - 1]).max() < 0.05
    np.testing.assert_allclose(long.signal[: end - one], long.signal[end - one : 2 * (end - one)])
    a_minute = [60 * FS * len(find_beats(some, settings)) / len(some) for some in (strip.signal, long.signal)]
    assert a_minute[0] == pytest.approx(a_minute[1], rel=0.05)


def test_a_strip_of_few_beats_is_not_repeated(recording):
    few = replace(recording, samples=recording.samples[:8])
    assert repeated(few, 300.0) is few


def test_who_has_too_little_between_unusual_beats_lends_no_waves(recording):
    labels = recording.labels.copy()
    labels[::2] = V
    assert Fibrillation.of(replace(recording, labels=labels)) is None
