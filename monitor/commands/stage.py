"""``ecg-monitor stage``: one process of the daemon, alone or under the supervisor."""

import argparse
import hashlib
import importlib.metadata
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from monitor import keeper
from monitor.config import Settings
from monitor.errors import UsageError, UserError
from monitor.keeper import Checkpoints, Keeper
from monitor.link import AlertSocket, ControlSocket, Publisher, Subscriber, new_context
from monitor.log import say
from monitor.sources import LiveSource, SourceRequest, open_source, stream_name
from monitor.stage import Core, Lifeline, Stage

_STATE = 6
"""Version of what the checkpoints hold; to be raised when a core's state changes its layout."""
_LOOSE = ("alert_socket", "checkpoint", "control", "dashboard", "link", "metrics", "security", "supervisor")
"""Sections of the configuration on which no state depends."""


def stage(given: argparse.Namespace, settings: Settings) -> int:
    """Runs the stage until it is done; 0."""
    code = _run(given, settings, Lifeline(given.lifeline))
    if given.lifeline is not None:
        # Everything is closed. The interpreter would take half a second more to take torch apart.
        with suppress(OSError):  # a disk that is full
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    return code


def _run(given: argparse.Namespace, settings: Settings, lifeline: Lifeline) -> int:
    match given.stage:
        case "source":
            return _source(given, settings, lifeline)
        case "dashboard":
            from monitor.commands.watch import show

            names = ("source", "detector", "classifier", "recorder")
            if len(given.input) not in (3, 4):
                raise UsageError("stage dashboard: three --input are needed: the source's, detector's and classifier's")
            links = dict(zip(names, given.input, strict=False))
            return show(links, settings, given.headless, lifeline, needed=True)
        case "metrics":
            from monitor.metrics import run_metrics

            if not given.input:
                raise UsageError("stage metrics: --input is needed, once for each link")
            run_metrics(given.input, settings, lifeline)
            return 0
        case "recorder":
            return _recorder(given, settings, lifeline)
        case _:
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


class _Former:
    """A stage's checkpoint of a former life, and who writes the next.

    Args:
        besides: what the state depends on besides program and configuration.
    """

    def __init__(self, given: argparse.Namespace, settings: Settings, besides: bytes) -> None:
        self.keeper: Keeper | None = None
        self.state: dict[str, Any] | None = None
        self.refused = False
        """There was one, and it could not be used."""
        if given.state is None:
            return
        tight = {name: part for name, part in msgspec.to_builtins(settings).items() if name not in _LOOSE}
        version = importlib.metadata.version("ecg-monitor")
        digest = hashlib.sha256(msgspec.json.encode([_STATE, version, given.stage, tight]) + besides)
        path, foot = Path(given.state), digest.hexdigest()
        try:
            self.state = keeper.read(path, foot)
        except keeper.StateError as error:
            self.refused = True
            say(given.stage, "checkpoint refused", why=str(error), instead="what the links still have is done anew")
        if self.state is not None:
            say(given.stage, "went on from a checkpoint", bytes=path.stat().st_size)
        self.keeper = Keeper(path, foot)


def _source(given: argparse.Namespace, settings: Settings, lifeline: Lifeline) -> int:
    if not given.source or not given.output:
        raise UsageError("stage source: --source and --output are needed")
    wanted = requests(given, time.time())
    (entry,) = importlib.metadata.entry_points(group="ecg_monitor.stages", name="source")
    play: Callable[..., None] = entry.load()
    if given.standby:
        held = [open_source(one, settings) for one in wanted]
        lifeline.stand_by()
        for source in held:
            # A pipe stays open: whoever writes into it must not be left without a reader, not even for a moment.
            if not (isinstance(source, LiveSource) and source.keeps_writers):
                source.close()
    former = _Former(given, settings, repr([msgspec.structs.replace(one, now=0.0) for one in wanted]).encode())
    awaits = given.awaits or ["detector"]
    play(wanted, given.speed, settings, given.output, lifeline, awaits=awaits, keeper=former.keeper, state=former.state)
    return 0


