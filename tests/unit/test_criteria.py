"""What the rules on rates, silence and supraventricular rhythms raise, and what they do not."""

import numpy as np
import pytest
from patients import Patient, irregular, latching

from monitor import config
from monitor.events import (
    FS,
    BeatClass,
    Cause,
    Level,
    Priority,
)

N, V = BeatClass.N, BeatClass.V


@pytest.fixture
def settings(settings):
    return latching(settings)


@pytest.fixture
def patient(settings):
    return Patient(settings)


def test_asystole_comes_in_time_and_ends_with_a_beat(patient):
    patient.beats("N" * 5)
    last = patient.at
    patient.quiet(6)
    assert patient.raised() == ["pause", "asystole"]
    alert = next(a for a in patient.alerts if a.kind == "asystole")
    assert 4.0 <= (alert.sample - last) / FS <= 4.5
    assert alert.onset_sample == last
    assert alert.priority is Priority.HIGH
    patient.beats("N")
    assert patient.told()[-1] == ("asystole", "updated")
    assert patient.alerts[-1].latched
    assert patient.raised() == ["pause", "asystole"]  # the long interval is not told a second time as a pause


def test_an_asystole_does_not_begin_in_noise(patient):
    patient.beats("N" * 5).quiet(3.1).quiet(3.0, Level.UNUSABLE, Cause.NOISE)
    assert "asystole" not in patient.raised()
    assert patient.raised()[-1] == "noise"
    patient.quiet(8)
    assert patient.raised()[-1] == "asystole"  # of a line that is still again


def test_pause_is_told_once(patient):
    patient.beats("N" * 5).quiet(3.2).beats("N" * 3)
    assert patient.raised() == ["pause"]
    patient.beats("N" * 20)
    assert patient.told() == [("pause", "raised"), ("pause", "ended")]


def test_one_long_interval_is_no_bradycardia(patient):
    patient.beats("N" * 8, rr=1.1).quiet(2.6).beats("N" * 8, rr=1.1)
    assert "extreme_brady" not in patient.raised()


def test_extreme_brady_and_its_hysteresis(patient):
    patient.beats("N" * 5).beats("N" * 3, rr=1.7)
    assert patient.raised() == []
    patient.beats("N" * 2, rr=1.7)
    assert patient.raised() == ["extreme_brady"]  # five beats: four intervals
    patient.beats("N" * 20, rr=1.25)
    assert patient.told("extreme_brady")[-1][1] != "ended"  # 48 a minute: not far enough from the limit
    patient.beats("N" * 8, rr=0.8)
    assert patient.told("extreme_brady")[-1][1] != "ended"  # the mean has been back for less than nine beats
    patient.beats("N" * 3, rr=0.8)
    assert patient.told("extreme_brady")[-1] == ("extreme_brady", "ended")


def test_noise_makes_no_extreme_rate(patient):
    patient.beats("N" * 20, rr=0.3, level=Level.NOISY)
    assert "extreme_tachy" not in patient.raised()


def test_in_doubtful_signal_most_intervals_must_be_beyond_the_limit(settings):
    def rate(doubtful, intervals):
        patient = Patient(settings)
        for k in range(25):
            patient.beats("N", rr=intervals[k % 5], level=Level.NOISY if k % 3 < doubtful else Level.GOOD)
        return patient.raised()

    uneven = [0.34, 0.34, 0.34, 0.5, 0.5]  # 148 a minute, and two fifths of the intervals slower than the limit
    assert "extreme_tachy" in rate(0, uneven)
    assert "extreme_tachy" not in rate(2, uneven)
    assert "extreme_tachy" in rate(2, [0.4] * 5)


def test_an_irregular_rhythm_must_be_further_over_the_limit(settings):
    """Both at 142 a minute; the mean of a few irregular intervals is not so certain."""

    def after(intervals):
        patient = Patient(settings)
        patient.beats("N" * 12, rr=0.5).beats("N" * 32, rr=intervals * 8)
        return patient.raised()

    assert "extreme_tachy" in after([60 / 142] * 4)
    assert "extreme_tachy" not in after([0.3, 0.42, 0.548, 0.423])


def test_a_few_extra_beats_make_no_extreme_rate(patient):
    patient.beats("N" * 12, rr=0.5).beats("N" * 15, rr=[0.5, 0.25, 0.25, 0.5, 0.5] * 3)
    patient.beats("N" * 8, rr=[0.5, 0.2] * 4)
    assert "extreme_tachy" not in patient.raised()


