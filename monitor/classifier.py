"""Beats → verdicts: the classifier's core. Hidden state per stream, one batched step for all beats that are ready.

``push`` takes the detector's events of any number of streams and returns them renumbered, each Beat replaced by its
Verdict.

Laws: a stream's verdicts depend on its own beats alone. To the last bit: matrix products of different batch sizes
round differently, so every batch is filled up to one fixed size (``TILE``), where a row's result depends on nothing
but the row.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import torch

from monitor import beats
from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import (
    CLASSES,
    Beat,
    Closed,
    Event,
    Floats,
    Level,
    Numbering,
    Opened,
    Verdict,
    by_stream,
)
from monitor.network import EMBEDDING, HIDDEN, Network

TILE = 32
"""Rows of every batch: one patient's beat then costs 3 ms, and in full tiles a beat costs a tenth of a millisecond."""

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
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._patients = np.zeros(0, beats.STATE)
        self._hidden: Floats = np.zeros((0, HIDDEN), dtype=np.float32)
        self._numbers = Numbering()

    def push(self, events: Sequence[Event]) -> list[Event]:
        """Events of the detector's link in, the same with verdicts for beats out."""
        seen: set[str] = set()
        for at, event in enumerate(events):
            if isinstance(event, Opened) and event.stream in seen:  # a name is used anew: first finish the old stream
                return self.push(events[:at]) + self.push(events[at:])
            seen.add(event.stream)
        parted = by_stream(events)
        ready = {stream: [e for e in parted[stream] if isinstance(e, Beat)] for stream in parted}
        verdicts = self._judge({stream: found for stream, found in ready.items() if found}, parted)
        out: list[Event] = []
        for stream, own in parted.items():
            judged = iter(verdicts.get(stream, ()))
            for event in own:
                number = self._numbers.next(stream)
                source = next(judged) if isinstance(event, Beat) else event
                out.append(msgspec.structs.replace(source, seq=number))
                if isinstance(event, Closed):
                    self._forget(stream)
        return out

    def state(self) -> dict[str, Any]:
        """Everything that the next verdicts depend on; plain types and bytes."""
        return {
            "rows": dict(self._rows),
            "free": list(self._free),
            "patients": self._patients.tobytes(),
            "hidden": self._hidden.tobytes(),
            "numbers": self._numbers.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        self._rows = dict(state["rows"])
        self._free = list(state["free"])
        self._patients = np.frombuffer(state["patients"], beats.STATE).copy()
        self._hidden = np.frombuffer(state["hidden"], np.float32).reshape(-1, HIDDEN).copy()
        self._numbers.restore(state["numbers"])

    def _judge(self, ready: dict[str, list[Beat]], parted: dict[str, list[Event]]) -> dict[str, list[Verdict]]:
        for stream, own in parted.items():
            if isinstance(own[0], Opened):
                self._forget(stream)
        flat = [(self._row(stream), beat) for stream, own in ready.items() for beat in own]
        if not flat:
            return {}
        before = {stream: int(self._patients[self._row(stream)]["last"]) for stream in ready}
        rows = np.array([row for row, _ in flat], dtype=np.int64)
        x, f = beats.empty(len(flat))
        beats.step_many(
            self._patients,
            rows,
            np.stack([beat.window for _, beat in flat]),
            np.array([beat.sample for _, beat in flat], dtype=np.int64),
            np.array([beat.after_gap for _, beat in flat], dtype=np.bool_),
            np.array([beat.search_back for _, beat in flat], dtype=np.bool_),
            np.array([_LEVELS[beat.level] for _, beat in flat], dtype=np.int64),
            x,
            f,
        )
        seen = self._look(x, f)
        probabilities = np.zeros((len(flat), len(CLASSES)), dtype=np.float32)
        # Round k takes the k-th beat of every stream that has so many.
        first = np.cumsum([0] + [len(own) for own in ready.values()])[:-1]
        lengths = [len(own) for own in ready.values()]
        for k in range(max(lengths)):
            now = np.array([start + k for start, n in zip(first, lengths, strict=True) if k < n], dtype=np.int64)
            probabilities[now], self._hidden[rows[now]] = self._step(seen[now], self._hidden[rows[now]])
        out: dict[str, list[Verdict]] = {}
        at = 0
        for stream, found in ready.items():
            last = before[stream]
            judged = out.setdefault(stream, [])
            for beat in found:
                judged.append(_verdict(beat, probabilities[at], None if beat.after_gap else beat.sample - last))
                last = beat.sample
                at += 1
        return out

    def _look(self, x: Floats, f: Floats) -> Floats:
        seen = np.empty((len(x), EMBEDDING), dtype=np.float32)
        for at in range(0, len(x), TILE):
            tile = slice(at, at + TILE)
            with torch.inference_mode():
                result = self._network.look(self._filled(x[tile]), self._filled(f[tile]))
            seen[tile] = result[: len(x[tile])].cpu().numpy()
        return seen

    def _step(self, seen: Floats, hidden: Floats) -> tuple[Floats, Floats]:
        probabilities = np.empty((len(seen), len(CLASSES)), dtype=np.float32)
        after = np.empty_like(hidden)
        for at in range(0, len(seen), TILE):
            tile = slice(at, at + TILE)
            with torch.inference_mode():
                logits, new = self._network.step(self._filled(seen[tile]), self._filled(hidden[tile]))
                result = torch.softmax(logits, dim=-1)
            n = len(seen[tile])
            probabilities[tile] = result[:n].cpu().numpy()
            after[tile] = new[:n].cpu().numpy()
        return probabilities, after

    def _filled(self, rows: Floats) -> torch.Tensor:
        """``rows`` filled up with zeros to one tile, on the device."""
        tile = np.zeros((TILE, *rows.shape[1:]), dtype=np.float32)
        tile[: len(rows)] = rows
        return torch.from_numpy(tile).to(self._device)

    def _row(self, stream: str) -> int:
        if stream not in self._rows:
            if not self._free:
                size = len(self._patients)
                grown = max(4, 2 * size)
                self._patients = np.concatenate((self._patients, np.zeros(grown - size, beats.STATE)))
                self._hidden = np.concatenate((self._hidden, np.zeros((grown - size, HIDDEN), dtype=np.float32)))
                self._free = list(range(grown - 1, size - 1, -1))
            row = self._free.pop()
            self._rows[stream] = row
            self._patients[row] = np.zeros((), beats.STATE)
            self._hidden[row] = 0.0
        return self._rows[stream]

    def _forget(self, stream: str) -> None:
        row = self._rows.pop(stream, None)
        if row is not None:
            self._free.append(row)


def _verdict(beat: Beat, probabilities: Floats, rr: int | None) -> Verdict:
    p = [round(float(value), 4) for value in probabilities]
    return Verdict(
        stream=beat.stream,
        seq=beat.seq,
        sample=beat.sample,
        label=CLASSES[int(np.argmax(probabilities))],
        probabilities=(p[0], p[1], p[2], p[3], p[4]),
        rr=rr,
        level=beat.level,
        amplitude=beat.amplitude,
        p_likeness=beat.p_likeness,
        p_amplitude=beat.p_amplitude,
    )
