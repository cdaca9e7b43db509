"""``ecg-monitor run``: every stage a process, under a supervisor."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from monitor import config
from monitor.child import Child
from monitor.config import Settings
from monitor.errors import UsageError, UserError
from monitor.link import links_in
from monitor.supervisor import Supervisor
from monitor.systemd import Notifier

_KEPT = ".ecg-monitor"
"""Folder for the checkpoints inside of that which is recorded to."""
_FORMER_S = 6.0
"""s that the stages of a daemon that was killed may take to end: one of their own, and more on a busy machine."""
_PATIENCE_S = 1.5
"""s after which it is said that this is waited for."""
_TRY_S = 0.05
"""s between two tries."""
_LONGEST = 60
"""Characters in the name of the folder with that for the sockets: the system allows 107 for a socket's, with both."""


def run(given: argparse.Namespace, settings: Settings) -> int:
    """Until the sources have ended, the dashboard is left, or Ctrl-C; the exit code."""
    if given.alert_port is not None:
        if not 1 <= given.alert_port <= 65533:
            raise UsageError(f"--alert-port {given.alert_port}: ports are 1 to 65533, and the two after it are needed")
        socket = msgspec.structs.replace(settings.alert_socket, port=given.alert_port)
        settings = msgspec.structs.replace(settings, alert_socket=socket)
    headless = given.headless or not (sys.stdin.isatty() and sys.stdout.isatty())
    if not headless:
        from monitor.commands.watch import check_size

        check_size(settings)
    with _runtime_folder() as sockets:
        kept, locks = _state_folder(given)
        state = kept or sockets
        if not headless:
            print("ecg-monitor: starting source, detector, classifier …", file=sys.stderr)
        stages = children(given, settings, sockets, state, headless)
        notifier = Notifier.from_environment(os.environ)
        supervisor = Supervisor(
            stages, state, settings.supervisor, echo=given.headless, notifier=notifier, inherited=locks
        )
        code = supervisor.run()
    if all(child.finished for child in stages if not child.foreground and not child.attendant):
        for child in stages:  # the signal has ended, and there is nothing to go on from
            (state / f"{child.name}.state").unlink(missing_ok=True)
    return code


@contextmanager
def _runtime_folder() -> Iterator[Path]:
    """For sockets; mode 0700: nobody else connects. Gone at the end."""
    # The user's own; else that for temporary files, unless a socket in it would have too long a name.
    parents = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()]
    parent = next((path for path in parents if path and len(path) <= _LONGEST and Path(path).is_dir()), "/tmp")
    try:
        folder = tempfile.TemporaryDirectory(prefix="ecg-monitor-", dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        where = error.filename or parent
        raise UserError(f"no folder for sockets can be made ({where}): {error.strerror or error}") from error
    with folder as name:
        yield Path(name)


def _state_folder(given: argparse.Namespace) -> tuple[Path | None, list[int]]:
    """Where checkpoints outlive the daemon, None: nowhere; and the descriptor of its lock.

    The stages hold the lock too: of a daemon that was killed they live on for a second, and what they still write must
    not meet what another life writes.

    Raises:
        UserError: it cannot be written to, or another daemon uses it.
    """
    folder: Path | None = given.state or (given.record / _KEPT if given.record else None)
    if folder is None:
        return None, []
    option = "--state" if given.state else "--record"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UserError(f"{option} {folder}: {error.strerror or error}") from error
    import fcntl

    began, told = time.monotonic(), False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until its last process is gone, however it goes
            return folder, [lock]
        except OSError as error:
            waited = time.monotonic() - began
            if waited > _FORMER_S:
                raise UserError(f"{option} {folder}: another ecg-monitor is at work there") from error
            if waited > _PATIENCE_S and not told:
                told = True
                print(f"ecg-monitor: {option} {folder}: waiting for another ecg-monitor to end …", file=sys.stderr)
            time.sleep(_TRY_S)


def children(given: argparse.Namespace, settings: Settings, sockets: Path, state: Path, headless: bool) -> list[Child]:
    """The stages, in the order in which the signal passes them."""
    links = links_in(sockets, ("source", "detector", "classifier", "recorder"))
    common = ["--settings", config.dumps(settings)]
    recording = ["recorder"] if given.record else []
    played = [f"--speed={'max' if given.speed is None else given.speed}", f"--start={given.start}"]
    played += [f"--source={uri}" for uri in given.source] + [f"--lead={lead}" for lead in given.lead]
    if given.duration is not None:
        played.append(f"--duration={given.duration}")
    if given.loop:
        played.append("--loop")
    between = [f"--input={links['source']}", f"--output={links['detector']}"]
    judging = [f"--input={links['detector']}", f"--output={links['classifier']}", f"--device={given.device}"]
    writing = [f"--input={links['source']}", f"--input={links['classifier']}", f"--output={links['recorder']}"]
    shown = ["source", "detector", "classifier", *recording]
    watching = [f"--input={links[name]}" for name in shown] + (["--headless"] if headless else [])

    def child(name: str, own: list[str], awaits: list[str], feeds: list[str]) -> Child:
        waiting = [f"--awaits={other}" for other in awaits]
        kept = [] if name == "dashboard" else [f"--state={state / f'{name}.state'}"]
        words = ["stage", name, *common, *own, *waiting, *kept]
        essential = name != "recorder"
        return Child(name, words, foreground=name == "dashboard", essential=essential, feeds=tuple(feeds))

    stages = [
        child("source", [*played, f"--output={links['source']}"], ["detector", *recording], ["detector", *recording]),
        child("detector", between, ["classifier"], ["classifier"]),
        child("classifier", judging, ["dashboard", *recording], recording),
    ]
    if given.record:
        stages.append(child("recorder", [*writing, f"--record={given.record}"], [], []))
    if settings.metrics.port:
        asked = ["stage", "metrics", *common, *(f"--input={links[name]}" for name in shown)]
        stages.append(Child("metrics", asked, essential=False, attendant=True))
    return [*stages, child("dashboard", watching, [], [])]
