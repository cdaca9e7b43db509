"""The training's sequences, prepared once and held in memory: every recording several times over, each time changed.

Three kinds: recordings with augmented signals; rhythms composed of a patient's own beats (``trainer.composition``); and
recordings whose rhythm alone is known (``trainer.strips``), as negatives. Of their beats rhythms are composed, too:
hundreds of patients where the annotated recordings have dozens.
"""

import concurrent.futures
import functools
import multiprocessing
from collections.abc import Callable
from collections.abc import Sequence as Several
from dataclasses import replace
from typing import Any, Literal, TypeVar

import numpy as np
from msgspec import Struct

from monitor.beats import FEATURES
from monitor.config import Settings
from monitor.events import CLASSES
from trainer.composition import composed, repeated
from trainer.dataset import (
    UNKNOWN,
    Ints,
    Recording,
    Sequence,
    augmented,
    find_beats,
    mild,
    prepare,
    read,
    read_noise,
    read_signal,
)
from trainer.lenders import EctopicP, Fibrillation, Lent, Ventricular
from trainer.protocols import Protocol
from trainer.strips import is_short, is_strip, strips

Kind = Literal["recorded", "composed", "normal", "fibrillation"]

_COMPOSED_S = 1500.0
"""Length of a composed rhythm: about as many beats as a recording has."""
_COMPOSED_STRIP_S = 600.0
"""The same of a strip's beats, of which there are thirty to sixty: rather more patients than longer rhythms."""
_REPEATED_S = 300.0
"""Length of a strip of fibrillation that is repeated: long enough for what is usual to be known."""
_LIKE = 0.9
"""Correlation with the dominant shape from which a strip's beat is one of its usual ones."""
_FEWEST = 15
"""Beats; a strip with fewer has no usual ones."""
_AT_HAND = 4
"""Recordings of each kind that a process keeps: what is made of one is made one after the other."""
_SHORT_VERSIONS: dict[Kind, int] = {"normal": 1, "fibrillation": 3}
"""Versions of each short strip, the first as recorded; those of fibrillation are fewer, and the others are repeated."""


class Order(Struct, frozen=True):
    """One sequence to prepare; the same order gives the same sequence."""

    kind: Kind
    record: str
    lead: int
    copy: int
    """0: as recorded."""
    seed: int


class Prepared(Struct, frozen=True):
    order: Order
    x: Any
    """[beat, CHANNELS, LENGTH] float16: half the memory, and finer than any electrode."""
    f: Any
    """[beat, feature] float32"""
    labels: Any
    """[beat] int8"""


def orders(
    protocol: Protocol, seed: int, copies: int, composed_copies: int, strip_copies: int, settings: Settings
) -> list[Order]:
    """All that a training prepares; both leads."""
    out = []
    for record in protocol.train:
        for lead in (0, 1):
            out += [Order("recorded", record, lead, copy, seed) for copy in range(copies)]
            if protocol.composed:
                out += [Order("composed", record, lead, copy, seed) for copy in range(1, composed_copies + 1)]
    if protocol.strips:
        for name, lead, rhythm in strips(settings):
            versions = _SHORT_VERSIONS[rhythm] if is_short(name) else copies
            out += [Order(rhythm, name, lead, copy, seed) for copy in range(versions)]
            if protocol.composed:
                out += [Order("composed", name, lead, copy, seed) for copy in range(1, strip_copies + 1)]
    return out


_worker: dict[str, Any] = {}


def _start(protocol: Protocol, settings: Settings) -> None:
    for kept in (_shown, _strip, _usual_strip):
        kept.cache_clear()  # of another protocol
    fibrillating = [one for one in strips(settings) if one.rhythm == "fibrillation"] if protocol.strips else []
    _worker.update(
        protocol=protocol, settings=settings, noises=read_noise(settings), fibrillating=fibrillating, lent={}
    )


