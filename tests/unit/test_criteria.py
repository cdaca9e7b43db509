"""What each rule of the table raises, and what it does not."""

import numpy as np
import pytest
from patients import Patient, irregular, latching

from monitor import config
from monitor.events import (
    FS,
    AlertState,
    BeatClass,
    Cause,
    Level,
    Priority,
    Verdict,
)

N, V = BeatClass.N, BeatClass.V


@pytest.fixture
def settings(settings):
    return latching(settings)


@pytest.fixture
def patient(settings):
    return Patient(settings)


def test_couplet(patient):
    patient.beats("NNNN").beats("VV", rr=0.5)
    assert patient.raised() == []  # it might become a run
    patient.beats("N")
    assert patient.raised() == ["couplet"]
    alert = patient.alerts[0]
    assert (alert.priority, alert.value, alert.unit, len(alert.beats)) == (Priority.LOW, 500.0, "ms", 2)
    assert alert.onset_sample == alert.beats[0]
    assert alert.onset_time == pytest.approx(500 + alert.onset_sample / FS, abs=1e-3)
    patient.beats("N" * 20)
    assert patient.told() == [("couplet", "raised"), ("couplet", "ended")]
    assert patient.alerts[1].sample - patient.alerts[0].sample >= 10 * FS


def test_two_ventricular_escape_beats_are_no_couplet(patient):
    patient.beats("NNNN").beats("VV", rr=1.3).beats("NN")
    assert patient.raised() == []


def test_a_couplet_may_be_slow(patient):
    patient.beats("NNNN").beats("VV", rr=0.8).beats("NN")
    assert patient.raised() == ["couplet"]


def test_v_run_is_updated_and_ends_with_the_run(patient):
    patient.beats("NNNN").beats("VVVV", rr=0.7).beats("NN")
    assert patient.told() == [("v_run", "raised"), ("v_run", "updated"), ("v_run", "ended")]
    assert [a.value for a in patient.alerts][:2] == [3.0, 4.0]


def test_a_beat_in_doubt_makes_a_run_only_if_it_is_like_its_neighbours(settings):
    """The likeliest of five classes with less than a half: of one shape with them, or a T wave, or noise."""

    def between(sure, height=1.0):
        patient = Patient(settings).beats("NNNN").beats("V", rr=0.7)
        return patient.beats("V", rr=0.7, sure=sure, amplitude=height).beats("V", rr=0.7)

    def after(sure, height=1.0):
        return Patient(settings).beats("NNNN").beats("VV", rr=0.7).beats("V", rr=0.7, sure=sure, amplitude=height)

    assert "v_run" in between(0.45).beats("N").raised()
    assert "v_run" not in between(0.45, height=-0.6).beats("N").raised()
    assert "v_run" not in between(0.45, height=0.3).beats("N").raised()
    assert "v_run" in between(0.7, height=-0.6).beats("N").raised()
    assert "v_run" not in between(0.3).beats("N").raised()
    assert "couplet" not in between(0.45, height=-0.6).beats("N").raised()
    assert after(0.45).beats("N").raised() == ["v_run"]
    assert "couplet" in after(0.45, height=-0.6).beats("N").raised()


def test_beats_in_doubt_alone_make_no_run(patient):
    patient.beats("NNNN").beats("VVV", rr=0.7, sure=0.55).beats("N")
    assert patient.raised() == []


def test_a_beat_in_doubt_does_not_end_a_run(patient):
    patient.beats("NNNN").beats("VVV", rr=0.7).beats("V", rr=0.7, sure=0.3).beats("V", rr=0.7).beats("NN")
    assert patient.told() == [("v_run", "raised"), ("v_run", "updated"), ("v_run", "updated"), ("v_run", "ended")]


def test_the_end_of_a_run_is_no_couplet(patient):
    patient.beats("NNNN").beats("VVV", rr=0.7).beats("V", rr=0.7, sure=0.3).beats("VV", rr=0.7).beats("NN")
    assert patient.raised() == ["v_run"]
    patient.beats("NNNN").beats("V", rr=0.7, sure=0.3).beats("VV", rr=0.7).beats("NN")
    assert patient.raised() == ["v_run", "couplet"]


def test_a_slow_ventricular_run_is_no_vt(patient):
    patient.beats("NNNN").beats("V" * 8, rr=0.9)
    assert patient.raised() == ["v_run", "v_rhythm"]
    assert patient.told("v_run")[-1] == ("v_run", "ended")
    assert next(a for a in patient.alerts if a.kind == "v_rhythm").value == pytest.approx(60 / 0.9, abs=0.5)


def test_a_beat_in_doubt_does_not_break_a_tachycardia(patient):
    patient.beats("NNNN").beats("VV", rr=0.4)
    sample = patient.at + round(0.4 * FS)
    patient.push(Verdict(stream="p", seq=1, sample=sample, label=N, probabilities=(0.5, 0.05, 0.45, 0.0, 0.0),
                         rr=sample - patient.last, level=Level.GOOD, amplitude=1.0, p_likeness=0.0,
                         p_amplitude=0.1))  # fmt: skip
    patient.at = patient.last = sample
    patient.beats("VV", rr=0.4)
    assert patient.raised()[-1] == "vt"


def test_a_run_among_as_many_ventricular_beats_must_be_faster_than_the_rest(settings):
    def after(rr):
        patient = Patient(settings)
        patient.beats("VVN" * 10, rr=0.52).beats("V" * 5, rr=rr)
        return patient.raised()

    assert {"vt", "v_run"}.isdisjoint(after(0.5))
    assert {"vt", "v_run"} <= set(after(0.38))


