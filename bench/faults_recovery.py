"""How long a death is felt: from SIGKILL until a beat that came after it is judged without delay."""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.faults_daemon import Daemon
from monitor import config
from monitor.events import FS, Verdict
from monitor.link import Subscriber, ask_links, new_context, wait

_CALM_S = 8.0
"""s between two deaths: a process stands by again by then."""
_SLACK_S = 0.15
"""s behind the slowest verdict of the calm before at which it has caught up."""
_PATIENTS = ("100", "103", "105", "112", "208", "213", "215", "234")
"""Of mitdb: ten beats a second, so that no time is spent on waiting for the next beat."""


def run(
    kills: int, stages: tuple[str, ...] = ("source", "detector", "classifier", "recorder")
) -> dict[str, list[float]]:
    """s by stage, eight patients at real-time speed."""
    settings = config.load()
    out: dict[str, list[float]] = {stage: [] for stage in stages}
    words = [word for record in _PATIENTS for word in ("--source", f"replay:mitdb/{record}")]
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        daemon = Daemon(Path(name), words)
        daemon.start()
        context = new_context()
        try:
            links = ask_links(context, f"tcp://127.0.0.1:{daemon.port}", 60.0)
            subscriber = Subscriber(context, links["classifier"], settings.link, needed=False)
            verdicts = _Verdicts(subscriber)
            verdicts.until(_never, 15.0)
            rng = random.Random(0)
            for _ in range(kills):
                for stage in stages:
                    verdicts.until(_never, _CALM_S + rng.random())
                    usual = verdicts.slowest
                    began = time.monotonic()
                    if not daemon.kill(stage):
                        continue
                    verdicts.until(lambda t, late, b=began, u=usual: t > b and late < u + _SLACK_S, 30.0)  # type: ignore[misc]
                    out[stage].append(time.monotonic() - began)
            subscriber.close()
        finally:
            daemon.stop()
            context.term()
    return out


def _never(happened: float, late: float) -> bool:
    return False


class _Verdicts:
    """Verdicts as they come: when the beat was (monotonic s), and how late its verdict is beside the earliest ever."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self._origin: float | None = None
        self.slowest = 0.0
        """s; of the last :meth:`until`."""

    def until(self, condition: Callable[[float, float], bool], limit_s: float) -> None:
        """Listens until it is true of a verdict, or for so long."""
        end = time.monotonic() + limit_s
        self.slowest = 0.0
        while time.monotonic() < end:
            wait(self._subscriber.sockets, 0.05)
            over = False
            for event in self._subscriber.receive():
                if isinstance(event, Verdict):
                    now = time.monotonic()
                    came = now - event.sample / FS
                    self._origin = came if self._origin is None else min(self._origin, came)
                    late = came - self._origin
                    self.slowest = max(self.slowest, late)
                    over = over or condition(now - late, late)
            self._subscriber.acknowledge()
            if over:
                return
