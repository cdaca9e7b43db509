"""Devices that stall, jump and lie: what is on the line was delivered, stands where it belongs; the rest is a gap."""

import json
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from monitor.events import Closed, Gap, Opened, Samples
from monitor.sources import SourceRequest
from monitor.wire import encode
from replay import faults
from replay.live import Live

FS = 360
SECONDS = 60
BEGIN, LASTS = 20.0, 8.0
KINDS = {"counted": (True, True), "timed": (False, True), "neither": (False, False)}

rng = np.random.default_rng(7)
SIGNAL = np.round(np.cumsum(rng.normal(0, 0.02, (1, FS * SECONDS)), axis=1), 3)
"""mV; no two pieces of it are alike."""


def live(settings, **wanted):
    return Live(SourceRequest(uri="pipe:x", stream="p", now=0.0, **wanted), settings)


def heard(core, lines, *, jitter=0.0, seed=1, end=True, fs=FS, leads=("II",)):
    """The events of a device's lines, which arrive up to ``jitter`` s late; in between time passes."""
    random = np.random.default_rng(seed)
    out, now, tick = [], 0.0, 0.0
    for at, data in list(faults.timed(lines, fs, leads, "done"))[: None if end else -1]:
        now = max(now, at + jitter * random.random())
        while tick < now:
            out += core.push(b"", tick)
            tick += 0.2
        out += core.push(data, now)
    return out


def on_line(events):
    """The signal as far as it goes, NaN where there is none; and the gaps, pieces that touch made one."""
    pieces, gaps, at = [], [], 0
    for event in events:
        if isinstance(event, Samples | Gap):
            assert event.start == at, "a hole that nobody told"
            at = event.stop
        if isinstance(event, Samples):
            pieces.append(event.signal)
        elif isinstance(event, Gap):
            pieces.append(np.full((1, event.stop - event.start), np.nan))
            if gaps and gaps[-1][1] == event.start:
                gaps[-1] = (gaps[-1][0], event.stop, event.cause)
            else:
                gaps.append((event.start, event.stop, event.cause))
    return np.concatenate(pieces, axis=1)[0], gaps


def in_place(line, *, slack=0):
    """Every sample of the line is the device's, at its own place, give or take ``slack`` samples."""
    there = np.flatnonzero(np.isfinite(line))
    near = [
        np.isclose(line[there], SIGNAL[0, np.clip(there + shift, 0, SIGNAL.shape[1] - 1)], atol=1e-5)
        for shift in range(-slack, slack + 1)
    ]
    return bool(np.any(near, axis=0).all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("jitter", [0.0, 0.04])
def test_a_device_as_it_should_be(settings, kind, jitter):
    counted, timed = KINDS[kind]
    events = heard(live(settings), faults.steady(SIGNAL, FS, counted=counted, timed=timed), jitter=jitter)
    line, gaps = on_line(events)
    np.testing.assert_allclose(line, SIGNAL[0], atol=1e-6)
    assert gaps == []
    assert isinstance(events[0], Opened)
    assert (events[0].leads, events[0].fs, events[0].length) == (("II",), 360.0, None)
    assert isinstance(events[-1], Closed)
    assert (events[-1].sample, events[-1].reason) == (SIGNAL.shape[1], "done")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fault", "missing_s"),
    [("silence", LASTS), ("asleep", LASTS), ("hoard", 0.0), ("jump", 0.0), ("reset", 0.0)],
)
def test_time_is_kept_and_nothing_invented(settings, kind, fault, missing_s):
    counted, timed = KINDS[kind]
    lines = faults.faulty(faults.steady(SIGNAL, FS, counted=counted, timed=timed), [fault], BEGIN, LASTS)
    line, gaps = on_line(heard(live(settings), lines, jitter=0.02))
    assert in_place(line, slack=8)  # 22 ms: without a count the place is known as well as the time of arrival
    assert sum(stop - start for start, stop, _ in gaps) == pytest.approx(missing_s * FS, abs=8)
    assert {cause for *_, cause in gaps} <= {"missing"}
    if gaps:
        assert gaps[0][0] == pytest.approx(BEGIN * FS, abs=8)
    assert len(line) == pytest.approx(SIGNAL.shape[1], abs=8)


