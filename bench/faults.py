"""Nothing lost, nobody in, whatever dies: each promise tried, and how often.

python -m bench.faults                       all of it: three quarters of an hour on a machine that does nothing else
python -m bench.faults kills --runs 2        some of it
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable

from bench import (
    faults_checkpoints,
    faults_crowd,
    faults_devices,
    faults_frames,
    faults_intruders,
    faults_kills,
    faults_recovery,
    faults_soak,
)

RECOVERY_S, P99_MORE, SLOPE_MB, SHARE, OFF_S = 2.0, 1.2, 1.0, 0.01, 0.1
"""What must hold: s until caught up, times the undisturbed p99, MB an hour of signal, share of a core, s from its
place."""


def kills(given: argparse.Namespace) -> str:
    outcomes = faults_kills.run(given.runs, given.minutes * 60, given.speed, given.every_s, given.seed)
    whom = Counter(name for outcome in outcomes for name in outcome.killed)
    total = ", ".join(f"{name} {count}" for name, count in whom.most_common())
    lost, different = sum(o.lost for o in outcomes), sum(o.different for o in outcomes)
    whole = all(outcome.signal_equal for outcome in outcomes)
    for outcome in outcomes:
        for example in outcome.examples:
            print(f"lost or different after {', '.join(outcome.killed)}: {example}", file=sys.stderr)
    beats, alerts = sum(o.beats for o in outcomes), sum(o.alerts for o in outcomes)
    return _row(
        "SIGKILL at random instants",
        f"{sum(whom.values())} in {len(outcomes)} runs of {given.minutes:g} min at {given.speed:g}×: {total}",
        f"of {beats} verdicts and {alerts} alert events {lost} lost, {different} doubled or different; "
        f"recorded signal {'equal' if whole else 'DIFFERENT'}",
        lost == different == 0 and whole,
    )


def recovery(given: argparse.Namespace) -> str:
    found = faults_recovery.run(given.deaths)
    longest = max(max(values) for values in found.values())
    figures = ", ".join(f"{name} {max(values):.2f} s" for name, values in found.items())
    count = sum(map(len, found.values()))
    return _row("from a kill to caught up, real time", f"{count} deaths", f"longest: {figures}", longest <= RECOVERY_S)


def frames(given: argparse.Namespace) -> str:
    struck = faults_frames.run(given.frames // 8)
    sent, wrong = sum(s.sent for s in struck.values()), sum(s.wrong for s in struck.values())
    uncounted = sum(s.expected - s.rejected for s in struck.values())
    return _row(
        "random and mutated frames",
        f"{sent:,} at {len(struck)} sockets",
        f"0 crashes, {wrong} wrong events, {uncounted} not counted",
        wrong == uncounted == 0,
    )


def crowd(given: argparse.Namespace) -> str:
    alone, crowded = faults_crowd.run(given.subscribers, given.crowd_s)
    ratio = crowded.p99 / alone.p99
    return _row(
        "subscribers that connect, leave, stall",
        f"{given.subscribers}, {crowded.beats} beats",
        f"p99 of a beat {1000 * alone.p99:.0f} ms → {1000 * crowded.p99:.0f} ms (× {ratio:.2f}), "
        f"median {1000 * alone.median:.0f} → {1000 * crowded.median:.0f} ms",
        ratio <= P99_MORE,
    )


def soak(given: argparse.Namespace) -> str:
    soaked = faults_soak.run(given.hours)
    figures = ", ".join(f"{name} {slope:+.2f}" for name, slope in soaked.slopes.items())
    return _row(
        "a day at full speed",
        f"{soaked.hours:.1f} h of signal in {soaked.seconds / 60:.1f} min",
        f"MB an hour of signal: {figures}; {soaked.lost} events lost",
        max(soaked.slopes.values()) < SLOPE_MB and not soaked.lost,
    )


def devices(given: argparse.Namespace) -> str:
    found = faults_devices.run(given.devices_s)
    words = "; ".join(f"{name}: {held.words}" for name, held in found.items())
    # Of a wrong rate the first two windows are on the line, each sample where nobody can say; whence the exception.
    off = max(held.off_s for name, held in found.items() if not name.startswith("slow"))
    return _row("devices that stall, jump and lie", f"{len(found)} at once, one fault each", words, off <= OFF_S)


def intruders(given: argparse.Namespace) -> str:
    found = faults_intruders.run()
    right = all(got == expected for got, expected in found.values())
    seen, readable = faults_intruders.overheard()
    words = "; ".join(f"{who}: {got.alerts} alerts, control {got.controlled}" for who, (got, _) in found.items())
    said = f"{words}; sniffer: of {seen:,} bytes {'SOME' if readable else 'none'} readable"
    return _row("intruders", f"{len(found)} and a sniffer", said, right and not readable)


def checkpoints(given: argparse.Namespace) -> str:
    found = faults_checkpoints.run()
    figures = ", ".join(f"{name} {100 * share:.2f} % of a core, {size:.1f} MB" for name, (share, size) in found.items())
    settled = max(share for share, _ in found.values()) <= SHARE
    return _row("checkpoints, one a second", f"{faults_checkpoints.STREAMS} patients", figures, settled)


ROWS: dict[str, Callable[[argparse.Namespace], str]] = {
    "kills": kills,
    "recovery": recovery,
    "frames": frames,
    "crowd": crowd,
    "soak": soak,
    "devices": devices,
    "intruders": intruders,
    "checkpoints": checkpoints,
}


def _row(what: str, tried: str, came: str, holds: bool) -> str:
    return f"| {what} | {tried} | {came} | {'holds' if holds else 'DOES NOT HOLD'} |"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], default=[], help=f"of {', '.join(ROWS)} (default: all)")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=30.0, help="of signal a run")
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--every-s", type=float, default=4.0, help="mean time between two deaths")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deaths", type=int, default=5, help="of each stage, in real time")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--subscribers", type=int, default=200)
    parser.add_argument("--crowd-s", type=float, default=60.0)
    parser.add_argument("--devices-s", type=float, default=60.0)
    parser.add_argument("--hours", type=float, default=24.0, help="of signal to soak in")
    given = parser.parse_args()
    print("| what | tried | what came of it | |\n|---|---|---|---|", flush=True)
    for name in given.rows or ROWS:
        print(ROWS[name](given), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
