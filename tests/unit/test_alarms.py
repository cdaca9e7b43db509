"""The rule table, rule by rule, and the life of an alert, transition by transition."""

import json
from itertools import product

import jsonschema
import pytest

from monitor.alarms import TRANSITIONS, Act, Alarms, Phase, Sight
from monitor.events import (
    FS,
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
    Verdict,
)
from monitor.rules import BY_KIND, RULES
from monitor.wire import alert_schema, encode_alert

N, V = BeatClass.N, BeatClass.V


class Patient:
    """Feeds a stream's beats and seconds to the core, in the order in which the daemon would."""

    def __init__(self, settings):
        self.core = Alarms(settings)
        self.seq = 0
        self.at = 0
        self.last = None
        self.alerts: list[Alert] = []
        self.push(Opened(stream="p", seq=1, source="", fs=360.0, leads=("I",), start_time=500.0, length=None))

    def push(self, event):
        self.alerts += [e for e in self.core.push([event]) if isinstance(e, Alert)]

    def beats(self, labels, rr=0.8):
        """Beats ``rr`` s apart, a report on quality at every whole second between."""
        for label in labels:
            sample = self.at + round(rr * FS)
            self.seconds_until(sample)
            interval = None if self.last is None else sample - self.last
            self.push(Verdict(stream="p", seq=1, sample=sample, label=BeatClass(label),
                              probabilities=(1.0, 0.0, 0.0, 0.0, 0.0), rr=interval, level=Level.GOOD,
                              amplitude=1.0, p_likeness=0.9, p_amplitude=0.1))  # fmt: skip
            self.at = self.last = sample
        return self

    def seconds_until(self, sample, level=Level.GOOD, cause=Cause.NONE, step=FS):
        for second in range((self.at // step + 1) * step, sample, step):
            silence = 0 if cause is Cause.GAP else second - (self.last or 0)
            self.push(Quality(stream="p", seq=1, sample=second, level=level, cause=cause, noise=0.0, silence=silence))

    def quiet(self, seconds, level=Level.GOOD, cause=Cause.NONE):
        """No beats, and reports eight times a second."""
        end = self.at + round(seconds * FS)
        self.seconds_until(end, level, cause, step=45)
        self.at = end
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
    assert patient.told()[-1] == ("vt", "ended")


def test_a_slow_ventricular_run_is_no_vt(patient):
    patient.beats("NNNN").beats("V" * 8, rr=0.9)
    assert patient.raised() == ["v_run"]


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
    assert patient.told()[-1] == ("asystole", "ended")
    assert patient.raised() == ["pause", "asystole"]  # the long interval is not told a second time as a pause


def test_pause_is_told_once(patient):
    patient.beats("N" * 5).quiet(3.2).beats("N" * 3)
    assert patient.raised() == ["pause"]
    patient.beats("N" * 20)
    assert patient.told() == [("pause", "raised"), ("pause", "ended")]


def test_one_long_interval_is_no_bradycardia(patient):
    patient.beats("N" * 8, rr=1.2).quiet(3.0).beats("N" * 8, rr=1.2)
    assert patient.raised() == ["pause"]


def test_extreme_brady_and_its_hysteresis(patient):
    patient.beats("N" * 5).beats("N" * 5, rr=1.7)
    assert patient.raised() == ["extreme_brady"]
    patient.beats("N" * 3, rr=0.8)
    assert patient.told("extreme_brady") == [("extreme_brady", "raised")]  # the mean has just come back
    patient.beats("N" * 3, rr=0.8)
    assert patient.told("extreme_brady")[-1] == ("extreme_brady", "ended")


def test_extreme_tachy(patient):
    patient.beats("N" * 5).beats("N" * 14, rr=0.4)
    assert patient.raised() == []
    patient.beats("N" * 4, rr=0.4)
    assert patient.raised() == ["extreme_tachy"]


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
    ended = [a for a in patient.alerts if (a.kind, a.state) == ("vt", AlertState.ENDED)]
    assert len(ended) == 1
    assert "analysis suspended" in ended[0].message
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
    assert patient.told()[-1] == ("vt", "ended")
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


def test_the_table_of_transitions_is_whole():
    """Every phase meets every sight; an alert is raised only from IDLE, told on only while ACTIVE."""
    assert set(TRANSITIONS) == set(product(Phase, Sight))
    for (phase, _), (after, act) in TRANSITIONS.items():
        assert (act is Act.RAISE) == (phase is Phase.IDLE and after is Phase.ACTIVE)
        assert (act is Act.END) == (phase is Phase.ACTIVE and after is Phase.IDLE)
        if act is Act.UPDATE:
            assert phase is after is Phase.ACTIVE


def test_every_transition_is_visited(settings, monkeypatch):
    import monitor.alarms as module

    class Watched(dict):
        def __getitem__(self, key):
            visited.add(key)
            return super().__getitem__(key)

    visited: set[tuple[Phase, Sight]] = set()
    monkeypatch.setattr(module, "TRANSITIONS", Watched(TRANSITIONS))
    patient = Patient(settings)
    patient.beats("NNNN").beats("V" * 6, rr=0.35).beats("NNN").beats("VV", rr=0.5).beats("NN").beats("N" * 20)
    patient.beats("NNNN").beats("V" * 4, rr=0.7).quiet(3, Level.UNUSABLE, Cause.NOISE).quiet(6).beats("N" * 3)
    # (IDLE, MORE) cannot be: MORE speaks of an alert that is active.
    assert set(TRANSITIONS) - visited == {(Phase.IDLE, Sight.MORE)}


def test_the_rules_are_in_order():
    """What overrules is looked at before what it overrules, so that one event settles the chain."""
    kinds = [rule.kind for rule in RULES]
    assert len(set(kinds)) == len(kinds) == len(BY_KIND)
    for rule in RULES:
        for below in rule.over:
            assert kinds.index(rule.kind) < kinds.index(below)
            assert BY_KIND[below].priority >= rule.priority or BY_KIND[below].class_ == rule.class_
