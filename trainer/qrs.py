"""Fits the detector's candidate network: is this maximum of the QRS band's energy a beat?

The examples are what the live kernel sees: it runs over augmented recordings, first told by the reference which
candidates are beats (so that levels, rhythm and template are as they should be), then deciding for itself with the
network of the round before (so that they are as they will be); each round learns from all examples so far. After
Ross et al. 2011 (DAgger, arXiv:1011.0686).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save_file
from scipy import signal as dsp
from torch import nn

from monitor import candidates, quality, rhythm
from monitor import detector_kernel as kernel
from monitor import detector_layout as layout
from monitor.config import Settings
from monitor.detector import plan
from monitor.events import FS, Floats
from replay import physionet
from trainer.dataset import NOISES, Augmentation, Recording, augmented, draw, read, read_noise, read_signal
from trainer.protocols import DS1, SVDB
from trainer.recipe import Amount, Common, Count, Share, Whole
from trainer.references import load_reference

Ints = npt.NDArray[np.int64]

_LATE = (-10, 70)
"""Samples from R in which its complex's energy maximum lies: the filter's delay and half of the integration."""
_STRETCH = (3 * FS, 40 * FS)
"""Samples between two occasions to shake the state."""
_SHAKEN = 0.5
"""Share of the occasions that are taken."""
_NEAR = 3
"""Samples by which the kernel's maximum may differ from the one computed here."""


class Recipe(Common, frozen=True, kw_only=True):
    """Everything that the training depends on besides the data."""

    rounds: Count = 4
    epochs: Count = 8
    batch: Count = 4096
    decay: Amount = 1e-4
    copies: Whole = 1
    """Augmented versions of each lead in a round, beside the recording as it is."""
    retimed: Share = 0.25
    """Share of the copies whose beats are set to another rate."""
    paced: Share = 0.1
    """Share of the copies with a pacemaker's spikes."""
    noise_copies: Whole = 1
    """The same of the noise records, in which there is no beat to find; only their first half is learnt from."""


def records(held_out: Sequence[str] = ()) -> list[str]:
    """What is learnt from: DS1 without 119, svdb's even half, nstdb's 118."""
    noisy = [f"nstdb/118e{level}" for level in ("24", "18", "12", "06", "00", "_6")]
    names = [f"mitdb/{r}" for r in DS1 if r != "119"] + [*SVDB, *noisy]
    return [name for name in names if name not in held_out]


def harsh(rng: np.random.Generator) -> Augmentation:
    """Harsher than for the classifier: noise up to where beats drown, and either polarity."""
    loudest = np.log(0.8 if rng.random() < 0.5 else 0.1)
    return draw(
        rng,
        lambda: float(np.exp(rng.uniform(np.log(0.02), loudest))),
        noisy=0.4,
        gain=0.4,
        inverted=0.5,
        stretch=(0.75, 1.3),
    )


def retimed(recording: Recording, rng: np.random.Generator) -> Recording:
    """The same beats at another rate, 30 to 300 a minute, that drifts and jumps: what few patients here show.

    Each beat is cut out, brought to zero at both ends, and put after the one before it.
    """
    signal = np.nan_to_num(recording.signal.astype(np.float64))
    peaks = recording.samples[(recording.samples > 2 * FS) & (recording.samples < len(signal) - 2 * FS)]
    pieces: list[npt.NDArray[np.float64]] = []
    samples: list[int] = []
    at = 0
    rr = 0.0
    for k, r in enumerate(peaks):
        if rr == 0.0 or rng.random() < 0.01:
            rr = FS * 60.0 / float(np.exp(rng.uniform(np.log(30), np.log(300))))
        rr = float(np.clip(rr * np.exp(rng.normal(0.0, 0.02)), 0.2 * FS, 2.0 * FS))
        own_before = (r - peaks[k - 1]) // 2 if k else FS // 2
        own_after = (peaks[k + 1] - r) // 2 if k + 1 < len(peaks) else FS // 2
        before, after = int(min(0.4 * rr, own_before)), int(min(0.6 * rr, own_after))
        piece = signal[r - before : r + after]
        if len(piece) < 2:
            continue
        piece = piece - np.linspace(piece[0], piece[-1], len(piece))
        rest = max(int(rr) - len(piece), 0)
        pieces += [piece, rng.normal(0.0, 0.005, rest)]
        samples.append(at + before)
        at += len(piece) + rest
    whole = np.concatenate(pieces) if pieces else np.zeros(FS)
    return Recording(
        recording.record, recording.lead, whole.astype(np.float32), np.array(samples, np.int64), recording.labels
    )


