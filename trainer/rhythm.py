"""Fits the rhythm network: ventricular fibrillation and tachycardia seen in four seconds of samples.

The examples are what the live detector measures, once a second, over whole recordings. A window belongs to a class
when the reference says so for most of it, and is left out where the reference is mixed or silent: vfdb says the
rhythm all through; cudb marks fibrillation only, and the minute before it (often a tachycardia) is left out; the
challenge of 2015 says of one alarm whether it was false; the rest is taken to have none.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file
from torch import nn

from monitor import rhythm, rhythm_measures
from monitor.config import Settings
from monitor.detector import Detector
from monitor.errors import UserError
from monitor.events import FS, Floats, Opened, Rhythm, Samples
from replay import physionet
from trainer.dataset import read_signal
from trainer.protocols import DS2
from trainer.recipe import Amount, Below1, Common, Count, Positive, Rate
from trainer.references import load_reference

Ints = npt.NDArray[np.int64]

SKIPPED = -1
_OTHER, _VT, _VF = range(3)
_NAMES = {"VT": _VT, "VF": _VF, "VFIB": _VF, "VFL": _VF, "HGEA": SKIPPED}
"""Rhythms of vfdb and mitdb that are not simply `other`; high-grade ectopic activity is what it likes to be."""
_MOST = 0.7
"""Share of a window that must be of one class."""
_BEFORE_VF_S = 60
_ALARM_S = (287, 301)
"""Where the alarm of a record of challenge2015 is to be seen; it is raised at 300 s."""
_TRUE_VF_S = (295, 300)
"""Windows that end here show the fibrillation that a true alarm was raised for."""
_CALM_S = (200, 301)
"""The same of an alarm that does not speak of ventricular rhythm: none is taken to be there."""

WEIGHTS = {
    "cudb": 3.0, "vfdb": 2.0, "mitdb": 0.7, "nstdb": 0.5, "challenge2015": 1.0, "svdb": 0.4, "challenge2017": 0.4,
}  # fmt: skip
"""What a window of each database counts for."""


class Recipe(Common, frozen=True, kw_only=True):
    """Everything that the training depends on besides the data."""

    epochs: Count = 10
    batch: Count = 2048
    rate: Rate = 5e-3
    decay: Amount = 0.05
    smoothing: Below1 = 0.01
    jitter: Amount = 0.15
    """Standard deviation of the noise on every measure, in its own standard deviations."""
    gain: Amount = 0.27
    """The same on the amplitude's logarithm: a factor of two."""
    class_weights: tuple[Amount, Amount, Amount] = (1.0, 3.0, 2.0)
    windows: Positive = 80.0
    """Windows of one class from which on a record's count for less, by the square root."""


class Examples(msgspec.Struct, frozen=True):
    """One lead of one record."""

    record: str
    x: Floats
    """[window, INPUTS]"""
    y: Ints
    weights: Floats


def records(settings: Settings) -> list[str]:
    """What there is to learn from, as ``database/record``: of each database in ``data.path`` all but mitdb's DS2."""
    found: list[str] = []
    for database in WEIGHTS:
        folders = [folder / database for folder in physionet.folders(settings.data)]
        names = sorted({path.stem for folder in folders for path in folder.glob("*.hea")})
        found += [f"{database}/{name}" for name in names if database != "mitdb" or name not in DS2]
    return found


def group(record: str) -> str:
    """Records of one patient share it: nstdb's are mitdb's with noise."""
    database, _, name = record.partition("/")
    return f"mitdb/{name[:3]}" if database == "nstdb" and name[:3].isdigit() else record


def parted(names: Sequence[str], folds: int, seed: int = 0) -> list[list[str]]:
    """Parts of ``names`` for cross-validation, patient by patient, each database evenly."""
    parts: list[list[str]] = [[] for _ in range(folds)]
    place: dict[str, int] = {}
    rng = random.Random(seed)
    for database in WEIGHTS:
        own = sorted({group(name) for name in names if name.startswith(f"{database}/")} - place.keys())
        rng.shuffle(own)
        place |= {name: k % folds for k, name in enumerate(own)}
    for name in names:
        parts[place[group(name)]].append(name)
    return parts


