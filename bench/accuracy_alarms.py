"""Alarms against the reference annotations, streaming, with default settings: the first lead alone, and the first two.

    python -m bench.accuracy_alarms                          everything (twenty minutes)
    python -m bench.accuracy_alarms --only mitdb --only nstdb
    python -m bench.accuracy_alarms --rhythm 'runs/rhythm/whole.*.safetensors'
                                                             each record with weights that did not learn from it
    python -m bench.accuracy_alarms --keep DIR               keeps what detector and classifier make of each record, and
                                                             takes it from there: only the rules are run anew

The cores that run live, driven over whole records. An alert counts from `raised` until its condition is over (it ends,
or is latched; nobody acknowledges here). What a figure means stands below its table.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.alarm_databases import Result, challenge2015, challenge2017, cudb, mitdb, nstdb, vfdb
from bench.alarm_spells import Monitor
from monitor import config, rhythm
from monitor.config import Settings

TABLES: dict[str, Callable[[Monitor, Settings], Result]] = {
    "challenge2015": challenge2015,
    "cudb": cudb,
    "vfdb": vfdb,
    "mitdb": mitdb,
    "challenge2017": challenge2017,
    "nstdb": nstdb,
}

TWO_LEADS = ("challenge2015", "vfdb", "mitdb", "nstdb")
"""Whose recordings have more than one."""


def main(arguments: list[str] | None = None) -> None:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--only", action="append", choices=sorted(TABLES), metavar="DATABASE")
    top.add_argument("--rhythm", default=str(rhythm.SHIPPED), metavar="GLOB")
    top.add_argument("--keep", type=Path, metavar="DIR")
    top.add_argument("--config", type=Path, metavar="FILE")
    given: Any = top.parse_args(arguments)
    settings = config.load(given.config)
    shipped = given.rhythm == str(rhythm.SHIPPED)
    monitor = Monitor(settings, "" if shipped else given.rhythm, given.keep)
    two = Monitor(settings, "" if shipped else given.rhythm, given.keep, leads=2)
    results = []
    for name in given.only or TABLES:
        print(name, file=sys.stderr, flush=True)
        both = TABLES[name](two, settings) if name in TWO_LEADS else None
        results.append((TABLES[name](monitor, settings), both))
    print("| | one lead | two leads | floor | goal |\n|---|---|---|---|---|")
    for result, both in results:
        of_both = ["" for _ in result.lines] if both is None else [line.figure for line in both.lines]
        for line, figure in zip(result.lines, of_both, strict=True):
            print(f"| {line.what} | {line.figure} | {figure} | {line.floor} | {line.goal} |")
    print()
    for result, both in results:
        for note in result.notes:
            print(f"- {note}")
        for note in both.notes if both is not None else ():
            print(f"- two leads, {note}")


if __name__ == "__main__":
    main()