def paced(recording: Recording, rng: np.random.Generator) -> Recording:
    """The same with a pacemaker's spikes, one sample wide, which are no beats: before each beat, or at a rate of their
    own that the heart does not follow."""
    signal = recording.signal.copy()
    if rng.random() < 0.5:
        places = recording.samples - int(rng.uniform(0.015, 0.08) * FS)
    else:
        places = np.arange(0, len(signal), int(rng.uniform(0.6, 1.2) * FS))
    places = places[(places >= 0) & (places < len(signal) - 1)]
    height = float(np.exp(rng.uniform(np.log(0.3), np.log(5.0)))) * (1.0 if rng.random() < 0.5 else -1.0)
    signal[places] += np.float32(height)
    signal[places + 1] -= np.float32(height * rng.uniform(0.0, 0.4))
    return Recording(recording.record, recording.lead, signal, recording.samples, recording.labels)


def teacher(x: npt.NDArray[np.float64], beats: Ints, settings: Settings) -> npt.NDArray[np.uint8]:
    """[n]: 1 at and about the energy maximum of every reference beat."""
    filters, p = plan(settings)
    band = dsp.sosfilt(filters.band, dsp.sosfilt(filters.highpass, x - x[0]))
    energy = dsp.lfilter(np.ones(p.integration), [1.0], band**2)
    marks = np.zeros(len(x), dtype=np.uint8)
    for beat in beats:
        first, last = max(beat + _LATE[0], 0), min(beat + _LATE[1], len(x))
        if last > first:
            peak = first + int(np.argmax(energy[first:last]))
            marks[max(peak - _NEAR, 0) : peak + _NEAR + 1] = 1
    return marks


