"""The life of alerts: judged beats and seconds in, the same events and alerts out.

Laws:

* One alert a kind and stream is open at a time; its ``id`` is stable from raised to ended.
* What happens next is a table: :data:`TRANSITIONS`, from the phase of an alert and what its rule sees.
* In a chain only the worst is announced: a rule's ``over`` end when it begins and do not begin while it lasts.
* What latches stays when its condition is over, until a person acknowledges it; a new event of its kind is a new alert,
  acknowledged or not.
* VT and VF that come back within seconds are the alert that there is, unless a person has acknowledged it.
* A signal of which nothing may be concluded (gap, unusable quality) ends the physiological alerts that do not latch,
  empties the memory of beats and lets none be raised: missing data are never asystole. Noise is no reason for a rule
  that knows noise when it sees it.
* A second lead stands in for the first and speaks against what only noise shows (``leads.py``); it is told of by alerts
  alone, and goes no further.
* A source that has gone silent changes nothing but that it is said: should what is missing come after all, the alerts
  are those of a run without a pause; should it not, a gap comes in its place.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from monitor.config import AlarmSettings, Settings, for_stream
from monitor.events import (
    FS,
    Acknowledge,
    Alert,
    Closed,
    Command,
    Enable,
    Event,
    Gap,
    Lost,
    Numbering,
    Opened,
    Priority,
    Silence,
    Verdict,
    lead_of,
)
from monitor.leads import asked, compare, found, heard, linked, missed
from monitor.memory import forget, note, suspended
from monitor.patient import Finding, Open, Patient, Phase
from monitor.rules import BY_KIND, OVERRULED_BY, RULES, Life, On, Rule
from monitor.transitions import STATES, TRANSITIONS, Act, Sight


class Alarms:
    """The core; see the module's laws."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.alarms
        self._own: dict[str, AlarmSettings] = {}
        self._patients: dict[str, Patient] = {}
        self._numbers = Numbering()
        self._last: dict[str, int] = {}
        """By stream, the number of its last alert."""

    def push(self, events: Sequence[Event]) -> list[Event]:
        """The classifier's events in; the same, renumbered, each followed by the alerts that it brought, out. What a
        person wants comes in as an event too; an acknowledgement goes out as alerts alone."""
        out: list[Event] = []
        for event in events:
            stream = event.stream
            if isinstance(event, Command):
                if stream not in self._patients:
                    continue
                event = msgspec.structs.replace(event, sample=self._patients[stream].now)  # noqa: PLW2901
            if not isinstance(event, Acknowledge) and lead_of(event) == 0:
                out.append(msgspec.structs.replace(event, seq=self._numbers.next(stream)))
            patient = self._patients.setdefault(stream, Patient())
            if isinstance(event, Opened):
                patient = self._patients[stream] = Patient(start_time=event.start_time, leads=event.leads)
            if stream not in self._own:
                self._own[stream] = for_stream(self._settings, stream)
            for alert in advance(patient, event, self._own[stream]):
                number = self._numbers.next(stream)
                out.append(msgspec.structs.replace(alert, seq=number, previous=self._last.get(stream, 0)))
                self._last[stream] = number
            if isinstance(event, Closed):
                del self._patients[stream], self._own[stream]
        return out

    def state(self) -> dict[str, Any]:
        """Everything that the next alerts depend on; plain types."""
        return {
            "patients": {stream: msgspec.to_builtins(patient) for stream, patient in self._patients.items()},
            "numbers": self._numbers.state(),
            "last": dict(self._last),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._patients = {stream: msgspec.convert(each, Patient) for stream, each in state["patients"].items()}
        for patient in self._patients.values():
            linked(patient)
        self._numbers.restore(state["numbers"])
        self._last = dict(state["last"])


def advance(patient: Patient, event: Event, settings: AlarmSettings) -> list[Alert]:
    """What one event of one patient's stream changes: ``patient`` in place, and the alerts to tell (their numbers still
    to be filled in)."""
    out: list[Alert] = []
    if isinstance(event, Acknowledge):
        for kind, held in list(patient.active.items()):
            if event.alert in (None, held.id):
                _go(out, patient, event.stream, BY_KIND[kind], Sight.ANSWERED, None, settings, "")
        return out
    if isinstance(event, Silence):
        return out  # alarms make no sound; whoever does is told by the event itself
    if isinstance(event, Enable):
        patient.switched[event.kind] = event.on
        if not event.on:
            _go(out, patient, event.stream, BY_KIND[event.kind], Sight.OVERRULED, None, settings, "switched off")
        return out
    source = heard(patient, event)
    when = note(source, event, settings)
    if isinstance(event, Lost):
        # Time is the sample: of a patient who is not heard of nothing new is known, and what was known stays.
        rule = BY_KIND["source_lost"]
        _go(out, patient, event.stream, rule, Sight.SAME, rule.find(patient, settings), settings, "")
        return out
    if isinstance(event, Closed):
        for kind in list(patient.active):
            _go(out, patient, event.stream, BY_KIND[kind], Sight.OVERRULED, None, settings, "the stream has ended")
        return out
    nothing_there, noisy = suspended(source, settings)
    if nothing_there or noisy:
        forget(source, looks=nothing_there)
    if isinstance(event, Verdict) and source is patient:
        compare(patient, settings)
    if isinstance(event, Gap):
        missed(patient, event, settings)
    patient.now = max(patient.now, source.now)
    judged = asked(patient, settings)
    if source is not patient and source is not judged:
        return out  # the second lead is heard, and nothing is asked of it
    for rule in RULES:
        technical = rule.class_ == "technical"
        here = source is (patient if technical else judged)
        looked_at = (
            here
            and rule.on in (when, "both")
            and (rule.every is None or patient.now % (rule.every(settings) * FS) == 0)
        )
        off = not patient.switched.get(rule.kind, rule.kind not in settings.disabled)
        if rule.kind not in patient.active and (not looked_at or off):
            continue  # nothing can come of it
        unable = not technical and here and (nothing_there or (noisy and not rule.despite_noise))
        worse = next((kind for kind in OVERRULED_BY[rule.kind] if _stands(patient, kind, rule, settings)), None)
        finding = None
        why = ""
        if unable or worse is not None:
            latches = rule.kind in settings.latching and worse is None
            sight = Sight.LEFT if latches else Sight.OVERRULED
            why = f"now {worse}" if worse is not None else "analysis suspended"
        elif not looked_at:
            sight = _waiting(patient, rule, settings)
        else:
            finding = rule.find(patient, settings) if technical else found(rule, patient, settings)
            sight = _sight(patient, rule, finding, when, settings)
        _go(out, patient, event.stream, rule, sight, finding, settings, why)
    if isinstance(event, Gap):
        patient.gap = None  # the signal is back: what was said of the gap ends with the next report
    return out


def _stands(patient: Patient, kind: str, rule: Rule, settings: AlarmSettings) -> bool:
    """Whether an alert of this kind makes one of the rule pointless: its condition holds, or might come back and the
    other is of lower priority."""
    over = patient.holds(kind) and patient.active[kind].against >= BY_KIND[kind].clear(settings)
    return patient.holds(kind) and not (over and rule.priority is Priority.HIGH)


def _until(patient: Patient, rule: Rule, settings: AlarmSettings) -> int:
    """The sample before which an alert does not end by itself."""
    seconds = settings.hold_s if rule.life is Life.HOLD else rule.stays(settings)
    return patient.now + round(seconds * FS)


def _waiting(patient: Patient, rule: Rule, settings: AlarmSettings) -> Sight:
    """The rule is not looked at now; only a HOLD may run out."""
    held = patient.active.get(rule.kind)
    over = held is not None and rule.life is Life.HOLD and patient.now >= held.until
    return _gone(rule, settings) if over else Sight.ABSENT


def _gone(rule: Rule, settings: AlarmSettings) -> Sight:
    return Sight.LEFT if rule.kind in settings.latching else Sight.OVER


def _sight(patient: Patient, rule: Rule, finding: Finding | None, when: On, settings: AlarmSettings) -> Sight:
    held = patient.active.get(rule.kind)
    over = _gone(rule, settings)
    if finding is None:
        if held is None:
            return over
        if rule.life is Life.HOLD:
            return _waiting(patient, rule, settings)
        if when not in rule.counts:
            return Sight.ABSENT
        held.against += 1
        stays = held.phase is Phase.ACTIVE and patient.now < held.until
        return over if held.against >= rule.clear(settings) and not stays else Sight.ABSENT
    if held is None:
        return Sight.SAME
    held.against = 0
    if rule.life is Life.HOLD:
        return _waiting(patient, rule, settings) if finding.onset == held.onset else Sight.AGAIN
    held.until = _until(patient, rule, settings)
    before, now = held.value, finding.value
    changed = rule.step > 0 and before is not None and now is not None and abs(now - before) >= rule.step
    return Sight.MORE if changed else Sight.SAME


def _go(
    out: list[Alert],
    patient: Patient,
    stream: str,
    rule: Rule,
    sight: Sight,
    finding: Finding | None,
    settings: AlarmSettings,
    why: str,
) -> None:
    """One step of the table."""
    held = patient.active.get(rule.kind)
    phase, act = TRANSITIONS[held.phase if held is not None else Phase.IDLE, sight]
    if act is Act.NOTHING:
        return
    if act in (Act.END, Act.RENEW):
        assert held is not None
        del patient.active[rule.kind]
        out.append(_alert(patient, stream, rule, Act.END, held, why))
    if act in (Act.RAISE, Act.RENEW):
        assert finding is not None
        held = patient.active[rule.kind] = Open(
            id=f"{stream}/{rule.kind}/{finding.onset}",
            onset=finding.onset,
            value=finding.value,
            until=_until(patient, rule, settings),
            against=0,
            beats=finding.beats,
            limit=finding.limit,
            unit=finding.unit,
            message=finding.message,
        )
        out.append(_alert(patient, stream, rule, Act.RAISE, held, ""))
    elif act is not Act.END:
        assert held is not None
        held.phase = phase
        if act is Act.UPDATE:
            assert finding is not None
            held.value, held.beats, held.message = finding.value, finding.beats, finding.message
        if act is Act.LATCH:
            why = f"{why}; latched" if why else "over; latched"
        out.append(_alert(patient, stream, rule, act, held, why))


def _alert(patient: Patient, stream: str, rule: Rule, act: Act, held: Open, why: str) -> Alert:
    return Alert(
        schema="ecg-monitor/alert/1",
        id=held.id,
        stream=stream,
        seq=1,
        kind=rule.kind,
        priority=rule.priority,
        class_=rule.class_,
        state=STATES[act],
        latched=held.phase is Phase.LATCHED,
        sample=patient.now,
        onset_sample=held.onset,
        onset_time=round(patient.start_time + held.onset / FS, 3),
        published_time=None,
        value=held.value,
        limit=held.limit,
        unit=held.unit,
        message=f"{held.message} ({why})" if why else held.message,
        beats=held.beats,
        previous=0,
    )
