"""Chunks of samples that come late, twice or in the wrong order, put in order by what a device says of their place.

A chunk may carry a count of the samples before it, the time on the device's own clock, or nothing; then it follows what
came before it. The line that comes out is in the device's samples; what is missing on it is a :class:`Hole`.

Laws:

* Nothing is invented: every sample of the line was delivered, and none twice; in the order of the count or the clock,
  or of arrival where there is neither, or where they jump.
* What comes before its turn waits ``reorder_s`` for what is missing before it; that is a hole then.
* A chunk that says what was there already is a repetition if its samples are the same, and too late where a hole was
  told. If they differ, or if the chunk claims to be of a time that is yet to come, the count or the clock has jumped:
  the chunk follows what came before it, and later ones are counted from there. (Whether time is missing in between
  only the time of arrival can say: ``replay.pace``.)
* Pure: the time of arrival is an argument.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from monitor.config import DeviceSettings

Block = npt.NDArray[np.float32]
"""[lead, sample], mV; NaN where the device says that there is none."""

_FOLLOW = 0.05
"""Share of what a stamp differs from its place by which later stamps are judged: two clocks drift apart slowly."""
DRIFT = 5e-4
"""s a second that a device's clock may be off without anybody being told: ten times a bad crystal's."""


class Delivery(Struct, frozen=True, kw_only=True):
    """What a device gives at once."""

    arrived: float
    """s on the clock of whoever receives."""
    signal: Block
    """[lead, n]; n may be 0: only time has passed."""
    count: int | None = None
    """Samples before this chunk, as the device counts them, from anywhere."""
    clock: float | None = None
    """s on the device's clock at the first sample."""


class Hole(Struct, frozen=True):
    """Samples that the device did not give."""

    length: int
    cause: Literal["missing", "rate"]
    """``rate``: what it gave came at another rate than it says."""


Piece = Block | Hole


def length(piece: Piece) -> int:
    """In samples."""
    return piece.length if isinstance(piece, Hole) else int(piece.shape[1])


