"""The loop that keeps a screen up to date. It alone knows the clock here; the terminal is given back in every case."""

import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from msgspec.structs import replace
from rich.console import Console
from rich.live import Live

from monitor.config import Settings
from monitor.dashboard.keys import Action, Keyboard, steer
from monitor.dashboard.layout import render
from monitor.dashboard.lines import changes, final, summary
from monitor.dashboard.look import Look
from monitor.events import AlertState, Event, Priority, Status
from monitor.snapshot import Fold
from monitor.views import StreamView

Receive = Callable[[float], "list[Event | Status] | None"]
"""Waits up to so many seconds for events; what has come by then, in order, or None when the run is over."""

SUMMARY_S = 10.0
"""s of wall time between two summaries in plain lines."""
GLANCE_S = 0.25
"""s between two looks for changes worth a line."""
NOWHERE = -1


def terminal() -> Console:
    """The terminal at standard output."""
    return Console()


NOTE_S = 3.0
"""s for which a note is shown."""


class Orders(Protocol):
    """Where a person's wishes go."""

    def ask(self, action: Action, view: StreamView) -> None:
        """An acknowledgement, or silence, for the stream."""
        ...

    def heard(self) -> str:
        """What became of the last one, "" while there is nothing to say."""
        ...


class Exit(Enum):
    """Why the screen was left."""

    ENDED = auto()  # the run is over
    QUIT = auto()  # the person at the keyboard


def run_screen(
    fold: Fold,
    receive: Receive,
    settings: Settings,
    console: Console,
    keyboard: Keyboard,
    orders: Orders,
    *,
    wall: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
) -> Exit:
    """Shows what comes until the run is over or a person quits.

    Args:
        fold: takes in the events; it may already hold some.
        receive: where they come from. What it raises ends the screen and goes on to the caller.
        settings: those of the dashboard count here.
        console: on a terminal.
        keyboard: of the same terminal; entered and left here.
        orders: what the person wants of the daemon.
        wall: seconds since the Unix epoch.
        steady: a clock that never jumps, s.
    """
    look = Look(time=steady())
    due = ring = steady()
    noted = 0.0
    with keyboard, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            events = receive(max(0.0, due - steady()))
            if events is None:
                return Exit.ENDED
            fold.advance(events, wall())
            began = steady()
            if began < due:
                continue
            snapshot = fold.snapshot(wall(), look.stream)
            for action in keyboard.read():
                if action is Action.QUIT:
                    return Exit.QUIT
                if action in (Action.ACKNOWLEDGE, Action.SILENCE) and look.stream < len(snapshot.streams):
                    orders.ask(action, snapshot.streams[look.stream])
                look = steer(look, action, snapshot)
                snapshot = fold.snapshot(wall(), look.stream)
            if note := orders.heard():
                look, noted = replace(look, note=note), began
            elif look.note and began - noted > NOTE_S:
                look = replace(look, note="")
            look = replace(look, time=began)
            if settings.dashboard.bell and began >= ring and any(map(sounds, snapshot.streams)):
                console.bell()
                ring = began + settings.dashboard.bell_s
            width, height = console.size
            live.update(render(snapshot, width, height, look, settings.dashboard), refresh=True)
            # a picture may take half of the time at the most, however slow the terminal is: events go first
            done = steady()
            due = max(began + 1 / settings.dashboard.fps, done + (done - began))


def sounds(view: StreamView) -> bool:
    """Something of high priority that nobody has acknowledged, in a stream that nobody has silenced."""
    return not view.silenced_s and any(
        alert.priority is Priority.HIGH and alert.state is not AlertState.ACKNOWLEDGED for alert in view.alerts
    )


def run_lines(
    fold: Fold,
    receive: Receive,
    write: Callable[[str], None],
    *,
    wall: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
) -> None:
    """Says in plain lines what happens, how each stream is every ``SUMMARY_S``, and at the end what it came to."""
    before = fold.snapshot(wall(), NOWHERE)
    seen: list[Event | Status] = []
    glance = steady() + GLANCE_S
    told = steady()
    over = False
    while not over:
        events = receive(max(0.0, glance - steady()))
        over = events is None
        fold.advance(events or (), wall())
        seen += events or ()
        if steady() < glance and not over:
            continue
        after = fold.snapshot(wall(), NOWHERE)
        for line in changes(before, after, seen):
            write(line)
        before = after
        seen.clear()
        glance = steady() + GLANCE_S
        if steady() - told >= SUMMARY_S:
            told = steady()
            for view in after.streams:
                write(summary(view))
    for line in final(before):
        write(line)
