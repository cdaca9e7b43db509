"""R peaks from samples: the detector stage's core.

``push`` takes the source's events (Opened, Samples, Gap, Lost, Closed) of any number of streams and returns those of
the detector's link: the same ones renumbered but for Samples, and Beat, Quality, Rhythm and merged Gaps between them.

Of a stream's leads the first two are analysed, each for itself, and told of in the order in which things became known.

Laws: one lead's events depend on its own samples alone; not on the cut into chunks, nor on other leads and streams;
samples that were never there (a jump of the index, a value that is not a number) are a Gap: filters begin anew behind
it, the levels of signal and noise are kept, and time goes on inside it. Of two leads one may be off, its values not
numbers: that is told by its reports on quality, and is no Gap.
"""

import heapq
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
from scipy import signal

from monitor import candidates, filters, quality, rhythm
from monitor import detector_kernel as kernel
from monitor import detector_layout as layout
from monitor.config import Settings
from monitor.detector_feed import Queue, known, parts, second_lead
from monitor.events import (
    FS,
    Beat,
    Cause,
    Closed,
    Event,
    Gap,
    GapCause,
    Lead,
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
        self._rows: dict[Lead, int] = {}
        self._free: list[int] = []
        self._kernels = np.zeros(0, layout.STATE)
        self._qualities = np.zeros(0, quality.STATE)
        self._rhythms = np.zeros(0, rhythm.STATE)
        self._gap_from: dict[Lead, tuple[int, GapCause | None]] = {}
        self._fresh: set[Lead] = set()
        self._numbers = Numbering()
        self._in_pairs: dict[str, None] = {}
        """Streams of the present push with two leads: their events get their numbers when they are in order."""

    def push(self, events: Sequence[Event]) -> list[Event]:
        """Events of the source's link in, events of the detector's link out; order within a stream is kept."""
        return [told for part in parts(events) for told in self._push(part)]

    def _push(self, events: Sequence[Event]) -> list[Event]:
        out: list[Event] = []
        # Runs of Samples that follow each other without a gap are one chunk; the kernel takes one chunk of every lead
        # at a time.
        queues: dict[Lead, Queue] = {}
        told: dict[Lead, list[Event]] = {}
        self._in_pairs = {}
        for stream, own in by_stream(events).items():
            queues[stream, 0], told[stream, 0] = Queue(own), out
            first = own[0]
            pair = len(first.leads) > 1 if isinstance(first, Opened) else (stream, 1) in self._rows
            if pair:
                self._in_pairs[stream] = None
                queues[stream, 1], told[stream, 1], told[stream, 0] = Queue(second_lead(own)), [], []
        while queues:
            ready: list[tuple[Lead, np.ndarray[Any, Any]]] = []
            for key in list(queues):
                chunk = self._until_samples(key, queues[key], told[key])
                if chunk is None:
                    del queues[key]
                else:
                    ready.append((key, chunk))
            if ready:
                self._run(ready, told)
        for stream in self._in_pairs:
            both = heapq.merge(told[stream, 0], told[stream, 1], key=known)
            out += [msgspec.structs.replace(event, seq=self._numbers.next(stream)) for event in both]
        return out

    def state(self) -> dict[str, Any]:
        """Everything that the next events depend on; plain types and bytes."""
        return {
            "rows": [[*key, row] for key, row in self._rows.items()],
            "free": list(self._free),
            "kernels": self._kernels.tobytes(),
            "qualities": self._qualities.tobytes(),
            "rhythms": self._rhythms.tobytes(),
            "gaps": [[*key, *gap] for key, gap in self._gap_from.items()],
            "fresh": sorted(list(key) for key in self._fresh),
            "numbers": self._numbers.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._rows = {(stream, lead): row for stream, lead, row in state["rows"]}
        self._free = list(state["free"])
        self._kernels = np.frombuffer(state["kernels"], layout.STATE).copy()
        self._qualities = np.frombuffer(state["qualities"], quality.STATE).copy()
        self._rhythms = np.frombuffer(state["rhythms"], rhythm.STATE).copy()
        self._gap_from = {(stream, lead): (int(start), cause) for stream, lead, start, cause in state["gaps"]}
        self._fresh = {(stream, lead) for stream, lead in state["fresh"]}
        self._numbers.restore(state["numbers"])

    def _until_samples(self, key: Lead, queue: Queue, out: list[Event]) -> np.ndarray[Any, Any] | None:
        """Handles what is not signal; the next unbroken run of finite samples, or None when the queue is empty."""
        while (event := queue.pop()) is not None:
            match event:
                case Opened():
                    self._open(key, 0)
                    self._tell(key, event, out)
                case Samples():
                    row = self._row(key)
                    x = event.signal[0]
                    expected = int(self._kernels[row]["next"])
                    if event.start < expected:  # what was seen already
                        x = x[expected - event.start :]
                    finite = np.isfinite(x)
                    start = event.stop - len(x)
                    # Of a pair one lead may be off: the other's samples are there.
                    off = key[0] in self._in_pairs
                    if start > expected and len(x) and (off or finite[0]):
                        self._skip(key, start, "lost", out)
                    if not finite.all():
                        first = int(np.argmax(finite)) if finite.any() else len(x)
                        if first > 0:
                            queue.push_back(event, start + first)
                            self._skip(key, start + first, None if off else "missing", out)
                            continue
                        broken = int(np.argmin(finite))
                        queue.push_back(event, start + broken)
                        x = x[:broken]
                    if len(x) == 0:
                        continue
                    self._end_gap(key, out)
                    return np.ascontiguousarray(x, dtype=np.float64)
                case Gap():
                    self._row(key)
                    self._skip(key, event.stop, event.cause, out)
                case Lost():
                    self._tell(key, event, out)
                case Closed():
                    self._row(key)
                    self._skip(key, event.sample, "lost", out)
                    self._end_gap(key, out)
                    self._tell(key, event, out)
                    self._close(key)
                case _:
                    raise TypeError(f"the detector takes no {type(event).__name__}")
        return None

    def _number(self, stream: str) -> int:
        """Of the next event."""
        return 1 if stream in self._in_pairs else self._numbers.next(stream)

    def _tell(self, key: Lead, event: Opened | Lost | Closed, out: list[Event]) -> None:
        """What is of the whole stream is told once."""
        if key[1] == 0:
            out.append(msgspec.structs.replace(event, seq=self._number(event.stream)))

    def _run(self, ready: list[tuple[Lead, np.ndarray[Any, Any]]], told: dict[Lead, list[Event]]) -> None:
        rows = np.array([self._rows[key] for key, _ in ready], dtype=np.int64)
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
            key = ready[at][0]
            (stream, lead), out = key, told[key]
            sequence = self._number(stream)
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
                        after_gap=key in self._fresh,
                        lead=lead,
                    )
                )
                self._fresh.discard(key)
            elif what == layout.RHYTHM:
                out.append(
                    Rhythm(
                        stream=stream,
                        seq=sequence,
                        sample=sample,
                        vt=round(vt, 4),
                        vf=round(vf, 4),
                        amplitude=round(amplitude, 4),
                        lead=lead,
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
                        lead=lead,
                    )
                )

    def _open(self, key: Lead, at: int) -> None:
        for old in dict.fromkeys((key, (key[0], 1))):
            if old in self._rows:
                self._close(old)
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
        self._rows[key] = row
        self._kernels[row] = np.zeros((), layout.STATE)
        kernel.reset(self._kernels[row], at)
        quality.reset(self._qualities[row])
        self._rhythms[row] = np.zeros((), rhythm.STATE)
        self._fresh.add(key)

    def _row(self, key: Lead) -> int:
        """The lead's row; one whose beginning was missed begins at sample 0, with a gap up to what came."""
        if key not in self._rows:
            self._open(key, 0)
        return self._rows[key]

    def _close(self, key: Lead) -> None:
        self._free.append(self._rows.pop(key))
        self._gap_from.pop(key, None)
        self._fresh.discard(key)

    def _skip(self, key: Lead, stop: int, cause: GapCause | None, out: list[Event]) -> None:
        """There is no signal up to ``stop``; time goes on there, once a ``quality.step_s``. Without a cause it is
        missing in this lead alone."""
        state = self._kernels[self._rows[key]]
        at = int(state["next"])
        if stop <= at:
            return
        if key in self._gap_from and (self._gap_from[key][1] is None) != (cause is None):
            self._end_gap(key, out)
        self._gap_from.setdefault(key, (at, cause))
        step = self._quality_plan.step
        for sample in range((at // step + 1) * step, stop + 1, step):
            out.append(
                Quality(
                    stream=key[0],
                    seq=self._number(key[0]),
                    sample=sample,
                    level=Level.UNUSABLE,
                    cause=Cause.GAP if cause is not None else Cause.LEAD_OFF,
                    noise=1.0,
                    silence=0,
                    lead=key[1],
                )
            )
        state["next"] = stop

    def _end_gap(self, key: Lead, out: list[Event]) -> None:
        """The signal is back (or the stream ends): the gap, in one piece."""
        if key not in self._gap_from:
            return
        start, cause = self._gap_from.pop(key)
        row = self._rows[key]
        stop = int(self._kernels[row]["next"])
        stream, lead = key
        if lead == 0 and cause is not None:
            out.append(Gap(stream=stream, seq=self._number(stream), start=start, stop=stop, cause=cause))
        kernel.reset(self._kernels[row], stop)
        quality.reset(self._qualities[row])
        if stop - start > self._bridge:
            rhythm.reset(self._rhythms[row])
        self._fresh.add(key)
