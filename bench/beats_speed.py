"""CPU time a beat of the classifier, core alone, one thread.

    python -m bench.beats_speed

``Classifier.push``, as it runs live: beats of the link in, verdicts out; shapes and features, network and softmax
included. So many streams have one beat ready each, which is what a batch is when the detector keeps up.
"""

import statistics
import time

import msgspec
import torch

from monitor import config
from monitor.checkpoint import SHIPPED, load
from monitor.classifier import Classifier
from monitor.events import Beat
from trainer.dataset import find_beats, read_signal

RECORDS = ("mitdb/100", "mitdb/119", "mitdb/200", "mitdb/203", "mitdb/209", "mitdb/232")
SIZES = (1, 10, 100, 300, 1000)
"""Beats at once."""
BATCHES = 120
"""Measured one by one, after a few that are not: those compile, and open the streams."""
UNMEASURED = 5
FLOOR_US, GOAL_US = 40, 20
"""In batches of 100 to 1,000: at most the first, better the second."""


def batches(beats: list[list[Beat]], streams: int) -> list[list[Beat]]:
    """The next beat of every stream, batch after batch; no two streams are at the same place of the same record."""
    own = []
    for k in range(streams):
        record = beats[k % len(beats)]
        begin = (k // len(beats) * 7) % (len(record) - UNMEASURED - BATCHES)
        chosen = record[begin : begin + UNMEASURED + BATCHES]
        own.append([msgspec.structs.replace(beat, stream=f"s{k}") for beat in chosen])
    return [list(each) for each in zip(*own, strict=True)]


def microseconds_a_beat(classifier: Classifier, pushed: list[list[Beat]]) -> list[float]:
    """CPU time of every measured batch, over its beats."""
    out = []
    for k, batch in enumerate(pushed):
        began = time.process_time()
        classifier.push(batch)
        if k >= UNMEASURED:
            out.append(1e6 * (time.process_time() - began) / len(batch))
    return out


def main() -> None:
    settings = config.load()
    settings = msgspec.structs.replace(settings, classifier=msgspec.structs.replace(settings.classifier, threads=1))
    network, _ = load(SHIPPED)
    beats = [find_beats(read_signal(record, 0, settings), settings) for record in RECORDS]
    print("`python -m bench.beats_speed`\n")
    print(
        f"µs a beat, one core; floor {FLOOR_US}, goal {GOAL_US}. The least is what the machine's other work spares.\n"
    )
    print("| beats at once | median | least |")
    print("|---|---|---|")
    for size in SIZES:
        each = microseconds_a_beat(Classifier(settings, network, torch.device("cpu")), batches(beats, size))
        print(f"| {size:,} | {statistics.median(each):.1f} | {min(each):.1f} |", flush=True)


if __name__ == "__main__":
    main()
