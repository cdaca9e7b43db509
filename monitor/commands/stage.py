"""``ecg-monitor stage``: one process of the daemon, alone or under the supervisor."""

import argparse
import importlib.metadata
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from monitor.config import Settings
from monitor.errors import UsageError
from monitor.link import AlertSocket, Publisher, Subscriber, new_context
from monitor.sources import SourceRequest, stream_name
from monitor.stage import Lifeline, run_stage


def stage(given: argparse.Namespace, settings: Settings) -> int:
    """Runs the stage until it is done; 0."""
    code = _run(given, settings, Lifeline(given.lifeline))
    if given.lifeline is not None:
        # Everything is closed. The interpreter would take half a second more to take torch apart.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _run(given: argparse.Namespace, settings: Settings, lifeline: Lifeline) -> int:
    if given.stage == "source":
        return _source(given, settings, lifeline)
    if given.stage == "dashboard":
        from monitor.commands.watch import show

        names = ("source", "detector", "classifier")
        if len(given.input) != len(names):
            raise UsageError("stage dashboard: three --input are needed: the source's, detector's and classifier's")
        return show(dict(zip(names, given.input, strict=True)), settings, given.headless, lifeline, needed=True)
    return _between(given, settings, lifeline)


def requests(given: argparse.Namespace, now: float) -> list[SourceRequest]:
    """The sources asked for, each with a stream name of its own."""
    out: list[SourceRequest] = []
    for uri in given.source:
        name = base = stream_name(uri)
        count = 1
        while any(request.stream == name for request in out):
            count += 1
            name = f"{base}#{count}"
        out.append(
            SourceRequest(
                uri=uri,
                stream=name,
                now=now,
                leads=tuple(given.lead),
                start_s=given.start,
                duration_s=given.duration,
                loop=given.loop,
            )
        )
    return out


def _source(given: argparse.Namespace, settings: Settings, lifeline: Lifeline) -> int:
    if not given.source or not given.output:
        raise UsageError("stage source: --source and --output are needed")
    (entry,) = importlib.metadata.entry_points(group="ecg_monitor.stages", name="source")
    play: Callable[..., None] = entry.load()
    play(requests(given, time.time()), given.speed, settings, given.output, lifeline)
    return 0


def _between(given: argparse.Namespace, settings: Settings, lifeline: Lifeline) -> int:
    if len(given.input) != 1 or not given.output:
        raise UsageError(f"stage {given.stage}: one --input and --output are needed")
    context = new_context()
    publisher = Publisher(context, given.output, settings.link, awaits=1)
    alert_socket = None
    closing: list[Any] = [publisher]
    try:
        if given.stage == "detector":
            from monitor.pipeline import detector

            core, detail = detector(settings)
        else:
            # Bound before torch is loaded: whoever waits for alerts is then there before the first.
            links = {"detector": given.input[0], "classifier": given.output}
            links["source"] = given.input[0].removesuffix("detector") + "source"
            alert_socket = AlertSocket(context, settings.alert_socket, links, settings.link.max_frame_bytes)
            closing.append(alert_socket)
            from monitor.pipeline import judge

            core, detail = judge(settings, given.device)
        subscriber = Subscriber(context, given.input[0], settings.link, needed=True)
        closing.append(subscriber)
        lifeline.ready()
        run_stage(
            given.stage, core, subscriber, publisher, lifeline, settings.link, alert_socket=alert_socket, detail=detail
        )
    finally:
        for one in closing:
            one.close()
        context.term()
    return 0
