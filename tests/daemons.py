"""A daemon as a person would run it: real processes, real sockets."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from monitor import link

PATIENCE_S = 100.0
"""s; nothing takes so long unless it is broken. In a fresh clone the first run compiles, which may take a minute."""


_ALONE = "[supervisor]\nstandby = false\n"
"""No processes that stand by, unless a test has settings of its own: they are half of the work of a start."""


class Daemon:
    """``ecg-monitor run`` and what it says."""

    def __init__(self, arguments: list[str], folder: Path, port: int) -> None:
        self.port = port
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.out = folder / "out.txt"
        self.err = folder / "err.txt"
        command = [sys.executable, "-m", "monitor", "run", "--alert-port", str(port), *arguments]
        if "--config" not in arguments:
            alone = folder / "alone.toml"
            alone.write_text(_ALONE)
            command += ["--config", str(alone)]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, "TMPDIR": str(folder), "XDG_RUNTIME_DIR": ""},
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.out.read_text()

    def children(self) -> dict[str, psutil.Process]:
        """The stages that run, by name; those that stand by are none."""
        return running(self.process.pid, self.out.parent.glob("**/*.pid"))

    def until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}\n{self.said}\n{self.err.read_text()}"
            time.sleep(0.02)

    def up(self) -> None:
        self.until(lambda: "heart rate" in self.said or "raised" in self.said or "opened" in self.said, "up")

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def interrupt(self) -> float:
        """Ctrl-C, as a terminal sends it: to the whole process group. Seconds until everything has ended."""
        children = list(self.children().values())
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.wait()
        psutil.wait_procs(children, timeout=PATIENCE_S)
        return time.monotonic() - began


def _reaped(process: psutil.Process) -> bool:
    """It has ended; who became its parent may take a while to notice."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def running(supervisor: int, files: Iterable[Path]) -> dict[str, psutil.Process]:
    """The children of a supervisor that its files of process ids name."""
    found = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        own = {child.pid: child for child in psutil.Process(supervisor).children()}
        for file in files:
            with contextlib.suppress(FileNotFoundError, ValueError):  # it is being written, or its folder removed
                pid = int(file.read_text())
                if pid in own:
                    found[file.stem] = own[pid]
    return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons; none is left when the test is over."""
    running: list[Daemon] = []

    def begin(*arguments: str) -> Daemon:
        folder = tmp_path / f"d{len(running)}"
        folder.mkdir()
        running.append(Daemon(list(arguments), folder, link.free_port()))
        return running[-1]

    yield begin
    left = []
    for daemon in running:
        children = list(daemon.children().values())
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
        _, alive = psutil.wait_procs(children, timeout=5)
        left += [process for process in alive if not _reaped(process)]
    for process in left:
        process.kill()
    assert not left, f"processes outlived their supervisor: {left}"


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[[str], Callable[[], list[dict]]]]:
    """``ecg-monitor alerts --json --history`` at an endpoint; what it printed, whenever asked."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(endpoint: str) -> Callable[[], list[dict]]:
        path = tmp_path / f"alerts{len(running)}.jsonl"
        with path.open("wb") as out:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "monitor", "alerts", endpoint, "--json", "--history"], stdout=out
                )
            )
        return lambda: [json.loads(line) for line in path.read_text().splitlines()]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def cli(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    """One command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "monitor", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
        **more,
    )
