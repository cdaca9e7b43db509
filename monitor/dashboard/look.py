"""How a person looks at a snapshot, and the few colours and words that all panels share."""

import unicodedata

from msgspec import Struct
from rich.text import Text

from monitor.events import FS, Alert, AlertState, BeatClass, Priority
from monitor.views import StreamView

TRACE = "bright_green"
QUIET = "grey58"  # labels, rules: there when looked for
RULE = "grey35"
GOOD = "green"
WARN = "yellow"
BAD = "bold red"

CLASS_STYLE: dict[BeatClass | None, str] = {
    BeatClass.N: "green",
    BeatClass.S: "bold cyan",
    BeatClass.V: "bold red",
    BeatClass.F: "bold magenta",
    BeatClass.Q: "bold yellow",
    None: QUIET,
}

STARS = {Priority.HIGH: "***", Priority.MEDIUM: "**", Priority.LOW: "*"}
FLASH_HZ = {Priority.HIGH: 2.0, Priority.MEDIUM: 0.6, Priority.LOW: 0.0}
"""IEC 60601-1-8: high 1.4 to 2.8 Hz, medium 0.4 to 0.8 Hz, low does not flash."""
_LIT = {Priority.HIGH: "bold bright_white on red", Priority.MEDIUM: "bold black on yellow", Priority.LOW: "cyan"}
_DARK = {Priority.HIGH: "bold red", Priority.MEDIUM: "bold yellow", Priority.LOW: "cyan"}

_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_UNKNOWN = "�"


class Look(Struct, frozen=True, kw_only=True):
    """What the person at the keyboard has chosen, and the instant of the frame."""

    stream: int = 0
    """Index of the stream that is shown large."""
    time: float = 0.0
    """Any clock in seconds that goes on evenly: alarms flash by it."""
    zoom: float = 1.0
    """Factor on ``dashboard.seconds``."""
    held: StreamView | None = None
    """The stream as it was when its picture was stopped; None while it runs."""
    help: bool = False


def clean(text: str) -> str:
    """Text from outside, made safe to show: no control, bidirectional or invisible character is left in it."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(_UNKNOWN if unicodedata.category(c) in _UNPRINTABLE else c for c in composed)


def clock(samples: int) -> str:
    """Signal time as h:mm:ss."""
    seconds = samples // FS
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def alert_style(alert: Alert, time: float) -> str:
    """Colour of an alert in the frame at ``time``: it flashes until it is acknowledged."""
    if alert.state is AlertState.ACKNOWLEDGED:
        return _DARK[alert.priority]
    lit = time * FLASH_HZ[alert.priority] % 1 < 0.5
    return (_LIT if lit else _DARK)[alert.priority]


def priority_style(priority: Priority) -> str:
    return _DARK[priority]


def message(alert: Alert) -> str:
    """What an alert says, in one clean line."""
    return clean(alert.message or alert.kind)


def fit(line: Text, width: int) -> Text:
    """``line`` at exactly ``width`` cells, with an ellipsis where something had to go."""
    line.truncate(width, overflow="ellipsis", pad=True)
    return line


def spread(left: Text, right: Text, width: int) -> Text:
    """``left`` and ``right`` at the two ends of a line; ``left`` gives way, then ``right``."""
    right.truncate(width, overflow="ellipsis")
    room = max(0, width - right.cell_len)
    return fit(left, room).append_text(right)


def rule(title: str, width: int, right: str = "") -> Text:
    """A thin line that names what is below it, with the heads of its columns at the right."""
    line = Text()
    if title:
        line.append(f"{title} ", QUIET)
    tail = f" {right}" if right else ""
    line.append("─" * max(0, width - line.cell_len - len(tail)), RULE)
    return fit(line.append(tail, QUIET), width)


def pad(lines: list[Text], width: int, height: int) -> list[Text]:
    """Exactly ``height`` lines of ``width`` cells."""
    fitted = [fit(line, width) for line in lines[:height]]
    return fitted + [Text(" " * width) for _ in range(height - len(fitted))]


def beside(*blocks: list[Text]) -> list[Text]:
    """Blocks of equal height, next to each other."""
    return [Text().join(parts) for parts in zip(*blocks, strict=True)]
