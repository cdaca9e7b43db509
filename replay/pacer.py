"""When the next samples of a recording are due. With the stages' own loops the only place that reads a clock.

Laws: sample k is due k / (360 · speed) s after the first was asked for, counted from one origin, so that no error
adds up. What is a little late is given at once until the schedule is met again. After a stall of more than
``STALL_S`` (the laptop slept, a subscriber was in the way) the schedule is shifted instead: a recording has nothing
to catch up with, and a burst would show the viewer minutes of signal in one second.
"""

import math
import time
from collections.abc import Callable

from monitor.config import SourceSettings
from monitor.errors import UsageError
from monitor.events import FS

STALL_S = 2.0
"""s behind the schedule from which it is shifted; shorter hitches are caught up with, unseen."""


class Pacer:
    """The schedule of one source.

    Args:
        speed: recorded seconds per second, or None: as fast as it goes.
        settings: the length of a chunk.
        clock: s, monotonic.
        sleep: waits so many s.

    Raises:
        UsageError: the speed is not a positive number.
    """

    def __init__(
        self,
        speed: float | None,
        settings: SourceSettings,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if speed is not None and not (math.isfinite(speed) and speed > 0):
            raise UsageError(f"speed {speed:g} is not a positive number; write 1, 8, … or max")
        self._clock = clock
        self._sleep = sleep
        self._rate = None if speed is None else FS * speed
        seconds = settings.chunk_max_s if speed is None else min(settings.chunk_s * speed, settings.chunk_max_s)
        self.chunk = max(1, round(seconds * FS))
        """Samples at 360 Hz in a chunk: ``chunk_s`` of wall clock, ``chunk_max_s`` of signal at the most."""
        self._largest = max(self.chunk, round(settings.chunk_max_s * FS))
        self._origin: float | None = None

    def due(self, position: int) -> int:
        """Samples after ``position`` (360 Hz, what was given so far) that are due now; 0 where none is.

        Never more than a chunk of ``chunk_max_s``; at speed max, always one chunk.
        """
        if self._rate is None:
            return self.chunk
        now = self._clock()
        elapsed = now - self._start(position, self._rate, now)
        return min(max(0, math.floor(elapsed * self._rate) - position), self._largest)

    def delay(self, position: int) -> float:
        """s until the next chunk after ``position`` is due, 0 where it is; for a loop that has more to wait for.

        A source that has jumped ahead (a gap comes as one event) is not due before that time has come.
        """
        if self._rate is None:
            return 0.0
        now = self._clock()
        return max(0.0, self._start(position, self._rate, now) + (position + self.chunk) / self._rate - now)

    def wait(self, position: int) -> int:
        """Sleep until the next chunk after ``position`` is due; gives its length in samples."""
        delay = self.delay(position)
        if delay > 0:
            self._sleep(delay)
        return self.chunk

    def state(self, wall: float) -> float | None:
        """The wall clock (s since the Unix epoch; now ``wall``) at which sample 0 was due; None: not yet asked."""
        return None if self._origin is None else wall - (self._clock() - self._origin)

    def restore(self, state: float | None, position: int, wall: float) -> None:
        """Go on with the schedule of a former life that had given ``position`` samples: what has become due since is
        given at once, unless it is a stall. Should the wall clock have been set back meanwhile, nobody waits for it."""
        if state is not None and self._rate is not None:
            now = self._clock()
            self._origin = min(now - (wall - state), now - position / self._rate)

    def _start(self, position: int, rate: float, now: float) -> float:
        """When sample 0 was due; set by the first question, shifted after a stall."""
        if self._origin is None:
            self._origin = now - position / rate
        late = now - (self._origin + (position + self.chunk) / rate)
        if late > STALL_S:
            self._origin += late
        return self._origin