@pytest.mark.parametrize("kind", ["counted", "timed"])
@pytest.mark.parametrize("fault", ["repeat", "swap"])
def test_what_comes_twice_or_too_early(settings, kind, fault):
    counted, timed = KINDS[kind]
    lines = faults.faulty(faults.steady(SIGNAL, FS, counted=counted, timed=timed), [fault], BEGIN, LASTS)
    line, gaps = on_line(heard(live(settings), lines))
    np.testing.assert_allclose(line, SIGNAL[0], atol=1e-6)
    assert gaps == []


@pytest.mark.parametrize("kind", KINDS)
def test_550_of_1000_samples(settings, kind):
    """They cannot be told from samples at another rate: after two windows they are believed no more."""
    counted, timed = KINDS[kind]
    begin, lasts = 10.0, 25.0
    lines = faults.faulty(faults.steady(SIGNAL, FS, counted=counted, timed=timed), ["slow"], begin, lasts)
    line, gaps = on_line(heard(live(settings), lines))
    window = settings.device.rate_window_s * FS
    (gap,) = gaps
    assert gap[2] == "rate"
    assert begin * FS < gap[0] <= begin * FS + 2 * window
    assert (begin + lasts) * FS + window < gap[1] <= (begin + lasts) * FS + 3 * window
    assert in_place(np.r_[np.full(gap[1], np.nan), line[gap[1] :]], slack=8)
    assert len(line) == pytest.approx(SIGNAL.shape[1], abs=8)


def test_twice_as_many_samples_as_there_is_time_for(settings):
    lines = [
        msgspec.structs.replace(line, at=line.at / 2) for line in faults.steady(SIGNAL, FS, counted=False, timed=False)
    ]
    _, gaps = on_line(heard(live(settings), lines))
    assert [cause for *_, cause in gaps] == ["rate"]
    assert gaps[0][0] <= 2.5 * 2 * settings.device.rate_window_s * FS


def test_lines_lost_one_by_one_leave_gaps_of_their_length(settings):
    lines = faults.steady(SIGNAL, FS)
    lines = [line for k, line in enumerate(lines) if k % 10 != 7]
    line, gaps = on_line(heard(live(settings), lines))
    assert in_place(line)
    assert {stop - start for start, stop, _ in gaps} == {36}
    assert len(gaps) == SECONDS


def test_samples_lost_now_and_then_without_a_count(settings):
    """Too few for a wrong rate, and for anybody to say which: their time is told as a gap when it has added up."""
    lines = faults.steady(SIGNAL, FS, counted=False, timed=False)
    lines = [line for k, line in enumerate(lines) if k % 50 != 7]
    line, gaps = on_line(heard(live(settings), lines))
    assert {cause for *_, cause in gaps} == {"missing"}
    late = settings.device.behind_s + settings.device.rate_window_s * 0.02 + 0.1
    assert len(line) == pytest.approx(SIGNAL.shape[1], abs=late * FS)


def test_a_clock_a_little_off_is_no_fault(settings):
    """200 ppm: after an hour 0.7 s, and no gap."""
    core = live(settings)
    out = core.push(faults.header(FS, ["II"]), 0.0)
    for second in range(3600):
        signal = np.full((1, FS), second % 7, np.float32)
        line = faults.Line(at=0.0, count=0, stamp=None, clock=float(second), signal=signal)
        out += core.push(faults.written(line), (second + 1) * (1 + 2e-4))
    assert [event for event in out if isinstance(event, Gap)] == []
    assert out[-1].stop == 3600 * FS


