"""WFDB records: every format, lead, unit and damage that a person may come with."""

import datetime

import numpy as np
import pytest
import wfdb

from monitor.errors import UserError
from replay.records import Record

RNG = np.random.default_rng(0)


def write(folder, name="rec", *, fmt="16", fs=250, n=1000, leads=2, gain=200.0, **more):
    """A record of counts in the middle of the format's range; the counts, [sample, lead]."""
    counts = RNG.integers(-100, 100, size=(n, leads))
    wfdb.wrsamp(
        name,
        fs=fs,
        units=["mV"] * leads,
        sig_name=[f"L{i}" for i in range(leads)],
        d_signal=counts,
        fmt=[fmt] * leads,
        adc_gain=[gain] * leads,
        baseline=[0] * leads,
        write_dir=str(folder),
        **more,
    )
    return counts


def edit(folder, old, new, name="rec"):
    hea = folder / f"{name}.hea"
    text = hea.read_text()
    assert old in text
    hea.write_text(text.replace(old, new), "utf-8")


def whole(record, block=137):
    return np.concatenate(list(record.blocks(block)), axis=1)


@pytest.mark.parametrize("fmt", ["80", "212", "16", "24", "32", "516", "524"])
@pytest.mark.parametrize("leads", [1, 2, 3])
def test_formats_read_the_same_in_any_block(tmp_path, fmt, leads):
    counts = write(tmp_path, fmt=fmt, leads=leads, n=601)
    record = Record(tmp_path / "rec", tuple(str(i) for i in range(leads)))
    assert (record.fs, record.length, record.start_time) == (250, 601, None)
    for block in (61, 137, 5000):
        np.testing.assert_array_equal(whole(record, block), counts.T / 200)


@pytest.mark.parametrize("fmt", ["310", "311"])
def test_ten_bit_formats(tmp_path, fmt):
    # wfdb reads but does not write these: three samples in four bytes, packed by hand as signal(5) says.
    counts = RNG.integers(-512, 511, size=300)
    counts[counts == -512] = 0
    a, b, c = (counts[i::3] & 0x3FF for i in range(3))
    packed = {
        "310": (a << 1) | (b << 17) | ((c & 0x1F) << 11) | ((c >> 5) << 27),
        "311": a | (b << 10) | (c << 20),
    }
    (tmp_path / "rec.dat").write_bytes(packed[fmt].astype("<u4").tobytes())
    (tmp_path / "rec.hea").write_text(f"rec 1 250 300\nrec.dat {fmt} 100 10 0 0 0 0 I\n")
    for block in (7, 100, 300):
        np.testing.assert_array_equal(whole(Record(tmp_path / "rec"), block)[0], counts / 100)


def test_differences_are_summed_from_the_start(tmp_path):
    steps = RNG.integers(-5, 6, size=500).astype("i1")
    (tmp_path / "rec.dat").write_bytes(steps.tobytes())
    (tmp_path / "rec.hea").write_text("rec 1 250 500\nrec.dat 8 200 12 0 40 0 0 I\n")
    np.testing.assert_array_equal(whole(Record(tmp_path / "rec"), 60)[0], (40 + np.cumsum(steps)) / 200)


def test_twelve_leads_in_the_order_wanted(tmp_path):
    counts = write(tmp_path, leads=12)
    record = Record(tmp_path / "rec.hea", ("L11", "l3", "0"))
    assert record.leads == ("L11", "L3", "L0")
    np.testing.assert_array_equal(whole(record), counts.T[[11, 3, 0]] / 200)


def test_the_first_lead_where_none_is_wanted(tmp_path):
    write(tmp_path, leads=3)
    assert Record(tmp_path / "rec.dat").leads == ("L0",)


