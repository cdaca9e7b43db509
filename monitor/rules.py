"""The alarm rules: what is found in a patient's recent beats and seconds, and the table that ranks it.

Each rule is a function of what is known of one patient (:class:`Patient`) to a :class:`Finding` or None; the life of
an alert is not its business (``alarms.py``). Criteria after bedside monitors' manuals and the PhysioNet/CinC Challenge
2015; the limits are settings, each with its source in config.toml.

Not yet here: VF, accelerated ventricular rhythm, missed beat, SVT, tachy and brady limits, trigeminy, R on T,
multiform PVC, PVC rate, AF, irregular rhythm.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Literal

import msgspec
from msgspec import Struct

from monitor.config import AlarmSettings
from monitor.detector_kernel import AFTER
from monitor.events import FS, BeatClass, Cause, Priority

MEMORY = 40
"""Beats remembered of a patient: more than the longest rule looks back on."""
LISTED = 32
"""R peaks that an alert names at most."""


class Seen(Struct, frozen=True, array_like=True):
    """One judged beat, as the rules want it."""

    sample: int
    label: BeatClass
    rr: int | None


class Life(Enum):
    """How long an alert lasts."""

    WHILE = auto()  # as long as its condition holds
    HOLD = auto()  # the event is over when it is found; shown for `hold_s`


class Open(Struct):
    """An alert that is active."""

    id: str
    onset: int
    value: float | None
    until: int
    """HOLD: the sample at which it ends."""
    against: int
    """WHILE: how often in a row its condition has not held."""
    beats: tuple[int, ...]
    limit: float | None
    unit: str
    message: str


class Patient(Struct, kw_only=True):
    """All that the alarms know of one stream: plain data."""

    start_time: float = 0.0
    now: int = 0
    """The latest sample heard of."""
    beats: list[Seen] = msgspec.field(default_factory=list)
    """Newest last, at most MEMORY; emptied where the past no longer counts (a gap, unusable signal)."""
    silence: int = 0
    """Samples since the last R peak, or since the signal was usable again; 0 while it is not."""
    cause: Cause = Cause.NONE
    bad: int = 0
    """Quality reports in a row that called the signal unusable."""
    usable_since: int = 0
    """The sample from which on conclusions may be drawn; no interval reaches back beyond it."""
    gap: tuple[int, int, str] | None = None
    """The last gap: start, stop, cause; stop grows while it lasts."""
    lost: int | None = None
    """Since which sample the source is silent."""
    active: dict[str, Open] = msgspec.field(default_factory=dict)
    """By kind."""


class Finding(Struct, frozen=True, kw_only=True):
    """A rule's condition holds."""

    onset: int
    message: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    beats: tuple[int, ...] = ()


Find = Callable[[Patient, AlarmSettings], Finding | None]
On = Literal["beat", "time", "both"]


class Rule(Struct, frozen=True, kw_only=True):
    """A row of the table."""

    kind: str
    priority: Priority
    class_: Literal["physiological", "technical"]
    find: Find
    on: On
    """When it is looked at: at every beat, at every report on quality (and gap, and silence of the source), at both."""
    life: Life
    clear: Callable[[AlarmSettings], int] = lambda _: 1
    """WHILE: how often in a row the condition must be absent before the alert ends."""
    step: float = 0.0
    """Smallest change of the value that is told as an update; 0: none is."""
    over: tuple[str, ...] = ()
    """Kinds that it makes pointless: they end when it begins, and do not begin while it lasts."""


def bpm(intervals: list[int]) -> float:
    """Mean heart rate over RR intervals in samples, beats a minute."""
    return 60.0 * FS * len(intervals) / sum(intervals)


def _tail(patient: Patient, wanted: Callable[[Seen], bool]) -> list[Seen]:
    """The unbroken run of beats at the end that are ``wanted``; a beat without RR interval begins a run anew."""
    run: list[Seen] = []
    for beat in reversed(patient.beats):
        if not wanted(beat):
            break
        run.append(beat)
        if beat.rr is None:
            break
    return run[::-1]


def _intervals(beats: list[Seen]) -> list[int]:
    return [beat.rr for beat in beats if beat.rr is not None]


def _peaks(beats: list[Seen]) -> tuple[int, ...]:
    return tuple(beat.sample for beat in beats[-LISTED:])


def _is_v(beat: Seen) -> bool:
    return beat.label is BeatClass.V


