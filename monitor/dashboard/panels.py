"""What stands around the waveform. Every panel is a pure function to lines of exactly the width it was given."""

from rich.text import Text

from monitor.dashboard.digits import block
from monitor.dashboard.look import (
    BAD,
    CAUSES,
    CLASS_STYLE,
    GOOD,
    QUIET,
    STARS,
    WARN,
    Look,
    alert_style,
    clock,
    message,
    pad,
    priority_style,
    say,
    spread,
)
from monitor.events import CLASSES, FS, AlertState, Level
from monitor.text import clean
from monitor.views import Feed, Snapshot, StageState, StageView, StreamView, urgency

BAR = "grey93 on grey23"
DISCLAIMER = "NOT A MEDICAL DEVICE"

_FEEDS = {
    Feed.WAITING: ("waiting", QUIET),
    Feed.ARRIVING: ("arriving", GOOD),
    Feed.SILENT: ("NO SIGNAL", BAD),
    Feed.LOST: ("NO SIGNAL", BAD),
    Feed.CLOSED: ("ended", QUIET),
}


def header(view: StreamView | None, width: int) -> list[Text]:
    """Who is shown, from where, how far."""
    left = say(" ECG-MONITOR", "bold")
    right = Text()
    if view is not None:
        left.append("  ").append(clean(view.name), "bold bright_white")
        if view.lead:
            left.append(f"  lead {clean(view.lead)}" if width >= 100 else f"  {clean(view.lead)}")
        if view.source and width >= 80:
            left.append(f"  {clean(view.source)}", "grey70")
        right.append(f"  {clock(view.position)}")
        if view.length and width >= 100:
            right.append(f" of {clock(view.length)}", "grey70")
        if view.speed is not None and view.feed is Feed.ARRIVING:
            right.append(f"  {_times(view.speed)}")
    right.append(f"  {DISCLAIMER} ", "bold")
    bar = spread(left, right, width)
    bar.style = BAR
    return [bar]


def _times(speed: float) -> str:
    return f"{speed:.0f}×" if abs(speed - round(speed)) < 0.1 and speed >= 0.9 else f"{speed:.1f}×"


def alerts(snapshot: Snapshot, width: int, height: int, time: float) -> list[Text]:
    """What holds now in any stream, the most urgent first; what does not fit is counted."""
    active = sorted((alert for view in snapshot.streams for alert in view.alerts), key=urgency)
    if not active:
        return pad([say(" no alerts", QUIET)], width, height)
    lines = []
    hidden = len(active) - height
    for i, alert in enumerate(active[:height], 1):
        whose = f"{clean(alert.stream)}: " if len(snapshot.streams) > 1 else ""
        since = f" since {clock(alert.onset_sample)} "
        if alert.state is AlertState.ACKNOWLEDGED:
            since = f" acknowledged,{since}"
        if hidden > 0 and i == height:
            since = f" +{hidden} more "
        line = spread(say(f" {STARS[alert.priority]:<4}{whose}{message(alert)}"), say(since), width)
        line.style = alert_style(alert, time)
        lines.append(line)
    return pad(lines, width, height)


def heart_rate(view: StreamView, width: int, height: int, scale: int = 1) -> list[Text]:
    """The figure to be read from afar."""
    known = view.heart_rate is not None
    rows = block(f"{view.heart_rate:3.0f}" if known else "---", scale)
    lines = [say(f" {row}", f"bold {GOOD}" if known else QUIET) for row in rows]
    lines[-1].append("  bpm", QUIET)
    if view.rr and known:
        lines.append(say(f" RR {view.rr[-1].seconds * 1000:.0f} ms", QUIET))
    return pad(lines, width, height)


