"""The schedule of a replay, on a clock of our own."""

import pytest

from monitor.errors import UsageError
from replay.pacer import STALL_S, Pacer


class Wall:
    """A clock that only sleeping (or a test) moves."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def pacer(wall, settings):
    return lambda speed: Pacer(speed, settings.source, wall.clock, wall.sleep)


@pytest.mark.parametrize(("speed", "chunk"), [(1, 36), (2, 72), (0.5, 18), (8, 288), (40, 1440), (1000, 1440)])
def test_chunks_grow_with_the_speed_up_to_the_largest(pacer, speed, chunk):
    assert pacer(speed).chunk == chunk


@pytest.mark.parametrize("speed", [0.001, 1, 3.7, 100])
def test_ten_minutes_take_ten_minutes_without_drift(pacer, wall, speed):
    paced, position = pacer(speed), 0
    while position < 360 * 600 * min(speed, 1):
        position += paced.wait(position)
        assert wall.now - 1000 == pytest.approx(position / 360 / speed, abs=1e-6)


def test_max_never_waits(pacer, wall):
    paced = pacer(None)
    assert [paced.wait(p) for p in (0, 1440, 2880)] == [1440] * 3
    assert paced.due(10**9) == 1440
    assert paced.delay(0) == 0
    assert wall.slept == []


def test_due_counts_what_time_has_brought(pacer, wall):
    paced = pacer(1)
    assert paced.due(0) == 0
    wall.now += 0.5
    assert paced.due(0) == 180
    assert paced.due(150) == 30
    assert paced.due(200) == 0


def test_a_short_hitch_is_caught_up_with(pacer, wall):
    paced = pacer(1)
    position = paced.wait(0)
    wall.now += 1.0
    for _ in range(10):
        position += paced.wait(position)
    assert len(wall.slept) == 1  # the ten chunks of the second that was missed, at once
    paced.wait(position)
    assert wall.now - 1000 == pytest.approx((position + 36) / 360)


def test_a_stall_shifts_the_schedule(pacer, wall):
    paced = pacer(1)
    position = paced.wait(0)
    wall.now += 60.0
    position += paced.wait(position)
    before = wall.now
    for _ in range(10):
        position += paced.wait(position)
    assert wall.now - before == pytest.approx(1.0)
    assert paced.due(position) < STALL_S * 360


def test_a_gap_that_came_as_one_event_is_waited_for(pacer, wall):
    paced = pacer(1)
    position = paced.wait(0) + 360 * 20
    assert paced.due(position) == 0
    assert paced.delay(position) == pytest.approx(20.1)
    paced.wait(position)
    assert wall.now - 1000 == pytest.approx(20.2)


def test_a_restored_stream_starts_where_it_was(pacer, wall):
    paced = pacer(1)
    assert paced.delay(360_000) == pytest.approx(0.1)


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_told(pacer, speed):
    with pytest.raises(UsageError, match="write 1, 8"):
        pacer(speed)
