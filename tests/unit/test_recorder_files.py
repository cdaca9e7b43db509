"""One stream's files: what was appended stays, what is missing has the format's value, what was altered is refused."""

import numpy as np
import psutil
import pytest
from recordings import Disk, recorded, verdict
from streams import opened

from monitor.errors import UserError
from monitor.events import Gap, Opened, Samples
from monitor.recorder.files import MISSING, Growing, StreamFiles, file_name


def test_a_file_that_was_altered_is_refused_with_one_line(tmp_path):
    files = StreamFiles(tmp_path, "p")
    files.signal(opened())
    files.judged(verdict(10, 1))
    state = files.state()
    files.close()
    path = tmp_path / "p.verdicts.jsonl"
    length = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    before = psutil.Process().num_fds()
    with pytest.raises(UserError, match=rf"p.verdicts.jsonl: has {length - 1} bytes where {length} were recorded") as e:
        StreamFiles(tmp_path, "p", state)
    assert "\n" not in str(e.value)
    assert path.stat().st_size == length - 1
    assert psutil.Process().num_fds() == before, "a descriptor leaks"


def test_an_append_that_fails_leaves_the_length_as_it_was(monkeypatch, tmp_path):
    disk = Disk(monkeypatch)
    file = Growing(tmp_path / "x.dat", 0)
    file.append(b"abc")
    disk.room = 2
    with pytest.raises(OSError, match="No space"):
        file.append(b"defg")
    assert (file.length, (tmp_path / "x.dat").read_bytes()) == (3, b"abc")
    disk.room = None
    file.append(b"hi")
    file.close()
    assert (tmp_path / "x.dat").read_bytes() == b"abchi"


def test_gaps_and_extremes(tmp_path):
    """A gap is missing samples; what is beyond the format's range is at its end, and never 'missing'."""
    files = StreamFiles(tmp_path, "p")
    files.signal(Opened(stream="p", seq=1, source="", fs=360.0, leads=("II", ""), start_time=0.0, length=None))
    both = np.array([[0.0, 100.0, -100.0], [1.0, np.nan, 0.001]], np.float32)
    files.signal(Samples(stream="p", seq=2, start=2, signal=both))
    files.signal(Gap(stream="p", seq=3, start=5, stop=6, cause="missing"))
    files.close()
    missing = [MISSING, MISSING]
    found = recorded(tmp_path).reshape(-1, 2).tolist()
    assert found == [missing, missing, [0, 1000], [32767, MISSING], [-32767, 1], missing]


@pytest.mark.parametrize(
    ("stream", "taken", "name"),
    [("mitdb/208", [], "mitdb_208"), ("../../etc", [], "______etc"), ("", [], "_"), ("p", ["p", "p-2"], "p-3")],
)
def test_names_of_files(stream, taken, name):
    assert file_name(stream, taken) == name
