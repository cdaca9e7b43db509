"""The rule table: which criteria there are, how urgent they are, how long they last, and what stands over what.

The life of an alert is not its business (``alarms.py``), nor are the criteria themselves (``criteria.py``,
``ventricular.py``).
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Literal

from msgspec import Struct

from monitor import criteria, ventricular
from monitor.config import AlarmSettings
from monitor.events import FS, Cause, GapCause, Priority
from monitor.patient import Finding, Patient

Find = Callable[[Patient, AlarmSettings], Finding | None]
On = Literal["beat", "second", "look", "both"]


class Life(Enum):
    """How long an alert lasts."""

    WHILE = auto()  # as long as its condition holds
    HOLD = auto()  # the event is over when it is found; shown for `hold_s`


class Rule(Struct, frozen=True, kw_only=True):
    """A row of the table."""

    kind: str
    priority: Priority
    class_: Literal["physiological", "technical"]
    find: Find
    on: On
    """When it is looked at: at every beat, at every report on quality (and gap, and silence of the source), at every
    report on the rhythm, at all of them."""
    life: Life
    clear: Callable[[AlarmSettings], int] = lambda _: 1
    """WHILE: how often in a row the condition must be absent before the alert ends."""
    counts: tuple[On, ...] = ("beat", "second", "look")
    """WHILE: when its absence counts."""
    step: float = 0.0
    """Smallest change of the value that is told as an update; 0: none is."""
    over: tuple[str, ...] = ()
    """Kinds that it makes pointless: they end when it begins, and do not begin while it lasts."""
    every: Callable[[AlarmSettings], int] | None = None
    """Seconds between two looks; None: whenever ``on`` says."""
    stays: Callable[[AlarmSettings], float] = lambda _: 0.0
    """WHILE: seconds since its condition was last seen for which it does not end, until a person has acknowledged it:
    what comes back so soon is no new alert. It stands over no other of high priority then."""
    despite_noise: bool = False
    """It judges for itself whether what it sees is noise."""


_WHY: dict[GapCause, str] = {
    "missing": "the source has none",
    "lost": "lost on the way",
    "rate": "the source's rate is not what it says",
}


def gap(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """There are no samples, or were none."""
    if patient.gap is None:
        return None
    start, stop, cause = patient.gap
    why = _WHY[cause]
    suspends = "; analysis suspended" if stop - start >= settings.gap_s * FS else ""
    return Finding(
        onset=start, message=f"no samples for {(stop - start) / FS:.1f} s: {why}{suspends}",
        value=round((stop - start) / FS, 2), limit=0.0, unit="s",
    )  # fmt: skip


def source_lost(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """The source has gone silent."""
    if patient.lost is None:
        return None
    return Finding(onset=patient.lost, message="the source is silent")


def _unusable(cause: Cause, words: str) -> Find:
    def find(patient: Patient, settings: AlarmSettings) -> Finding | None:
        if patient.cause is not cause or patient.bad < settings.unusable_reports:
            return None
        if patient.second is None:
            return Finding(onset=patient.now, message=f"{words}; analysis suspended")
        # Of two leads it is told whether one is left, and anew when that changes.
        left = patient.stands_in and patient.second.bad < settings.unusable_reports
        first, other, *_ = *patient.leads, "the first lead", "the second lead"
        what = f"analysis of {other}" if left else "analysis suspended"
        return Finding(
            onset=patient.now, message=f"{first}: {words}; {what}", value=float(left), limit=1.0, unit="leads left"
        )

    return find


def _usable(settings: AlarmSettings) -> int:
    return settings.usable_reports


def _rate_clear(settings: AlarmSettings) -> int:
    return settings.rate_clear_beats


def _run_clear(settings: AlarmSettings) -> int:
    return settings.clear_beats


def _same(settings: AlarmSettings) -> float:
    return settings.same_s


def _technical_same(settings: AlarmSettings) -> float:
    return settings.technical_same_s


def _af_clear(settings: AlarmSettings) -> int:
    return settings.af_clear_reports


def _af_every(settings: AlarmSettings) -> int:
    return settings.af_every_s


def _technical(kind: str, priority: Priority, cause: Cause, words: str, over: tuple[str, ...] = ()) -> Rule:
    return Rule(kind=kind, priority=priority, class_="technical", find=_unusable(cause, words), on="second",
                life=Life.WHILE, clear=_usable, stays=_technical_same, step=1.0, over=over)  # fmt: skip


def _hold(kind: str, priority: Priority, find: Find, on: On = "beat", over: tuple[str, ...] = ()) -> Rule:
    return Rule(kind=kind, priority=priority, class_="physiological", find=find, on=on, life=Life.HOLD, over=over)


def _while(
    kind: str, priority: Priority, find: Find, clear: Callable[[AlarmSettings], int], step: float = 0.0,
    over: tuple[str, ...] = (), on: On = "beat",
) -> Rule:  # fmt: skip
    return Rule(kind=kind, priority=priority, class_="physiological", find=find, on=on, life=Life.WHILE, clear=clear,
                step=step, over=over)  # fmt: skip


_HIGH, _MEDIUM, _LOW = Priority.HIGH, Priority.MEDIUM, Priority.LOW
_ECTOPY = ("v_run", "v_rhythm", "couplet", "bigeminy", "trigeminy", "r_on_t", "multiform_pvc", "pvc_rate")
_FAST = ("extreme_tachy", "svt", "tachy")
_SLOW = ("pause", "extreme_brady", "brady", "missed_beat")
_UNEVEN = ("af", "irregular_hr")

RULES: tuple[Rule, ...] = (
    Rule(kind="source_lost", priority=_MEDIUM, class_="technical", find=source_lost, on="both", life=Life.WHILE),
    Rule(kind="gap", priority=_LOW, class_="technical", find=gap, on="second", life=Life.WHILE),
    _technical("flat", _MEDIUM, Cause.FLAT, "flat line"),
    _technical("lead_off", _MEDIUM, Cause.LEAD_OFF, "lead off", over=("noise",)),
    _technical("saturated", _MEDIUM, Cause.SATURATED, "amplifier saturated"),
    _technical("noise", _LOW, Cause.NOISE, "too noisy"),
    Rule(kind="vf", priority=_HIGH, class_="physiological", find=ventricular.vf, on="look", life=Life.WHILE,
         clear=lambda s: s.vf_clear_reports, stays=_same, despite_noise=True,
         over=("asystole", "vt", *_SLOW, *_FAST, *_ECTOPY, *_UNEVEN)),
    Rule(kind="asystole", priority=_HIGH, class_="physiological", find=criteria.asystole, on="both", life=Life.WHILE,
         counts=("beat", "second"), over=(*_SLOW, *_UNEVEN)),
    Rule(kind="vt", priority=_HIGH, class_="physiological", find=ventricular.vt, on="both", life=Life.WHILE,
         clear=_run_clear, counts=("beat", "look"), stays=_same, despite_noise=True, step=10.0,
         over=(*_FAST, *_ECTOPY, *_UNEVEN)),
    _while("extreme_tachy", _HIGH, criteria.extreme_tachy, _rate_clear, step=10.0, over=("tachy",)),
    _while("extreme_brady", _HIGH, criteria.extreme_brady, _rate_clear, step=5.0, over=("brady",)),
    _while("v_rhythm", _MEDIUM, ventricular.v_rhythm, _run_clear, step=10.0,
           over=("v_run", "couplet", "bigeminy", "trigeminy", "pvc_rate")),
    _while("v_run", _MEDIUM, ventricular.v_run, lambda _: 1, step=1.0, over=("couplet", "bigeminy", "trigeminy")),
    _hold("pause", _MEDIUM, criteria.pause, on="both", over=("missed_beat",)),
    _while("svt", _MEDIUM, criteria.svt, _run_clear, step=10.0),
    _while("tachy", _MEDIUM, criteria.tachy, _rate_clear, step=10.0),
    _while("brady", _MEDIUM, criteria.brady, _rate_clear, step=5.0),
    Rule(kind="af", priority=_MEDIUM, class_="physiological", find=criteria.af, on="second", life=Life.WHILE,
         clear=_af_clear, every=_af_every, over=("irregular_hr",)),
    _hold("r_on_t", _MEDIUM, ventricular.r_on_t),
    _hold("couplet", _LOW, ventricular.couplet),
    _while("bigeminy", _LOW, ventricular.bigeminy, lambda _: 1, step=10.0),
    _while("trigeminy", _LOW, ventricular.trigeminy, lambda _: 1, step=10.0),
    _hold("multiform_pvc", _LOW, ventricular.multiform_pvc),
    _while("pvc_rate", _LOW, ventricular.pvc_rate, _rate_clear, step=5.0, on="second"),
    _hold("missed_beat", _LOW, criteria.missed_beat),
    Rule(kind="irregular_hr", priority=_LOW, class_="physiological", find=criteria.irregular_hr, on="second",
         life=Life.WHILE, clear=_af_clear, every=_af_every),
)  # fmt: skip
"""In the order in which they are looked at: what suspends or overrules comes before what it overrules."""

BY_KIND = {rule.kind: rule for rule in RULES}
OVERRULED_BY = {rule.kind: tuple(r.kind for r in RULES if rule.kind in r.over) for rule in RULES}
"""What stands over each kind."""
