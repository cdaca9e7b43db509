"""``ecg-monitor annotate``: the cores that run live, driven over whole recordings as fast as they go."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from monitor.config import Settings, unattended
from monitor.errors import UsageError, UserError
from monitor.events import FS, Alert, Event, Opened, Verdict
from monitor.pipeline import whole
from monitor.recorder import annotations
from monitor.sources import LiveSource, SourceRequest, open_source, stream_name
from monitor.stage import Core

_CHUNK = 60 * FS
"""Samples at a time: a minute, so that progress shows and memory stays small."""


def annotate(given: argparse.Namespace, settings: Settings) -> int:
    """Every record in turn; 0."""
    uris = [uri_of(record) for record in given.records]
    names = [Path(stream_name(uri)).name for uri in uris]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"two records are called {twice[0]}: their results would overwrite each other; use two --out")
    core = whole(unattended(settings), given.device)
    for uri, name in zip(uris, names, strict=True):
        request = SourceRequest(
            uri=uri,
            stream=stream_name(uri),
            now=0.0,
            leads=tuple(given.lead),
            start_s=given.start,
            duration_s=given.duration,
        )
        began = time.monotonic()
        opened: Opened | None = None
        verdicts: list[Verdict] = []
        alerts: list[Alert] = []
        for event in judged(request, core, settings):
            match event:
                case Opened():
                    opened = event
                case Verdict():
                    verdicts.append(event)
                case Alert():
                    alerts.append(event)
        assert opened is not None, "every source begins with Opened"
        start = round(given.start * opened.fs)
        annotations.write(given.out, name, verdicts, alerts, fs=opened.fs, start=start)
        seconds = time.monotonic() - began
        print(f"{uri}: {len(verdicts)} beats, {_raised(alerts)} alerts → {given.out / name}.* ({seconds:.1f} s)")
    return 0


def uri_of(record: str) -> str:
    """A source's URI for what a person wrote: a URI, DATABASE/RECORD or a path."""
    scheme, colon, _ = record.partition(":")
    return record if colon and scheme.isalpha() and len(scheme) > 1 else f"replay:{record}"


def judged(request: SourceRequest, core: Core, settings: Settings) -> Iterator[Event]:
    """All that the pipeline makes of one source, from Opened to Closed.

    Raises:
        UserError: it cannot be opened, or is live.
    """
    source = open_source(request, settings)
    try:
        if isinstance(source, LiveSource):
            raise UserError(
                f"{request.uri}: a device has no end; record it with ecg-monitor --record, then annotate that"
            )
        while events := source.read(_CHUNK):
            yield from core.push(events)
    finally:
        source.close()


def _raised(alerts: list[Alert]) -> int:
    return sum(alert.state == "raised" for alert in alerts)
