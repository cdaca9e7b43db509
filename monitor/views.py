"""What a screen sees: frozen values, made by :class:`monitor.snapshot.Fold`, read by the dashboard.

Laws: nothing here changes after it was made; nothing here knows a clock, a socket or a terminal; text that came
from outside (names, sources, messages) stands here as it came, and is made harmless where it is shown.
"""

from enum import StrEnum

import numpy as np
from msgspec import Struct

from monitor.events import Alert, AlertState, BeatClass, Cause, Floats, GapCause, Level, Priority

_GRAVITY = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}

NO_WAVE = np.empty(0, np.float32)
NO_WAVE.setflags(write=False)


def urgency(alert: Alert) -> tuple[int, bool, float, str]:
    """Sorts alerts, the worst first: by priority, then those that nobody has acknowledged, then by onset."""
    return _GRAVITY[alert.priority], alert.state is AlertState.ACKNOWLEDGED, alert.onset_time, alert.id


class Feed(StrEnum):
    """Whether signal comes."""

    WAITING = "waiting"  # the stream is there, its first sample is not
    ARRIVING = "arriving"
    SILENT = "silent"  # nothing has come for longer than `dashboard.silent_s`
    LOST = "lost"  # a stage says that the source has gone
    CLOSED = "closed"


class StageState(StrEnum):
    STARTING = "starting"  # has never reported
    UP = "up"
    DOWN = "down"  # its last report is older than `link.dead_s`
    STOPPED = "stopped"  # the same, after every stream was closed


class Peak(Struct, frozen=True):
    """An R peak on the screen."""

    sample: int
    label: BeatClass | None
    """None while the verdict is pending."""


class RR(Struct, frozen=True):
    """One RR interval."""

    sample: int
    """The R peak that it ends with."""
    seconds: float


class Hole(Struct, frozen=True):
    """A stretch without samples."""

    start: int
    stop: int
    cause: GapCause


class Latency(Struct, frozen=True):
    """Wall time from the arrival of the samples with the R peak to the arrival of its verdict, s."""

    p50: float
    p99: float
    beats: int
    """How many beats this is taken from."""


class StreamView(Struct, frozen=True, kw_only=True):
    """One stream (patient)."""

    name: str
    source: str
    """URI; empty while ``Opened`` has not been seen."""
    lead: str
    """Name of the lead that is analysed and shown; empty while unknown."""
    fs: float | None
    """The source's own sampling rate, Hz."""
    length: int | None
    """Samples that will come, 360 Hz, where known."""

    feed: Feed
    silent_s: float
    """Wall time since the last samples, s."""
    reason: str
    """Why the stream was closed; empty while it is open."""
    position: int
    """One past the last sample that is known."""
    speed: float | None
    """Seconds of signal that come in a second; None while unknown."""

    wave: Floats
    """[sample] first lead, mV, NaN where there is none; ends at ``position``. Empty for a stream out of focus."""
    limits: tuple[float, float]
    """mV at the lower and upper edge of the picture."""
    peaks: tuple[Peak, ...]
    """R peaks within ``wave``, in order. Empty for a stream out of focus."""
    rr: tuple[RR, ...]
    """RR intervals of the last ``dashboard.trend_s``, in order. Empty for a stream out of focus."""

    heart_rate: float | None
    """Beats a minute; None where it may not be told."""
    counts: dict[BeatClass, int]
    """Beats judged since the start."""
    pending: int
    """Beats that wait for their verdict."""

    level: Level | None
    """Signal quality; None where no report has come lately."""
    cause: Cause
    noise: float
    """0 to 1."""

    alerts: tuple[Alert, ...]
    """What holds now, the most urgent first."""
    log: tuple[Alert, ...]
    """The last alert events, oldest first; updates are left out."""
    raised: dict[str, int]
    """Alerts raised since the start, by kind."""

    silenced_s: float
    """Signal time for which a person wants no sound from this stream, s."""
    latency: Latency | None
    holes: tuple[Hole, ...]
    """The last holes, oldest first."""
    lost_samples: int
    """Lost on the way, beyond repair."""
    missing_samples: int
    """Never in the recording."""

    @property
    def worst(self) -> Alert | None:
        return self.alerts[0] if self.alerts else None


class StageView(Struct, frozen=True, kw_only=True):
    """One stage (process)."""

    name: str
    state: StageState
    age: float
    """Wall time since its last report, s."""
    events_in: float
    """Per second."""
    events_out: float
    """Per second."""
    samples: float
    """Per second, all streams."""
    lost: int
    repaired: int
    rejected: int
    busy: float
    """0 to 1."""
    restarts: int
    """Times that another process took its place since we have been watching."""
    detail: str
    trouble: str
    """What it cannot do at present; empty when all is well."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything a screen shows, at one instant."""

    now: float
    """Wall clock, seconds since the Unix epoch, UTC."""
    streams: tuple[StreamView, ...]
    """In the order in which they appeared."""
    stages: tuple[StageView, ...]
    """Along the flow."""