@pytest.mark.parametrize(("unit", "mv"), [("mV", 1), ("uV", 1e-3), ("µV", 1e-3), ("μV", 1e-3), ("V", 1e3), ("", 1)])
def test_units_become_millivolts(tmp_path, unit, mv):
    counts = write(tmp_path, leads=1)
    edit(tmp_path, "/mV", f"/{unit}" if unit else "")
    np.testing.assert_array_equal(whole(Record(tmp_path / "rec"))[0], counts[:, 0] / 200 * mv)


def test_a_unit_that_is_no_voltage_matters_only_where_it_is_chosen(tmp_path):
    write(tmp_path)
    text = (tmp_path / "rec.hea").read_text().splitlines()
    text[2] = text[2].replace("/mV", "/mmHg")
    (tmp_path / "rec.hea").write_text("\n".join(text) + "\n")
    assert Record(tmp_path / "rec").leads == ("L0",)
    with pytest.raises(UserError, match=r"rec.hea: lead L1 is in mmHg, not in mV, uV or V"):
        Record(tmp_path / "rec", ("0", "L1"))


def test_a_gain_of_zero_is_the_default_of_the_format(tmp_path):
    counts = write(tmp_path, leads=1)
    edit(tmp_path, "200.0(0)/mV", "0")
    np.testing.assert_array_equal(whole(Record(tmp_path / "rec"))[0], counts[:, 0] / 200)


def test_missing_samples_are_nan(tmp_path):
    signal = RNG.normal(size=(500, 2))
    signal[100:120, 0] = np.nan
    wfdb.wrsamp("rec", 250, ["mV"] * 2, ["I", "II"], p_signal=signal, fmt=["16"] * 2, write_dir=str(tmp_path))
    read = whole(Record(tmp_path / "rec", ("I", "II")))
    np.testing.assert_array_equal(np.isnan(read), np.isnan(signal.T))


def test_the_time_of_day_is_read_as_utc(tmp_path):
    began = datetime.datetime(2021, 3, 4, 5, 6, 7)
    write(tmp_path, base_datetime=began)
    assert Record(tmp_path / "rec").start_time == began.replace(tzinfo=datetime.UTC).timestamp()


def test_a_length_that_the_header_omits_is_the_files(tmp_path):
    counts = write(tmp_path, leads=1)
    edit(tmp_path, "rec 1 250 1000", "rec 1 250")
    record = Record(tmp_path / "rec")
    assert record.length == 1000
    np.testing.assert_array_equal(whole(record)[0], counts[:, 0] / 200)


def test_an_empty_record_is_read(tmp_path):
    (tmp_path / "rec.dat").write_bytes(b"")
    (tmp_path / "rec.hea").write_text("rec 1 250 0\nrec.dat 16 200 12 0 0 0 0 I\n")
    assert Record(tmp_path / "rec").length == 0


def frames(folder):
    """Two samples of lead A and one of lead B in each frame, 125 frames a second."""
    fast, slow = RNG.integers(-99, 99, 400), RNG.integers(-99, 99, 200)
    wfdb.wrsamp(
        "rec",
        fs=125,
        units=["mV"] * 2,
        sig_name=["A", "B"],
        e_d_signal=[fast, slow],
        samps_per_frame=[2, 1],
        fmt=["16"] * 2,
        adc_gain=[200.0] * 2,
        baseline=[0] * 2,
        write_dir=str(folder),
    )
    return fast, slow


def test_each_lead_has_its_own_rate(tmp_path):
    fast, slow = frames(tmp_path)
    for lead, fs, counts in (("A", 250, fast), ("B", 125, slow)):
        record = Record(tmp_path / "rec", (lead,))
        assert (record.fs, record.length) == (fs, len(counts))
        for block in (7, 100):
            np.testing.assert_array_equal(whole(record, block)[0], counts / 200)


def test_leads_of_different_rates_are_not_mixed(tmp_path):
    frames(tmp_path)
    with pytest.raises(UserError, match="A, B have different sampling rates; choose one"):
        Record(tmp_path / "rec", ("A", "B"))


