"""The life of alerts: judged beats and seconds in, the same events and alerts out.

Laws:

* One alert a kind and stream is active at a time; its ``id`` is stable from raised to ended.
* What happens next is a table: :data:`TRANSITIONS`, from the phase of an alert and what its rule sees.
* In a chain only the worst is announced: a rule's ``over`` end when it begins and do not begin while it lasts.
* A signal of which nothing may be concluded (gap, silent source, unusable quality) ends the physiological alerts,
  empties the memory of beats and lets none be raised: missing data are never asystole.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

import msgspec

from monitor.config import AlarmSettings, Settings
from monitor.events import (
    FS,
    Alert,
    AlertState,
    Cause,
    Closed,
    Event,
    Gap,
    Level,
    Lost,
    Numbering,
    Opened,
    Quality,
    Verdict,
    position,
)
from monitor.rules import BY_KIND, MEMORY, RULES, Finding, Life, Open, Patient, Rule, Seen


class Phase(Enum):
    """Where an alert is in its life."""

    IDLE = auto()
    ACTIVE = auto()


class Sight(Enum):
    """What an alert's rule, and what stands over it, say now."""

    SAME = auto()  # the condition holds, as before
    MORE = auto()  # it holds, and its value has changed by a step; or, for HOLD, it has come again
    ABSENT = auto()  # it does not hold, but has not been absent for long enough
    OVER = auto()  # it does not hold any more
    OVERRULED = auto()  # something worse, or the end of analysis, makes it pointless


class Act(Enum):
    """What is told."""

    NOTHING = auto()
    RAISE = auto()
    UPDATE = auto()
    END = auto()


TRANSITIONS: dict[tuple[Phase, Sight], tuple[Phase, Act]] = {
    (Phase.IDLE, Sight.SAME): (Phase.ACTIVE, Act.RAISE),
    (Phase.IDLE, Sight.MORE): (Phase.ACTIVE, Act.RAISE),
    (Phase.IDLE, Sight.ABSENT): (Phase.IDLE, Act.NOTHING),
    (Phase.IDLE, Sight.OVER): (Phase.IDLE, Act.NOTHING),
    (Phase.IDLE, Sight.OVERRULED): (Phase.IDLE, Act.NOTHING),
    (Phase.ACTIVE, Sight.SAME): (Phase.ACTIVE, Act.NOTHING),
    (Phase.ACTIVE, Sight.MORE): (Phase.ACTIVE, Act.UPDATE),
    (Phase.ACTIVE, Sight.ABSENT): (Phase.ACTIVE, Act.NOTHING),
    (Phase.ACTIVE, Sight.OVER): (Phase.IDLE, Act.END),
    (Phase.ACTIVE, Sight.OVERRULED): (Phase.IDLE, Act.END),
}