def test_tachy_and_brady(patient):
    patient.beats("N" * 9, rr=0.48)
    assert patient.raised() == ["tachy"]
    patient.beats("N" * 14).beats("N" * 9, rr=1.3)
    assert patient.raised() == ["tachy", "brady"]
    patient.beats("N" * 12)
    assert patient.told()[-1] == ("brady", "ended")


def test_extreme_tachy(patient):
    patient.beats("N" * 9, rr=60 / 130).beats("N" * 12, rr=60 / 142)
    assert patient.raised() == ["tachy"]
    patient.beats("N" * 6, rr=60 / 142)
    assert patient.raised() == ["tachy", "extreme_tachy"]
    assert ("tachy", "ended") in patient.told()


def test_extreme_tachy_of_fewer_beats_where_it_is_further_over(patient):
    patient.beats("N" * 5).beats("N" * 9, rr=0.38)
    assert "extreme_tachy" not in patient.raised()
    patient.beats("N" * 3, rr=0.38)
    assert patient.raised()[-1] == "extreme_tachy"


def test_svt(patient):
    patient.beats("NNNN").beats("SSSS", rr=0.5)
    assert "svt" not in patient.raised()
    patient.beats("S", rr=0.5)
    assert patient.raised()[-1] == "svt"
    patient.beats("NNN")
    assert patient.told("svt")[-1] == ("svt", "ended")


def test_slow_supraventricular_beats_are_no_tachycardia(patient):
    patient.beats("NNNN").beats("S" * 6, rr=0.7)
    assert patient.raised() == []


def test_missed_beat(patient):
    patient.beats("N" * 12).beats("N", rr=1.6).beats("N" * 3)
    assert patient.raised() == ["missed_beat"]
    patient.beats("N" * 16)
    assert patient.told()[-1] == ("missed_beat", "ended")


def test_in_an_irregular_rhythm_no_beat_is_missed(patient):
    patient.beats("N" * 12, rr=[0.6, 0.9] * 6).beats("N", rr=1.6)
    assert patient.raised() == []


def test_af_comes_after_a_minute_and_ends(patient):
    patient.beats("N" * 30, p_wave=0.95)
    begin = patient.at
    patient.beats("N" * 140, rr=irregular(140), p_wave=0.0)
    assert [k for k in patient.raised() if k in ("irregular_hr", "af")] == ["irregular_hr", "af"]
    alert = next(a for a in patient.alerts if a.kind == "af")
    assert 30 <= (alert.sample - begin) / FS <= 70
    assert ("irregular_hr", "ended") in patient.told()
    patient.beats("N" * 150, p_wave=0.95)
    assert patient.told("af")[-1] == ("af", "ended")
    assert patient.told("af").count(("af", "raised")) == 1


def test_bigeminy_is_no_af(patient):
    patient.beats("NV" * 60, rr=[0.9, 0.5] * 60)
    assert "af" not in patient.raised()


def test_respiration_is_no_af(patient):
    wave = [0.85 + 0.08 * float(np.sin(k / 2)) for k in range(150)]
    patient.beats("N" * 150, rr=wave)
    assert patient.raised() == []


def test_vf_in_silence_is_no_asystole(patient):
    patient.beats("N" * 5)
    patient.wave = (0.2, 0.7)
    patient.quiet(9)
    assert "vf" in patient.raised()
    assert "asystole" not in patient.raised()


def test_vf_is_told_in_what_is_too_noisy_for_beats_but_not_without_signal(patient):
    patient.wave = (0.1, 0.85)
    patient.beats("N" * 2).quiet(6, Level.UNUSABLE, Cause.NOISE)
    assert patient.raised().count("vf") == 1
    other = Patient(config.load())
    other.wave = (0.1, 0.85)
    other.quiet(10, Level.UNUSABLE, Cause.LEAD_OFF)
    assert other.raised() == ["lead_off"]


def test_bumps_on_a_still_line_do_not_end_a_silence(patient):
    patient.beats("N" * 20)
    patient.height = 0.15
    patient.beats("N" * 4, rr=1.3, amplitude=0.1)
    assert "asystole" in patient.raised()


def test_complexes_that_have_become_smaller_are_complexes(patient):
    patient.beats("N" * 20)
    patient.height = 0.4
    patient.beats("N" * 60, amplitude=0.15)
    assert patient.raised().count("asystole") <= 1
    assert patient.told("asystole")[-1:] != [("asystole", "raised")]
    assert patient.core.state()["patients"]["p"]["faint"] == 0