def test_a_day_without_the_device_is_one_gap_and_soon_told(settings):
    lines = faults.steady(SIGNAL, FS)
    away = 86_400.0
    late = [msgspec.structs.replace(line, at=line.at + away) for line in lines[450:]]
    core = live(settings)
    heard(core, lines[:450], end=False)
    out = []
    for line in late[:20]:
        out += core.push(faults.written(msgspec.structs.replace(line, stamp=None, clock=None)), line.at)
    assert sum(event.stop - event.start for event in out if isinstance(event, Gap)) == pytest.approx(away * FS, abs=8)


def test_what_is_still_held_back_comes_at_the_end(settings):
    """The device is listened to after a silence, and a chunk waits for one before it, when the end is told."""
    lines = faults.steady(SIGNAL[:, : 16 * FS], FS)
    del lines[50:150], lines[-3]
    line, gaps = on_line(heard(live(settings), lines[:-5] + lines[-5:]))
    assert in_place(line)
    assert len(line) == 16 * FS
    assert gaps == [(5 * FS, 15 * FS, "missing"), (16 * FS - 108, 16 * FS - 72, "missing")]


@pytest.mark.parametrize("chunk_s", [0.04, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["counted", "timed"])
def test_whatever_the_first_chunk_did_repetitions_are_known(settings, monkeypatch, chunk_s, kind):
    """It came late, or with a backlog; the count and the clock are believed all the same."""
    monkeypatch.setattr(faults, "CHUNK_S", chunk_s)
    counted, timed = KINDS[kind]
    lines = faults.steady(SIGNAL[:, : 20 * FS], FS, counted=counted, timed=timed)
    lines[0] = msgspec.structs.replace(lines[0], at=lines[0].at + 0.7)
    lines = [lines[0], *(msgspec.structs.replace(line, at=max(line.at, lines[0].at)) for line in lines[1:])]
    lines = faults.repeat(lines, 10.0, 14.0)
    line, gaps = on_line(heard(live(settings), lines))
    np.testing.assert_allclose(line, SIGNAL[0, : 20 * FS], atol=1e-6)
    assert gaps == []


def test_after_the_power_went_numbers_are_new(settings):
    core = live(settings)
    before = heard(core, faults.steady(SIGNAL[:, : 5 * FS], FS), end=False)
    core.renumber()
    after = core.push(b'{"mv": [[1, 2]]}\n', 5.1)
    assert after[0].seq > before[-1].seq + 10_000
    assert after[0].start == before[-1].stop


def test_silence_is_told(settings):
    core = live(settings)
    heard(core, faults.steady(SIGNAL[:, : 10 * FS], FS), end=False)
    assert not core.silent(10.0)
    assert not core.silent(10.0 + settings.device.silent_s)
    assert core.silent(10.1 + settings.device.silent_s)
    core.push(b'{"end": "gone home"}\n', 13.0)
    assert not core.silent(20.0)


def test_nothing_is_said_to_be_silent_before_it_spoke(settings):
    assert not live(settings).silent(1e9)


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\xff\xfe",
        b"{",
        b"[]",
        b"{}",
        b'{"mv": [[1.0], [2.0]]}',
        b'{"mv": []}',
        b'{"mv": [["a"]]}',
        b'{"n": 1.5, "mv": [[1.0]]}',
        b'{"n": 100000000000000000000000, "mv": [[1.0]]}',
        b'{"fs": 500, "leads": ["II"]}',
        b"[" * 5000,
        b'{"x": ' + b"[" * 5000,
    ],
)
def test_lines_that_are_none_are_counted_and_change_nothing(settings, line):
    lines = faults.steady(SIGNAL[:, : 10 * FS], FS)
    core = live(settings)
    out = heard(core, lines[:50], end=False)
    assert core.refused == 0
    out += core.push(line + b"\n", 5.0)
    assert core.refused == 1
    for rest in lines[50:]:
        out += core.push(faults.written(rest), rest.at)
    found, gaps = on_line(out)
    np.testing.assert_allclose(found, SIGNAL[0, : 10 * FS], atol=1e-6)
    assert gaps == []


