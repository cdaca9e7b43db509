"""What flows between the stages: frozen nouns, a unit on every field.

Laws:

* Time is ``sample``: int64, counted at 360 Hz from the stream's start. Nothing here reads a clock.
* A stream event belongs to one ``stream`` and carries its number ``seq``, counted from 1 per stream and link;
  the receiver of a link drops what it has already seen and notices what is missing.
* Two runs of the same stream give equal events, however the stream was cut into chunks. Fields that come from
  the wall clock (``published_time``) are filled in at the edge, by the stage loop, and are no part of that law.

Equality of events is equality of their encoding (``wire.encode_event``), as arrays have no truth value.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct

FS = 360
"""Sampling rate of every core, Hz: MIT-BIH's own; other rates are resampled at the edge."""

SCHEMA = "ecg-monitor/alert/1"

Floats = npt.NDArray[np.float32]


class BeatClass(StrEnum):
    """AAMI EC57 beat classes."""

    N = "N"  # normal, bundle branch block, escape
    S = "S"  # supraventricular ectopic
    V = "V"  # ventricular ectopic
    F = "F"  # fusion of ventricular and normal
    Q = "Q"  # paced, fusion with paced, unclassifiable


CLASSES: tuple[BeatClass, ...] = tuple(BeatClass)


class Level(StrEnum):
    """Signal quality."""

    GOOD = "good"
    NOISY = "noisy"  # beats are probably right, shapes and counts are doubtful
    UNUSABLE = "unusable"  # nothing may be concluded


class Cause(StrEnum):
    """Why the quality is what it is."""

    NONE = "none"
    LEAD_OFF = "lead_off"
    FLAT = "flat"
    SATURATED = "saturated"
    NOISE = "noise"
    GAP = "gap"


