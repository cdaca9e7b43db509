"""The recorder on disks that are full, read-only or away: monitoring goes on, and what was written stays."""

import errno
import json
import os

import msgspec
import numpy as np
import pytest
import wfdb
from recordings import Disk, alert, chunks, lines, recorded, steps, verdict
from streams import ALERT, demo, opened

from monitor.errors import UserError
from monitor.events import Closed, Samples
from monitor.recorder import stage as recording
from monitor.recorder.files import MISSING
from monitor.recorder.stage import Recorder


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(recording, "_RETRY_S", 0.0)
    return Disk(monkeypatch)


def test_a_full_disk_that_has_room_again(disk, tmp_path):
    """The signal of that time is missing; every beat and every alert is there, and the strip of the alert."""
    signal = demo(20.0)
    recorder = Recorder(tmp_path)
    events = chunks(signal)
    for k, event in enumerate(events):
        if k == 6:
            disk.room = 100  # not even a chunk
        if k == 12:
            assert recorder.trouble == f"cannot record p: {os.strerror(errno.ENOSPC)}"
            assert (tmp_path / "p.dat").stat().st_size == 5 * 720, "a part of a chunk is left"
            disk.room = None
        recorder.signal(event)
        recorder.judged(verdict(360 * k + 1, k + 1))
        if k == 8:
            recorder.judged(alert(2000, 99))
        recorder.turn()
    assert recorder.trouble == ""
    recorder.judged(Closed(stream="p", seq=200, sample=7200, reason="end"))
    recorder.turn()
    assert recorder.done
    found = recorded(tmp_path)
    expected = steps(signal)
    expected[5 * 360 : 11 * 360] = MISSING
    np.testing.assert_array_equal(found, expected)
    assert lines(tmp_path) == [360 * k + 1 for k in range(len(events))]
    assert lines(tmp_path, kind="alarms") == [2000]
    record = wfdb.rdrecord(str(tmp_path / "p"))
    assert record.sig_len == 7200
    assert np.isnan(record.p_signal[2000, 0])
    assert wfdb.rdann(str(tmp_path / "p"), "ecgm").sample.tolist() == [360 * k + 1 for k in range(len(events))]
    assert wfdb.rdrecord(str(tmp_path / "strips" / "p-vt-2000")).sig_len == 2000 + 4 * 360
    assert recorder.descriptors == []


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EMFILE, errno.EACCES, errno.EROFS])
def test_files_that_cannot_be_opened_in_the_middle_of_a_run(disk, tmp_path, why):
    recorder = Recorder(tmp_path)
    signal = demo(10.0)
    for event in chunks(signal, "before")[:-1]:
        recorder.signal(event)
    disk.refuses = why
    events = chunks(signal)
    for k, event in enumerate(events[:6]):
        recorder.signal(event)
        recorder.judged(verdict(k + 1, k + 1))
        recorder.turn()
    assert recorder.trouble == f"cannot record p: {os.strerror(why)}"
    recorder.signal(Samples(stream="before", seq=50, start=3600, signal=signal[None, :360]))
    assert len(recorded(tmp_path, "before")) == 3960, "one stream's trouble is another's"
    disk.refuses = None
    for k, event in enumerate(events[6:], 6):
        recorder.signal(event)
        recorder.judged(verdict(k + 1, k + 1))
        recorder.turn()
    assert recorder.trouble == ""
    expected = steps(signal)
    expected[: 5 * 360] = MISSING
    np.testing.assert_array_equal(recorded(tmp_path), expected)
    assert lines(tmp_path) == list(range(1, len(events) + 1))
    assert (tmp_path / "p.hea").read_text().startswith("p 1 360 0")
    recorder.close()


def test_beats_that_wait_for_room_are_in_the_checkpoint(disk, tmp_path):
    first = Recorder(tmp_path)
    first.signal(opened())
    first.judged(verdict(1, 1))
    disk.room = 0
    first.judged(verdict(2, 2))
    first.judged(alert(3, 3))
    assert first.waiting == 2
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(first.state()))
    first.close()
    disk.room = None
    second = Recorder(tmp_path, state)
    second.turn()
    assert (lines(tmp_path), lines(tmp_path, kind="alarms")) == ([1, 2], [3])
    second.close()


