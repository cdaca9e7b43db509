"""R peaks: found on real ECG, and where a signal is not as it should be."""

import numpy as np
import pytest
from scipy.signal import resample_poly
from streams import demo, opened, played, with_gap

from monitor.detector import Detector
from monitor.detector_layout import AFTER, BEFORE, WINDOW
from monitor.events import FS, Beat, Cause, Closed, Gap, Level, Lost, Opened, Quality, Samples
from replay.resample import Resampler
from trainer.dataset import read
from trainer.ec57 import detection, match


def beats_of(settings, signal):
    return [e for e in Detector(settings).push(played(np.asarray(signal, dtype=np.float32))) if isinstance(e, Beat)]


def peaks(settings, signal):
    return np.array([beat.sample for beat in beats_of(settings, signal)], dtype=np.int64)


def synthetic(rate_bpm: float, seconds: float, *, amplitude: float = 1.0, every_other: float = 1.0) -> tuple:
    """QRS-like complexes (Gaussians of 10 ms with a small Q and S) and a T wave, and where their R peaks are."""
    n = int(seconds * FS)
    t = np.arange(n) / FS
    x = np.zeros(n)
    at = np.arange(0.7, seconds - 0.5, 60.0 / rate_bpm)
    for k, r in enumerate(at):
        a = amplitude * (every_other if k % 2 else 1.0)
        x += a * np.exp(-((t - r) ** 2) / (2 * 0.010**2))
        x -= 0.2 * a * np.exp(-((t - r - 0.03) ** 2) / (2 * 0.010**2))
        x += 0.25 * a * np.exp(-((t - r - min(0.25, 20.0 / rate_bpm)) ** 2) / (2 * 0.035**2))
    return x, np.round(at * FS).astype(np.int64)


@pytest.mark.parametrize("record", ["100", "106", "209", "223"])
def test_on_real_records(settings, data_dir, record):
    recording = read(f"mitdb/{record}", 0, settings)
    found = peaks(settings, recording.signal)
    assert detection(recording.samples, found, FS).f1 > 0.995
    offsets = [found[j] - recording.samples[i] for i, j in match(recording.samples, found, 54) if i >= 0 and j >= 0]
    assert abs(np.median(offsets)) <= 2


def test_a_beat_is_confirmed_in_a_third_of_a_second(settings):
    found = [b for b in beats_of(settings, demo(120.0)) if not b.search_back]
    delays = np.array([b.confirmed - b.sample for b in found]) / FS
    assert delays.max() <= 0.35
    assert max(b.confirmed - b.sample for b in beats_of(settings, demo())) / FS <= 1.2


def test_a_beat_that_was_doubted_is_found_late_and_says_so(settings, data_dir):
    late = [b for b in beats_of(settings, read("mitdb/203", 0, settings).signal) if b.search_back]
    assert late
    assert max(b.confirmed - b.sample for b in late) / FS <= 1.2


def test_the_first_beat_comes_within_two_seconds(settings):
    x, truth = synthetic(70, 10)
    found = beats_of(settings, x)
    assert found[0].confirmed <= 2 * FS
    assert found[0].sample - truth[truth <= found[0].sample + 5][-1] <= 5


