"""Devices that stall, jump and lie, all at once at one daemon, in real time: what became of their samples."""

import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bench.faults_daemon import Daemon
from monitor import config
from monitor.events import FS
from replay import faults, physionet
from replay.records import Record

_RECORD = "mitdb/208"
_BEGIN_S, _LASTS_S = 15.0, 8.0
_UNCOUNTED = ("silence", "asleep", "hoard", "slow")
"""Faults that are tried without count and clock too; of the others nobody could know then."""
_MISSING = -32768
"""In a record: no sample."""
_STEP_MV = 1000
"""A record's steps in a mV."""
_FURTHEST = 90
"""Samples that a place is looked for on either side: a quarter of a second."""
_PIECE = 720
"""Samples that are looked for at a time."""


@dataclass(frozen=True)
class Held:
    """One device's samples as they were recorded."""

    missing_s: float
    """That the record has not, though the device had them."""
    off_s: float
    """The most that a piece stands from its place; infinite: it is nowhere near."""
    alerts: dict[str, int]
    """Technical ones, by kind."""

    @property
    def words(self) -> str:
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(self.alerts.items())) or "nothing"
        return f"{self.missing_s:.2f} s missing, {1000 * self.off_s:.0f} ms off, told: {told}"


def run(seconds: float) -> dict[str, Held]:
    """What became of each device's samples, by its fault."""
    settings = config.load()
    record = Record(physionet.locate(_RECORD, settings.data), ())
    signal = np.round(record.read(0, round(seconds * record.fs)), 3)
    faulty: dict[str, list[faults.Line]] = {"none": faults.steady(signal, FS)}
    for name in faults.FAULTS:
        faulty[name] = faults.faulty(faults.steady(signal, FS), [name], _BEGIN_S, _LASTS_S)
    for name in _UNCOUNTED:
        lines = faults.steady(signal, FS, counted=False, timed=False)
        faulty[f"{name}, uncounted"] = faults.faulty(lines, [name], _BEGIN_S, _LASTS_S)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        pipes = {name: Path(folder) / f"d{number}" for number, name in enumerate(faulty)}
        words = [word for pipe in pipes.values() for word in ("--source", f"pipe:{pipe}")]
        daemon = Daemon(Path(folder), words)
        daemon.start()
        while not all(pipe.exists() for pipe in pipes.values()):
            time.sleep(0.1)
        threads = [
            threading.Thread(target=faults.play, args=(pipes[name], faults.timed(lines, FS, ("MLII",), "played")))
            for name, lines in faulty.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if daemon.wait(60.0) != 0:
            raise RuntimeError(daemon.errors)
        records = Path(folder) / "records"
        return {name: _held(records / pipe.name, signal[0]) for name, pipe in pipes.items()}


def _held(path: Path, signal: npt.NDArray[np.float64]) -> Held:
    truth = np.round(signal * _STEP_MV).astype(int)
    found = np.fromfile(path.with_suffix(".dat"), "<i2").astype(int)
    there = found != _MISSING
    off = 0.0
    for begin in range(0, len(found) - _PIECE, _PIECE // 2):
        if there[begin : begin + _PIECE].all():
            off = max(off, _off(found[begin : begin + _PIECE], truth, begin) / FS)
    alerts: Counter[str] = Counter()
    for line in path.with_name(f"{path.name}.alarms.jsonl").read_bytes().splitlines():
        alert = msgspec.json.decode(line)
        if alert["class"] == "technical" and alert["state"] == "raised":
            alerts[alert["kind"]] += 1
    return Held((len(truth) - int(there.sum())) / FS, off, dict(alerts))


def _off(piece: npt.NDArray[np.int_], truth: npt.NDArray[np.int_], place: int) -> float:
    """Samples from its place; a step of a record may be rounded away."""
    for shift in sorted(range(-_FURTHEST, _FURTHEST + 1), key=abs):
        there = truth[max(0, place + shift) : place + shift + len(piece)]
        if len(there) == len(piece) and np.abs(there - piece).max() <= 1:
            return abs(shift)
    return np.inf