def test_a_line_without_an_end_is_not_kept_for_ever(settings):
    core = live(settings)
    for k in range(40):
        core.push(b"x" * 65_536, float(k))
    assert core.refused == 2
    assert len(core.state()["rest"]) <= 1 << 20


@pytest.mark.parametrize(
    "header",
    [
        {"fs": 0, "leads": ["II"]},
        {"fs": 1e-9, "leads": ["II"]},
        {"fs": -5, "leads": ["II"]},
        {"fs": 1e9, "leads": ["II"]},
        {"fs": 360, "leads": []},
    ],
)
def test_a_device_that_cannot_be(settings, header):
    core = live(settings)
    assert core.push(json.dumps(header).encode() + b"\n", 0.0) == []
    assert (core.opened, core.refused) == (False, 1)


def test_a_lead_that_it_has_not(settings):
    """Others are watched by the same process: it is told, and nothing ends."""
    core = live(settings, leads=("aVR",))
    assert core.push(faults.header(FS, ["II", "V1"]), 0.0) == []
    assert "no lead aVR; there are II, V1" in core.trouble
    assert len(core.push(faults.header(FS, ["aVR"]), 1.0)) == 1
    assert core.trouble == ""


def test_missing_and_absurd_values_are_gaps_where_no_lead_goes_on(settings):
    core = live(settings, leads=("II", "V1"))
    out = core.push(faults.header(FS, ["V1", "II"]), 0.0)
    out += core.push(b'{"mv": [[1, 2, null, 4, null, 6], [1, null, 3, 1e30, -1e5, 6]]}\n', 0.1)
    assert [type(each).__name__ for each in out] == ["Opened", "Samples", "Gap", "Samples"]
    _, a, gap, b = out
    assert (gap.start, gap.stop) == (4, 5)
    np.testing.assert_array_equal(a.signal, [[1.0, np.nan, 3.0, np.nan], [1.0, 2.0, np.nan, 4.0]])
    assert b.signal.tolist() == [[6.0], [6.0]]


def test_an_only_lead_that_is_missing_is_a_gap(settings):
    core = live(settings, leads=("II",))
    out = core.push(faults.header(FS, ["V1", "II"]), 0.0)
    out += core.push(b'{"mv": [[1, 2, 3], [1, null, 3]]}\n', 0.1)
    assert [type(each).__name__ for each in out] == ["Opened", "Samples", "Gap", "Samples"]


@pytest.mark.parametrize("fs", [125.0, 250.0, 500.0, 1000.0])
def test_another_rate_is_resampled_and_a_gap_keeps_its_place(settings, fs):
    t = np.arange(0, 20, 1 / fs)
    signal = np.sin(2 * np.pi * 3 * t)[np.newaxis]
    lines = faults.faulty(faults.steady(signal, fs), ["silence"], 8.0, 4.0)
    events = heard(live(settings), lines, fs=fs)
    line, gaps = on_line(events)
    ((start, stop, _),) = gaps
    assert (start / 360, stop / 360) == pytest.approx((8.0, 12.0), abs=faults.CHUNK_S)
    inner = np.r_[100 : start - 40, stop + 40 : len(line) - 40]
    np.testing.assert_allclose(line[inner], np.sin(2 * np.pi * 3 * inner / 360), atol=2e-3)
    assert len(line) == 20 * 360


def test_as_long_as_was_asked_for(settings):
    events = heard(live(settings, duration_s=12.5), faults.steady(SIGNAL, FS))
    assert isinstance(events[-1], Closed)
    assert events[-1].sample == 4500
    assert on_line(events)[0].shape == (4500,)


ALL = [name for name in faults.FAULTS if name != "slow"]


