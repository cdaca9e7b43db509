"""The rules' criteria on ventricular rhythms, in beats and in the waves of a signal without: Patient → Finding or None.

After bedside monitors' manuals and the PhysioNet/CinC Challenge 2015; the limits are settings, each with its source in
config.toml.
"""

from collections.abc import Callable
from itertools import pairwise
from statistics import median

from monitor.config import AlarmSettings
from monitor.events import FS, BeatClass
from monitor.patient import LOOK, Finding, Look, Patient, Seen, between, bpm, intervals_of, is_v, peaks_of, tail


def _looks(patient: Patient, n: int) -> list[Look] | None:
    """The last ``n`` reports on the rhythm; None if there is a hole among them, or they are old."""
    recent = patient.looks[-n:]
    if len(recent) < n or patient.now - recent[-1].sample > 2 * FS:
        return None
    if any(b.sample - a.sample > 2 * FS for a, b in pairwise(recent)):
        return None
    return recent


def _waves(patient: Patient, settings: AlarmSettings, kind: str) -> tuple[float, Look] | None:
    """Mean probability of VT or VF over the last reports and the first of these, where the waves are of this kind: what
    has begun as fibrillation stays one, and a tachycardia may become one."""
    recent = _looks(patient, settings.vf_reports)
    if recent is None:
        return None
    vf = sum(look.vf for look in recent) / len(recent)
    both = vf + sum(look.vt for look in recent) / len(recent)
    held = patient.holds(kind)
    if both < (settings.vf_until if held else settings.vf_from):
        return None
    if not held and (vf >= settings.vf_share * both) != (kind == "vf"):
        return None
    return both, recent[0]