def test_an_end_that_could_not_be_written_is_written_later(disk, tmp_path, monkeypatch):
    recorder = Recorder(tmp_path)
    for event in chunks(demo(2.0)):
        recorder.signal(event)
    recorder.judged(verdict(100, 1))
    write = recording.StreamFiles.finish

    def refuse(self):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(recording.StreamFiles, "finish", refuse)
    recorder.judged(Closed(stream="p", seq=2, sample=720, reason="end"))
    recorder.turn()
    assert not recorder.done
    assert recorder.trouble == "cannot record p: full"
    monkeypatch.setattr(recording.StreamFiles, "finish", write)
    recorder.turn()
    assert recorder.done
    assert wfdb.rdann(str(tmp_path / "p"), "ecgm").sample.tolist() == [100]


def test_a_strip_that_cannot_be_written_is_written_later(disk, tmp_path):
    recorder = Recorder(tmp_path)
    (tmp_path / "strips").write_text("in the way")
    recorder.signal(opened())
    recorder.judged(alert(100, 1))
    recorder.signal(Samples(stream="p", seq=2, start=0, signal=demo(10.0)[None]))
    recorder.turn()
    assert recorder.trouble.startswith("cannot record p: ")
    (tmp_path / "strips").unlink()
    recorder.turn()
    assert recorder.trouble == ""
    assert json.loads((tmp_path / "strips" / "p-vt-100.json").read_text())["id"] == ALERT.id
    recorder.close()


@pytest.mark.parametrize(("in_the_way", "what"), [("strips", "p-vt-100.json"), (".p.hea", "p.hea")])
def test_what_cannot_be_written_beside_it_costs_no_signal(tmp_path, monkeypatch, in_the_way, what):
    """A strip or a header needs a new file, and there is none to be had: the signal has its own, and is whole."""
    at = [0.0]
    monkeypatch.setattr(recording.time, "monotonic", lambda: at[0])
    recorder = Recorder(tmp_path)
    if in_the_way == "strips":
        (tmp_path / "strips").write_text("a file where a folder must be")
    else:
        (tmp_path / ".p.hea").mkdir()
    signal = demo(20.0)
    events = chunks(signal)
    for k, event in enumerate(events):
        at[0] += 0.1
        recorder.signal(event)
        if k == 1:
            recorder.judged(alert(100, 1))
        recorder.turn()
        if k == 10:
            assert recorder.trouble.startswith("cannot record p: ")
    (tmp_path / "strips").unlink() if in_the_way == "strips" else (tmp_path / ".p.hea").rmdir()
    at[0] += recording._RETRY_S
    recorder.turn()
    assert recorder.trouble == ""
    assert list(tmp_path.rglob(what))
    np.testing.assert_array_equal(recorded(tmp_path), steps(signal))
    assert lines(tmp_path, kind="alarms") == [100]
    recorder.close()


def test_a_signal_that_has_ended_is_no_trouble(disk, tmp_path):
    recorder = Recorder(tmp_path)
    *body, end = chunks(demo(3.0))
    for event in body[:-1]:
        recorder.signal(event)
    disk.room = 0
    recorder.signal(body[-1])
    assert recorder.trouble == f"cannot record p: {os.strerror(errno.ENOSPC)}"
    disk.room = None
    recorder.signal(end)
    assert recorder.trouble == ""
    recorder.close()


def test_the_signals_end_may_come_after_the_beats_end(tmp_path):
    """The two links are not in step: a record is finished when both have ended."""
    recorder = Recorder(tmp_path)
    *body, end = chunks(demo(3.0))
    recorder.signal(body[0])
    recorder.judged(Closed(stream="p", seq=1, sample=1080, reason="end"))
    recorder.turn()
    for event in [*body[1:], end]:
        recorder.signal(event)
    recorder.turn()
    assert wfdb.rdrecord(str(tmp_path / "p")).sig_len == 1080


def test_samples_that_are_told_again_are_recorded_once(tmp_path):
    recorder = Recorder(tmp_path)
    signal = demo(3.0)
    *body, end = chunks(signal)
    for event in (*body, body[-2], Samples(stream="p", seq=99, start=900, signal=signal[None, 900:1080]), end):
        recorder.signal(event)
    recorder.judged(Closed(stream="p", seq=1, sample=1080, reason="end"))
    recorder.turn()
    np.testing.assert_array_equal(recorded(tmp_path), steps(signal))
    recorder.close()


def test_beats_that_were_found_again_are_annotated_once(tmp_path):
    """A detector whose checkpoint was refused begins anew with what its source still has."""
    recorder = Recorder(tmp_path)
    for event in chunks(demo(3.0))[:-1]:
        recorder.signal(event)
    for number, sample in enumerate((300, 600, 310, 605, 900)):
        recorder.judged(verdict(sample, number + 1))
    recorder.turn()
    recorder.finish()
    assert lines(tmp_path) == [300, 600, 310, 605, 900]
    assert wfdb.rdann(str(tmp_path / "p"), "ecgm").sample.tolist() == [300, 600, 900]
    recorder.close()