class Order:
    """One device's chunks in order.

    Args:
        fs: samples a second that the device says it gives; Hz.
        leads: in each chunk.
        settings: the times of the laws.
    """

    def __init__(self, fs: float, leads: int, settings: DeviceSettings) -> None:
        self._fs, self._leads, self._settings = fs, leads, settings
        self._end = 0
        """The line's length."""
        self._count0: int | None = None
        """Position 0 on the device's count."""
        self._clock0: float | None = None
        """Position 0 on the device's clock, s."""
        self._stamp: float | None = None
        """The latest time on the device's clock."""
        self._start: float | None = None
        """When position 0 came, were nothing ever late; s."""
        self._waiting: list[tuple[int, float, Block]] = []
        """Place, time of arrival, samples: before their turn."""
        self._past: Block = np.empty((leads, 0), np.float32)
        """The line's last ``memory_s``."""
        self.repeated = 0
        """Samples that came again."""
        self.late = 0
        """Samples that came after their place had been told to be a hole."""
        self.jumps = 0
        """Times that the count or the clock jumped."""

    @property
    def waiting(self) -> bool:
        """Time alone may bring something."""
        return bool(self._waiting)

    def push(self, delivery: Delivery) -> list[Piece]:
        """What is in order now."""
        out: list[Piece] = []
        if delivery.signal.shape[1]:
            signal = np.ascontiguousarray(delivery.signal, np.float32)
            self._put(delivery, signal, out)
        while self._waiting and (
            self._waiting[0][0] <= self._end or delivery.arrived - self._waiting[0][1] >= self._settings.reorder_s
        ):
            place, _, block = self._waiting.pop(0)
            if place > self._end:
                hole = Hole(place - self._end, "missing")
                out.append(hole)
                self._remember(np.full((self._leads, min(hole.length, self._memory)), np.nan, np.float32))
                self._end = place
            self._append(block, out)
        return out

    def finish(self) -> list[Piece]:
        """What still waits, at the end."""
        nothing = np.empty((self._leads, 0), np.float32)
        return self.push(Delivery(arrived=np.inf, signal=nothing)) if self._waiting else []

    def state(self) -> dict[str, Any]:
        """Plain types and bytes."""
        return {
            "end": self._end,
            "count0": self._count0,
            "clock0": self._clock0,
            "start": self._start,
            "stamp": self._stamp,
            "waiting": [[place, at, block.tobytes()] for place, at, block in self._waiting],
            "past": self._past.tobytes(),
            "counted": [self.repeated, self.late, self.jumps],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`, for the same device."""
        self._end, self._start, self._stamp = state["end"], state["start"], state["stamp"]
        self._count0, self._clock0 = state["count0"], state["clock0"]
        self._waiting = [(place, at, self._block(data)) for place, at, data in state["waiting"]]
        self._past = self._block(state["past"])
        self.repeated, self.late, self.jumps = state["counted"]

    def _block(self, data: bytes) -> Block:
        return np.frombuffer(data, np.float32).reshape(self._leads, -1)

    @property
    def _memory(self) -> int:
        return round(self._settings.memory_s * self._fs)

    @property
    def _next(self) -> int:
        """Where the line goes on, once what waits has had its turn."""
        ends = [place + int(block.shape[1]) for place, _, block in self._waiting]
        return max([self._end, *ends])

    def _put(self, delivery: Delivery, signal: Block, out: list[Piece]) -> None:
        place = self._place(delivery, signal)
        known = min(self._end - place, signal.shape[1])
        if known > 0:
            begin = self._past.shape[1] - (self._end - place)
            told = np.isnan(self._past[0, begin : begin + known])
            self.late += int(told.sum())
            self.repeated += int(known - told.sum())
            signal, place = signal[:, known:], place + known
        if not signal.shape[1]:
            return
        if any(place < at + block.shape[1] and at < place + signal.shape[1] for at, _, block in self._waiting):
            self.repeated += signal.shape[1]
        elif place > self._end:
            self._waiting.append((place, delivery.arrived, signal))
            self._waiting.sort(key=lambda one: one[0])
        else:
            self._append(signal, out)

    def _place(self, delivery: Delivery, signal: Block) -> int:
        """The position of the chunk's first sample."""
        if delivery.count is not None and self._count0 is not None:
            place = delivery.count - self._count0
        elif delivery.count is None and delivery.clock is not None and self._clock0 is not None:
            exact = (delivery.clock - self._clock0) * self._fs
            apart = exact - self._next
            later = self._stamp is None or delivery.clock > self._stamp
            if later and abs(apart) <= self._settings.jitter_s * self._fs:
                self._clock0 += _FOLLOW * apart / self._fs
                place = self._next
            else:
                place = round(exact)
        else:
            self._anchor(delivery)
            place = self._next
        if delivery.clock is not None:
            self._stamp = delivery.clock if self._stamp is None else max(self._stamp, delivery.clock)
        earliest = delivery.arrived - (place + signal.shape[1]) / self._fs
        if self._start is None:
            self._start = earliest
        if earliest < self._start - self._settings.slack_s or self._differs(place, signal):
            self.jumps += 1
            self._anchor(delivery)
            place = self._next
            # It may be that the first chunks were late: what comes now is the earliest that is known.
            self._start = min(self._start, delivery.arrived - (place + signal.shape[1]) / self._fs)
        elif earliest < self._start:
            self._start = earliest
        else:
            self._start += DRIFT * signal.shape[1] / self._fs
        return int(place)

    def _differs(self, place: int, signal: Block) -> bool:
        """It claims a place where other samples were."""
        behind = self._end - place
        if behind > self._past.shape[1]:
            return True
        if behind <= 0:
            return False
        known = min(behind, signal.shape[1])
        begin = self._past.shape[1] - behind
        past, new = self._past[:, begin : begin + known], signal[:, :known]
        return not bool((np.isnan(past[0]) | ((past == new) | (np.isnan(past) & np.isnan(new))).all(axis=0)).all())

    def _anchor(self, delivery: Delivery) -> None:
        """The chunk follows what came before it, and later ones are counted from there."""
        place = self._next
        self._count0 = None if delivery.count is None else delivery.count - place
        self._clock0 = None if delivery.clock is None else delivery.clock - place / self._fs
        self._stamp = delivery.clock

    def _append(self, signal: Block, out: list[Piece]) -> None:
        out.append(signal)
        self._remember(signal)
        self._end += signal.shape[1]

    def _remember(self, block: Block) -> None:
        self._past = np.concatenate((self._past, block), axis=1)[:, -self._memory :]
