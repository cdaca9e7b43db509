"""Prometheus: what the stages say of themselves, and how many alerts there were, at http://HOST:PORT/metrics.

A stage of its own, that nobody waits for and nobody needs: it hears the reports on the links and the alert socket. HTTP
is not encrypted and asks nobody who they are, so it is served on loopback alone; a proxy may do the rest.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from monitor.config import MetricsSettings, Settings
from monitor.errors import UserError
from monitor.events import Alert, AlertState, Status
from monitor.link import AlertListener, ReportListener, alert_endpoint, new_context, on_loopback, wait
from monitor.stage import Lifeline

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

_IDLE_S = 0.5
"""s; the loop gives a sign of life this often."""

_COUNTERS = (
    ("events_in", "ecg_monitor_events_in", "Events that the stage has taken in since it started."),
    ("events_out", "ecg_monitor_events_out", "Events that the stage has given out since it started."),
    ("samples", "ecg_monitor_samples", "Samples at 360 Hz that the stage has handled since it started, all streams."),
    ("lost", "ecg_monitor_events_lost", "Events lost on the way to the stage, beyond repair."),
    ("repaired", "ecg_monitor_events_repaired", "Events fetched again from the history of the stage before."),
    ("rejected", "ecg_monitor_frames_rejected", "Frames and requests that the stage has refused."),
)
_GAUGES = (
    ("streams", "ecg_monitor_streams", "Streams (patients) that are open at the stage."),
    ("busy", "ecg_monitor_stage_busy_ratio", "Share of the time since the last report spent working, 0 to 1."),
    ("uptime", "ecg_monitor_stage_uptime_seconds", "Time since the stage's process began its work."),
)


class Ledger:
    """What is known of the stages and the alerts; filled by one thread, read by another.

    Args:
        dead_s: age of a stage's last report from which the stage is held for down, s.
        clock: monotonic, s.
    """

    def __init__(self, dead_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._dead_s = dead_s
        self._clock = clock
        self._lock = threading.Lock()
        self._stages: dict[str, tuple[Status, float]] = {}
        self._restarts: dict[str, int] = {}
        self._alerts: dict[tuple[str, str], int] = {}

    def report(self, status: Status) -> None:
        with self._lock:
            former = self._stages.get(status.stage)
            known = self._restarts.get(status.stage, 0)
            self._restarts[status.stage] = known + (former is not None and former[0].pid != status.pid)
            self._stages[status.stage] = (status, self._clock())

    def alert(self, alert: Alert) -> None:
        if alert.state is AlertState.RAISED:
            key = (alert.kind, alert.priority.value)
            with self._lock:
                self._alerts[key] = self._alerts.get(key, 0) + 1

    def collect(self) -> "Iterator[Metric]":
        """All metrics as they are now; what ``prometheus_client`` asks of a collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        with self._lock:
            stages, restarts, alerts = dict(self._stages), dict(self._restarts), dict(self._alerts)
        now = self._clock()
        up = GaugeMetricFamily("ecg_monitor_stage_up", "Whether the stage reported lately: 1 or 0.", labels=["stage"])
        trouble = GaugeMetricFamily(
            "ecg_monitor_stage_trouble",
            "Whether the stage cannot do something at present (record, write checkpoints): 1 or 0.",
            labels=["stage"],
        )
        again = CounterMetricFamily(
            "ecg_monitor_stage_restarts",
            "Times that another process took the stage's place since the metrics began.",
            labels=["stage"],
        )
        for name, (status, heard) in stages.items():
            up.add_metric([name], float(now - heard < self._dead_s))
            trouble.add_metric([name], float(bool(status.trouble)))
            again.add_metric([name], restarts[name])
        yield from (up, trouble, again)
        for field, metric, words in _GAUGES:
            gauge = GaugeMetricFamily(metric, words, labels=["stage"])
            for name, (status, _) in stages.items():
                gauge.add_metric([name], getattr(status, field))
            yield gauge
        for field, metric, words in _COUNTERS:
            counter = CounterMetricFamily(metric, words, labels=["stage"])
            for name, (status, _) in stages.items():
                counter.add_metric([name], getattr(status, field))
            yield counter
        raised = CounterMetricFamily("ecg_monitor_alerts", "Alerts raised.", labels=["kind", "priority"])
        for (kind, priority), count in alerts.items():
            raised.add_metric([kind, priority], count)
        yield raised


def registry_of(ledger: Ledger) -> "CollectorRegistry":
    """A registry with these metrics alone."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(ledger)
    return registry


def serve(ledger: Ledger, settings: MetricsSettings) -> Callable[[], None]:
    """Answers HTTP requests in a thread; the function returned ends that.

    Raises:
        UserError: the library is missing, the address is not this machine's alone, or cannot be had.
    """
    if not on_loopback(f"tcp://{settings.host}:{settings.port}"):
        raise UserError(
            f"[metrics] host {settings.host}: others could read there, and nothing would be encrypted; "
            "write 127.0.0.1, and let a proxy or an SSH tunnel do the rest"
        )
    try:
        from prometheus_client import start_http_server
    except ImportError as error:
        raise UserError(
            "[metrics] port is set and prometheus_client is missing: pip install 'ecg-monitor[metrics]'"
        ) from error
    try:
        server, thread = start_http_server(settings.port, settings.host, registry_of(ledger))
    except OSError as error:
        raise UserError(f"[metrics] {settings.host}:{settings.port}: {error.strerror or error}") from error

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return close


def run_metrics(endpoints: list[str], settings: Settings, lifeline: Lifeline) -> None:
    """Until told to stop.

    Args:
        endpoints: of the links whose publishers report.

    Raises:
        UserError: as :func:`serve`.
    """
    ledger = Ledger(settings.link.dead_s)
    close = serve(ledger, settings.metrics)
    context = new_context(settings.security)
    reports = ReportListener(context, endpoints, settings.link)
    alerts = AlertListener(context, alert_endpoint(settings.alert_socket), history=True)
    lifeline.ready()
    try:
        while not lifeline.stopped(wait([reports.socket, *alerts.sockets, *lifeline.descriptors], _IDLE_S)):
            for status in reports.receive():
                ledger.report(status)
            for alert in alerts.receive():
                ledger.alert(alert)
            lifeline.alive()
    finally:
        close()
        reports.close()
        alerts.close()
        context.term()
