"""What a subscriber may ask of a publisher: MessagePack maps, told apart by ``type``."""

import msgspec
from msgspec import Struct


class Hello(Struct, frozen=True, tag="hello"):
    """A subscriber is there."""

    needed: bool
    name: str = ""
    """Of its stage; another subscriber of the same name is a former life of it. "": nobody in particular."""
    durable: bool = False
    """It writes checkpoints and says how far they reach."""


class Acknowledge(Struct, frozen=True, tag="acknowledge"):
    """All messages up to this one are handled; also says that the subscriber lives."""

    number: int


class Settled(Struct, frozen=True, tag="settled"):
    """A durable subscriber's checkpoint holds these streams up to these sequence numbers; others as before."""

    upto: dict[str, int]


class Repair(Struct, frozen=True, tag="repair"):
    """Send again what came after these sequence numbers; of streams not named: everything."""

    after: dict[str, int]
    ask: int
    """Comes back with the answer: what was asked for earlier says nothing of what is missed since."""


Request = Hello | Acknowledge | Settled | Repair
decoder = msgspec.msgpack.Decoder(Request)
