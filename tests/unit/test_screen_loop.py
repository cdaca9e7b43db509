"""The screen loop against a made-up clock, keyboard and link; what it does to a real terminal is in tests/screens."""

import io
from contextlib import nullcontext

import pytest
from rich.console import Console
from scenes import SETTINGS, Scene, alert

from monitor.dashboard.keys import Action
from monitor.dashboard.screen import Exit, run_screen, sounds
from monitor.events import AlertState, Priority, Silence


class Keys(nullcontext):
    """Presses what is due at each frame."""

    def __init__(self, *frames):
        super().__init__(self)
        self.frames = list(frames)

    def read(self):
        return self.frames.pop(0) if self.frames else [Action.QUIT]


class Loop:
    """One run of the screen; ``frames`` are the pictures that a terminal was sent."""

    def __init__(self, keys, link_s=0.0):
        self.now = 0.0
        self.scene = Scene()
        self.scene.open("bed 1")
        self.scene.open("bed 2")
        self.scene.run(5)
        self.calls = 0
        self.link_s = link_s
        self.file = io.StringIO()
        self.asked = []
        console = Console(file=self.file, force_terminal=True, width=80, height=24, color_system=None)
        self.reason = run_screen(
            self.scene.fold,
            self.receive,
            SETTINGS,
            console,
            keys,
            self,
            wall=lambda: self.scene.now,
            steady=lambda: self.now,
        )
        self.frames = self.file.getvalue().split(" ECG-MONITOR")[1:]

    def ask(self, action, view):
        self.asked.append((action, view.name))

    def heard(self):
        return f"done: {len(self.asked)}" if self.asked else ""

    def receive(self, timeout):
        assert timeout >= 0
        self.calls += 1
        self.now += self.link_s or timeout + 1e-6
        return []


def test_every_frame_has_its_waveform_also_when_the_stream_changes():
    loop = Loop(Keys([], [Action.NEXT], [], [Action.NEXT, Action.NEXT], [Action.PREVIOUS]))
    assert loop.reason is Exit.QUIT
    chosen = [frame.split()[0:2] for frame in loop.frames]
    assert [" ".join(words) for words in chosen] == ["bed 1", "bed 2", "bed 2", "bed 2", "bed 1"]
    assert all(sum("⠀" < c <= "⣿" for c in frame) > 100 for frame in loop.frames)


def test_a_fast_link_does_not_draw_more_frames():
    loop = Loop(Keys(*[[]] * 15), link_s=0.001)
    assert len(loop.frames) == 15 and loop.now < 1.1
    assert loop.calls > 900


def test_what_a_person_wants_goes_to_the_daemon_and_is_answered_on_the_screen():
    loop = Loop(Keys([], [Action.NEXT], [Action.ACKNOWLEDGE], [Action.SILENCE], []))
    assert loop.asked == [(Action.ACKNOWLEDGE, "bed 2"), (Action.SILENCE, "bed 2")]
    assert "done: 2" in loop.frames[-1]
    assert "done:" not in loop.frames[1]


@pytest.mark.parametrize(
    ("priority", "state", "silenced", "rings"),
    [
        (Priority.HIGH, AlertState.RAISED, 0.0, True),
        (Priority.HIGH, AlertState.ACKNOWLEDGED, 0.0, False),
        (Priority.HIGH, AlertState.RAISED, 60.0, False),
        (Priority.MEDIUM, AlertState.RAISED, 0.0, False),
    ],
)
def test_the_bell_rings_for_what_is_urgent_and_nobody_has_seen_to(priority, state, silenced, rings):
    scene = Scene()
    scene.open("bed 1")
    told = alert("bed 1", "vt", "ventricular tachycardia", priority=priority, state=state)
    quiet = Silence(stream="bed 1", seq=99, sample=0, seconds=silenced)
    scene.fold.advance([told, quiet], scene.now)
    (view,) = scene.fold.snapshot(scene.now).streams
    assert sounds(view) is rings
