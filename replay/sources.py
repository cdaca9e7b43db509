"""What the entry points name: ``replay:`` sources, recordings played as streams, and ``pipe:`` sources, devices.

This module is light to import, so that the command line can ask for names; what plays a recording is not.
"""

import sys
from pathlib import Path

from monitor.config import Settings
from monitor.errors import UserError
from monitor.sources import PUBLISHED, Source, SourceRequest
from replay import physionet


def open_replay(request: SourceRequest, settings: Settings) -> Source:
    """A recording: ``replay:demo``, ``replay:DATABASE/RECORD`` or ``replay:PATH``.

    Raises:
        UserError: it is not there, damaged, has no such lead, or is over before ``start_s``.
    """
    from replay.player import Demo, Player
    from replay.records import Record, Recording

    what = request.uri.partition(":")[2]
    recording: Recording
    if not what:
        raise UserError(f"source {request.uri}: no record; write replay:mitdb/208, replay:PATH or replay:demo")
    if what == "demo":
        recording = Demo(request.leads)
    elif PUBLISHED.fullmatch(what):
        progress = physionet.bar(sys.stderr) if sys.stderr.isatty() else None
        recording = Record(physionet.locate(what, settings.data, progress), request.leads)
    else:
        recording = Record(Path(what).expanduser(), request.leads)
    return Player(recording, request, settings)


def open_pipe(request: SourceRequest, settings: Settings) -> Source:
    """A device that writes into a pipe, or a serial line: ``pipe:PATH``.

    Raises:
        UserError: the path is something else, or cannot be opened.
    """
    from replay.pipe import Pipe

    return Pipe(request, settings)
