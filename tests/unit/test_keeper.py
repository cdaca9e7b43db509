"""Checkpoints: one whole state at any instant, or a line that says what is wrong."""

import errno
import os
import random
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from monitor import keeper
from monitor.keeper import Keeper, StateError

FOOT = "ours"
STATE = {"n": 7, "bytes": b"\0" * 1000}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "detector.state"
    keeper.write(path, FOOT, STATE)
    return path


def test_what_is_written_can_be_read(path):
    assert keeper.read(path, FOOT) == STATE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_none_is_no_mistake(tmp_path):
    assert keeper.read(tmp_path / "none", FOOT) is None


def body(content):
    import zlib

    data = msgspec.msgpack.encode(content)
    return keeper._HEADER.pack(keeper.MAGIC, keeper.VERSION, zlib.crc32(data), len(data)) + data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1], "torn"),
        (lambda data: data[: keeper._HEADER.size], "torn"),
        (lambda data: data[:10], "not one of ours"),
        (lambda data: b"", "not one of ours"),
        (lambda data: data + b"x", "altered"),
        (lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], "altered"),
        (lambda data: b"\x80\x04pickle" + data, "not one of ours"),
        (lambda data: data[:4] + b"\0\0" + data[6:], "version 0, this program writes 1"),
        (lambda data: data[:4] + b"\2\0" + data[6:], "version 2, this program writes 1"),
        (lambda data: body({"foot": "theirs", "state": 1}), "another program version, model, configuration or source"),
        (lambda data: body([1, 2]), "another program version"),
        (lambda data: body({})[: keeper._HEADER.size - 4] + b"\1\0\0\0\xc1", "detector.state"),
    ],
)
def test_others_are_refused_with_a_line(path, change, words):
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(StateError, match=words) as error:
        keeper.read(path, FOOT)
    assert str(error.value).startswith("checkpoint detector.state: ")
    assert "\n" not in str(error.value)


def test_every_cut_and_every_flipped_bit_is_noticed(path):
    data = path.read_bytes()
    rng = random.Random(1)
    for _ in range(500):
        if rng.random() < 0.3:
            harmed = data[: rng.randrange(len(data))]
        else:
            at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
            harmed = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
        path.write_bytes(harmed)
        with pytest.raises(StateError):
            keeper.read(path, FOOT)


def test_one_that_may_not_be_read(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(StateError, match="checkpoint folder: Is a directory"):
        keeper.read(tmp_path / "folder", FOOT)


@pytest.mark.parametrize("call", ["write", "fsync", "open", "rename"])
def test_a_write_that_fails_leaves_the_former_file_whole(path, monkeypatch, call):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if call == "rename":
            patch.setattr(type(path), "replace", refuse)
        else:
            patch.setattr(os, call, refuse)
        with pytest.raises(OSError, match="No space"):
            keeper.write(path, FOOT, {"n": 8})
    assert keeper.read(path, FOOT) == STATE
    assert [other.name for other in path.parent.iterdir()] == [path.name], "something is left behind"


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_full_disk_is_told_and_nobody_waits_for_it(path, monkeypatch):
    one = Keeper(path, FOOT)
    tokens = []

    def through():
        tokens.extend(one.done())
        return not one.busy

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        one.write({"n": 1}, "first")
        until(through)
        assert one.trouble == "cannot write checkpoints: No space left on device"
        one.write_now({"n": 2})
        assert one.trouble
    assert keeper.read(path, FOOT) == STATE
    one.write({"n": 3}, "second")
    until(through)
    assert one.trouble == ""
    assert tokens == ["first", "second"]
    assert keeper.read(path, FOOT) == {"n": 3}
    one.close()


def test_a_folder_that_is_away(tmp_path):
    one = Keeper(tmp_path / "gone" / "x.state", FOOT)
    one.write_now({"n": 1})
    assert one.trouble == "cannot write checkpoints: No such file or directory"
    (tmp_path / "gone").mkdir()
    one.write_now({"n": 1})
    assert one.trouble == ""
    one.close()


def test_what_the_state_speaks_of_is_on_the_disk_before_it(path, monkeypatch):
    synced = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), sync(descriptor)))
    one = Keeper(path, FOOT)
    with (path.parent / "data").open("wb") as file, (path.parent / "closed").open("wb") as closed:
        gone = os.dup(closed.fileno())
        os.close(gone)
        one.write({"n": 1}, None, [file.fileno(), gone])
        until(lambda: one.done() == [None])
        assert synced[:2] == [file.fileno(), gone]
    assert one.trouble == ""
    assert keeper.read(path, FOOT) == {"n": 1}
    one.close()


_WRITER = """
import sys
from pathlib import Path
from monitor import keeper
n = int(sys.argv[2])
while True:
    n += 1
    keeper.write(Path(sys.argv[1]), "ours", {"n": n, "again": [n] * 20000})
    if n % 5 == 0:
        print(n, flush=True)
"""


def test_killed_while_it_writes(path):
    """At any instant: what is read is one whole state, and never an older one than was written for certain."""
    rng = random.Random(0)
    last = 0
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(last)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        sure = int(process.stdout.readline())
        time.sleep(rng.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        told = process.stdout.read().split()
        process.stdout.close()
        process.wait()
        state = keeper.read(path, FOOT)
        assert state["again"] == [state["n"]] * 20000
        assert state["n"] >= max([sure, *map(int, told)])
        last = state["n"]
