"""Death at any instant: the final beats, verdicts and alerts are those of an undisturbed run."""

import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.faults_daemon import STAGES, Daemon, Kept, differences, kept


@dataclass(frozen=True)
class Outcome:
    """Of one disturbed run."""

    killed: list[str]
    beats: int
    alerts: int
    lost: int
    different: int
    signal_equal: bool
    silences: int
    """Alerts that the source was silent: true, and in no other run."""
    examples: list[str]
    """Some of what was lost or different, for whoever looks for the reason."""


def undisturbed(folder: Path, words: list[str], name: str) -> Kept:
    daemon = Daemon(folder, [*words, "--speed", "max"])
    daemon.start()
    try:
        code = daemon.wait(600)
        assert code == 0, daemon.errors
    finally:
        daemon.stop()
    return kept(daemon.records, name)


def disturbed(
    folder: Path, words: list[str], name: str, expected: Kept, harm: Callable[[Daemon], list[str]]
) -> Outcome:
    """A run in which stages, and their supervisor, are killed.

    Args:
        harm: kills until the run is over; says whom.
    """
    daemon = Daemon(folder, words)
    daemon.start()
    try:
        killed = harm(daemon)
        assert daemon.wait(600) == 0, daemon.errors[-3000:]
    finally:
        daemon.stop()
    found = kept(daemon.records, name)
    lost_beats, other_beats = differences(expected.verdicts, found.verdicts)
    lost_alerts, other_alerts = differences(expected.alerts, found.alerts)
    return Outcome(
        killed,
        len(found.verdicts),
        len(found.alerts),
        len(lost_beats) + len(lost_alerts),
        len(other_beats) + len(other_alerts),
        found.signal == expected.signal,
        found.harm,
        [*lost_beats, *lost_alerts, *other_beats, *other_alerts][:5],
    )


def run(runs: int, seconds: float, speed: float, mean_s: float, seed: int = 0) -> list[Outcome]:
    words = ["--source", "replay:mitdb/208", "--duration", f"{seconds:g}"]
    out = []
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        expected = undisturbed(folder / "undisturbed", words, "mitdb_208")
        for k in range(runs):
            own = [*words, "--speed", f"{speed:g}"]
            rng = random.Random(seed + k)

            def harm(daemon: Daemon, rng: random.Random = rng) -> list[str]:
                return daemon.killed_until_over(rng, mean_s, [*STAGES, "supervisor"], 1200)

            out.append(disturbed(folder / str(k), own, "mitdb_208", expected, harm))
    return out
