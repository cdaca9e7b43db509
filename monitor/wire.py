"""Events ↔ frames. A frame is a fixed header and a MessagePack body; nothing received is ever unpickled.

The layout (all integers little-endian), also in docs/protocol.md:

====== ====== =========================================================================
offset type   meaning
====== ====== =========================================================================
0      4 B    magic ``ECGM``
4      u16    version of this layout, 2
6      u16    flags: bit 0 = final, nothing follows on this link
8      u64    run: names one life of the publisher; its message numbers count within it
16     u64    lineage: names lives that went on from one another; sequence numbers count within it
24     u64    message number, from 1
32     u32    number of events in the body
36     u32    length of the body, bytes
40     u32    CRC-32 of the 40 bytes before it and the body
44     …      body: a MessagePack array of events, each a map with its ``type``
====== ====== =========================================================================

Arrays travel as ``[dtype, shape, bytes]``. A frame that fails any check raises :class:`FrameError`, which says
what was wrong; the link counts it and goes on.
"""

import struct
import zlib
from collections.abc import Sequence
from math import prod
from typing import Any

import msgspec
import numpy as np

from monitor.events import (
    Acknowledge,
    Alert,
    Beat,
    Closed,
    Enable,
    Event,
    Gap,
    Lost,
    Opened,
    Quality,
    Rhythm,
    Samples,
    Silence,
    Status,
    Verdict,
)

MAGIC = b"ECGM"
VERSION = 2
FINAL = 1
_HEADER = struct.Struct("<4sHHQQQIII")
_CRC = _HEADER.size - 4
"""Where the checksum is."""
_MAX_DIMENSIONS = 2

Wired = Event | Status
_Union = (
    Opened
    | Samples
    | Gap
    | Lost
    | Closed
    | Quality
    | Rhythm
    | Beat
    | Verdict
    | Acknowledge
    | Silence
    | Enable
    | Alert
    | Status
)


class FrameError(ValueError):
    """A frame that is not one of ours, or not whole."""


class Frame(msgspec.Struct, frozen=True):
    """One decoded message."""

    run: int
    lineage: int
    number: int
    final: bool
    events: list[Wired]


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == np.float32:
        return ["<f4", value.shape, value.astype("<f4", copy=False).tobytes()]
    raise TypeError(f"{type(value).__name__} does not travel")


def _decode_array(kind: type, value: Any) -> Any:
    if kind is not np.ndarray and getattr(kind, "__origin__", None) is not np.ndarray:
        raise TypeError(f"{kind} does not travel")
    if not (isinstance(value, list) and len(value) == 3):
        raise ValueError("an array is [dtype, shape, bytes]")
    dtype, shape, data = value
    if dtype != "<f4" or not isinstance(data, bytes):
        raise ValueError("an array is float32, little-endian")
    if not (isinstance(shape, list) and 1 <= len(shape) <= _MAX_DIMENSIONS):
        raise ValueError("an array has one or two dimensions")
    if not all(isinstance(n, int) and n >= 0 for n in shape) or prod(shape) * 4 != len(data):
        raise ValueError("an array's bytes do not match its shape")
    return np.frombuffer(data, dtype="<f4").reshape(shape)


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_array)
_decoder = msgspec.msgpack.Decoder(list[_Union], dec_hook=_decode_array)
_json_encoder = msgspec.json.Encoder()
_alert_decoder = msgspec.json.Decoder(Alert)


def encode(events: Sequence[Wired], *, run: int, lineage: int, number: int, final: bool = False) -> bytes:
    """One frame."""
    body = _encoder.encode(list(events))
    flags = FINAL if final else 0
    head = _HEADER.pack(MAGIC, VERSION, flags, run, lineage, number, len(events), len(body), 0)[:_CRC]
    return head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "little") + body


def decode(frame: bytes) -> Frame:
    """The events of one frame.

    Raises:
        FrameError: not ours, another version, cut short, altered, or a body that is not events.
    """
    if len(frame) < _HEADER.size:
        raise FrameError(f"{len(frame)} bytes are no frame: the header has {_HEADER.size}")
    magic, version, flags, run, lineage, number, count, length, crc = _HEADER.unpack_from(frame)
    if magic != MAGIC:
        raise FrameError(f"not a frame of this protocol: it begins with {magic!r}")
    if version != VERSION:
        raise FrameError(f"version {version} of the protocol; this side speaks {VERSION}")
    body = memoryview(frame)[_HEADER.size :]
    if len(body) != length:
        raise FrameError(f"the body has {len(body)} bytes, the header says {length}")
    if zlib.crc32(body, zlib.crc32(memoryview(frame)[:_CRC])) != crc:
        raise FrameError("the frame does not match its checksum")
    try:
        events = _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise FrameError(f"the body is not events: {error}") from error
    if len(events) != count:
        raise FrameError(f"the body has {len(events)} events, the header says {count}")
    return Frame(run=run, lineage=lineage, number=number, final=bool(flags & FINAL), events=events)


def encode_event(event: Wired) -> bytes:
    """One event alone: what equality of events means, and how states store them."""
    return _encoder.encode(event)


def encode_alert(alert: Alert) -> bytes:
    """An alert as one JSON object, one line."""
    return _json_encoder.encode(alert)


def decode_alert(line: bytes) -> Alert:
    """The inverse of :func:`encode_alert`."""
    return _alert_decoder.decode(line)


def alert_schema() -> dict[str, Any]:
    """JSON Schema of an alert, generated from the type."""
    schema = msgspec.json.schema(Alert)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
