"""Beats called supraventricular in atrial fibrillation, where by the AAMI classes there are none.

    python -m bench.fibrillation_beats
    python -m bench.fibrillation_beats --weights runs/ds1-0/weights.safetensors vfdb/609

vfdb annotates rhythms, not beats: of its fibrillation nobody's class has been learnt from. Of all beats that the
pipeline finds in stretches annotated as AFIB, those that it calls S are counted; whole records, first lead.
challenge2015 annotates nothing, but eighteen of its patients fibrillate or flutter all five minutes long
(``trainer.told_by_eye``): of them all beats count. The last column says of whom these weights have learnt.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from monitor import config
from monitor.checkpoint import SHIPPED, load
from monitor.errors import UserError
from monitor.events import FS, BeatClass, Verdict
from trainer.references import Reference, load_reference
from trainer.scoring import find, verdicts
from trainer.told_by_eye import FIBRILLATING

_RHYTHM = "AFIB"
_DEFAULT = ["vfdb", *FIBRILLATING]


def counted(reference: Reference | None, judged: list[Verdict]) -> tuple[int, int]:
    """Beats called S, and all beats, of those in fibrillation; without ``reference`` all are."""
    if reference is not None:
        begins = np.array([sample for sample, _ in reference.rhythms], dtype=np.int64) * (FS / reference.fs)
        names = ["", *(name for _, name in reference.rhythms)]
        judged = [v for v in judged if names[int(np.searchsorted(begins, v.sample, side="right"))] == _RHYTHM]
    return sum(v.label == BeatClass.S for v in judged), len(judged)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.fibrillation_beats", description="Beats called S in atrial fibrillation."
    )
    parser.add_argument(
        "records",
        nargs="*",
        default=_DEFAULT,
        metavar="RECORD",
        help="default: all of vfdb, and who fibrillates in challenge2015",
    )
    parser.add_argument("--weights", type=Path, default=SHIPPED, metavar="FILE", help="default: those that ship")
    given = parser.parse_args(words)
    settings = config.load()
    try:
        network, origin = load(given.weights)
        print(f"weights: {origin['protocol']}, seed {origin['recipe']['seed']}, commit {origin['commit']}\n")
        print("| record | beats in fibrillation | called S | learnt from |")
        print("|---|---|---|---|")
        for where in find(given.records, settings):
            record = "/".join(where.path.parts[-2:])  # it may be named as a path
            reference = None if record in FIBRILLATING else load_reference(where.path)
            if reference is not None and _RHYTHM not in {name for _, name in reference.rhythms}:
                continue
            wrong, beats = counted(reference, verdicts(where, network, settings))
            learnt = "yes" if record in origin["data_sha256"] else "no"
            print(f"| {where.name} | {beats} | {wrong} ({100 * wrong / max(beats, 1):.1f} %) | {learnt} |", flush=True)
    except UserError as error:
        print(f"fibrillation_beats: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
