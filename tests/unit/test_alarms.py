"""The rule table, rule by rule, and the life of an alert, transition by transition."""

import json
from itertools import product

import jsonschema
import msgspec
import numpy as np
import pytest

from monitor import config
from monitor.alarms import TRANSITIONS, Act, Alarms, Sight
from monitor.errors import UsageError
from monitor.events import (
    FS,
    Acknowledge,
    Alert,
    AlertState,
    BeatClass,
    Cause,
    Closed,
    Gap,
    Level,
    Lost,
    Opened,
    Priority,
    Quality,
    Rhythm,
    Verdict,
)
from monitor.patient import Phase
from monitor.rules import BY_KIND, OVERRULED_BY, RULES, Life
from monitor.wire import alert_schema, encode_alert

N, V = BeatClass.N, BeatClass.V


@pytest.fixture
def settings(settings):
    """With what bedside monitors latch; the shipped settings latch nothing."""
    latching = ("asystole", "vf", "vt")
    return msgspec.structs.replace(settings, alarms=msgspec.structs.replace(settings.alarms, latching=latching))


class Patient:
    """Feeds a stream's beats and seconds to the core, in the order in which the daemon would."""

    def __init__(self, settings):
        self.core = Alarms(settings)
        self.seq = 0
        self.at = 0
        self.last = None
        self.alerts: list[Alert] = []
        self.wave = (0.0, 0.0)  # probabilities of VT and VF
        self.height = 1.0  # mV, of the signal
        self.push(Opened(stream="p", seq=1, source="", fs=360.0, leads=("I",), start_time=500.0, length=None))

    def push(self, event):
        self.alerts += [e for e in self.core.push([event]) if isinstance(e, Alert)]

    def beats(self, labels, rr=0.8, amplitude=1.0, p_wave=0.9, level=Level.GOOD):
        """Beats ``rr`` s apart (one number, or one each), reports at every whole second between."""
        intervals = [rr] * len(labels) if isinstance(rr, float) else rr
        for label, seconds in zip(labels, intervals, strict=True):
            sample = self.at + round(seconds * FS)
            self.seconds_until(sample)
            interval = None if self.last is None else sample - self.last
            self.push(Verdict(stream="p", seq=1, sample=sample, label=BeatClass(label),
                              probabilities=tuple(float(label == name) for name in "NSVFQ"), rr=interval, level=level,
                              amplitude=amplitude, p_likeness=p_wave, p_amplitude=0.1))  # fmt: skip
            self.at = self.last = sample
        return self

    def seconds_until(self, sample, level=Level.GOOD, cause=Cause.NONE, step=FS):
        for second in range((self.at // step + 1) * step, sample, step):
            silence = 0 if cause is Cause.GAP else second - (self.last or 0)
            self.push(Quality(stream="p", seq=1, sample=second, level=level, cause=cause, noise=0.0, silence=silence))
            if second % FS == 0 and cause is not Cause.GAP:
                vt, vf = self.wave
                self.push(Rhythm(stream="p", seq=1, sample=second, vt=vt, vf=vf, amplitude=self.height))

    def quiet(self, seconds, level=Level.GOOD, cause=Cause.NONE):
        """No beats, and reports eight times a second."""
        end = self.at + round(seconds * FS)
        self.seconds_until(end, level, cause, step=45)
        self.at = end
        return self

    def acknowledge(self, alert=None):
        self.push(Acknowledge(stream="p", seq=1, sample=self.at, alert=alert))
        return self

    def told(self, kind=None):
        return [(a.kind, str(a.state)) for a in self.alerts if kind in (None, a.kind)]

    def raised(self):
        return [a.kind for a in self.alerts if a.state is AlertState.RAISED]


@pytest.fixture
def patient(settings):
    return Patient(settings)


def test_a_quiet_heart_raises_nothing(patient):
    patient.beats("N" * 100)
    assert patient.alerts == []


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


def test_two_slow_ventricular_beats_are_no_couplet(patient):
    patient.beats("NNNN").beats("VV", rr=0.9).beats("NN")
    assert patient.raised() == []


def test_each_couplet_has_an_alert_of_its_own(patient):
    for _ in range(2):
        patient.beats("NNN").beats("VV", rr=0.5).beats("N")
    assert patient.told() == [("couplet", "raised"), ("couplet", "ended"), ("couplet", "raised")]
    assert len({a.id for a in patient.alerts}) == 2


def test_v_run_is_updated_and_ends_with_the_run(patient):
    patient.beats("NNNN").beats("VVVV", rr=0.7).beats("NN")
    assert patient.told() == [("v_run", "raised"), ("v_run", "updated"), ("v_run", "ended")]
    assert [a.value for a in patient.alerts][:2] == [3.0, 4.0]


def test_vt_takes_the_place_of_its_run(patient):
    patient.beats("NNNN").beats("V" * 6, rr=0.35)
    assert patient.raised() == ["v_run", "vt"]
    assert ("v_run", "ended") in patient.told()
    ended = next(a for a in patient.alerts if (a.kind, a.state) == ("v_run", AlertState.ENDED))
    assert "now vt" in ended.message
    vt = next(a for a in patient.alerts if a.kind == "vt")
    assert vt.priority is Priority.HIGH
    assert vt.value == pytest.approx(60 / 0.35, abs=0.5)
    assert len(vt.beats) == 5
    patient.beats("NN")
    assert ("vt", "ended") not in patient.told()  # two beats are not yet the end
    patient.beats("N")
    assert patient.told()[-1] == ("vt", "updated")
    assert patient.alerts[-1].latched
    patient.acknowledge()
    assert patient.told()[-1] == ("vt", "ended")


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

    assert "vt" not in after(0.5)
    assert "vt" in after(0.38)


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
    patient.beats("N" * 9, rr=0.8)
    assert patient.told("extreme_brady")[-1][1] != "ended"  # the mean has been back for less than nine beats
    patient.beats("N" * 3, rr=0.8)
    assert patient.told("extreme_brady")[-1] == ("extreme_brady", "ended")


def test_a_rate_at_its_limit_does_not_chatter(patient):
    """Between the limit and the margin nothing changes."""
    patient.beats("N" * 9, rr=60 / 122).beats("N" * 30, rr=60 / 118.5)
    assert patient.told() == [("tachy", "raised")]
    patient.beats("N" * 15, rr=60 / 110)
    assert patient.told()[-1] == ("tachy", "ended")


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


def test_missing_samples_are_a_gap_and_never_an_asystole(patient):
    patient.beats("N" * 5)
    start = patient.at
    patient.quiet(20, Level.UNUSABLE, Cause.GAP)
    patient.push(Gap(stream="p", seq=1, start=start, stop=patient.at, cause="missing"))
    patient.last = None
    patient.beats("N" * 5)
    assert patient.raised() == ["gap"]
    assert patient.told()[-1] == ("gap", "ended")


def test_time_without_usable_signal_does_not_count(patient):
    patient.beats("N" * 5).quiet(10, Level.UNUSABLE, Cause.LEAD_OFF).quiet(3.9)
    assert patient.raised() == ["lead_off", "pause"]
    patient.quiet(1.0)
    assert "asystole" in patient.raised()  # four seconds after it could be seen again


def test_an_interval_over_unusable_signal_is_no_pause(patient):
    patient.beats("N" * 5).quiet(3, Level.UNUSABLE, Cause.LEAD_OFF).beats("N" * 3)
    assert patient.raised() == ["lead_off"]


def test_unusable_signal_suspends_what_was_active(patient):
    patient.beats("NNNN").beats("V" * 6, rr=0.35)
    patient.quiet(2, Level.UNUSABLE, Cause.NOISE)
    latched = [a for a in patient.alerts if a.kind == "vt" and a.latched]
    assert len(latched) == 1
    assert "analysis suspended" in latched[0].message
    assert patient.raised()[-1] == "noise"
    patient.beats("N" * 6)
    assert patient.told()[-1] == ("noise", "ended")


@pytest.mark.parametrize("cause", [Cause.FLAT, Cause.SATURATED, Cause.LEAD_OFF, Cause.NOISE])
def test_every_cause_has_its_technical_alert(patient, cause):
    patient.beats("N" * 5).quiet(3, Level.UNUSABLE, cause).beats("N" * 4)
    assert patient.told() == [(str(cause), "raised"), (str(cause), "ended")]
    assert patient.alerts[0].class_ == "technical"


def test_a_silent_source(patient):
    patient.beats("N" * 5)
    patient.push(Lost(stream="p", seq=1, sample=patient.at))
    assert patient.raised() == ["source_lost"]
    patient.beats("N")
    assert patient.told() == [("source_lost", "raised"), ("source_lost", "ended")]


def test_the_end_of_a_stream_ends_its_alerts(patient):
    patient.beats("NNNN").beats("V" * 6, rr=0.35)
    patient.push(Closed(stream="p", seq=1, sample=patient.at, reason="end"))
    assert ("vt", "ended") in patient.told()
    assert {a.state for a in patient.alerts if a.id == patient.alerts[-1].id} >= {AlertState.ENDED}
    assert patient.core.state()["patients"] == {}


def test_every_alert_keeps_to_the_schema(patient):
    patient.beats("NNNN").beats("V" * 6, rr=0.35).beats("N" * 4).quiet(6).beats("NVNVNVNV").beats("N" * 30, rr=0.3)
    assert len(patient.alerts) > 8
    for alert in patient.alerts:
        jsonschema.validate(json.loads(encode_alert(alert)), alert_schema())


def test_ids_are_stable_and_lives_are_whole(patient):
    patient.beats("NNNN").beats("V" * 6, rr=0.35).beats("N" * 4).quiet(6).beats("NVNVNVNVNN").beats("N" * 30, rr=0.3)
    lives: dict[str, list[AlertState]] = {}
    for alert in patient.alerts:
        lives.setdefault(alert.id, []).append(alert.state)
    for states in lives.values():
        assert states[0] is AlertState.RAISED
        assert AlertState.RAISED not in states[1:]
        assert AlertState.ENDED not in states[:-1]


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


def irregular(n, seed=0):
    """RR intervals of atrial fibrillation, s."""
    rng = np.random.default_rng(seed)
    return [float(x) for x in rng.uniform(0.4, 0.95, n)]


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
    patient.beats("N" * 20)
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


def test_a_short_gap_suspends_nothing(patient):
    patient.beats("NNNN").beats("V" * 6, rr=0.35)
    patient.push(Gap(stream="p", seq=1, start=patient.at + 10, stop=patient.at + 100, cause="missing"))
    assert patient.told("vt") == [("vt", "raised")]
    assert patient.raised()[-1] == "gap"


def test_acknowledging_one_alert_or_all(patient):
    patient.beats("NNNN").beats("V" * 6, rr=0.35)
    vt = next(a for a in patient.alerts if a.kind == "vt")
    patient.acknowledge("p/none/0")
    assert patient.told("vt") == [("vt", "raised")]
    patient.acknowledge(vt.id)
    assert patient.told("vt") == [("vt", "raised"), ("vt", "acknowledged")]
    patient.acknowledge()
    assert patient.told("vt") == [("vt", "raised"), ("vt", "acknowledged")]
    patient.beats("NNNN")
    assert patient.told("vt")[-1] == ("vt", "ended")  # acknowledged: does not latch


def test_a_new_lethal_alarm_breaks_through(patient):
    """A second tachycardia is another alert, whether the first was acknowledged or is latched."""
    patient.beats("NNNN").beats("V" * 6, rr=0.35).acknowledge().beats("NNNN").beats("V" * 6, rr=0.35)
    assert patient.told("vt").count(("vt", "raised")) == 2
    patient.beats("NNNN").beats("V" * 6, rr=0.35)
    assert patient.told("vt")[-2:] == [("vt", "ended"), ("vt", "raised")]
    assert len({a.id for a in patient.alerts if a.kind == "vt"}) == 3


def test_acknowledging_is_no_event_of_the_link(settings):
    core = Alarms(settings)
    assert core.push([Acknowledge(stream="nobody", seq=1, sample=0, alert=None)]) == []


def test_settings_of_one_stream(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[alarms.streams.p]\nvt_beats = 8\ndisabled = ["v_run", "tachy"]\n')
    patient = Patient(config.load(path))
    patient.beats("NNNN").beats("V" * 7, rr=0.35)
    assert patient.raised() == []
    patient.beats("V", rr=0.35)
    assert patient.raised() == ["vt"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vt_beat = 8", "did you mean alarms\\.streams\\.p\\.vt_beats"),
        ('vt_beats = "x"', r"streams\.'p'"),
        ("vt_beats = 0", "p"),
    ],
)
def test_a_mistake_in_the_settings_of_one_stream_is_told(tmp_path, text, said):
    path = tmp_path / "own.toml"
    path.write_text(f"[alarms.streams.p]\n{text}\n")
    with pytest.raises(UsageError, match=said):
        config.load(path)


def test_every_rule_can_be_raised_and_ends(settings):
    """Together the scenes above show every kind of the table; here they are counted."""
    seen: set[str] = set()
    for scene in SCENES:
        patient = Patient(settings)
        scene(patient)
        patient.push(Closed(stream="p", seq=1, sample=patient.at, reason="end"))
        seen |= set(patient.raised())
        for alert in patient.alerts:
            jsonschema.validate(json.loads(encode_alert(alert)), alert_schema())
        raised = [a.id for a in patient.alerts if a.state is AlertState.RAISED]
        ended = [a.id for a in patient.alerts if a.state is AlertState.ENDED]
        assert sorted(raised) == sorted(ended)
    assert seen == set(BY_KIND)


def fibrillating(p):
    p.wave = (0.0, 0.9)
    p.quiet(8)


def lost(p):
    p.beats("NNN").push(Lost(stream="p", seq=1, sample=p.at))


SCENES = (
    lambda p: p.beats("NNNN").beats("V" * 6, rr=0.35).beats("NNNN"),
    lambda p: p.beats("NNNN").beats("V" * 8, rr=0.9).beats("NNNN"),
    lambda p: p.beats("NNNN").beats("VV", rr=0.5).beats("NN").quiet(6),
    lambda p: p.beats("NN" + "NV" * 15).beats("N" * 4),
    lambda p: p.beats("NN" + "NNV" * 4).beats("NN").beats("V", amplitude=-1.0).beats("NN"),
    lambda p: p.beats("N" * 12).beats("N", rr=1.6).beats("N" * 8).beats("VN", rr=[0.26, 1.3]),
    lambda p: p.beats("N" * 20, rr=0.35).beats("N" * 12).beats("N" * 20, rr=1.7),
    lambda p: p.beats("N" * 12, rr=1.3).beats("NNNN").beats("S" * 6, rr=0.45),
    lambda p: p.beats("N" * 12, rr=0.48),
    lambda p: p.beats("N" * 150, rr=irregular(150), p_wave=0.0),
    lambda p: p.beats("NNN").quiet(3, Level.UNUSABLE, Cause.GAP).beats("NN"),
    lambda p: p.beats("NNN").quiet(3, Level.UNUSABLE, Cause.FLAT).beats("NNNN"),
    lambda p: p.beats("NNN").quiet(3, Level.UNUSABLE, Cause.SATURATED).beats("NNNN"),
    lambda p: p.beats("NNN").quiet(3, Level.UNUSABLE, Cause.LEAD_OFF).beats("NNNN"),
    lambda p: p.beats("NNN").quiet(3, Level.UNUSABLE, Cause.NOISE).beats("NNNN"),
    fibrillating,
    lost,
)


def test_the_table_of_transitions_is_whole():
    """Every phase meets every sight; what is told fits the change of phase."""
    assert set(TRANSITIONS) == set(product(Phase, Sight))
    for (phase, _), (after, act) in TRANSITIONS.items():
        assert (act is Act.RAISE) == (phase is Phase.IDLE and after is Phase.ACTIVE)
        assert (act is Act.END) == (phase is not Phase.IDLE and after is Phase.IDLE)
        assert (act is Act.LATCH) == (phase is not Phase.LATCHED and after is Phase.LATCHED)
        assert (act is Act.ACKNOWLEDGE) == (phase is not Phase.ACKNOWLEDGED and after is Phase.ACKNOWLEDGED)
        if act in (Act.UPDATE, Act.NOTHING):
            assert phase is after
        if act is Act.RENEW:
            assert phase is not Phase.IDLE
            assert after is Phase.ACTIVE


IMPOSSIBLE = {
    # These speak of an alert that there is.
    (Phase.IDLE, Sight.MORE),
    (Phase.IDLE, Sight.AGAIN),
    (Phase.IDLE, Sight.ABSENT),
    (Phase.IDLE, Sight.ANSWERED),
    # What latches is never simply over.
    (Phase.LATCHED, Sight.OVER),
}


def test_every_transition_is_visited(monkeypatch, tmp_path):
    import monitor.alarms as module

    class Watched(dict):
        def __getitem__(self, key):
            visited.add(key)
            return super().__getitem__(key)

    visited: set[tuple[Phase, Sight]] = set()
    monkeypatch.setattr(module, "TRANSITIONS", Watched(TRANSITIONS))
    path = tmp_path / "own.toml"
    path.write_text('[alarms]\nlatching = ["asystole", "vf", "vt", "pause"]\n')
    p = Patient(config.load(path))
    couplet = lambda: p.beats("NNN").beats("VV", rr=0.5).beats("NN")  # noqa: E731
    p.beats("NNNN").beats("V" * 6, rr=0.35).beats("NNN").acknowledge()  # latched, answered
    (
        couplet(),
        couplet().acknowledge(),
        couplet().acknowledge().beats("N" * 20),
    )  # again; again though acknowledged; over
    p.beats("NNNN").beats("V" * 6, rr=0.35).acknowledge().acknowledge().beats("V" * 4, rr=0.3).beats("NNNN")
    p.beats("NNNN").beats("V" * 6, rr=0.35).beats("NNNN").beats("V" * 6, rr=0.25).beats("NNNN")  # renewed
    p.beats("V" * 4, rr=0.7).acknowledge().quiet(3, Level.UNUSABLE, Cause.NOISE).beats("NNNN")  # overruled
    p.quiet(3.2).beats("N" * 14).quiet(3.2).beats("NNN").acknowledge().beats("N" * 20)  # a pause latched, and again
    p.quiet(6).wave = (0.0, 0.9)
    p.quiet(8)
    p.wave = (0.0, 0.0)
    p.beats("N" * 10).beats("V" * 6, rr=0.35).beats("N" * 4)
    p.wave = (0.0, 0.9)
    p.quiet(4)
    assert set(TRANSITIONS) - visited == IMPOSSIBLE


def test_the_rules_are_in_order():
    """What overrules is looked at before what it overrules, so that one event settles the chain."""
    kinds = [rule.kind for rule in RULES]
    assert len(set(kinds)) == len(kinds) == len(BY_KIND)
    for rule in RULES:
        for below in rule.over:
            assert kinds.index(rule.kind) < kinds.index(below)
            assert rule.kind in OVERRULED_BY[below]
        assert rule.life is Life.HOLD or rule.counts


def test_the_chains_of_the_table():
    for worse, below in (("vf", "vt"), ("vt", "v_run"), ("v_run", "couplet"), ("asystole", "extreme_brady"),
                         ("extreme_brady", "brady"), ("extreme_tachy", "tachy"), ("af", "irregular_hr"),
                         ("vf", "asystole"), ("pause", "missed_beat"), ("v_rhythm", "v_run")):  # fmt: skip
        assert worse in OVERRULED_BY[below]