def asystole(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """No QRS complex for so long. A beat of the last third of a second may not have been told yet, so that much
    longer is waited."""
    if patient.silence < settings.asystole_s * FS + AFTER:
        return None
    onset = patient.now - patient.silence
    seconds = patient.silence / FS
    return Finding(
        onset=onset, message=f"asystole: no beat for {settings.asystole_s:g} s", value=round(seconds, 2),
        limit=settings.asystole_s, unit="s", beats=_peaks(patient.beats[-1:]),
    )  # fmt: skip


def pause(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """A beat that came late, or has not come yet."""
    limit = settings.pause_s * FS
    if patient.silence >= limit + AFTER:
        length, onset = patient.silence, patient.now - patient.silence
    elif patient.beats and (patient.beats[-1].rr or 0) >= limit:
        length = patient.beats[-1].rr or 0
        onset = patient.beats[-1].sample - length
    else:
        return None
    if length >= settings.asystole_s * FS + AFTER:
        return None  # that was an asystole
    return Finding(
        onset=onset, message=f"pause of {settings.pause_s:g} s or more", value=round(length / FS, 2),
        limit=settings.pause_s, unit="s", beats=_peaks([b for b in patient.beats[-2:] if b.sample >= onset]),
    )  # fmt: skip


def extreme_brady(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Mean rate of the last beats under the limit, and that of most of them: a single pause is none."""
    n = settings.extreme_brady_beats
    recent = patient.beats[-n:]
    intervals = _intervals(recent)
    if len(intervals) < n or (rate := bpm(intervals)) >= settings.extreme_brady_bpm:
        return None
    if 60 * FS / sorted(intervals)[n // 2] >= settings.extreme_brady_bpm:
        return None
    return Finding(
        onset=recent[0].sample, message=f"extreme bradycardia: {rate:.0f}/min", value=round(rate, 1),
        limit=settings.extreme_brady_bpm, unit="1/min", beats=_peaks(recent),
    )  # fmt: skip


def extreme_tachy(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Mean rate of the last beats over the limit."""
    n = settings.extreme_tachy_beats
    recent = patient.beats[-n:]
    intervals = _intervals(recent)
    if len(intervals) < n or (rate := bpm(intervals)) <= settings.extreme_tachy_bpm:
        return None
    return Finding(
        onset=recent[0].sample, message=f"extreme tachycardia: {rate:.0f}/min", value=round(rate, 1),
        limit=settings.extreme_tachy_bpm, unit="1/min", beats=_peaks(recent),
    )  # fmt: skip


def vt(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """So many ventricular beats in a row, the last of them at the rate."""
    run = _tail(patient, _is_v)
    n = settings.vt_beats
    if len(run) < n:
        return None
    # The intervals between the run's last n beats: the one that leads into the run is not the run's own.
    intervals = _intervals(run[-n:][1:])
    if len(intervals) < n - 1 or (rate := bpm(intervals)) < settings.vt_bpm:
        return None
    return Finding(
        onset=run[0].sample, message=f"ventricular tachycardia: {rate:.0f}/min", value=round(rate, 1),
        limit=settings.vt_bpm, unit="1/min", beats=_peaks(run),
    )  # fmt: skip


def v_run(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Ventricular beats in a row, fewer or slower than VT."""
    run = _tail(patient, _is_v)
    if len(run) < settings.v_run_beats:
        return None
    return Finding(
        onset=run[0].sample, message=f"run of {len(run)} ventricular beats", value=float(len(run)),
        limit=float(settings.v_run_beats), unit="beats", beats=_peaks(run),
    )  # fmt: skip


def couplet(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Two ventricular beats between others; certain with the beat that follows them."""
    if len(patient.beats) < 4:
        return None
    before, first, second, after = patient.beats[-4:]
    if _is_v(before) or not _is_v(first) or not _is_v(second) or _is_v(after):
        return None
    if first.rr is None or second.rr is None or after.rr is None or second.rr > settings.couplet_ms * FS / 1000:
        return None
    return Finding(
        onset=first.sample, message="ventricular couplet", value=float(round(1000 * second.rr / FS)),
        limit=settings.couplet_ms, unit="ms", beats=(first.sample, second.sample),
    )  # fmt: skip


def bigeminy(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Every second beat ventricular, over so many cycles; a cycle ends with its V."""
    beats = patient.beats
    run = 1 if beats else 0
    while run < len(beats) and beats[-run].rr is not None and _is_v(beats[-run]) != _is_v(beats[-run - 1]):
        run += 1
    alternating = beats[len(beats) - run :]
    if alternating and _is_v(alternating[0]):
        alternating = alternating[1:]
    cycles = len(alternating) // 2
    if cycles < settings.bigeminy_cycles:
        return None
    return Finding(
        onset=alternating[0].sample, message="ventricular bigeminy", value=float(cycles),
        limit=float(settings.bigeminy_cycles), unit="cycles", beats=_peaks(alternating),
    )  # fmt: skip


def gap(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """There are no samples, or were none."""
    if patient.gap is None:
        return None
    start, stop, cause = patient.gap
    why = "the recording has none" if cause == "missing" else "lost on the way"
    return Finding(
        onset=start, message=f"no samples for {(stop - start) / FS:.1f} s: {why}; analysis suspended",
        value=round((stop - start) / FS, 2), limit=0.0, unit="s",
    )  # fmt: skip


def source_lost(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """The source has gone silent."""
    if patient.lost is None:
        return None
    return Finding(onset=patient.lost, message="the source is silent; analysis suspended")


def _unusable(cause: Cause, words: str) -> Find:
    def find(patient: Patient, settings: AlarmSettings) -> Finding | None:
        if patient.cause is not cause or patient.bad < settings.unusable_reports:
            return None
        return Finding(onset=patient.now, message=f"{words}; analysis suspended")

    return find


def _rate_clear(settings: AlarmSettings) -> int:
    return settings.rate_clear_beats


def _run_clear(settings: AlarmSettings) -> int:
    return settings.clear_beats


RULES: tuple[Rule, ...] = (
    Rule(kind="source_lost", priority=Priority.MEDIUM, class_="technical", find=source_lost, on="both",
         life=Life.WHILE),
    Rule(kind="gap", priority=Priority.LOW, class_="technical", find=gap, on="time", life=Life.WHILE),
    Rule(kind="flat", priority=Priority.MEDIUM, class_="technical", find=_unusable(Cause.FLAT, "flat line"),
         on="time", life=Life.WHILE, clear=lambda s: s.usable_reports),
    Rule(kind="lead_off", priority=Priority.MEDIUM, class_="technical", find=_unusable(Cause.LEAD_OFF, "lead off"),
         on="time", life=Life.WHILE, clear=lambda s: s.usable_reports),
    Rule(kind="saturated", priority=Priority.MEDIUM, class_="technical",
         find=_unusable(Cause.SATURATED, "amplifier saturated"), on="time", life=Life.WHILE,
         clear=lambda s: s.usable_reports),
    Rule(kind="noise", priority=Priority.LOW, class_="technical", find=_unusable(Cause.NOISE, "too noisy"),
         on="time", life=Life.WHILE, clear=lambda s: s.usable_reports),
    Rule(kind="asystole", priority=Priority.HIGH, class_="physiological", find=asystole, on="both",
         life=Life.WHILE, over=("pause", "extreme_brady")),
    Rule(kind="vt", priority=Priority.HIGH, class_="physiological", find=vt, on="beat", life=Life.WHILE,
         clear=_run_clear, step=10.0, over=("v_run", "couplet", "bigeminy", "extreme_tachy")),
    Rule(kind="extreme_tachy", priority=Priority.HIGH, class_="physiological", find=extreme_tachy, on="beat",
         life=Life.WHILE, clear=_rate_clear, step=10.0),
    Rule(kind="extreme_brady", priority=Priority.HIGH, class_="physiological", find=extreme_brady, on="beat",
         life=Life.WHILE, clear=_rate_clear, step=5.0),
    Rule(kind="v_run", priority=Priority.MEDIUM, class_="physiological", find=v_run, on="beat", life=Life.WHILE,
         step=1.0, over=("couplet", "bigeminy")),
    Rule(kind="pause", priority=Priority.MEDIUM, class_="physiological", find=pause, on="both", life=Life.HOLD),
    Rule(kind="couplet", priority=Priority.LOW, class_="physiological", find=couplet, on="beat", life=Life.HOLD),
    Rule(kind="bigeminy", priority=Priority.LOW, class_="physiological", find=bigeminy, on="beat",
         life=Life.WHILE, step=10.0),
)  # fmt: skip
"""In the order in which they are looked at: what suspends or overrules comes before what it overrules."""

BY_KIND = {rule.kind: rule for rule in RULES}
