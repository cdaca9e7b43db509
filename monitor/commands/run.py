"""``ecg-monitor run``: every stage a process, under a supervisor."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from monitor import config
from monitor.config import Settings
from monitor.errors import UsageError
from monitor.link import links_in
from monitor.supervisor import Child, Supervisor


def run(given: argparse.Namespace, settings: Settings) -> int:
    """Until the sources have ended, the dashboard is left, or Ctrl-C; the exit code."""
    if given.alert_port is not None:
        if not 1 <= given.alert_port <= 65534:
            raise UsageError(f"--alert-port {given.alert_port}: ports are 1 to 65534")
        socket = msgspec.structs.replace(settings.alert_socket, port=given.alert_port)
        settings = msgspec.structs.replace(settings, alert_socket=socket)
    headless = given.headless or not (sys.stdin.isatty() and sys.stdout.isatty())
    if not headless:
        from monitor.commands.watch import check_size

        check_size(settings)
    parent = os.environ.get("XDG_RUNTIME_DIR")  # the user's own; else the folder for temporary files
    with tempfile.TemporaryDirectory(
        prefix="ecg-monitor-", dir=parent if parent and Path(parent).is_dir() else None, ignore_cleanup_errors=True
    ) as name:  # mode 0700: nobody else connects
        folder = Path(name)
        if not headless:
            print("ecg-monitor: starting source, detector, classifier …", file=sys.stderr)
        return Supervisor(children(given, settings, folder, headless), folder, settings.supervisor).run()


def children(given: argparse.Namespace, settings: Settings, folder: Path, headless: bool) -> list[Child]:
    """The four stages, in the order in which the signal passes them."""
    links = links_in(folder)
    common = ["--settings", config.dumps(settings)]
    played = [f"--speed={'max' if given.speed is None else given.speed}", f"--start={given.start}"]
    played += [f"--source={uri}" for uri in given.source] + [f"--lead={lead}" for lead in given.lead]
    if given.duration is not None:
        played.append(f"--duration={given.duration}")
    if given.loop:
        played.append("--loop")
    between = [f"--input={links['source']}", f"--output={links['detector']}"]
    judging = [f"--input={links['detector']}", f"--output={links['classifier']}", f"--device={given.device}"]
    watching = [f"--input={link}" for link in links.values()] + (["--headless"] if headless else [])
    return [
        Child("source", ["stage", "source", *common, *played, f"--output={links['source']}"]),
        Child("detector", ["stage", "detector", *common, *between]),
        Child("classifier", ["stage", "classifier", *common, *judging]),
        Child("dashboard", ["stage", "dashboard", *common, *watching], foreground=True),
    ]
