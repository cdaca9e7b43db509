"""A day at full speed: whether any process grows, and whether anything is lost."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from bench.faults_daemon import Daemon
from monitor import config
from monitor.events import FS, Status
from monitor.link import Subscriber, ask_links, new_context, wait

_PATIENTS = ("100", "119", "203", "208", "213", "222", "232", "234")
"""Of mitdb, again and again: half an hour each."""
_SMALL = "\n[link]\nhistory_bytes = 8388608\n"
"""So that the histories are full long before the end: their growth is none."""
_WARM = 0.35
"""Share of the run in which memory may still grow."""
_EVERY_S = 1.0


@dataclass(frozen=True)
class Soaked:
    """What a day came to."""

    hours: float
    """Of signal, all patients."""
    seconds: float
    """That it took."""
    slopes: dict[str, float]
    """MB an hour of signal after the warm-up, by process."""
    sizes: dict[str, float]
    """MB at the end."""
    lost: int


def run(hours: float) -> Soaked:
    """So many hours of signal, all patients together."""
    words = [word for record in _PATIENTS for word in ("--source", f"replay:mitdb/{record}")]
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        daemon = Daemon(Path(folder), [*words, "--loop", "--speed", "max"], more=_SMALL)
        daemon.start()
        context = new_context()
        began = time.monotonic()
        rows: list[tuple[float, dict[str, float]]] = []
        lost = 0
        try:
            links = ask_links(context, f"tcp://127.0.0.1:{daemon.port}", 60.0)
            ends = [
                Subscriber(context, links[name], config.load().link, needed=False) for name in ("source", "classifier")
            ]
            done = 0.0
            next_look = 0.0
            while done < hours:
                wait([socket for end in ends for socket in end.sockets], 0.05)
                for end in ends:
                    for event in end.receive():
                        if isinstance(event, Status):
                            lost = max(lost, event.lost)
                            if event.stage == "source":
                                done = event.samples / FS / 3600
                    end.acknowledge()
                if time.monotonic() > next_look:
                    next_look = time.monotonic() + _EVERY_S
                    rows.append((done, {name: _size(process) for name, process in daemon.stages().items()}))
            for end in ends:
                end.close()
        finally:
            daemon.stop()
            context.term()
    late = [(at, sizes) for at, sizes in rows if at > _WARM * hours]
    names = sorted(set.intersection(*(set(sizes) for _, sizes in late)))
    at = np.array([when for when, _ in late])
    slopes = {name: float(np.polyfit(at, [sizes[name] for _, sizes in late], 1)[0]) for name in names}
    return Soaked(done, time.monotonic() - began, slopes, {name: late[-1][1][name] for name in names}, lost)


def _size(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 1e6
    except psutil.NoSuchProcess:
        return float("nan")
