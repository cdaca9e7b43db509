"""How a person looks at a snapshot, and the few colours and words that all panels share."""

from msgspec import Struct
from rich.text import Text

from monitor.events import FS, Alert, AlertState, BeatClass, Cause, Priority
from monitor.text import clean
from monitor.views import StreamView

TRACE = "#3ddc84"  # as on a bedside monitor, the figure of the heart rate has the colour of its trace
STALE = "#2a7a4f"
TREND = "#4cc9f0"
QUIET = "grey58"  # labels: there when looked for
RULE = "grey35"
GOOD = "#3ddc84"
WARN = "#ffd23f"
BAD = "bold #ff5c57"

CLASS_STYLE: dict[BeatClass | None, str] = {
    BeatClass.N: "#3ddc84",
    BeatClass.S: "bold #4cc9f0",
    BeatClass.V: "bold #ff5c57",
    BeatClass.F: "bold #e07bff",
    BeatClass.Q: "bold #ffd23f",
    None: QUIET,
}

CAUSES = {
    Cause.NONE: "UNUSABLE",
    Cause.LEAD_OFF: "LEAD OFF",
    Cause.FLAT: "FLAT LINE",
    Cause.SATURATED: "SATURATED",
    Cause.NOISE: "TOO NOISY",
    Cause.GAP: "SIGNAL MISSING",
}
"""Why nothing can be concluded from the signal."""

STARS = {Priority.HIGH: "***", Priority.MEDIUM: "**", Priority.LOW: "*"}
FLASH_HZ = {Priority.HIGH: 2.0, Priority.MEDIUM: 0.6, Priority.LOW: 0.0}
"""IEC 60601-1-8: high 1.4 to 2.8 Hz, medium 0.4 to 0.8 Hz, low does not flash."""
_LIT = {Priority.HIGH: "bold #ffffff on #d01f1f", Priority.MEDIUM: "bold #101010 on #ffd23f", Priority.LOW: "#4cc9f0"}
_DARK = {Priority.HIGH: "bold #ff5c57", Priority.MEDIUM: "bold #ffd23f", Priority.LOW: "#4cc9f0"}


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
    note: str = ""
    """What became of the last order, for a few seconds."""


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


def say(text: str, style: str = "") -> Text:
    """A line that begins with ``text``; unlike ``Text(text, style)``, what is appended has its own style."""
    return Text().append(text, style)


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
