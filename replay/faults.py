"""A device as it should not be: a recording's samples as JSON lines (``replay.live``), with faults on purpose.

    python -m replay.faults mitdb/208 /tmp/ecg --fault swap --fault silence

plays one into a pipe that ``ecg-monitor --source pipe:/tmp/ecg`` reads: to see, before a patient does, what a monitor
makes of it. Pure but for :func:`main`.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from monitor import config
from monitor.errors import UserError
from replay import physionet
from replay.records import Record

CHUNK_S = 0.1
"""s of signal in a line."""
_DIGITS = 4
"""After the point, of mV: no recording is finer."""


class Line(Struct, frozen=True):
    """A device's line, and when it is written: s after the first sample."""

    at: float
    count: int
    """Samples before it, as they really were."""
    stamp: int | None
    """What the device says of that."""
    clock: float | None
    signal: npt.NDArray[np.float64]
    """[lead, n] mV."""
    before: bytes = b""
    """What else is written, in front."""


Fault = Callable[[list[Line], float, float], list[Line]]
"""Lines, from when to when (s) → lines with the fault, in the order in which they are written."""


def steady(signal: npt.NDArray[np.float64], fs: float, *, counted: bool = True, timed: bool = True) -> list[Line]:
    """The lines of a device without faults.

    Args:
        signal: [lead, n] mV, NaN where missing.
        fs: samples a second.
        counted: it numbers its samples.
        timed: it has a clock.
    """
    step = max(1, round(CHUNK_S * fs))
    return [
        Line(
            at=min(k + step, signal.shape[1]) / fs, count=k, stamp=k if counted else None,
            clock=k / fs if timed else None, signal=signal[:, k : k + step],
        )
        for k in range(0, signal.shape[1], step)
    ]  # fmt: skip


def _parted(lines: list[Line], begin: float, stop: float) -> tuple[list[Line], list[Line], list[Line]]:
    return (
        [line for line in lines if line.at <= begin],
        [line for line in lines if begin < line.at <= stop],
        [line for line in lines if line.at > stop],
    )


def _with(line: Line, **changes: object) -> Line:
    import msgspec

    changed: Line = msgspec.structs.replace(line, **changes)
    return changed


def silence(lines: list[Line], begin: float, stop: float) -> list[Line]:
    """Nothing is given for a while, nor later: the cable was out, the count went on."""
    before, _, after = _parted(lines, begin, stop)
    return before + after


def asleep(lines: list[Line], begin: float, stop: float) -> list[Line]:
    """The same, and neither count nor clock know of it."""
    before, during, after = _parted(lines, begin, stop)
    samples = sum(line.signal.shape[1] for line in during)
    seconds = after[0].at - (before[-1].at if before else 0.0) if after else 0.0
    shifted = [
        _with(
            line,
            stamp=None if line.stamp is None else line.stamp - samples,
            clock=None if line.clock is None else line.clock - seconds,
        )
        for line in after
    ]
    return before + shifted


def hoard(lines: list[Line], begin: float, stop: float) -> list[Line]:
    """What was not given comes at once, later."""
    before, during, after = _parted(lines, begin, stop)
    return before + [_with(line, at=stop) for line in during] + after


def repeat(lines: list[Line], begin: float, stop: float) -> list[Line]:
    """Every line twice."""
    before, during, after = _parted(lines, begin, stop)
    return before + [line for line in during for _ in range(2)] + after


def swap(lines: list[Line], begin: float, stop: float) -> list[Line]:
    """Lines in the wrong order, two by two."""
    before, during, after = _parted(lines, begin, stop)
    for k in range(0, len(during) - 1, 2):
        first, second = during[k], during[k + 1]
        during[k], during[k + 1] = _with(second, at=second.at), _with(first, at=second.at)
    return before + during + after


def jump(lines: list[Line], begin: float, stop: float) -> list[Line]:
    """The clock and the count go wrong: an hour ahead, then back."""
    before, during, after = _parted(lines, begin, stop)
    wrong = [
        _with(
            line,
            stamp=None if line.stamp is None else line.stamp + 1_000_000,
            clock=None if line.clock is None else line.clock + 3600.0,
        )
        for line in during
    ]
    return before + wrong + after


def reset(lines: list[Line], begin: float, stop: float) -> list[Line]:
    """The device begins anew: count and clock from 0."""
    before, during, after = _parted(lines, begin, stop)
    rest = during + after
    start = rest[0].count if rest else 0
    at = rest[0].clock or 0.0 if rest else 0.0
    return before + [
        _with(
            line,
            stamp=None if line.stamp is None else line.count - start,
            clock=None if line.clock is None else line.clock - at,
        )
        for line in rest
    ]