def measures(signal: Floats, settings: Settings) -> tuple[Ints, Floats]:
    """Ends of the windows [n], samples, and what the live detector measures there [n, INPUTS]."""
    core = Detector(settings, rhythms=rhythm.blank())
    core.push([Opened(stream="s", seq=1, source="", fs=FS, leads=("",), start_time=0.0, length=len(signal))])
    ends, rows = [], []
    for at in range(0, len(signal), FS):
        out = core.push([Samples(stream="s", seq=2, start=at, signal=signal[None, at : at + FS])])
        for event in out:
            if isinstance(event, Rhythm):
                state = core.state()
                row = np.frombuffer(state["rhythms"], rhythm.STATE)[state["rows"]["s"]]
                ends.append(event.sample)
                rows.append(row["measures"].copy())
    return np.array(ends, np.int64), np.array(rows, np.float32).reshape(-1, rhythm_measures.INPUTS)


def labelled(record: str, ends: Ints, settings: Settings) -> Ints:
    """The class of each window, or SKIPPED."""
    database = record.partition("/")[0]
    y = np.zeros(len(ends), np.int64)
    path = physionet.locate(record, settings.data)
    if database == "challenge2015":
        kind, true = _alarm(path)
        ventricular = kind.startswith("Ventricular")
        first, last = _ALARM_S if ventricular else _CALM_S
        if true and kind == "Ventricular_Flutter_Fib":
            first, last = _TRUE_VF_S
            y[:] = _VF
        y[(ends < first * FS) | (ends > last * FS) | (true and kind == "Ventricular_Tachycardia")] = SKIPPED
    if database not in ("vfdb", "cudb", "mitdb"):
        return y
    reference = load_reference(path)
    step = FS // 4
    grid = np.zeros(int(ends.max(initial=0)) // step + 1, np.int64)

    def mark(first: float, last: float, what: int) -> None:
        grid[max(round(first * FS / step), 0) : max(round(last * FS / step), 0)] = what

    begins = [sample / reference.fs for sample, _ in reference.rhythms]
    for k, (_, rhythm_name) in enumerate(reference.rhythms):
        if rhythm_name in _NAMES:
            mark(begins[k], begins[k + 1] if k + 1 < len(begins) else 1e9, _NAMES[rhythm_name])
    for a, b in reference.vf:
        if database == "cudb":
            before = grid[: round(a / reference.fs * FS / step)][-_BEFORE_VF_S * FS // step :]
            before[before == _OTHER] = SKIPPED
        mark(a / reference.fs, b / reference.fs, _VF)
    for k, end in enumerate(ends):
        window = grid[max(end // step - rhythm_measures.WINDOW * rhythm_measures.POOL // step, 0) : end // step]
        shares = [float(np.mean(window == what)) for what in (_OTHER, _VT, _VF)]
        y[k] = _VF if shares[_VF] >= _MOST else _VT if shares[_VT] >= _MOST else _OTHER if shares[0] == 1 else SKIPPED
    return y


def _alarm(path: Path) -> tuple[str, bool]:
    for line in (path.parent / "ALARMS").read_text("utf-8").splitlines():
        name, kind, true = line.split(",")
        if name == path.name:
            return kind, true.strip() == "1"
    raise UserError(f"{path.parent}/ALARMS: says nothing of {path.name}")


def examples(record: str, settings: Settings) -> list[Examples]:
    """Every lead of vfdb, the first of the others: fibrillation is rare."""
    out = []
    for lead in (0, 1) if record.startswith("vfdb/") else (0,):
        ends, x = measures(read_signal(record, lead, settings), settings)
        y = labelled(record, ends, settings)
        keep = y != SKIPPED
        weights = np.full(len(y), WEIGHTS[record.partition("/")[0]], np.float32)
        out.append(Examples(record, x[keep], y[keep], weights[keep]))
    return out


def blank_noise(settings: Settings, seconds: int = 300) -> Examples:
    """White noise, of which no recording has much."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, seconds * FS).astype(np.float32)
    _, x = measures(noise, settings)
    return Examples("white noise", x, np.full(len(x), _OTHER), np.ones(len(x), np.float32))


def fit(data: Sequence[Examples], recipe: Recipe) -> rhythm.Network:
    """Trains on ``data``."""
    torch.manual_seed(recipe.seed)
    x = np.concatenate([each.x for each in data])
    y = np.concatenate([each.y for each in data])
    w = np.concatenate([_weights(each, recipe) for each in data])
    mean, scale = x.mean(0), 1.0 / (x.std(0) + 1e-6)
    a, b = rhythm.HIDDEN
    module = nn.Sequential(nn.Linear(rhythm_measures.INPUTS, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, 3))
    optimizer = torch.optim.AdamW(module.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    steps = recipe.epochs * (len(x) // recipe.batch + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps + 1)
    inputs, labels, weights = torch.from_numpy((x - mean) * scale), torch.from_numpy(y), torch.from_numpy(w / w.mean())
    jitter = torch.full((rhythm_measures.INPUTS,), recipe.jitter)
    jitter[rhythm_measures.MEASURES.index("rms")] = recipe.gain * float(scale[rhythm_measures.MEASURES.index("rms")])
    for _ in range(recipe.epochs):
        order = torch.randperm(len(x))
        for at in range(0, len(x), recipe.batch):
            pick = order[at : at + recipe.batch]
            noisy = inputs[pick] + torch.randn(len(pick), rhythm_measures.INPUTS) * jitter
            loss = nn.functional.cross_entropy(
                module(noisy), labels[pick], reduction="none", label_smoothing=recipe.smoothing
            )
            optimizer.zero_grad()
            torch.autograd.backward((loss * weights[pick]).mean())
            optimizer.step()
            schedule.step()
    layers = [layer for layer in module if isinstance(layer, nn.Linear)]
    arrays = [mean, scale]
    for layer in layers:
        arrays += [np.ascontiguousarray(layer.weight.detach().numpy().T), layer.bias.detach().numpy().copy()]
    return rhythm.Network(*(np.asarray(array, np.float32) for array in arrays))


def _weights(each: Examples, recipe: Recipe) -> Floats:
    w = each.weights.copy()
    for what in range(3):
        own = each.y == what
        w[own] *= recipe.class_weights[what]
        if what != _OTHER and own.any():
            w[own] *= min(1.0, float(np.sqrt(recipe.windows / own.sum()))) * 1.5
    return w


def judged(network: rhythm.Network, x: Floats) -> Floats:
    """[window, class] probabilities, by matrix products: for figures only."""
    h = np.maximum((x - network.mean) * network.scale @ network.w1 + network.b1, 0.0)
    z = np.maximum(h @ network.w2 + network.b2, 0.0) @ network.w3 + network.b3
    e = np.exp(z - z.max(1, keepdims=True))
    out: Floats = e / e.sum(1, keepdims=True)
    return out


def save(network: rhythm.Network, path: Path, names: Sequence[str], recipe: Recipe) -> None:
    """Weights with what they were made from."""
    tensors = {name: np.ascontiguousarray(getattr(network, name)) for name in rhythm.SHAPES}
    origin = {"contract": rhythm.contract(), "records": list(names), "recipe": msgspec.to_builtins(recipe)}
    save_file(tensors, path, metadata={"origin": msgspec.json.encode(origin).decode()})


def run(
    names: Sequence[str], folds: int, recipe: Recipe, settings: Settings, out: Path, tell: Callable[[str], None]
) -> None:
    """Cross-validates by patient, writing the weights of each part beside ``out`` (``NAME.K.safetensors``), then fits
    on everything and writes ``out``."""
    data = {name: examples(name, settings) for name in names}
    white = [blank_noise(settings)]
    tell(f"{len(names)} records, {sum(len(e.y) for own in data.values() for e in own)} windows")
    confusion = np.zeros((3, 3), np.int64)
    for k, part in enumerate(parted(names, folds) if folds > 1 else []):
        learnt = [name for name in names if name not in part]
        network = fit([e for name in learnt for e in data[name]] + white, recipe)
        save(network, out.with_name(f"{out.stem}.{k}{out.suffix}"), learnt, recipe)
        for name in part:
            for e in data[name]:
                np.add.at(confusion, (e.y, judged(network, e.x).argmax(1)), 1)
        tell(f"part {k + 1} of {folds}")
    if folds > 1:
        tell("held out, reference by answer: " + " ".join(rhythm.CLASSES))
        for what, row in zip(rhythm.CLASSES, confusion, strict=True):
            tell(f"{what:>6} " + " ".join(f"{n:7d}" for n in row))
    save(fit([e for own in data.values() for e in own] + white, recipe), out, names, recipe)
