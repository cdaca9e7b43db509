"""``ecg-monitor``: arguments and exit codes only; what a command does is in ``monitor/commands/``.

Exit codes: 0 done, 1 it failed and one line says why, 2 wrong usage, 130 Ctrl-C with everything closed.
"""

import argparse
import importlib.metadata
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from monitor import config
from monitor.errors import UsageError, UserError

NOTICE = "Not a medical device."

_EXAMPLES = """examples:
  ecg-monitor --source replay:demo                        five minutes of real ECG, no network needed
  ecg-monitor --source replay:mitdb/208 --speed 4         a PhysioNet record, four times as fast
  ecg-monitor --source replay:mitdb/208 --source replay:mitdb/119
  ecg-monitor --source replay:/data/patient7 --lead V5 --headless
  ecg-monitor --source pipe:/tmp/ecg                      a device of your own (docs/protocol.md, "A device's lines")
  ecg-monitor alerts --json                               in another terminal: alerts, one JSON object a line
  ecg-monitor watch                                       a second dashboard on the running daemon
  ecg-monitor annotate mitdb/208 --out results            the same pipeline, offline
  ecg-monitor score mitdb/208                             and how right it is, after EC57
"""


def speed(text: str) -> float | None:
    """``1``, ``8.5`` or ``max``."""
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is no speed; write 1, 8, … or max")
    return value


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return value


