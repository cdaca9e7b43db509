"""Made-up runs for the screens: a deterministic ECG, the events that the stages would publish, a wall clock."""

from functools import cache

import numpy as np

from monitor.config import load
from monitor.events import (
    FS,
    SCHEMA,
    Alert,
    AlertState,
    Beat,
    BeatClass,
    Cause,
    Level,
    Numbering,
    Opened,
    Priority,
    Quality,
    Samples,
    Status,
    Verdict,
)
from monitor.snapshot import Fold

SETTINGS = load()
EPOCH = 1_800_000_000.0
CHUNK = 36
RHYTHM = "NNNNNNVNNNNNSNNNNNNVVNNNNNFNNNNNNN"
WAVES = {  # mV, s from the R peak, s wide
    "N": ((0.12, -0.17, 0.025), (-0.12, -0.028, 0.008), (1.25, 0.0, 0.011), (-0.3, 0.03, 0.010), (0.3, 0.24, 0.05)),
    "V": ((1.7, 0.0, 0.04), (-0.75, 0.11, 0.05), (-0.35, 0.28, 0.06)),
}
WAVES["S"] = WAVES["N"][1:]
WAVES["F"] = ((0.12, -0.17, 0.025), (1.4, 0.0, 0.022), (-0.6, 0.06, 0.025), (0.1, 0.26, 0.05))
RR_S = {"N": 0.82, "S": 0.58, "V": 0.52, "F": 0.72}
_NUMBERS = Numbering()


def number(stream):
    return _NUMBERS.next(stream)


@cache
def ecg(seconds, rhythm=RHYTHM, rate=1.0):
    """[sample] mV with a resolution of 5 µV (as MIT-BIH has it), and its beats as (sample, class)."""
    t = np.arange(round(seconds * FS)) / FS
    signal = 0.05 * np.sin(2 * np.pi * 0.23 * t)
    peaks, at, i = [], 0.5, 0
    while at < seconds:
        label = rhythm[i % len(rhythm)]
        near = slice(max(0, round((at - 0.6) * FS)), round((at + 0.8) * FS))
        for height, offset, width in WAVES[label]:
            signal[near] += height * np.exp(-0.5 * ((t[near] - at - offset) / width) ** 2)
        peaks.append((round(at * FS), BeatClass(label)))
        i += 1
        breath = 0.03 * np.sin(2 * np.pi * 0.25 * at)
        following = rhythm[i % len(rhythm)]
        after_v = 0.35 if label == "V" and following != "V" else 0.0
        at += (RR_S[following] + breath + after_v) / rate
    signal = (np.round(signal * 200) / 200).astype(np.float32)
    signal.setflags(write=False)
    return signal, tuple(peaks)


def opened(stream="demo", source="replay:demo", leads=("MLII",), length=108000, fs=360.0):
    return Opened(stream=stream, seq=number(stream), source=source, fs=fs, leads=leads, start_time=EPOCH, length=length)


def beat(stream, sample, after_gap=False):
    return Beat(
        stream=stream, seq=number(stream), sample=sample, confirmed=sample + 60, amplitude=1.2, level=Level.GOOD,
        cause=Cause.NONE, search_back=False, p_likeness=0.9, p_amplitude=0.1, window=np.zeros(4, np.float32),
        after_gap=after_gap,
    )  # fmt: skip


def verdict(stream, sample, label=BeatClass.N, rr: int | None = 290):
    return Verdict(
        stream=stream, seq=number(stream), sample=sample, label=label, probabilities=(1.0, 0.0, 0.0, 0.0, 0.0),
        rr=rr, level=Level.GOOD, amplitude=1.2, p_likeness=0.9, p_amplitude=0.1,
    )  # fmt: skip


def quality(stream, sample, level=Level.GOOD, cause=Cause.NONE, noise=0.04):
    return Quality(stream=stream, seq=number(stream), sample=sample, level=level, cause=cause, noise=noise, silence=100)


def samples(stream, start, signal):
    return Samples(stream=stream, seq=number(stream), start=start, signal=np.asarray(signal, np.float32)[None])


def alert(
    stream,
    kind,
    text,
    *,
    priority=Priority.LOW,
    state=AlertState.RAISED,
    sample=1000,
    onset=None,
    beats=(),
    class_=None,
):
    return Alert(
        schema=SCHEMA, id=f"{stream}-{kind}-{onset or sample}", stream=stream, seq=number(stream), kind=kind,
        priority=priority, class_=class_ or "physiological", state=state, latched=False, sample=sample,
        onset_sample=sample if onset is None else onset, onset_time=EPOCH + (sample if onset is None else onset) / FS,
        published_time=None, value=None,
        limit=None, unit="", message=text, beats=beats, previous=0,
    )  # fmt: skip


def status(stage, now, ticks, *, pid=100, lost=0, repaired=0, rejected=0, busy=0.03, detail=""):
    rate = {"source": 10, "detector": 2.6, "classifier": 2.7}.get(stage, 1)
    return Status(
        stage=stage, pid=pid, time=now, uptime=ticks, events_in=int(10 * ticks), events_out=int(rate * ticks),
        samples=int(FS * ticks), streams=1, lost=lost, repaired=repaired, rejected=rejected, busy=busy, detail=detail,
    )  # fmt: skip


DETAILS = {"source": "replay:demo", "detector": "", "classifier": "cpu, 1 thread"}


class Scene:
    """A fold with its wall clock, driven at speed 1."""

    def __init__(self, settings=SETTINGS):
        self.fold = Fold(settings)
        self.start = self.now = EPOCH
        self._signals = {}

    def open(self, stream="demo", seconds=60.0, rhythm=RHYTHM, rate=1.0, **fields):
        self._signals[stream] = (*ecg(seconds, rhythm, rate), 0)
        self.send(opened(stream, **fields))

    def send(self, *events):
        self.fold.advance(events, self.now)

    def run(self, seconds, dead=(), silent=(), delay_s=0.35):
        """Time goes on: chunks, beats 0.17 s and verdicts ``delay_s`` after their R peak, reports."""
        for _ in range(round(seconds * 10)):
            self.now = round(self.now + 0.1, 6)
            for stream, (signal, peaks, at) in self._signals.items():
                if stream in silent:
                    continue
                self.send(samples(stream, at, signal[at : at + CHUNK]))
                stop = at + CHUNK
                self._beats(stream, (at, stop), delay_s, dead)
                if stop // FS != at // FS and "detector" not in dead:
                    self.send(quality(stream, stop))
                self._signals[stream] = (signal, peaks, stop)
            ticks = round((self.now - self.start) * 10)
            if ticks % 5 == 0:
                for i, stage in enumerate(("source", "detector", "classifier")):
                    if stage not in dead:
                        self.send(status(stage, self.now, ticks / 10, pid=100 + i, detail=DETAILS[stage]))

    def _beats(self, stream, span, delay_s, dead):
        (start, stop), previous = span, None
        for sample, label in self._signals[stream][1]:
            first = previous is None
            if "detector" not in dead and start <= sample + 60 < stop:
                self.send(beat(stream, sample, after_gap=first))
            if not {"detector", "classifier"} & set(dead) and start <= sample + round(delay_s * FS) < stop:
                self.send(verdict(stream, sample, label, None if previous is None else sample - previous))
            previous = sample

    def snapshot(self, focus=None):
        return self.fold.snapshot(self.now, focus)
