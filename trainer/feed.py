"""Batches for truncated backpropagation: so many patients side by side, each somewhere in its sequence.

A patient that has ended makes room for another. Everything that the next batch depends on is the state of
:class:`Batches`, so that a training can be taken up where it was left.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.dataset import UNKNOWN
from trainer.pool import Prepared
from trainer.recipe import Common, Count, Share
from trainer.strips import is_strip


class Mixture(Common, frozen=True, kw_only=True):
    """How batches are made."""

    chunk: Count = 96
    """Beats through which gradients reach back."""
    batch: Count = 32
    """Patients side by side."""
    composed: Share = 0.6
    """Share of the sequences that are composed, of those that are not strips."""
    composed_strips: Share = 0.7
    """Share, of the composed sequences, of those that are made of a strip's beats."""
    strips: Share = 0.3
    """Share that are strips."""
    second_lead: Share = 0.5
    """Share of the second lead, of those that are not strips."""


class Batches:
    """Draws sequences without end, every patient as often as any other, whatever they hold."""

    def __init__(self, sequences: Sequence[Prepared], how: Mixture, rng: np.random.Generator) -> None:
        self._sequences = sequences
        self._how = how
        self._rng = rng
        self._by: dict[tuple[str, str, int], list[int]] = {}
        for index, one in enumerate(sequences):
            self._by.setdefault((one.order.kind, one.order.record, one.order.lead), []).append(index)
        self._strips = {
            kind: [index for index, one in enumerate(sequences) if one.order.kind == kind]
            for kind in ("normal", "fibrillation")
        }
        orders = [one.order for one in sequences]
        self._records = {
            kind: sorted({order.record for order in orders if order.kind == kind and not is_strip(order.record)})
            for kind in ("recorded", "composed")
        }
        self._composed_strips = [
            index for index, order in enumerate(orders) if order.kind == "composed" and is_strip(order.record)
        ]
        self._bag: list[str] = []
        self._slots: list[tuple[int, int] | None] = [None] * how.batch
        """Sequence and next beat of each patient."""
        self._begun = False

    def next(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x [T, B, …], f, labels [T, B] with UNKNOWN where a patient's beats have ended, and [B, 1] 0 where a new
        patient begins, 1 elsewhere."""
        T, B = self._how.chunk, self._how.batch
        xs, fs, labels, same = [], [], [], torch.ones(B, 1)
        for b in range(B):
            slot = self._slots[b]
            if slot is None or slot[1] >= len(self._sequences[slot[0]].labels):
                index = self.draw()
                n = len(self._sequences[index].labels)
                # A patient may be met at any time; at the beginning not all should be met at theirs.
                reach = 0 if n < 2 * T else (n // 3 if self._begun else 3 * n // 4)
                slot = (index, int(self._rng.integers(0, reach + 1)))
                same[b] = 0.0
            index, at = slot
            one = self._sequences[index]
            n = min(T, len(one.labels) - at)
            x = np.zeros((T, *one.x.shape[1:]), np.float16)
            f = np.zeros((T, one.f.shape[1]), np.float32)
            y = np.full(T, UNKNOWN, np.int64)
            x[:n], f[:n], y[:n] = one.x[at : at + n], one.f[at : at + n], one.labels[at : at + n]
            xs.append(x)
            fs.append(f)
            labels.append(y)
            self._slots[b] = (index, at + T)
        self._begun = True
        return (
            torch.from_numpy(np.stack(xs, 1)).float(),
            torch.from_numpy(np.stack(fs, 1)),
            torch.from_numpy(np.stack(labels, 1)),
            same,
        )

    def draw(self) -> int:
        """Index of the next sequence."""
        rng, how = self._rng, self._how
        if self._strips["normal"] and rng.random() < how.strips:
            return self._one_of(self._strips["fibrillation" if rng.random() < 0.5 else "normal"])
        lead = int(rng.random() < how.second_lead)
        records = self._records["composed"]
        if records and rng.random() < how.composed:
            if self._composed_strips and rng.random() < how.composed_strips:
                return self._one_of(self._composed_strips)
            there = self._by.get(("composed", records[int(rng.integers(len(records)))], lead))
            if there:
                return self._one_of(there)
        if not self._bag:
            self._bag = [str(record) for record in rng.permutation(self._records["recorded"])]
        return self._one_of(self._by["recorded", self._bag.pop(), lead])

    def _one_of(self, indices: list[int]) -> int:
        return indices[int(self._rng.integers(len(indices)))]

    def state(self) -> dict[str, Any]:
        """Everything that the next batches depend on, besides the sequences; plain types."""
        return {
            "rng": self._rng.bit_generator.state,
            "bag": list(self._bag),
            "slots": list(self._slots),
            "begun": self._begun,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`, with the same sequences."""
        self._rng.bit_generator.state = state["rng"]
        self._bag = list(state["bag"])
        self._slots = [None if slot is None else (slot[0], slot[1]) for slot in state["slots"]]
        self._begun = state["begun"]
