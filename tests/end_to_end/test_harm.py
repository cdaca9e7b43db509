"""Disks that refuse, stages that hang, checkpoints that are damaged: the daemon goes on, and says what is wrong."""

import json
import re
import resource
import signal
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from daemons import PATIENCE_S, cli

from monitor.link import free_port

MISSING = -32768
SECONDS = 120
"""s of the demo that are recorded."""


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "own.toml"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def recording(start, tmp_path):
    """A daemon that records the demo into a folder of its own."""

    def begin(*words, speed="20", seconds=SECONDS, folder=tmp_path / "d0" / "rec"):
        given = ["--source", "replay:demo", "--headless", "--speed", speed, "--duration", str(seconds)]
        return start(*given, "--record", str(folder), *words)

    begin.folder = tmp_path / "d0" / "rec"
    return begin


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What is recorded when nothing happens."""
    folder = tmp_path_factory.mktemp("reference")
    words = ["--headless", "--speed", "max", "--duration", str(SECONDS), "--alert-port", str(free_port())]
    done = cli("run", "--source", "replay:demo", "--record", str(folder), *words)
    assert done.returncode == 0, done.stderr
    return folder


def said(daemon, what, **more):
    """Lines of the log."""
    lines = [json.loads(line) for line in daemon.err.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["what"] == what and more.items() <= line.items()]


def metric_of(port, name):
    """By stage."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {stage: float(value) for stage, value in re.findall(rf'^{name}{{stage="(\w+)"}} (\S+)$', text, re.M)}


def without_clock(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("published_time", "onset_time")} for line in lines]


def test_a_disk_that_is_full_for_a_while(recording, reference, config):
    """The signal of that time is missing from the record, and nothing else: every beat, every alert is there."""
    port = free_port()
    daemon = recording("--config", config(f"[metrics]\nport = {port}\n"))

    def taken():
        """Samples that the recorder had been given when it last reported."""
        return metric_of(port, "ecg_monitor_samples_total").get("recorder", 0.0)

    daemon.up()
    growing = recording.folder / "demo.dat"
    daemon.until(lambda: growing.exists() and growing.stat().st_size > 20 * 720, "recording")
    recorder = daemon.children()["recorder"]
    full = growing.stat().st_size
    recorder.rlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    daemon.until(lambda: said(daemon, "trouble", stage="recorder"), "trouble is told")
    assert "File too large" in said(daemon, "trouble", stage="recorder")[0]["why"]
    # What was refused so far may have been beats or a checkpoint, which wait. What comes between two reports from now
    # on is signal that the disk is too full for.
    for _ in range(2):
        before = taken()
        daemon.until(lambda before=before: taken() > before, "more signal")
    recorder.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    daemon.until(lambda: said(daemon, "trouble over", stage="recorder"), "room again")
    assert daemon.wait() == 0, daemon.err.read_text()
    assert said(daemon, "stage died") == []

    for kind in ("verdicts", "alarms"):
        name = f"demo.{kind}.jsonl"
        assert without_clock(recording.folder / name) == without_clock(reference / name)
    found, whole = (np.fromfile(folder / "demo.dat", "<i2") for folder in (recording.folder, reference))
    missing = np.flatnonzero(found != whole)
    assert len(missing) > 0
    assert missing[0] >= full // 2
    np.testing.assert_array_equal(missing, np.arange(missing[0], missing[-1] + 1))
    assert set(found[missing].tolist()) == {MISSING}


def test_no_descriptors_to_be_had_for_a_while(recording, reference):
    """No stage can open a file: none dies, each says so, and nothing is missing when it is over."""
    daemon = recording(speed="10")
    daemon.up()
    stages = {name: daemon.children()[name] for name in ("source", "detector", "classifier", "recorder")}
    before = {name: process.rlimit(resource.RLIMIT_NOFILE) for name, process in stages.items()}

    def starved():
        """Nothing more can be opened; looked at again and again, for a file was perhaps being written just now."""
        for process in stages.values():
            taken = {int(path.name) for path in Path(f"/proc/{process.pid}/fd").iterdir()}
            free = min(set(range(len(taken) + 1)) - taken)  # the next that would be had
            least, most = process.rlimit(resource.RLIMIT_NOFILE)
            process.rlimit(resource.RLIMIT_NOFILE, (min(free, least), most))
        return all(said(daemon, "trouble", stage=name) for name in stages)

    daemon.until(starved, "all tell of their trouble")
    for name in stages:
        assert "Too many open files" in said(daemon, "trouble", stage=name)[0]["why"]
    for name, process in stages.items():
        process.rlimit(resource.RLIMIT_NOFILE, before[name])
    for name in stages:
        daemon.until(lambda name=name: said(daemon, "trouble over", stage=name), f"{name} is well again")
    assert daemon.wait() == 0, daemon.err.read_text()
    assert said(daemon, "stage died") == []
    for kind in ("verdicts", "alarms"):
        name = f"demo.{kind}.jsonl"
        assert without_clock(recording.folder / name) == without_clock(reference / name)
    np.testing.assert_array_equal(
        *(np.fromfile(folder / "demo.dat", "<i2") for folder in (recording.folder, reference))
    )


