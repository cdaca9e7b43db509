"""Beats → verdicts: the classifier's core. Hidden state per lead, one batched step for all beats that are ready.

``push`` takes the detector's events of any number of streams and returns them renumbered, each Beat replaced by its
Verdict.

Laws: a lead's verdicts depend on its own beats alone. To the last bit: matrix products of different batch sizes
may round differently, so batches are cut into tiles of fixed sizes, the last filled up, where a row's result depends on
nothing but the row. Which sizes those are is looked at first: those that were seen to give the bits of one of them.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from monitor import beats
from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import (
    CLASSES,
    Beat,
    Closed,
    Event,
    Floats,
    Lead,
    Level,
    Numbering,
    Opened,
    Verdict,
    by_stream,
)
from monitor.network import EMBEDDING, HIDDEN, Network

TILES = tuple(range(8, 129, 8))
"""Rows of a tile, as far as they give the same bits. Fewer would save little, since a call costs as much as a dozen
rows; with more, the intermediate results no longer lie in the cache."""
TILE = 32
"""The size whose bits they must give; it is always used."""

_DECIMALS = 4
"""Of a probability."""
_LEVELS = {Level.GOOD: 0, Level.NOISY: 1, Level.UNUSABLE: 2}


def choose_device(wanted: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU.

    Raises:
        UserError: CUDA was asked for and is not there.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "--device cuda: this machine has no CUDA device that torch can use; --device cpu works anywhere"
        )
    return torch.device(wanted)


class Classifier:
    """The core; see the module's laws."""

    def __init__(self, settings: Settings, network: Network, device: torch.device) -> None:
        if device.type == "cpu":
            torch.set_num_threads(settings.classifier.threads)
        self._device = device
        self._network = network.to(device).eval()
        self._rows: dict[Lead, int] = {}
        self._free: list[int] = []
        self._patients = np.zeros(0, beats.STATE)
        self._hidden: Floats = np.zeros((0, HIDDEN), dtype=np.float32)
        self._numbers = Numbering()
        self._tiles = self._agreeing()

    def push(self, events: Sequence[Event]) -> list[Event]:
        """Events of the detector's link in, the same with verdicts for beats out."""
        seen: set[str] = set()
        for at, event in enumerate(events):
            if isinstance(event, Opened) and event.stream in seen:  # a name is used anew: first finish the old stream
                return self.push(events[:at]) + self.push(events[at:])
            seen.add(event.stream)
        parted = by_stream(events)
        for stream, own in parted.items():
            if isinstance(own[0], Opened):
                self._forget(stream)
        found: dict[Lead, list[Beat]] = {}
        for event in events:
            if isinstance(event, Beat):
                found.setdefault((event.stream, event.lead), []).append(event)
        judged = self._judge(found)
        out: list[Event] = []
        for stream, own in parted.items():
            for event in own:
                number = self._numbers.next(stream)
                if isinstance(event, Beat):
                    out.append(_verdict(event, number, *next(judged[stream, event.lead])))
                else:
                    out.append(msgspec.structs.replace(event, seq=number))
                if isinstance(event, Closed):
                    self._forget(stream)
        return out

    def state(self) -> dict[str, Any]:
        """Everything that the next verdicts depend on; plain types and bytes."""
        return {
            "rows": [[*key, row] for key, row in self._rows.items()],
            "free": list(self._free),
            "patients": self._patients.tobytes(),
            "hidden": self._hidden.tobytes(),
            "numbers": self._numbers.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._rows = {(stream, lead): row for stream, lead, row in state["rows"]}
        self._free = list(state["free"])
        self._patients = np.frombuffer(state["patients"], beats.STATE).copy()
        self._hidden = np.frombuffer(state["hidden"], np.float32).reshape(-1, HIDDEN).copy()
        self._numbers.restore(state["numbers"])

    def _judge(self, ready: dict[Lead, list[Beat]]) -> dict[Lead, Iterator[tuple[int, list[float], int | None]]]:
        """Class, probabilities and RR interval of every beat, lead by lead."""
        flat = [beat for own in ready.values() for beat in own]
        if not flat:
            return {}
        lengths = np.array([len(own) for own in ready.values()])
        begins = np.cumsum(lengths) - lengths
        own_rows = np.array([self._row(key) for key in ready], dtype=np.int64)
        rows = np.repeat(own_rows, lengths)
        samples = np.array([beat.sample for beat in flat], dtype=np.int64)
        after_gap = np.array([beat.after_gap for beat in flat], dtype=np.bool_)
        before = np.concatenate(([0], samples[:-1]))
        before[begins] = self._patients["last"][own_rows]
        x, f = beats.empty(len(flat))
        beats.step_many(
            self._patients,
            rows,
            np.stack([beat.window for beat in flat]),
            samples,
            after_gap,
            np.array([beat.search_back for beat in flat], dtype=np.bool_),
            np.array([_LEVELS[beat.level] for beat in flat], dtype=np.int64),
            x,
            f,
        )
        (seen,) = self._in_tiles(self._network.look, self._tiles, x, f)
        probabilities = np.zeros((len(flat), len(CLASSES)), dtype=np.float32)
        # Round k takes the k-th beat of every lead that has so many.
        for k in range(int(lengths.max())):
            now = begins[lengths > k] + k
            probabilities[now], self._hidden[rows[now]] = self._in_tiles(
                self._step, self._tiles, seen[now], self._hidden[rows[now]]
            )
        labels = probabilities.argmax(axis=1).tolist()
        shares = probabilities.astype(np.float64).round(_DECIMALS).tolist()
        intervals = [None if gap else rr for gap, rr in zip(after_gap, (samples - before).tolist(), strict=True)]
        told = zip(labels, shares, intervals, strict=True)
        return {key: iter(list(islice(told, len(own)))) for key, own in ready.items()}

    def _step(self, seen: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities and states of one beat of each patient."""
        logits, after = self._network.step(seen, hidden)
        return torch.softmax(logits, dim=-1), after

    def _in_tiles(
        self, function: Callable[..., Tensor | tuple[Tensor, Tensor]], sizes: Sequence[int], *rows: Floats
    ) -> list[Floats]:
        """``function`` of the rows [n, …] of each array, tile by tile: its results, [n, …] each.

        ``sizes`` of a tile rise; the last rows go into the smallest that holds them.
        """
        results: list[list[Floats]] = []
        at = 0
        while at < len(rows[0]):
            n = len(rows[0]) - at
            size = next((size for size in sizes if size >= n), sizes[-1])
            tiles = [_filled(each[at : at + size], size) for each in rows]
            with torch.inference_mode():
                given = function(*(torch.from_numpy(tile).to(self._device) for tile in tiles))
            parts = given if isinstance(given, tuple) else (given,)
            results.append([part[:n].cpu().numpy() for part in parts])
            at += size
        return [np.concatenate(parts) for parts in zip(*results, strict=True)]

    def _agreeing(self) -> list[int]:
        """The sizes of TILES that give the very bits of TILE here: that is the libraries' to say, and may differ from
        processor to processor."""
        random = np.random.default_rng(0)
        shapes = ((beats.CHANNELS, beats.LENGTH), (len(beats.FEATURES),), (EMBEDDING,), (HIDDEN,))
        x, f, seen, hidden = (random.standard_normal((TILES[-1], *shape), dtype=np.float32) for shape in shapes)
        found = {
            size: [
                *self._in_tiles(self._network.look, (size,), x, f),
                *self._in_tiles(self._step, (size,), seen, hidden),
            ]
            for size in TILES
        }
        return [
            size
            for size, given in found.items()
            if all(np.array_equal(a, b) for a, b in zip(given, found[TILE], strict=True))
        ]

    def _row(self, key: Lead) -> int:
        if key not in self._rows:
            if not self._free:
                size = len(self._patients)
                grown = max(4, 2 * size)
                self._patients = np.concatenate((self._patients, np.zeros(grown - size, beats.STATE)))
                self._hidden = np.concatenate((self._hidden, np.zeros((grown - size, HIDDEN), dtype=np.float32)))
                self._free = list(range(grown - 1, size - 1, -1))
            row = self._free.pop()
            self._rows[key] = row
            self._patients[row] = np.zeros((), beats.STATE)
            self._hidden[row] = 0.0
        return self._rows[key]

    def _forget(self, stream: str) -> None:
        for lead in (0, 1):
            row = self._rows.pop((stream, lead), None)
            if row is not None:
                self._free.append(row)


def _filled(rows: Floats, size: int) -> Floats:
    """``rows`` [n, …] filled up with zeros to so many."""
    if len(rows) == size:
        return rows
    tile = np.zeros((size, *rows.shape[1:]), dtype=np.float32)
    tile[: len(rows)] = rows
    return tile


def _verdict(beat: Beat, number: int, label: int, p: list[float], rr: int | None) -> Verdict:
    return Verdict(
        stream=beat.stream,
        seq=number,
        sample=beat.sample,
        label=CLASSES[label],
        probabilities=(p[0], p[1], p[2], p[3], p[4]),
        rr=rr,
        level=beat.level,
        amplitude=beat.amplitude,
        p_likeness=beat.p_likeness,
        p_amplitude=beat.p_amplitude,
        lead=beat.lead,
    )
