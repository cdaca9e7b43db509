"""Spells of alarm: what the monitor makes of a record, and what the reference says of it. For ``accuracy_alarms``."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from safetensors import safe_open

from monitor import rhythm, wire
from monitor.alarms import Alarms
from monitor.checkpoint import SHIPPED, load
from monitor.classifier import Classifier, choose_device
from monitor.config import Settings
from monitor.detector import Detector
from monitor.detector_layout import AFTER
from monitor.events import (
    FS,
    Alert,
    AlertState,
    BeatClass,
    Cause,
    Closed,
    Event,
    Level,
    Opened,
    Priority,
    Quality,
    Status,
    Verdict,
    position,
)
from monitor.sources import SourceRequest, open_source
from replay import physionet
from trainer.references import Reference

NEAR_S = 5.0
"""s by which an alarm may miss a marked segment: the marks are as exact as that."""
_CHUNK = 60 * FS


@dataclass(frozen=True)
class Spell:
    """One alert, from raised until its condition is over; seconds."""

    kind: str
    priority: Priority
    onset: float
    raised: float
    over: float
    beats: tuple[int, ...]
    """R peaks, 360 Hz."""


@dataclass
class Told:
    """What the monitor makes of one record."""

    spells: list[Spell]
    verdicts: list[Verdict]
    seconds: float


class Monitor:
    """Records in, spells out."""

    def __init__(self, settings: Settings, weights: str, keep: Path | None, leads: int = 1) -> None:
        self._settings = settings
        self._leads = tuple(str(lead) for lead in range(leads))
        self._network, _ = load(SHIPPED)
        self._keep = keep
        self._weights: list[tuple[set[str], rhythm.Network]] = []
        for path in sorted(Path(weights).parent.glob(Path(weights).name)) if weights else ():
            with safe_open(path, framework="numpy") as file:
                learnt = msgspec.json.decode(file.metadata()["origin"])["records"]
            self._weights.append((set(learnt), rhythm.load(path)))

    def __call__(self, record: str, settings: Settings | None = None) -> Told:
        """``database/record``; the alarms under other settings, if given."""
        events = self._events(record)
        out = Alarms(settings or self._settings).push(events)
        return Told(
            spells_of(e for e in out if isinstance(e, Alert)),
            [e for e in out if isinstance(e, Verdict)],
            next(e.sample for e in out if isinstance(e, Closed)) / FS,
        )

    def _events(self, record: str) -> list[Event]:
        suffix = "ev" if len(self._leads) == 1 else f"{len(self._leads)}.ev"
        kept = self._keep / f"{record.replace('/', '_')}.{suffix}" if self._keep is not None else None
        if kept is not None and kept.exists():
            return [event for event in wire.decode(kept.read_bytes()).events if not isinstance(event, Status)]
        unseen = next((network for learnt, network in self._weights if record not in learnt), None)
        if self._weights and unseen is None:
            raise SystemExit(f"all of the rhythm weights have learnt from {record}")
        cores = (
            Detector(self._settings, rhythms=unseen),
            Classifier(self._settings, self._network, choose_device("cpu")),
        )
        path = physionet.find(record, self._settings.data) or physionet.locate(record, self._settings.data)
        source = open_source(
            SourceRequest(uri=f"replay:{path}", stream=record, now=0.0, leads=self._leads), self._settings
        )
        events: list[Event] = []
        while read := source.read(_CHUNK):
            events += cores[1].push(cores[0].push(read))
        source.close()
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(wire.encode(events, run=1, lineage=1, number=1))
        return events


def spells_of(alerts: Iterable[Alert]) -> list[Spell]:
    """The lives of alerts; one that never ends lasts."""
    spells: list[Spell] = []
    begun: dict[str, Alert] = {}
    latest: dict[str, Alert] = {}

    def close(key: str, over: float) -> None:
        first, last = begun.pop(key), latest.pop(key)
        spells.append(
            Spell(
                first.kind, first.priority, first.onset_sample / FS, first.sample / FS, over, last.beats or first.beats
            )
        )

    for alert in alerts:
        if alert.state is AlertState.RAISED:
            begun[alert.id] = latest[alert.id] = alert
        elif alert.id in begun:
            if alert.state is AlertState.ENDED or alert.latched:
                close(alert.id, alert.sample / FS)
            else:
                latest[alert.id] = alert
    for key in list(begun):
        close(key, 1e9)
    return sorted(spells, key=lambda spell: spell.raised)


def ventricular(spells: Iterable[Spell]) -> list[Spell]:
    """VT and VF; a tachycardia that became a fibrillation is one alarm."""
    merged: list[Spell] = []
    for spell in spells:
        if spell.kind not in ("vt", "vf"):
            continue
        begun = [s for s in merged if spell.kind == "vf" and s.kind == "vt" and s.over == spell.raised]
        for before in begun:
            merged.remove(before)
        first = begun[0] if begun else spell
        merged.append(dataclasses.replace(spell, onset=first.onset, raised=first.raised))
    return merged


def reference_alarms(reference: Reference, settings: Settings) -> list[Spell]:
    """What the same rules say of the reference's beats: the truth about rates and runs."""
    verdicts: list[Event] = []
    last = 0
    for raw, label in zip(reference.samples, reference.labels, strict=True):
        sample = round(int(raw) * FS / reference.fs)
        n, s, v, f, q = (1.0 if name is label else 0.0 for name in BeatClass)
        verdicts.append(
            Verdict(
                stream="r", seq=1, sample=sample, label=label, probabilities=(n, s, v, f, q),
                rr=sample - last if last else None, level=Level.GOOD, amplitude=1.0, p_likeness=0.0, p_amplitude=0.0,
            )
        )  # fmt: skip
        last = sample
    events: list[Event] = [
        Opened(stream="r", seq=1, source="", fs=FS, leads=("",), start_time=0.0, length=None),
        *verdicts,
        *(
            Quality(stream="r", seq=1, sample=at, level=Level.GOOD, cause=Cause.NONE, noise=0.0, silence=0)
            for at in range(FS // 8, last, FS // 8)
        ),
    ]
    # As live: a beat is known when its window is complete, and silence is counted until then.
    events.sort(key=lambda event: position(event) + (AFTER if isinstance(event, Verdict) else 0))
    known = 0
    for k, event in enumerate(events):
        if isinstance(event, Verdict):
            known = event.sample
        elif isinstance(event, Quality):
            events[k] = msgspec.structs.replace(event, silence=max(event.sample - known, 0))
    return spells_of(event for event in Alarms(settings).push(events) if isinstance(event, Alert))


Segment = tuple[float, float, str]


def segments(reference: Reference, length: float) -> list[Segment]:
    """Rhythms and marked fibrillation, seconds."""
    begins = [(sample / reference.fs, name) for sample, name in reference.rhythms]
    ends = [*(begin for begin, _ in begins), length][1:]
    found = [(begin, end, name) for (begin, name), end in zip(begins, ends, strict=True)]
    return found + [(a / reference.fs, b / reference.fs, "[") for a, b in reference.vf]


def near(spell: Spell, marked: Iterable[Segment], names: Sequence[str]) -> bool:
    """Whether it was raised in one of the named segments, or NEAR_S around it."""
    return any(name in names and a - NEAR_S <= spell.raised <= b + NEAR_S for a, b, name in marked)


def active(spell: Spell, first: float, last: float) -> bool:
    return spell.raised <= last and spell.over >= first