class Priority(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class AlertState(StrEnum):
    RAISED = "raised"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    ENDED = "ended"


GapCause = Literal["missing", "lost", "rate"]
"""Why there are no samples. ``missing``: the source has none; ``lost``: on the way, beyond repair; ``rate``: the source
gives them at another rate than it says, so nobody can say when they were."""


class StreamEvent(Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """Anything that belongs to one stream."""

    stream: str
    """Name of the stream (patient), unique in a daemon."""
    seq: Annotated[int, Meta(ge=1)]
    """Number of this event in its stream on its link, from 1."""


class Opened(StreamEvent, frozen=True, kw_only=True):
    """A stream begins; always its first event."""

    source: str
    """The URI it comes from, for people."""
    fs: float
    """The source's own sampling rate, Hz; what is written back to a record is in these samples."""
    leads: tuple[str, ...]
    """Names of the leads, in the order of ``Samples.signal``; the first is the one that is analysed, the second its
    second opinion."""
    start_time: float
    """Wall-clock time of sample 0, seconds since the Unix epoch, UTC."""
    length: int | None
    """Samples at 360 Hz that will come, where that is known."""


class Samples(StreamEvent, frozen=True, kw_only=True):
    """A chunk of signal."""

    start: int
    """Index of the first sample, 360 Hz."""
    signal: Floats
    """[lead, sample], mV. NaN in a lead means that it is missing there: not in both leads that are analysed, nor in the
    only one."""

    @property
    def stop(self) -> int:
        """One past the last sample."""
        return self.start + int(self.signal.shape[1])


class Gap(StreamEvent, frozen=True, kw_only=True):
    """Samples that exist nowhere: the recording has none, or they were lost and cannot be had back."""

    start: int
    """First missing sample."""
    stop: int
    """First sample that is there again."""
    cause: GapCause


class Lost(StreamEvent, frozen=True, kw_only=True):
    """The source of a stream has gone silent; ends with the next event of the stream."""

    sample: int
    """The last sample that is known, plus one."""


class Closed(StreamEvent, frozen=True, kw_only=True):
    """A stream ends; always its last event."""

    sample: int
    """One past the last sample."""
    reason: str
    """For people: ``end of recording``, or what went wrong."""


class Quality(StreamEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Signal quality, and that time has passed: once a second, eight times a second when no beat comes."""

    sample: int
    """Everything before this sample has been looked at; a beat up to ``sample - delay`` would have been published."""
    level: Level
    cause: Cause
    noise: float
    """Level of the QRS band between the beats over that of the beats, last 2 s, 0 to 1."""
    silence: int
    """Samples since the last R peak, or since the signal began where there was none yet; 0 inside a gap."""
    lead: int = 0
    """Of the leads that are analysed: 0 the first, 1 the second, which speaks only to the alarms."""


class Rhythm(StreamEvent, frozen=True, kw_only=True, omit_defaults=True):
    """What the last four seconds of samples look like, whatever beats were found in them: once a second, and not until
    four seconds after a gap."""

    sample: int
    """The window ends here: the first sample that is not in it."""
    vt: float
    """Probability of ventricular tachycardia, four decimals."""
    vf: float
    """Probability of ventricular flutter or fibrillation, four decimals."""
    amplitude: float
    """Peak-to-peak value of the filtered signal in the quietest of the window's seconds, mV."""
    lead: int = 0
    """As in Quality."""


class Beat(StreamEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A heartbeat, found."""

    sample: int
    """The R peak."""
    confirmed: int
    """The sample with which it became certain; ``confirmed - sample`` is the detector's delay."""
    amplitude: float
    """Signed deflection at the R peak in the filtered signal, mV."""
    level: Level
    cause: Cause
    search_back: bool
    """Found late, at a lowered threshold, because no beat had come."""
    window: Floats
    """[beats.WINDOW] filtered signal around the R peak, mV."""
    p_likeness: float
    """Correlation of what comes before the QRS complex with the patient's average of it; 0 for the first beats."""
    p_amplitude: float
    """Peak-to-peak value of that average over the complex's own."""
    after_gap: bool
    """No RR interval reaches back from here: the first beat of the lead, or the first after a gap."""
    lead: int = 0
    """As in Quality."""


class Verdict(StreamEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A heartbeat, judged."""

    sample: int
    """The R peak."""
    label: BeatClass
    probabilities: tuple[float, float, float, float, float]
    """Of N, S, V, F, Q; four decimals, sum 1."""
    rr: int | None
    """RR interval that ends here, samples; None where none reaches back."""
    level: Level
    amplitude: float
    """As the beat's: signed deflection at the R peak, mV."""
    p_likeness: float
    """As the beat's."""
    p_amplitude: float
    """As the beat's."""
    lead: int = 0
    """As in Quality."""


class Acknowledge(StreamEvent, frozen=True, kw_only=True):
    """A person has seen an alert. Comes to the alarms from outside of the links."""

    sample: int
    """Up to where the person could see, 360 Hz."""
    alert: str | None
    """The alert's id; None: all of the stream's."""


class Silence(StreamEvent, frozen=True, kw_only=True):
    """A person wants no sound from a stream for a while; what there is to see stays. Comes to the alarms from outside,
    and leaves them for whoever makes sounds."""

    sample: int
    """From here on, 360 Hz; filled in by the alarms."""
    seconds: float
    """For so long; 0: no longer."""


class Enable(StreamEvent, frozen=True, kw_only=True):
    """A person turns one kind of alert of a stream on or off. Comes to the alarms from outside, and leaves them."""

    sample: int
    """From here on, 360 Hz; filled in by the alarms."""
    kind: str
    on: bool


Command = Acknowledge | Silence | Enable
"""What a person wants of the alarms."""


class Alert(Struct, frozen=True, kw_only=True, tag_field="type", tag="alert", rename={"class_": "class"}):
    """One event in the life of an alert, as it goes to the alert socket: one JSON object."""

    schema: Literal["ecg-monitor/alert/1"]
    """Name and version of this layout."""
    id: str
    """Stable from ``raised`` to ``ended``."""
    stream: str
    seq: Annotated[int, Meta(ge=1)]
    """Number of this event in its stream on its link, from 1."""
    kind: str
    """asystole, vt, couplet, …: a row of the rule table."""
    priority: Priority
    class_: Literal["physiological", "technical"]
    state: AlertState
    latched: bool
    """Its condition is over; it stays until a person acknowledges it."""
    sample: int
    """Where this event holds, 360 Hz (in alarms.jsonl: the record's own rate)."""
    onset_sample: int
    """Where the condition began, same clock."""
    onset_time: float
    """The same in wall-clock time, seconds since the Unix epoch, UTC."""
    published_time: float | None
    """When it left the daemon, seconds since the Unix epoch, UTC; null in offline annotation."""
    value: float | None
    """What was measured, in ``unit``."""
    limit: float | None
    """What it was compared with, in ``unit``."""
    unit: str
    message: str
    """One line for people."""
    beats: tuple[int, ...]
    """R peaks that make up the event, same clock as ``sample``; the last 32 at most."""
    previous: int
    """``seq`` of the alert event before this one in its stream, 0 for the first: whoever has not got that has missed
    something."""


class Status(Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """A stage's own report, once a second; belongs to no stream."""

    stage: str
    pid: int
    time: float
    """Wall clock, seconds since the Unix epoch, UTC."""
    uptime: float
    """Seconds."""
    events_in: int
    events_out: int
    samples: int
    """Samples handled since the start, all streams."""
    streams: int
    """Streams open now."""
    lost: int
    """Events lost beyond repair since the start."""
    repaired: int
    """Events fetched again from the publisher's history since the start."""
    rejected: int
    """Frames refused since the start."""
    busy: float
    """Share of the last second spent working, 0 to 1."""
    detail: str
    """For people: the device, the model, …"""
    trouble: str = ""
    """For people: what it cannot do at present (write checkpoints, record, …); "" when all is well."""
    silent: tuple[str, ...] = ()
    """Streams whose devices give nothing at present."""


Event = (
    Opened | Samples | Gap | Lost | Closed | Quality | Rhythm | Beat | Verdict | Acknowledge | Silence | Enable | Alert
)
"""What belongs to a stream and is numbered."""

ANALYSED = 2
"""Leads of a stream that are, if it has as many."""
Lead = tuple[str, int]
"""A stream, and which of its leads that are analysed, 0 or 1."""

OfLead = Quality | Rhythm | Beat | Verdict
"""What is said of one lead."""

E = TypeVar("E")


def position(event: Event) -> int:
    """The first sample that an event speaks of."""
    match event:
        case Opened():
            return 0
        case Samples() | Gap():
            return event.start
        case _:
            return event.sample


def nowhere(signal: np.ndarray[Any, np.dtype[np.floating[Any]]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which samples [sample] of a ``signal`` [lead, sample] are in no lead that is analysed: a gap."""
    return np.asarray(~np.isfinite(signal[:ANALYSED]).any(axis=0))


def lead_of(event: Event) -> int:
    """Which of the leads that are analysed an event speaks of; 0, too, where it is of the whole stream."""
    return event.lead if isinstance(event, OfLead) else 0


def by_stream(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Events parted by stream, order kept."""
    parted: dict[str, list[Event]] = {}
    for event in events:
        parted.setdefault(event.stream, []).append(event)
    return parted


class Numbering:
    """Hands out ``seq``: one counter a stream."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def next(self, stream: str) -> int:
        number = self._last.get(stream, 0) + 1
        self._last[stream] = number
        return number

    def state(self) -> dict[str, int]:
        return dict(self._last)

    def restore(self, state: dict[str, int]) -> None:
        self._last = dict(state)
