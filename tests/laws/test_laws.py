"""The law suite: what every stage's core must keep to, whatever it does.

deterministic · inputs not mutated · independent of chunking · survives save and restore at any point ·
independent of which other streams share the process
"""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streams import demo, played, told, with_gap

from monitor import config
from monitor.alarms import Alarms
from monitor.checkpoint import SHIPPED, load
from monitor.classifier import Classifier, choose_device
from monitor.detector import Detector
from monitor.events import FS, Acknowledge, Alert, Beat, Cause, Event, Gap, Lost, OfLead, Quality, Samples, position
from monitor.stage import Chain, Core

CONFIG = config.load()
NETWORK, _ = load(SHIPPED)


def classifier() -> Core:
    return Classifier(CONFIG, NETWORK, choose_device("cpu"))


CORES: dict[str, Callable[[], Core]] = {
    "detector": lambda: Detector(CONFIG),
    "classifier": classifier,
    "alarms": lambda: Alarms(CONFIG),
    "whole": lambda: Chain(Detector(CONFIG), classifier(), Alarms(CONFIG)),
}
UPSTREAM: dict[str, Callable[[], Core] | None] = {
    "detector": None,
    "classifier": lambda: Detector(CONFIG),
    "alarms": lambda: Chain(Detector(CONFIG), classifier()),
    "whole": None,
}


def signal_of(kind: str) -> np.ndarray:
    """A minute of something difficult."""
    x = demo(60.0, start=60.0 if kind != "quiet" else 200.0).copy()
    if kind == "fibrillating":  # a wave that wanders about 5 Hz, from the 20th second to the 40th; then it is still
        t = np.arange(20 * FS) / FS
        x[20 * FS : 40 * FS] = 0.6 * np.sin(2 * np.pi * (5.0 * t + 0.4 * np.sin(1.3 * t))) * (1 + 0.3 * np.sin(2.1 * t))
        x[40 * FS : 58 * FS] *= 0.02
    if kind == "damaged":
        x[4000:4100] = np.nan
        x[9000:9002] = np.inf
        x[12000:13500] = 0.0  # flat
        x[15000:15400] = 12.0  # saturated
    if kind == "pair":  # an electrode that comes off, while another is noisy, or not there for a while, or both
        other = -0.7 * x
        x[6000:12000] = 0.0
        noise = np.random.default_rng(0).normal(0.0, 1.0, len(x)).astype(np.float32)
        other[8000:9000] += noise[8000:9000]
        other[10500:11200] = np.nan
        other[13000:13002] = np.nan
        x[14000:16500] += noise[14000:16500]
        x[18800:19500] = np.nan
        other[19400:19600] = np.nan
        x = np.stack([x, other, noise])
    return x


SILENT = 39 * FS
"""Where a source falls silent for a while."""


def source(kind: str, stream: str, cuts: tuple[int, ...] = ()) -> list[Event]:
    events = played(signal_of(kind), (*cuts, SILENT), stream)
    # For a while nobody knows what comes.
    at = next(k for k, event in enumerate(events) if isinstance(event, Samples) and event.start == SILENT)
    events.insert(at, Lost(stream=stream, seq=1, sample=SILENT))
    return with_gap(events, 17000, 18500) if kind in ("gapped", "pair") else events


KINDS = ("plain", "damaged", "gapped", "quiet", "fibrillating", "pair")


def inputs(name: str, kind: str, stream: str = "p") -> list[Event]:
    """What the core called ``name`` gets to see of a stream, in one second's chunks."""
    events = source(kind, stream, tuple(range(0, 60 * FS, FS)))
    upstream = UPSTREAM[name]
    if upstream is None:
        return events
    core = upstream()
    out: list[Event] = []
    for event in events:
        out += core.push([event])
    # A source that goes silent and comes back.
    middle = len(out) // 2
    lost = Lost(stream=stream, seq=out[middle].seq, sample=0)
    # And a person who acknowledges.
    seen = Acknowledge(stream=stream, seq=1, sample=0, alert=None)
    late = middle + middle // 2
    return out if name != "alarms" else [*out[:middle], lost, *out[middle:late], seen, *out[late:]]


