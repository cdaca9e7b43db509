"""Devices at a pipe: real processes, real time."""

import contextlib
import os
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from daemons import cli

from monitor.events import Samples
from monitor.sources import SourceRequest
from replay import faults
from replay.pipe import Pipe
from replay.records import Record

SECONDS = 24
FS = 360


@pytest.fixture
def signal(data_dir):
    """[1, n] mV, in the steps of a record."""
    return np.round(Record(data_dir / "mitdb" / "208", ()).read(0, SECONDS * FS), 3)


def device(path, lines):
    """Plays them."""
    thread = threading.Thread(target=faults.play, args=(path, faults.timed(lines, FS, ("MLII",), "went home")))
    thread.start()
    return thread


def holders(daemon, path):
    """How many of a daemon's processes have this pipe open."""
    count = 0
    for process in psutil.Process(daemon.process.pid).children(recursive=True):
        with contextlib.suppress(OSError):  # it has just ended
            count += path in [one.readlink() for one in Path(f"/proc/{process.pid}/fd").iterdir()]
    return count


def test_two_devices_one_faulty_and_deaths(start, signal, tmp_path):
    """What the good one gave is recorded whole, whoever was killed; of the faulty one what it gave, in its place."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    lines = faults.steady(signal, FS)
    harmed = faults.swap(faults.silence(lines, 8.0, 12.0), 14.0, 18.0)
    record = tmp_path / "d0" / "rec"
    # As shipped, a process stands by and holds the pipes (docs/decisions/0009); here it comes sooner.
    (tmp_path / "soon.toml").write_text("[supervisor]\nstandby_after_s = 0.5\n")
    sources = ("--source", f"pipe:{good}", "--source", f"pipe:{bad}", "--config", str(tmp_path / "soon.toml"))
    daemon = start(*sources, "--headless", "--record", str(record))
    everybody = ("source", "detector", "classifier", "recorder")
    daemon.until(lambda: all(f"stage {name} is up" in daemon.said for name in everybody), "everybody is up")
    threads = [device(good, lines), device(bad, harmed)]
    began = time.monotonic()
    for at, name in ((5.0, "source"), (9.0, "detector"), (14.0, "source")):
        time.sleep(max(0.0, began + at - time.monotonic()))
        daemon.until(lambda name=name: name in daemon.children(), f"{name} is there")
        daemon.until(lambda: all(holders(daemon, path) > 1 for path in (good, bad)), "another source stands by")
        daemon.children()[name].kill()
    for thread in threads:
        thread.join()
    assert daemon.wait() == 0, daemon.err.read_text()

    expected = np.round(signal[0] * 1000).astype(int)
    np.testing.assert_array_equal(np.fromfile(record / "good.dat", "<i2"), expected)
    found = np.fromfile(record / "bad.dat", "<i2")
    missing = np.flatnonzero(found == -32768)
    np.testing.assert_array_equal(missing, np.arange(8 * FS, 12 * FS))
    there = np.delete(np.arange(len(expected)), missing)
    np.testing.assert_array_equal(found[there], expected[there])
    assert "bad: **  raised: the source is silent" in daemon.said
    assert "bad: gap: 4.00 s missing in the source" in daemon.said
    assert "good: closed: went home" in daemon.said
    assert not [path for path in (record / ".ecg-monitor").iterdir() if "journal" in path.name]


@pytest.mark.parametrize(
    ("what", "says"),
    [("file", "neither a pipe nor a device"), ("none/x", "No such file"), ("", "no path; write pipe:/tmp/ecg")],
)
def test_what_is_no_pipe(start, tmp_path, what, says):
    (tmp_path / "file").write_text("")
    daemon = start("--source", f"pipe:{tmp_path / what}" if what else "pipe:", "--headless")
    assert daemon.wait() == 1
    assert says in daemon.err.read_text()
    assert "Traceback" not in daemon.err.read_text()


def test_a_device_is_not_annotated(tmp_path):
    done = cli("annotate", f"pipe:{tmp_path / 'ecg'}", "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "a device has no end" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_recording_can_be_started_late_and_a_device_cannot(start, tmp_path):
    daemon = start("--source", f"pipe:{tmp_path / 'ecg'}", "--headless", "--start", "5")
    assert daemon.wait() == 1
    assert "--start and --loop are for recordings" in daemon.err.read_text()


def test_a_pipe_that_was_made_anew_is_found(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("replay.pipe._AGAIN_S", 0.0)
    path = tmp_path / "ecg"
    source = Pipe(SourceRequest(uri=f"pipe:{path}", stream="p", now=0.0), settings)
    try:
        path.unlink()
        os.mkfifo(path)
        assert source.read(36) == source.read(36) == []
        with path.open("wb", buffering=0) as pipe:
            pipe.write(b'{"fs": 360, "leads": ["II"]}\n')
        (opened,) = source.read(36)
        assert opened.leads == ("II",)
    finally:
        source.close()


def test_a_serial_line_that_comes_and_goes(settings, tmp_path, monkeypatch):
    """A link to a device that is not there is waited for, and no pipe is put in its place; long lines come whole."""
    monkeypatch.setattr("replay.pipe._AGAIN_S", 0.0)
    path = tmp_path / "by-id"
    path.symlink_to(tmp_path / "tty")
    source = Pipe(SourceRequest(uri=f"pipe:{path}", stream="p", now=0.0), settings)
    try:
        assert source.read(36) == []
        for k in range(2):
            ours, theirs = os.openpty()
            (tmp_path / "tty").symlink_to(os.ttyname(theirs))
            source.read(36)  # opens it
            assert not source.keeps_writers
            os.write(ours, b'{"fs": 360, "leads": ["II"]}\n' if k == 0 else b"")
            line = b'{"mv": [[' + b", ".join([b"0.125"] * 1500) + b"]]}\n"
            got, sent, until = [], 0, time.monotonic() + 10
            while sum(event.signal.shape[1] for event in got if isinstance(event, Samples)) < 1500:
                assert time.monotonic() < until
                sent += os.write(ours, line[sent : sent + 1000])
                got += source.read(36)
            assert source.refused == 0
            (tmp_path / "tty").unlink()
            os.close(ours)
            os.close(theirs)
            assert source.read(36) == source.read(36) == []
        assert not path.exists()
    finally:
        source.close()


def test_who_writes_may_come_and_go(settings, tmp_path):
    """The pipe stays; one who was cut off in the middle of a line costs that line alone."""
    source = Pipe(SourceRequest(uri=f"pipe:{tmp_path / 'ecg'}", stream="p", now=0.0), settings)
    try:
        assert source.read(36) == []
        for data in (b'{"fs": 360, "leads": ["II"]}\n{"mv": [[1, 2]]}\n{"mv": [[3,', b'\n{"mv": [[5, 6]]}\n'):
            with (tmp_path / "ecg").open("wb", buffering=0) as pipe:
                pipe.write(data)
        opened, first, second = source.read(36)
        assert opened.leads == ("II",)
        assert np.concatenate((first.signal, second.signal), axis=1).tolist() == [[1, 2, 5, 6]]
        assert source.refused == 1
    finally:
        source.close()
    assert (tmp_path / "ecg").stat().st_mode & 0o777 == 0o600
