"""The life of an alert, transition by transition; what suspends the rules, and what stands over what."""

import json
from itertools import product

import jsonschema
import pytest
from patients import Patient, irregular, latching

from monitor import config
from monitor.alarms import Alarms
from monitor.errors import UsageError
from monitor.events import (
    FS,
    Acknowledge,
    AlertState,
    BeatClass,
    Cause,
    Closed,
    Gap,
    Level,
    Lost,
    Priority,
)
from monitor.patient import Phase
from monitor.rules import BY_KIND, OVERRULED_BY, RULES, Life
from monitor.transitions import TRANSITIONS, Act, Sight
from monitor.wire import alert_schema, encode_alert

N, V = BeatClass.N, BeatClass.V


@pytest.fixture
def settings(settings):
    return latching(settings)


@pytest.fixture
def patient(settings):
    return Patient(settings)


def test_a_quiet_heart_raises_nothing(patient):
    patient.beats("N" * 100)
    assert patient.alerts == []


def test_each_couplet_has_an_alert_of_its_own(patient):
    for _ in range(2):
        patient.beats("NNN").beats("VV", rr=0.5).beats("N")
    assert patient.told() == [("couplet", "raised"), ("couplet", "ended"), ("couplet", "raised")]
    assert len({a.id for a in patient.alerts}) == 2


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
    patient.beats("N" * 14)
    assert patient.told("vt") == [("vt", "raised")]  # what comes back now is the same
    patient.beats("N" * 6)
    assert patient.told("vt") == [("vt", "raised"), ("vt", "updated")]
    assert patient.alerts[-1].latched
    patient.acknowledge()
    assert patient.told()[-1] == ("vt", "ended")


def test_a_tachycardia_that_comes_back_within_seconds_is_the_same_alarm(patient):
    patient.beats("NNNN")
    for _ in range(4):
        patient.beats("V" * 6, rr=0.35).beats("N" * 10)
    assert patient.raised().count("vt") == 1
    patient.beats("N" * 12).beats("V" * 6, rr=0.35)
    assert patient.raised().count("vt") == 2


def test_fibrillation_that_might_come_back_hides_no_asystole(patient):
    patient.beats("NNNN").wave = (0.0, 0.9)
    patient.quiet(3)
    assert patient.raised() == ["vf"]
    patient.quiet(20)
    assert patient.raised() == ["vf"]
    patient.wave = (0.0, 0.0)
    patient.quiet(9)
    assert patient.raised() == ["vf", "asystole"]
    assert patient.told("vf") == [("vf", "raised")]
    patient.beats("VV", rr=0.5).beats("NN")
    assert "couplet" not in patient.raised()  # of lower priority, and fibrillation is still announced


def test_a_tachycardia_that_hides_its_beats_in_noise_goes_on(patient):
    patient.beats("NNNN").beats("V" * 6, rr=0.35)
    patient.wave = (0.8, 0.1)
    patient.quiet(20, Level.UNUSABLE, Cause.NOISE)
    assert patient.told("vt") == [("vt", "raised")]
    patient.wave = (0.1, 0.8)
    patient.quiet(3, Level.UNUSABLE, Cause.NOISE)
    vt, vf = ([a for a in patient.alerts if a.kind == kind] for kind in ("vt", "vf"))
    assert [a.sample for a in vf] == [vt[-1].sample]
    assert "now vf" in vt[-1].message


def test_a_rate_at_its_limit_does_not_chatter(patient):
    """Between the limit and the margin nothing changes."""
    patient.beats("N" * 9, rr=60 / 122).beats("N" * 30, rr=60 / 118.5)
    assert patient.told() == [("tachy", "raised")]
    patient.beats("N" * 15, rr=60 / 110)
    assert patient.told()[-1] == ("tachy", "ended")


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
    patient.quiet(3, Level.UNUSABLE, Cause.SATURATED)
    latched = [a for a in patient.alerts if a.kind == "vt" and a.latched]
    assert len(latched) == 1
    assert "analysis suspended" in latched[0].message
    assert patient.raised()[-1] == "saturated"
    patient.beats("N" * 9)
    assert patient.told()[-1] == ("saturated", "ended")


@pytest.mark.parametrize("cause", [Cause.FLAT, Cause.SATURATED, Cause.LEAD_OFF, Cause.NOISE])
def test_every_cause_has_its_technical_alert(patient, cause):
    patient.beats("N" * 5).quiet(3, Level.UNUSABLE, cause).beats("N" * 9)
    assert patient.told() == [(str(cause), "raised"), (str(cause), "ended")]
    assert patient.alerts[0].class_ == "technical"
    assert patient.alerts[1].sample - patient.alerts[0].sample >= 5 * FS


def test_a_loose_electrode_is_one_alert(patient):
    """It comes off for half a second, every second and a half, and what lies between is noise: one alert, which ends
    when it has been on for five seconds."""
    patient.beats("N" * 5)
    for _ in range(20):
        patient.quiet(0.5, Level.UNUSABLE, Cause.LEAD_OFF).quiet(0.5, Level.UNUSABLE, Cause.NOISE).quiet(0.5)
    patient.beats("N" * 9)
    assert patient.told("lead_off") == [("lead_off", "raised"), ("lead_off", "ended")]
    assert patient.told("noise") == []


def test_waves_of_before_the_electrode_was_on_are_no_fibrillation(patient):
    """A report on the rhythm speaks of four seconds: one that holds the electrode's being put on is left out."""
    patient.beats("N" * 5).quiet(3, Level.UNUSABLE, Cause.LEAD_OFF)
    on_again = patient.at
    patient.wave = (0.0, 1.0)
    patient.quiet(3.9)
    assert "vf" not in patient.raised()
    patient.quiet(3.0)
    assert "vf" in patient.raised()
    raised = next(a for a in patient.alerts if a.kind == "vf")
    assert 4.0 <= (raised.sample - on_again) / FS <= 6.0


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
    patient.beats("N" * 24).beats("V" * 6, rr=0.35)
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
    p.beats("NNNN").beats("V" * 6, rr=0.35).beats("N" * 24).acknowledge()  # latched, answered
    (
        couplet(),
        couplet().acknowledge(),
        couplet().acknowledge().beats("N" * 20),
    )  # again; again though acknowledged; over
    p.beats("NNNN").beats("V" * 6, rr=0.35).acknowledge().acknowledge().beats("V" * 4, rr=0.3).beats("NNNN")
    p.beats("NNNN").beats("V" * 6, rr=0.35).beats("N" * 24).beats("V" * 6, rr=0.25).beats("N" * 24)  # renewed
    p.beats("V" * 4, rr=0.7).acknowledge().quiet(3, Level.UNUSABLE, Cause.NOISE).beats("NNNN")  # overruled
    p.quiet(3.2).beats("N" * 14).quiet(3.2).beats("NNN").acknowledge().beats("N" * 20)  # a pause latched, and again
    p.quiet(6).wave = (0.0, 0.9)
    p.quiet(8)
    p.wave = (0.0, 0.0)
    p.beats("N" * 10).beats("V" * 6, rr=0.35).beats("N" * 24)
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
