"""Whether a device keeps time: its samples held against the time at which they arrive.

In: pieces in order (``replay.order``), and when they came. Out: the same pieces, with holes where time has passed for
which there is no sample, so that position k of the line stays k / fs s after the first, for days.

Laws:

* After a silence longer than ``silent_s`` a device is listened to for ``return_s`` before anything is passed on: what
  it gives at once, or faster than time, are the samples of the silence, late. Time that they do not cover is a hole
  where the silence was.
* Samples that stay late by more than ``behind_s`` for a whole window of ``rate_window_s`` are: that time is missing.
  Where it went missing nobody can say; the hole stands where it is noticed.
* A device that gives samples at another rate than it says (550 of 1000 a second), in two windows in a row, is not
  believed: from then on there is a hole, ``rate``, until two windows in a row are right. What it gave in the first two
  windows has been passed on by then.
* Pure: time is an argument, and the same pieces at the same times give the same line.
"""

from typing import Any

import numpy as np

from monitor.config import DeviceSettings
from replay.order import DRIFT, Hole, Piece, length

_WINDOWS = 2
"""In a row, for a rate to be wrong, or right again: one may be a hitch."""


class Pace:
    """One device's line held against time.

    Args:
        fs: samples a second that the device says it gives; Hz.
        leads: in each block.
        settings: the times of the laws.
    """

    def __init__(self, fs: float, leads: int, settings: DeviceSettings) -> None:
        self._fs, self._leads, self._settings = fs, leads, settings
        self._end = 0
        """The line's length, samples."""
        self._given = 0
        """What the device has accounted for: samples, and holes that it told of."""
        self._start = 0.0
        """When position 0 came, were nothing ever late; s."""
        self._heard: float | None = None
        """When something last came, s."""
        self._returned: float | None = None
        """Since when it is listened to after a silence."""
        self._held: list[Piece] = []
        """What it has given since."""
        self._first = 0
        """How much of that came at once."""
        self._window = (0.0, 0)
        """When the window began, and what had been given by then."""
        self._least = np.inf
        """s; how late samples were in this window, the least."""
        self._off = 0
        """Windows in a row that were too slow (< 0) or too fast (> 0); while the rate is wrong: that were right."""
        self._wrong = False

    @property
    def wrong(self) -> bool:
        """Samples come at another rate than the device says."""
        return self._wrong

    @property
    def listening(self) -> bool:
        """Time alone may bring something."""
        return self._returned is not None

    def silent(self, now: float) -> bool:
        """Nothing came for ``silent_s``."""
        return self._heard is not None and now - self._heard > self._settings.silent_s

    def push(self, now: float, pieces: list[Piece]) -> list[Piece]:
        """The line's next pieces.

        Args:
            now: s, when the pieces came; never less than before.
            pieces: [] if only time has passed.
        """
        out: list[Piece] = []
        came = sum(map(length, pieces))
        if came:
            self._hear(now, came)
        self._given += came
        if self._returned is not None:
            self._held += pieces
            if now - self._returned >= self._settings.return_s:
                self._settle(now, out)
        elif self._wrong:
            if came:
                self._hole(self._due(now) - self._end, "rate", out)
                self._measure(now, out)
        elif came:
            self._pass(pieces, out)
            late = now - self._start - self._end / self._fs
            self._start += min(late, 0.0)
            self._least = min(self._least, max(late, 0.0))
            self._measure(now, out)
        return out

    def finish(self) -> list[Piece]:
        """What is still held back, at the end."""
        out: list[Piece] = []
        if self._returned is not None:
            self._settle(self._heard or 0.0, out)
        return out

    def state(self) -> dict[str, Any]:
        """Plain types and bytes."""
        return {
            "end": self._end,
            "given": self._given,
            "start": self._start,
            "heard": self._heard,
            "returned": self._returned,
            "held": [[p.length, p.cause] if isinstance(p, Hole) else p.tobytes() for p in self._held],
            "first": self._first,
            "window": list(self._window),
            "least": float(self._least),
            "off": self._off,
            "wrong": self._wrong,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`, for the same device."""
        self._end, self._given, self._start = state["end"], state["given"], state["start"]
        self._heard, self._returned, self._first = state["heard"], state["returned"], state["first"]
        self._held = [
            np.frombuffer(piece, np.float32).reshape(self._leads, -1) if isinstance(piece, bytes) else Hole(*piece)
            for piece in state["held"]
        ]
        began, given = state["window"]
        self._window = (began, given)
        self._least, self._off, self._wrong = state["least"], state["off"], state["wrong"]

    def _hear(self, now: float, came: int) -> None:
        if self._heard is None:
            self._start = now - came / self._fs
            self._window = (now, came)
        elif self.silent(now):
            self._window, self._off = (now, self._given + came), 0
            if not self._wrong and self._returned is None:
                self._returned, self._first = now, came
        self._heard = now

    def _due(self, now: float) -> int:
        """Where the line should be."""
        return int((now - self._start) * self._fs)

    def _settle(self, now: float, out: list[Piece]) -> None:
        """A device has come back and was listened to: how much of the silence is missing."""
        assert self._returned is not None
        given = sum(map(length, self._held))
        listened = now - self._returned
        fast = (given - self._first) / self._fs > self._settings.catch_up * listened
        missing = self._due(self._heard or now) - self._end - given
        if not fast and missing > self._settings.behind_s * self._fs:
            self._hole(missing, "missing", out)
        self._pass(self._held, out)
        self._returned, self._held = None, []
        self._begin(now)

    def _measure(self, now: float, out: list[Piece]) -> None:
        """At the end of a window: was its rate right?"""
        began, given = self._window
        lasted = now - began
        if lasted < self._settings.rate_window_s:
            return
        ratio = (self._given - given) / self._fs / lasted
        slow, fast = ratio < 1 - self._settings.rate_tolerance, ratio > 1 + self._settings.rate_tolerance
        least = self._least
        self._begin(now)
        if self._wrong:
            self._off = 0 if slow or fast else self._off + 1
            if self._off >= _WINDOWS:
                self._wrong, self._off = False, 0
            return
        # Faster than time is also who has something to catch up with.
        off = -1 if slow else 1 if fast and least <= self._settings.jitter_s else 0
        self._off = self._off + off if off * self._off >= 0 and off else off
        if abs(self._off) >= _WINDOWS:
            self._wrong, self._off = True, 0
        elif not off and not fast and least > self._settings.behind_s:
            self._hole(round(least * self._fs), "missing", out)
        elif not off:
            self._start += min(least, DRIFT * lasted)

    def _begin(self, now: float) -> None:
        """A new window."""
        self._window = (now, self._given)
        self._least = np.inf

    def _pass(self, pieces: list[Piece], out: list[Piece]) -> None:
        out += pieces
        self._end += sum(map(length, pieces))

    def _hole(self, samples: int, cause: Any, out: list[Piece]) -> None:
        if samples > 0:
            out.append(Hole(samples, cause))
            self._end += samples
