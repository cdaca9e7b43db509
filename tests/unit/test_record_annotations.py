"""What is written back beside a record, in its own sample numbers."""

import numpy as np
import pytest
import wfdb
from streams import ALERT

from monitor.errors import UserError
from monitor.events import BeatClass, Level, Verdict
from monitor.recorder import annotations as recorder
from monitor.wire import decode_alert


def verdict(sample, label="N"):
    p = (1.0, 0.0, 0.0, 0.0, 0.0)
    return Verdict(stream="p", seq=1, sample=sample, label=BeatClass(label), probabilities=p, rr=None, level=Level.GOOD,
                   amplitude=1.0, p_likeness=0.9, p_amplitude=0.1)  # fmt: skip


@pytest.mark.parametrize(("fs", "start"), [(360.0, 0), (250.0, 0), (128.0, 1280), (1000.0, 7)])
def test_in_the_records_own_samples(tmp_path, fs, start):
    at = [0, 18, 360, 3601]
    verdicts = [verdict(s, c) for s, c in zip(at, "NSVF", strict=True)]
    recorder.write(tmp_path / "new", "r1", verdicts, [ALERT], fs=fs, start=start)
    back = wfdb.rdann(str(tmp_path / "new" / "r1"), "ecgm")
    expected = [start + round(s * fs / 360) for s in at]
    np.testing.assert_array_equal(back.sample, expected)
    assert back.symbol == list("NSVF")
    (line,) = (tmp_path / "new" / "r1.alarms.jsonl").read_bytes().splitlines()
    alert = decode_alert(line)
    assert alert.sample == start + round(100 * fs / 360)
    assert alert.beats == tuple(start + round(s * fs / 360) for s in ALERT.beats)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["r1.alarms.jsonl", "r1.ecgm"]


def test_a_record_without_beats(tmp_path):
    recorder.write(tmp_path, "r1", [], [], fs=360.0, start=0)
    assert len(wfdb.rdann(str(tmp_path / "r1"), "ecgm").sample) == 0
    assert (tmp_path / "r1.alarms.jsonl").read_bytes() == b""


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--out .*file/x"):
        recorder.write(tmp_path / "file" / "x", "r1", [], [], fs=360.0, start=0)
