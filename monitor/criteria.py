"""The rules' criteria on rates, silence and supraventricular rhythms: Patient → Finding or None.

After bedside monitors' manuals and the PhysioNet/CinC Challenge 2015; the limits are settings, each with its source in
config.toml. Those on ventricular rhythms: ``ventricular.py``.
"""

import math
from collections.abc import Callable
from statistics import mean, stdev

from monitor import irregularity
from monitor.config import AlarmSettings
from monitor.detector_layout import AFTER
from monitor.events import FS, BeatClass, Cause
from monitor.patient import Finding, Patient, Seen, between, bpm, intervals_of, peaks_of, tail
from monitor.quality import BLOCK


def asystole(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """No QRS complex for so long. A beat of the last third of a second may not have been told yet, so that much
    longer is waited, but for one report's time: an alarm on an interval that came to within an eighth of a second of
    the limit ends with its beat, and all others come so much sooner. It does not begin in what the last report called
    too noisy: there may be beats in it, and the next report suspends analysis or tells of a still line."""
    if patient.silence < settings.asystole_s * FS + AFTER - BLOCK:
        return None
    if patient.bad and patient.cause is Cause.NOISE and not patient.holds("asystole"):
        return None
    onset = patient.now - patient.silence
    seconds = patient.silence / FS
    return Finding(
        onset=onset, message=f"asystole: no beat for {settings.asystole_s:g} s", value=round(seconds, 2),
        limit=settings.asystole_s, unit="s", beats=peaks_of(patient.beats[-1:]),
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
        limit=settings.pause_s, unit="s", beats=peaks_of([b for b in patient.beats[-2:] if b.sample >= onset]),
    )  # fmt: skip


def missed_beat(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """An interval that leaves room for a beat, in an otherwise regular rhythm."""
    n = settings.missed_beat_over
    recent = patient.beats[-n - 1 :]
    if len(recent) < n + 1 or any(beat.label is not BeatClass.N for beat in recent):
        return None
    before, last = between(recent[:-1]), recent[-1].rr
    if before is None or last is None:
        return None
    usual = mean(before)
    if max(before) > (1 + settings.regular) * usual or min(before) < (1 - settings.regular) * usual:
        return None
    if last < settings.missed_beat_rr * usual:
        return None
    return Finding(
        onset=recent[-2].sample, message="missed beat", value=round(last / usual, 2), limit=settings.missed_beat_rr,
        unit="RR", beats=peaks_of(recent[-2:]),
    )  # fmt: skip


def _rate_over(patient: Patient, n: int) -> tuple[float, list[Seen]] | None:
    """Mean rate over the last ``n`` beats, which are ``n - 1`` intervals."""
    recent = patient.beats[-n:]
    found = between(recent)
    return (bpm(found), recent) if len(recent) == n and found is not None else None


def _most(recent: list[Seen], beyond: Callable[[float], bool], settings: AlarmSettings) -> bool:
    """Whether most of the intervals between these beats are themselves beyond the limit, and not their mean alone: a
    single pause slows the mean, and a few beats that noise has put between others, or has hidden, move it either way.
    In doubtful signal more of them must be."""
    good = sum(beat.good for beat in recent) / len(recent)
    if good < settings.extreme_least_good:
        return False
    share = settings.extreme_most if good >= settings.extreme_good else settings.extreme_most_noisy
    found = intervals_of(recent[1:])
    return sum(beyond(60 * FS / rr) for rr in found) > share * len(found)


def _error(recent: list[Seen]) -> float:
    """Standard error of the mean of the intervals between these beats, as a share of that mean; so much, to first
    order, is in doubt of the mean rate."""
    found = intervals_of(recent[1:])
    return stdev(found) / math.sqrt(len(found)) / mean(found) if len(found) > 1 else 0.0


def extreme_brady(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Mean rate of the last beats under the limit, and that of most intervals."""
    limit = settings.extreme_brady_bpm + (settings.extreme_margin_bpm if patient.holds("extreme_brady") else 0.0)
    measured = _rate_over(patient, settings.extreme_brady_beats)
    if measured is None or measured[0] >= limit or not _most(measured[1], lambda rate: rate < limit, settings):
        return None
    rate, recent = measured
    return Finding(
        onset=recent[0].sample, message=f"extreme bradycardia: {rate:.0f}/min", value=round(rate, 1),
        limit=settings.extreme_brady_bpm, unit="1/min", beats=peaks_of(recent),
    )  # fmt: skip


def extreme_tachy(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Mean rate of the last beats over the limit, and that of most intervals; of fewer beats, where the mean is further
    over it. Until it is announced, the mean must be over it by more than the intervals' own irregularity leaves in
    doubt."""
    held = patient.holds("extreme_tachy")
    margin = settings.extreme_margin_bpm if held else 0.0
    least = settings.extreme_tachy_bpm - margin
    for n, limit in (
        (settings.extreme_tachy_beats, settings.extreme_tachy_bpm),
        (settings.extreme_tachy_few_beats, settings.extreme_tachy_few_bpm),
    ):
        measured = _rate_over(patient, n)
        if measured is None or measured[0] <= limit - margin:
            continue
        rate, recent = measured
        doubt = 0.0 if held else settings.extreme_sure * _error(recent)
        if rate * (1 - doubt) > limit - margin and _most(recent, lambda one: one > least, settings):
            return Finding(
                onset=recent[0].sample, message=f"extreme tachycardia: {rate:.0f}/min", value=round(rate, 1),
                limit=settings.extreme_tachy_bpm, unit="1/min", beats=peaks_of(recent),
            )  # fmt: skip
    return None


def tachy(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Mean rate over its limit; while it is announced, over a little less."""
    margin = settings.rate_margin_bpm if patient.holds("tachy") else 0.0
    measured = _rate_over(patient, settings.rate_beats)
    if measured is None or measured[0] <= settings.tachy_bpm - margin:
        return None
    rate, recent = measured
    return Finding(
        onset=recent[0].sample, message=f"tachycardia: {rate:.0f}/min", value=round(rate, 1),
        limit=settings.tachy_bpm, unit="1/min", beats=peaks_of(recent),
    )  # fmt: skip


def brady(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Mean rate under its limit; while it is announced, under a little more."""
    margin = settings.rate_margin_bpm if patient.holds("brady") else 0.0
    measured = _rate_over(patient, settings.rate_beats)
    if measured is None or measured[0] >= settings.brady_bpm + margin:
        return None
    rate, recent = measured
    return Finding(
        onset=recent[0].sample, message=f"bradycardia: {rate:.0f}/min", value=round(rate, 1),
        limit=settings.brady_bpm, unit="1/min", beats=peaks_of(recent),
    )  # fmt: skip


def svt(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Supraventricular premature beats in a row."""
    run = tail(patient, lambda beat: beat.label is BeatClass.S)
    n = settings.svt_beats
    found = between(run[-n:]) if len(run) >= n else None
    if found is None or (rate := bpm(found)) < settings.svt_bpm:
        return None
    return Finding(
        onset=run[0].sample, message=f"supraventricular tachycardia: {rate:.0f}/min", value=round(rate, 1),
        limit=settings.svt_bpm, unit="1/min", beats=peaks_of(run),
    )  # fmt: skip


def _irregular(patient: Patient, seconds: float, settings: AlarmSettings) -> tuple[float, list[Seen]] | None:
    """Probability of atrial fibrillation in the last ``seconds``; None where fewer are known."""
    first = patient.now - seconds * FS
    begin = next((k for k, beat in enumerate(patient.beats) if beat.sample >= first), None)
    if begin is None or patient.beats[begin].sample > first + settings.pause_s * FS:
        return None  # the memory does not reach back so far
    recent = patient.beats[begin:]
    found = irregularity.probability(recent, settings.af_weights)
    return None if found is None else (found, recent)


def _irregularity(
    patient: Patient, settings: AlarmSettings, kind: str, message: str, seconds: float, least: float
) -> Finding | None:
    """Atrial fibrillation probable enough in the last ``seconds``: ``least``, less while it is announced."""
    measured = _irregular(patient, seconds, settings)
    if measured is None:
        return None
    p, recent = measured
    if p < (settings.af_until if patient.holds(kind) else least):
        return None
    return Finding(
        onset=recent[0].sample, message=message, value=round(p, 2), limit=least, unit="probability",
        beats=peaks_of(recent),
    )  # fmt: skip


def af(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Irregular intervals and no P wave, over a minute; ends when it has become improbable."""
    return _irregularity(patient, settings, "af", "atrial fibrillation", settings.af_s, settings.af_from)


def irregular_hr(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """The same intervals, looked at over a shorter time."""
    return _irregularity(
        patient, settings, "irregular_hr", "irregular rhythm", settings.irregular_s, settings.irregular_from
    )
