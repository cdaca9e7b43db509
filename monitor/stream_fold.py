"""What is known of one stream, folded from the events of three links.

Laws:

* The links are independent, so their events come in any order with respect to each other: a verdict before its
  beat, a quality report before its samples. The view depends on what came, not on which link was faster.
* ``Opened``, ``Closed``, ``Gap``, ``Quality`` and ``Lost`` come on each link; only the first of equals counts.
* Wall time is an argument. It is used for what is about wall time (latency, silence, speed), nothing else.
"""

from collections import Counter, deque
from itertools import pairwise
from math import ceil
from statistics import median
from typing import NamedTuple

import numpy as np

from monitor.config import Settings
from monitor.events import (
    CLASSES,
    FS,
    Alert,
    AlertState,
    Beat,
    BeatClass,
    Cause,
    Closed,
    Event,
    Floats,
    Gap,
    Level,
    Lost,
    Opened,
    Quality,
    Samples,
    Silence,
    Verdict,
    lead_of,
)
from monitor.scale import FLAT, settle
from monitor.views import NO_WAVE, RR, Feed, Hole, Latency, Peak, StreamView, urgency

RATE_BEATS = 8
"""RR intervals whose median is the heart rate: one premature beat does not move it."""
LATENCY_BEATS = 200
LOG_EVENTS = 50
HOLES = 20
ARRIVALS = 512
"""Chunks whose arrival is remembered: 50 s at ten a second, more than any verdict takes."""
SPEED_S = 5.0
"""Wall time over which the speed is measured, s."""


class _Arrival(NamedTuple):
    start: int
    stop: int
    now: float


class _Peak(NamedTuple):
    label: BeatClass | None
    after_gap: bool


