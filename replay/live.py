"""A device's lines made a stream: in order, in pace, at 360 Hz, what it does not give told as gaps.

A device writes JSON lines: first what it is, ``{"fs": 500, "leads": ["II", "V1"]}``, then samples,
``{"n": 1000, "t": 2.0, "mv": [[0.01, …], [null, …]]}``: n counts the samples before these, t is its clock in s; either
or both may be left out. ``mv`` has a row for each lead, null where there is none. ``{"end": "why"}`` ends the stream;
nothing else does. A line that is none of these, or does not fit what the device said that it is, is refused, and
counted.

Pure: bytes and the times of their arrival go in, events come out; those of every source (``monitor.sources``).
"""

from itertools import pairwise
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import FS, Closed, Event, Gap, GapCause, Numbering, Opened, Samples, nowhere
from monitor.sources import SourceRequest
from replay.headers import choose
from replay.order import Delivery, Hole, Order, Piece
from replay.pace import Pace
from replay.resample import Resampler, ResamplerState, Signal

_LONGEST = 1 << 20
"""Bytes in a line: ten seconds of twelve leads at 1,000 Hz take less."""
_FS = (20.0, 100_000.0)
"""Hz; no electrocardiograph is slower or faster."""
_SKIPPED = 100_000
"""Sequence numbers: more than a source can have given since its last checkpoint."""
_LARGEST_MV = 1e4
"""mV; what is beyond is no voltage of a body: the sample is missing."""


class _Line(Struct):
    """Any line of a device."""

    fs: float | None = None
    leads: list[str] | None = None
    n: Annotated[int, Meta(ge=0, le=1 << 62)] | None = None
    t: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None
    mv: list[list[float | None]] | None = None
    end: str | None = None


_decoder = msgspec.json.Decoder(_Line)