def slow(lines: list[Line], begin: float, stop: float) -> list[Line]:
    """550 of 1,000 samples, and no count that would say so."""
    before, during, after = _parted(lines, begin, stop)
    thinned = [
        _with(line, signal=line.signal[:, : round(0.55 * line.signal.shape[1])], stamp=None, clock=None)
        for line in during
    ]
    return before + thinned + [_with(line, stamp=None, clock=None) for line in after]


def rubbish(lines: list[Line], begin: float, stop: float) -> list[Line]:
    """Lines that are none, among the others."""
    before, during, after = _parted(lines, begin, stop)
    waste = [b"\x00\xff\xfe\n", b"{\n", b'{"mv": "x"}\n', b'{"mv": [[1e99, 2], [3]]}\n', b"[" * 1000 + b"\n"]
    waste += [b'{"n": -1']  # torn: the line behind it is lost with it
    torn = [_with(line, before=waste[k % len(waste)]) for k, line in enumerate(during)]
    return before + torn + after


FAULTS: dict[str, Fault] = {
    each.__name__: each for each in (silence, asleep, hoard, repeat, swap, jump, reset, slow, rubbish)
}


def written(line: Line) -> bytes:
    """The line's bytes."""
    said: dict[str, object] = {}
    if line.stamp is not None:
        said["n"] = line.stamp
    if line.clock is not None:
        said["t"] = round(line.clock, 6)
    said["mv"] = [[None if np.isnan(x) else round(float(x), _DIGITS) for x in row] for row in line.signal]
    return line.before + json.dumps(said).encode() + b"\n"


def header(fs: float, leads: Sequence[str]) -> bytes:
    """What a device says first."""
    return json.dumps({"fs": fs, "leads": list(leads)}).encode() + b"\n"


def faulty(lines: list[Line], faults: Sequence[str], every_s: float, lasts_s: float) -> list[Line]:
    """The faults one after another, ``every_s`` apart from the beginning, each for ``lasts_s``."""
    for k, name in enumerate(faults):
        begin = (k + 1) * every_s
        lines = FAULTS[name](lines, begin, begin + lasts_s)
    return lines


def timed(lines: list[Line], fs: float, leads: Sequence[str], end: str) -> Iterator[tuple[float, bytes]]:
    """When to write what."""
    yield 0.0, header(fs, leads)
    last = 0.0
    for line in lines:
        last = max(last, line.at)
        yield last, written(line)
    yield last, json.dumps({"end": end}).encode() + b"\n"


def main(words: Sequence[str] | None = None) -> int:
    """Plays a recording into a pipe, with faults; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m replay.faults", description="A device with faults, for trying.")
    parser.add_argument("record", help="mitdb/208, or a path")
    parser.add_argument("pipe", type=Path, help="what ecg-monitor --source pipe:PATH reads")
    parser.add_argument("--fault", action="append", default=[], choices=sorted(FAULTS), help="one after another")
    parser.add_argument("--every", type=float, default=30.0, metavar="S", help="s between faults (%(default)s)")
    parser.add_argument("--lasts", type=float, default=5.0, metavar="S", help="s of each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=300.0, metavar="S", help="to play (%(default)s)")
    parser.add_argument("--uncounted", action="store_true", help="samples carry no numbers")
    parser.add_argument("--untimed", action="store_true", help="nor the time")
    given = parser.parse_args(words)
    settings = config.load()
    try:
        path = Path(given.record)
        if not path.with_suffix(".hea").exists():
            path = physionet.locate(given.record, settings.data, None)
        record = Record(path, ())
        signal = record.read(0, min(record.length, round(given.seconds * record.fs)))
    except UserError as error:
        sys.stderr.write(f"replay.faults: {error}\n")
        return 1
    lines = steady(signal, record.fs, counted=not given.uncounted, timed=not given.untimed)
    with suppress(KeyboardInterrupt):
        play(given.pipe, timed(faulty(lines, given.fault, given.every, given.lasts), record.fs, record.leads, "played"))
    return 0


def play(path: Path, lines: Iterator[tuple[float, bytes]]) -> None:
    """Writes lines into a pipe when they are due. Whenever nobody reads it, it waits, and says again what was not
    taken; so should every device."""
    began = time.monotonic()
    pipe = path.open("wb", buffering=0)
    try:
        for at, data in lines:
            time.sleep(max(0.0, began + at - time.monotonic()))
            while True:
                try:
                    pipe.write(data)
                    break
                except BrokenPipeError:
                    pipe.close()
                    pipe = path.open("wb", buffering=0)  # waits for a reader
    finally:
        pipe.close()


if __name__ == "__main__":
    sys.exit(main())