def _recorder(given: argparse.Namespace, settings: Settings, lifeline: Lifeline) -> int:
    from monitor.recorder.stage import Recorder, run_recorder

    if len(given.input) != 2 or not given.output or not given.record:
        raise UsageError("stage recorder: --record, --output and two --input (source, classifier) are needed")
    if given.standby:
        lifeline.stand_by()
    former = _Former(given, settings, str(given.record).encode())
    state = former.state or {"recorder": None, "in": {"source": None, "classifier": None}}
    try:
        recorder = Recorder(given.record, state["recorder"], beside=former.refused)
    except OSError as error:
        raise UserError(f"--record {given.record}: {error.strerror or error}") from error
    durable = former.keeper is not None
    with ExitStack() as closing:
        context = new_context(settings.security)
        closing.callback(context.term)
        closing.callback(recorder.close)
        signals, judgements = (
            Subscriber(
                context, endpoint, settings.link, needed=True, name="recorder", durable=durable, state=state["in"][name]
            )
            for endpoint, name in zip(given.input, ("source", "classifier"), strict=True)
        )
        reports = Publisher(context, given.output, settings.link)
        checkpoints = Checkpoints(former.keeper, settings.checkpoint)
        for one in (signals, judgements, reports, checkpoints):
            closing.callback(one.close)
        lifeline.ready()
        run_recorder(recorder, signals, judgements, reports, lifeline, settings, checkpoints)
    return 0


def _between(given: argparse.Namespace, settings: Settings, lifeline: Lifeline) -> int:
    if len(given.input) != 1 or not given.output:
        raise UsageError(f"stage {given.stage}: one --input and --output are needed")
    built: tuple[Core, str] | None = None
    if given.standby:
        built = _core(given, settings)
        lifeline.stand_by()
    former = _Former(given, settings, _weights(settings, given.stage))
    state = former.state or {"core": None, "in": None, "out": None, "alerts": None, "streams": None}
    awaits = given.awaits or (["classifier"] if given.stage == "detector" else [])
    with ExitStack() as closing:
        context = new_context(settings.security)
        closing.callback(context.term)
        publisher = Publisher(context, given.output, settings.link, awaits=awaits, state=state["out"])
        closing.callback(publisher.close)
        alert_socket = control = None
        if given.stage == "classifier":
            # Bound before torch is loaded: whoever waits for alerts is then there before the first.
            alert_socket, control = _doors(given, settings, context, state["alerts"])
            closing.callback(alert_socket.close)
            closing.callback(control.close)
        core, detail = built or _core(given, settings)
        if state["core"] is not None:
            core.restore(state["core"])
        subscriber = Subscriber(
            context,
            given.input[0],
            settings.link,
            needed=True,
            name=given.stage,
            durable=former.keeper is not None,
            state=state["in"],
        )
        closing.callback(subscriber.close)
        checkpoints = Checkpoints(former.keeper, settings.checkpoint)
        closing.callback(checkpoints.close)
        lifeline.ready()
        Stage(
            given.stage,
            core,
            subscriber,
            publisher,
            lifeline,
            settings.link,
            checkpoints,
            alert_socket=alert_socket,
            control=control,
            streams=state["streams"],
            detail=detail,
            before="source" if given.stage == "detector" else "detector",
        ).run()
    return 0


def _core(given: argparse.Namespace, settings: Settings) -> tuple[Core, str]:
    """The stage's core, everything that it needs compiled and loaded, and what it runs on."""
    from monitor import pipeline

    return pipeline.detector(settings) if given.stage == "detector" else pipeline.judge(settings, given.device)


def _doors(
    given: argparse.Namespace, settings: Settings, context: Any, state: dict[str, Any] | None
) -> tuple[AlertSocket, ControlSocket]:
    """Where alerts leave, and where people's wishes come in."""
    from monitor.rules import BY_KIND

    links = {"detector": given.input[0], "classifier": given.output}
    links["source"] = given.input[0].removesuffix("detector") + "source"
    limit = settings.link.max_frame_bytes
    alert_socket = AlertSocket(context, settings.alert_socket, links, limit, state)
    try:
        longest = settings.control.silence_max_s
        return alert_socket, ControlSocket(context, settings.alert_socket, BY_KIND, longest, limit)
    except UserError:
        alert_socket.close()
        raise


def _weights(settings: Settings, name: str) -> bytes:
    """Digest of what the stage has learnt."""
    shipped = sorted(Path(__file__).resolve().parents[1].glob("*.safetensors"))
    own = [Path(settings.classifier.weights)] if settings.classifier.weights and name == "classifier" else []
    digest = hashlib.sha256()
    for path in [*shipped, *own]:
        digest.update(path.read_bytes() if path.exists() else b"")  # what is not there is complained of elsewhere
    return digest.digest()
