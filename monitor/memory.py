"""What an event teaches of a patient: beats, reports and gaps into the memory that the rules look at, and out of it."""

from monitor.config import AlarmSettings
from monitor.events import FS, Cause, Event, Gap, Level, Lost, Quality, Rhythm, Verdict, position
from monitor.patient import LOOK, LOOKS, MEMORY, Look, Patient, Seen
from monitor.rules import On

_HEIGHT_RATE = 0.125
"""Share by which a beat moves the mean deflection of the patient's complexes (Pan & Tompkins 1985)."""
_HEIGHT_GROWS = 1.5
"""Times that mean: a larger beat counts for no more."""


def missing(patient: Patient, settings: AlarmSettings) -> bool:
    """Whether there are no samples, for so long that it matters."""
    return patient.gap is not None and patient.gap[1] - patient.gap[0] >= settings.gap_s * FS


def suspended(patient: Patient, settings: AlarmSettings) -> tuple[bool, bool]:
    """Whether there is no signal, and whether what there is is too noisy for beats."""
    unusable = patient.bad >= settings.unusable_reports
    noisy = unusable and patient.cause is Cause.NOISE
    return missing(patient, settings) or (unusable and not noisy), noisy


def forget(patient: Patient, *, looks: bool) -> None:
    """What was known before now says nothing about what comes; nor do ``looks`` at the rhythm."""
    patient.beats.clear()
    patient.silence = 0
    patient.usable_since = patient.now
    if looks:
        patient.looks.clear()
        patient.there_since = patient.now


def note(patient: Patient, event: Event, settings: AlarmSettings) -> On:
    """Takes the event into what is known of the patient; what kind of rules it concerns."""
    if isinstance(event, Lost):
        # The source may have told of samples that the beats have not come to yet, and more of them may still come:
        # the patient's time stays, so that when a silence was noticed changes nothing else.
        patient.lost = patient.now
        return "second"
    patient.now = max(patient.now, position(event))
    patient.lost = None
    match event:
        case Verdict():
            _note_beat(patient, event, settings)
            return "beat"
        case Rhythm():
            if event.sample - LOOK >= patient.there_since:
                patient.looks.append(Look(event.sample, event.vt, event.vf, event.amplitude))
                del patient.looks[:-LOOKS]
            return "look"
        case Quality():
            patient.cause = event.cause
            if event.level is not Level.GOOD:
                patient.doubtful = event.sample
            patient.silence = min(event.silence, event.sample - patient.usable_since)
            if patient.faint:
                patient.silence = event.sample - max(patient.qrs, patient.usable_since)
            if event.cause is Cause.GAP:
                start = patient.gap[0] if patient.gap else event.sample - FS
                patient.gap = (start, event.sample, "missing")
                patient.bad = 0
            else:
                patient.gap = None
                if event.level is not Level.UNUSABLE:
                    patient.bad = 0
                elif event.cause is not Cause.NOISE or event.sample % FS == 0:
                    # Between beats reports come faster; a burst of noise is not to end the count of a slow rhythm.
                    patient.bad += 1
        case Gap():
            patient.gap = (event.start, event.stop, event.cause)
            patient.now = max(patient.now, event.stop)
    return "second"


def _note_beat(patient: Patient, event: Verdict, settings: AlarmSettings) -> None:
    """A beat is remembered. One far smaller than the patient's complexes, on a still line, does not end a silence: P
    waves without answer, noise. After some of them in a row the patient's complexes have become smaller."""
    height = abs(event.amplitude)
    good = event.level is Level.GOOD
    still = bool(patient.looks) and patient.looks[-1].amplitude < settings.still * patient.height
    if height < settings.faint * patient.height and still and patient.faint < settings.faint_beats:
        patient.faint += 1
    else:
        if patient.faint >= settings.faint_beats:
            patient.height = 0.0
        if good and patient.height:  # what moves an electrode makes no larger complexes
            patient.height += _HEIGHT_RATE * (min(height, _HEIGHT_GROWS * patient.height) - patient.height)
        elif good:
            patient.height = height
        patient.faint = 0
        patient.silence = 0
        patient.qrs = event.sample
    trusted = event.rr is not None and event.sample - event.rr >= patient.usable_since
    rr = event.rr if trusted else None
    v, f = event.probabilities[2], event.probabilities[3]
    patient.beats.append(
        Seen(event.sample, event.label, rr, v, f, event.amplitude, event.p_likeness, event.p_amplitude, good)
    )
    del patient.beats[:-MEMORY]