def vf(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Fibrillatory waves: flutter, fibrillation, or a tachycardia that looks like them."""
    found = _waves(patient, settings, "vf")
    if found is None:
        return None
    return Finding(
        onset=found[1].sample - LOOK, message="ventricular fibrillation or flutter",
        value=round(found[0], 2), limit=settings.vf_from, unit="probability",
    )  # fmt: skip


def _stands_out(patient: Patient, kind: str, run: list[Seen], rate: float, settings: AlarmSettings) -> bool:
    """Whether the run is no mere part of a rhythm in which ventricular beats are about as common as others: where they
    are (aberrant conduction, fusion, or a patient whose own beats look ventricular), it must be faster than those."""
    before = patient.beats[: len(patient.beats) - len(run)][-settings.vt_among :]
    others = [beat for beat in before if not is_v(beat) and beat.label is not BeatClass.F]
    known = intervals_of(others)
    if not known or len(others) >= settings.vt_rare * len(before) or patient.holds(kind):
        return True
    return rate >= settings.vt_faster * 60 * FS / median(known)


def _alike(a: Seen, b: Seen, settings: AlarmSettings) -> bool:
    """Whether two beats have one polarity and about one height."""
    most = settings.vt_alike_ratio
    return a.amplitude != 0 and 1 / most <= b.amplitude / a.amplitude <= most


def _one_focus(run: list[Seen], settings: AlarmSettings) -> bool:
    """Whether beats that follow each other are mostly alike."""
    like = sum(_alike(a, b, settings) for a, b in pairwise(run))
    return like >= settings.vt_alike * (len(run) - 1)


def vt(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """So many ventricular beats in a row, at the rate; or the waves of a tachycardia, whatever its beats were taken
    for. A beat that is not quite a ventricular one to the classifier does not break the row if the others make up
    for it; nor does a fusion beat, but fusion beats alone are none. A slow one has one shape of beat, and in doubtful
    signal so does a faster one."""
    run = tail(patient, lambda beat: beat.v + beat.f >= settings.vt_least)
    n = settings.vt_beats
    # The intervals between the run's last n beats: the one that leads into the run is not the run's own.
    last = run[-n:]
    found = between(last) if len(run) >= n else None
    sure = sum(beat.v for beat in last) >= settings.vt_mean * n
    rate = bpm(found) if found is not None else 0.0
    good = sum(beat.good for beat in last) > settings.extreme_good * n
    shaped = rate >= (settings.vt_slow_bpm if good else settings.vt_slow_noisy_bpm) or _one_focus(last, settings)
    if sure and rate >= settings.vt_bpm and shaped and _stands_out(patient, "vt", run, rate, settings):
        return Finding(
            onset=run[0].sample, message=f"ventricular tachycardia: {rate:.0f}/min", value=round(rate, 1),
            limit=settings.vt_bpm, unit="1/min", beats=peaks_of(run),
        )  # fmt: skip
    waves = _waves(patient, settings, "vt")
    if waves is None:
        return None
    return Finding(
        onset=waves[1].sample - LOOK, message="ventricular tachycardia: wide waves",
    )  # fmt: skip


def _sure(settings: AlarmSettings) -> Callable[[Seen], bool]:
    """Whether a beat is ventricular rather than not; the likeliest of five classes may be less."""
    return lambda beat: is_v(beat) and beat.v >= settings.v_least


def _run(patient: Patient, kind: str, settings: AlarmSettings) -> list[Seen]:
    """The ventricular beats at the end, if together they are sure enough: one in doubt, though it be called otherwise,
    is made up for by the others and is like the one before or behind it, or it is a T wave, or noise, between two. Once
    the alert is there, one in doubt does not end it."""
    if patient.holds(kind):
        return tail(patient, lambda beat: is_v(beat) or beat.v >= settings.v_run_least)
    run = tail(patient, lambda beat: beat.v >= settings.v_run_least)
    last = run[-settings.v_run_beats :]
    if not last or sum(beat.v for beat in last) < settings.v_run_mean * len(last):
        return []
    like = [_alike(a, b, settings) for a, b in pairwise(last)]
    beside = zip([False, *like], [*like, False], strict=True)
    believed = all(beat.v >= settings.v_run_sure or any(pair) for beat, pair in zip(last, beside, strict=True))
    return run if believed else []


def v_rhythm(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """A ventricular rhythm slower than tachycardia: accelerated, or an escape."""
    run = _run(patient, "v_rhythm", settings)
    n = settings.v_rhythm_beats
    found = between(run[-n:]) if len(run) >= n else None
    if found is None or (rate := bpm(found)) >= settings.vt_bpm:
        return None
    return Finding(
        onset=run[0].sample, message=f"ventricular rhythm: {rate:.0f}/min", value=round(rate, 1),
        limit=settings.vt_bpm, unit="1/min", beats=peaks_of(run),
    )  # fmt: skip


def v_run(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Ventricular beats in a row, fewer or slower than VT, that stand out like it."""
    run = _run(patient, "v_run", settings)
    n = settings.v_run_beats
    found = between(run[-n:]) if len(run) >= n else None
    if found is None or not _stands_out(patient, "v_run", run, bpm(found), settings):
        return None
    return Finding(
        onset=run[0].sample, message=f"run of {len(run)} ventricular beats", value=float(len(run)),
        limit=float(settings.v_run_beats), unit="beats", beats=peaks_of(run),
    )  # fmt: skip


def _told_as_run(beats: list[Seen], settings: AlarmSettings) -> bool:
    """Whether the unbroken ventricular beats at the end hold a run, which a beat in doubt did not end."""
    sure, row = _sure(settings), 0
    for beat in reversed(beats):
        if not is_v(beat):
            return False
        row = row + 1 if sure(beat) else 0
        if row >= settings.v_run_beats:
            return True
    return False


def couplet(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Two ventricular beats between others, or between beats in doubt; certain with the beat that follows them."""
    if len(patient.beats) < 4:
        return None
    _, first, second, after = patient.beats[-4:]
    if list(map(_sure(settings), patient.beats[-4:])) != [False, True, True, False]:
        return None
    if _told_as_run(patient.beats[:-1], settings):
        return None
    if first.rr is None or second.rr is None or after.rr is None or second.rr > settings.couplet_ms * FS / 1000:
        return None
    return Finding(
        onset=first.sample, message="ventricular couplet", value=float(round(1000 * second.rr / FS)),
        limit=settings.couplet_ms, unit="ms", beats=(first.sample, second.sample),
    )  # fmt: skip


def _cycles(patient: Patient, period: int) -> list[Seen]:
    """The beats of the unbroken pattern at the end in which every ``period``-th beat is ventricular; whole cycles, each
    ending with its V."""
    beats = patient.beats
    last = next((k for k in range(1, min(period, len(beats)) + 1) if is_v(beats[-k])), None)
    if last is None:
        return []
    run = 0
    while run < len(beats) and is_v(beats[-1 - run]) == ((run - last + 1) % period == 0):
        run += 1
        if beats[-run].rr is None:
            break
    pattern = beats[len(beats) - run :]
    first = next((k for k, beat in enumerate(pattern) if is_v(beat)), len(pattern))
    # A V at the beginning whose cycle is not whole.
    return pattern[first + 1 :] if first < period - 1 else pattern[first - period + 1 :]


def _regular_ectopy(name: str, period: int) -> Callable[[Patient, AlarmSettings], Finding | None]:
    def find(patient: Patient, settings: AlarmSettings) -> Finding | None:
        pattern = _cycles(patient, period)
        cycles = sum(is_v(beat) for beat in pattern)
        if cycles < settings.bigeminy_cycles:
            return None
        return Finding(
            onset=pattern[0].sample, message=f"ventricular {name}", value=float(cycles),
            limit=float(settings.bigeminy_cycles), unit="cycles", beats=peaks_of(pattern),
        )  # fmt: skip

    return find


bigeminy = _regular_ectopy("bigeminy", 2)
"""Every second beat ventricular, over so many cycles."""
trigeminy = _regular_ectopy("trigeminy", 3)
"""Every third."""


def r_on_t(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """A ventricular beat so early that it falls on the T wave of the one before, and the pause after it."""
    n = settings.r_on_t_over
    recent = patient.beats[-n - 2 :]
    if len(recent) < n + 2 or not is_v(recent[-2]) or is_v(recent[-3]) or is_v(recent[-1]):
        return None
    before, coupling, after = between(recent[:-2]), recent[-2].rr, recent[-1].rr
    if before is None or coupling is None or after is None:
        return None
    mean = sum(before) / len(before)
    if coupling > settings.r_on_t_rr * mean or after < settings.r_on_t_pause * mean:
        return None
    return Finding(
        onset=recent[-2].sample, message="ventricular beat on a T wave", value=round(coupling / mean, 2),
        limit=settings.r_on_t_rr, unit="RR", beats=peaks_of(recent[-3:]),
    )  # fmt: skip


def multiform_pvc(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Ventricular beats of two shapes: of either polarity, or very different height."""
    recent = patient.beats[-settings.multiform_over :]
    found = [beat for beat in recent if is_v(beat) and beat.amplitude]
    if len(found) < 2 or not is_v(recent[-1]):
        return None
    last = found[-1].amplitude
    other = next((b for b in found[:-1] if not 1 / settings.multiform_ratio < b.amplitude / last
                  < settings.multiform_ratio), None)  # fmt: skip
    if other is None:
        return None
    return Finding(
        onset=other.sample, message="ventricular beats of different shapes", value=2.0, limit=2.0, unit="shapes",
        beats=(other.sample, found[-1].sample),
    )  # fmt: skip


def pvc_rate(patient: Patient, settings: AlarmSettings) -> Finding | None:
    """Ventricular beats in the last minute."""
    found = [beat for beat in patient.beats if is_v(beat) and beat.sample > patient.now - 60 * FS]
    if len(found) <= settings.pvc_rate:
        return None
    return Finding(
        onset=found[0].sample, message=f"{len(found)} ventricular beats in a minute", value=float(len(found)),
        limit=settings.pvc_rate, unit="1/min", beats=peaks_of(found),
    )  # fmt: skip
