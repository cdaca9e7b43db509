"""What the rules on ventricular rhythms raise, and what they do not: in beats, and in the waves of a signal without."""

import pytest
from patients import Patient, latching

from monitor.events import (
    FS,
    AlertState,
    BeatClass,
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

    def between(sure, height=1.0, label="V"):
        patient = Patient(settings).beats("NNNN").beats("V", rr=0.7)
        doubt = {"sure": sure} if label == "V" else {"sure": 1.0 - sure, "rest": "V"}
        return patient.beats(label, rr=0.7, amplitude=height, **doubt).beats("V", rr=0.7)

    def after(sure, height=1.0):
        return Patient(settings).beats("NNNN").beats("VV", rr=0.7).beats("V", rr=0.7, sure=sure, amplitude=height)

    assert "v_run" in between(0.45).beats("N").raised()
    assert "v_run" not in between(0.45, height=-0.6).beats("N").raised()
    assert "v_run" not in between(0.45, height=0.3).beats("N").raised()
    assert "v_run" in between(0.7, height=-0.6).beats("N").raised()
    assert "v_run" not in between(0.2).beats("N").raised()
    assert between(0.3, label="N").beats("N").raised() == ["v_run"]
    assert "v_run" not in between(0.3, label="N", height=-0.6).beats("N").raised()
    assert "v_run" not in between(0.2, label="N").beats("N").raised()
    assert "couplet" not in between(0.45, height=-0.6).beats("N").raised()
    assert after(0.45).beats("N").raised() == ["v_run"]
    assert "couplet" in after(0.45, height=-0.6).beats("N").raised()


def test_beats_in_doubt_alone_make_no_run(patient):
    patient.beats("NNNN").beats("VVV", rr=0.7, sure=0.55).beats("N")
    assert patient.raised() == []


def test_a_beat_in_doubt_does_not_end_a_run(patient):
    patient.beats("NNNN").beats("VVV", rr=0.7).beats("V", rr=0.7, sure=0.2).beats("V", rr=0.7).beats("NN")
    assert patient.told() == [("v_run", "raised"), ("v_run", "updated"), ("v_run", "updated"), ("v_run", "ended")]


def test_a_beat_in_doubt_that_is_called_otherwise_does_not_end_a_run(patient):
    """Whether it comes when the alert is there already, or makes it."""
    doubt = {"rr": 0.7, "sure": 0.7, "rest": "V"}
    patient.beats("NNNN").beats("VV", rr=0.7).beats("N", **doubt).beats("V", rr=0.7)
    patient.beats("N", rr=0.6, sure=0.7, rest="V").beats("NN")
    assert patient.told()[:2] == [("v_run", "raised"), ("v_run", "updated")]
    assert [a.value for a in patient.alerts if a.kind == "v_run"][:2] == [3.0, 4.0]


def test_the_end_of_a_run_is_no_couplet(patient):
    patient.beats("NNNN").beats("VVV", rr=0.7).beats("V", rr=0.7, sure=0.2).beats("VV", rr=0.7).beats("NN")
    assert patient.raised() == ["v_run"]
    patient.beats("NNNN").beats("V", rr=0.7, sure=0.2).beats("VV", rr=0.7).beats("NN")
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
    patient.beats("VVFVV", rr=0.5)
    assert patient.raised()[-1] == "vt"


def test_bigeminy(patient):
    patient.beats("NNN" + "NV" * 2)
    assert patient.raised() == []
    patient.beats("NV")
    assert patient.raised() == ["bigeminy"]
    patient.beats("N" * 2)
    assert patient.told("bigeminy") == [("bigeminy", "raised"), ("bigeminy", "ended")]


def test_trigeminy(patient):
    patient.beats("NN" + "NNV" * 2)
    assert patient.raised() == []
    patient.beats("NNV")
    assert patient.raised() == ["trigeminy"]
    patient.beats("NNN")
    assert patient.told("trigeminy")[-1] == ("trigeminy", "ended")


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


def test_one_report_makes_no_vf(patient):
    patient.beats("N" * 5)
    patient.wave = (0.0, 0.95)
    patient.quiet(1.0)
    patient.wave = (0.0, 0.0)
    patient.beats("N" * 5)
    assert patient.raised() == []


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
