"""Fits the network: truncated backpropagation through time over patients' whole sequences of beats.

A batch is so many patients side by side, each somewhere in its sequence. The state of the GRU is carried along a
patient from step to step, gradients are cut at the steps' borders; a patient that has ended makes room for another. The
weights kept are a running mean over the steps (Polyak averaging), which is steadier than any single step's.
"""

import csv
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from monitor.checkpoint import save
from monitor.config import Settings
from monitor.events import CLASSES
from monitor.network import HIDDEN, Network
from replay import physionet
from trainer.dataset import UNKNOWN, Recording, Sequence, prepare, read
from trainer.pool import Prepared, orders, prepared
from trainer.protocols import Protocol


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a training depends on besides the data; stored with the weights."""

    seed: int = 0
    steps: int = 350
    """Of the optimizer. More fit the training patients better and others worse (LOG.md)."""
    chunk: int = 96
    """Beats through which gradients reach back."""
    batch: int = 32
    """Patients side by side."""
    rate: float = 3e-3
    """Largest learning rate of AdamW; warmed up over 40 steps, then a cosine to zero."""
    decay: float = 1e-2
    dropout: float = 0.2
    temper: float = 0.25
    """Exponent on the inverse class frequency in the loss: full weights (1) hurt (LOG.md)."""
    smoothing: float = 0.05
    averaging: float = 0.99
    """Share of the running mean that is kept at each step."""
    copies: int = 4
    """Versions of each lead of each recording, the first as recorded."""
    composed_copies: int = 4
    """Composed rhythms of each lead of each recording."""
    composed: float = 0.4
    """Share of the sequences that are composed, of those that are not strips."""
    strips: float = 0.3
    """Share that are strips."""
    second_lead: float = 0.5
    mixed: bool = True
    """Products in bfloat16, weights and sums in float32: half the time where the processor has AVX-512 BF16 or AMX."""
    reports: int = 4
    """Times that the validation patients are looked at."""


class Feed:
    """Draws sequences without end: every patient as often as any other, whatever they hold."""

    def __init__(self, sequences: list[Prepared], recipe: Recipe, rng: np.random.Generator) -> None:
        self._rng = rng
        self._recipe = recipe
        self._by: dict[tuple[str, str, int], list[Prepared]] = {}
        for one in sequences:
            self._by.setdefault((one.order.kind, one.order.record, one.order.lead), []).append(one)
        self._strips = {
            kind: [one for one in sequences if one.order.kind == kind] for kind in ("normal", "fibrillation")
        }
        self._records = {
            kind: sorted({record for k, record, _ in self._by if k == kind}) for kind in ("recorded", "composed")
        }
        self._bag: list[str] = []

    def next(self) -> Prepared:
        rng, recipe = self._rng, self._recipe
        if self._strips["normal"] and rng.random() < recipe.strips:
            chosen = self._strips["fibrillation" if rng.random() < 0.5 else "normal"]
            return chosen[int(rng.integers(len(chosen)))]
        lead = int(rng.random() < recipe.second_lead)
        if self._records["composed"] and rng.random() < recipe.composed:
            records = self._records["composed"]
            there = self._by.get(("composed", records[int(rng.integers(len(records)))], lead))
            if there:
                return there[int(rng.integers(len(there)))]
        if not self._bag:
            self._bag = [str(record) for record in rng.permutation(self._records["recorded"])]
        there = self._by["recorded", self._bag.pop(), lead]
        return there[int(rng.integers(len(there)))]


def batches(feed: Feed, recipe: Recipe, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Without end: x [T, B, …], f, labels [T, B] with UNKNOWN where a patient's beats have ended, and [B, 1] 0 where a
    new patient begins, 1 elsewhere."""
    T, B = recipe.chunk, recipe.batch
    slots: list[tuple[Prepared, int] | None] = [None] * B
    first = True
    while True:
        xs, fs, labels, same = [], [], [], torch.ones(B, 1)
        for b in range(B):
            slot = slots[b]
            if slot is None or slot[1] >= len(slot[0].labels):
                one = feed.next()
                n = len(one.labels)
                # A patient may be met at any time; at the beginning not all should be met at theirs.
                reach = 0 if n < 2 * T else (3 * n // 4 if first else n // 3)
                slot = (one, int(rng.integers(0, reach + 1)))
                same[b] = 0.0
            one, at = slot
            n = min(T, len(one.labels) - at)
            x = np.zeros((T, *one.x.shape[1:]), np.float16)
            f = np.zeros((T, one.f.shape[1]), np.float32)
            y = np.full(T, UNKNOWN, np.int64)
            x[:n], f[:n], y[:n] = one.x[at : at + n], one.f[at : at + n], one.labels[at : at + n]
            xs.append(x)
            fs.append(f)
            labels.append(y)
            slots[b] = (one, at + T)
        first = False
        yield (
            torch.from_numpy(np.stack(xs, 1)).float(),
            torch.from_numpy(np.stack(fs, 1)),
            torch.from_numpy(np.stack(labels, 1)),
            same,
        )


def run_over(network: Network, x: Tensor, f: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """``look`` and ``forward`` on [T, B] beats."""
    T, B = x.shape[:2]
    seen = network.look(x.flatten(0, 1), f.flatten(0, 1)).reshape(T, B, -1)
    logits, hidden = network(seen, hidden)
    return logits, hidden


def class_weights(recordings: list[Recording], temper: float) -> Tensor:
    """Tempered inverse frequencies, mean 1 over the beats."""
    counts = np.zeros(len(CLASSES))
    for recording in recordings:
        counts += np.bincount(recording.labels[recording.labels != UNKNOWN], minlength=len(CLASSES))
    weights = (counts.sum() / np.maximum(counts, 50.0)) ** temper
    return torch.tensor(weights / (weights * counts).sum() * counts.sum(), dtype=torch.float32)


def average(kept: Network, network: Network, share: float) -> None:
    """Polyak's running mean: ``kept`` moves towards ``network``."""
    with torch.no_grad():
        for mean, new in zip(kept.parameters(), network.parameters(), strict=True):
            mean.lerp_(new, 1.0 - share)


def validate(network: Network, sequences: list[Sequence]) -> dict[str, float]:
    """F1 by class over the beats that were found, and loss; for choosing, not for reporting."""
    network.eval()
    confusion = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    loss, count = 0.0, 0
    with torch.inference_mode():
        for s in sequences:
            logits, _ = run_over(
                network, torch.from_numpy(s.x)[:, None], torch.from_numpy(s.f)[:, None], torch.zeros(1, HIDDEN)
            )
            labels = torch.from_numpy(s.labels)
            loss += float(nn.functional.cross_entropy(logits[:, 0], labels, ignore_index=UNKNOWN, reduction="sum"))
            known = s.labels != UNKNOWN
            count += int(known.sum())
            np.add.at(confusion, (s.labels[known], logits[:, 0].argmax(-1).numpy()[known]), 1)
    network.train()
    out = {"loss": loss / max(count, 1)}
    for k, name in enumerate(CLASSES):
        hit = confusion[k, k]
        out[name.value] = float(2 * hit / max(confusion[k].sum() + confusion[:, k].sum(), 1))
    return out


def fit(
    protocol: Protocol,
    recipe: Recipe,
    settings: Settings,
    out: Path,
    tell: Callable[[int, dict[str, float]], None],
    processes: int = 2,
) -> Path:
    """Trains, writes ``out``/weights.safetensors and ``out``/log.csv, and returns the weights' path.

    ``tell(step, figures)`` is called ``recipe.reports`` times. Deterministic by ``recipe.seed`` on one machine.
    """
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(recipe.seed)
    wanted = orders(protocol, recipe.seed, recipe.copies, recipe.composed_copies, settings)
    sequences = prepared(wanted, protocol, settings, processes)
    held_out = [prepare(read(record, 0, settings), settings) for record in protocol.validate]
    weights = class_weights([protocol.shown(read(record, 0, settings)) for record in protocol.train], recipe.temper)
    network, kept = Network(recipe.dropout), Network(recipe.dropout)
    kept.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    hidden = torch.zeros(recipe.batch, HIDDEN)
    figures: list[dict[str, float]] = []
    total, count = 0.0, 0
    every = max(recipe.steps // recipe.reports, 1)
    for step, (x, f, labels, same) in enumerate(batches(Feed(sequences, recipe, rng), recipe, rng)):
        if step == recipe.steps:
            break
        scale = min(1.0, step / 40.0) * 0.5 * (1.0 + np.cos(np.pi * step / recipe.steps))
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * scale
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.mixed):
            logits, hidden = run_over(network, x, f, hidden.detach() * same)
        loss = nn.functional.cross_entropy(
            logits.float().flatten(0, 1),
            labels.flatten(),
            weight=weights,
            ignore_index=UNKNOWN,
            label_smoothing=recipe.smoothing,
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        # The mean begins short: what it began with is nothing worth keeping.
        average(kept, network, min(recipe.averaging, (step + 1) / (step + 10)))
        total, count = total + float(loss.detach()), count + 1
        if (step + 1) % every == 0:
            row = {"step": float(step + 1), "train_loss": total / count}
            if held_out:
                row |= validate(kept, held_out)
            figures.append(row)
            tell(step + 1, row)
            total, count = 0.0, 0
    path = out / "weights.safetensors"
    save(path, kept, origin(protocol, recipe, settings, figures[-1]))
    with (out / "log.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(figures[0]))
        writer.writeheader()
        writer.writerows(figures)
    return path


def origin(protocol: Protocol, recipe: Recipe, settings: Settings, figures: dict[str, float]) -> dict[str, Any]:
    """Where weights come from: protocol, recipe, hashes of the data, commit."""
    hashes = {}
    for record in protocol.train:
        digest = hashlib.sha256()
        for suffix in (".dat", ".atr"):
            digest.update(Path(f"{physionet.locate(record, settings.data)}{suffix}").read_bytes())
        hashes[record] = digest.hexdigest()[:16]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    ).stdout.strip()
    return {
        "protocol": protocol.name,
        "recipe": json.loads(msgspec.json.encode(recipe)),
        "data_sha256": hashes,
        "commit": commit or "unknown",
        "last_report": figures,
    }
