"""The picture of a signal: nothing of it is missed, nothing is invented, it keeps its shape while it scrolls."""

import itertools

import numpy as np
import pytest
from scenes import ecg

from monitor.dashboard.braille import Mark, decimate, draw, trace
from monitor.dashboard.digits import block

BITS = {(0, 0): 0x01, (1, 0): 0x02, (2, 0): 0x04, (3, 0): 0x40, (0, 1): 0x08, (1, 1): 0x10, (2, 1): 0x20, (3, 1): 0x80}


def dots(rows):
    """[dot row, dot column] of a picture, read back by the definition of the Unicode block."""
    picture = np.zeros((4 * len(rows), 2 * len(rows[0])), bool)
    for y, row in enumerate(rows):
        for x, char in enumerate(row):
            code = 0 if char == " " else ord(char) - 0x2800
            for (dy, dx), bit in BITS.items():
                picture[4 * y + dy, 2 * x + dx] = bool(code & bit)
    return picture


def test_one_value_is_one_dot_in_its_place():
    for level in range(8):
        values = np.array([np.nan, float(level), np.nan, np.nan])
        picture = dots(draw(values, values, 2, 0, 7))
        assert picture.sum() == 1 and picture[7 - level, 1]


def test_missing_samples_leave_empty_columns():
    signal = np.ones(100, np.float32)
    signal[40:60] = np.nan
    low, high = decimate(signal, 100, 10, 10.0)
    assert np.isnan(low).tolist() == [i in (4, 5) for i in range(10)]
    picture = dots(draw(low, high, 1, 0, 2))
    assert picture.any(axis=0).tolist() == [i not in (4, 5) for i in range(10)]


def test_a_single_sample_is_never_lost_in_decimation():
    for at in range(1000):
        signal = np.zeros(1000, np.float32)
        signal[at] = 1
        _low, high = decimate(signal, 1000, 40, 25.0)
        assert np.nanmax(high) == 1 and np.nanargmax(high) == at // 25


def test_neighbours_are_joined():
    values = np.array([0.0, 15.0, 0.0, 7.0])
    picture = dots(draw(values, values, 4, 0, 15))
    levels = [np.flatnonzero(column) for column in picture.T]
    for left, right in itertools.pairwise(levels):
        assert min(abs(a - b) for a in left for b in right) <= 1
    assert all(np.diff(column).max(initial=1) == 1 for column in levels)


def test_what_is_beyond_the_limits_is_at_the_edge():
    values = np.array([-100.0, np.inf, 100.0, 3.0])
    picture = dots(draw(values, values, 1, 0, 3))
    assert picture[3, 0] and not picture[:, 1].any() and picture[0, 2]


@pytest.mark.parametrize("per_column", [1.0, 2.5, 13.5, 27.0])
def test_the_picture_keeps_its_shape_while_it_scrolls(per_column):
    signal, _ = ecg(20)
    columns = 80
    known = {}
    for stop in range(3000, 3600, 36):
        low, high = decimate(signal[:stop], stop, columns, per_column)
        last = int((stop - 1) // per_column)
        for i in range(columns - 1):  # the newest column is still growing
            number = last - columns + 1 + i
            assert known.setdefault(number, (low[i], high[i])) == (low[i], high[i])


def test_a_window_that_starts_late_is_empty_at_the_left():
    low, high = decimate(np.ones(30, np.float32), 1030, 10, 10.0)
    assert np.isfinite(low).sum() == 3 and np.isfinite(high[-3:]).all()
    assert np.isnan(decimate(np.empty(0, np.float32), 0, 4, 10.0)[0]).all()


def test_letters_stand_above_their_peaks():
    signal = np.zeros(400, np.float32)
    signal[[100, 300]] = 1
    marks = [Mark(100, "N", "green"), Mark(300, "V", "red", 30), Mark(-50, "X", ""), Mark(401, "X", "")]
    rows = trace(signal, 400, width=20, height=5, limits=(0, 1), per_column=10.0, marks=marks, style="dim")
    text = ["".join(part for part, _ in row) for row in rows]
    assert text[0] == "     N         V    ".ljust(20) and all(len(row) == 20 for row in text)
    assert all(row[5] != " " and row[15] != " " for row in text[1:])
    colored = [style for part, style in rows[-1] for _ in part]
    assert [i for i, style in enumerate(colored) if style == "red"] == [13, 14, 15, 16]


@pytest.mark.parametrize(("scale", "height"), [(1, 3), (2, 5), (3, 8)])
def test_digits_keep_their_size(scale, height):
    blocks = [block(f"{n:3}", scale) for n in (0, 7, 42, 199)] + [block("---", scale)]
    assert {len(lines) for lines in blocks} == {height}
    assert {len(line) for lines in blocks for line in lines} == {11 * scale}
    assert len({tuple(lines) for lines in blocks}) == len(blocks)
