"""URI → source: where the samples of a stream come from.

Laws of every source: the first read begins with ``Opened``, numbered 1; then come ``Samples`` and ``Gap`` that follow
one another without a hole, at 360 Hz; the last event is ``Closed``; after that there is nothing. What comes does not
depend on how much was asked for at once.

This module is light to import, so that the command line can ask for names; what plays a recording is not.
"""

import importlib.metadata
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import Event
from replay import physionet

GROUP = "ecg_monitor.sources"
"""Entry points that other packages may add a scheme to: a function (SourceRequest, Settings) -> Source."""

# DATABASE/RECORD, in any number of folders; what is not of this form is a path.
_PUBLISHED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+(?<!\.hea)(?<!\.dat)")


class SourceRequest(Struct, frozen=True, kw_only=True):
    """What someone wants to watch."""

    uri: str
    """``replay:mitdb/208``."""
    stream: str
    """Name of the stream, unique in a daemon."""
    now: float
    """Wall clock, seconds since the Unix epoch, UTC: the start of what has no date of its own."""
    leads: tuple[str, ...] = ()
    """Names or numbers from 0; the first is the one that is analysed. () means the source's first."""
    start_s: float = 0.0
    """s of the recording to leave out at its beginning."""
    duration_s: float | None = None
    """s to play, from there; None: to its end."""
    loop: bool = False
    """Play this part again and again."""


class Source(Protocol):
    """Where a stream comes from."""

    def read(self, samples: int) -> list[Event]:
        """About ``samples`` more, counted at 360 Hz. A gap comes whole, when it begins; it may be longer than that."""
        ...

    def close(self) -> None:
        """Let go of files and devices; what was read stays valid."""
        ...


Opener = Callable[[SourceRequest, Settings], Source]


def open_source(request: SourceRequest, settings: Settings) -> Source:
    """The source that ``request.uri``'s scheme stands for.

    Raises:
        UserError: no such scheme, or its source cannot be opened.
    """
    scheme, colon, _ = request.uri.partition(":")
    offered = {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
    known = sorted({*offered, *BUILT_IN})
    if not colon or scheme not in known:
        there = ", ".join(f"{name}:" for name in known)
        raise UserError(f"source {request.uri}: no such scheme; there are {there} write, for example, replay:demo")
    if scheme in BUILT_IN:
        return BUILT_IN[scheme](request, settings)
    try:
        opener: Opener = offered[scheme].load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"source {request.uri}: {offered[scheme].value} cannot be loaded: {error}") from error
    return opener(request, settings)


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
    elif _PUBLISHED.fullmatch(what):
        progress = physionet.bar(sys.stderr) if sys.stderr.isatty() else None
        recording = Record(physionet.locate(what, settings.data, progress), request.leads)
    else:
        recording = Record(Path(what).expanduser(), request.leads)
    return Player(recording, request, settings)


BUILT_IN: dict[str, Opener] = {"replay": open_replay}
"""Schemes that work from a checkout too, where nothing is installed."""


def stream_name(uri: str) -> str:
    """What to call the stream of a source: ``replay:mitdb/208`` → ``mitdb/208``, ``replay:/a/b/100`` → ``100``."""
    what = uri.partition(":")[2] or uri
    if what == "demo" or _PUBLISHED.fullmatch(what):
        return what
    path = Path(what)
    return (path.stem if path.suffix in (".hea", ".dat") else path.name) or what
