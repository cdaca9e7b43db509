"""Examples of misjudged beats on ECG paper, on one page in true size: 25 mm/s, 10 mm/mV, lines every 1 and 5 mm.

Each strip is the lead that was judged, as it was recorded (nothing filtered). What reaches over the paper's edge is cut
there, as a pen would.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monitor.events import CLASSES, BeatClass
from replay.records import Record
from trainer.ec57 import LABELS
from trainer.outcomes import NONE, Example, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MM_PER_S = 25.0
MM_PER_MV = 10.0
"""The paper speed and gain at which ECGs are printed everywhere."""

PAGE_MM = (297.0, 210.0)
"""A4, lying."""
_STRIP_MM = (125.0, 35.0)
"""5 s: the beat and the rhythm around it; 3.5 mV."""
_COLUMNS, _ROWS = 2, 4
_MARGIN_MM = 16.0
_HEAD_MM = 19.0
"""Above the first strip: the page's title and the strip's own."""
_TITLE_AT_MM, _LEGEND_AT_MM = 6.0, 205.0
"""From the page's upper edge."""
_PITCH_MM = 47.5
"""From one strip's top to the next one's: the paper, letters above and below, a title."""
EXAMPLES = _COLUMNS * _ROWS
_LEGEND = (
    "25 mm/s, 10 mm/mV on A4.  Ticks at the R peaks: above the reference's, below the verdicts'.  "
    "Shaded: the beat in question; p: probability that the network gave."
)

_MM_PER_INCH = 25.4
_FINE_MM, _COARSE_MM = 1.0, 5.0
"""Between the paper's lines."""
_FINE_COLOUR, _COARSE_COLOUR, _PAPER_COLOUR = "#f7c9c4", "#ee9088", "#fffaf8"
_BAND_COLOUR = "#ffe79a"
_BAND_S = 0.18
"""Half the width of the band behind the misjudged beat: it holds a wide QRS complex."""
_INK = "#14141c"
_LETTERS_MM = 0.8
"""Between paper and letters."""
_TICK_MM = 2.0
"""Length of the ticks at the R peaks."""
_TITLE_MM = 5.0
"""Above the paper, so that the letters fit between."""
_INSIDE_MM = 1.5
"""Of paper above and below the misjudged beat, whatever is cut off of others."""

COLOURS: dict[BeatClass | None, str] = {
    BeatClass.N: "#009e73",
    BeatClass.S: "#0072b2",
    BeatClass.V: "#c43c00",
    BeatClass.F: "#cc79a7",
    BeatClass.Q: "#d99a00",
    None: "#555555",
}
"""The dashboard's hues (green, blue, red, purple, yellow) in the shades of Okabe & Ito 2008, which colour-blind eyes
tell apart; V and Q are darker, for white paper. Wherever they stand, the class's letter stands too."""


def class_of(index: int) -> BeatClass | None:
    """Of a row or column of a confusion; None where no beat is."""
    return CLASSES[index] if index < len(CLASSES) else None


def draw(figure: "Figure", chosen: Sequence[Example], title: str) -> None:
    """Fills an empty figure of PAGE_MM with up to EXAMPLES strips."""
    page_w, page_h = PAGE_MM
    left = _MARGIN_MM / page_w
    figure.text(left, 1 - _TITLE_AT_MM / page_h, title, fontsize=9.5, fontweight="bold", va="center", color=_INK)
    figure.text(left, 1 - _LEGEND_AT_MM / page_h, _LEGEND, fontsize=8, va="center", color=COLOURS[None])
    gap = page_w - 2 * _MARGIN_MM - _COLUMNS * _STRIP_MM[0]
    for n, example in enumerate(chosen):
        row, column = divmod(n, _COLUMNS)
        left = _MARGIN_MM + column * (_STRIP_MM[0] + gap)
        bottom = page_h - _HEAD_MM - row * _PITCH_MM - _STRIP_MM[1]
        axes = figure.add_axes((left / page_w, bottom / page_h, _STRIP_MM[0] / page_w, _STRIP_MM[1] / page_h))
        _strip(axes, example)


def size_inches() -> tuple[float, float]:
    return PAGE_MM[0] / _MM_PER_INCH, PAGE_MM[1] / _MM_PER_INCH


