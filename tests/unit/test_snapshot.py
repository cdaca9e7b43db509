"""The snapshot: what is folded, that the order of the links does not count, that it is frozen."""

import itertools
import random

import numpy as np
import pytest
from msgspec.structs import replace
from scenes import EPOCH, SETTINGS, Scene, alert, beat, ecg, opened, quality, samples, status, verdict

from monitor.events import FS, AlertState, BeatClass, Cause, Closed, Gap, Level, Lost, Priority
from monitor.scale import settle
from monitor.snapshot import Fold
from monitor.views import Feed, Hole, StageState


def only(fold, now=EPOCH):
    (view,) = fold.snapshot(now).streams
    return view


def fold_of(*events, now=EPOCH):
    fold = Fold(SETTINGS)
    fold.advance(events, now)
    return fold


def test_the_waveform_is_what_was_sent():
    signal, _ = ecg(10)
    fold = fold_of(opened(), *(samples("demo", at, signal[at : at + 36]) for at in range(0, 3600, 36)))
    view = only(fold)
    np.testing.assert_array_equal(view.wave, signal)
    assert view.position == 3600 and view.lead == "MLII" and view.length == 108000


def test_the_waveform_keeps_only_its_end():
    size = round(SETTINGS.dashboard.keep_s * FS)
    signal = np.arange(3 * size, dtype=np.float32)
    fold = fold_of(*(samples("demo", at, signal[at : at + 1000]) for at in range(0, len(signal), 1000)))
    np.testing.assert_array_equal(only(fold).wave, signal[-size:])


def test_what_is_missing_is_nan_whatever_the_stretch():
    size = round(SETTINGS.dashboard.keep_s * FS)
    one = np.ones(100, np.float32)
    for hole in (50, size - 100, size + 7, 10 * size):
        view = only(fold_of(samples("demo", 0, one), samples("demo", 100 + hole, one)))
        assert np.isnan(view.wave[-100 - hole : -100]).all()
        assert (view.wave[-100:] == 1).all()


def test_late_and_doubled_samples_find_their_place():
    signal, _ = ecg(3)
    parts = [samples("demo", at, signal[at : at + 90]) for at in range(0, 1080, 90)]
    fold = fold_of(parts[0], *parts[2:6], parts[1], parts[3], *parts[6:])
    np.testing.assert_array_equal(only(fold).wave, signal)


def test_a_gap_counts_once_though_each_link_tells_it():
    gap = Gap(stream="demo", seq=5, start=100, stop=460, cause="lost")
    fold = fold_of(samples("demo", 0, np.ones(100)), gap, replace(gap, seq=9), replace(gap, seq=2))
    view = only(fold)
    assert view.lost_samples == 360 and view.holes == (Hole(100, 460, "lost"),)
    assert view.position == 460 and np.isnan(view.wave[100:]).all()


def test_a_snapshot_is_not_touched_by_what_comes_later():
    scene = Scene()
    scene.open()
    scene.run(5)
    before = scene.snapshot()
    wave, peaks = before.streams[0].wave.copy(), before.streams[0].peaks
    scene.run(5)
    np.testing.assert_array_equal(before.streams[0].wave, wave)
    assert before.streams[0].peaks == peaks
    with pytest.raises(ValueError, match="read-only"):
        before.streams[0].wave[0] = 1
    with pytest.raises(AttributeError):
        before.streams[0].position = 1


def test_the_order_of_the_links_does_not_count():
    signal, peaks = ecg(12)
    source = [opened(), *(samples("demo", at, signal[at : at + 36]) for at in range(0, len(signal), 36))]
    detector = [opened(), *(beat("demo", s, after_gap=s == peaks[0][0]) for s, _ in peaks), quality("demo", 4320)]
    rr = [None, *(b[0] - a[0] for a, b in itertools.pairwise(peaks))]
    classifier = [
        *(verdict("demo", s, label, r) for (s, label), r in zip(peaks, rr, strict=True)),
        alert("demo", "couplet", "Couplet", sample=3000),
    ]
    views = []
    for seed in range(5):
        links, mixed = [list(source), list(detector), list(classifier)], []
        chance = random.Random(seed)
        while any(links):
            mixed.append(chance.choice([link for link in links if link]).pop(0))
        views.append(only(fold_of(*mixed)))
    first = views[0]
    for view in views[1:]:
        assert (view.peaks, view.rr, view.counts, view.alerts) == (first.peaks, first.rr, first.counts, first.alerts)
        assert view.heart_rate == first.heart_rate and view.level == first.level
        np.testing.assert_array_equal(view.wave, first.wave)


