"""Beat classes between patients, beside what is published.

    for seed in 0 1 2 3 4; do ecg-train fit --final --set seed=$seed --out runs/ds1-$seed; done
    python -m bench.accuracy_beats runs/ds1-*

Each folder holds weights that were trained on DS1 alone. The whole pipeline, our own R peaks, streaming, first lead,
first verdict, whole records; DS2. The weights that ship have seen DS2 and are not scored here.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from monitor import config
from monitor.checkpoint import load
from monitor.errors import UserError
from trainer.evaluate import evaluate, scores, table
from trainer.protocols import DS2, PROTOCOLS
from trainer.scoring import APART

PUBLISHED = """\
Published, DS1 → DS2, all with reference R peaks and none strictly causal (S F1, V F1):
  de Chazal 2004 (two leads)              .51  .80
  Niu 2020                                .77  .90
  Farag 2023 (needs the next beat)        .82  .95
  Teijeiro 2018 (rules, clustering)       .85  .96"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy_beats", description="Beat classes, DS1 → DS2")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR", help="what fit wrote: weights.safetensors")
    try:
        run(parser.parse_args(arguments).runs)
    except UserError as error:
        print(f"accuracy_beats: {error}", file=sys.stderr)
        return 1
    return 0


def run(folders: list[Path]) -> None:
    """Prints the table of every run, and their mean."""
    figures = []
    for folder in folders:
        network, origin = load(folder / "weights.safetensors")
        if {f"mitdb/{record}" for record in DS2} & set(origin["data_sha256"]):
            raise UserError(f"{folder}: these weights have seen DS2")
        results = evaluate(PROTOCOLS["between-patients"].test, network, config.load(), lambda result: None)
        whole = scores(np.sum([r.confusion for r in results], axis=0))
        rest = scores(np.sum([r.confusion for r in results if r.record != APART], axis=0))
        figures.append([whole[name][2] for name in "NSVF"] + [rest["S"][2]])
        print(f"{origin['protocol']}, seed {origin['recipe']['seed']}, commit {origin['commit']}; DS2, 22 records\n")
        print(table(results), "\n")
    mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0)
    words = (
        f"{name} {m:.3f} ± {s:.3f}"
        for name, m, s in zip(("N", "S", "V", "F", "S without 232"), mean, spread, strict=True)
    )
    print(f"F1, mean of {len(figures)} seeds ± standard deviation: {', '.join(words)}\n")
    print(PUBLISHED)


if __name__ == "__main__":
    sys.exit(main())