def test_a_slow_tachycardia_has_one_shape(settings):
    """At 115 a minute, P waves and what follows them taken for beats; at 180, a polymorphic one. At 150 it depends on
    the signal."""

    def after(rr, heights, level=Level.GOOD):
        patient = Patient(settings)
        patient.beats("N" * 10)
        for height in heights:
            patient.beats("V", rr=rr, amplitude=height, level=level)
        return patient.raised()

    mixed = [0.9, 0.25, -2.3, 1.4, 0.45, -1.0]
    assert "vt" not in after(0.52, mixed)
    assert "vt" in after(0.33, mixed)
    alike = [1.0, 0.8, 1.3, 1.1, 0.7]
    assert "vt" in after(0.52, alike)
    assert "vt" in after(0.4, mixed)
    assert "vt" not in after(0.4, mixed, Level.NOISY)
    assert "vt" in after(0.4, alike, Level.NOISY)
    assert "vt" in after(0.33, mixed, Level.NOISY)


def test_where_every_beat_is_ventricular_there_is_nothing_to_be_faster_than(patient):
    patient.beats("V" * 5, rr=0.5)
    assert patient.raised()[-1] == "vt"


def test_fusion_beats_alone_are_no_tachycardia(patient):
    patient.beats("NNNN").beats("F" * 8, rr=0.5)
    assert "vt" not in patient.raised()
    patient.beats("VFVFV", rr=0.5)
    assert patient.raised()[-1] == "vt"


def test_bigeminy(patient):
    patient.beats("NNN" + "NV" * 2)
    assert patient.raised() == []
    patient.beats("NV")
    assert patient.raised() == ["bigeminy"]
    patient.beats("N" * 2)
    assert patient.told("bigeminy") == [("bigeminy", "raised"), ("bigeminy", "ended")]


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


def test_trigeminy(patient):
    patient.beats("NN" + "NNV" * 2)
    assert patient.raised() == []
    patient.beats("NNV")
    assert patient.raised() == ["trigeminy"]
    patient.beats("NNN")
    assert patient.told("trigeminy")[-1] == ("trigeminy", "ended")


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


def test_r_on_t(patient):
    patient.beats("N" * 8).beats("VN", rr=[0.26, 1.3])
    assert "r_on_t" in patient.raised()


def test_an_early_beat_after_the_t_wave_is_none(patient):
    patient.beats("N" * 8).beats("VN", rr=[0.5, 1.1])
    assert patient.raised() == []


def test_multiform_pvc(patient):
    patient.beats("NNNN").beats("V", rr=0.6).beats("NNN").beats("V", rr=0.6).beats("N")
    assert patient.raised() == []  # one shape
    patient.beats("NN").beats("V", rr=0.6, amplitude=-1.0)
    assert patient.raised() == ["multiform_pvc"]


def test_pvc_rate(patient):
    patient.beats("NNNV" * 10)
    assert "pvc_rate" not in patient.raised()
    patient.beats("NNNV" * 3)
    assert patient.raised()[-1] == "pvc_rate"
    patient.beats("N" * 60)
    assert patient.told("pvc_rate")[-1] == ("pvc_rate", "ended")


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


def test_vf_is_seen_in_waves_whatever_beats_are_found(patient):
    patient.beats("N" * 5)
    patient.wave = (0.1, 0.85)
    patient.beats("NVNSN" * 3, rr=0.4)
    assert "vf" in patient.raised()
    vf = next(a for a in patient.alerts if a.kind == "vf")
    assert vf.priority is Priority.HIGH
    after = [a for a in patient.alerts if a.seq > vf.seq and a.state is AlertState.RAISED]
    assert after == []  # only the worst is announced
    patient.wave = (0.0, 0.0)
    patient.beats("N" * 24)
    assert patient.told("vf") == [("vf", "raised"), ("vf", "updated")]
    assert patient.alerts[-1].latched


def test_vf_in_silence_is_no_asystole(patient):
    patient.beats("N" * 5)
    patient.wave = (0.2, 0.7)
    patient.quiet(9)
    assert "vf" in patient.raised()
    assert "asystole" not in patient.raised()


def test_one_report_makes_no_vf(patient):
    patient.beats("N" * 5)
    patient.wave = (0.0, 0.95)
    patient.quiet(1.0)
    patient.wave = (0.0, 0.0)
    patient.beats("N" * 5)
    assert patient.raised() == []


def test_vf_is_told_in_what_is_too_noisy_for_beats_but_not_without_signal(patient):
    patient.wave = (0.1, 0.85)
    patient.beats("N" * 2).quiet(6, Level.UNUSABLE, Cause.NOISE)
    assert patient.raised().count("vf") == 1
    other = Patient(config.load())
    other.wave = (0.1, 0.85)
    other.quiet(10, Level.UNUSABLE, Cause.LEAD_OFF)
    assert other.raised() == ["lead_off"]


def test_wide_waves_are_a_tachycardia_and_may_become_vf(patient):
    patient.beats("N" * 5)
    patient.wave = (0.85, 0.1)
    patient.beats("N" * 12, rr=0.4)
    assert "vt" in patient.raised()
    assert "vf" not in patient.raised()
    patient.wave = (0.1, 0.88)
    patient.beats("N" * 9, rr=0.4)
    assert patient.raised()[-1] == "vf"
    assert any(a.kind == "vt" and a.state is AlertState.ENDED and "now vf" in a.message for a in patient.alerts)


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
