"""Signals drawn in braille: 2 × 4 dots a character cell.

Law: what is in the signal is in the picture. A dot column spans many samples; it is drawn from their minimum to
their maximum and joined to its neighbour, so that no R peak falls between two samples that were picked.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from monitor.events import Floats

Dots = npt.NDArray[np.float64]
Row = list[tuple[str, str]]
"""One line of the picture: texts, each with its style."""

_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint32)
"""[row, column] bit of each dot in a cell (Unicode, block 2800)."""
_BLANK = 0x2800


class Mark(Struct, frozen=True):
    """A letter above the trace."""

    sample: int
    """Index into the samples that are drawn."""
    letter: str
    style: str
    reach: int = 0
    """Samples to each side that the trace takes the mark's colour; 0: none."""


def decimate(samples: Floats, stop: int, columns: int, per_column: float) -> tuple[Dots, Dots]:
    """Minimum and maximum of each dot column, the last column being the one that holds the last sample.

    Columns begin at fixed multiples of ``per_column`` of the stream's own sample numbers, not of the window's: a
    picture that scrolls keeps its shape.

    Args:
        samples: [sample] mV, NaN where missing.
        stop: number in the stream of the sample after the last.
        columns: dot columns to fill.
        per_column: samples a column, at least 1.

    Returns:
        two arrays [column], NaN in the columns that have no sample.
    """
    low = np.full(columns, np.nan)
    high = np.full(columns, np.nan)
    if len(samples) == 0:
        return low, high
    last = int((stop - 1) // per_column)
    edges = np.ceil(np.arange(last - columns + 1, last + 2) * per_column).astype(np.int64) - (stop - len(samples))
    edges = np.clip(edges, 0, len(samples))
    filled = np.flatnonzero(np.diff(edges) > 0)
    if filled.size:
        part = samples[edges[filled[0]] : edges[filled[-1] + 1]]
        starts = edges[filled] - edges[filled[0]]
        low[filled] = np.fmin.reduceat(part, starts)
        high[filled] = np.fmax.reduceat(part, starts)
    return low, high


def draw(low: Dots, high: Dots, height: int, bottom: float, top: float) -> list[str]:
    """Dot columns as ``height`` strings of ``len(low) / 2`` braille cells; an empty cell is a space.

    Values beyond ``bottom`` and ``top`` are drawn at the edge. Neighbouring columns that do not overlap are joined.
    """
    dots = height * 4
    scale = (dots - 1) / (top - bottom)
    known = np.isfinite(low) & np.isfinite(high)
    first = np.where(known, (np.nan_to_num(low) - bottom) * scale, 0.0)
    last = np.where(known, (np.nan_to_num(high) - bottom) * scale, -1.0)
    first = np.clip(np.rint(first), 0, dots - 1)
    last = np.where(known, np.clip(np.rint(last), 0, dots - 1), -1)
    joined = known[1:] & known[:-1]
    before_first, before_last = first[:-1].copy(), last[:-1].copy()
    first[1:] = np.where(joined & (first[1:] > before_last + 1), before_last + 1, first[1:])
    last[1:] = np.where(joined & (last[1:] < before_first - 1), before_first - 1, last[1:])
    level = np.arange(dots - 1, -1, -1)[:, None]  # the top row of dots is the highest level
    lit = (level >= first) & (level <= last) & known
    cells = lit.reshape(height, 4, len(low) // 2, 2)
    codes = np.einsum("hrwc,rc->hw", cells.astype(np.uint32), _BITS) + _BLANK
    return ["".join(" " if code == _BLANK else chr(code) for code in row) for row in codes.tolist()]


def trace(
    samples: Floats,
    stop: int,
    *,
    width: int,
    height: int,
    limits: tuple[float, float],
    per_column: float,
    marks: Sequence[Mark],
    style: str,
) -> list[Row]:
    """A waveform with letters above it: ``height`` rows, the first of them for the letters.

    Args:
        samples: [sample] mV, NaN where missing; the last one is drawn at the right edge.
        stop: number in the stream of the sample after the last.
        width, height: character cells.
        limits: mV at the lower and upper edge.
        per_column: samples a dot column; a cell has two of them.
        marks: what stands above the trace; where two fall into one cell, the later one is shown.
        style: of the trace.
    """
    low, high = decimate(samples, stop, 2 * width, per_column)
    rows = draw(low, high, height - 1, *limits)
    letters: list[tuple[str, str]] = [(" ", "")] * width
    styles = [style] * width
    last = int((stop - 1) // per_column)

    def cell(sample: int) -> int:
        column = int((stop - len(samples) + sample) // per_column) - last + 2 * width - 1
        return column // 2

    for mark in marks:
        place = cell(mark.sample)
        if 0 <= place < width:
            letters[place] = (mark.letter, mark.style)
        if mark.reach:
            for i in range(max(0, cell(mark.sample - mark.reach)), min(width, cell(mark.sample + mark.reach) + 1)):
                styles[i] = mark.style
    return [_runs(letters)] + [_runs(list(zip(row, styles, strict=True))) for row in rows]


def _runs(cells: list[tuple[str, str]]) -> Row:
    """Neighbours of one style as one text."""
    return [("".join(c for c, _ in group), style) for style, group in groupby(cells, key=lambda cell: cell[1])]
