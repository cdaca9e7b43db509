"""Fits the network: truncated backpropagation through time over patients' whole sequences of beats.

A batch is so many patients side by side, each somewhere in its sequence. The state of the GRU is carried along a
patient from step to step, gradients are cut at the steps' borders; a patient that has ended makes room for another. The
weights kept are a running mean over the steps (Polyak averaging), which is steadier than any single step's.
"""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from monitor.checkpoint import save
from monitor.config import Settings
from monitor.errors import UserError
from monitor.events import CLASSES, BeatClass
from monitor.network import HIDDEN, MEMBERS, Network, together
from trainer import parallel, resume
from trainer.dataset import UNKNOWN, Recording, Sequence, prepare, read
from trainer.feed import Batches, Mixture
from trainer.origin import begun, origin
from trainer.pool import orders, prepared
from trainer.protocols import Protocol
from trainer.recipe import Amount, Below1, Count, Share, Whole

_WARM_UP = 40.0
"""Steps over which the rate rises."""
_STATE = "state.safetensors"
"""What ``resumed`` takes up, beside the weights."""


class Recipe(Mixture, frozen=True, kw_only=True):
    """Everything that a training depends on besides the data; stored with the weights."""

    steps: Count = 2600
    """Of the optimizer: the rate rises over the first 40, then falls to zero along a cosine."""
    dropout: Below1 = 0.2
    temper: Amount = 0.25
    """Exponent on the inverse class frequency in the loss: full weights (1) hurt (LOG.md)."""
    smoothing: Below1 = 0.05
    averaging: Below1 = 0.99
    """Share of the running mean that is kept at each step."""
    data_seed: Whole = 0
    """Of what is varied and composed; ``seed`` is of what the weights begin with and of the batches' order."""
    copies: Count = 4
    """Versions of each lead of each recording, the first as recorded."""
    composed_copies: Whole = 4
    """Composed rhythms of each lead of each recording."""
    strip_copies: Whole = 3
    """Composed rhythms of each strip's beats."""
    vary: Amount = 0.3
    """How far features are varied from patient to patient: standard deviation of a factor, and of a shift in that of
    the feature over all beats."""
    s_logit: float = 0.0
    """Added to the logit of S in the weights that are written: who has learnt from few patients with ectopic beats, and
    from many composed rhythms without, believes too little in them elsewhere (logit adjustment, Menon et al. 2021,
    arXiv:2007.07314; deviation: by as much as helps patients that were not learnt from, LOG.md, not by the share of the
    class). Figures that a training reports are without it."""
    v_logit: float = 0.0
    """The same of V."""
    base_share: Share = 0.0
    """Share of the weights that the training went on from in those that are written: what they knew of patients unlike
    those learnt from now is kept (Wortsman et al. 2022, 10.1109/CVPR52688.2022.00780). Figures that a training reports
    are without it."""
    mixed: bool | None = None
    """Products in bfloat16, weights and sums in float32; None: where the device is made for it (``has_bfloat16``)."""
    reports: Count = 4
    """Times that the validation patients are looked at, and that the state is written."""
    patience: Whole = 0
    """Reports without a better macro F1 on the validation patients after which the training ends; the best weights are
    kept. 0: it goes on to its end, and the last are."""


def has_bfloat16(device: torch.device) -> bool:
    """The device multiplies bfloat16 faster than float32: a GPU since NVIDIA's Ampere, or a CPU with AMX, AVX-512 BF16
    or ARM's BF16, which take half the time; other CPUs emulate it and take five times as long (trainer/LOG.md)."""
    if device.type != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # An older torch cannot tell; float32 is never very slow.
    can: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(can.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16"))


def run_over(network: Network, x: Tensor, f: Tensor, hidden: Tensor, *, mixed: bool = False) -> tuple[Tensor, Tensor]:
    """``look`` and ``forward`` on [T, B] beats, the first with its products in bfloat16 if ``mixed``: the GRUs are so
    small that this would take them longer on a CPU."""
    T, B = x.shape[:2]
    with torch.autocast(x.device.type, torch.bfloat16, enabled=mixed):
        seen = network.look(x.flatten(0, 1), f.flatten(0, 1)).reshape(T, B, -1)
    logits, hidden = network(seen.float(), hidden)
    return logits, hidden


def varied(f: Tensor, spread: Tensor, share: float) -> Tensor:
    """Features [T, B, feature] as each member is shown them, [T, B, MEMBERS, feature]: each of a patient's times a
    factor around 1 and moved by a part of its ``spread``, the same along the chunk. What is learnt has to hold for a
    patient whose features lie otherwise; and members that are shown other ones err otherwise."""
    by = share * torch.randn(2, 1, f.shape[1], MEMBERS, f.shape[2], device=f.device)
    return f.unsqueeze(2) * (1.0 + by[0]) + spread * by[1]


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


def validate(network: Network, sequences: list[Sequence], device: torch.device) -> dict[str, float]:
    """Loss, F1 by class over the beats that were found, and their mean over the classes that are there; for choosing,
    not for reporting."""
    network.eval()
    confusion = np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)
    loss, count = 0.0, 0
    with torch.inference_mode():
        for s in sequences:
            x, f = (torch.from_numpy(values)[:, None].to(device) for values in (s.x, s.f))
            logits = together(run_over(network, x, f, torch.zeros(1, HIDDEN, device=device))[0]).cpu()
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
    there = [out[name.value] for k, name in enumerate(CLASSES) if confusion[k].any()]
    out["macro"] = float(np.mean(there)) if there else 0.0
    return out


