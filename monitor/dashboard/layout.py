"""Where everything stands: a snapshot and a size in, a picture out.

Laws: ``render`` is pure; a picture has exactly the size it was asked for; what a person must not miss (alerts, heart
rate, waveform, no signal, a stage that is down) is in every size that is large enough for a picture at all.
"""

from typing import NamedTuple

from msgspec import Struct
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from monitor.config import DashboardSettings
from monitor.dashboard import panels
from monitor.dashboard.look import QUIET, RULE, WARN, Look, beside, fit, pad, rule, say
from monitor.dashboard.waveform import trend_panel, wave_panel
from monitor.text import clean
from monitor.views import Snapshot, StreamView

WIDE = (116, 32)
"""Columns and rows from which there is a column at the side."""
SIDE, SIDE_WIDE = 44, 52
"""Columns at the side, and from 160 columns."""
WAVE_ROWS = 16
"""The waveform is not made higher than this or a sixth of its width: a QRS complex should not become a needle."""
VITALS = 5
"""Rows of the figures under the waveform: one for each class of beats."""

_KEYS = " q quit   a acknowledge   s silence   Tab next   + − scale   p pause   ? help"
_HELP = (
    "",
    "q          quit",
    "a          acknowledge the alerts of this stream",
    "s          silence this stream, and let it sound again",
    "Tab  → ←   next, previous stream",
    "+  −       longer, shorter stretch of signal",
    "p          stop the picture and go on; alerts and figures never stop",
    "?          this page, and away",
    "",
    "N normal  S supraventricular  V ventricular  F fusion  Q unknown  · pending",
    "*** high   ** medium   * low: flashing until acknowledged or ended",
    "",
    "Not a medical device.",
)


class _Frame(NamedTuple):
    """What one picture is made of."""

    snapshot: Snapshot
    view: StreamView | None
    width: int
    height: int
    look: Look
    settings: DashboardSettings


