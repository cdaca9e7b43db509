"""A second lead: it stands in for the first, speaks against what only noise shows there, and says nothing else."""

from dataclasses import dataclass, field

import pytest
from patients import latching

from monitor.alarms import Alarms
from monitor.events import (
    FS,
    Alert,
    AlertState,
    BeatClass,
    Cause,
    Gap,
    Level,
    Opened,
    Quality,
    Rhythm,
    Verdict,
    lead_of,
)

GOOD = (Level.GOOD, Cause.NONE)
NOISY = (Level.NOISY, Cause.NOISE)
NOISE = (Level.UNUSABLE, Cause.NOISE)
OFF = (Level.UNUSABLE, Cause.LEAD_OFF)


@dataclass
class Lead:
    """What one lead shows: rhythms one after the other, stretches of signal that is not good, and of fibrillation;
    seconds."""

    beats: list[tuple[float, str]] = field(default_factory=list)
    bad: list[tuple[float, float, tuple[Level, Cause]]] = field(default_factory=list)
    waves: tuple[float, float] = (0.0, 0.0)

    def rhythm(self, until, label="N", rr=0.8, first=None):
        """Beats of one class, ``rr`` s apart."""
        at = first if first is not None else (self.beats[-1][0] if self.beats else 0.0) + rr
        while at < until:
            self.beats.append((at, label))
            at += rr
        return self

    def signal(self, begin, end, state):
        self.bad.append((begin, end, state))
        return self

    def at(self, second):
        return next((state for begin, end, state in self.bad if begin < second <= end), GOOD)

    def events(self, number, seconds):
        """As the classifier tells of it: each with the sample with which it became known."""
        last = None
        for at, label in self.beats:
            sample = round(at * FS)
            level, _ = self.at(at)
            yield (
                sample + FS // 3, number,
                Verdict(stream="p", seq=1, sample=sample, label=BeatClass(label),
                        probabilities=tuple(float(label == name) for name in "NSVFQ"),
                        rr=None if last is None else sample - last, level=level, amplitude=1.0, p_likeness=0.9,
                        p_amplitude=0.1, lead=number),
            )  # fmt: skip
            last = sample
        for eighth in range(1, 8 * seconds + 1):
            sample = eighth * FS // 8
            level, cause = self.at(sample / FS)
            before = [round(at * FS) for at, _ in self.beats if at * FS + FS // 3 <= sample]
            silence = sample - (before[-1] if before else 0)
            if eighth % 8 == 0 or silence > FS:
                yield (sample, number, Quality(stream="p", seq=1, sample=sample, level=level, cause=cause, noise=0.0,
                                               silence=silence, lead=number))  # fmt: skip
            if eighth % 8 == 0:
                yield (sample, number, Rhythm(stream="p", seq=1, sample=sample, vt=0.0,
                                              vf=float(self.waves[0] < sample / FS <= self.waves[1]), amplitude=1.0,
                                              lead=number))  # fmt: skip


def alerts(settings, seconds, *leads, gap=None):
    core = Alarms(latching(settings))
    out = core.push([Opened(stream="p", seq=1, source="", fs=360.0, leads=("II", "V5")[: len(leads)], start_time=0.0,
                            length=None)])  # fmt: skip
    known = sorted((e for k, lead in enumerate(leads) for e in lead.events(k, seconds)), key=lambda each: each[:2])
    if gap is not None:
        at = next(k for k, each in enumerate(known) if each[0] >= gap.stop)
        known.insert(at, (gap.stop, 0, gap))
    out += core.push([event for _, _, event in known])
    assert [event.seq for event in out] == list(range(1, len(out) + 1))
    assert not [event for event in out if not isinstance(event, Alert) and lead_of(event)]
    return [event for event in out if isinstance(event, Alert)]


def raised(told, kind=None):
    return [(a.kind, a.sample // FS) for a in told if a.state is AlertState.RAISED and kind in (None, a.kind)]


def with_run(until=60.0, at=20.0):
    """Normal, but for six ventricular beats at 150 a minute."""
    return Lead().rhythm(at).rhythm(at + 2.4, "V", 0.4).rhythm(until)


def test_what_is_heard_of_the_second_lead_alone_raises_nothing(settings):
    quiet = alerts(settings, 60, Lead().rhythm(60.0), with_run())
    assert raised(quiet) == []


@pytest.mark.parametrize("state", [OFF, NOISE])
def test_it_stands_in_while_the_first_cannot_be_judged(settings, state):
    first = Lead().rhythm(60.0).signal(10.0, 40.0, state)
    assert raised(alerts(settings, 60, first), "vt") == []
    told = alerts(settings, 60, first, with_run())
    assert raised(told, "vt") == [("vt", 21)]
    technical = [a for a in told if a.class_ == "technical"]
    assert technical[0].message.startswith("II: ") and technical[0].message.endswith("; analysis of V5")
    assert (technical[0].value, technical[0].unit) == (1.0, "leads left")


def test_a_silence_of_the_second_is_an_asystole_while_the_first_is_off(settings):
    first = Lead().rhythm(60.0).signal(10.0, 40.0, OFF)
    second = Lead().rhythm(20.0).rhythm(60.0, first=27.0)
    assert raised(alerts(settings, 60, first), "asystole") == []
    assert raised(alerts(settings, 60, first, second), "asystole") == [("asystole", 23)]


def test_a_lead_of_which_little_is_known_does_not_stand_in(settings):
    first = Lead().rhythm(60.0).signal(30.0, 55.0, OFF)
    plain = Lead().rhythm(38.0).rhythm(60.0, first=46.0)
    assert raised(alerts(settings, 60, first, plain), "asystole") == [("asystole", 41)]
    deaf = Lead().rhythm(38.0, rr=1.6).rhythm(60.0, first=46.0)  # every second beat it never found
    late = Lead(plain.beats).signal(0.0, 34.0, OFF)
    for second in (deaf, late):
        told = alerts(settings, 60, first, second)
        assert raised(told, "asystole") == []
        assert "analysis suspended" in next(a.message for a in told if a.kind == "lead_off")


def test_analysis_is_suspended_when_neither_can_be_judged_and_that_is_said(settings):
    first = Lead().rhythm(60.0).signal(10.0, 40.0, OFF)
    second = with_run(at=30.0).signal(25.0, 45.0, OFF)
    told = alerts(settings, 60, first, second)
    assert raised(told, "vt") == raised(told, "asystole") == []
    off = [(a.state, a.message) for a in told if a.kind == "lead_off"]
    assert [(str(state), message.partition("; ")[2]) for state, message in off[:2]] == [
        ("raised", "analysis of V5"), ("updated", "analysis suspended"),
    ]  # fmt: skip


def test_it_goes_on_for_a_while_when_the_first_is_back_and_no_longer(settings):
    first = Lead().rhythm(60.0).signal(10.0, 30.0, OFF)
    back = settings.alarms.lead_back_s
    soon, late = 30.0 + back - 6.0, 30.0 + back + 2.0
    first.rhythm(110.0)
    assert len(raised(alerts(settings, 110, first, with_run(110.0, at=soon)), "vt")) == 1
    assert raised(alerts(settings, 110, first, with_run(110.0, at=late)), "vt") == []
    # And what the first shows is heard as soon as it is back.
    first = with_run(at=32.0).signal(10.0, 30.0, OFF)
    assert len(raised(alerts(settings, 60, first, Lead().rhythm(60.0)), "vt")) == 1


def test_fibrillation_that_looks_like_noise_is_told_of_the_lead_that_is_left(settings):
    first = Lead().rhythm(60.0).signal(10.0, 60.0, OFF)
    second = Lead().rhythm(20.0).signal(22.0, 60.0, NOISE)
    second.waves = (22.0, 60.0)
    told = alerts(settings, 60, first, second)
    assert raised(told, "vf") == [("vf", 24)]
    assert [a.state for a in told if a.kind == "vf"] == [AlertState.RAISED]
    assert "analysis suspended" in [a.message for a in told if a.kind == "lead_off"][-1]


def test_fibrillation_in_a_first_lead_that_is_only_noisy_is_told_if_the_second_shows_nothing_to_the_contrary(settings):
    first = Lead().rhythm(20.0).signal(20.0, 60.0, NOISE)
    first.waves = (22.0, 60.0)
    aberrant = Lead().rhythm(20.0).rhythm(60.0, "S", 0.4)
    assert raised(alerts(settings, 60, first), "vf") == [("vf", 24)]
    assert [kind for kind, _ in raised(alerts(settings, 60, first, aberrant), "vf")] == ["vf"]
    assert raised(alerts(settings, 60, first, Lead().rhythm(60.0)), "vf") == []


def test_a_missing_sample_is_no_end_of_standing_in(settings):
    first = Lead().rhythm(60.0).signal(10.0, 60.0, OFF)
    second = Lead().rhythm(20.0).rhythm(60.0, "V", 0.4)
    at = 40 * FS + 7
    gap = Gap(stream="p", seq=1, start=at, stop=at + 1, cause="missing")
    told = alerts(settings, 60, first, second, gap=gap)
    assert [a.state for a in told if a.kind == "vt" and a.state is not AlertState.UPDATED] == [AlertState.RAISED]


def test_a_pattern_that_takes_a_minute_outlives_the_change_between_leads(settings):
    every_fourth = Lead()
    for k in range(1, 240):
        every_fourth.beats.append((0.8 * k, "NNNV"[k % 4]))
    first = Lead(every_fourth.beats).signal(80.0, 100.0, OFF)
    told = [a.state for a in alerts(settings, 190, first, every_fourth) if a.kind == "pvc_rate"]
    assert told.count(AlertState.RAISED) == 1 and AlertState.ENDED not in told


def test_leads_of_a_stream_whose_beginning_was_missed_have_names_all_the_same(settings):
    core = Alarms(settings)
    events = [e for k, lead in enumerate((Lead().rhythm(20.0).signal(10.0, 20.0, OFF), Lead().rhythm(20.0)))
              for e in lead.events(k, 20)]  # fmt: skip
    told = core.push([event for _, _, event in sorted(events, key=lambda each: each[:2])])
    (off,) = [a for a in told if isinstance(a, Alert) and a.state is AlertState.RAISED]
    assert off.message == "the first lead: lead off; analysis of the second lead"


def test_the_clean_lead_is_believed_against_a_silence_in_the_noisy_one(settings):
    silent = Lead().rhythm(20.0).rhythm(60.0, first=27.0)
    noisy = Lead(silent.beats).signal(19.0, 28.0, NOISY)
    beating = Lead().rhythm(60.0)
    assert raised(alerts(settings, 60, silent), "asystole") == [("asystole", 23)]
    # Noise alone may hide a lead that is off, not an asystole that began in it: here it did not.
    assert raised(alerts(settings, 60, silent, beating), "asystole") == [("asystole", 23)]
    assert raised(alerts(settings, 60, noisy), "asystole") == [("asystole", 23)]
    assert raised(alerts(settings, 60, noisy, beating)) == []


def test_the_clean_lead_is_believed_against_a_tachycardia_in_the_noisy_one(settings):
    noisy = with_run().signal(19.0, 28.0, NOISY)
    assert raised(alerts(settings, 60, noisy), "vt") == [("vt", 21)]
    assert raised(alerts(settings, 60, noisy, Lead().rhythm(60.0))) == []
    # A good first lead is never spoken against.
    assert raised(alerts(settings, 60, with_run(), Lead().rhythm(60.0)), "vt") == [("vt", 21)]
    # Nor does a second one speak that is in doubt itself, or shows anything but normal beats, or none, or half.
    doubtful = Lead().rhythm(60.0).signal(20.0, 21.0, NOISY)
    assert raised(alerts(settings, 60, noisy, doubtful), "vt") == [("vt", 21)]
    aberrant = Lead().rhythm(20.0).rhythm(22.4, "S", 0.4).rhythm(60.0)
    assert raised(alerts(settings, 60, noisy, aberrant), "vt") == [("vt", 21)]
    silent = Lead().rhythm(19.5).rhythm(60.0, first=23.0)
    assert raised(alerts(settings, 60, noisy, silent), "vt") == [("vt", 21)]
    deaf = Lead().rhythm(60.0, rr=1.6)
    assert raised(alerts(settings, 60, noisy, deaf), "vt") == [("vt", 21)]


def test_a_rate_that_both_leads_have_is_no_noise(settings):
    fast = Lead().rhythm(10.0).rhythm(40.0, rr=0.35)
    noisy = Lead(fast.beats).signal(9.0, 40.0, NOISY)
    assert raised(alerts(settings, 40, noisy, fast), "tachy")
    # Every T wave taken for a beat.
    assert raised(alerts(settings, 40, noisy), "tachy")
    assert raised(alerts(settings, 40, noisy, Lead().rhythm(40.0, rr=0.7)), "tachy") == []


def test_where_there_is_no_second_lead_technical_alerts_are_as_ever(settings):
    told = alerts(settings, 40, Lead().rhythm(40.0).signal(10.0, 20.0, OFF))
    (off,) = [a for a in told if a.kind == "lead_off" and a.state is AlertState.RAISED]
    assert (off.message, off.value, off.unit) == ("lead off; analysis suspended", None, "")
