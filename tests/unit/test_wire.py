"""Frames: what goes in comes out; what is not whole is refused, and never taken for something else."""

import json
import struct
import zlib
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import ALERT

from monitor import wire
from monitor.events import (
    Beat,
    BeatClass,
    Cause,
    Closed,
    Gap,
    Level,
    Lost,
    Opened,
    Quality,
    Rhythm,
    Samples,
    Status,
    Verdict,
)

ONE_OF_EACH = [
    Opened(stream="p", seq=1, source="test:", fs=250.0, leads=("II", "V5"), start_time=0.5, length=None),
    Samples(stream="p", seq=2, start=0, signal=np.array([[0.5, -1.25], [np.nan, 2.0]], dtype=np.float32)),
    Gap(stream="p", seq=3, start=2, stop=9, cause="missing"),
    Lost(stream="p", seq=4, sample=9),
    Beat(stream="p", seq=5, sample=7, confirmed=90, amplitude=1.5, level=Level.GOOD, cause=Cause.NONE,
         search_back=False, p_likeness=0.5, p_amplitude=0.125, window=np.arange(4, dtype=np.float32), after_gap=True),
    Quality(stream="p", seq=6, sample=360, level=Level.NOISY, cause=Cause.NOISE, noise=0.4, silence=12),
    Rhythm(stream="p", seq=7, sample=1440, vt=0.25, vf=0.5, amplitude=0.75),
    Verdict(stream="p", seq=7, sample=7, label=BeatClass.V, probabilities=(0.0, 0.0, 1.0, 0.0, 0.0), rr=None,
            level=Level.GOOD, amplitude=1.5, p_likeness=0.5, p_amplitude=0.125),
    ALERT,
    Closed(stream="p", seq=8, sample=720, reason="end"),
    Status(stage="source", pid=1, time=2.0, uptime=3.0, events_in=4, events_out=5, samples=6, streams=7, lost=8,
           repaired=9, rejected=10, busy=0.5, detail="x"),
]  # fmt: skip


def test_what_goes_in_comes_out():
    frame = wire.decode(wire.encode(ONE_OF_EACH, run=2**63 - 1, lineage=2**62, number=7, final=True))
    assert (frame.run, frame.number, frame.final) == (2**63 - 1, 7, True)
    assert [wire.encode_event(e) for e in frame.events] == [wire.encode_event(e) for e in ONE_OF_EACH]
    assert [type(e) for e in frame.events] == [type(e) for e in ONE_OF_EACH]


@pytest.mark.parametrize("cut", [0, 1, 20, 43, 44, 60, -1])
def test_a_frame_cut_short_is_refused(cut):
    whole = wire.encode(ONE_OF_EACH, run=1, lineage=1, number=1)
    with pytest.raises(wire.FrameError):
        wire.decode(whole[:cut])


@given(at=st.integers(0, 5000), flip=st.integers(1, 255))
def test_a_frame_with_any_byte_altered_is_refused(at, flip):
    whole = bytearray(wire.encode(ONE_OF_EACH, run=1, lineage=1, number=1))
    at %= len(whole)
    whole[at] ^= flip
    with pytest.raises(wire.FrameError):
        wire.decode(bytes(whole))


@given(st.binary(max_size=200))
def test_anything_else_is_refused(noise):
    with pytest.raises(wire.FrameError):
        wire.decode(noise)


def framed(body: bytes, count: int = 1) -> bytes:
    head = struct.pack("<4sHHQQQII", b"ECGM", 2, 0, 1, 1, 1, count, len(body))
    return head + struct.pack("<I", zlib.crc32(head + body)) + body


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (["<f8", [1, 1], b"12345678"], "float32"),
        (["<f4", [1, 3], b"12345678"], "shape"),
        (["<f4", [1, 1, 2], b"12345678"], "one or two"),
        (["<f4", [-1, -2], b"12345678"], "shape"),
        ([1, 2], "array is"),
    ],
)
def test_arrays_that_lie_are_refused(array, words):
    body = msgspec.msgpack.encode([{"type": "samples", "stream": "p", "seq": 1, "start": 0, "signal": array}])
    with pytest.raises(wire.FrameError, match=words):
        wire.decode(framed(body))


def test_the_count_must_be_right_and_the_version_ours():
    body = msgspec.msgpack.encode([])
    with pytest.raises(wire.FrameError, match="0 events"):
        wire.decode(framed(body))
    other = bytearray(framed(body, 0))
    other[4] = 9
    with pytest.raises(wire.FrameError, match="version 9"):
        wire.decode(bytes(other))


def test_what_is_no_event_does_not_travel():
    with pytest.raises(TypeError, match="does not travel"):
        wire.encode([Samples(stream="p", seq=1, start=0, signal=np.zeros((1, 2)))], run=1, lineage=1, number=1)


def test_an_alert_is_one_line_of_json_and_keeps_to_its_schema():
    line = wire.encode_alert(ALERT)
    assert b"\n" not in line
    assert wire.decode_alert(line) == ALERT
    jsonschema.validate(json.loads(line), wire.alert_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(line), "priority": "extreme"}, wire.alert_schema())


def test_the_published_schema_is_the_types():
    """docs/alert.schema.json is what others build on: it changes on purpose or not at all."""
    published = Path(__file__).parents[2] / "docs" / "alert.schema.json"
    assert json.loads(published.read_text()) == wire.alert_schema()
