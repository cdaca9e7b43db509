"""What Prometheus is told: real HTTP, its own parser."""

import socket
import sys
import urllib.request

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from streams import ALERT

from monitor import metrics
from monitor.errors import UserError
from monitor.events import AlertState, Status
from monitor.link import free_port
from monitor.metrics import Ledger

REPORT = Status(stage="detector", pid=1, time=0.0, uptime=12.5, events_in=10, events_out=20, samples=3600, streams=2,
                lost=3, repaired=4, rejected=5, busy=0.25, detail="")  # fmt: skip


@pytest.fixture
def here(settings):
    return msgspec.structs.replace(settings.metrics, port=free_port())


def got(settings):
    """By name and labels' values, over HTTP."""
    with urllib.request.urlopen(f"http://{settings.host}:{settings.port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode()
    families = list(text_string_to_metric_families(text))
    for family in families:
        assert family.documentation.endswith("."), f"{family.name} has no HELP"
        assert family.type in ("gauge", "counter")
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_what_is_asked_for_over_http(here):
    now = [100.0]
    ledger = Ledger(2.0, lambda: now[0])
    close = metrics.serve(ledger, here)
    try:
        assert got(here) == {}
        ledger.report(REPORT)
        ledger.report(msgspec.structs.replace(REPORT, stage="recorder", trouble="cannot record", lost=0))
        for state in (AlertState.RAISED, AlertState.UPDATED, AlertState.ENDED, AlertState.RAISED):
            ledger.alert(msgspec.structs.replace(ALERT, state=state))
        found = got(here)
        expected = {
            "stage_up": 1, "stage_trouble": 0, "stage_restarts_total": 0, "stage_busy_ratio": 0.25,
            "stage_uptime_seconds": 12.5, "streams": 2, "events_in_total": 10, "events_out_total": 20,
            "samples_total": 3600, "events_lost_total": 3, "events_repaired_total": 4, "frames_rejected_total": 5,
        }  # fmt: skip
        of_detector = {name: value for (name, *labels), value in found.items() if labels == ["detector"]}
        assert of_detector == {f"ecg_monitor_{name}": value for name, value in expected.items()}
        assert found["ecg_monitor_stage_trouble", "recorder"] == 1
        assert found["ecg_monitor_alerts_total", "vt", "high"] == 2
        assert len(found) == 2 * len(expected) + 1

        now[0] += 1.0
        ledger.report(msgspec.structs.replace(REPORT, pid=2, events_in=1))
        now[0] += 1.5
        found = got(here)
        assert (found["ecg_monitor_stage_up", "detector"], found["ecg_monitor_stage_up", "recorder"]) == (1, 0)
        assert found["ecg_monitor_stage_restarts_total", "detector"] == 1
        assert found["ecg_monitor_events_in_total", "detector"] == 1
    finally:
        close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "*", "example.org"])
def test_others_cannot_ask(settings, host):
    with pytest.raises(UserError, match=r"^\[metrics\] host .*others could read there") as error:
        metrics.serve(Ledger(2.0), msgspec.structs.replace(settings.metrics, host=host, port=9))
    assert "\n" not in str(error.value)


def test_a_port_in_use_is_one_line(here):
    line = rf"^\[metrics\] 127.0.0.1:{here.port}: Address already in use$"
    with socket.create_server((here.host, here.port)), pytest.raises(UserError, match=line):
        metrics.serve(Ledger(2.0), here)


def test_a_library_that_is_missing_is_one_line(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UserError, match=r"pip install 'ecg-monitor\[metrics\]'$"):
        metrics.serve(Ledger(2.0), here)


def test_it_is_off_by_default(settings):
    assert settings.metrics.port == 0
    assert settings.metrics.host == "127.0.0.1"
