"""Fits the network: truncated backpropagation through time over patients' whole sequences of beats.

Every epoch each recording is prepared anew from an augmented signal, in a second process that works ahead; the state
of the GRU is carried along a patient from chunk to chunk, gradients are cut at the chunks' borders. The weights kept
are a running mean over the steps (Polyak averaging), which is steadier than any single step's.
"""

import concurrent.futures
import csv
import hashlib
import json
import multiprocessing
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
from trainer.dataset import UNKNOWN, Recording, Sequence, augmented, draw, prepare, read, read_noise
from trainer.protocols import Protocol


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a training depends on besides the data; stored with the weights."""

    seed: int = 0
    epochs: int = 40
    chunk: int = 64
    """Beats through which gradients reach back."""
    batch: int = 22
    """Patients side by side."""
    rate: float = 2e-3
    """Largest learning rate of AdamW; warmed up over the first epoch, then a cosine to zero."""
    decay: float = 1e-2
    dropout: float = 0.2
    temper: float = 0.25
    """Exponent on the inverse class frequency in the loss: full weights (1) hurt (LOG.md)."""
    smoothing: float = 0.02
    averaging: float = 0.995
    """Share of the running mean that is kept at each step."""


_worker: dict[str, Any] = {}


def _start_worker(records: tuple[str, ...], settings: Settings) -> None:
    _worker["settings"] = settings
    _worker["recordings"] = [[read(record, lead, settings) for lead in (0, 1)] for record in records]
    _worker["noises"] = read_noise(settings)


def _draw_epoch(seed: int, epoch: int) -> list[Sequence]:
    rng = np.random.default_rng((seed, epoch))
    out = []
    for leads in _worker["recordings"]:
        recording: Recording = leads[0 if rng.random() < 0.65 else 1]
        out.append(prepare(augmented(recording, draw(rng), _worker["noises"]), _worker["settings"]))
    return out


def chunks(sequences: list[Sequence], recipe: Recipe, rng: np.random.Generator) -> Iterator[tuple[Tensor, ...]]:
    """Batches of patients, cut along time: (x [T, B, …], f, labels [T, B], begins) with UNKNOWN where a patient's
    beats have ended; ``begins`` is True where the state starts from zero."""
    order = rng.permutation(len(sequences))
    for at in range(0, len(order), recipe.batch):
        group = [sequences[i] for i in order[at : at + recipe.batch]]
        # A patient may be met at any time: start a random stretch in.
        starts = [int(rng.integers(0, max(len(s.labels) // 4, 1))) for s in group]
        longest = max(len(s.labels) - start for s, start in zip(group, starts, strict=True))
        for begin in range(0, longest, recipe.chunk):
            T = min(recipe.chunk, longest - begin)
            x = np.zeros((T, len(group), *group[0].x.shape[1:]), dtype=np.float32)
            f = np.zeros((T, len(group), group[0].f.shape[1]), dtype=np.float32)
            labels = np.full((T, len(group)), UNKNOWN, dtype=np.int64)
            for b, (s, start) in enumerate(zip(group, starts, strict=True)):
                piece = slice(start + begin, start + begin + T)
                n = len(s.labels[piece])
                x[:n, b], f[:n, b], labels[:n, b] = s.x[piece], s.f[piece], s.labels[piece]
            yield torch.from_numpy(x), torch.from_numpy(f), torch.from_numpy(labels), torch.tensor(begin == 0)


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
        counts += np.bincount(recording.labels, minlength=len(CLASSES))
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
) -> Path:
    """Trains, writes ``out``/weights.safetensors and ``out``/log.csv, and returns the weights' path.

    ``tell(epoch, figures)`` is called after every epoch. Deterministic by ``recipe.seed`` on one machine.
    """
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(recipe.seed)
    held_out = [prepare(read(record, 0, settings), settings) for record in protocol.validate]
    network = Network(recipe.dropout)
    kept = Network(recipe.dropout)
    kept.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    weights = class_weights([read(record, 0, settings) for record in protocol.train], recipe.temper)
    figures: list[dict[str, float]] = []
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, _start_worker, (protocol.train, settings)) as pool:
        ahead = [pool.submit(_draw_epoch, recipe.seed, epoch) for epoch in range(min(2, recipe.epochs))]
        for epoch in range(recipe.epochs):
            sequences = ahead.pop(0).result()
            if epoch + 2 < recipe.epochs:
                ahead.append(pool.submit(_draw_epoch, recipe.seed, epoch + 2))
            total, count = 0.0, 0
            hidden = torch.zeros(0, HIDDEN)
            for step, (x, f, labels, begins) in enumerate(chunks(sequences, recipe, rng)):
                progress = epoch + step / 40.0
                scale = progress if progress < 1 else 0.5 * (1 + np.cos(np.pi * min(progress / recipe.epochs, 1.0)))
                for group in optimizer.param_groups:
                    group["lr"] = recipe.rate * scale
                hidden = torch.zeros(x.shape[1], HIDDEN) if bool(begins) else hidden.detach()
                logits, hidden = run_over(network, x, f, hidden)
                loss = nn.functional.cross_entropy(
                    logits.flatten(0, 1),
                    labels.flatten(),
                    weight=weights,
                    ignore_index=UNKNOWN,
                    label_smoothing=recipe.smoothing,
                )
                if not bool(torch.isfinite(loss)):
                    continue  # every patient of the batch has ended
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                average(kept, network, recipe.averaging)
                total += float(loss.detach())
                count += 1
            row = {"epoch": float(epoch + 1), "train_loss": total / max(count, 1)}
            if held_out:
                row |= validate(kept, held_out)
            figures.append(row)
            tell(epoch + 1, row)
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
        "last_epoch": figures,
    }
