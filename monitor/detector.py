"""R peaks from samples: the detector stage's core.

``push`` takes the source's events (Opened, Samples, Gap, Lost, Closed) of any number of streams and returns those of
the detector's link: the same ones renumbered but for Samples, and Beat, Quality, Rhythm and merged Gaps between them.

Laws: one stream's events depend on its own samples alone; not on the cut into chunks, nor on other streams; samples
that were never there (a jump of the index, a value that is not a number) are a Gap: filters begin anew behind it, the
levels of signal and noise are kept, and time goes on inside it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from scipy import signal

from monitor import candidates, filters, quality, rhythm
from monitor import detector_kernel as kernel
from monitor import detector_layout as layout
from monitor.config import Settings
from monitor.events import (
    FS,
    Beat,
    Cause,
    Closed,
    Event,
    Gap,
    GapCause,
    Level,
    Lost,
    Numbering,
    Opened,
    Quality,
    Rhythm,
    Samples,
    by_stream,
)

_CENTRE_HZ = 15.0
"""Where the energy of a QRS complex lies (Thakor 1984); the low-pass filter's delay is taken off R there."""


def plan(settings: Settings) -> tuple[layout.Filters, layout.Plan]:
    """Settings → coefficients and samples."""
    d = settings.detector
    highpass = filters.highpass(settings.filter.highpass_hz, FS)
    lowpass = filters.lowpass(settings.filter.lowpass_hz, FS)
    _, delay = signal.group_delay(signal.sos2tf(lowpass), w=[_CENTRE_HZ], fs=FS)

    sections = layout.Filters(
        highpass=highpass,
        highpass_seed=filters.steady(highpass),
        lowpass=lowpass,
        band=filters.bandpass(d.band_low_hz, d.band_high_hz, FS),
    )

    def samples(seconds: float) -> int:
        return round(seconds * FS)

    return sections, layout.Plan(
        integration=samples(d.integration_s),
        merge=samples(d.merge_s),
        refractory=samples(d.refractory_s),
        probability=d.probability,
        search_probability=d.search_back_probability,
        search_rr=d.search_back_rr,
        search_limit=samples(d.search_back_limit_s - d.locate_before_s),
        floor=d.floor_mv,
        least=d.least,
        learn=samples(d.learn_s),
        rate=d.level_rate,
        doubt_rate=d.doubt_rate,
        locate_before=samples(d.locate_before_s),
        locate_after=samples(d.locate_after_s),
        silence=samples(d.silence_s),
        lag=round(float(delay[0])),
    )


@cache
def _shipped() -> candidates.Network:
    return candidates.load()


