"""Plain lines: each thing that happens is said once, harmlessly."""

import pytest
from scenes import EPOCH, SETTINGS, Scene, alert, opened

from monitor.dashboard.lines import changes, final, summary
from monitor.dashboard.screen import run_lines
from monitor.events import AlertState, Closed, Gap, Lost, Priority
from monitor.snapshot import Fold


def said(scene, *events, then=lambda: None):
    before = scene.snapshot()
    scene.send(*events)
    then()
    return changes(before, scene.snapshot(), events)


def test_each_event_is_one_line():
    scene = Scene()
    assert said(scene, opened(), opened(), opened()) == ["0:00:00 demo: opened: replay:demo, lead MLII, 360 Hz"]
    scene.open()
    scene.run(3)
    vt = alert("demo", "vt", "Ventricular tachycardia", priority=Priority.HIGH, sample=720)
    assert said(scene, vt) == ["0:00:02 demo: *** raised: Ventricular tachycardia"]
    update = alert("demo", "vt", "longer", priority=Priority.HIGH, state=AlertState.UPDATED, sample=800, onset=720)
    assert said(scene, update) == []
    gap = Gap(stream="demo", seq=1, start=1080, stop=1260, cause="lost")
    assert said(scene, gap, gap) == ["0:00:03 demo: gap: 0.50 s lost on the way"]
    assert said(scene, Lost(stream="demo", seq=2, sample=1260)) == ["0:00:03 demo: no signal"]
    closing = Closed(stream="demo", seq=3, sample=1260, reason="end of\nrecording")
    assert said(scene, closing, closing) == ["0:00:03 demo: closed: end of�recording"]


def test_a_stage_that_dies_and_comes_back():
    scene = Scene()
    scene.open()
    start = said(scene, then=lambda: scene.run(1))
    assert [line for line in start if line.startswith("stage")] == [
        "stage source is up",
        "stage detector is up",
        "stage classifier is up",
    ]
    assert said(scene, then=lambda: scene.run(4, dead=("detector",))) == ["stage detector is down: no report for 4 s"]
    assert said(scene, then=lambda: scene.run(1)) == ["stage detector is up again"]


def test_summary_and_end():
    scene = Scene()
    scene.open()
    scene.run(20)
    scene.send(alert("demo", "couplet", "Couplet", sample=720))
    view = scene.snapshot().streams[0]
    line = summary(view)
    assert line.startswith("0:00:20 demo: heart rate 7") and "1 active" in line and "p99" in line
    text = final(scene.snapshot())
    assert f"  beats    {sum(view.counts.values())}: N" in text[1] and text[2] == "  alerts   1: couplet 1"
    assert text[3] == "  lost     nothing" and all("\n" not in t for t in text)


class Clock:
    def __init__(self):
        self.now = EPOCH

    def __call__(self):
        return self.now


def test_the_loop_sums_up_every_ten_seconds_and_at_the_end():
    clock, scene, lines = Clock(), Scene(), []
    scene.fold = Fold(SETTINGS)

    def receive(timeout):
        if clock.now > EPOCH + 25:
            return None
        clock.now += max(timeout, 0.01)
        return [opened()] if clock.now < EPOCH + 1 else []

    run_lines(scene.fold, receive, lines.append, wall=clock, steady=clock)
    assert lines[0].endswith("opened: replay:demo, lead MLII, 360 Hz") and lines[1] == "0:00:00 demo: no signal"
    assert sum("heart rate" in line for line in lines) == 2
    assert lines[-5:] == final(scene.fold.snapshot(clock.now))


def test_an_error_of_the_source_is_not_swallowed():
    def receive(timeout):
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        run_lines(Fold(SETTINGS), receive, print)
