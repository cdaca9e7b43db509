"""Golden screens. ``UPDATE_SCREENS=1 pytest tests/screens`` writes them anew; look at them before you commit."""

import io
import os
import statistics
import time
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console
from scenes import SETTINGS, Scene, alert, opened, quality

from monitor.dashboard.export import save_svg
from monitor.dashboard.layout import render
from monitor.dashboard.look import Look
from monitor.events import AlertState, Cause, Closed, Gap, Level, Lost, Priority

EXPECTED = Path(__file__).parent / "expected"
HOSTILE = "\x1b[31m\x1b]0;title\x07[red]bold[/] \u202eevil\u202c\x00\nnext\tline"


def screen(snapshot, width, height, look=None, color=False):
    """The picture as lines; with ``color`` as what a terminal is sent."""
    console = Console(
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=color,
        color_system="truecolor" if color else None,
    )
    console.print(render(snapshot, width, height, look or Look(), SETTINGS.dashboard), end="")
    return console.file.getvalue()


def check(name, text):
    golden = EXPECTED / f"{name}.txt"
    if os.environ.get("UPDATE_SCREENS") and not os.environ.get("CI"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, "utf-8")
    assert golden.exists(), f"no golden screen {golden.name}: run with UPDATE_SCREENS=1, look at it, commit it"
    assert text == golden.read_text("utf-8")


def normal():
    scene = Scene()
    scene.open()
    scene.run(14)
    scene.send(alert("demo", "couplet", "Couplet: 2 ventricular beats in a row", sample=5000))
    scene.run(10)
    scene.send(
        alert(
            "demo", "couplet", "Couplet: 2 ventricular beats in a row", state=AlertState.ENDED, sample=8600, onset=5000
        )
    )
    scene.run(8)
    return scene


def alarmed():
    scene = normal()
    scene.send(
        alert("demo", "vt", "Ventricular tachycardia: 6 beats at 182/min", priority=Priority.HIGH, sample=11000),
        alert("demo", "tachy", "Heart rate high: 131/min, limit 120", priority=Priority.MEDIUM, sample=10900),
        alert("demo", "pvc_rate", "Ventricular beats: 14 a minute, limit 10", sample=9000),
    )
    return scene


def stage_down():
    scene = normal()
    scene.run(4, dead=("detector",))
    scene.send(
        alert("demo", "stage", "The detector has gone", priority=Priority.MEDIUM, sample=12000, class_="technical")
    )
    return scene


def no_signal():
    scene = normal()
    scene.send(quality("demo", 11520, Level.UNUSABLE, Cause.FLAT, 0.7))
    scene.run(5, silent=("demo",))
    return scene


def flat():
    scene = normal()
    scene.send(quality("demo", 11880, Level.UNUSABLE, Cause.FLAT, 0.0))
    return scene


def lost():
    scene = normal()
    scene.send(Gap(stream="demo", seq=9001, start=11520, stop=12000, cause="lost"))
    scene.run(5, silent=("demo",))
    scene.send(Lost(stream="demo", seq=9002, sample=12000))
    return scene


def several():
    scene = Scene()
    scene.open("bed 1", rhythm="N", length=None)
    scene.open("bed 2", rhythm="NNNVVVVVV", rate=1.2, source="replay:mitdb/208")
    scene.open("bed 3", rhythm="NS", rate=0.8)
    scene.open("bed 4", rhythm="N", rate=0.6)
    scene.run(20)
    text = "Ventricular tachycardia: 6 beats at 138/min"
    scene.send(alert("bed 2", "vt", text, priority=Priority.HIGH, sample=7000))
    scene.send(quality("bed 4", 8000, Level.NOISY, Cause.NOISE, 0.41))
    scene.run(2, silent=("bed 3",))
    return scene


def hostile():
    scene = Scene()
    scene.open(HOSTILE, source=HOSTILE, leads=(HOSTILE,), rhythm="N")
    scene.run(8)
    scene.send(alert(HOSTILE, "vt", HOSTILE, priority=Priority.HIGH, sample=2000))
    scene.open("患者 名前 とても長い名前のストリーム", rhythm="N")
    scene.run(2)
    return scene


def closed():
    scene = normal()
    scene.send(Closed(stream="demo", seq=9999, sample=11520, reason="end of recording"))
    return scene


SCENES = {
    "normal": normal,
    "alarm_high": alarmed,
    "stage_down": stage_down,
    "no_signal": no_signal,
    "flat_line": flat,
    "source_lost": lost,
    "several_streams": several,
    "hostile_names": hostile,
    "closed": closed,
    "nothing_yet": Scene,
}
SIZES = [(80, 24), (200, 60)]


@pytest.fixture(scope="module")
def snapshots():
    return {name: build().snapshot() for name, build in SCENES.items()}


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", SCENES)
def test_golden(snapshots, name, width, height):
    look = Look(stream=1) if name == "several_streams" else Look()
    check(f"{name}_{width}x{height}", screen(snapshots[name], width, height, look))