class Alarms:
    """The core; see the module's laws."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.alarms
        self._patients: dict[str, Patient] = {}
        self._numbers = Numbering()

    def push(self, events: Sequence[Event]) -> list[Event]:
        """The classifier's events in; the same, renumbered, each followed by the alerts that it brought, out."""
        out: list[Event] = []
        for event in events:
            out.append(msgspec.structs.replace(event, seq=self._numbers.next(event.stream)))
            patient = self._patients.setdefault(event.stream, Patient())
            if isinstance(event, Opened):
                patient = self._patients[event.stream] = Patient(start_time=event.start_time)
            for alert in advance(patient, event, self._settings):
                out.append(msgspec.structs.replace(alert, seq=self._numbers.next(event.stream)))
            if isinstance(event, Closed):
                del self._patients[event.stream]
        return out

    def state(self) -> dict[str, Any]:
        """Everything that the next alerts depend on; plain types."""
        return {
            "patients": {stream: msgspec.to_builtins(patient) for stream, patient in self._patients.items()},
            "numbers": self._numbers.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._patients = {stream: msgspec.convert(each, Patient) for stream, each in state["patients"].items()}
        self._numbers.restore(state["numbers"])


def advance(patient: Patient, event: Event, settings: AlarmSettings) -> list[Alert]:
    """What one event of one patient's stream changes: ``patient`` in place, and the alerts to tell (``seq`` 1)."""
    when = note(patient, event)
    out: list[Alert] = []
    if isinstance(event, Closed):
        for kind in list(patient.active):
            _tell(out, patient, event.stream, BY_KIND[kind], Act.END, None, settings, "the stream has ended")
        return out
    suspended = patient.gap is not None or patient.lost is not None or patient.bad >= settings.unusable_reports
    if suspended:
        patient.beats.clear()
        patient.silence = 0
        patient.usable_since = patient.now
    for rule in RULES:
        silenced = suspended and rule.class_ == "physiological"
        worse = next((r.kind for r in RULES if rule.kind in r.over and r.kind in patient.active), None)
        finding = None
        if silenced or worse is not None:
            sight = Sight.OVERRULED
        elif rule.on not in (when, "both"):
            sight = _waiting(patient, rule)
        else:
            finding = rule.find(patient, settings)
            sight = _sight(patient, rule, finding, settings)
        phase = Phase.ACTIVE if rule.kind in patient.active else Phase.IDLE
        _, act = TRANSITIONS[phase, sight]
        if act is not Act.NOTHING:
            why = "analysis suspended" if silenced else f"now {worse}" if worse else ""
            _tell(out, patient, event.stream, rule, act, finding, settings, why)
    if isinstance(event, Gap):
        patient.gap = None  # the signal is back: what was said of the gap ends with the next report
    return out


def note(patient: Patient, event: Event) -> str:
    """Takes the event into what is known of the patient; what kind of rules it concerns."""
    patient.now = max(patient.now, position(event))
    if not isinstance(event, Lost):
        patient.lost = None
    match event:
        case Verdict():
            patient.silence = 0
            trusted = event.rr is not None and event.sample - event.rr >= patient.usable_since
            patient.beats.append(Seen(event.sample, event.label, event.rr if trusted else None))
            del patient.beats[:-MEMORY]
            return "beat"
        case Quality():
            patient.cause = event.cause
            patient.silence = min(event.silence, event.sample - patient.usable_since)
            if event.cause is Cause.GAP:
                start = patient.gap[0] if patient.gap else event.sample - FS
                patient.gap = (start, event.sample, "missing")
                patient.bad = 0
            else:
                patient.gap = None
                patient.bad = patient.bad + 1 if event.level is Level.UNUSABLE else 0
        case Gap():
            patient.gap = (event.start, event.stop, event.cause)
            patient.now = max(patient.now, event.stop)
        case Lost():
            patient.lost = event.sample
    return "time"


def _waiting(patient: Patient, rule: Rule) -> Sight:
    """The rule is not looked at now; only a HOLD may run out."""
    held = patient.active.get(rule.kind)
    over = held is not None and rule.life is Life.HOLD and patient.now >= held.until
    return Sight.OVER if over else Sight.ABSENT


def _sight(patient: Patient, rule: Rule, finding: Finding | None, settings: AlarmSettings) -> Sight:
    held = patient.active.get(rule.kind)
    if finding is None:
        if held is None:
            return Sight.OVER
        if rule.life is Life.HOLD:
            return _waiting(patient, rule)
        held.against += 1
        return Sight.OVER if held.against >= rule.clear(settings) else Sight.ABSENT
    if held is None:
        return Sight.SAME
    held.against = 0
    if rule.life is Life.HOLD:
        if finding.onset == held.onset:
            return _waiting(patient, rule)
        return Sight.MORE
    before, now = held.value, finding.value
    changed = rule.step > 0 and before is not None and now is not None and abs(now - before) >= rule.step
    return Sight.MORE if changed else Sight.SAME


def _tell(
    out: list[Alert],
    patient: Patient,
    stream: str,
    rule: Rule,
    act: Act,
    finding: Finding | None,
    settings: AlarmSettings,
    why: str,
) -> None:
    """Changes the active alert as ``act`` says and writes the alert event."""
    held = patient.active.get(rule.kind)
    if act is Act.UPDATE and rule.life is Life.HOLD:
        # Another event of the same kind: an alert of its own.
        _tell(out, patient, stream, rule, Act.END, None, settings, "")
        act, held = Act.RAISE, None
    if act is Act.RAISE:
        assert finding is not None
        held = patient.active[rule.kind] = Open(
            id=f"{stream}/{rule.kind}/{finding.onset}",
            onset=finding.onset,
            value=finding.value,
            until=patient.now + round(settings.hold_s * FS),
            against=0,
            beats=finding.beats,
            limit=finding.limit,
            unit=finding.unit,
            message=finding.message,
        )
    assert held is not None
    if act is Act.UPDATE:
        assert finding is not None
        held.value, held.beats, held.message = finding.value, finding.beats, finding.message
    if act is Act.END:
        del patient.active[rule.kind]
    state = {Act.RAISE: AlertState.RAISED, Act.UPDATE: AlertState.UPDATED, Act.END: AlertState.ENDED}[act]
    out.append(
        Alert(
            schema="ecg-monitor/alert/1",
            id=held.id,
            stream=stream,
            seq=1,
            kind=rule.kind,
            priority=rule.priority,
            class_=rule.class_,
            state=state,
            sample=patient.now,
            onset_sample=held.onset,
            onset_time=round(patient.start_time + held.onset / FS, 3),
            published_time=None,
            value=held.value,
            limit=held.limit,
            unit=held.unit,
            message=f"{held.message} ({why})" if why else held.message,
            beats=held.beats,
        )
    )