class Live:
    """One device's stream.

    Args:
        request: what is wanted; ``start_s`` and ``loop`` mean nothing here.
        settings: [device] and [source] are used.
    """

    def __init__(self, request: SourceRequest, settings: Settings) -> None:
        self._request = request
        self._settings = settings
        self._rest = b""
        """Of a line, so far."""
        self._leads: tuple[str, ...] = ()
        """All that the device has."""
        self._fs = 0.0
        self._chosen: tuple[int, ...] = ()
        self._order: Order
        self._pace: Pace
        self._resampler: Resampler
        self._numbering = Numbering()
        self._sample = 0
        """The stream's length so far, 360 Hz."""
        self._cause: GapCause = "missing"
        """Of what is missing at the end of it."""
        self._limit = None if request.duration_s is None else round(request.duration_s * FS)
        self._closed = False
        self.refused = 0
        """Lines that were none."""
        self.trouble = ""
        """Why the device cannot be watched; "" when it can."""

    @property
    def opened(self) -> bool:
        """The device has said what it is."""
        return bool(self._leads)

    @property
    def closed(self) -> bool:
        return self._closed

    def silent(self, now: float) -> bool:
        """The device gives nothing, though it did."""
        return self.opened and not self._closed and self._pace.silent(now)

    @property
    def unsettled(self) -> bool:
        """Time alone may change what comes."""
        return self.opened and not self._closed and (self._order.waiting or self._pace.listening)

    def renumber(self) -> None:
        """What was said since the state that was restored is lost: others may have had numbers that are not known
        here, and what comes now must not pass for it."""
        for _ in range(_SKIPPED):
            self._seq()

    def push(self, data: bytes, now: float) -> list[Event]:
        """What bytes that came now (s) complete; b"": time has passed."""
        out: list[Event] = []
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip() and not self._closed:
                self._line(line, now, out)
        if len(self._rest) > _LONGEST:
            self._rest = b""
            self.refused += 1
        if self.opened and not self._closed:
            nothing = np.empty((len(self._chosen), 0), np.float32)
            self._deliver(Delivery(arrived=now, signal=nothing), out)
        return out

    def state(self) -> dict[str, Any]:
        """Plain types and bytes."""
        state: dict[str, Any] = {
            "rest": self._rest,
            "leads": list(self._leads),
            "fs": self._fs,
            "numbers": self._numbering.state(),
            "sample": self._sample,
            "cause": self._cause,
            "closed": self._closed,
            "refused": self.refused,
        }
        if self.opened:
            resampler = self._resampler.state()
            state |= {
                "order": self._order.state(),
                "pace": self._pace.state(),
                "tail": resampler.tail.tobytes(),
                "tail_rest": resampler.rest,
            }
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`, for the same request."""
        if state["leads"]:
            self._begin(state["fs"], tuple(state["leads"]))
            self._order.restore(state["order"])
            self._pace.restore(state["pace"])
            tail = np.frombuffer(state["tail"], np.float64).reshape(len(self._chosen), -1)
            self._resampler.restore(ResamplerState(tail=tail, rest=state["tail_rest"]))
        self._rest, self._sample, self._cause = state["rest"], state["sample"], state["cause"]
        self._closed, self.refused = state["closed"], state["refused"]
        self._numbering.restore(state["numbers"])

    def _line(self, line: bytes, now: float, out: list[Event]) -> None:
        try:
            said = _decoder.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.refused += 1
            return
        header = said.fs is not None and said.leads is not None
        if said.fs is not None and said.leads is not None:
            self._header(said.fs, tuple(said.leads), now, out)
        if self.opened and said.mv is not None:
            self._samples(said, now, out)
        if self.opened and said.end is not None:
            self._end(said.end or "the device has ended", out)
        elif not header and (said.mv is None or not self.opened):
            self.refused += 1

    def _header(self, fs: float, leads: tuple[str, ...], now: float, out: list[Event]) -> None:
        if self.opened:
            # Back again. What it has become must be what it was: its patient's filters and baselines are for that.
            self.refused += (fs, leads) != (self._fs, self._leads)
        elif leads and _FS[0] <= fs <= _FS[1]:
            try:
                self._begin(fs, leads)
            except UserError as error:  # other patients are watched: no reason to end
                self.refused += 1
                self.trouble = str(error)
                return
            self.trouble = ""
            names = tuple(leads[index] for index in self._chosen)
            out.append(
                Opened(
                    stream=self._request.stream, seq=self._seq(), source=self._request.uri, fs=fs, leads=names,
                    start_time=now, length=None,
                )
            )  # fmt: skip
        else:
            self.refused += 1

    def _begin(self, fs: float, leads: tuple[str, ...]) -> None:
        chosen = choose(self._request.leads, leads, self._request.uri)
        self._chosen, self._fs, self._leads = chosen, fs, leads
        self._order = Order(fs, len(self._chosen), self._settings.device)
        self._pace = Pace(fs, len(self._chosen), self._settings.device)
        self._resampler = Resampler(fs, len(self._chosen))

    def _samples(self, said: _Line, now: float, out: list[Event]) -> None:
        assert said.mv is not None
        if len(said.mv) != len(self._leads) or len({len(row) for row in said.mv}) != 1:
            self.refused += 1
            return
        values = np.array([said.mv[index] for index in self._chosen], np.float64)
        values[~(np.abs(values) <= _LARGEST_MV)] = np.nan
        self._deliver(Delivery(arrived=now, signal=values.astype(np.float32), count=said.n, clock=said.t), out)

    def _deliver(self, delivery: Delivery, out: list[Event]) -> None:
        for piece in self._pace.push(delivery.arrived, self._order.push(delivery)):
            self._put(piece, out)

    def _put(self, piece: Piece, out: list[Event]) -> None:
        if not isinstance(piece, Hole):
            self._emit(self._resampler.push(piece.astype(np.float64)), out)
            return
        # A night without a device is counted, not computed: behind a minute of nothing the resampler holds nothing.
        self._cause = piece.cause
        first = min(piece.length, round(self._settings.source.block_s * self._fs))
        self._emit(self._resampler.push(self._nothing(first)), out)
        given, made = self._resampler.cycle
        cycles = (piece.length - first) // given
        self._skip(cycles * made, out)
        self._emit(self._resampler.push(self._nothing(piece.length - first - cycles * given)), out)

    def _nothing(self, length: int) -> Signal:
        return np.full((len(self._chosen), length), np.nan)

    def _skip(self, length: int, out: list[Event]) -> None:
        """A gap, at 360 Hz."""
        if self._limit is not None:
            length = min(length, self._limit - self._sample)
        if length <= 0 or self._closed:
            return
        start, self._sample = self._sample, self._sample + length
        out.append(Gap(stream=self._request.stream, seq=self._seq(), start=start, stop=self._sample, cause=self._cause))

    def _emit(self, signal: Signal, out: list[Event]) -> None:
        """Samples and gaps, at 360 Hz, up to the length that was asked for."""
        if self._closed:
            return
        room = signal.shape[1] if self._limit is None else min(signal.shape[1], self._limit - self._sample)
        there = ~nowhere(signal[:, :room])
        edges = [0, *(np.flatnonzero(np.diff(there)) + 1).tolist(), room]
        for begin, stop in pairwise(edges):
            if begin == stop:
                continue
            start, self._sample = self._sample, self._sample + stop - begin
            if there[begin]:
                self._cause = "missing"
                block = signal[:, begin:stop].astype(np.float32)
                out.append(Samples(stream=self._request.stream, seq=self._seq(), start=start, signal=block))
            else:
                out.append(
                    Gap(stream=self._request.stream, seq=self._seq(), start=start, stop=self._sample, cause=self._cause)
                )
        if self._limit is not None and self._sample >= self._limit:
            self._close("as long as was asked for", out)

    def _end(self, reason: str, out: list[Event]) -> None:
        if self.opened:
            for piece in (*self._pace.finish(), *self._order.finish()):
                self._put(piece, out)
            self._emit(self._resampler.flush(), out)
            self._close(reason, out)

    def _close(self, reason: str, out: list[Event]) -> None:
        """Once; nothing follows."""
        if self._closed:
            return
        self._closed = True
        out.append(Closed(stream=self._request.stream, seq=self._seq(), sample=self._sample, reason=reason))

    def _seq(self) -> int:
        return self._numbering.next(self._request.stream)
