"""How fast the detector is, beside the fastest peers, by turns in one run.

    python -m bench.rpeaks_speed

Half an hour of ECG (mitdb/100), one core. Kernel: samples in, beats and quality out, as arrays; filters, quality and
network included. Stage: the same with the events of the link before and behind it, as it runs live. Peers get the whole
array at once.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from bench.peers import PEERS, quietly
from monitor import candidates, config, quality, rhythm
from monitor import detector_kernel as kernel
from monitor import detector_layout as layout
from monitor.detector import Detector, plan
from monitor.events import FS, Opened, Samples
from trainer.dataset import read_signal

TURNS = 5
STREAMS, STREAM_S = 1000, 20
"""A thousand streams of twenty seconds are as many samples as eleven half hours."""


def streams_of(signals: list[np.ndarray], chunk: int) -> list[list[Opened | Samples]]:
    """Messages: one chunk of every stream each."""
    names = [f"s{k}" for k in range(len(signals))]
    head = [Opened(stream=name, seq=1, source="", fs=FS, leads=("",), start_time=0.0, length=None) for name in names]
    out: list[list[Opened | Samples]] = [list(head)]
    for at in range(0, len(signals[0]), chunk):
        out.append(
            [
                Samples(stream=name, seq=2 + at // chunk, start=at, signal=x[None, at : at + chunk])
                for name, x in zip(names, signals, strict=True)
            ]
        )
    return out


def ours(signals: list[np.ndarray], chunk: int) -> Callable[[], None]:
    settings = config.load()
    messages = streams_of(signals, chunk)

    def run() -> None:
        core = Detector(settings)
        for message in messages:
            core.push(message)

    return run


def kernel_alone(signals: list[np.ndarray], chunk: int, *, waves: bool = False) -> Callable[[], None]:
    """Arrays in, arrays out; ``chunk`` samples of every stream at a time; ``waves``: with the look for VF, too."""
    settings = config.load()
    filters, how = plan(settings)
    what, network = quality.plan(settings.quality), candidates.load()
    watch = rhythm.watch(settings.rhythm) if waves else rhythm.watch(settings.rhythm)._replace(step=0)
    streams, length = len(signals), len(signals[0])
    pieces = [
        np.concatenate([np.asarray(x[at : at + chunk], np.float64) for x in signals]) for at in range(0, length, chunk)
    ]
    rows = np.arange(streams)
    out = np.empty(streams * (2 * (chunk // quality.BLOCK) + chunk // how.refractory + 6), layout.FOUND)

    def run() -> None:
        states, qualities = np.zeros(streams, layout.STATE), np.zeros(streams, quality.STATE)
        rhythms = np.zeros(streams, rhythm.STATE)
        for k in range(streams):
            kernel.reset(states[k], 0)
            quality.reset(qualities[k])
        for piece in pieces:
            offsets = np.arange(streams + 1) * (len(piece) // streams)
            kernel.advance(
                states,
                qualities,
                rhythms,
                filters,
                how,
                what,
                watch,
                network,
                layout.no_trace(),
                rows,
                offsets,
                piece,
                out,
            )

    return run


def main() -> None:
    settings = config.load()
    records = [read_signal("mitdb/100", 0, settings)]
    n = len(records[0])
    many = [np.roll(records[0], -600 * k)[: STREAM_S * FS] for k in range(STREAMS)]
    cases: dict[str, tuple[Callable[[], object], int]] = {
        "kernel, one stream, whole array": (kernel_alone(records[:1], n), n),
        "kernel, one stream, chunks of 1 s": (kernel_alone(records[:1], FS), n),
        "kernel, 1,000 streams, chunks of 1 s": (kernel_alone(many, FS), STREAMS * STREAM_S * FS),
        "kernel with the look for VF, 1,000 streams, chunks of 1 s": (
            kernel_alone(many, FS, waves=True),
            STREAMS * STREAM_S * FS,
        ),
        "stage, one stream, whole array": (ours(records[:1], n), n),
        "stage, one stream, chunks of 0.1 s": (ours(records[:1], FS // 10), n),
        "stage, 1,000 streams, chunks of 1 s": (ours(many, FS), STREAMS * STREAM_S * FS),
    }
    double = records[0].astype(np.float64)
    for name in ("sleepecg", "NeuroKit2 pantompkins1985", "wfdb gqrs"):
        cases[name] = (lambda detect=PEERS[name]: quietly(detect, double, FS), n)  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(TURNS + 1):
        for name, (run, _) in cases.items():
            if name == "wfdb gqrs" and turn > 1:
                continue  # seconds each
            began = time.process_time()
            run()
            if turn:  # the first compiles and loads
                seconds[name].append(time.process_time() - began)
    print("`python -m bench.rpeaks_speed`\n")
    print("| | ns a sample | times real time | of sleepecg's time |")
    print("|---|---|---|---|")
    reference = statistics.median(seconds["sleepecg"]) / cases["sleepecg"][1]
    for name, (_, samples) in cases.items():
        each = statistics.median(seconds[name]) / samples
        print(f"| {name} | {1e9 * each:.1f} | {1 / (FS * each):,.0f} | {each / reference:.2f} |")


if __name__ == "__main__":
    main()
