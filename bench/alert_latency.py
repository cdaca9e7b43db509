"""How soon an alert is there: from the beat, or the second, that completes its rule to the listener's socket.

    python -m bench.alert_latency

The daemon as a person starts it, at real-time speed, several patients at once; the listener is another process's
AlertListener. A chunk of signal leaves the source when its last sample would have been recorded; the time of a sample
is counted from the earliest chunk.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

from bench.faults_daemon import Daemon
from monitor import config
from monitor.events import FS, Alert, AlertState, Samples
from monitor.link import AlertListener, Subscriber, ask_links, new_context, wait
from monitor.rules import BY_KIND

ECTOPIC = ("106", "119", "200", "203", "207", "208", "213", "223")
"""Of mitdb: couplets, runs, bigeminy, pauses; one in fibrillation."""
ASYSTOLIC = ("a142s", "a172s", "a345l", "a386s", "a446s", "a796s")
"""Of challenge2015: records whose asystole alarm was true; it came at 5:00."""
BEAT_S, SECOND_S, ASYSTOLE_S = 0.5, 0.2, (4.0, 4.5)
"""s within which an alert must be there: after a beat, after a second; and after the last beat of an asystole."""


@contextmanager
def listened(words: list[str]) -> Iterator[tuple[AlertListener, Subscriber]]:
    """A daemon that runs, with a listener at its alert socket and one on its source's link."""
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        daemon = Daemon(Path(folder), words)
        daemon.start()
        context = new_context()
        try:
            endpoint = f"tcp://127.0.0.1:{daemon.port}"
            links = ask_links(context, endpoint, 60.0)
            listener = AlertListener(context, endpoint, history=True)
            source = Subscriber(context, links["source"], config.load().link, needed=False)
            yield listener, source
            listener.close()
            source.close()
        finally:
            daemon.stop()
            context.term()


def delays(words: list[str], seconds: float) -> list[tuple[Alert, float]]:
    """Alerts as they were raised in so many seconds, and s between their sample and their arrival."""
    began: dict[str, float] = {}
    heard: list[tuple[Alert, float]] = []
    with listened(words) as (listener, source):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            wait([*listener.sockets, *source.sockets], 0.01)
            now = time.monotonic()
            heard += [(alert, now) for alert in listener.receive() if alert.state is AlertState.RAISED]
            for event in source.receive():
                if isinstance(event, Samples):
                    own = now - event.stop / FS
                    began[event.stream] = min(own, began.get(event.stream, own))
            source.acknowledge()
    # The first seconds of a daemon are those in which it is still being started.
    return [
        (alert, came - began[alert.stream] - alert.sample / FS)
        for alert, came in heard
        if alert.sample > _SETTLED_S * FS
    ]


_SETTLED_S = 5.0


def share(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, ceil(part * len(ordered)) - 1)]


def table(found: list[tuple[Alert, float]], asystoles: list[float]) -> str:
    """Markdown."""
    groups: dict[str, list[float]] = defaultdict(list)
    for alert, delay in found:
        groups["a beat" if BY_KIND[alert.kind].on == "beat" else "a second"].append(delay)
    lines = [
        "| alert that is completed by | alerts | median, s | 99th percentile, s | longest, s | must be |",
        "|---|---|---|---|---|---|",
    ]
    for name, limit in (("a beat", BEAT_S), ("a second", SECOND_S)):
        own = groups[name]
        if own:
            figures = f"{share(own, 0.5):.3f} | {share(own, 0.99):.3f} | {max(own):.3f}"
            lines.append(f"| {name} | {len(own)} | {figures} | 99 % ≤ {limit} s |")
    if asystoles:
        figures = f"{share(asystoles, 0.5):.3f} | {share(asystoles, 0.99):.3f} | {max(asystoles):.3f}"
        lines.append(
            f"| asystole, from its last beat | {len(asystoles)} | {figures} | {ASYSTOLE_S[0]} to {ASYSTOLE_S[1]} s |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.alert_latency", description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0, help="of the first run (default 240)")
    given = parser.parse_args()
    words = [word for record in ECTOPIC for word in ("--source", f"replay:mitdb/{record}")]
    found = delays([*words, "--start", "300"], given.seconds)
    words = [word for record in ASYSTOLIC for word in ("--source", f"replay:challenge2015/{record}")]
    ended = [
        (alert.sample - alert.onset_sample) / FS + delay
        for alert, delay in delays([*words, "--start", "270"], 45.0)
        if alert.kind == "asystole"
    ]
    print(table(found, ended))
    return 0


if __name__ == "__main__":
    sys.exit(main())