@pytest.mark.parametrize("amplitude", [0.1, 0.5, 2.0, 10.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_any_amplitude_and_polarity(settings, amplitude, sign):
    x, truth = synthetic(70, 60, amplitude=amplitude)
    d = detection(truth[1:], peaks(settings, sign * x)[1:], FS)
    assert (d.fp, d.fn) == (0, 0)


@pytest.mark.parametrize("rate", [30, 60, 120, 200, 280, 300])
def test_any_rate(settings, rate):
    x, truth = synthetic(rate, 60)
    x += np.random.default_rng(0).normal(0, 0.01, len(x))
    truth = truth[truth > 2 * FS]
    found = peaks(settings, x)
    d = detection(truth, found[found > 2 * FS - 20], FS)
    assert d.f1 > 0.99, d


def test_tall_and_small_beats_by_turns(settings):
    x, truth = synthetic(75, 60, every_other=0.45)
    found = peaks(settings, x)
    d = detection(truth[truth > 3 * FS], found[found > 3 * FS - 20], FS)
    assert d.f1 > 0.98, d


@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_mains_hum(settings, mains):
    x, truth = synthetic(70, 60)
    x += 0.2 * np.sin(2 * np.pi * mains * np.arange(len(x)) / FS)
    d = detection(truth, peaks(settings, x), FS)
    assert d.f1 > 0.99, d


def test_wander_and_steps_of_the_baseline(settings):
    x, truth = synthetic(70, 60)
    t = np.arange(len(x)) / FS
    wander = x + 1.5 * np.sin(2 * np.pi * 0.25 * t)
    assert detection(truth, peaks(settings, wander), FS).f1 > 0.99
    steps = x + np.repeat([0.0, 2.0, -1.0, 1.0], len(x) // 4)
    d = detection(truth, peaks(settings, steps), FS)
    assert d.fp + d.fn <= 6, d


def test_pacing_spikes_are_no_beats_of_their_own(settings):
    """A spike of 2 ms and 3 mV, 40 ms before each complex; resampling leaves it a few samples wide."""
    x, truth = synthetic(70, 60)
    spikes = truth - round(0.04 * FS)
    x[spikes] += 3.0
    x[spikes + 1] -= 1.0
    d = detection(truth, peaks(settings, x), FS)
    assert (d.fp, d.fn) == (0, 0), d


def test_spikes_that_the_heart_does_not_follow_are_no_beats(settings, data_dir):
    """Real beats at their own rate, and a pacemaker that fires beside them."""
    recording = read("mitdb/100", 0, settings)
    x, truth = recording.signal[: 120 * FS].copy(), recording.samples[recording.samples < 119 * FS]
    spikes = np.arange(100, 119 * FS, 310)
    x[spikes] += 2.0
    x[spikes + 1] -= 0.5
    d = detection(truth, peaks(settings, x), FS)
    assert d.fp < 0.1 * len(spikes), d
    assert d.fn < 0.03 * len(truth), d


def test_flutter_is_not_counted_as_beats_at_four_hundred(settings):
    """A sine of 6.7 Hz, as ventricular flutter looks."""
    t = np.arange(30 * FS) / FS
    x = np.concatenate((demo(20.0), 1.2 * np.sin(2 * np.pi * 6.67 * t))).astype(np.float32)
    found = peaks(settings, x)
    inside = found[found > 22 * FS]
    assert len(inside) / 28 * 60 <= 300
    assert len(inside) < 2 or np.diff(inside).min() >= 0.19 * FS


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_never_stays_in_the_filters(settings, poison):
    x = demo(40.0).copy()
    x[15 * FS + 7] = poison
    x[20 * FS : 20 * FS + 50] = poison
    whole, damaged = peaks(settings, demo(40.0)), peaks(settings, x)
    assert np.isfinite(damaged).all()
    later = 24 * FS
    assert detection(whole[whole > later], damaged[damaged > later], FS).f1 > 0.99


@pytest.mark.parametrize("seconds", [0.1, 1.0, 10.0, 3600.0])
def test_beats_come_back_after_a_gap_of_any_length(settings, seconds):
    x = demo(40.0)
    gap = round(seconds * FS)
    first, second = x[: 20 * FS], x[20 * FS :]
    events = [
        opened(),
        Samples(stream="p", seq=2, start=0, signal=first[None]),
        Gap(stream="p", seq=3, start=len(first), stop=len(first) + gap, cause="missing"),
        Samples(stream="p", seq=4, start=len(first) + gap, signal=second[None]),
    ]
    found = np.array([e.sample for e in Detector(settings).push(events) if isinstance(e, Beat)])
    assert not ((found >= 20 * FS) & (found < 20 * FS + gap)).any()
    alone = peaks(settings, x)
    behind = found[found > 22 * FS + gap] - gap
    assert detection(alone[alone > 22 * FS], behind, FS).f1 > 0.98


@pytest.mark.parametrize("fs", [100, 125, 250, 500, 1000])
def test_any_sampling_rate(settings, fs):
    """Real ECG at another rate, brought to 360 Hz by the resampler that runs live."""
    x = demo(120.0).astype(np.float64)
    common = np.gcd(fs, FS)
    other = resample_poly(x, fs // common, FS // common)
    back = Resampler(float(fs), 1).push(other[None])[0]
    truth, found = peaks(settings, x), peaks(settings, back)
    end = len(back) - FS
    d = detection(truth[truth < end], found[found < end], FS)
    assert d.f1 > 0.99, d


@pytest.mark.parametrize("level", [0.0, 1.3])
def test_a_flat_line_has_no_beats(settings, level):
    assert len(peaks(settings, np.full(60 * FS, level))) == 0


def test_a_flat_line_after_beats_has_none_and_is_told(settings):
    out = Detector(settings).push(played(np.concatenate((demo(30.0), np.full(20 * FS, 0.1, np.float32)))))
    late = [e.sample for e in out if isinstance(e, Beat) and e.sample > 31.5 * FS]
    assert late == []
    last = [e for e in out if isinstance(e, Quality)][-1]
    assert (last.level, last.cause) == (Level.UNUSABLE, Cause.FLAT)


def test_saturation_is_told(settings):
    x = demo(20.0).copy()
    x[10 * FS : 14 * FS] = 10.0
    reports = [e for e in Detector(settings).push(played(x)) if isinstance(e, Quality)]
    assert any(e.cause in (Cause.SATURATED, Cause.FLAT) for e in reports if 12 * FS < e.sample < 14 * FS)
    assert reports[-1].level is Level.GOOD


def test_a_lead_that_comes_off_is_told(settings):
    """The demo recording has it: at 3:29 the amplifier creeps back from its limit."""
    reports = [e for e in Detector(settings).push(played(demo(30.0, 195.0))) if isinstance(e, Quality)]
    off = [e.sample / FS + 195 for e in reports if e.cause is Cause.LEAD_OFF]
    assert off
    assert 210 < off[0] < 212
    assert off[-1] < 215


def test_noise_is_told(settings, data_dir):
    noisy = read("nstdb/118e00", 0, settings).signal
    reports = [e for e in Detector(settings).push(played(noisy)) if isinstance(e, Quality)]
    # The first five minutes are clean, then noise comes and goes every two minutes.
    clean = np.mean([e.level is Level.GOOD for e in reports if e.sample < 300 * FS])
    worst = np.mean([e.level is Level.GOOD for e in reports if 310 * FS < e.sample < 415 * FS])
    assert clean > 0.98
    assert worst < 0.7


def test_a_gap_is_merged_time_goes_on_and_beats_come_back(settings):
    x = demo(60.0)
    events = with_gap(played(x, range(0, len(x), 100)), 20 * FS, 30 * FS)
    out = Detector(settings).push(events)
    gaps = [e for e in out if isinstance(e, Gap)]
    assert [(g.start, g.stop, g.cause) for g in gaps] == [(20 * FS, 30 * FS, "missing")]
    inside = [e for e in out if isinstance(e, Quality) and 20 * FS < e.sample <= 30 * FS]
    assert [e.sample for e in inside] == list(range(21 * FS, 30 * FS + 1, FS))
    assert {e.cause for e in inside} == {Cause.GAP}
    after = [e for e in out if isinstance(e, Beat) and e.sample > 30 * FS]
    assert after[0].after_gap
    assert not any(b.after_gap for b in after[1:])
    assert after[0].sample < 32 * FS


def test_a_jump_of_the_index_is_a_loss(settings):
    x = demo(20.0)
    core = Detector(settings)
    out = core.push([opened(), Samples(stream="p", seq=2, start=0, signal=x[None, :3600])])
    out += core.push([Samples(stream="p", seq=3, start=4000, signal=x[None, 4000:])])
    assert [(g.start, g.stop, g.cause) for g in out if isinstance(g, Gap)] == [(3600, 4000, "lost")]


def test_what_was_seen_is_not_seen_twice(settings):
    x = demo(20.0)
    core = Detector(settings)
    out = core.push([opened(), Samples(stream="p", seq=2, start=0, signal=x[None, :3600])])
    out += core.push([Samples(stream="p", seq=3, start=3000, signal=x[None, 3000:])])
    whole = Detector(settings).push(played(x))
    assert [b.sample for b in out if isinstance(b, Beat)] == [b.sample for b in whole if isinstance(b, Beat)]


def test_the_window_is_the_signal_around_the_peak(settings):
    for beat in beats_of(settings, demo(60.0))[2:]:
        assert beat.window.shape == (WINDOW,)
        assert WINDOW == BEFORE + 1 + AFTER
        assert beat.window[BEFORE] == pytest.approx(beat.amplitude, abs=1e-3)


def test_other_events_pass_and_unknown_ones_are_our_bug(settings):
    core = Detector(settings)
    out = core.push([opened(), Lost(stream="p", seq=2, sample=0), Closed(stream="p", seq=3, sample=0, reason="x")])
    assert [type(e) for e in out] == [Opened, Lost, Closed]
    with pytest.raises(TypeError, match="takes no Quality"):
        core.push([Quality(stream="p", seq=1, sample=1, level=Level.GOOD, cause=Cause.NONE, noise=0.0, silence=0)])


def test_rows_are_used_again(settings):
    core = Detector(settings)
    for k in range(50):
        core.push(played(demo(1.0), stream=f"p{k}"))
    assert len(core.state()["rows"]) == 0
    assert len(core.state()["free"]) == 4
