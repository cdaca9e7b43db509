"""What a recorder is given and what it has written, and a disk that refuses."""

import errno
import json
import os

import msgspec
import numpy as np
from streams import ALERT, played

from monitor.events import BeatClass, Level, Verdict
from monitor.recorder.files import GAIN


class Disk:
    """What the system's calls say: room for so many bytes, files that can be opened or not."""

    def __init__(self, monkeypatch):
        self.room = None
        self.refuses = None
        self._write, self._open = os.pwrite, os.open
        monkeypatch.setattr(os, "pwrite", self.write)
        monkeypatch.setattr(os, "open", self.open)

    def write(self, descriptor, data, at):
        if self.room is None:
            return self._write(descriptor, data, at)
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(descriptor, data[: self.room], at)
        self.room -= written
        return written

    def open(self, path, flags, *more, **named):
        if self.refuses is not None and str(path).endswith(("dat", "jsonl")):
            raise OSError(self.refuses, os.strerror(self.refuses))
        return self._open(path, flags, *more, **named)


def verdict(sample, seq, stream="p"):
    p = (0.9, 0.1, 0.0, 0.0, 0.0)
    return Verdict(stream=stream, seq=seq, sample=sample, label=BeatClass.N, probabilities=p, rr=None, level=Level.GOOD,
                   amplitude=1.0, p_likeness=0.9, p_amplitude=0.1)  # fmt: skip


def alert(sample, seq, stream="p"):
    return msgspec.structs.replace(ALERT, stream=stream, seq=seq, sample=sample)


def chunks(signal, stream="p", size=360):
    return played(signal, range(size, len(signal), size), stream)


def steps(signal):
    return np.rint(signal * GAIN).astype("<i2")


def recorded(folder, name="p"):
    return np.frombuffer((folder / f"{name}.dat").read_bytes(), "<i2")


def lines(folder, name="p", kind="verdicts"):
    return [json.loads(line)["sample"] for line in (folder / f"{name}.{kind}.jsonl").read_text().splitlines()]