def parser(*, helping: bool = False) -> argparse.ArgumentParser:
    """Of all commands. ``helping``: a person wants to read about them; those of other packages are then loaded."""
    version = importlib.metadata.version("ecg-monitor")
    top = argparse.ArgumentParser(
        prog="ecg-monitor",
        description=f"A real-time ECG monitor: every heartbeat found, classified and judged, alerts out. {NOTICE}",
        epilog=_EXAMPLES + "\n`ecg-monitor COMMAND --help` tells more; without a command it is `run`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"ecg-monitor {version}. {NOTICE}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, words: str, examples: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=words,
            description=words,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("--config", type=Path, metavar="FILE", help="settings to lay over the defaults (TOML)")
        return sub

    def playing(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--lead",
            action="append",
            default=[],
            metavar="NAME|N",
            help="lead to analyse, by name or number from 0 (default: the first); again: a second one, which stands "
            "in for it and speaks against what only noise shows; further ones are only carried",
        )
        sub.add_argument("--start", type=seconds, default=0.0, metavar="SECONDS", help="begin there in the recording")
        sub.add_argument("--duration", type=seconds, default=None, metavar="SECONDS", help="play so much of it")

    def device(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--device",
            choices=("auto", "cpu", "cuda"),
            default="auto",
            help="where the network runs (default: cuda where there is one)",
        )

    run = command(
        "run",
        "run everything and show the dashboard (the default command)",
        "  ecg-monitor --source replay:demo\n  ecg-monitor --source replay:mitdb/208 --speed max --headless\n",
    )
    run.add_argument(
        "--source",
        action="append",
        required=True,
        metavar="URI",
        help="replay:demo, replay:DATABASE/RECORD, replay:PATH, pipe:PATH (a device); several for several patients",
    )
    run.add_argument("--speed", type=speed, default=1.0, metavar="1|N|max", help="recorded seconds per second")
    run.add_argument("--headless", action="store_true", help="no screen: plain lines")
    run.add_argument("--loop", action="store_true", help="begin anew at the end, again and again")
    run.add_argument("--alert-port", type=int, metavar="PORT", help="TCP port of the alert socket")
    run.add_argument("--record", type=Path, metavar="DIR", help="write signals, beats, alerts and their strips there")
    run.add_argument(
        "--state", type=Path, metavar="DIR", help="checkpoints that outlive the daemon (default: in DIR of --record)"
    )
    playing(run)
    device(run)

    watch = command(
        "watch",
        "a dashboard on a daemon that already runs",
        "  ecg-monitor watch\n  ecg-monitor watch tcp://127.0.0.1:5760 --headless\n",
    )
    watch.add_argument("endpoint", nargs="?", metavar="ENDPOINT", help="its alert socket (default: from config.toml)")
    watch.add_argument("--headless", action="store_true", help="no screen: plain lines")

    alerts = command(
        "alerts",
        "subscribe to the alert socket and print what comes",
        "  ecg-monitor alerts\n  ecg-monitor alerts --json | jq .message\n",
    )
    alerts.add_argument("endpoint", nargs="?", metavar="ENDPOINT", help="(default: from config.toml)")
    alerts.add_argument("--json", action="store_true", help="one JSON object a line (docs/protocol.md)")
    alerts.add_argument(
        "--history", action="store_true", help="first everything since the daemon's start, not only what is active"
    )

    def ordering(name: str, words: str, examples: str) -> argparse.ArgumentParser:
        sub = command(name, words, examples)
        if name in ("enable", "disable"):
            sub.add_argument("kind", metavar="KIND", help="of alert, as in the alerts: couplet, vt, …")
        sub.add_argument("stream", nargs="?", metavar="STREAM", help="mitdb/208, … (default: all that are open)")
        sub.add_argument("--endpoint", metavar="ENDPOINT", help="the daemon's alert socket (default: from config.toml)")
        return sub

    ack = ordering(
        "ack",
        "acknowledge alerts of a daemon that runs",
        "  ecg-monitor ack\n  ecg-monitor ack mitdb/208 --alert mitdb/208/vt/48210\n",
    )
    ack.add_argument("--alert", metavar="ID", help="this alert alone")
    silence = ordering(
        "silence",
        "no sound for a while; what there is to see stays",
        "  ecg-monitor silence\n  ecg-monitor silence mitdb/208 --seconds 60\n",
    )
    silence.add_argument(
        "--seconds", type=seconds, metavar="N", help="for so long (default: control.silence_s; 0 ends it)"
    )
    for name, words in (("enable", "look for a kind of alert again"), ("disable", "look for a kind of alert no more")):
        ordering(name, words, f"  ecg-monitor {name} couplet\n  ecg-monitor {name} pause mitdb/208\n")

    keys = command(
        "keys",
        "make the keys that a daemon needs to be reached from other machines",
        "  ecg-monitor keys ~/ecg-keys                             once, for the server\n"
        "  ecg-monitor keys ~/ecg-keys --client ward3              may listen\n"
        "  ecg-monitor keys ~/ecg-keys --client nurse --control    may also acknowledge and silence\n",
    )
    keys.add_argument(
        "folder", type=Path, metavar="DIR", help="the server's keys: [security] keys in its configuration"
    )
    keys.add_argument("--client", action="append", default=[], metavar="NAME", help="make keys for a client")
    keys.add_argument("--control", action="store_true", help="who may also control")

    annotate = command(
        "annotate",
        "the same pipeline, as fast as it goes: RECORD.ecgm and RECORD.alarms.jsonl",
        "  ecg-monitor annotate mitdb/208 --out results\n"
        "  ecg-monitor annotate /data/a /data/b --lead V5 --out results\n",
    )
    annotate.add_argument("records", nargs="+", metavar="RECORD", help="DATABASE/RECORD, a path, or a source's URI")
    annotate.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    playing(annotate)
    device(annotate)

    command("doctor", "what this installation can do, and what is wrong with it", "  ecg-monitor doctor\n")
    show = command("config", "the settings in force", "  ecg-monitor config\n  ecg-monitor config --config my.toml\n")
    show.add_argument("--defaults", action="store_true", help="print the shipped config.toml, with its comments")

    stage = command(
        "stage",
        "one stage alone, on links of your choice",
        "  ecg-monitor stage source --source replay:demo --output ipc:///tmp/source\n"
        "  ecg-monitor stage detector --input ipc:///tmp/source --output ipc:///tmp/detector\n",
    )
    stage.add_argument("stage", choices=("source", "detector", "classifier", "recorder", "metrics", "dashboard"))
    stage.add_argument("--source", action="append", default=[], metavar="URI")
    stage.add_argument("--speed", type=speed, default=1.0, metavar="1|N|max")
    stage.add_argument("--loop", action="store_true")
    stage.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="ENDPOINT",
        help="link to subscribe to; the dashboard takes three: source, detector, classifier",
    )
    stage.add_argument("--output", metavar="ENDPOINT", help="link to publish on")
    stage.add_argument("--headless", action="store_true")
    stage.add_argument("--record", type=Path, metavar="DIR", help="recorder: folder to write to")
    stage.add_argument("--state", type=Path, metavar="FILE", help="checkpoints: written there, and gone on from")
    stage.add_argument(
        "--awaits", action="append", default=[], metavar="STAGE", help="subscriber that must be there before it begins"
    )
    stage.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)
    stage.add_argument("--standby", action="store_true", help=argparse.SUPPRESS)
    stage.add_argument("--settings", help=argparse.SUPPRESS)
    playing(stage)
    device(stage)
    for entry in importlib.metadata.entry_points(group="ecg_monitor.commands"):
        commands.add_parser(entry.name, help=_purpose(entry) if helping else "", add_help=False)
    return top  # fmt: skip