class Picture(Struct, frozen=True):
    """Lines that fit. Rich shows them as they are: to look for words to wrap would be a quarter of the work."""

    lines: tuple[Text, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines:
            styled = Text().append_text(line) if line.style else line  # Text.render leaves out the style of the whole
            yield from styled.render(console, end="\n")


def render(snapshot: Snapshot, width: int, height: int, look: Look, settings: DashboardSettings) -> Picture:
    """The picture of ``snapshot`` on ``width`` × ``height`` cells."""
    if width < settings.min_columns or height < settings.min_rows:
        need = f"at least {settings.min_columns}×{settings.min_rows} needed"
        return Picture((fit(Text(f"terminal too small: {width}×{height}, {need}"), width),))
    view = snapshot.streams[look.stream] if look.stream < len(snapshot.streams) else None
    build = _wide if width >= WIDE[0] and height >= WIDE[1] else _narrow
    lines = build(_Frame(snapshot, view, width, height, look, settings))
    return Picture(tuple(pad(lines, width, height)))


def _narrow(frame: _Frame) -> list[Text]:
    """One above the other: 80 × 24 and its kin."""
    snapshot, view, width, height, look, settings = frame
    top = panels.header(view, width)
    if len(snapshot.streams) > 1:
        top += panels.stream_strip(snapshot, look, width)
    top += panels.alerts(snapshot, width, 1 if height < 22 else 2 if height < 30 else 4, look.time)
    if height < 22:
        bottom = panels.stage_line(snapshot, width)
    else:
        bottom = [rule("STAGES", width, panels.STAGE_HEADS)]
        bottom += panels.stages(snapshot, width, len(snapshot.stages))
    if view is not None:
        bottom = _vitals(view, width, settings.trend_s) + bottom
        if height >= 36:
            bottom += [rule("ALERT LOG", width), *panels.log(view, width, min(8, height - 32))]
    bottom += _footer(width, look)
    return top + _picture(frame, width, height - len(top) - len(bottom)) + bottom


def _vitals(view: StreamView, width: int, trend_s: float) -> list[Text]:
    """Heart rate, RR trend, beats and signal, side by side under their names."""
    rate_w, beats_w, signal_w = 18, 15 if width < 90 else 22, 27 if width < 90 else 36
    trend_w = width - rate_w - beats_w - signal_w
    blocks = [[_head("HEART RATE", rate_w), *panels.heart_rate(view, rate_w, VITALS)]]
    if trend_w >= 16:
        trend = trend_panel(view, trend_w - 1, VITALS, trend_s)
        blocks.append([_head(f"RR, {trend_s:.0f} s", trend_w), *pad(trend, trend_w, VITALS)])
    else:
        beats_w += trend_w
    blocks.append([_head("BEATS", beats_w), *panels.beats(view, beats_w, VITALS)])
    blocks.append([rule("SIGNAL", signal_w), *panels.signal(view, signal_w, VITALS)])
    return beside(*blocks)


def _head(title: str, width: int) -> Text:
    return rule(title, width - 1).append(" ")


def _wide(frame: _Frame) -> list[Text]:
    """The waveform with a column of figures at its side: 120 × 36 and up."""
    snapshot, view, width, height, look, settings = frame
    top = panels.header(view, width)
    rows = 2 if height < 40 else 3
    top += [say(" " * width) for _ in range(height >= 48)]
    top += panels.alerts(snapshot, width, rows, look.time)
    bottom = _footer(width, look)
    body = height - len(top) - len(bottom)
    side_w = SIDE if width < 160 else SIDE_WIDE
    main_w = width - side_w - 3
    low = [rule("STAGES", main_w, panels.STAGE_HEADS), *panels.stages(snapshot, main_w, len(snapshot.stages))]
    wave_h = body - len(low)
    logged = False
    if view is not None:
        trend_h = max(3, body // 6)
        trend = [rule(f"RR INTERVALS, {settings.trend_s:.0f} s", main_w)]
        low = trend + trend_panel(view, main_w, trend_h, settings.trend_s) + low
        wave_h = min(body - len(low), max(WAVE_ROWS, main_w // 6))
        rest = body - len(low) - wave_h
        logged = rest > 2
        if logged:
            low += [rule("ALERT LOG", main_w), *panels.log(view, main_w, rest - 1)]
        else:
            wave_h += rest
    main = _picture(frame, main_w, wave_h) + low
    bar = [say(" │ ", RULE) for _ in range(body)]
    side = pad(_side(frame, side_w, body, logged), side_w, body)
    return top + beside(main, bar, side) + bottom


def _side(frame: _Frame, width: int, height: int, logged: bool) -> list[Text]:
    """Heart rate, beats, signal, the other streams; then the log, or a tally where that stands elsewhere."""
    snapshot, view = frame.snapshot, frame.view
    if view is None:
        return []
    roomy = height >= 44
    gap = [Text()] if roomy else []
    rate = panels.heart_rate(view, width, 9, 3) if roomy else panels.heart_rate(view, width, 6, 2)
    side = [rule("HEART RATE", width), *gap, *rate, *gap]
    side += [rule("BEATS", width), *panels.beats(view, width, 6), *gap]
    side += [rule("SIGNAL", width), *panels.signal(view, width, 6 if roomy else 5), *gap]
    if len(snapshot.streams) > 1:
        count = min(len(snapshot.streams), max(2, (height - len(side) - 2) // 2))
        listed = panels.stream_list(snapshot, frame.look, width, count)
        side += [rule(f"STREAMS {len(snapshot.streams)}", width), *listed, *gap]
    rest = height - len(side) - 1
    if rest >= 2:
        panel, title = (panels.tally, "ALERTS SO FAR") if logged else (panels.log, "ALERT LOG")
        side += [rule(title, width), *panel(view, width, rest)]
    return side


def _picture(frame: _Frame, width: int, height: int) -> list[Text]:
    """The waveform; or the help, or what is being waited for, in its place."""
    view, look = frame.view, frame.look
    if look.help:
        return pad([say(f"   {line}", QUIET) for line in _HELP], width, height)
    if view is None:
        blank = [Text() for _ in range(height // 2)]
        return pad([*blank, say("waiting for a stream …".center(width), QUIET)], width, height)
    return wave_panel(look.held or view, width, height, frame.settings.seconds, look.zoom)


def _footer(width: int, look: Look) -> list[Text]:
    line = say(_KEYS, QUIET)
    if look.note:
        line = say(f" {clean(look.note)} ", "bold reverse").append(_KEYS, QUIET)
    if look.held is not None:
        line = say(" PICTURE PAUSED, p to go on ", f"bold {WARN} reverse").append(_KEYS, QUIET)
    return pad([line], width, 1)
