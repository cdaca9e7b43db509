"""What the alarms know of one patient, and what a rule may find in it: plain data."""

from collections.abc import Callable
from enum import Enum, auto

import msgspec
from msgspec import Struct

from monitor.events import FS, BeatClass, Cause, GapCause

MEMORY = 320
"""Beats remembered of a patient: a minute at 300 a minute and a little, more than the longest rule looks back on."""
LISTED = 32
"""R peaks that an alert names at most."""
LOOKS = 16
"""Reports on the rhythm remembered."""
LOOK = 4 * FS
"""Samples that a report on the rhythm describes (``events.Rhythm``)."""


class Seen(Struct, frozen=True, array_like=True):
    """One judged beat, as the rules want it."""

    sample: int
    label: BeatClass
    rr: int | None
    v: float
    f: float
    """Probabilities of a ventricular and of a fusion beat."""
    amplitude: float
    """mV, signed."""
    p_likeness: float
    p_amplitude: float
    good: bool
    """The signal was neither noisy nor unusable."""


class Look(Struct, frozen=True, array_like=True):
    """One report on the rhythm."""

    sample: int
    vt: float
    vf: float
    amplitude: float


class Phase(Enum):
    """Where an alert is in its life."""

    IDLE = auto()
    ACTIVE = auto()  # its condition holds
    ACKNOWLEDGED = auto()  # it holds, and a person knows
    LATCHED = auto()  # it does not hold any more, and nobody has acknowledged it


class Open(Struct):
    """An alert that is not over."""

    id: str
    onset: int
    value: float | None
    until: int
    """The sample before which it does not end by itself."""
    against: int
    """WHILE: how often in a row its condition has not held."""
    beats: tuple[int, ...]
    limit: float | None
    unit: str
    message: str
    phase: Phase = Phase.ACTIVE


class Patient(Struct, kw_only=True):
    """All that the alarms know of one stream."""

    start_time: float = 0.0
    now: int = 0
    """The latest sample heard of."""
    beats: list[Seen] = msgspec.field(default_factory=list)
    """Newest last, at most MEMORY; emptied where the past no longer counts (a gap, unusable signal)."""
    looks: list[Look] = msgspec.field(default_factory=list)
    """Newest last, at most LOOKS; emptied likewise."""
    silence: int = 0
    """Samples since the last QRS complex, or since the signal was usable again; 0 while it is not."""
    qrs: int = 0
    """The last beat that was no faint bump."""
    height: float = 0.0
    """Mean deflection of the patient's QRS complexes, mV; 0: not known."""
    faint: int = 0
    """Bumps in a row that are far smaller than the patient's complexes."""
    cause: Cause = Cause.NONE
    bad: int = 0
    """Quality reports in a row that called the signal unusable."""
    doubtful: int = -1
    """The sample up to which a report on the signal was last other than good."""
    usable_since: int = 0
    """The sample from which on conclusions may be drawn; no interval reaches back beyond it."""
    there_since: int = 0
    """The sample from which on there is a signal, noise or not; a look at the rhythm that reaches back beyond it has
    seen an electrode come off, or be put on."""
    gap: tuple[int, int, GapCause] | None = None
    """The last gap: start, stop, cause; stop grows while it lasts."""
    lost: int | None = None
    """Since which sample the source is silent."""
    active: dict[str, Open] = msgspec.field(default_factory=dict)
    """By kind."""
    switched: dict[str, bool] = msgspec.field(default_factory=dict)
    """Kinds that a person has turned on or off, whatever the settings say."""
    leads: tuple[str, ...] = ()
    """Names of the leads that come."""
    second: "Patient | None" = None
    """What is known of the same patient from the second lead, if there is one; the alerts are the very same."""
    shared: float = 1.0
    """Running mean share of the first lead's good beats that the second has found, too."""
    stands_in: bool = False
    """The first lead cannot be judged, or could not a while ago: the second one is."""

    def holds(self, kind: str) -> bool:
        """Whether there is an alert of this kind whose condition holds."""
        held = self.active.get(kind)
        return held is not None and held.phase is not Phase.LATCHED


class Finding(Struct, frozen=True, kw_only=True):
    """A rule's condition holds."""

    onset: int
    message: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    beats: tuple[int, ...] = ()


def bpm(intervals: list[int]) -> float:
    """Mean heart rate over RR intervals in samples, beats a minute."""
    return 60.0 * FS * len(intervals) / sum(intervals)


def intervals_of(beats: list[Seen]) -> list[int]:
    """RR intervals that end at these beats, where they are known."""
    return [beat.rr for beat in beats if beat.rr is not None]


def between(beats: list[Seen]) -> list[int] | None:
    """The intervals between these consecutive beats; None if one is not known."""
    found = intervals_of(beats[1:])
    return found if found and len(found) == len(beats) - 1 else None


def peaks_of(beats: list[Seen]) -> tuple[int, ...]:
    """R peaks, the last LISTED."""
    return tuple(beat.sample for beat in beats[-LISTED:])


def is_v(beat: Seen) -> bool:
    return beat.label is BeatClass.V


def tail(patient: Patient, wanted: Callable[[Seen], bool]) -> list[Seen]:
    """The unbroken run of beats at the end that are ``wanted``; a beat without RR interval begins a run anew."""
    run: list[Seen] = []
    for beat in reversed(patient.beats):
        if not wanted(beat):
            break
        run.append(beat)
        if beat.rr is None:
            break
    return run[::-1]