INPUTS = {(name, kind): inputs(name, kind) for name in CORES for kind in KINDS}
EXPECTED = {key: told(CORES[key[0]]().push(events)) for key, events in INPUTS.items()}
CASES = pytest.mark.parametrize(("name", "kind"), list(INPUTS))


@CASES
def test_something_comes_out(name: str, kind: str) -> None:
    assert len(EXPECTED[name, kind]) > 30


@CASES
def test_deterministic_and_inputs_untouched(name: str, kind: str) -> None:
    events = INPUTS[name, kind]
    before = told(events)
    assert told(CORES[name]().push(events)) == EXPECTED[name, kind]
    assert told(events) == before


@CASES
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_chunking_never_changes_the_answer(name: str, kind: str, data: st.DataObject) -> None:
    events = INPUTS[name, kind]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)), max_size=12)))
    core = CORES[name]()
    out: list[Event] = []
    for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True):
        out += core.push(events[a:b])
    assert told(out) == EXPECTED[name, kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["detector", "whole"])
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_the_cut_of_the_signal_never_changes_the_answer(name: str, kind: str, data: st.DataObject) -> None:
    """Chunks of any length, down to single samples."""
    cuts = data.draw(st.sets(st.integers(1, 60 * FS - 1), max_size=30))
    start = data.draw(st.integers(0, 59 * FS))
    single = set(range(start, start + data.draw(st.integers(0, 200))))
    events = source(kind, "p", tuple(cuts | single))
    assert told(CORES[name]().push(events)) == EXPECTED[name, kind]


@CASES
def test_one_event_at_a_time(name: str, kind: str) -> None:
    core = CORES[name]()
    assert told([out for event in INPUTS[name, kind] for out in core.push([event])]) == EXPECTED[name, kind]


@CASES
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_survives_save_and_restore(name: str, kind: str, data: st.DataObject) -> None:
    """At any point, through bytes, into a fresh core."""
    events = INPUTS[name, kind]
    at = data.draw(st.integers(0, len(events)))
    first = CORES[name]()
    out = first.push(events[:at])
    saved = msgspec.msgpack.encode(first.state())
    first.push(events[at:])  # what the old one does later does not reach the new one
    second = CORES[name]()
    second.restore(msgspec.msgpack.decode(saved))
    assert told([*out, *second.push(events[at:])]) == EXPECTED[name, kind]


@pytest.mark.parametrize("name", list(CORES))
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_many_streams_are_each_alone(name: str, seed: int) -> None:
    """Twelve streams, shuffled into one another, each as if it were by itself."""
    rng = np.random.default_rng(seed)
    streams = {
        f"{kind}{k}": rename(INPUTS[name, kind], f"{kind}{k}") for kind in (*KINDS[:3], "pair") for k in range(3)
    }
    core = CORES[name]()
    out: dict[str, list[Event]] = {stream: [] for stream in streams}
    at = dict.fromkeys(streams, 0)
    while any(at[stream] < len(events) for stream, events in streams.items()):
        batch: list[Event] = []
        for stream in rng.permutation(list(streams)):
            step = int(rng.integers(0, 12))
            batch += streams[stream][at[stream] : at[stream] + step]
            at[stream] += step
        for event in core.push(batch):
            out[event.stream].append(event)
    for stream, events in out.items():
        assert told(rename(events, "p")) == EXPECTED[name, stream[:-1]], stream


def rename(events: list[Event], stream: str) -> list[Event]:
    """The same events of a stream by another name; alerts carry the name in their id too."""
    out = []
    for event in events:
        changes = {"stream": stream}
        if hasattr(event, "id"):
            changes["id"] = event.id.replace(f"{event.stream}/", f"{stream}/", 1)
        out.append(msgspec.structs.replace(event, **changes))
    return out


