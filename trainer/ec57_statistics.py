"""What follows from the counts of a comparison: sensitivity, positive predictivity, false positive rate, F1, for one
record, gross and on average, with bootstrap intervals over records.

Each statistic is a quotient of two counts, and undefined (not 0) where the lower one is 0. Gross is of the counts added
up over records; the average is of the records' own figures where they are defined (EC57 asks for both, as WFDB's
``sumstats`` gives them).

EC57's rules for VEB and SVEB (as bxb 10.7.0 applies them), rows reference, columns test:

* a V called anything else, or missed, is a false negative of VEB; likewise S of SVEB;
* N, S, or no beat, called V is a false positive of VEB; **F or Q called V is none**: the device may call fusion and
  unclassifiable beats ventricular without penalty;
* N, V, F, or no beat, called S is a false positive of SVEB; **Q called S is none**;
* the false positive rate is false positives over them and true negatives: all that is not V (S) in the reference and
  was found, or is in no reference, and was not called V (S). bxb prints it for VEB; for SVEB it is formed likewise.

The figures of single classes (``class.N.*``, …) are the literature's: nothing is forgiven, a missed beat is a false
negative of its class, a false detection a false positive of the class it was given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.events import CLASSES
from trainer.ec57 import LABELS, Ints
from trainer.ec57_runs import LONGEST, Kind, RunByRun

Floats = npt.NDArray[np.float64]

DRAWS = 1_000
"""Of a bootstrap: the ends of a 95 % interval then move by about a tenth of its width from seed to seed."""

CONFIDENCE = 0.95

SEED = 0

COUPLET = 2
SHORT = slice(3, LONGEST)
LONG = LONGEST
"""Lengths of runs in beats: couplet 2, short 3 to 5, long more (EC57)."""

Quotients = dict[str, tuple[Ints, Ints]]
"""Name → counts above and below the line, both [...] for confusions [..., 7, 7]."""

_N, _S, _V, _F, _Q, _O, _X = range(len(LABELS))
_BEATS = slice(0, len(CLASSES))
_NONE = slice(len(CLASSES), len(LABELS))


@dataclass(frozen=True)
class Estimate:
    """One statistic."""

    value: float | None
    """0 to 1; None where there was nothing to divide by."""
    low: float | None = None
    high: float | None = None
    """Ends of the interval; None where there are too few records for one."""
    above: int = 0
    below: int = 0
    """The counts it is made of; 0 in an average."""


def beat_quotients(confusion: Ints) -> Quotients:
    """Of QRS, VEB, SVEB, and of each class, from confusions [..., 7, 7]."""
    c = confusion
    found, missed = c[..., _BEATS, _BEATS].sum((-2, -1)), c[..., _BEATS, _NONE].sum((-2, -1))
    extra = c[..., _NONE, _BEATS].sum((-2, -1))
    out = _four("qrs", found, missed, extra, None)
    for name, own, penal in (("veb", _V, (_N, _S, _O, _X)), ("sveb", _S, (_N, _V, _F, _O, _X))):
        tp = c[..., own, own]
        fn = c[..., own, :].sum(-1) - tp
        fp = c[..., list(penal), own].sum(-1)
        # Found or extra beats that are not the class and were not called it.
        called_it, is_it = c[..., :, own].sum(-1), c[..., own, _BEATS].sum(-1)
        tn = found + extra - called_it - is_it + tp
        out |= _four(name, tp, fn, fp, tn)
    for k, label in enumerate(CLASSES):
        tp = c[..., k, k]
        out |= _four(f"class.{label.value}", tp, c[..., k, :].sum(-1) - tp, c[..., :, k].sum(-1) - tp, None)
    return out


def run_quotients(kind: Kind, sensitivity: Ints, predictivity: Ints) -> Quotients:
    """Of couplets, short and long runs, from counts [..., 7, 7] by length in the reference and in the test."""
    s, p = sensitivity, predictivity
    out: Quotients = {}
    for name, own, enough in (
        ("couplet", slice(COUPLET, COUPLET + 1), COUPLET),
        ("short_run", SHORT, SHORT.start),
        ("long_run", slice(LONG, LONG + 1), LONG),
    ):
        out[f"runs.{kind}.{name}.sensitivity"] = s[..., own, enough:].sum((-2, -1)), s[..., own, :].sum((-2, -1))
        out[f"runs.{kind}.{name}.positive_predictivity"] = (
            p[..., enough:, own].sum((-2, -1)),
            p[..., :, own].sum((-2, -1)),
        )
    return out


def quotients(confusions: Sequence[Ints], runs: Sequence[dict[Kind, RunByRun]]) -> Quotients:
    """All of them for each of R records, the counts [R]."""
    out = beat_quotients(np.stack(confusions))
    for kind in Kind:
        sensitivity = np.stack([run[kind].sensitivity for run in runs])
        predictivity = np.stack([run[kind].predictivity for run in runs])
        out |= run_quotients(kind, sensitivity, predictivity)
    return out


def record_values(each: Quotients) -> list[dict[str, float | None]]:
    """The figures of each of R records by itself."""
    records = len(next(iter(each.values()))[0])
    return [
        {name: float(above[k] / below[k]) if below[k] else None for name, (above, below) in each.items()}
        for k in range(records)
    ]


def gross(each: Quotients) -> dict[str, Estimate]:
    """Of the counts [R] of all records added up; the interval is of R records drawn anew, with replacement."""
    records = len(next(iter(each.values()))[0])
    weights = _draws(records)
    out = {}
    for name, (above, below) in each.items():
        low, high = _interval(_divide(weights @ above, weights @ below), records)
        a, b = int(above.sum()), int(below.sum())
        out[name] = Estimate(a / b if b else None, low, high, a, b)
    return out


def average(each: Quotients) -> dict[str, Estimate]:
    """The mean over the records in which the statistic is defined, and its interval over records drawn anew."""
    records = len(next(iter(each.values()))[0])
    weights = _draws(records)
    out = {}
    for name, (above, below) in each.items():
        defined = below > 0
        values = np.where(defined, _divide(above, below), 0.0)
        drawn = _divide(weights @ values, weights @ defined)
        low, high = _interval(drawn, records)
        out[name] = Estimate(float(values[defined].mean()) if defined.any() else None, low, high)
    return out


def _four(name: str, tp: Ints, fn: Ints, fp: Ints, tn: Ints | None) -> Quotients:
    out = {
        f"{name}.sensitivity": (tp, tp + fn),
        f"{name}.positive_predictivity": (tp, tp + fp),
        f"{name}.f1": (2 * tp, 2 * tp + fn + fp),
    }
    return out if tn is None else out | {f"{name}.false_positive_rate": (fp, fp + tn)}


def _draws(records: int) -> Ints:
    """[DRAWS, R]: how often each record is in each draw. The same for every statistic, and from run to run."""
    chosen = np.random.default_rng(SEED).integers(0, records, size=(DRAWS, records))
    weights: Ints = (chosen[:, :, None] == np.arange(records)).sum(axis=1)
    return weights


def _divide(above: npt.NDArray[np.generic], below: npt.NDArray[np.generic]) -> Floats:
    out: Floats = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=out, where=np.asarray(below) > 0)
    return out


def _interval(drawn: Floats, records: int) -> tuple[float | None, float | None]:
    """The middle CONFIDENCE of the draws in which the statistic is defined; one record alone tells of no spread."""
    drawn = drawn[~np.isnan(drawn)]
    if records < 2 or not len(drawn):
        return None, None
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
