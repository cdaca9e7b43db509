"""What checkpoints cost: CPU time of one, of each stage's state, with a hundred patients."""

import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from monitor import config
from monitor.alarms import Alarms
from monitor.checkpoint import SHIPPED, load
from monitor.classifier import Classifier, choose_device
from monitor.detector import Detector
from monitor.events import FS, Closed, Event
from monitor.keeper import write
from monitor.sources import SourceRequest, open_source
from monitor.stage import Chain, Core

STREAMS = 100
_SECONDS = 60
_TURNS = 5


def run() -> dict[str, tuple[float, float]]:
    """By stage: (share of a core at one checkpoint a second, megabytes)."""
    settings = config.load()
    request = SourceRequest(uri="replay:mitdb/208", stream="s", now=0.0, duration_s=_SECONDS)
    source = open_source(request, settings)
    signal = [event for event in source.read(_SECONDS * FS) if not isinstance(event, Closed)]
    events = [msgspec.structs.replace(event, stream=f"s{k}") for k in range(STREAMS) for event in signal]
    detector: Core = Detector(settings)
    found = detector.push(events)
    network, _ = load(SHIPPED)
    judge = Chain(Classifier(settings, network, choose_device("cpu")), Alarms(settings))
    judge.push(found)
    second = [event for event in found if _position(event) > (_SECONDS - 1) * FS]
    out = {}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for name, core in (("detector", detector), ("classifier", judge)):
            path = Path(folder) / name
            cost = min(_cost(core, second, path) for _ in range(_TURNS))
            out[name] = (cost * 1.0 / config.load().checkpoint.every_s, path.stat().st_size / 1e6)
    return out


def _cost(core: Core, pages: list[Event], path: Path) -> float:
    """CPU s of one: the state, what of the last second nobody has yet, the encoding, the file."""
    from monitor.wire import encode

    frame = encode(pages, run=1, lineage=1, number=1)
    began = time.process_time()
    state: dict[str, Any] = {"core": core.state(), "out": {"pages": [frame]}}
    write(path, "", state)
    return time.process_time() - began


def _position(event: Event) -> int:
    return int(getattr(event, "sample", getattr(event, "start", 0)))