def test_segments_read_as_one(tmp_path):
    parts = [write(tmp_path, f"s{i}", n=n) for i, n in enumerate((300, 1, 450))]
    (tmp_path / "rec.hea").write_text("rec/3 2 250 751\ns0 300\ns1 1\ns2 450\n")
    record = Record(tmp_path / "rec", ("L1", "L0"))
    np.testing.assert_array_equal(whole(record, 99), np.concatenate(parts).T[::-1] / 200)


def test_a_layout_with_holes_leaves_samples_missing(tmp_path):
    first, last = write(tmp_path, "s0", n=300), write(tmp_path, "s1", n=100, leads=1, gain=100.0)
    (tmp_path / "rec_layout.hea").write_text("rec_layout 2 250 0\n~ 0 200 12 0 0 0 0 L0\n~ 0 200 12 0 0 0 0 L1\n")
    (tmp_path / "rec.hea").write_text("rec/4 2 250 450\nrec_layout 0\ns0 300\n~ 50\ns1 100\n")
    read = whole(Record(tmp_path / "rec", ("L1", "L0")), 77)
    np.testing.assert_array_equal(read[:, :300], first.T[::-1] / 200)
    assert np.isnan(read[:, 300:350]).all()
    assert np.isnan(read[0, 350:]).all()
    np.testing.assert_array_equal(read[1, 350:], last[:, 0] / 100)


def truncate(folder):
    dat = folder / "rec.dat"
    dat.write_bytes(dat.read_bytes()[:-5])


BAD = {
    "no record": (lambda f: (f / "rec.hea").unlink(), "rec: no such record, there is no .*rec.hea; write replay:"),
    "garbage": (lambda f: (f / "rec.hea").write_bytes(bytes(range(128, 256)) * 9), "rec.hea: not a WFDB header"),
    "empty": (lambda f: (f / "rec.hea").write_bytes(b""), "rec.hea: not a WFDB header"),
    "prose": (lambda f: (f / "rec.hea").write_text("Dear reader,\nthis is no header.\n"), "rec.hea: not a WFDB header"),
    "bad signal": (lambda f: edit(f, "rec.dat 16", "rec.dat sixteen"), "rec.hea: not a WFDB header"),
    "no dat": (lambda f: (f / "rec.dat").unlink(), "rec.dat: not there, but .*rec.hea names it"),
    "short": (truncate, "rec.dat: cut short: it holds 998 of the 1000 samples .* fetch the record again"),
    "too long": (lambda f: edit(f, "250 1000", "250 1001"), "rec.dat: cut short: it holds 1000 of the 1001"),
    "length 0": (lambda f: edit(f, "250 1000", "250 0"), "rec.hea: says 0 samples, but .*rec.dat holds 1000"),
    "more signals": (lambda f: edit(f, "rec 2", "rec 3"), "rec.hea: says 3 signals but describes 2"),
    "fewer signals": (lambda f: edit(f, "rec 2", "rec 1"), "rec.hea: says 1 signals but describes 2"),
    "no signals": (lambda f: (f / "rec.hea").write_text("rec 0 250 0\n"), "rec.hea: has no signals"),
    "fs 0": (lambda f: edit(f, "2 250", "2 0"), "rec.hea: a sampling rate of 0 Hz; write the true one"),
    "fs < 0": (lambda f: edit(f, "2 250", "2 -250"), "rec.hea: a sampling rate of -250 Hz"),
    "fs nan": (lambda f: edit(f, "2 250", "2 nan"), "rec.hea: a sampling rate of nan Hz"),
    "fs no number": (lambda f: edit(f, "2 250", "2 fast"), "rec.hea: not a WFDB header: .*fast"),
    "fs small": (lambda f: edit(f, "2 250", "2 49"), "rec.hea: a sampling rate of 49 Hz; an ECG has 50 to 10000 Hz"),
    "fs large": (lambda f: edit(f, "2 250", "2 12000"), "rec.hea: a sampling rate of 12000 Hz; an ECG has"),
    "unit": (lambda f: edit(f, "/mV", "/adu"), "rec.hea: lead L0 is in adu, not in mV, uV or V"),
    "format": (lambda f: edit(f, "rec.dat 16", "rec.dat 17"), "rec.hea: unknown signal format 17; known are 8, 80, 16"),
    "directory": (lambda f: [(f / "rec.hea").unlink(), (f / "rec.hea").mkdir()], "rec.hea: cannot be read: Is a dir"),
    "segment": (lambda f: (f / "rec.hea").write_text("rec/1 2 250 9\nsegm 9\n"), "segm: no such record"),
    "segments": (lambda f: (f / "rec.hea").write_text("rec/2 2 250 9\nsegm 9\n"), "says 2 segments but lists 1"),
    "date": (lambda f: edit(f, "250 1000", "250 1000 12:00:00 45/13/2020"), "rec.hea: not a WFDB header"),
}