@examples(max_examples=20, deadline=None)
@given(data=st.data())
def test_saved_and_restored_anywhere_and_cut_anywhere_it_is_the_same(settings, data):
    names = data.draw(st.lists(st.sampled_from(sorted(faults.FAULTS)), max_size=3))
    counted, timed = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    lines = faults.faulty(faults.steady(SIGNAL[:, : 40 * FS], FS, counted=counted, timed=timed), names, 8.0, 3.0)
    timeline = list(faults.timed(lines, FS, ("II",), "done"))
    whole, core = [], live(settings)
    for at, line in timeline:
        whole += core.push(line, at)
    parts, core = [], live(settings)
    places = data.draw(st.sets(st.integers(0, len(timeline) - 1), max_size=8))
    for k, (at, line) in enumerate(timeline):
        if k in places:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(core.state()))
            core = live(settings)
            core.restore(state)
        cut = len(line) // 3 if k % 2 else 0
        parts += core.push(line[:cut], at)
        parts += core.push(line[cut:], at)
    assert told(parts) == told(whole)


@examples(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_journal_without_idle_time_comes_to_the_same(settings, data):
    """What ``replay.pipe`` keeps: bytes, and looks at the clock that may matter."""
    names = data.draw(st.lists(st.sampled_from(sorted(faults.FAULTS)), max_size=3))
    counted, timed = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    lines = faults.faulty(faults.steady(SIGNAL[:, : 40 * FS], FS, counted=counted, timed=timed), names, 8.0, 3.0)
    core, kept, whole, tick = live(settings), [], [], 0.0

    def take(now, line):
        if line or core.unsettled:
            kept.append((now, line))
        whole.extend(core.push(line, now))

    for at, line in faults.timed(lines, FS, ("II",), "done"):
        while tick < at:
            take(tick, b"")
            tick += 0.05
        take(max(at, tick - 0.05), line)
    again = live(settings)
    assert told([event for now, line in kept for event in again.push(line, now)]) == told(whole)
    assert len(kept) < len(lines) + 20 * 40


@examples(max_examples=20, deadline=None)
@given(data=st.data())
def test_whatever_it_does_no_sample_is_invented_or_out_of_order(settings, data):
    """Any faults, one upon another, at any time: the line grows without a hole, and its samples are the device's, in
    the order in which it made them."""
    signal = np.arange(40 * FS, dtype=float)[np.newaxis] / 1000  # mV: each sample says which it is
    counted, timed = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    lines = faults.steady(signal, FS, counted=counted, timed=timed)
    harmless = ALL if counted or timed else [name for name in ALL if name not in ("repeat", "swap")]
    names = data.draw(st.lists(st.sampled_from(harmless), max_size=4))
    for name in names:
        begin = data.draw(st.floats(1.0, 30.0))
        lines = faults.FAULTS[name](lines, begin, begin + data.draw(st.floats(0.2, 9.0)))
    events = heard(live(settings), lines, jitter=data.draw(st.sampled_from([0.0, 0.03])))
    line, _ = on_line(events)
    assert isinstance(events[-1], Closed)
    which = np.round(line[np.isfinite(line)] * 1000).astype(int)
    assert len(set(which.tolist())) == len(which)
    if not ("swap" in names and {"jump", "reset"} & set(names)):  # who jumps in disorder has said what order there is
        assert all(b > a for a, b in pairwise(which))


def told(events):
    """As one frame; samples and gaps whole, since where chunks are cut says nothing."""
    merged = []
    for event in (msgspec.structs.replace(event, seq=1) for event in events):
        last = merged[-1] if merged else None
        if isinstance(event, Samples) and isinstance(last, Samples):
            merged[-1] = msgspec.structs.replace(last, signal=np.concatenate((last.signal, event.signal), axis=1))
        elif isinstance(event, Gap) and isinstance(last, Gap) and last.stop == event.start:
            merged[-1] = msgspec.structs.replace(last, stop=event.stop)
        else:
            merged.append(event)
    return encode(merged, run=0, lineage=0, number=1)
