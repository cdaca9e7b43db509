"""How well weights judge beats, as the literature counts it: whole records, escapes as N, every class by itself.

The same judging and counting as ``ecg-monitor score``; only the rules and the table differ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.config import Settings
from monitor.events import CLASSES
from monitor.network import Network
from trainer import outcomes
from trainer.ec57 import LABELS, Ints
from trainer.ec57_statistics import beat_quotients
from trainer.protocols import Protocol
from trainer.scoring import APART, LITERATURE, Score, judge, locate, reference_of, score

Result = Score


def judge_record(record: str, network: Network, settings: Settings) -> Result:
    """One ``database/record``, first lead."""
    where = locate(record, settings)
    reference = reference_of(where, "atr")
    return score(record, reference, judge(where, network, settings, reference), LITERATURE)


def scores(confusion: Ints) -> dict[str, tuple[float, float, float, int]]:
    """Sensitivity, positive predictivity, F1 and support of each class; 0 where undefined.

    A missed beat is a false negative of its class, a false detection a false positive of the class it was given.
    """
    counts = beat_quotients(confusion)
    out = {}
    for k, label in enumerate(CLASSES):
        se, pp, f1 = (
            int(above) / max(int(below), 1)
            for above, below in (
                counts[f"class.{label.value}.{name}"] for name in ("sensitivity", "positive_predictivity", "f1")
            )
        )
        out[label.value] = (se, pp, f1, int(confusion[k].sum()))
    return out


def evaluate(
    records: Sequence[str], network: Network, settings: Settings, tell: Callable[[Result], None]
) -> list[Result]:
    """Every record; ``tell`` is called as each is done."""
    out = []
    for record in records:
        out.append(judge_record(record, network, settings))
        tell(out[-1])
    return out


@dataclass(frozen=True)
class Counted:
    """The beats of one record that test."""

    record: str
    confusion: Ints
    """[7, 7], as :class:`Score` has it; nothing is counted as found where there is none, since such a detection
    belongs to no part."""


def tested_beats(protocol: Protocol, network: Network, settings: Settings, record: str) -> Counted:
    """What the pipeline says of those beats of a record that ``protocol`` tests with; every beat is seen in order."""
    return Counted(record, outcomes.judge(record, protocol, network, settings).confusion)


def macro(confusion: Ints) -> float:
    """Mean F1 over the classes."""
    return float(np.mean([f1 for _, _, f1, _ in scores(confusion).values()]))


def table(results: Sequence[Result | Counted]) -> str:
    """Gross scores by class, as plain text, with and without the one record that decides S."""
    lines = ["class        Se      +P      F1   beats   F1 without 232"]
    whole: Ints = np.sum([r.confusion for r in results], axis=0)
    rest = [r for r in results if r.record != APART] or list(results)
    others = scores(np.sum([r.confusion for r in rest], axis=0))
    for name, (se, pp, f1, support) in scores(whole).items():
        lines.append(f"{name:<8} {100 * se:6.2f}  {100 * pp:6.2f}  {f1:6.3f}  {support:6d}   {others[name][2]:6.3f}")
    beats = len(CLASSES)
    missed, extra = int(whole[:beats, beats:].sum()), int(whole[beats:, :beats].sum())
    lines.append(f"beats missed {missed}, found where there is none {extra}, of {int(whole[:beats].sum())}")
    lines.append("")
    lines.append("reference\\verdict " + " ".join(f"{label.lower():>7}" for label in LABELS))
    for k, label in enumerate(LABELS):
        lines.append(f"{label:<17} " + " ".join(f"{n:7d}" for n in whole[k]))
    return "\n".join(lines)