def test_a_source_that_begins_anew_gets_a_record_of_its_own(disk, tmp_path):
    recorder = Recorder(tmp_path)
    for event in chunks(demo(2.0))[:-1]:
        recorder.signal(event)
    disk.room = 0
    recorder.judged(verdict(5, 1))
    for event in chunks(demo(1.0)):
        recorder.signal(event)
    disk.room = None
    recorder.turn()
    recorder.finish()
    assert len(recorded(tmp_path)) == 720
    assert lines(tmp_path) == [5], "what waited for the former record is lost"
    assert wfdb.rdann(str(tmp_path / "p"), "ecgm").sample.tolist() == [5]
    assert (tmp_path / "p-2.hea").exists()
    recorder.close()


def test_cut_back_to_what_was_noted(tmp_path):
    """What was written after the checkpoint comes again, and once."""
    signal = demo(6.0)
    events = chunks(signal)
    first = Recorder(tmp_path)
    for event in events[:3]:
        first.signal(event)
    first.judged(verdict(10, 1))
    state = first.state()
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(state))
    for event in events[3:5]:
        first.signal(event)
    first.judged(verdict(20, 2))
    first.close()
    second = Recorder(tmp_path, state)
    assert len(recorded(tmp_path)) == 720
    assert lines(tmp_path) == [10]
    for event in events[3:]:
        second.signal(event)
    second.judged(verdict(20, 2))
    second.judged(Closed(stream="p", seq=3, sample=2160, reason="end"))
    second.turn()
    np.testing.assert_array_equal(recorded(tmp_path), steps(signal))
    assert lines(tmp_path) == [10, 20]


def test_files_that_are_there_are_not_written_over(tmp_path):
    (tmp_path / "p.dat").write_bytes(b"precious")
    with pytest.raises(UserError, match=r"p.dat is there already"):
        Recorder(tmp_path).signal(opened())
    beside = Recorder(tmp_path, beside=True)
    beside.signal(opened())
    beside.signal(Samples(stream="p", seq=2, start=0, signal=demo(1.0)[None]))
    beside.close()
    assert (tmp_path / "p.dat").read_bytes() == b"precious"
    assert len(recorded(tmp_path, "p-2")) == 360


class Link:
    """A link's end that has brought what it is given; its state says what was taken."""

    def __init__(self, events):
        self.events, self.taken, self.over = events, 0, False

    finished = property(lambda self: self.over)
    gone, lost, repaired, rejected, sockets = False, 0, 0, 0, ()

    def receive(self):
        events, self.events = self.events, []
        self.taken += len(events)
        return events

    def state(self, pending=()):
        return {"taken": self.taken - len(pending), "over": self.over}

    def acknowledge(self): ...
    def settled(self, state): ...
    def losses(self):
        return []


class Publisher:
    socket, silent, given_up = 0, frozenset(), frozenset()

    def serve(self): ...
    def report(self, status): ...


class Lifeline:
    descriptors = ()

    def __init__(self, turns):
        self.turns = turns

    def stopped(self, readable):
        self.turns -= 1
        return self.turns < 0

    def alive(self): ...


def test_new_files_are_in_a_checkpoint_before_anything_is_in_them(tmp_path, settings, monkeypatch):
    """A recorder that dies in its first second must know its own files again."""
    from monitor import keeper
    from monitor.keeper import Checkpoints, Keeper

    events = chunks(demo(3.0))
    folder, path = tmp_path / "rec", tmp_path / "recorder.state"
    monkeypatch.setattr(recording, "wait", lambda sockets, seconds: set())
    seldom = msgspec.structs.replace(settings.checkpoint, every_s=1000.0)
    checkpoints = Checkpoints(Keeper(path, "foot"), seldom)
    first = Recorder(folder)
    recording.run_recorder(
        first, Link(events[:3]), Link([verdict(5, 2)]), Publisher(), Lifeline(1), settings, checkpoints
    )
    assert len(recorded(folder)) == 720
    first.close()
    checkpoints.close()
    state = keeper.read(path, "foot")
    assert state["in"]["source"]["taken"] == 0, "of what comes again nothing may count as taken"
    second = Recorder(folder, state["recorder"])
    assert len(recorded(folder)) == 0
    for event in events:
        second.signal(event)
    second.judged(verdict(5, 2))
    second.close()
    np.testing.assert_array_equal(recorded(folder), steps(demo(3.0)))
    assert lines(folder) == [5]