def fit(
    protocol: Protocol,
    recipe: Recipe,
    settings: Settings,
    out: Path,
    tell: Callable[[int, dict[str, float]], None],
    *,
    device: torch.device | None = None,
    base: Path | None = None,
    resumed: bool = False,
    processes: int = 2,
) -> Path:
    """Trains, writes ``out``/weights.safetensors and ``out``/log.csv, and returns the weights' path.

    What is learnt begins with the weights ``base``, else by chance.

    ``tell(step, figures)`` is called at every report. Deterministic by ``recipe.seed`` on one machine; ``resumed``
    takes up what ended after a report and comes to the very same weights. Under torchrun every process draws batches of
    its own, and the first one writes.

    Raises:
        UserError: ``recipe`` asks for patience where nobody is held out, or for a share of a ``base`` that is not
            there; nothing to take up; ``base`` is no weights of this network, or has learnt from who is held out.
    """
    rank, count, device = parallel.begin(device or torch.device("cpu"))
    if recipe.patience and not protocol.validate:
        raise UserError(f"--set patience={recipe.patience}: {protocol.name} holds nobody out to choose by")
    if recipe.base_share and base is None:
        raise UserError(f"--set base_share={recipe.base_share}: there are no weights --from which to go on")
    if resumed and count > 1:
        raise UserError("--resume: one process alone can be taken up, not torchrun's several")
    first, taken = begun(base, protocol)
    if recipe.mixed is None:
        recipe = msgspec.structs.replace(recipe, mixed=has_bfloat16(device))
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    sequences = prepared(
        orders(protocol, recipe.data_seed, recipe.copies, recipe.composed_copies, recipe.strip_copies, settings),
        protocol,
        settings,
        processes,
    )
    held_out = [prepare(read(record, 0, settings), settings) for record in protocol.validate]
    learnt = [protocol.shown(read(record, 0, settings)) for record in protocol.train]
    weights = class_weights(learnt, recipe.temper).to(device)
    spread = torch.from_numpy(np.concatenate([one.f for one in sequences]).std(axis=0)).to(device)
    network, kept, best = (Network(recipe.dropout).to(device) for _ in range(3))
    if first is not None:
        network.load_state_dict(first.state_dict())
    kept.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    seed = recipe.seed if rank == 0 else (recipe.seed, rank)
    if rank:
        torch.manual_seed(recipe.seed + rank)
    batches = Batches(sequences, recipe, np.random.default_rng(seed))
    hidden = torch.zeros(recipe.batch, HIDDEN, device=device)
    same = {"protocol": protocol.name, "recipe": msgspec.to_builtins(recipe), "sequences": len(sequences)}
    same["base"] = taken.get("sha256")
    networks: dict[str, nn.Module] = {"network": network, "kept": kept, "best": best}
    log: list[dict[str, float]] = []
    begin = 0
    if resumed:
        tensors, rest = resume.read(out / _STATE, networks, optimizer, same)
        hidden, begin, log = tensors["hidden"].to(device), rest["step"], rest["log"]
        batches.restore(rest["batches"])
    reports = {round(recipe.steps * (k + 1) / recipe.reports) for k in range(recipe.reports)} - {0}
    total, since = torch.zeros((), device=device), begin
    for step in range(begin, recipe.steps):
        if waited(log) >= recipe.patience > 0:
            break
        x, f, labels, going_on = (tensor.to(device) for tensor in batches.next())
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * schedule(step, recipe.steps)
        shown = varied(f, spread, recipe.vary)
        logits, hidden = run_over(network, x, shown, hidden.detach() * going_on, mixed=bool(recipe.mixed))
        # Every member learns as if it were alone.
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 2),
            labels.flatten().repeat_interleave(MEMBERS),
            weight=weights,
            ignore_index=UNKNOWN,
            label_smoothing=recipe.smoothing,
        )
        optimizer.zero_grad()
        torch.autograd.backward(MEMBERS * loss)
        parallel.mean_gradients(network, count)
        nn.utils.clip_grad_norm_(network.parameters(), MEMBERS**0.5)
        optimizer.step()
        # The mean begins short: where the first steps lead from is left soon.
        average(kept, network, min(recipe.averaging, (step + 1) / (step + 10)))
        total += loss.detach()
        if step + 1 in reports:
            log.append({"step": float(step + 1), "train_loss": float(total) / (step + 1 - since)})
            if held_out:
                log[-1] |= validate(kept, held_out, device)
            if waited(log) == 0:
                best.load_state_dict(kept.state_dict())
            total, since = torch.zeros((), device=device), step + 1
            if rank == 0:
                rest = same | {"step": step + 1, "log": log, "batches": batches.state()}
                resume.write(out / _STATE, networks, optimizer, {"hidden": hidden}, rest)
                tell(step + 1, log[-1])
    parallel.end(count)
    path = out / "weights.safetensors"
    if rank == 0:
        chosen, figures = (best, log[-1 - waited(log)]) if recipe.patience else (kept, log[-1])
        if first is not None:
            average(chosen, first.to(device), 1.0 - recipe.base_share)
        chosen.raise_logit(BeatClass.S, recipe.s_logit)
        chosen.raise_logit(BeatClass.V, recipe.v_logit)
        save(path, chosen, origin(protocol, recipe, settings, figures, taken))
        with (out / "log.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(log[0]))
            writer.writeheader()
            writer.writerows(log)
    return path


def schedule(step: int, steps: int) -> float:
    """Share of the largest rate: warmed up, then a cosine to zero."""
    return float(min(1.0, step / _WARM_UP) * 0.5 * (1.0 + np.cos(np.pi * step / steps)))


def waited(log: list[dict[str, float]]) -> int:
    """Reports since the one with the best macro F1; 0 before the first."""
    scores = [row.get("macro", 0.0) for row in log]
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0