def _prepare(order: Order) -> Prepared | None:
    """The sequence of an order; None where the recording does not give one."""
    settings: Settings = _worker["settings"]
    digits = [int(word) for word in "".join(c if c.isdigit() else " " for c in order.record).split()]
    rng = np.random.default_rng(
        [order.seed, order.copy, order.lead, ("recorded", "composed").count(order.kind), *digits]
    )
    strip = is_strip(order.record)
    known = _strip(order.record, order.lead) if strip else _shown(order.record, order.lead)
    recording: Recording | None = known
    if order.kind == "composed" and strip:
        fibrillating = order.record in {one.record for one in _worker["fibrillating"]}
        usual = _usual_strip(order.record, order.lead)
        recording = composed(
            usual, rng, _COMPOSED_STRIP_S, lent=_lent(rng, ventricular=True), fibrillating=fibrillating
        )
    elif order.kind == "composed":
        recording = composed(known, rng, _COMPOSED_S, lent=_lent(rng), fibrillating=known.fibrillates)
    elif order.kind == "fibrillation" and order.copy > 0 and is_short(order.record):
        recording = repeated(_usual_strip(order.record, order.lead), _REPEATED_S)
    if recording is None:
        return None
    if order.copy > 0:
        recording = augmented(recording, mild(rng), _worker["noises"])
    sequence = prepare(recording, settings)
    labels = sequence.labels
    if strip and order.kind != "composed":
        if len(labels) < _FEWEST:
            return None
        labels = _usual(sequence)
    return Prepared(order, sequence.x.astype(np.float16), sequence.f, labels.astype(np.int8))


def _usual(sequence: Sequence) -> Ints:
    """Labels [beat] of a strip that is normal or fibrillates: N where a beat looks like the others."""
    usual = sequence.f[:, FEATURES.index("likeness")] >= _LIKE
    clear = sequence.f[:, FEATURES.index("quality")] < 1.0
    labels = np.where(usual & clear, CLASSES.index("N"), UNKNOWN)
    labels[:1] = UNKNOWN
    return labels


@functools.lru_cache(maxsize=_AT_HAND)
def _shown(record: str, lead: int) -> Recording:
    """One lead with the labels that may be learnt from."""
    protocol: Protocol = _worker["protocol"]
    return protocol.shown(read(record, lead, _worker["settings"]))


@functools.lru_cache(maxsize=_AT_HAND)
def _strip(name: str, lead: int) -> Recording:
    """A strip, without reference."""
    nothing = np.zeros(0, np.int64)
    return Recording(name, lead, read_signal(name, lead, _worker["settings"]), nothing, nothing)


@functools.lru_cache(maxsize=_AT_HAND)
def _usual_strip(name: str, lead: int) -> Recording:
    """A strip with those of its beats that look like the others for a reference."""
    return with_usual_beats(_strip(name, lead), _worker["settings"])


def with_usual_beats(recording: Recording, settings: Settings) -> Recording:
    """A recording without reference with those of its beats for one that look like the others, as N."""
    at = np.array([beat.sample for beat in find_beats(recording.signal, settings)], dtype=np.int64)
    return replace(recording, samples=at, labels=_usual(prepare(recording, settings)))


def _lent(rng: np.random.Generator, *, ventricular: bool = False) -> Lent:
    """What the training's patients and strips lend to one, by chance; no ventricular beats without ``ventricular``: it
    has its own."""
    protocol: Protocol = _worker["protocol"]
    leads = [(record, lead) for record in protocol.lenders for lead in (0, 1)]
    fibrillating = [(one.record, lead) for lead in (0, 1) for one in _worker["fibrillating"] if one.lead == lead]
    return Lent(
        ventricular=_of_one(rng, Ventricular.of, leads, _shown) if ventricular else None,
        p=_of_one(rng, EctopicP.of, leads, _shown),
        fibrillation=_of_one(rng, Fibrillation.of, fibrillating, _usual_strip),
    )


_Lends = TypeVar("_Lends")


def _of_one(
    rng: np.random.Generator,
    lends: Callable[[Recording], _Lends | None],
    leads: Several[tuple[str, int]],
    opened: Callable[[str, int], Recording],
) -> _Lends | None:
    """What one of these (record, lead) lends; None where nobody has anything."""
    known: dict[Any, _Lends | None] = _worker["lent"]
    for k in rng.permutation(len(leads)):
        key = (lends, *leads[k])
        if key not in known:
            known[key] = lends(opened(*leads[k]))
        if (lent := known[key]) is not None:
            return lent
    return None


def prepared(wanted: Several[Order], protocol: Protocol, settings: Settings, processes: int) -> list[Prepared]:
    """The sequences of the orders, in their order."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, context, _start, (protocol, settings)) as pool:
        return [one for one in pool.map(_prepare, wanted, chunksize=8) if one is not None]


def as_sequence(one: Prepared) -> Sequence:
    return Sequence(one.order.record, one.order.lead, one.x.astype(np.float32), one.f, one.labels.astype(np.int64))