def told(example: Example) -> str:
    """``mitdb/208  0:12:34   V, judged N (p .83; of V .12)``."""
    one, n = example.outcomes, example.index
    seconds = example.sample / one.fs
    when = f"{int(seconds // 3600)}:{int(seconds // 60 % 60):02}:{seconds % 60:04.1f}"
    truth, said = class_of(int(one.rows[n])), class_of(int(one.columns[n]))
    p = one.probabilities[n]
    if said is None:
        words = f"{truth}, not found"
    elif truth is None:
        words = f"no beat, judged {said} (p {p[CLASSES.index(said)]:.2f})"
    else:
        words = f"{truth}, judged {said} (p {p[CLASSES.index(said)]:.2f}, of {truth} {p[CLASSES.index(truth)]:.2f})"
    return f"{one.where.name}   {when}   {words}"


def excerpt(path: Path, fs: float, centre: int, seconds: float) -> tuple[Floats, Floats]:
    """The first lead around a sample: times in s from it, and mV, NaN where the record has nothing."""
    record = Record(path)
    half = round(seconds / 2 * fs)
    start, stop = max(centre - half, 0), min(centre + half + 1, record.length)
    return (np.arange(start, stop) - centre) / fs, record.read(start, stop)[0]


def _strip(axes: "Axes", example: Example) -> None:
    one = example.outcomes
    seconds, millivolts = _STRIP_MM[0] / MM_PER_S, _STRIP_MM[1] / MM_PER_MV
    times, signal = excerpt(one.where.path, one.fs, example.sample, seconds)
    middle = middle_of(times, signal, millivolts)
    left, right = -seconds / 2, seconds / 2
    bottom, top = middle - millivolts / 2, middle + millivolts / 2
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], facecolor=_PAPER_COLOUR)
    # Counted from the paper's corner, so that every strip is cut from whole squares. Lines, not ticks: those are slow.
    for every, colour, width in ((_FINE_MM, _FINE_COLOUR, 0.3), (_COARSE_MM, _COARSE_COLOUR, 0.6)):
        across, up = (np.arange(0.0, mm + every / 2, every) for mm in _STRIP_MM)
        axes.vlines(left + across / MM_PER_S, bottom, top, color=colour, linewidth=width, zorder=0.8)
        axes.hlines(bottom + up / MM_PER_MV, left, right, color=colour, linewidth=width, zorder=0.8)
    for spine in axes.spines.values():
        spine.set_color(_COARSE_COLOUR)
    axes.axvspan(-_BAND_S, _BAND_S, color=_BAND_COLOUR, zorder=0.6, linewidth=0)
    axes.plot(times, signal, color=_INK, linewidth=0.8, solid_joinstyle="round", zorder=3)
    axes.set_title(told(example), fontsize=8, loc="left", pad=_points(_TITLE_MM), color=_INK)
    tick = _TICK_MM / _STRIP_MM[1]
    for samples, classes, above in ((one.reference, one.rows, True), (one.test, one.columns, False)):
        at = (samples - example.sample) / one.fs
        for n in np.flatnonzero((samples != NONE) & (np.abs(at) < seconds / 2)):
            label = class_of(int(classes[n]))
            weight = "bold" if n == example.index or label is not BeatClass.N else "normal"
            ends = (1.0 - tick, 1.0) if above else (0.0, tick)
            border = axes.get_xaxis_transform()
            axes.vlines(at[n], *ends, transform=border, color=COLOURS[label], linewidth=1.8, zorder=4)
            axes.annotate(
                LABELS[classes[n]],
                (at[n], 1.0 if above else 0.0),
                xycoords=border,
                xytext=(0.0, _points(_LETTERS_MM) * (1 if above else -1)),
                textcoords="offset points",
                ha="center",
                va="bottom" if above else "top",
                fontsize=8,
                fontweight=weight,
                color=COLOURS[label],
                annotation_clip=False,
            )


def middle_of(times: Floats, signal: Floats, millivolts: float) -> float:
    """mV in the middle of the paper: half-way between the extremes, but the beat in question is not cut."""
    known = signal[~np.isnan(signal)]
    if not len(known):
        return 0.0
    middle = float((known.min() + known.max()) / 2)
    own = signal[(np.abs(times) < _BAND_S) & ~np.isnan(signal)]
    room = millivolts / 2 - _INSIDE_MM / MM_PER_MV
    if not len(own) or own.max() - own.min() > 2 * room:
        return middle
    return float(np.clip(middle, own.max() - room, own.min() + room))


def _points(mm: float) -> float:
    return mm / _MM_PER_INCH * 72.0
