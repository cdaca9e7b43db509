"""A crowd at the detector's door: subscribers that come, go, and stall, and what that costs the patient.

The crowd is a process of its own: ``python -m bench.faults_crowd ENDPOINT COUNT SECONDS``.
"""

import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from bench.faults_daemon import Daemon
from monitor import config
from monitor.events import FS, Beat, Samples
from monitor.link import Subscriber, ask_links, new_context, wait

_PATIENTS = ("100", "103", "105", "112", "208", "213", "215", "234")
_SETTLE_S = 12.0
"""s in which the daemon comes up."""


@dataclass(frozen=True)
class Delays:
    """From an R peak to its beat at a listener of the detector's link, s."""

    beats: int
    median: float
    p99: float


def run(count: int, seconds: float) -> tuple[Delays, Delays]:
    """Without the crowd, and with it."""
    words = [word for record in _PATIENTS for word in ("--source", f"replay:mitdb/{record}")]
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        daemon = Daemon(Path(folder), words)
        daemon.start()
        context = new_context()
        try:
            links = ask_links(context, f"tcp://127.0.0.1:{daemon.port}", 60.0)
            settings = config.load().link
            beats = Subscriber(context, links["detector"], settings, needed=False)
            source = Subscriber(context, links["source"], settings, needed=False)
            began: dict[str, float] = {}
            _listen(beats, source, began, _SETTLE_S)
            alone = _listen(beats, source, began, seconds)
            crowd = subprocess.Popen(
                [sys.executable, "-m", "bench.faults_crowd", links["detector"], str(count), str(seconds + 5)]
            )
            _listen(beats, source, began, 5.0)
            crowded = _listen(beats, source, began, seconds)
            crowd.wait(60)
            beats.close()
            source.close()
        finally:
            daemon.stop()
            context.term()
    return alone, crowded


def _listen(beats: Subscriber, source: Subscriber, began: dict[str, float], seconds: float) -> Delays:
    delays = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        wait([*beats.sockets, *source.sockets], 0.01)
        now = time.monotonic()
        for event in source.receive():
            if isinstance(event, Samples):
                began[event.stream] = min(now - event.stop / FS, began.get(event.stream, now))
        delays += [
            now - began[event.stream] - event.sample / FS
            for event in beats.receive()
            if isinstance(event, Beat) and event.stream in began
        ]
        beats.acknowledge()
        source.acknowledge()
    ordered = sorted(delays)
    return Delays(len(ordered), ordered[len(ordered) // 2], ordered[ceil(0.99 * len(ordered)) - 1])


def crowd(endpoint: str, count: int, seconds: float) -> None:
    """So many at a time: a third take what comes, a third come and go, a third never read."""
    rng = random.Random(0)
    context = new_context()
    settings = config.load().link
    members = [Subscriber(context, endpoint, settings, needed=False) for _ in range(count)]
    for each in members:
        each.receive()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for each in members[: count // 3]:
            each.receive()
            each.acknowledge()
        at = rng.randrange(count // 3, 2 * count // 3)
        members[at].close()
        members[at] = Subscriber(context, endpoint, settings, needed=False)
        members[at].receive()
        time.sleep(0.05)
    for each in members:
        each.close()
    context.term()


if __name__ == "__main__":
    crowd(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
