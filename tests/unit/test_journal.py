"""What devices said, kept until a checkpoint covers it."""

import os

import pytest

from replay.journal import Journal

SAID = [(1.5, b"one\n"), (2.5, b""), (3.25, b"x" * 100_000)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "source.0.journal"


def written(path, said=SAID):
    journal = Journal(path)
    for now, data in said:
        journal.write(now, data)
    return journal


def test_the_next_life_reads_what_was_written(path):
    written(path)  # and was killed
    assert list(Journal(path).read(0)) == SAID


def test_a_checkpoint_begins_a_segment_and_drops_those_before_it_when_it_is_on_the_disk(path):
    journal = written(path)
    segment = journal.begin()
    journal.write(4.0, b"after")
    assert list(Journal(path).read(segment)) == [(4.0, b"after")]
    assert list(Journal(path).read(0)) == [*SAID, (4.0, b"after")]
    journal.drop(segment)
    assert list(Journal(path).read(0)) == [(4.0, b"after")]
    assert len(list(path.parent.iterdir())) == 1


def test_a_new_life_does_not_write_over_the_old(path):
    written(path)
    second = Journal(path)
    second.write(9.0, b"second")
    assert list(Journal(path).read(0)) == [*SAID, (9.0, b"second")]


@pytest.mark.parametrize("cut", [1, 4, 15, 20, 100_010])
def test_what_was_torn_is_left_out(path, cut):
    written(path)
    (file,) = path.parent.iterdir()
    os.truncate(file, file.stat().st_size - cut)
    expected = SAID[:2] if cut <= 100_016 else SAID[:1]
    assert list(Journal(path).read(0)) == expected


def test_what_was_altered_is_left_out_with_all_behind_it(path):
    written(path)
    (file,) = path.parent.iterdir()
    content = bytearray(file.read_bytes())
    content[17] ^= 1
    file.write_bytes(content)
    assert list(Journal(path).read(0)) == []


def test_a_disk_that_is_full_is_told_and_what_comes_after_can_be_read(path, monkeypatch):
    journal = written(path)
    whole = os.write

    def full(descriptor, data):
        whole(descriptor, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    journal.write(5.0, b"does not fit")
    assert journal.trouble == "cannot keep what devices say: No space left on device"
    monkeypatch.undo()
    journal.write(6.0, b"fits")
    assert journal.trouble == ""
    assert list(Journal(path).read(0)) == [*SAID, (6.0, b"fits")]


def test_a_folder_that_is_not_there_is_trouble_and_no_more(tmp_path):
    journal = Journal(tmp_path / "none" / "source.0.journal")
    journal.write(1.0, b"x")
    assert "cannot keep" in journal.trouble


def test_nothing_is_left_where_nothing_was_said(path):
    journal = Journal(path)
    journal.begin()
    journal.close()
    assert list(path.parent.iterdir()) == []
