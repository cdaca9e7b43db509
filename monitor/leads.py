"""What a second lead is for: it stands in while the first cannot be judged, and speaks against what only noise shows.

Both leads are analysed alike, each for itself; beats, rates and alerts that are told are the first one's. Laws:

* Where the first lead cannot be judged (an electrode off, a flat line, an amplifier at its end, too much noise) and the
  second one can, and has found most of the first one's beats, the rules are asked of the second, until the first has
  been there again for ``lead_back_s``.
* What is found in a first lead whose signal is in doubt is not believed while the second one, good all along, shows
  normal beats where it was found, and nothing of its kind. A good first lead is never spoken against, and noise in the
  second says nothing.
* Samples that exist nowhere are missing in both.
"""

from monitor.config import AlarmSettings
from monitor.events import FS, BeatClass, Event, Gap, lead_of
from monitor.memory import forget, note, suspended
from monitor.patient import Finding, Patient
from monitor.rules import Rule

_RECENT = 8
"""Beats of the second lead among which one of the first is looked for."""
_SHARED_RATE = 1.0 / 16.0
"""Weight of a beat in the share that both leads have found: it is known after a quarter of a minute."""


def heard(patient: Patient, event: Event) -> Patient:
    """Whose memory the event belongs to: the patient's, or the second lead's of the same one."""
    if lead_of(event) == 0:
        return patient
    if patient.second is None:
        patient.second = Patient(start_time=patient.start_time)
    # There is one list of alerts: what holds is the patient's, whichever lead shows it.
    patient.second.active = patient.active
    return patient.second


def compare(patient: Patient, settings: AlarmSettings) -> None:
    """A beat has come in the first lead: has the second found the one before it?"""
    second = patient.second
    if second is None or len(patient.beats) < 2 or not (before := patient.beats[-2]).good:
        return
    apart = settings.second_apart_s * FS
    found = any(abs(beat.sample - before.sample) <= apart for beat in second.beats[-_RECENT:])
    patient.shared += _SHARED_RATE * (found - patient.shared)


def missed(patient: Patient, gap: Gap, settings: AlarmSettings) -> None:
    """Samples that exist nowhere are missing in the second lead, too."""
    second = patient.second
    if second is not None:
        note(second, gap, settings)
        if any(suspended(second, settings)):
            forget(second, looks=True)
        second.gap = None


def judged(patient: Patient, settings: AlarmSettings) -> Patient:
    """Whose memory the rules are asked of: the first lead's, or the second's, which stands in for it."""
    second = patient.second
    if second is None or patient.gap is not None or any(suspended(second, settings)):
        patient.stands_in = False
        return patient
    if any(suspended(patient, settings)):
        known = len(second.beats) >= settings.second_beats and patient.shared >= settings.second_shared
        patient.stands_in |= known
    elif patient.stands_in:
        patient.stands_in = patient.now - patient.usable_since < settings.lead_back_s * FS
    second.now = max(second.now, patient.now)
    return second if patient.stands_in else patient


def contradicted(rule: Rule, finding: Finding, patient: Patient, settings: AlarmSettings) -> bool:
    """Whether the second lead speaks against what was found in the first one."""
    second = patient.second
    if second is None or rule.class_ == "technical" or patient.doubtful < finding.onset:
        return False
    if max(second.doubtful, second.usable_since) >= finding.onset or any(suspended(second, settings)):
        return False
    # The beat with which it began may be normal, and the second lead has its R peak somewhere beside.
    beats = [beat for beat in second.beats if beat.sample > finding.onset + settings.second_apart_s * FS]
    normal = all(
        beat.good and beat.label is BeatClass.N and beat.v + beat.f <= settings.second_most_v for beat in beats
    )
    return normal and bool(beats) and rule.find(second, settings) is None
