"""Fits the weights of `[alarms] af_weights`: how probably a stretch of beats is atrial fibrillation.

The examples are what the live pipeline makes of challenge2017's strips and of mitdb's DS1 in windows of 45 s, of which
the reference says AF throughout or not at all (flutter is left out). A ridge-penalised logistic regression, by Newton's
method. Judged are strips of 30 s and more, as the benchmark judges them. Of the beat classifier only ventricular beats
are wanted: of these strips it has learnt that usual beats are N.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from monitor import irregularity
from monitor.config import Settings
from monitor.events import FS, Verdict
from monitor.pipeline import whole
from monitor.sources import SourceRequest, open_source
from replay import physionet
from trainer.protocols import DS1
from trainer.references import load_reference

Doubles = npt.NDArray[np.float64]

_STRIP_S = 29.5
_WINDOW_S, _STEP_S = 45, 30
_DS1_WEIGHT = 0.25
"""A window of DS1 against a strip: there are many of few patients."""
_AF_WEIGHT = 2.0
_PENALTY = 5e-3
_FOLDS = 5


def verdicts(record: str, settings: Settings) -> tuple[list[Verdict], float]:
    """Beats of ``database/record`` by the live pipeline, first lead, and the record's length, s."""
    core = whole(settings, "cpu")
    path = physionet.locate(record, settings.data)
    source = open_source(SourceRequest(uri=f"replay:{path}", stream=record, now=0.0), settings)
    found: list[Verdict] = []
    seconds = 0.0
    while events := source.read(60 * FS):
        out = core.push(events)
        found += [event for event in out if isinstance(event, Verdict)]
        seconds = max([seconds, *(event.sample / FS for event in out if hasattr(event, "sample"))])
    source.close()
    return found, seconds


class Examples(Struct, frozen=True):
    """Stretches of beats of which it is known whether they are AF."""

    x: Doubles
    """[n, measure]"""
    af: Doubles
    """[n], 1 or 0"""
    weights: Doubles
    """[n]"""
    judged: npt.NDArray[np.bool_]
    """[n]: a strip of 30 s and more."""
    records: list[str]
    """[n]"""
    unsaid: int
    """Strips of 30 s and more besides that are AF and have too few intervals."""


def examples(settings: Settings) -> Examples:
    """All strips, and windows of DS1, by the live pipeline."""
    x: list[list[float]] = []
    y: list[float] = []
    weights: list[float] = []
    judged: list[bool] = []
    names: list[str] = []
    unsaid = 0

    def add(record: str, beats: list[Verdict], *, af: bool, weight: float, judge: bool) -> None:
        nonlocal unsaid
        measured = irregularity.measure(beats)
        if measured is not None:
            x.append(measured)
            y.append(float(af))
            weights.append(weight)
            judged.append(judge)
            names.append(record)
        else:
            unsaid += af and judge

    folder = next(f / "challenge2017" for f in physionet.folders(settings.data) if (f / "challenge2017").is_dir())
    for line in (folder / "REFERENCE.csv").read_text("utf-8").split():
        name, truth = line.split(",")
        beats, seconds = verdicts(f"challenge2017/{name}", settings)
        add(f"challenge2017/{name}", beats, af=truth == "A", weight=1.0, judge=seconds >= _STRIP_S)
    for name in DS1:
        record = f"mitdb/{name}"
        beats, seconds = verdicts(record, settings)
        reference = load_reference(physionet.locate(record, settings.data))
        begins = [(sample / reference.fs, rhythm) for sample, rhythm in reference.rhythms]
        ends = [*(begin for begin, _ in begins), seconds][1:]
        for first in range(0, int(seconds), _STEP_S):
            last = first + _WINDOW_S
            there = {name for (a, name), b in zip(begins, ends, strict=True) if a < last and b > first}
            if "AFL" in there or ("AFIB" in there and len(there) > 1):
                continue
            window = [beat for beat in beats if first * FS <= beat.sample < last * FS]
            add(record, window, af="AFIB" in there, weight=_DS1_WEIGHT, judge=False)
    return Examples(np.array(x), np.array(y), np.array(weights), np.array(judged), names, unsaid)


def fit(x: Doubles, y: Doubles, weights: Doubles) -> Doubles:
    """The constant and one weight a measure."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = np.column_stack([(x - mean) / scale, np.ones(len(x))])
    counts = np.where(y > 0, _AF_WEIGHT, 1.0) * weights
    penalty = np.append(np.full(x.shape[1], _PENALTY), 0.0)
    b = np.zeros(z.shape[1])
    for _ in range(40):
        p = 1.0 / (1.0 + np.exp(-z @ b))
        gradient = z.T @ (counts * (p - y)) / len(y) + penalty * b
        hessian = (z.T * (counts * p * (1.0 - p))) @ z / len(y) + np.diag(penalty + 1e-9)
        b -= np.linalg.solve(hessian, gradient)
    w = b[:-1] / scale
    out: Doubles = np.concatenate([[b[-1] - w @ mean], w])
    return out


def run(settings: Settings, tell: Callable[[str], None]) -> None:
    """Cross-validates by record, then prints the line for config.toml."""
    known = examples(settings)
    x, y, weights = known.x, known.af, known.weights
    part = {
        name: k % _FOLDS
        for k, name in enumerate(np.random.default_rng(0).permutation(sorted(set(known.records))).tolist())
    }
    parts = np.array([part[name] for name in known.records])
    p = np.zeros(len(y))
    for k in range(_FOLDS):
        own = parts == k
        found = fit(x[~own], y[~own], weights[~own])
        p[own] = 1.0 / (1.0 + np.exp(-(x[own] @ found[1:] + found[0])))
    af, called = y[known.judged] > 0, p[known.judged] >= settings.alarms.af_from
    there = int(af.sum()) + known.unsaid
    f1 = 2.0 * int(np.sum(af & called)) / max(there + int(called.sum()), 1)
    tell(f"{len(af)} strips of 30 s and more with intervals enough; {there} are AF; held out: F1 {f1:.3f}")
    tell(f"af_weights = {np.round(fit(x, y, weights), 3).tolist()}")