def test_a_recorder_that_dies_again_and_again(recording, config):
    """It is left out after the limit, the others play on to the end without a stall, and the end says so."""
    own = config("[supervisor]\nrestart_limit = 1\nstandby = false\n[link]\nhold_s = 3.0\n")
    daemon = recording("--config", own, speed="10")
    daemon.up()
    killed = set()

    def kill():
        child = daemon.children().get("recorder")
        if child is not None and child.pid not in killed:
            killed.add(child.pid)
            child.kill()
        return said(daemon, "stage left out", name="recorder")

    daemon.until(kill, "left out")
    assert len(killed) == 2
    size = len(daemon.said)
    daemon.until(lambda: "heart rate" in daemon.said[size:], "monitoring goes on")
    assert daemon.wait() == 1
    assert f"demo: 0:0{SECONDS // 60}:00 of signal" in daemon.said
    assert "lost     nothing" in daemon.said
    last = daemon.err.read_text().splitlines()[-1]
    assert last == "ecg-monitor: recorder had to be left out: died 2 times, last by signal 9"
    assert said(daemon, "finished", stage="classifier")
    assert {line["stage"] for line in said(daemon, "subscriber given up", name="recorder")} <= {"source", "classifier"}


def test_a_stage_that_hangs_is_killed_and_started_again(start, config):
    """Within ``hang_s``; Prometheus sees it too."""
    port = free_port()
    own = config(f"[supervisor]\nhang_s = 3.0\n[metrics]\nport = {port}\n")
    daemon = start("--source", "replay:demo", "--headless", "--loop", "--config", own)
    daemon.up()

    def metric(name):
        return metric_of(port, name)

    everyone = {"source": 1.0, "detector": 1.0, "classifier": 1.0}
    daemon.until(lambda: metric("ecg_monitor_stage_up") == everyone, "all are up")
    hung = daemon.children()["detector"]
    began = time.monotonic()
    hung.send_signal(signal.SIGSTOP)
    daemon.until(lambda: said(daemon, "stage hangs", name="detector"), "it is noticed")
    assert 2.0 < time.monotonic() - began < 8.0
    size = len(daemon.said)
    daemon.until(lambda: "heart rate" in daemon.said[size:], "signal again")
    assert not hung.is_running()
    assert said(daemon, "stage died", name="detector", how="signal 9")
    daemon.until(lambda: metric("ecg_monitor_stage_restarts_total")["detector"] == 1, "it is counted")
    assert metric("ecg_monitor_events_lost_total") == dict.fromkeys(everyone, 0.0)
    daemon.interrupt()


def test_two_daemons_on_one_folder(recording, tmp_path):
    daemon = recording(speed="1")
    daemon.up()
    words = ["--headless", "--alert-port", str(free_port()), "--record", str(recording.folder)]
    done = cli("run", "--source", "replay:demo", *words)
    assert done.returncode == 1
    waiting, refused = done.stderr.splitlines()
    assert waiting.endswith("waiting for another ecg-monitor to end …")
    assert refused == f"ecg-monitor: --record {recording.folder / '.ecg-monitor'}: another ecg-monitor is at work there"
    assert daemon.process.poll() is None
    daemon.interrupt()


def test_nothing_is_written_by_two_lives_at_once(recording, reference):
    """Of a daemon that was killed one process lives on, since it was stopped: no other begins until it has gone."""
    daemon = recording()
    daemon.up()
    left = daemon.children()["recorder"]
    left.suspend()
    daemon.process.kill()
    daemon.wait()
    again = recording(folder=recording.folder)
    assert again.wait() == 1
    assert "another ecg-monitor is at work there" in again.err.read_text()
    left.resume()
    left.wait(PATIENCE_S)
    third = recording(folder=recording.folder)
    assert third.wait() == 0, third.err.read_text()
    name = "demo.verdicts.jsonl"
    assert without_clock(recording.folder / name) == without_clock(reference / name)


@pytest.mark.parametrize("stage", ["detector", "recorder"])
def test_a_checkpoint_that_was_damaged_between_two_runs(recording, stage):
    """Refused with a line; what was recorded stays as it is."""
    first = recording()
    first.up()
    state = recording.folder / ".ecg-monitor" / f"{stage}.state"
    growing = recording.folder / "demo.dat"
    first.until(lambda: state.exists() and growing.exists() and growing.stat().st_size > 20 * 720, "a checkpoint")
    first.interrupt()
    state.write_bytes(state.read_bytes()[:-10])
    before = growing.read_bytes()
    second = recording()
    assert second.wait() == 0, second.err.read_text()
    (line,) = said(second, "checkpoint refused")
    assert line["stage"] == stage
    assert line["why"].startswith(f"checkpoint {stage}.state: torn: ")
    assert growing.read_bytes().startswith(before[: len(before) - len(before) % 720])
    if stage == "recorder":
        assert growing.read_bytes() == before
        assert (recording.folder / "demo-2.dat").stat().st_size > 0
    else:
        assert growing.stat().st_size == SECONDS * 720