def _purpose(entry: importlib.metadata.EntryPoint) -> str:
    """The first line that another package's command says of itself."""
    try:
        words = (entry.load().__doc__ or "").strip().partition("\n")[0]
    except (ImportError, AttributeError) as error:
        return f"cannot be loaded: {error}"
    return words[:1].lower() + words[1:].rstrip(".") or "(from another package)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    offered = {entry.name: entry for entry in importlib.metadata.entry_points(group="ecg_monitor.commands")}
    if words and words[0].startswith("-") and words[0] not in ("-h", "--help", "--version"):
        words.insert(0, "run")
    try:
        if words and words[0] in offered:
            other: Callable[[list[str]], int] = offered[words[0]].load()
            return other(words[1:])
        given = parser(helping=bool({"-h", "--help"} & set(words))).parse_args(words)
        return _dispatch(given)
    except UsageError as error:
        print(f"ecg-monitor: {error}", file=sys.stderr)
        return 2
    except UserError as error:
        print(f"ecg-monitor: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head`: nobody reads any more
        sys.stderr.close()
        return 0


def _dispatch(given: argparse.Namespace) -> int:
    handed = getattr(given, "settings", None)
    settings = config.loads(handed) if handed else config.load(given.config)
    # Each command's imports are its own: `alerts` must not wait for torch.
    match given.command:
        case "run":
            from monitor.commands.run import run

            return run(given, settings)
        case "watch":
            from monitor.commands.watch import watch

            return watch(given.endpoint, settings, headless=given.headless)
        case "alerts":
            from monitor.commands.alerts import alerts

            return alerts(given.endpoint, settings, as_json=given.json, history=given.history)
        case "ack" | "silence" | "enable" | "disable":
            from monitor.commands.control import control
            from monitor.link import Order

            match given.command:
                case "ack":
                    wanted = Order("acknowledge", given.stream, alert=given.alert)
                case "silence":
                    length = settings.control.silence_s if given.seconds is None else given.seconds
                    wanted = Order("silence", given.stream, seconds=length)
                case _:
                    wanted = Order(given.command, given.stream, kind=given.kind)
            return control(wanted, given.endpoint, settings)
        case "keys":
            from monitor.commands.keys import keys

            return keys(given.folder, given.client, control=given.control)
        case "annotate":
            from monitor.commands.annotate import annotate

            return annotate(given, settings)
        case "doctor":
            from monitor.commands.doctor import doctor

            return doctor(settings)
        case "config":
            from monitor.commands.config import show

            return show(settings, defaults=given.defaults)
        case _:
            from monitor.commands.stage import stage

            return stage(given, settings)
