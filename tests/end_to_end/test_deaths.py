"""Killed at random instants, the whole of it among them: what was recorded is what an undisturbed run records."""

import json
import time

import numpy as np
import pytest
import wfdb

from bench.faults_daemon import Daemon
from bench.faults_kills import disturbed, undisturbed

WORDS = ["--source", "replay:mitdb/208", "--lead", "MLII", "--lead", "V1", "--duration", "180"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory, data_dir):
    folder = tmp_path_factory.mktemp("reference")
    return folder, undisturbed(folder, WORDS, "mitdb_208")


def test_the_record_is_whole(reference, data_dir):
    folder, kept = reference
    record = wfdb.rdrecord(str(folder / "records" / "mitdb_208"))
    assert (record.fs, record.sig_len, record.sig_name) == (360, 180 * 360, ["MLII", "V1"])
    source = wfdb.rdrecord(str(data_dir / "mitdb" / "208"), sampto=180 * 360)
    assert np.abs(record.p_signal - source.p_signal).max() < 0.0006  # mV: half a step of the record's 1 µV
    beats = wfdb.rdann(str(folder / "records" / "mitdb_208"), "ecgm")
    assert beats.sample.tolist() == [json.loads(line)["sample"] for line in kept.verdicts]
    raised = [alert for alert in map(json.loads, kept.alerts) if alert["state"] == "raised"]
    strips = sorted((folder / "records" / "strips").glob("*.hea"))
    assert len(strips) == len({(a["kind"], a["sample"]) for a in raised}) > 5
    strip = wfdb.rdrecord(str(strips[0].with_suffix("")))
    assert strip.sig_len <= 10 * 360
    assert json.loads(strips[0].with_suffix(".json").read_text())["stream"] == "mitdb/208"


@pytest.mark.timeout(240)
def test_deaths_change_nothing(reference, tmp_path):
    _, expected = reference
    names = ["classifier", "source", "supervisor", "detector", "recorder", "dashboard", "detector", "classifier"]

    def harm(daemon):
        daemon.killed_in_turn(names, len(expected.signal) // (len(names) + 2))
        return names

    outcome = disturbed(tmp_path, [*WORDS, "--speed", "20"], "mitdb_208", expected, harm)
    assert (outcome.lost, outcome.different, outcome.signal_equal) == (0, 0, True), outcome


def test_a_run_that_was_left_goes_on_where_it_was(reference, tmp_path):
    """Ctrl-C and the same command again; then a third time, over what is complete: refused."""
    _, expected = reference
    daemon = Daemon(tmp_path, [*WORDS, "--speed", "30"])
    daemon.start()
    until = time.monotonic() + 60
    growing = tmp_path / "records" / "mitdb_208.dat"
    while not (growing.exists() and growing.stat().st_size > 50_000) and time.monotonic() < until:
        time.sleep(0.02)
    assert daemon.process is not None
    daemon.process.send_signal(2)
    assert daemon.wait(20) == 130
    daemon.start()
    assert daemon.wait(60) == 0, daemon.errors
    from bench.faults_daemon import kept

    found = kept(tmp_path / "records", "mitdb_208")
    assert (found.verdicts, found.alerts, found.signal) == (expected.verdicts, expected.alerts, expected.signal)
    daemon.start()
    assert daemon.wait(60) == 1
    assert "is there already, and no state to go on from: choose another folder" in daemon.errors