def test_golden_others(snapshots):
    check("too_small", screen(snapshots["normal"], 50, 12))
    check("smallest", screen(snapshots["alarm_high"], 60, 18))
    check("normal_120x36", screen(snapshots["alarm_high"], 120, 36))
    check("help", screen(snapshots["normal"], 80, 24, Look(help=True)))


@pytest.mark.parametrize("name", SCENES)
def test_a_picture_fills_the_size_that_it_was_asked_for(snapshots, name):
    for width, height in [(60, 18), (61, 19), (79, 22), (80, 23), (90, 40), (116, 32), (133, 47), (160, 45), (250, 80)]:
        lines = screen(snapshots[name], width, height).split("\n")
        assert len(lines) == height + 1 and lines[-1] == ""
        console = Console(width=width)
        assert {
            console.render_str(line, markup=False, emoji=False, highlight=False).cell_len for line in lines[:-1]
        } == {width}


def test_what_must_not_be_missed_is_in_the_smallest_picture(snapshots):
    text = screen(snapshots["alarm_high"], 60, 18)
    assert "*** Ventricular tachycardia" in text and "+2 more" in text and "NOT A MEDICAL DEVICE" in text
    assert "detector DOWN" in screen(snapshots["stage_down"], 60, 18)
    assert "NO SIGNAL" in screen(snapshots["no_signal"], 60, 18)


def test_nothing_from_outside_reaches_the_terminal(snapshots):
    plain = screen(snapshots["hostile_names"], 120, 36)
    assert not any(ord(c) < 32 and c != "\n" for c in plain)
    assert "\u202e" not in plain and "[red]bold[/]" in plain
    colored = screen(snapshots["hostile_names"], 120, 36, color=True)
    assert "\x1b]0" not in colored and "\x07" not in colored and "\x1b[31m" not in colored


def test_an_alarm_of_another_stream_is_seen(snapshots):
    text = screen(snapshots["several_streams"], 60, 18, Look(stream=0))
    assert "*** bed 2: Ventricular tachycardia" in text and "▸ bed 1" in text


def lit(snapshot, seconds):
    return "48;2;208;31;31" in screen(snapshot, 80, 24, Look(time=seconds), color=True)


def test_a_high_alarm_flashes_twice_a_second(snapshots):
    states = [lit(snapshots["alarm_high"], 100 + tick / 20) for tick in range(40)]
    assert sum(a != b for a, b in pairwise(states)) == 7  # two seconds, four periods
    assert sum(states) == 20


def test_an_acknowledged_alarm_stands_still():
    scene = alarmed()
    text = "Ventricular tachycardia: 6 beats at 182/min"
    scene.send(
        alert("demo", "vt", text, priority=Priority.HIGH, state=AlertState.ACKNOWLEDGED, sample=11100, onset=11000)
    )
    assert not any(lit(scene.snapshot(), tick / 10) for tick in range(10))
    assert "acknowledged" in screen(scene.snapshot(), 80, 24)


def test_a_paused_picture_keeps_its_wave_and_shows_new_alarms():
    scene = normal()
    held = scene.snapshot().streams[0]
    before = screen(scene.snapshot(), 80, 24).split("\n")
    scene.run(1.7)
    scene.send(alert("demo", "vt", "Ventricular tachycardia", priority=Priority.HIGH, sample=12000))
    after = screen(scene.snapshot(), 80, 24, Look(held=held)).split("\n")
    assert after[3:14] == before[3:14]
    assert "Ventricular tachycardia" in after[1] and "PAUSED" in after[-2]


def test_zoom_changes_the_time_scale(snapshots):
    view = [screen(snapshots["normal"], 80, 24, Look(zoom=zoom)).split("\n")[3] for zoom in (0.5, 1.0, 2.0)]
    beats = [sum(c in "NSVFQ" for c in line) for line in view]
    assert beats[0] < beats[1] < beats[2]


def test_resizing_draws_anew():
    snapshot = normal().snapshot()
    for width, height in [(80, 24), (200, 60), (50, 12), (80, 24)]:
        lines = screen(snapshot, width, height).split("\n")
        assert all(len(line) <= width for line in lines)
    assert screen(snapshot, 80, 24) == (EXPECTED / "normal_80x24.txt").read_text("utf-8")


def test_a_large_screen_is_drawn_in_time(snapshots):
    times = []
    for _ in range(9):
        began = time.perf_counter()
        screen(snapshots["alarm_high"], 200, 60, color=True)
        times.append(time.perf_counter() - began)
    assert statistics.median(times) < 0.05


def test_svg(tmp_path, snapshots):
    picture = render(snapshots["alarm_high"], 120, 36, Look(), SETTINGS.dashboard)
    save_svg(picture, 120, 36, tmp_path / "screen.svg", "ecg-monitor")
    text = (tmp_path / "screen.svg").read_text("utf-8")
    assert text.startswith("<svg") and "tachycardia" in text


def test_an_opened_stream_waits_for_its_first_sample():
    scene = Scene()
    scene.send(opened())
    assert "waiting for the first sample" in screen(scene.snapshot(), 80, 24)
