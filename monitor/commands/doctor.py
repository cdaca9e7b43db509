"""``ecg-monitor doctor``: what this installation can do, and what is wrong with it."""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from monitor.config import Settings
from monitor.errors import UserError
from monitor.link import AlertSocket, new_context
from monitor.sources import GROUP

Check = Callable[[Settings], str]


def doctor(settings: Settings) -> int:
    """One line a check; 0 if all is well, 1 if not."""
    wrong = 0
    for name, check in CHECKS.items():
        try:
            print(f"ok    {name}: {check(settings)}")
        except UserError as error:
            wrong += 1
            print(f"WRONG {name}: {error}")
    print(f"{wrong} wrong" if wrong else "all is well")
    return 1 if wrong else 0


def _python(settings: Settings) -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _packages(settings: Settings) -> str:
    names = ("ecg-monitor", "torch", "numpy", "numba", "pyzmq", "wfdb", "rich", "msgspec")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _kernels(settings: Settings) -> str:
    from monitor.pipeline import detector

    detector(settings)
    return "the detector's kernels compile and run"


def _weights(settings: Settings) -> str:
    from monitor.checkpoint import SHIPPED, load
    from monitor.network import parameters

    network, origin = load(Path(settings.classifier.weights) if settings.classifier.weights else SHIPPED)
    return f"{parameters(network):,} parameters, trained by {origin['protocol']}, commit {origin['commit']}"


def _device(settings: Settings) -> str:
    from monitor.classifier import choose_device

    return f"--device auto is {choose_device('auto')}"


def _sources(settings: Settings) -> str:
    return ", ".join(f"{entry.name}:" for entry in importlib.metadata.entry_points(group=GROUP))


def _recordings(settings: Settings) -> str:
    there = [entry for entry in settings.data.path if "{cache}" in entry or Path(entry).is_dir()]
    return f"looked for in {', '.join(there)}; otherwise fetched from {settings.data.url}"


def _port(settings: Settings) -> str:
    context = new_context(settings.security)
    try:
        AlertSocket(context, settings.alert_socket, {}, settings.link.max_frame_bytes).close()
    finally:
        context.term()
    return f"{settings.alert_socket.host}:{settings.alert_socket.port} and the next are free"


def _terminal(settings: Settings) -> str:
    if not sys.stdout.isatty():
        return "standard output is none: plain lines"
    from monitor.commands.watch import check_size

    check_size(settings)
    size = os.get_terminal_size(sys.stdout.fileno())
    return f"{size.columns}×{size.lines}, {sys.stdout.encoding}"


CHECKS: dict[str, Check] = {
    "python": _python,
    "packages": _packages,
    "kernels": _kernels,
    "weights": _weights,
    "device": _device,
    "sources": _sources,
    "recordings": _recordings,
    "alert port": _port,
    "terminal": _terminal,
}
