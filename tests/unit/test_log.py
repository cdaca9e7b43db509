"""Nobody ends because something could not be said."""

import json
import os
import sys
from pathlib import Path

import pytest

from monitor import log
from monitor.commands.watch import write_line


@pytest.fixture
def full(monkeypatch):
    """Standard output and error on a disk without room."""
    device = os.open("/dev/full", os.O_WRONLY)
    streams = {name: os.fdopen(os.dup(device), "w", buffering=1) for name in ("stdout", "stderr")}
    os.close(device)

    def use(*names):
        for name in names:
            monkeypatch.setattr(sys, name, streams[name])

    yield use
    monkeypatch.undo()
    for stream in streams.values():
        try:
            stream.close()
        except OSError:
            continue


def test_a_line_is_one_json_object(capsys):
    log.say("detector", "events lost", stream="p\n\x1b[31m", first=3, last=5)
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told.pop("time") > 1e9
    assert told == {"stage": "detector", "what": "events lost", "stream": "p\n\x1b[31m", "first": 3, "last": 5}
    assert "\x1b" not in line


def test_a_log_on_a_full_disk_ends_nobody(full):
    full("stderr")
    log.say("detector", "said")


def test_lines_of_the_dashboard_on_a_full_disk_are_told_of(full, capsys):
    full("stdout")
    write_line("demo: heart rate 70")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["why"] == "No space left on device"
    full("stderr")
    write_line("demo: heart rate 71")


def test_who_reads_no_more_is_told_apart(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(BrokenPipeError):
        write_line("x")
    monkeypatch.undo()
    with pytest.raises(BrokenPipeError):
        stream.close()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("ecg-monitor: no such record\n", "no such record"),
        ('{"what": "x"}\necg-monitor: no such record\n', "no such record"),
        ("Traceback\nRuntimeError: a bug\n", None),
        ("", None),
        (None, None),
    ],
)
def test_a_mistake_is_told_from_a_bug(tmp_path: Path, text, mistake):
    if text is not None:
        (tmp_path / "source.log").write_text(text)
    assert log.Logbook(tmp_path).mistake("source") == mistake
