"""A daemon to do harm to: started as a person would, its stages found and killed, what it recorded read back."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from monitor.link import free_port

STAGES = ("source", "detector", "classifier", "recorder", "dashboard")
_PATIENT = """
[supervisor]
restart_s = 0.05
restart_max_s = 0.2
restart_limit = 1000
"""
"""Settings under which it never gives up: here deaths are no sign of a fault."""


_IN_VAIN = 2
"""Deaths in a row between which nothing was recorded; then it is let go on."""


@dataclass
class Daemon:
    """``ecg-monitor run --record``, in a folder of its own.

    Args:
        folder: for everything.
        words: of its command line.
    """

    folder: Path
    words: list[str]
    more: str = ""
    """Settings besides its own, TOML."""
    port: int = field(default_factory=lambda: free_port(3))
    process: subprocess.Popen[bytes] | None = None

    @property
    def records(self) -> Path:
        return self.folder / "records"

    @property
    def errors(self) -> str:
        path = self.folder / "err.txt"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self) -> None:
        """Starts it, or goes on where it was."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "settings.toml"
        settings.write_text(_PATIENT + self.more)
        command = [sys.executable, "-m", "monitor", "run", "--headless", "--config", str(settings)]
        command += ["--alert-port", str(self.port), "--record", str(self.records), *self.words]
        with (self.folder / "out.txt").open("ab") as out, (self.folder / "err.txt").open("ab") as err:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )

    def stages(self) -> dict[str, psutil.Process]:
        """Its processes by name, ``supervisor`` among them."""
        found = {}
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                supervisor = psutil.Process(self.process.pid)
                found["supervisor"] = supervisor
                own = {child.pid: child for child in supervisor.children()}
                for file in (self.records / ".ecg-monitor").glob("*.pid"):
                    with contextlib.suppress(ValueError):  # it is being written
                        if (pid := int(file.read_text())) in own:
                            found[file.stem] = own[pid]
        return found

    def kill(self, name: str) -> bool:
        """SIGKILL for one of them; whether it was there. After the supervisor's, it is started again."""
        process = self.stages().get(name)
        if process is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
        if name == "supervisor" and self.process is not None:
            self.process.wait()
            self.start()
        return True

    def killed_in_turn(self, names: Sequence[str], steps: int) -> None:
        """Kills one after the other, each when the record has grown by so many bytes since; until the run is over."""
        want = 0
        for name in names:
            want += steps
            while sum(path.stat().st_size for path in self.records.glob("*.dat")) < want:
                assert self.process is not None
                assert self.process.poll() is None, f"over before {name} was killed: {self.errors}"
                time.sleep(0.005)
            while not self.kill(name):
                time.sleep(0.005)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait(self, timeout_s: float) -> int:
        assert self.process is not None
        return self.process.wait(timeout_s)

    def killed_until_over(self, rng: random.Random, mean_s: float, targets: list[str], limit_s: float) -> list[str]:
        """Kills a random one every ``mean_s`` s on average until the run is over; whom."""
        killed: list[str] = []
        grown = in_a_row = 0
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            pause = time.monotonic() + rng.expovariate(1.0 / mean_s)
            while time.monotonic() < pause:
                if self.process is None or self.process.poll() is not None:
                    return killed
                time.sleep(0.01)
            # On a machine that has too much to do, more would die than begins: then nothing would ever be over.
            size = sum(path.stat().st_size for path in self.records.glob("*.dat"))
            in_a_row = in_a_row + 1 if size == grown else 0
            grown = size
            if in_a_row > _IN_VAIN:
                continue
            name = rng.choice(targets)
            if self.kill(name):
                killed.append(name)
        raise TimeoutError(f"not over after {limit_s:.0f} s; {self.errors[-2000:]}")


@dataclass(frozen=True)
class Kept:
    """What a run left of one stream."""

    signal: bytes
    verdicts: list[str]
    alerts: list[str]
    """Without what the clock and the harm say: times, numbers, and that the source was silent."""
    harm: int
    """Alerts that say so."""


def kept(folder: Path, name: str) -> Kept:
    alerts, harm = [], 0
    for line in (folder / f"{name}.alarms.jsonl").read_text().splitlines():
        alert = json.loads(line)
        if alert["kind"] == "source_lost":
            harm += 1
            continue
        for changing in ("published_time", "onset_time", "seq", "previous"):
            del alert[changing]
        alerts.append(json.dumps(alert, sort_keys=True))
    verdicts = (folder / f"{name}.verdicts.jsonl").read_text().splitlines()
    return Kept((folder / f"{name}.dat").read_bytes(), verdicts, alerts, harm)


def differences(one: list[str], other: list[str]) -> tuple[list[str], list[str]]:
    """(lost, doubled or different): what of ``one`` is not in ``other``, and what of ``other`` is not in ``one``, at
    their places in the sequence."""
    from difflib import SequenceMatcher

    lost: list[str] = []
    added: list[str] = []
    if one != other:
        for what, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
            if what != "equal":
                lost += one[a:b]
                added += other[c:d]
    return lost, added