def test_heart_rate_is_the_median_of_the_last_eight():
    peaks = [360 * i for i in range(1, 12)]
    fold = fold_of(samples("demo", 0, np.zeros(4000)), beat("demo", peaks[0], after_gap=True))
    assert only(fold).heart_rate is None
    fold.advance([beat("demo", p) for p in peaks[1:]], EPOCH)
    assert only(fold).heart_rate == pytest.approx(60)
    fold.advance([beat("demo", peaks[-1] + 100), samples("demo", 4000, np.zeros(400))], EPOCH)
    assert only(fold).heart_rate == pytest.approx(60)


def test_no_heart_rate_from_what_says_nothing():
    peaks = [beat("demo", 360 * i, after_gap=i == 1) for i in range(1, 10)]
    fold = fold_of(samples("demo", 0, np.zeros(3300)), *peaks)
    assert only(fold).heart_rate is not None
    fold.advance([beat("demo", 3290, after_gap=True)], EPOCH)
    assert only(fold).heart_rate is None, "the RR intervals lie before the gap"
    fold = fold_of(samples("demo", 0, np.zeros(3300)), *peaks, quality("demo", 3300, Level.UNUSABLE, Cause.NOISE))
    assert only(fold).heart_rate is None
    asystole = round(SETTINGS.alarms.asystole_s * FS)
    fold = fold_of(samples("demo", 0, np.zeros(3240 + asystole)), *peaks)
    assert only(fold).heart_rate is not None
    fold.advance([samples("demo", 3240 + asystole, np.zeros(1))], EPOCH)
    assert only(fold).heart_rate is None


def test_beats_are_pending_until_their_verdict_and_a_second_verdict_replaces_the_first():
    fold = fold_of(samples("demo", 0, np.zeros(1000)), beat("demo", 100, after_gap=True), beat("demo", 400))
    assert only(fold).pending == 2
    fold.advance([verdict("demo", 100, BeatClass.N, None), verdict("demo", 400, BeatClass.N)], EPOCH)
    fold.advance([verdict("demo", 400, BeatClass.V)], EPOCH)
    view = only(fold)
    assert view.pending == 0 and view.counts[BeatClass.N] == 1 and view.counts[BeatClass.V] == 1
    assert [peak.label for peak in view.peaks] == [BeatClass.N, BeatClass.V]


def test_alerts_by_priority_then_onset_replaced_by_id_and_ended():
    low = alert("demo", "couplet", "Couplet", sample=100)
    late = alert("demo", "vt", "VT", priority=Priority.HIGH, sample=900)
    early = alert("demo", "asystole", "Asystole", priority=Priority.HIGH, sample=500)
    fold = fold_of(low, late, early)
    assert [a.kind for a in only(fold).alerts] == ["asystole", "vt", "couplet"]
    fold.advance([replace(late, state=AlertState.UPDATED, message="VT, 9 beats")], EPOCH)
    assert only(fold).alerts[1].message == "VT, 9 beats" and len(only(fold).log) == 3
    fold.advance([replace(early, state=AlertState.ENDED)], EPOCH)
    assert [a.kind for a in only(fold).alerts] == ["vt", "couplet"]
    fold.advance([alert("demo", "vf", "VF", priority=Priority.HIGH, sample=50, state=AlertState.ACKNOWLEDGED)], EPOCH)
    assert [a.kind for a in only(fold).alerts] == ["vt", "vf", "couplet"], "what nobody has seen goes first"
    assert only(fold).raised == {"couplet": 1, "vt": 1, "asystole": 1} and len(only(fold).log) == 5


def test_latency_is_from_the_chunk_with_the_peak_to_the_verdict():
    fold = Fold(SETTINGS)
    for i in range(20):
        fold.advance([samples("demo", 36 * i, np.zeros(36))], EPOCH + i / 10)
    fold.advance([verdict("demo", 180)], EPOCH + 0.75)  # sample 180 opens chunk 5, which came at 0.5
    fold.advance([verdict("demo", 179)], EPOCH + 0.75)  # sample 179 ends chunk 4
    fold.advance([verdict("demo", 9000)], EPOCH + 5)  # its samples have not come: not measured
    latency = only(fold).latency
    assert latency.beats == 2 and latency.p50 == pytest.approx(0.25, abs=1e-6)
    assert latency.p99 == pytest.approx(0.35, abs=1e-6)


