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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import wfdb

from bench.peers import PEERS, Detect, quietly
from monitor import config
from monitor.config import Settings
from monitor.detector import Detector
from monitor.events import FS, Beat, Closed, Opened, Quality, Samples
from replay import physionet
from trainer.dataset import read_signal
from trainer.ec57 import MATCH_WINDOW_S, Detection, detection, match
from trainer.protocols import DS1, MITDB
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
    events = [
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


def confident_in_noise(settings: Settings) -> None:
    """Seconds and beats that are called good where there is only noise: nstdb's noise records."""
    for noise in ("em", "ma", "bw"):
        signal = read_signal(f"nstdb/{noise}", 0, settings)
        head = Opened(stream="s", seq=1, source="", fs=FS, leads=("",), start_time=0.0, length=None)
        out = Detector(settings).push([head, Samples(stream="s", seq=2, start=0, signal=signal[None])])
        beats = [event for event in out if isinstance(event, Beat)]
        reports = [event for event in out if isinstance(event, Quality) and event.sample % FS == 0]
        good = sum(beat.level == "good" for beat in beats)
        share = np.mean([report.level == "good" for report in reports])
        print(f"noise alone, {noise}: {len(beats)} beats, {good} called good; {100 * share:.1f} % of seconds good")


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
    show_worst(rows, [f"mitdb/{record}" for record in WORST])
    show_timing(rows["ecg-monitor (streaming)"])
    show("nstdb, 12 records, channel 0", run([f"nstdb/{record}" for record in NSTDB], settings, peers))
    confident_in_noise(settings)
    svdb = sorted(path.stem for path in physionet.locate("svdb/800", settings.data).parent.glob("*.hea"))
    show(f"svdb, the {len(svdb)} even-numbered records, channel 0", run([f"svdb/{r}" for r in svdb], settings, peers))


if __name__ == "__main__":
    main()
