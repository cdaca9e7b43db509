"""What a source is, and how a URI finds one: by entry point, so that the monitor knows none of them by name.

Laws of every source: the first read begins with ``Opened``, numbered 1; then come ``Samples`` and ``Gap`` that follow
one another without a hole, at 360 Hz; the last event is ``Closed``; after that there is nothing. What comes does not
depend on how much was asked for at once.
"""

import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import Event

GROUP = "ecg_monitor.sources"
"""Entry points that other packages may add a scheme to: a function (SourceRequest, Settings) -> Source."""

# DATABASE/RECORD, in any number of folders; what is not of this form is a path.
PUBLISHED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+(?<!\.hea)(?<!\.dat)")


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

    def state(self) -> dict[str, Any]:
        """Where it is: plain types and bytes. What is read from here on can be read again after :meth:`restore`."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`, by a source of the same request."""
        ...

    def close(self) -> None:
        """Let go of files and devices; what was read stays valid."""
        ...


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source that gives what it gives when it does, and only once: what was read is kept in a journal until a
    checkpoint covers it. ``read`` gives what has come, whatever was asked for, and may give nothing."""

    @property
    def descriptor(self) -> int | None:
        """Readable when there is something to read; None while there is no device."""
        ...

    @property
    def silent(self) -> bool:
        """Nothing comes, though it did."""
        ...

    @property
    def refused(self) -> int:
        """Lines, packets, … that could not be used, since the start."""
        ...

    @property
    def trouble(self) -> str:
        """For people: what it cannot do at present; "" when all is well."""
        ...

    @property
    def keeps_writers(self) -> bool:
        """While it is open whoever writes has a reader: what stands by keeps it open too."""
        ...

    def keep(self, path: Path) -> None:
        """Keep the journal in files whose names begin so."""
        ...

    def again(self) -> list[Event]:
        """What was read after the state that was restored, from the journal: the same events."""
        ...

    def settled(self, journal: int) -> None:
        """The state with this ``["journal"]`` is in a checkpoint on the disk: what it covers need not be kept."""
        ...


Opener = Callable[[SourceRequest, Settings], Source]


def open_source(request: SourceRequest, settings: Settings) -> Source:
    """The source that ``request.uri``'s scheme stands for.

    Raises:
        UserError: no such scheme, or its source cannot be opened.
    """
    scheme, colon, _ = request.uri.partition(":")
    offered = {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}
    if not colon or scheme not in offered:
        there = ", ".join(f"{name}:" for name in sorted(offered))
        raise UserError(f"source {request.uri}: no such scheme; there are {there} write, for example, replay:demo")
    try:
        opener: Opener = offered[scheme].load()
    except (ImportError, AttributeError) as error:
        raise UserError(f"source {request.uri}: {offered[scheme].value} cannot be loaded: {error}") from error
    return opener(request, settings)


def stream_name(uri: str) -> str:
    """What to call the stream of a source: ``replay:mitdb/208`` → ``mitdb/208``, ``replay:/a/b/100`` → ``100``."""
    what = uri.partition(":")[2] or uri
    if what == "demo" or PUBLISHED.fullmatch(what):
        return what
    path = Path(what)
    return (path.stem if path.suffix in (".hea", ".dat") else path.name) or what
