"""The large picture: the lead that is analysed, its R peaks named, its scales; and the trend of the RR intervals."""

import numpy as np
from rich.text import Text

from monitor.dashboard.braille import Mark, draw, trace
from monitor.dashboard.look import BAD, CAUSES, CLASS_STYLE, QUIET, STALE, TRACE, TREND, clock, pad, say
from monitor.events import FS, BeatClass, Level
from monitor.text import clean
from monitor.views import Feed, StreamView

GUTTER = 6
COLUMNS = 80
"""The width that ``dashboard.seconds`` is given for."""
REACH_S = 0.12
"""s to each side of an R peak in which a beat that is not normal is coloured: about its QRS complex."""
LABEL_EVERY_S = (1, 2, 5, 10, 20, 30, 60)
LABEL_CELLS = 18
"""Cells between two labels of the time axis, at least."""
RR_STEP_S = 0.2
RR_SPAN_S = 0.6
"""The least height of the trend: the small swing of breathing shall look small."""


def wave_panel(view: StreamView, width: int, height: int, seconds: float, zoom: float) -> list[Text]:
    """R peaks, trace and time axis.

    Args:
        view: whose ``wave`` is drawn, the newest sample at the right.
        width, height: cells.
        seconds: of signal on 80 columns.
        zoom: factor on ``seconds``.
    """
    per_column = max(1.0, seconds * zoom * FS / COLUMNS / 2)
    columns = width - GUTTER
    low, high = view.limits
    first = view.position - len(view.wave)
    live = view.feed in (Feed.ARRIVING, Feed.WAITING)
    rows = trace(
        view.wave,
        view.position,
        width=columns,
        height=height - 1,
        limits=view.limits,
        per_column=per_column,
        marks=[_mark(peak.sample - first, peak.label) for peak in view.peaks],
        style=TRACE if live else STALE,
    )
    labels = {0: "mV", 1: _signed(high), height - 2: _signed(low)}
    lines = []
    for i, row in enumerate(rows):
        line = say(f"{labels.get(i, ''):>{GUTTER - 1}} ", QUIET)
        for text, style in row:
            line.append(text, style)
        lines.append(line)
    lines.append(say(" " * GUTTER, QUIET).append(_axis(view.position, columns, per_column), QUIET))
    notice, style = _notice(view)
    if notice:
        _lay_over(lines, height // 2, notice, style, width)
    return pad(lines, width, height)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _mark(sample: int, label: BeatClass | None) -> Mark:
    odd = label not in (None, BeatClass.N)
    return Mark(sample, label or "·", CLASS_STYLE[label], round(REACH_S * FS) if odd else 0)


def _axis(position: int, columns: int, per_column: float) -> str:
    """A tick for every second of the stream, with its time where there is room."""
    per_cell = 2 * per_column
    every = next((s for s in LABEL_EVERY_S if s * FS / per_cell >= LABEL_CELLS), LABEL_EVERY_S[-1])
    last = int((position - 1) // per_column)
    axis = [" "] * (columns + LABEL_CELLS)
    for second in range(max(0, int((position - columns * per_cell) // FS)), position // FS + 1):
        cell = (int(second * FS // per_column) - last + 2 * columns - 1) // 2
        if 0 <= cell < columns:
            text = f"╵{clock(second * FS)}" if second % every == 0 else "╵"
            axis[cell : cell + len(text)] = text
    return "".join(axis[:columns])


def _notice(view: StreamView) -> tuple[str, str]:
    """What must be said across the picture, if anything."""
    match view.feed:
        case Feed.CLOSED:
            return f"ENDED: {clean(view.reason)}", "bold"
        case Feed.LOST:
            return f"SOURCE LOST: no signal for {view.silent_s:.0f} s", BAD
        case Feed.SILENT:
            return f"NO SIGNAL for {view.silent_s:.0f} s", BAD
        case Feed.WAITING:
            return "waiting for the first sample", QUIET
        case Feed.ARRIVING if view.level is Level.UNUSABLE:
            return f"{CAUSES[view.cause]}: nothing can be concluded", BAD
        case Feed.ARRIVING:
            return "", ""


def _lay_over(lines: list[Text], middle: int, words: str, style: str, width: int) -> None:
    """Words in a frame of blanks, across the middle of the picture."""
    box = say(f"   {words}   ", style)
    box.truncate(width - GUTTER, overflow="ellipsis")
    left = GUTTER + (width - GUTTER - box.cell_len) // 2
    blank = say(" " * box.cell_len)
    for row, content in ((middle - 1, blank), (middle, box), (middle + 1, blank)):
        if 0 < row < len(lines) - 1:
            line = lines[row]
            line.truncate(width, pad=True)
            lines[row] = line[:left] + content + line[left + box.cell_len :]


def trend_panel(view: StreamView, width: int, height: int, seconds: float) -> list[Text]:
    """RR intervals of the last ``seconds``, each held until the next, with their range in s."""
    if not view.rr:
        return pad([say("no RR interval yet", QUIET)], width, height)
    columns = width - GUTTER
    intervals = np.array([interval.seconds for interval in view.rr])
    bottom = float(np.floor(intervals.min() / RR_STEP_S)) * RR_STEP_S
    top = max(float(np.ceil(intervals.max() / RR_STEP_S)) * RR_STEP_S, bottom + RR_SPAN_S)
    ends = np.array([interval.sample for interval in view.rr])
    dots = np.full(2 * columns, np.nan)
    where = (ends - view.position) / (seconds * FS) * len(dots) + len(dots)
    starts = where - intervals / seconds * len(dots)
    for start, end, value in zip(starts, where, intervals, strict=True):
        dots[max(0, int(start)) : max(0, int(end)) + 1] = value
    rows = draw(dots, dots, height, bottom, top)
    labels = {0: f"{top:.1f} s", height - 1: f"{bottom:.1f} s"}
    lines = [say(f"{labels.get(i, ''):>{GUTTER - 1}} ", QUIET).append(row, TREND) for i, row in enumerate(rows)]
    return pad(lines, width, height)