class StreamFold:
    """The state of one stream; ``now`` is wall clock in seconds."""

    def __init__(self, name: str, settings: Settings, now: float) -> None:
        dashboard = settings.dashboard
        self._name = name
        self._silent_s = dashboard.silent_s
        self._dead_s = settings.link.dead_s
        self._asystole = round(settings.alarms.asystole_s * FS)
        self._trend = round(dashboard.trend_s * FS)
        self._window = round(dashboard.keep_s * FS / 2)
        self._opened: Opened | None = None
        self._closed: Closed | None = None
        self._lost_at = -1
        self._silent_until = 0
        self._quality: Quality | None = None
        self._quality_heard = now
        self._buffer = np.full(round(dashboard.keep_s * FS), np.nan, np.float32)
        self._stop = 0
        self._scaled_at = 0
        self._limits: tuple[float, float] | None = None
        self._heard = now
        self._arrivals: deque[_Arrival] = deque(maxlen=ARRIVALS)
        self._latencies: deque[float] = deque(maxlen=LATENCY_BEATS)
        self._peaks: dict[int, _Peak] = {}
        self._counts: Counter[BeatClass] = Counter()
        self._alerts: dict[str, Alert] = {}
        self._log: deque[Alert] = deque(maxlen=LOG_EVENTS)
        self._raised: Counter[str] = Counter()
        self._holes: deque[Hole] = deque(maxlen=HOLES)
        self._gone: Counter[str] = Counter()

    @property
    def closed(self) -> bool:
        return self._closed is not None

    def succeeded_by(self, event: Event) -> bool:
        """Whether ``event`` opens another stream of the same name, after this one was closed."""
        if not isinstance(event, Opened) or self._closed is None or self._opened is None:
            return False
        mine = self._opened
        return (mine.source, mine.start_time, mine.leads) != (event.source, event.start_time, event.leads)

    def advance(self, event: Event, now: float) -> None:
        if lead_of(event) > 0:
            return  # the second lead is the alarms' business
        match event:
            case Samples():
                self._on_samples(event, now)
            case Beat():
                self._set_peak(event.sample, None, event.after_gap)
            case Verdict():
                self._on_verdict(event, now)
            case Quality():
                if self._quality is None or event.sample >= self._quality.sample:
                    self._quality = event
                    self._quality_heard = now
            case Alert():
                self._on_alert(event)
            case Gap():
                self._on_gap(event)
            case Silence():
                self._silent_until = event.sample + round(event.seconds * FS)
            case Lost():
                self._lost_at = max(self._lost_at, event.sample)
            case Opened():
                self._opened = self._opened or event
            case Closed():
                self._closed = self._closed or event

    def _on_samples(self, event: Samples, now: float) -> None:
        self._write(event.start, event.signal[0])
        self._heard = now
        last = self._arrivals[-1] if self._arrivals else None
        if last is not None and last.now == now and last.stop == event.start:
            self._arrivals[-1] = _Arrival(last.start, event.stop, now)
        else:
            self._arrivals.append(_Arrival(event.start, event.stop, now))
        if self._stop - self._scaled_at >= FS:
            self._rescale()

    def _write(self, start: int, signal: Floats) -> None:
        """Puts ``signal`` in its place in the ring; what it skips becomes NaN."""
        size = len(self._buffer)
        stop = start + len(signal)
        if stop > self._stop:
            skipped = np.arange(max(self._stop, stop - size), start)
            self._buffer[skipped % size] = np.nan
            self._stop = stop
        first = max(start, self._stop - size)
        if first < stop:
            self._buffer[np.arange(first, stop) % size] = signal[first - start :]
        keep = self._stop - max(self._trend, size)
        while self._peaks and (oldest := next(iter(self._peaks))) < keep:
            del self._peaks[oldest]

    def _read(self, samples: int) -> Floats:
        """The last ``samples`` of the signal, or as many as there are."""
        count = min(samples, self._stop, len(self._buffer))
        return self._buffer[np.arange(self._stop - count, self._stop) % len(self._buffer)]

    def _rescale(self) -> None:
        self._scaled_at = self._stop
        recent = self._read(self._window)
        recent = recent[np.isfinite(recent)]
        if recent.size:
            self._limits = settle(self._limits, recent)

    def _on_verdict(self, event: Verdict, now: float) -> None:
        known = self._peaks.get(event.sample)
        if known is not None and known.label is not None:
            self._counts[known.label] -= 1  # a second verdict takes the place of the first
        self._counts[event.label] += 1
        self._set_peak(event.sample, event.label, event.rr is None)
        for arrival in reversed(self._arrivals):
            if arrival.start <= event.sample < arrival.stop:
                self._latencies.append(max(0.0, now - arrival.now))
                break
            if arrival.stop <= event.sample:
                break  # its samples are still on their way to us: nothing to measure

    def _set_peak(self, sample: int, label: BeatClass | None, after_gap: bool) -> None:
        known = self._peaks.get(sample)
        if known is None:
            self._peaks[sample] = _Peak(label, after_gap)
        elif label is not None:
            self._peaks[sample] = _Peak(label, known.after_gap)

    def _on_alert(self, event: Alert) -> None:
        if event.state is AlertState.ENDED:
            self._alerts.pop(event.id, None)
        else:
            self._alerts[event.id] = event
        if event.state is AlertState.RAISED:
            self._raised[event.kind] += 1
        if event.state is not AlertState.UPDATED:
            self._log.append(event)

    def _on_gap(self, event: Gap) -> None:
        # It comes on more than one link, and of a gap that grows in pieces: all that counts is what is new of it.
        last = self._holes[-1] if self._holes else None
        told = last.stop if last is not None else 0
        if event.stop <= told:
            return
        if last is not None and event.start <= told:
            self._holes[-1] = Hole(last.start, event.stop, last.cause)
        else:
            self._holes.append(Hole(event.start, event.stop, event.cause))
        self._gone[event.cause] += event.stop - max(event.start, told)
        if event.stop > self._stop:
            self._write(event.stop, NO_WAVE)

    def _feed(self, now: float) -> Feed:
        if self._closed is not None:
            return Feed.CLOSED
        if self._lost_at >= self._stop > 0:
            return Feed.LOST
        if now - self._heard > self._silent_s:
            return Feed.SILENT
        return Feed.ARRIVING if self._arrivals else Feed.WAITING

    def _speed(self) -> float | None:
        if not self._arrivals:
            return None
        last = self._arrivals[-1]
        first = next(a for a in self._arrivals if a.now >= last.now - SPEED_S)
        elapsed = last.now - first.now
        return (last.stop - first.stop) / FS / elapsed if elapsed > 0 else None

    def _rate(self, rr: tuple[RR, ...], peaks: list[int], feed: Feed) -> float | None:
        """Median rate of the last beats; None where no beat, or no signal that can be trusted, is near."""
        unusable = self._quality is not None and self._quality.level is Level.UNUSABLE
        overdue = not peaks or self._stop - peaks[-1] > self._asystole
        if unusable or overdue or not rr or feed is not Feed.ARRIVING or self._peaks[peaks[-1]].after_gap:
            return None
        return 60 / median(interval.seconds for interval in rr[-RATE_BEATS:])

    def view(self, now: float, focus: bool) -> StreamView:
        """What the screen sees of it. Out of focus, the arrays that only the large picture needs are left out."""
        opened, feed = self._opened, self._feed(now)
        told = feed is Feed.CLOSED or now - self._quality_heard <= self._dead_s
        quality = self._quality if told else None  # an old report says nothing of now
        peaks = sorted(self._peaks)
        rr = self._intervals(peaks if focus else peaks[-RATE_BEATS - 1 :])
        wave = self._read(len(self._buffer)) if focus else NO_WAVE
        wave.setflags(write=False)
        shown = [p for p in peaks if self._stop - len(wave) <= p < self._stop] if focus else []
        return StreamView(
            name=self._name,
            source=opened.source if opened else "",
            lead=opened.leads[0] if opened and opened.leads else "",
            fs=opened.fs if opened else None,
            length=opened.length if opened else None,
            feed=feed,
            silent_s=max(0.0, now - self._heard),
            reason=self._closed.reason if self._closed else "",
            position=self._stop,
            speed=self._speed(),
            wave=wave,
            limits=self._limits or FLAT,
            peaks=tuple(Peak(p, self._peaks[p].label) for p in shown),
            rr=tuple(i for i in rr if i.sample >= self._stop - self._trend) if focus else (),
            heart_rate=self._rate(rr, peaks, feed),
            counts={label: self._counts[label] for label in CLASSES},
            pending=sum(peak.label is None for peak in self._peaks.values()),
            level=quality.level if quality else None,
            cause=quality.cause if quality else Cause.NONE,
            noise=quality.noise if quality else 0.0,
            alerts=tuple(sorted(self._alerts.values(), key=urgency)),
            log=tuple(self._log) if focus else (),
            raised=dict(self._raised),
            silenced_s=max(0, self._silent_until - self._stop) / FS,
            latency=self._latency(),
            holes=tuple(self._holes),
            lost_samples=self._gone["lost"],
            missing_samples=self._gone["missing"] + self._gone["rate"],
        )

    def _intervals(self, peaks: list[int]) -> tuple[RR, ...]:
        return tuple(RR(b, (b - a) / FS) for a, b in pairwise(peaks) if not self._peaks[b].after_gap)

    def _latency(self) -> Latency | None:
        if not self._latencies:
            return None
        ordered = sorted(self._latencies)
        p50, p99 = (ordered[ceil(share * len(ordered)) - 1] for share in (0.50, 0.99))
        return Latency(p50, p99, len(ordered))
