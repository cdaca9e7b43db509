"""How well the whole pipeline judges beats: our own R peaks, streaming, the verdicts that the daemon would publish."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monitor.classifier import Classifier
from monitor.config import Settings
from monitor.detector import Detector
from monitor.events import CLASSES, FS, Verdict
from monitor.network import Network
from monitor.sources import SourceRequest, open_source
from monitor.stage import Chain
from replay import physionet
from trainer.ec57 import MATCH_WINDOW_S, match, outside
from trainer.references import load_reference

Counts = npt.NDArray[np.int64]

NOTHING = len(CLASSES)
"""Row of detections without a reference beat, column of reference beats without a detection."""


@dataclass(frozen=True)
class Result:
    """One record."""

    record: str
    confusion: Counts
    """[6, 6], reference by verdict, the last row and column NOTHING."""


def judge_record(record: str, network: Network, settings: Settings) -> Result:
    """The confusion of one ``database/record``, first lead."""
    import torch

    core = Chain(Detector(settings), Classifier(settings, network, torch.device("cpu")))
    source = open_source(SourceRequest(uri=f"replay:{record}", stream=record, now=0.0), settings)
    verdicts: list[Verdict] = []
    while events := source.read(60 * FS):
        verdicts += [event for event in core.push(events) if isinstance(event, Verdict)]
    source.close()
    reference = load_reference(Path(physionet.locate(record, settings.data)))
    scale = FS / reference.fs
    samples = np.round(reference.samples * scale).astype(np.int64)
    peaks = np.array([verdict.sample for verdict in verdicts], dtype=np.int64)
    # Ventricular flutter and fibrillation count for neither side (EC57).
    vf = [(round(first * scale), round(last * scale)) for first, last in reference.vf]
    there, found = np.flatnonzero(outside(samples, vf)), np.flatnonzero(outside(peaks, vf))
    confusion = np.zeros((NOTHING + 1, NOTHING + 1), dtype=np.int64)
    for i, j in match(samples[there], peaks[found], MATCH_WINDOW_S * FS):
        row = CLASSES.index(reference.labels[there[i]]) if i >= 0 else NOTHING
        column = CLASSES.index(verdicts[found[j]].label) if j >= 0 else NOTHING
        confusion[row, column] += 1
    return Result(record, confusion)


def scores(confusion: Counts) -> dict[str, tuple[float, float, float, int]]:
    """Sensitivity, positive predictivity, F1 and support of each class.

    A missed beat is a false negative of its class, a false detection a false positive of the class it was given.
    """
    out = {}
    for k, name in enumerate(CLASSES):
        tp = int(confusion[k, k])
        support, given = int(confusion[k].sum()), int(confusion[:, k].sum())
        out[name.value] = (tp / max(support, 1), tp / max(given, 1), 2 * tp / max(support + given, 1), support)
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


def table(results: Sequence[Result]) -> str:
    """Gross scores by class, as plain text, with and without the one record that decides S."""
    lines = ["class        Se      +P      F1   beats   F1 without 232"]
    whole = np.sum([r.confusion for r in results], axis=0)
    rest = [r.confusion for r in results if r.record != "mitdb/232"]
    without = scores(np.sum(rest, axis=0)) if rest else scores(whole)
    for name, (se, pp, f1, support) in scores(whole).items():
        lines.append(f"{name:<8} {100 * se:6.2f}  {100 * pp:6.2f}  {f1:6.3f}  {support:6d}   {without[name][2]:6.3f}")
    missed, extra = int(whole[:-1, -1].sum()), int(whole[-1, :-1].sum())
    lines.append(f"beats missed {missed}, found where there is none {extra}, of {int(whole[:-1].sum())}")
    lines.append("")
    lines.append("reference\\verdict " + " ".join(f"{c.value:>7}" for c in CLASSES) + "       –")
    for k, name in enumerate([*(c.value for c in CLASSES), "–"]):
        lines.append(f"{name:<17} " + " ".join(f"{n:7d}" for n in whole[k]))
    return "\n".join(lines)
