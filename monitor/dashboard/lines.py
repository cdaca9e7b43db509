"""The dashboard where there is no terminal: what happens, in plain lines. Pure; without colour."""

from collections.abc import Iterable

from monitor.dashboard.look import STARS, clock, message
from monitor.events import FS, Alert, AlertState, Event, GapCause, Level, Status
from monitor.text import clean
from monitor.views import Feed, Hole, Snapshot, StageState, StreamView

_WHY: dict[GapCause, str] = {
    "lost": "lost on the way",
    "missing": "missing in the source",
    "rate": "at another rate than the source says",
}


def changes(before: Snapshot, after: Snapshot, events: Iterable[Event | Status]) -> list[str]:
    """What happened between two snapshots, one line each; ``events`` are those between the two."""
    known = {view.name: view for view in before.streams}
    lines: list[str] = []
    for view in after.streams:
        lines += _stream(known.get(view.name), view)
    lines += [_alert(event) for event in events if isinstance(event, Alert) and event.state is not AlertState.UPDATED]
    states = {stage.name: stage.state for stage in before.stages}
    troubles = {stage.name: stage.trouble for stage in before.stages}
    for stage in after.stages:
        was, name = states.get(stage.name, StageState.STARTING), clean(stage.name)
        if stage.state is StageState.DOWN and was is not StageState.DOWN:
            lines.append(f"stage {name} is down: no report for {stage.age:.0f} s")
        elif stage.state is StageState.UP and was is not StageState.UP:
            lines.append(f"stage {name} is up" + (" again" if was is StageState.DOWN else ""))
        if stage.trouble != troubles.get(stage.name, ""):
            lines.append(f"stage {name}: {clean(stage.trouble) or 'all is well again'}")
    return lines


def _stream(was: StreamView | None, view: StreamView) -> list[str]:
    at = _at(view.name, view.position)
    lines = []
    if view.source and (was is None or not was.source):
        lead = f", lead {clean(view.lead)}" if view.lead else ""
        rate = f", {view.fs:g} Hz" if view.fs is not None else ""
        lines.append(f"{at} opened: {clean(view.source)}{lead}{rate}")
    old = {hole.start for hole in was.holes} if was else set()
    lines += [_hole(view.name, hole) for hole in view.holes if hole.start not in old]
    gone = (Feed.SILENT, Feed.LOST)
    feed = was.feed if was else Feed.WAITING
    if view.feed in gone and feed not in gone:
        lines.append(f"{at} no signal")
    elif view.feed is Feed.ARRIVING and feed in gone:
        lines.append(f"{at} signal is back")
    elif view.feed is Feed.CLOSED and feed is not Feed.CLOSED:
        lines.append(f"{at} closed: {clean(view.reason)}")
    return lines


def _at(stream: str, sample: int) -> str:
    return f"{clock(sample)} {clean(stream)}:"


def _hole(stream: str, hole: Hole) -> str:
    return f"{_at(stream, hole.start)} gap: {(hole.stop - hole.start) / FS:.2f} s {_WHY[hole.cause]}"


def _alert(alert: Alert) -> str:
    return f"{_at(alert.stream, alert.sample)} {STARS[alert.priority]:<3} {alert.state}: {message(alert)}"


def summary(view: StreamView) -> str:
    """How a stream is, in one line."""
    rate = "heart rate --" if view.heart_rate is None else f"heart rate {view.heart_rate:.0f}"
    counts = " ".join(f"{label} {count}" for label, count in view.counts.items())
    level = f"signal {view.level or 'unknown'}"
    if view.level is not None and view.level is not Level.GOOD:
        level += f" ({view.cause.replace('_', ' ')})"
    active = f"{len(view.alerts)} active" if view.alerts else "no alert"
    return f"{_at(view.name, view.position)} {rate}, {counts}, {level}, {active}, latency {_latency(view)}"


def _latency(view: StreamView) -> str:
    if view.latency is None:
        return "--"
    return f"{view.latency.p50 * 1000:.0f} ms, p99 {view.latency.p99 * 1000:.0f} ms"


def final(snapshot: Snapshot) -> list[str]:
    """What a run came to: for each stream beats by class, alerts by kind, losses and latency."""
    lines = []
    for view in snapshot.streams:
        total = sum(view.counts.values())
        counts = ", ".join(f"{label} {count}" for label, count in view.counts.items() if count)
        raised = ", ".join(f"{clean(kind)} {count}" for kind, count in sorted(view.raised.items()))
        lost = f"{view.lost_samples / FS:.2f} s" if view.lost_samples else "nothing"
        lines += [
            f"{clean(view.name)}: {clock(view.position)} of signal",
            f"  beats    {total}" + (f": {counts}" if counts else ""),
            f"  alerts   {sum(view.raised.values())}" + (f": {raised}" if raised else ""),
            f"  lost     {lost}" + (f", {view.missing_samples / FS:.2f} s missing" if view.missing_samples else ""),
            f"  latency  {_latency(view)}",
        ]
    return lines
