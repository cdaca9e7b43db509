"""What a second lead is for: it stands in while the first cannot be judged, and speaks against what only noise shows.

Both leads are analysed alike, each for itself; beats, rates and verdicts that are told are the first one's. Laws:

* Where the first lead cannot be judged (an electrode off, a flat line, an amplifier at its end, too much noise), the
  second can, and has found most of the first one's beats, it stands in: the rules are asked of it, and so it stays
  until the first has been there for ``lead_back_s`` again. Meanwhile they are asked of the first as well, as far as it
  can be judged: a rule that knows noise when it sees it, in noise; all of them, when it is back.
* What is found in a lead whose signal is in doubt is not believed while the other one, good all along, shows normal
  beats where it was found, and nothing of its kind. A good lead is never spoken against, noise says nothing, and a
  second lead that has missed beats of the first does not speak.
* Samples that exist in neither are missing in both: a gap. Where one lead has them the other is off.
"""

from itertools import takewhile

from monitor.config import AlarmSettings
from monitor.detector_layout import AFTER
from monitor.events import FS, BeatClass, Event, Gap, lead_of
from monitor.memory import forget, missing, note, suspended
from monitor.patient import Finding, Patient
from monitor.rules import Rule


def heard(patient: Patient, event: Event) -> Patient:
    """Whose memory the event belongs to: the patient's, or the second lead's of the same one."""
    if lead_of(event) == 0:
        return patient
    if patient.second is None:
        patient.second = Patient(start_time=patient.start_time)
        linked(patient)
    return patient.second


def linked(patient: Patient) -> None:
    """There is one list of alerts: what holds is the patient's, whichever lead shows it."""
    if patient.second is not None:
        patient.second.active = patient.active


def compare(patient: Patient, settings: AlarmSettings) -> None:
    """A beat has come in the first lead: has the second found the one before it?"""
    second = patient.second
    if second is None or len(patient.beats) < 2 or not (before := patient.beats[-2]).good:
        return
    apart = settings.second_apart_s * FS
    since = takewhile(lambda beat: beat.sample >= before.sample - apart, reversed(second.beats))
    hit = any(beat.sample <= before.sample + apart for beat in since)
    patient.shared += (hit - patient.shared) / settings.second_shared_beats


def missed(patient: Patient, gap: Gap, settings: AlarmSettings) -> None:
    """Samples that exist nowhere are missing in the second lead, too, if they are so many that it matters."""
    second = patient.second
    if second is not None and gap.stop - gap.start >= settings.gap_s * FS:
        note(second, gap, settings)
        forget(second, looks=True)
        second.gap = None


def asked(patient: Patient, settings: AlarmSettings) -> Patient:
    """Whose events the rules are asked at: the first lead's, or the second's, which stands in for it."""
    second = patient.second
    if second is None:
        return patient
    nothing, noisy = suspended(patient, settings)
    nothing_in_second, noise_in_second = suspended(second, settings)
    if missing(patient, settings) or nothing_in_second or (noise_in_second and not nothing):
        patient.stands_in = False
    elif nothing or noisy:
        known = len(second.beats) >= settings.second_beats and patient.shared >= settings.second_shared
        patient.stands_in |= known
    elif patient.stands_in:
        patient.stands_in = patient.now - patient.usable_since < settings.lead_back_s * FS
    second.now = max(second.now, patient.now)
    return second if patient.stands_in else patient


def found(rule: Rule, patient: Patient, settings: AlarmSettings) -> Finding | None:
    """What a rule sees in the leads that it may be asked of."""
    second = patient.second
    if second is None or not patient.stands_in:
        return _believed(rule, patient, second, patient, settings)
    nothing, noisy = suspended(patient, settings)
    finding = _believed(rule, second, None if nothing or noisy else patient, patient, settings)
    if finding is None and not nothing and (rule.despite_noise or not noisy):
        finding = _believed(rule, patient, second, patient, settings)
    return finding


def _believed(
    rule: Rule, lead: Patient, other: Patient | None, patient: Patient, settings: AlarmSettings
) -> Finding | None:
    """What a rule sees in a lead, unless the other one speaks against it."""
    finding = rule.find(lead, settings)
    if finding is None or other is None or rule.class_ == "technical" or lead.doubtful < finding.onset:
        return finding
    if patient.shared < settings.second_shared or any(suspended(other, settings)):
        return finding
    if max(other.doubtful, other.usable_since) >= finding.onset:
        return finding
    # The beat with which it began may be normal, and the other lead has its R peak somewhere beside.
    beats = [beat for beat in other.beats if beat.sample > finding.onset + settings.second_apart_s * FS]
    normal = all(beat.good and beat.label is BeatClass.N and beat.v + beat.f < settings.vt_least for beat in beats)
    if not beats or not normal or rule.find(other, settings) is not None:
        return finding
    usual = beats[-1].rr
    overdue = usual is None or patient.now - beats[-1].sample > settings.missed_beat_rr * usual + AFTER
    return finding if overdue else None
