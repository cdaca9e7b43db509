"""Fibrillation and tachycardia seen in samples."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy import signal as dsp
from streams import demo, played

from monitor import filters, rhythm, rhythm_measures
from monitor.detector import Detector
from monitor.errors import UserError
from monitor.events import FS, Rhythm, Samples


def reports(signal, settings, network=None):
    """The Rhythm events of a whole signal."""
    return [e for e in Detector(settings, rhythms=network).push(played(signal)) if isinstance(e, Rhythm)]


def fibrillation(seconds=20.0, seed=0):
    """A wave of 5 Hz whose frequency and amplitude wander."""
    rng = np.random.default_rng(seed)
    n = round(seconds * FS)
    slow = dsp.sosfiltfilt(filters.lowpass(0.8, FS), rng.normal(0.0, 1.0, (2, n)))
    slow /= slow.std(axis=1, keepdims=True)
    phase = 2 * np.pi * np.cumsum(5.0 + 0.6 * slow[0]) / FS
    return ((0.5 + 0.15 * slow[1]) * np.sin(phase) + rng.normal(0.0, 0.01, n)).astype(np.float32)


def test_a_report_a_second_from_the_fourth_on(settings):
    found = reports(demo(20.0), settings)
    assert [e.sample for e in found] == [FS * k for k in range(4, 21)]


def test_a_patient_with_ectopic_beats_has_no_fibrillation(settings):
    for report in reports(demo(), settings):
        assert report.vf < 0.5
        assert report.vt + report.vf < 0.75


def test_fibrillation_is_seen(settings):
    for seed in range(3):
        found = reports(fibrillation(seed=seed), settings)
        assert np.mean([e.vt + e.vf for e in found]) > 0.8


def test_it_is_not_seen_in_noise(settings):
    rng = np.random.default_rng(1)
    for scale in (0.003, 0.1, 1.0):
        found = reports(rng.normal(0.0, scale, 20 * FS).astype(np.float32), settings)
        assert np.mean([e.vt + e.vf for e in found]) < 0.2, scale


def test_a_flat_line_is_nothing(settings):
    for report in reports(np.zeros(20 * FS, np.float32), settings):
        assert report.amplitude == 0.0
        assert report.vt + report.vf < 0.5


def test_the_amplitude_is_peak_to_peak_in_the_quietest_second(settings):
    wave = 0.4 * np.sin(2 * np.pi * 5.0 * np.arange(20 * FS) / FS)
    for report in reports(wave.astype(np.float32), settings)[4:]:
        assert report.amplitude == pytest.approx(0.8, rel=0.05)


def test_no_measure_but_the_amplitude_knows_a_voltage():
    tables = rhythm_measures.tables()
    wave = np.ascontiguousarray(demo(4.0)[: 4 * FS].reshape(-1, rhythm_measures.POOL).mean(1), dtype=np.float64)
    wave -= wave.mean()
    one, ten = np.zeros(rhythm_measures.INPUTS, np.float32), np.zeros(rhythm_measures.INPUTS, np.float32)
    a = rhythm_measures.describe(wave, wave, tables, one)
    b = rhythm_measures.describe(10.0 * wave, 10.0 * wave, tables, ten)
    assert b == pytest.approx(10 * a)
    assert ten[0] == pytest.approx(one[0] + 1.0, abs=1e-5)
    np.testing.assert_allclose(ten[1:], one[1:], rtol=1e-4, atol=1e-5)


def test_the_measures_of_a_sine():
    tables = rhythm_measures.tables()
    wave = np.sin(2 * np.pi * 5.0 * np.arange(rhythm_measures.WINDOW) / rhythm_measures.RATE)
    out = np.zeros(rhythm_measures.INPUTS, np.float32)
    rhythm_measures.describe(wave, wave, tables, out)
    value = dict(zip(rhythm_measures.MEASURES, out.tolist(), strict=True))
    assert value["rms"] == pytest.approx(np.log10(np.sqrt(0.5)), abs=1e-3)
    assert value["leakage"] < 0.02
    assert value["crossings"] == pytest.approx(5.0, abs=0.3)
    assert value["crossing_irregularity"] < 0.05
    assert value["dominant"] == 5.0
    assert value["autocorrelation"] == pytest.approx(1.0, abs=0.01)
    assert value["autocorrelation_lag"] % 0.2 == pytest.approx(0.0, abs=0.012)
    assert value["around_dominant"] > 0.99


def test_the_pooled_signal_equals_scipy(settings):
    """The band-passed ring against ``sosfilt`` on averages of four."""
    tables = rhythm_measures.tables()
    x = demo(2.0).astype(np.float64)
    state = np.zeros(1, rhythm.STATE)
    rhythm.reset(state[0])
    rhythm.fold(state[0], tables, x, (1 << 30) - 1, 0, len(x) - 1)
    pooled = x.reshape(-1, rhythm_measures.POOL).mean(1)
    np.testing.assert_allclose(state[0]["pooled"][: len(pooled)], pooled, atol=1e-12)
    np.testing.assert_allclose(state[0]["banded"][: len(pooled)], dsp.sosfilt(tables.band, pooled), atol=1e-12)


def test_nothing_is_told_until_four_seconds_after_a_gap_but_a_short_one_is_passed_over(settings):
    x = demo(40.0)
    for length, quiet in ((round(0.1 * FS), False), (2 * FS, True)):
        core = Detector(settings)
        events = played(x[: 15 * FS])[:-1]
        core.push(events)
        at = 15 * FS + length
        out = core.push([Samples(stream="p", seq=9, start=at, signal=x[None, at : at + 8 * FS])])
        found = [e.sample for e in out if isinstance(e, Rhythm)]
        assert (min(found) - at >= 4 * FS) == quiet


def test_real_fibrillation_is_seen_within_five_seconds(settings, data_dir):
    """The first onset of a recording that was learnt from: guards the chain, not the accuracy."""
    import wfdb

    record = wfdb.rdrecord(str(data_dir / "cudb" / "cu01"), sampfrom=204 * 250, sampto=230 * 250)
    x = dsp.resample_poly(record.p_signal[:, 0], 36, 25).astype(np.float32)
    found = {e.sample // FS: e.vt + e.vf for e in reports(x, settings)}
    assert max(found[s] for s in range(4, 10)) < 0.5
    assert min(found[s] for s in range(15, 26)) > 0.7


@pytest.mark.parametrize("damage", ["missing", "shape", "contract", "nan", "text"])
def test_weights_that_do_not_fit_are_refused(tmp_path, damage):
    tensors = load_file(rhythm.SHIPPED)
    path = tmp_path / "w.safetensors"
    origin = '{"contract": "%s"}' % ("other" if damage == "contract" else rhythm.contract())
    if damage == "missing":
        del tensors["w2"]
    if damage == "shape":
        tensors["b1"] = np.zeros(3, np.float32)
    if damage == "nan":
        tensors["w1"][0, 0] = np.nan
    save_file(tensors, path, metadata={"origin": origin})
    if damage == "text":
        path.write_text("no weights")
    with pytest.raises(UserError, match=r"w\.safetensors"):
        rhythm.load(path)
