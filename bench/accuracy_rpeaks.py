"""R peaks against the reference annotations, beside the peers, on the same files in the same run.

    python -m bench.accuracy_rpeaks                 all databases, all peers (ten minutes)
    python -m bench.accuracy_rpeaks --no-peers      ours alone (half a minute)
    python -m bench.accuracy_rpeaks --records ds1   while tuning: DS1 without 119

Matching after EC57: one to one within 150 ms, whole records (no learning period), VF segments excluded from both
sides, first lead, default settings. Ours is the very kernel that runs live.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import wfdb

from bench.peers import PEERS, Detect, quietly
from monitor import config
from monitor.config import Settings
from monitor.detector import Detector
from monitor.events import FS, Beat, Closed, Event, Opened, Quality, Samples
from replay import physionet
from trainer.dataset import read_signal
from trainer.ec57 import MATCH_WINDOW_S, Detection, detection, match
from trainer.protocols import DS1, MITDB
from trainer.qrs import records
from trainer.references import Reference, load_reference

Ints = npt.NDArray[np.int64]

NSTDB = tuple(f"{record}e{level}" for record in ("118", "119") for level in ("24", "18", "12", "06", "00", "_6"))
WORST = ("108", "203", "201", "208", "210", "105", "114", "207")
"""The records of mitdb that detectors err on most."""


@dataclass
class Row:
    """One detector on one database."""

    records: dict[str, Detection] = field(default_factory=dict)
    seconds: float = 0.0
    offsets: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)

    @property
    def gross(self) -> Detection:
        return sum(self.records.values(), Detection(0, 0, 0))


def ours(name: str, reference: Reference, settings: Settings, row: Row) -> None:
    """One record through the live kernel, in chunks of a second."""
    signal = read_signal(name, 0, settings)
    events: list[Event] = [
        Opened(stream="s", seq=1, source="", fs=FS, leads=("",), start_time=0.0, length=None),
        *(
            Samples(stream="s", seq=2 + k, start=at, signal=signal[None, at : at + FS])
            for k, at in enumerate(range(0, len(signal), FS))
        ),
        Closed(stream="s", seq=1 << 30, sample=len(signal), reason=""),
    ]
    began = time.process_time()
    out = Detector(settings).push(events)
    row.seconds += time.process_time() - began
    beats = [event for event in out if isinstance(event, Beat)]
    peaks = np.array([beat.sample for beat in beats], dtype=np.int64)
    scale = FS / reference.fs
    truth = np.round(reference.samples * scale).astype(np.int64)
    vf = [(round(a * scale), round(b * scale)) for a, b in reference.vf]
    row.records[name] = detection(truth, peaks, FS, vf)
    row.offsets += [int(peaks[j] - truth[i]) for i, j in match(truth, peaks, MATCH_WINDOW_S * FS) if i >= 0 <= j]
    row.delays += [beat.confirmed - beat.sample for beat in beats if not beat.search_back]
    row.late += [beat.confirmed - beat.sample for beat in beats if beat.search_back]


def peer(name: str, path: Path, reference: Reference, detect: Detect, row: Row) -> None:
    """One record through a peer, at the record's own rate."""
    signal = wfdb.rdrecord(str(path), channels=[0]).p_signal[:, 0]
    signal = np.where(np.isnan(signal), 0.0, signal)
    began = time.process_time()
    found = quietly(detect, signal, reference.fs)
    row.seconds += time.process_time() - began
    row.records[name] = detection(reference.samples, found, reference.fs, reference.vf)