def beats(view: StreamView, width: int, height: int) -> list[Text]:
    """Beats by AAMI class since the start."""
    total = sum(view.counts.values())
    lines = []
    for label in CLASSES:
        count = view.counts[label]
        line = say(f" {label} ", CLASS_STYLE[label] if count else QUIET)
        line.append(f"{count:>7}", "" if count else QUIET)
        if total and count and width >= 20:
            line.append(f"{100 * count / total:6.1f} %", QUIET)
            room = width - line.cell_len - 3
            if room >= 10:
                line.append("  ").append("■" * max(1, round(room * count / total)), CLASS_STYLE[label])
        lines.append(line)
    lines.append(say(f" · {view.pending:>7} pending", QUIET))
    return pad(lines, width, height)


def signal(view: StreamView, width: int, height: int) -> list[Text]:
    """Whether what is shown can be trusted: signal, quality, latency, losses."""
    feed, style = _FEEDS[view.feed]
    lines = [_fact("signal", feed, style), _fact("quality", *_quality(view, width))]
    if view.silenced_s:
        lines.append(_fact("sound", f"silenced for {view.silenced_s:.0f} s", WARN))
    late = view.latency
    to = " to the verdict" if width >= 40 else ""
    known = f"{late.p50 * 1000:.0f} ms{to}, p99 {late.p99 * 1000:.0f} ms" if late else "no verdict yet"
    lines.append(_fact("latency", known, "" if late else QUIET))
    lost = view.lost_samples / FS
    lines.append(_fact("lost", f"{lost:.1f} s" if lost else "nothing", BAD if lost else ""))
    lines.append(_fact("noise", f"{100 * view.noise:.0f} %" if view.level else "unknown", "" if view.level else QUIET))
    if view.missing_samples:
        lines.append(_fact("missing", f"{view.missing_samples / FS:.1f} s in the source", ""))
    if view.fs is not None and view.fs != FS:
        lines.append(_fact("sampled", f"{view.fs:g} Hz", ""))
    return pad(lines, width, height)


def _fact(name: str, value: str, style: str) -> Text:
    return say(f" {name:<8}", QUIET).append(value, style)


def _quality(view: StreamView, width: int) -> tuple[str, str]:
    match view.level:
        case None:
            return "unknown", QUIET
        case Level.GOOD:
            return "good", GOOD
        case Level.NOISY:
            return "noisy, classes doubtful" if width >= 36 else "noisy", WARN
        case Level.UNUSABLE:
            return CAUSES[view.cause], BAD


STAGE_HEADS = f"{'events/s':>10}{'samples/s':>11}{'lost':>7}{'repaired':>10}{'busy':>7}"


def stages(snapshot: Snapshot, width: int, height: int) -> list[Text]:
    """One line a stage: how it is, what it does; a dead one in plain words."""
    return pad([_stage(stage, width) for stage in snapshot.stages], width, height)


def _stage(stage: StageView, width: int) -> Text:
    name = clean(stage.name)
    if stage.state is StageState.DOWN:
        return say(f" {name} is DOWN, silent for {stage.age:.0f} s: it is being restarted", BAD)
    line = say(f" {name:<11}")
    line.append(f"{stage.state:<8}", GOOD if stage.state is StageState.UP else QUIET)
    if stage.state is StageState.STARTING:
        return line
    if stage.trouble:
        return line.append(clean(stage.trouble), BAD)
    figures = say(f"{stage.events_out:10.1f}{stage.samples:11.0f}")
    figures.append(f"{stage.lost:7}", BAD if stage.lost else "")
    figures.append(f"{stage.repaired:10}").append(f"{100 * stage.busy:5.0f} %", WARN if stage.busy > 0.8 else "")
    extra = clean(stage.detail)
    if stage.restarts:
        extra = f"restarted {stage.restarts}×  {extra}"
    if stage.rejected:
        extra = f"{stage.rejected} frames refused  {extra}"
    return spread(line.append(extra, QUIET), figures, width)


