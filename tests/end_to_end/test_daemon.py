"""The whole way: ``ecg-monitor`` on real ECG, with listeners, at full speed and in real time."""

import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import psutil
import pytest
import wfdb
from daemons import cli

from monitor.events import Beat, Verdict
from monitor.link import Subscriber, ask_links, new_context, wait
from monitor.wire import alert_schema

WALL_CLOCK = ("published_time", "onset_time")


def without_clock(alert):
    return {key: value for key, value in alert.items() if key not in WALL_CLOCK}


def overhear(endpoint, settings, name):
    """Everything that one link of a daemon carries, from the first event on to the end."""
    context = new_context()
    links = ask_links(context, endpoint, 30.0)
    subscriber = Subscriber(context, links[name], settings.link, needed=False)
    events = []
    deadline = time.monotonic() + 60
    while not subscriber.finished and time.monotonic() < deadline:
        wait(subscriber.sockets, 0.05)
        events += subscriber.receive()
        subscriber.acknowledge()
    lost = subscriber.lost
    subscriber.close()
    context.term()
    return events, lost


@pytest.fixture(scope="module")
def annotated(tmp_path_factory, data_dir):
    folder = tmp_path_factory.mktemp("annotated")
    done = cli("annotate", "mitdb/208", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def offline_alerts(annotated):
    return [json.loads(line) for line in (annotated / "208.alarms.jsonl").read_text().splitlines()]


def test_at_full_speed_a_listener_hears_what_the_record_is_known_for(
    start, listen, settings, offline_alerts, annotated, tmp_path
):
    """208 has couplets and, twice by its annotations, three cycles of bigeminy. What is published live is what
    ``annotate`` writes: the very beats and alerts."""
    own = tmp_path / "own.toml"
    own.write_text("alarms.latching = []  # offline nobody is there to acknowledge, and nothing latches")
    daemon = start("--source", "replay:mitdb/208", "--speed", "max", "--headless", "--config", str(own))
    heard = listen(daemon.endpoint)
    events, lost = overhear(daemon.endpoint, settings, "classifier")
    assert daemon.wait() == 0, daemon.err.read_text()
    assert lost == 0
    daemon.until(lambda: len(heard()) >= len(offline_alerts), "all alerts heard")

    alerts = heard()
    raised = [a["kind"] for a in alerts if a["state"] == "raised"]
    assert raised.count("couplet") >= 20
    assert raised.count("bigeminy") >= 2
    for alert in alerts:
        jsonschema.validate(alert, alert_schema())
        assert alert["published_time"] is not None

    assert [without_clock(a) for a in alerts] == [without_clock(a) for a in offline_alerts]
    beats = wfdb.rdann(str(annotated / "208"), "ecgm")
    verdicts = [event for event in events if isinstance(event, Verdict)]
    assert [v.sample for v in verdicts] == beats.sample.tolist()
    assert [v.label.value for v in verdicts] == beats.symbol
    assert "alerts" in daemon.said
    assert "lost     nothing" in daemon.said


def test_annotate_writes_what_wfdb_reads(annotated, data_dir):
    reference = wfdb.rdann(str(data_dir / "mitdb" / "208"), "atr")
    found = wfdb.rdann(str(annotated / "208"), "ecgm")
    assert set(found.symbol) <= set("NSVFQ")
    assert abs(len(found.sample) - sum(s in "NVFSQ" for s in reference.symbol)) < 60


def test_several_patients_in_real_time_and_ctrl_c(start, settings):
    daemon = start("--source", "replay:demo", "--source", "replay:mitdb/119", "--source", "replay:demo", "--headless")
    context = new_context()
    daemon.until(lambda: daemon.said.count("opened") == 3, "three streams")
    links = ask_links(context, daemon.endpoint, 10.0)
    subscriber = Subscriber(context, links["detector"], settings.link, needed=False)
    streams, deadline = set(), time.monotonic() + 30
    while len(streams) < 3 and time.monotonic() < deadline:
        wait(subscriber.sockets, 0.05)
        streams |= {event.stream for event in subscriber.receive() if isinstance(event, Beat)}
    subscriber.close()
    context.term()
    assert streams == {"demo", "demo#2", "mitdb/119"}
    children = daemon.children()
    assert set(children) == {"source", "detector", "classifier", "dashboard"}
    assert daemon.interrupt() < 1.0
    assert daemon.process.returncode == 130
    assert not any(child.is_running() for child in children.values())
    assert list(daemon.out.parent.glob("ecg-monitor-*")) == []


def test_a_second_dashboard_attaches_and_leaves(start):
    daemon = start("--source", "replay:demo", "--headless", "--loop")
    daemon.up()
    out = daemon.out.parent / "second.txt"
    with out.open("wb") as file:
        watching = subprocess.Popen(
            [sys.executable, "-m", "monitor", "watch", daemon.endpoint, "--headless"], stdout=file
        )
    try:
        daemon.until(lambda: "demo: opened" in out.read_text() and "stage classifier is up" in out.read_text(), "watch")
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 130
    assert daemon.process.poll() is None


@pytest.mark.parametrize("stage", ["detector", "classifier", "dashboard"])
def test_a_stage_that_is_killed_comes_back(start, stage):
    daemon = start("--source", "replay:demo", "--headless", "--speed", "4")
    daemon.up()
    before = daemon.children()[stage]
    before.kill()

    def again():
        child = daemon.children().get(stage)  # looked at once: it comes and goes
        return child is not None and child.pid != before.pid

    daemon.until(again, f"{stage} again")
    size = len(daemon.said)
    daemon.until(lambda: "heart rate" in daemon.said[size:], "signal again")
    daemon.interrupt()


def test_nothing_is_left_when_the_supervisor_is_killed(start):
    daemon = start("--source", "replay:demo", "--headless")
    daemon.up()
    children = list(daemon.children().values())
    assert len(children) == 4
    daemon.process.kill()
    daemon.wait()
    _, alive = psutil.wait_procs(children, timeout=3)
    assert alive == []


def test_sigterm_ends_it_in_order(start):
    daemon = start("--source", "replay:demo", "--headless")
    daemon.up()
    os.kill(daemon.process.pid, signal.SIGTERM)
    assert daemon.wait() == 128 + signal.SIGTERM


def test_duration_and_start_are_kept_to(start):
    daemon = start("--source", "replay:demo", "--speed", "max", "--headless", "--start", "60", "--duration", "30")
    assert daemon.wait() == 0
    assert "demo: 0:00:30 of signal" in daemon.said


def test_an_alert_is_acknowledged_and_silence_is_told(start, listen, settings):
    """From the command line to the alert socket; what is asked wrongly is one line."""
    daemon = start("--source", "replay:demo", "--headless", "--loop", "--speed", "8")
    heard = listen(daemon.endpoint)
    daemon.until(lambda: any(a["kind"] == "pvc_rate" and a["state"] == "raised" for a in heard()), "an alert")
    alert = next(a for a in heard() if a["kind"] == "pvc_rate" and a["state"] == "raised")
    done = cli("ack", "demo", "--endpoint", daemon.endpoint)
    assert (done.returncode, done.stdout) == (0, "acknowledged: demo\n"), done.stderr
    daemon.until(
        lambda: any(a["id"] == alert["id"] and a["state"] in ("acknowledged", "ended") for a in heard()), "answered"
    )
    assert cli("silence", "--endpoint", daemon.endpoint).stdout == "silenced: demo\n"
    assert cli("disable", "couplet", "demo", "--endpoint", daemon.endpoint).returncode == 0
    for words, line in (
        (("ack", "nobody"), "no such stream: nobody"),
        (("disable", "hiccup"), "no such kind of alert: hiccup"),
        (("silence", "--seconds", "9999"), "silence for 9999 s: 0 to 600 s can be had"),
    ):
        wrong = cli(*words, "--endpoint", daemon.endpoint)
        assert (wrong.returncode, wrong.stderr) == (1, f"ecg-monitor: {line}\n")
    daemon.interrupt()