def run(names: list[str], settings: Settings, peers: dict[str, Detect]) -> dict[str, Row]:
    """Every detector on every record of ``names``."""
    rows = {"ecg-monitor (streaming)": Row()} | {peer_name: Row() for peer_name in peers}
    for name in names:
        path = physionet.locate(name, settings.data)
        reference = load_reference(path)
        ours(name, reference, settings, rows["ecg-monitor (streaming)"])
        for peer_name, detect in peers.items():
            peer(name, path, reference, detect, rows[peer_name])
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def show(title: str, rows: dict[str, Row]) -> None:
    """A table as Markdown."""
    print(f"\n### {title}\n")
    print("| detector | Se | +P | F1 | FP | FN | FP + FN | CPU s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in sorted(rows.items(), key=lambda item: -item[1].gross.f1):
        d = row.gross
        figures = (f"{100 * v:.2f}" for v in (d.sensitivity, d.positive_predictivity, d.f1))
        print(f"| {name} | {' | '.join(figures)} | {d.fp} | {d.fn} | {d.fp + d.fn} | {row.seconds:.1f} |")


def show_worst(rows: dict[str, Row], names: list[str]) -> None:
    """FP + FN on the records that detectors err on most."""
    print("\n| FP + FN | " + " | ".join(name.split("/")[1] for name in names) + " |")
    print("|---|" + "---|" * len(names))
    for detector, row in rows.items():
        errors = (row.records[name] for name in names)
        print(f"| {detector} | " + " | ".join(str(d.fp + d.fn) for d in errors) + " |")


def show_parts(rows: dict[str, Row], learnt: set[str]) -> None:
    """Errors on the records that our candidate network has learnt from, and on those that it has never seen."""
    print("\n| FP + FN (F1) | learnt from | never seen |")
    print("|---|---|---|")
    for detector, row in rows.items():
        cells = []
        for seen in (True, False):
            d = sum((v for name, v in row.records.items() if (name in learnt) == seen), Detection(0, 0, 0))
            cells.append(f"{d.fp + d.fn} ({100 * d.f1:.2f})")
        print(f"| {detector} | {' | '.join(cells)} |")


def show_timing(row: Row) -> None:
    """Where R is put, and when it is told."""
    offsets, delays, late = (np.array(values) for values in (row.offsets, row.delays, row.late))
    median = np.median(offsets)
    print(
        f"\nR against the reference: median offset {median:+.0f} samples, MAD {np.median(abs(offsets - median)):.0f}, "
        f"5th and 95th percentile {np.percentile(offsets, 5):+.0f} and {np.percentile(offsets, 95):+.0f} (360 Hz)."
    )
    print(
        f"Delay from R to the published beat, signal time: median {np.median(delays) / FS:.3f} s, "
        f"99.9th percentile {np.percentile(delays, 99.9) / FS:.3f} s; {len(late)} of {len(late) + len(delays)} beats "
        f"by search-back, at most {late.max() / FS if len(late) else 0:.3f} s."
    )


def reported(name: str, settings: Settings, first: float = 0.0) -> tuple[list[Beat], list[Quality]]:
    """Beats and the reports of each second from share ``first`` of the recording on."""
    signal = read_signal(name, 0, settings)
    signal = signal[int(first * len(signal)) :]
    head = Opened(stream="s", seq=1, source="", fs=FS, leads=("",), start_time=0.0, length=None)
    out = Detector(settings).push([head, Samples(stream="s", seq=2, start=0, signal=signal[None])])
    beats = [event for event in out if isinstance(event, Beat)]
    return beats, [event for event in out if isinstance(event, Quality) and event.sample % FS == 0]


def joined(pairs: Iterable[tuple[list[Beat], list[Quality]]]) -> tuple[list[Beat], list[Quality]]:
    """Of several recordings."""
    parts = list(pairs)
    return [beat for beats, _ in parts for beat in beats], [report for _, reports in parts for report in reports]


def show_quality(settings: Settings) -> None:
    """What the signal quality says: of noise alone, of nstdb by signal-to-noise ratio, of challenge2017 by class."""
    print("\n### Signal quality, share of seconds\n")
    print("| | good | noisy | unusable | beats | of them in good seconds |")
    print("|---|---|---|---|---|---|")

    def row(title: str, beats: list[Beat], reports: list[Quality]) -> None:
        shares = (np.mean([r.level == level for r in reports]) for level in ("good", "noisy", "unusable"))
        good = sum(beat.level == "good" for beat in beats)
        print(f"| {title} | {' | '.join(f'{100 * s:.1f} %' for s in shares)} | {len(beats)} | {good} |")

    for noise, meaning in (("em", "electrode motion"), ("ma", "muscle"), ("bw", "baseline wander")):
        # The first half is in the training of the candidate network.
        row(f"noise alone, {meaning} (second half of nstdb/{noise})", *reported(f"nstdb/{noise}", settings, 0.5))
    for level in ("24", "18", "12", "06", "00", "_6"):
        both = [reported(f"nstdb/{record}e{level}", settings) for record in ("118", "119")]

        # Clean for five minutes, then noise and none by turns, two minutes each.
        def inside(sample: int) -> bool:
            return sample > 300 * FS and (sample // FS - 300) // 120 % 2 == 0

        noisy = (
            ([b for b in beats if inside(b.sample)], [r for r in said if inside(r.sample)]) for beats, said in both
        )
        beats, reports = joined(noisy)
        row(f"nstdb, noisy stretches at {level.replace('_', '−')} dB", beats, reports)
    folder = physionet.locate("challenge2017/A00001", settings.data).parent
    classes = dict(line.split(",") for line in (folder / "REFERENCE.csv").read_text().split())
    strips = {name: reported(f"challenge2017/{name}", settings) for name in classes}
    for label, meaning in (("N", "normal"), ("A", "atrial fibrillation"), ("O", "other rhythm"), ("~", "noise")):
        chosen = [strips[name] for name in classes if classes[name] == label]
        beats, reports = joined(chosen)
        row(f"challenge2017, {len(chosen)} strips of class {label} ({meaning})", beats, reports)
    levels = {name: float(np.mean([r.noise for r in reports])) for name, (_, reports) in strips.items() if reports}
    bad = np.array([levels[name] for name in levels if classes[name] == "~"])
    rest = np.array([levels[name] for name in levels if classes[name] != "~"])
    area = np.mean((bad[:, None] > rest[None]) + 0.5 * (bad[:, None] == rest[None]))
    print(f"\nMean noise of a strip tells challenge2017's noise class from the others with an ROC area of {area:.3f}.")


def main() -> None:
    parser = argparse.ArgumentParser(description="R peak accuracy")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--records", choices=("all", "ds1"), default="all")
    given = parser.parse_args()
    settings = config.load()
    peers = {} if given.no_peers else PEERS
    if given.records == "ds1":
        rows = run([f"mitdb/{record}" for record in DS1 if record != "119"], settings, {})
        show("DS1 without 119", rows)
        for name, d in rows["ecg-monitor (streaming)"].records.items():
            print(f"{name}: FP {d.fp} FN {d.fn}")
        return
    print("`python -m bench.accuracy_rpeaks" + (" --no-peers" if given.no_peers else "") + "`")
    rows = run([f"mitdb/{record}" for record in MITDB], settings, peers)
    show("mitdb, 48 whole records, channel 0", rows)
    learnt = set(records())
    show_parts(rows, learnt)
    show_worst(rows, [f"mitdb/{record}" for record in WORST])
    show_timing(rows["ecg-monitor (streaming)"])
    noisy = run([f"nstdb/{record}" for record in NSTDB], settings, peers)
    show("nstdb, 12 records, channel 0", noisy)
    show_parts(noisy, learnt)
    show_quality(settings)
    svdb = sorted(path.stem for path in physionet.locate("svdb/800", settings.data).parent.glob("*.hea"))
    show(f"svdb, the {len(svdb)} even-numbered records, channel 0", run([f"svdb/{r}" for r in svdb], settings, peers))


if __name__ == "__main__":
    main()