def examples(
    recording: Recording,
    vf: list[tuple[int, int]],
    settings: Settings,
    network: candidates.Network | None,
    rng: np.random.Generator,
    *,
    shaken: bool,
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """What the kernel saw of every candidate [n, INPUTS], and whether it is a beat [n]; the reference decides
    meanwhile, or the network."""
    x = np.nan_to_num(recording.signal.astype(np.float64))
    marks = teacher(x, recording.samples, settings)
    room = len(x) // 20
    trace = layout.Trace(
        marks if network is None else np.zeros(0, np.uint8),
        np.zeros(room, np.int64),
        np.zeros((room, candidates.INPUTS), np.float32),
        np.zeros(room, np.float32),
        np.zeros(1, np.int64),
    )
    states, qualities = np.zeros(1, layout.STATE), np.zeros(1, quality.STATE)
    kernel.reset(states[0], 0)
    quality.reset(qualities[0])
    out = np.zeros(len(x) // 20, layout.FOUND)
    filters, how = plan(settings)
    what = quality.plan(settings.quality)
    rhythms, watch = np.zeros(1, rhythm.STATE), rhythm.watch(settings.rhythm, rhythm.blank())
    rows = np.zeros(1, np.int64)
    at = 0
    while at < len(x):
        piece = x[at : at + int(rng.integers(*_STRETCH))]
        told = trace._replace(teacher=trace.teacher[at : at + len(piece)])
        offsets = np.array([0, len(piece)])
        decider = network or blank()
        kernel.advance(states, qualities, rhythms, filters, how, what, watch, decider, told, rows, offsets, piece, out)
        at += len(piece)
        if shaken and rng.random() < _SHAKEN:
            shake(states[0], how, rng)
    count = int(trace.count[0])
    peaks = trace.peaks[:count]
    keep = np.ones(count, dtype=np.bool_)
    for first, last in vf:
        keep &= ~((peaks >= first - FS) & (peaks <= last + FS))
    return trace.inputs[:count][keep], marks[peaks][keep]


def shake(s: Any, how: layout.Plan, rng: np.random.Generator) -> None:
    """Puts the state where an artefact or a run of wrong decisions might have led it: the way back is learnt."""
    if s["learned"] == 0:
        return
    if rng.random() < 0.15:
        kernel.begin_anew(s, how, int(s["next"]) - 1)
        return
    if rng.random() < 0.6:
        s["signal"] *= np.exp(rng.normal(0.0, 0.9))
    if rng.random() < 0.4:
        s["noise"] *= np.exp(rng.normal(0.0, 0.9))
    if rng.random() < 0.5:
        # Something else of this signal, taken for the shape of a beat.
        begin = int(s["next"]) - int(rng.integers(candidates.BEFORE + candidates.AFTER, layout.RING - 64))
        places = (begin + np.arange(candidates.BEFORE + candidates.AFTER)) & (layout.RING - 1)
        wave = s["filtered"][places].reshape(candidates.WAVE, -1).mean(axis=1) / (4.0 * max(float(s["signal"]), 1e-6))
        s["template"] = np.clip(wave, -3.0, 3.0)
    if rng.random() < 0.4:
        s["rr"] *= np.exp(rng.normal(0.0, 0.5))
    if rng.random() < 0.4:
        s["last_slope"] *= np.exp(rng.normal(0.0, 0.8))
    if rng.random() < 0.3:
        s["doubt"] = rng.random()


def blank() -> candidates.Network:
    """A network that knows nothing; the reference decides in its place."""
    a, b = candidates.HIDDEN
    w1, b1, w2, b2, w3 = (np.zeros(shape, np.float32) for shape in ((candidates.INPUTS, a), (a,), (a, b), (b,), (b,)))
    return candidates.Network(w1, b1, w2, b2, w3, 0.0)


def fit(
    names: Sequence[str], recipe: Recipe, settings: Settings, out: Path, tell: Callable[[str], None]
) -> candidates.Network:
    """Trains on ``names`` (``database/record``), writes ``out``, returns the network."""
    rng = np.random.default_rng(recipe.seed)
    torch.manual_seed(recipe.seed)
    noises = read_noise(settings)
    loaded: list[list[tuple[Recording, list[tuple[int, int]]]]] = [
        [(Recording(name, lead, signal[: len(signal) // 2], np.zeros(0, np.int64), np.zeros(0, np.int64)), [])]
        for name in NOISES
        for lead in (0, 1)
        if len(signal := read_signal(f"nstdb/{name}", lead, settings))
    ]
    copies = [recipe.noise_copies] * len(loaded) + [recipe.copies] * len(names)
    for name in names:
        reference = load_reference(physionet.locate(name, settings.data))
        scale = FS / reference.fs
        vf = [(round(a * scale), round(b * scale)) for a, b in reference.vf]
        loaded.append([(read(name, lead, settings), vf) for lead in (0, 1)])
    network: candidates.Network | None = None
    inputs: list[Floats] = []
    labels: list[npt.NDArray[np.uint8]] = []
    for turn in range(recipe.rounds):
        for leads, count in zip(loaded, copies, strict=True):
            for recording, vf in leads:
                for copy in range(1 + count):
                    how = Augmentation() if copy == 0 else harsh(rng)
                    moved = [(round(a * how.stretch), round(b * how.stretch)) for a, b in vf]
                    original = recording
                    if copy > 0 and len(recording.samples) and rng.random() < recipe.retimed:
                        original, moved = retimed(recording, rng), []
                    elif copy > 0 and rng.random() < recipe.paced:
                        original = paced(recording, rng)
                    changed = augmented(original, how, noises)
                    x, y = examples(changed, moved, settings, network, rng, shaken=copy > 0 or turn % 2 == 0)
                    inputs.append(x)
                    labels.append(y)
        loss, module = _learn(np.concatenate(inputs), np.concatenate(labels), recipe)
        network = _taken(module)
        count, beats = sum(map(len, labels)), sum(int(y.sum()) for y in labels)
        tell(f"round {turn + 1}: {count} candidates, {beats} beats, loss {loss:.4f}")
    assert network is not None
    tensors = {name: np.asarray(getattr(network, name), np.float32) for name in ("w1", "b1", "w2", "b2", "w3")}
    tensors["b3"] = np.array([network.b3], np.float32)
    origin = {"contract": candidates.contract(), "records": list(names), "recipe": msgspec.to_builtins(recipe)}
    # One entry: the order of several is not kept, and the same training must give the same file.
    save_file(tensors, out, metadata={"origin": msgspec.json.encode(origin).decode()})
    return network


def _learn(x: Floats, y: npt.NDArray[np.uint8], recipe: Recipe) -> tuple[float, nn.Sequential]:
    a, b = candidates.HIDDEN
    module = nn.Sequential(nn.Linear(candidates.INPUTS, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, 1))
    optimizer = torch.optim.AdamW(module.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    steps = recipe.epochs * (len(x) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps + 1)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))
    mean = 0.0
    for _ in range(recipe.epochs):
        order = torch.randperm(len(x))
        for at in range(0, len(x) - recipe.batch + 1, recipe.batch):
            pick = order[at : at + recipe.batch]
            loss = nn.functional.binary_cross_entropy_with_logits(module(inputs[pick])[:, 0], labels[pick])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            mean += 0.01 * (float(loss.detach()) - mean)
    return mean, module


def _taken(module: nn.Sequential) -> candidates.Network:
    layers = [layer for layer in module if isinstance(layer, nn.Linear)]
    weights = [np.ascontiguousarray(layer.weight.detach().numpy().T) for layer in layers]
    biases = [layer.bias.detach().numpy().copy() for layer in layers]
    return candidates.Network(
        weights[0], biases[0], weights[1], biases[1], np.ascontiguousarray(weights[2][:, 0]), float(biases[2][0])
    )