@pytest.mark.parametrize("what", BAD)
def test_damage_is_told_in_one_line(tmp_path, what):
    damage, line = BAD[what]
    write(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=line) as told:
        Record(tmp_path / "rec")
    assert "\n" not in str(told.value)


def test_flac_that_is_none_is_told(tmp_path):
    write(tmp_path, fmt="516")
    (tmp_path / "rec.dat").write_bytes(b"fLaC" + bytes(200))
    with pytest.raises(UserError, match="rec: its signals cannot be read"):
        Record(tmp_path / "rec")


def test_segments_that_do_not_fit_are_told(tmp_path):
    write(tmp_path, "s0", n=300)
    write(tmp_path, "s1", n=300, fs=500)
    write(tmp_path, "s2", n=300, leads=1)
    for lines, line in (
        ("rec/2 2 250 600\ns0 300\ns1 300\n", "s1.hea: 500 Hz, but .*rec.hea says 250 Hz"),
        ("rec/1 2 250 299\ns0 299\n", "s0.hea: has another length than the 299"),
        ("rec/2 2 250 600\ns0 300\ns2 300\n", "s2.hea: fewer leads"),
        ("rec/2 2 250 600\n~ 300\ns0 300\n", "its first segment holds nothing"),
    ):
        (tmp_path / "rec.hea").write_text(lines)
        with pytest.raises(UserError, match=line):
            Record(tmp_path / "rec", ("L1",))


@pytest.mark.parametrize("lead", ["V9", "2", "-1", "١"])
def test_an_unknown_lead_lists_those_there_are(tmp_path, lead):
    write(tmp_path)
    with pytest.raises(UserError, match=rf"no lead {lead}; there are L0, L1 \(or 0 to 1\)"):
        Record(tmp_path / "rec", (lead,))


def test_a_lead_twice_is_told(tmp_path):
    write(tmp_path)
    with pytest.raises(UserError, match="lead 0 is wanted twice"):
        Record(tmp_path / "rec", ("L0", "0"))


def test_reading_past_the_end_is_our_own_bug(tmp_path):
    write(tmp_path)
    with pytest.raises(ValueError, match="of 1000"):
        Record(tmp_path / "rec").read(0, 1001)


@pytest.mark.parametrize(
    ("name", "fs"),
    [
        ("mitdb/208", 360),
        ("svdb/820", 128),
        ("vfdb/418", 250),
        ("challenge2015/a103l", 250),
        ("challenge2017/A00001", 300),
    ],
)
def test_real_recordings_read_as_wfdb_reads_them(data_dir, name, fs):
    record = Record(data_dir / name)
    assert record.fs == fs
    expected = wfdb.rdrecord(str(data_dir / name), channels=[0], sampto=7000).p_signal.T
    np.testing.assert_array_equal(np.concatenate([record.read(0, 3333), record.read(3333, 7000)], axis=1), expected)