def stage_line(snapshot: Snapshot, width: int) -> list[Text]:
    """All stages in one line."""
    line = say(" ")
    for stage in snapshot.stages:
        name = clean(stage.name)
        if stage.state is StageState.DOWN:
            line.append(f"{name} DOWN {stage.age:.0f} s", BAD)
        elif stage.trouble:
            line.append(f"{name} {clean(stage.trouble)}", BAD)
        else:
            line.append(f"{name} ", QUIET).append(stage.state, GOOD if stage.state is StageState.UP else QUIET)
        line.append("   ")
    return pad([line], width, 1)


def _stream(view: StreamView, chosen: bool) -> Text:
    """A stream in short: name, heart rate, worst alert or what is wrong with its signal."""
    line = say("▸ " if chosen else "  ", "bold")
    line.append(clean(view.name), "bold" if chosen else "")
    line.append(" --" if view.heart_rate is None else f" {view.heart_rate:.0f}", "" if chosen else QUIET)
    words, style = _state(view)
    line.append(f" {words}", style)
    if view.worst is not None:
        line.append(f" {STARS[view.worst.priority]}", priority_style(view.worst.priority))
    return line


def _state(view: StreamView) -> tuple[str, str]:
    if view.feed is not Feed.ARRIVING:
        return _FEEDS[view.feed]
    return (view.level, GOOD if view.level is Level.GOOD else WARN) if view.level else ("", "")


def stream_strip(snapshot: Snapshot, look: Look, width: int) -> list[Text]:
    """All streams in one line; it scrolls so that the chosen one is seen."""
    place = say(f" {look.stream + 1}/{len(snapshot.streams)}", QUIET)
    parts = [_stream(view, i == look.stream) for i, view in enumerate(snapshot.streams)]
    first = look.stream
    used = place.cell_len + parts[first].cell_len
    while first > 0 and used + parts[first - 1].cell_len + 2 < width:
        first -= 1
        used += parts[first].cell_len + 2
    return pad([place.append("  ").append_text(say("  ").join(parts[first:]))], width, 1)


def stream_list(snapshot: Snapshot, look: Look, width: int, height: int) -> list[Text]:
    """One line a stream; it scrolls so that the chosen one is seen."""
    first = max(0, min(look.stream - height // 2, len(snapshot.streams) - height))
    lines = []
    for i, view in enumerate(snapshot.streams[first : first + height], first):
        name = say("▸ " if i == look.stream else "  ", "bold").append(clean(view.name))
        words, style = _state(view)
        rate = "--" if view.heart_rate is None else f"{view.heart_rate:.0f}"
        right = say(f" {rate:>4}  ").append(f"{words:<9} ", style)
        stars = STARS[view.worst.priority] if view.worst else ""
        right.append(f"{stars:<4}", priority_style(view.worst.priority) if view.worst else "")
        lines.append(spread(name, right, width))
    return pad(lines, width, height)


_STATES = {AlertState.ACKNOWLEDGED: "ack", AlertState.ENDED: "end"}


def log(view: StreamView, width: int, height: int) -> list[Text]:
    """The last alert events, the newest on top."""
    if not view.log:
        return pad([say(" no alert so far", QUIET)], width, height)
    lines = []
    for alert in reversed(view.log[-height:]):
        over = alert.state is AlertState.ENDED
        line = say(f" {clock(alert.sample)}  ", QUIET)
        mark = _STATES.get(alert.state, STARS[alert.priority])
        line.append(f"{mark:<5}", QUIET if over else priority_style(alert.priority))
        lines.append(line.append(message(alert), QUIET if over else ""))
    return pad(lines, width, height)


def tally(view: StreamView, width: int, height: int) -> list[Text]:
    """How often each kind of alert was raised, the most frequent first."""
    kinds = sorted(view.raised.items(), key=lambda kind: (-kind[1], kind[0]))
    lines = [say(f" {count:>5}  {clean(kind.replace('_', ' '))}") for kind, count in kinds]
    return pad(lines or [say(" no alert so far", QUIET)], width, height)