class Detector:
    """The core of the detector stage; see the module's laws."""

    def __init__(
        self,
        settings: Settings,
        network: candidates.Network | None = None,
        rhythms: rhythm.Network | None = None,
    ) -> None:
        self._filters, self._plan = plan(settings)
        self._network = network if network is not None else _shipped()
        self._trace = layout.no_trace()
        self._quality_plan = quality.plan(settings.quality)
        self._watch = rhythm.watch(settings.rhythm, rhythms)
        self._bridge = round(settings.rhythm.bridge_s * FS)
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._kernels = np.zeros(0, layout.STATE)
        self._qualities = np.zeros(0, quality.STATE)
        self._rhythms = np.zeros(0, rhythm.STATE)
        self._gap_from: dict[str, tuple[int, GapCause]] = {}
        self._fresh: set[str] = set()
        self._numbers = Numbering()

    def push(self, events: Sequence[Event]) -> list[Event]:
        """Events of the source's link in, events of the detector's link out; order within a stream is kept."""
        out: list[Event] = []
        parted = by_stream(events)
        # Runs of Samples that follow each other without a gap are one chunk; the kernel takes one chunk of every
        # stream at a time.
        queues = {stream: _Queue(parted[stream]) for stream in parted}
        while queues:
            ready: list[tuple[str, np.ndarray[Any, Any]]] = []
            for stream in list(queues):
                chunk = self._until_samples(stream, queues[stream], out)
                if chunk is None:
                    del queues[stream]
                else:
                    ready.append((stream, chunk))
            if ready:
                self._run(ready, out)
        return out

    def state(self) -> dict[str, Any]:
        """Everything that the next events depend on; plain types and bytes."""
        return {
            "rows": dict(self._rows),
            "free": list(self._free),
            "kernels": self._kernels.tobytes(),
            "qualities": self._qualities.tobytes(),
            "rhythms": self._rhythms.tobytes(),
            "gaps": {stream: list(gap) for stream, gap in self._gap_from.items()},
            "fresh": sorted(self._fresh),
            "numbers": self._numbers.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._rows = dict(state["rows"])
        self._free = list(state["free"])
        self._kernels = np.frombuffer(state["kernels"], layout.STATE).copy()
        self._qualities = np.frombuffer(state["qualities"], quality.STATE).copy()
        self._rhythms = np.frombuffer(state["rhythms"], rhythm.STATE).copy()
        self._gap_from = {stream: (int(gap[0]), gap[1]) for stream, gap in state["gaps"].items()}
        self._fresh = set(state["fresh"])
        self._numbers.restore(state["numbers"])

    def _until_samples(self, stream: str, queue: "_Queue", out: list[Event]) -> np.ndarray[Any, Any] | None:
        """Handles what is not signal; the next unbroken run of finite samples, or None when the queue is empty."""
        while (event := queue.pop()) is not None:
            match event:
                case Opened():
                    self._open(stream, 0)
                    out.append(_renumbered(event, self._numbers))
                case Samples():
                    row = self._row(stream)
                    x = event.signal[0]
                    expected = int(self._kernels[row]["next"])
                    if event.start < expected:  # what was seen already
                        x = x[expected - event.start :]
                    finite = np.isfinite(x)
                    start = event.stop - len(x)
                    if not finite.all():
                        first = int(np.argmax(finite)) if finite.any() else len(x)
                        if first > 0:
                            queue.push_back(event, start + first)
                            self._skip(stream, start + first, "missing", out)
                            continue
                        broken = int(np.argmin(finite))
                        queue.push_back(event, start + broken)
                        x = x[:broken]
                    if len(x) == 0:
                        continue
                    if start > expected:
                        self._skip(stream, start, "lost", out)
                    self._end_gap(stream, out)
                    return np.ascontiguousarray(x, dtype=np.float64)
                case Gap():
                    self._row(stream)
                    self._skip(stream, event.stop, event.cause, out)
                case Lost():
                    out.append(_renumbered(event, self._numbers))
                case Closed():
                    self._row(stream)
                    self._skip(stream, event.sample, "lost", out)
                    self._end_gap(stream, out)
                    out.append(_renumbered(event, self._numbers))
                    self._close(stream)
                case _:
                    raise TypeError(f"the detector takes no {type(event).__name__}")
        return None

    def _run(self, ready: list[tuple[str, np.ndarray[Any, Any]]], out: list[Event]) -> None:
        rows = np.array([self._rows[stream] for stream, _ in ready], dtype=np.int64)
        lengths = [len(x) for _, x in ready]
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        x = ready[0][1] if len(ready) == 1 else np.concatenate([x for _, x in ready])
        # At most a quality row a block, a rhythm row a step (no less than a block), one beat a refractory period, and
        # those that were waiting.
        capacity = 2 * (int(offsets[-1]) // quality.BLOCK) + int(offsets[-1]) // self._plan.refractory
        found = np.empty(capacity + len(ready) * (3 + layout.PENDING), layout.FOUND)
        count = kernel.advance(
            self._kernels,
            self._qualities,
            self._rhythms,
            self._filters,
            self._plan,
            self._quality_plan,
            self._watch,
            self._network,
            self._trace,
            rows,
            offsets,
            x,
            found,
        )
        # Column by column: a row of a structured array is slow to take apart.
        found = found[:count]
        names = (
            *("row", "what", "sample", "confirmed", "late", "amplitude", "level", "cause", "noise", "silence"),
            *("vt", "vf", "p_likeness", "p_amplitude"),
        )
        columns = [found[name].tolist() for name in names]
        windows = iter(found["window"][found["what"] == layout.BEAT])
        for at, what, sample, confirmed, late, amplitude, level, cause, noise, silence, vt, vf, p_like, p_high in zip(
            *columns, strict=True
        ):
            stream = ready[at][0]
            sequence = self._numbers.next(stream)
            if what == layout.BEAT:
                out.append(
                    Beat(
                        stream=stream,
                        seq=sequence,
                        sample=sample,
                        confirmed=confirmed,
                        amplitude=round(amplitude, 4),
                        level=quality.LEVELS[level],
                        cause=quality.CAUSES[cause],
                        search_back=late == 1,
                        p_likeness=round(p_like, 3),
                        p_amplitude=round(p_high, 4),
                        window=next(windows),
                        after_gap=stream in self._fresh,
                    )
                )
                self._fresh.discard(stream)
            elif what == layout.RHYTHM:
                out.append(
                    Rhythm(
                        stream=stream,
                        seq=sequence,
                        sample=sample,
                        vt=round(vt, 4),
                        vf=round(vf, 4),
                        amplitude=round(amplitude, 4),
                    )
                )
            else:
                out.append(
                    Quality(
                        stream=stream,
                        seq=sequence,
                        sample=sample,
                        level=quality.LEVELS[level],
                        cause=quality.CAUSES[cause],
                        noise=round(noise, 4),
                        silence=silence,
                    )
                )

    def _open(self, stream: str, at: int) -> None:
        if stream in self._rows:
            self._close(stream)
        if not self._free:
            size = len(self._kernels)
            grown = max(4, 2 * size)
            for name, dtype in (
                ("_kernels", layout.STATE),
                ("_qualities", quality.STATE),
                ("_rhythms", rhythm.STATE),
            ):
                array = np.zeros(grown, dtype)
                array[:size] = getattr(self, name)
                setattr(self, name, array)
            self._free = list(range(grown - 1, size - 1, -1))
        row = self._free.pop()
        self._rows[stream] = row
        self._kernels[row] = np.zeros((), layout.STATE)
        kernel.reset(self._kernels[row], at)
        quality.reset(self._qualities[row])
        self._rhythms[row] = np.zeros((), rhythm.STATE)
        self._fresh.add(stream)

    def _row(self, stream: str) -> int:
        """The stream's row; one whose beginning was missed begins at sample 0, with a gap up to what came."""
        if stream not in self._rows:
            self._open(stream, 0)
        return self._rows[stream]

    def _close(self, stream: str) -> None:
        self._free.append(self._rows.pop(stream))
        self._gap_from.pop(stream, None)
        self._fresh.discard(stream)

    def _skip(self, stream: str, stop: int, cause: GapCause, out: list[Event]) -> None:
        """There is no signal up to ``stop``; time goes on there, once a ``quality.step_s``."""
        state = self._kernels[self._rows[stream]]
        at = int(state["next"])
        if stop <= at:
            return
        self._gap_from.setdefault(stream, (at, cause))
        step = self._quality_plan.step
        for sample in range((at // step + 1) * step, stop + 1, step):
            out.append(
                Quality(
                    stream=stream,
                    seq=self._numbers.next(stream),
                    sample=sample,
                    level=Level.UNUSABLE,
                    cause=Cause.GAP,
                    noise=1.0,
                    silence=0,
                )
            )
        state["next"] = stop

    def _end_gap(self, stream: str, out: list[Event]) -> None:
        """The signal is back (or the stream ends): the gap, in one piece."""
        if stream not in self._gap_from:
            return
        start, cause = self._gap_from.pop(stream)
        row = self._rows[stream]
        stop = int(self._kernels[row]["next"])
        out.append(Gap(stream=stream, seq=self._numbers.next(stream), start=start, stop=stop, cause=cause))
        kernel.reset(self._kernels[row], stop)
        quality.reset(self._qualities[row])
        if stop - start > self._bridge:
            rhythm.reset(self._rhythms[row])
        self._fresh.add(stream)


class _Queue:
    """One stream's events of one push; a chunk can be put back from some sample on."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events[::-1]

    def pop(self) -> Event | None:
        return self._events.pop() if self._events else None

    def push_back(self, event: Samples, start: int) -> None:
        if start < event.stop:
            rest = event.signal[:, start - event.start :]
            self._events.append(Samples(stream=event.stream, seq=event.seq, start=start, signal=rest))


def _renumbered(event: Event, numbers: Numbering) -> Event:
    import msgspec

    renumbered: Event = msgspec.structs.replace(event, seq=numbers.next(event.stream))
    return renumbered