def test_the_feed_is_told():
    fold = fold_of(opened())
    assert only(fold).feed is Feed.WAITING
    fold.advance([samples("demo", 0, np.zeros(360))], EPOCH + 0.5)
    assert only(fold, EPOCH + 1).feed is Feed.ARRIVING
    assert only(fold, EPOCH + 1.6).feed is Feed.SILENT
    fold.advance([Lost(stream="demo", seq=1, sample=360)], EPOCH + 2)
    assert only(fold, EPOCH + 2).feed is Feed.LOST
    fold.advance([samples("demo", 360, np.zeros(36))], EPOCH + 3)
    fold.advance([Lost(stream="demo", seq=1, sample=360)], EPOCH + 3)  # the same, late, from another link
    assert only(fold, EPOCH + 3).feed is Feed.ARRIVING
    fold.advance([Closed(stream="demo", seq=7, sample=396, reason="end of recording")], EPOCH + 4)
    assert only(fold, EPOCH + 60).feed is Feed.CLOSED and only(fold).reason == "end of recording"


def test_an_old_quality_report_says_nothing_of_now():
    fold = fold_of(opened(), quality("demo", 360))
    assert only(fold).level is Level.GOOD
    assert only(fold, EPOCH + SETTINGS.link.dead_s + 0.1).level is None


def test_a_name_that_is_opened_anew_starts_from_nothing():
    fold = fold_of(opened(), samples("demo", 0, np.zeros(360)), verdict("demo", 100))
    closing = Closed(stream="demo", seq=3, sample=360, reason="end of recording")
    again = opened()
    fold.advance([closing, again], EPOCH)
    assert only(fold).position == 360, "the same stream, told by another link"
    fold.advance([replace(again, start_time=EPOCH + 100)], EPOCH)
    assert only(fold).position == 0 and sum(only(fold).counts.values()) == 0


def test_stages_rates_death_restart_and_stop():
    fold = Fold(SETTINGS)
    fold.advance([opened()], EPOCH)
    assert [s.state for s in fold.snapshot(EPOCH).stages] == [StageState.STARTING] * 3
    for i in range(9):
        fold.advance([status("detector", EPOCH + i / 2, i / 2, pid=7)], EPOCH + i / 2)
    now = EPOCH + 4
    detector = fold.snapshot(now).stages[1]
    assert detector.state is StageState.UP and detector.samples == pytest.approx(360)
    now += SETTINGS.link.dead_s + 0.1
    assert fold.snapshot(now).stages[1].state is StageState.DOWN
    fold.advance([status("detector", now, 0.1, pid=8)], now)
    detector = fold.snapshot(now).stages[1]
    assert detector.state is StageState.UP and detector.restarts == 1 and detector.samples == 0
    fold.advance([Closed(stream="demo", seq=3, sample=360, reason="end of recording")], now)
    assert fold.snapshot(now + 10).stages[1].state is StageState.STOPPED


def test_the_speed_is_signal_by_wall_time():
    fold = Fold(SETTINGS)
    for i in range(50):
        fold.advance([samples("demo", 360 * i, np.zeros(360))], EPOCH + i / 10)
    assert only(fold, EPOCH + 5).speed == pytest.approx(10, rel=1e-3)


def test_streams_do_not_touch_each_other_and_focus_leaves_out_what_is_not_shown():
    alone, mixed = Scene(), Scene()
    alone.open("a")
    mixed.open("b", rhythm="NV")
    mixed.open("a")
    alone.run(10)
    mixed.run(10)
    (one,) = alone.snapshot().streams
    other = mixed.snapshot().streams[1]
    assert (one.peaks, one.rr, one.counts, one.limits) == (other.peaks, other.rr, other.counts, other.limits)
    assert mixed.fold.streams() == ("b", "a")
    first, second = mixed.snapshot(focus=1).streams
    assert first.wave.size == 0 and not first.peaks and second.wave.size
    assert first.heart_rate == mixed.snapshot().streams[0].heart_rate


def test_limits_widen_at_once_narrow_slowly_and_never_vanish():
    flat = np.zeros(3600, np.float32)
    low, high = settle(None, flat)
    assert high - low >= 1
    tall = np.concatenate([flat, np.full(100, 4.1, np.float32)])
    wide = settle((low, high), tall)
    assert wide[1] == 4.25
    steps = [wide]
    while steps[-1] != settle(steps[-1], flat):
        steps.append(settle(steps[-1], flat))
    assert 5 < len(steps) < 20 and steps[-1][1] <= high + 0.25
    spike = flat.copy()
    spike[5] = 9
    assert settle(None, spike)[1] < 2