def test_each_of_two_leads_is_analysed_as_if_it_were_alone() -> None:
    """Up to the place in the numbers that its events have."""
    both = CORES["detector"]().push(source("pair", "p", tuple(range(0, 60 * FS, FS))))
    assert [event.seq for event in both] == list(range(1, len(both) + 1))
    signal = signal_of("pair")
    for lead in (0, 1):
        events = with_gap(played(signal[lead], (SILENT,)), 17000, 18500)
        alone = [event for event in CORES["detector"]().push(events) if isinstance(event, OfLead)]
        of_it = [event for event in both if isinstance(event, OfLead) and event.lead == lead]
        assert told([as_if_alone(event) for event in of_it]) == told([unnumbered(event) for event in alone])
    assert {event.lead for event in both if isinstance(event, Beat)} == {0, 1}


def as_if_alone(event):
    """What is missing in one lead only is that lead's being off; in an only one it is a gap."""
    off = isinstance(event, Quality) and event.cause is Cause.LEAD_OFF and event.noise == 1.0
    return msgspec.structs.replace(event, seq=1, lead=0, **({"cause": Cause.GAP} if off else {}))


def test_the_waves_are_seen_and_the_still_line_too() -> None:
    """Otherwise the laws above would hold of an empty thing."""
    kinds = {e.kind for e in CORES["whole"]().push(source("fibrillating", "p")) if isinstance(e, Alert)}
    assert kinds >= {"vf", "asystole"}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_source_gone_silent_changes_nothing_but_that_it_is_said(kind: str, data: st.DataObject) -> None:
    """When it is told is the wall clock's doing; and it may know of samples that the beats have not come to yet."""
    events = [event for event in INPUTS["alarms", kind] if not isinstance(event, Lost)]
    reached = [0]
    for event in events:
        reached.append(max(reached[-1], event.stop if isinstance(event, Samples | Gap) else position(event)))
    out: list[Event] = []
    core = CORES["alarms"]()
    places = data.draw(st.sets(st.integers(1, len(events) - 1), min_size=1, max_size=20))
    ahead = data.draw(st.integers(0, 4 * FS))
    for k, event in enumerate(events):
        if k in places:
            out += core.push([Lost(stream="p", seq=1, sample=reached[k] + ahead)])
        out += core.push([event])
    said = [event for event in out if isinstance(event, Alert) and event.kind == "source_lost"]
    rest = [event for event in out if not isinstance(event, Lost) and event not in said]
    plain = CORES["alarms"]().push(events)
    assert len(said) >= 2
    assert told([unnumbered(event) for event in rest]) == told([unnumbered(event) for event in plain])


def unnumbered(event):
    """Numbers go on when a name is used again."""
    return msgspec.structs.replace(event, seq=1, **({"previous": 0} if isinstance(event, Alert) else {}))


def test_a_name_may_be_used_again() -> None:
    """A stream that was closed and opened anew begins from nothing."""
    for name, new in CORES.items():
        events = INPUTS[name, "plain"]
        core = new()
        core.push(events)
        again = [unnumbered(e) for e in core.push(events)]
        alone = [unnumbered(e) for e in new().push(events)]
        assert told(again) == told(alone), name


def test_values_that_are_not_numbers_never_reach_the_state() -> None:
    core = Detector(CONFIG)
    x = np.full(720, np.nan, dtype=np.float32)
    core.push([*played(demo(10.0))[:-1], Samples(stream="p", seq=9, start=3600, signal=x[None])])
    kernels = core.state()["kernels"]
    from monitor import detector_layout

    state = np.frombuffer(kernels, detector_layout.STATE)
    for field in state.dtype.names:
        assert np.isfinite(state[field].astype(float)).all(), field
