"""``ecg-monitor alerts``: what the alert socket says, line by line."""

import sys
from datetime import UTC, datetime

from monitor.config import Settings
from monitor.errors import UsageError
from monitor.events import Alert
from monitor.link import AlertListener, alert_endpoint, new_context, wait
from monitor.text import clean
from monitor.wire import encode_alert

_STARS = {"high": "***", "medium": "**", "low": "*"}


def alerts(endpoint: str | None, settings: Settings, *, as_json: bool, history: bool) -> int:
    """Until Ctrl-C (130)."""
    address = check_endpoint(endpoint) if endpoint else alert_endpoint(settings.alert_socket)
    context = new_context(settings.security)
    listener = AlertListener(context, address, history=history)
    if sys.stderr.isatty():
        print(f"ecg-monitor: listening at {address}; Ctrl-C ends", file=sys.stderr)
    try:
        while True:
            wait(listener.sockets, 1.0)
            for alert in listener.receive():
                print(encode_alert(alert).decode() if as_json else line(alert), flush=True)
    finally:
        listener.close()
        context.term()


def check_endpoint(endpoint: str) -> str:
    """A TCP endpoint, its ``tcp://`` added where it was left out."""
    full = endpoint if "://" in endpoint else f"tcp://{endpoint}"
    host, _, port = full.removeprefix("tcp://").rpartition(":")
    if not full.startswith("tcp://") or not host or not port.isdigit() or not 1 <= int(port) <= 65534:
        raise UsageError(f"{endpoint} is no alert socket; write tcp://127.0.0.1:5760")
    return full


def line(alert: Alert) -> str:
    """One alert event for people."""
    time = datetime.fromtimestamp(alert.onset_time, UTC).strftime("%H:%M:%S")
    stars = _STARS[alert.priority]
    return clean(f"{time} {alert.stream} {stars:<3} {alert.state:<8} {alert.kind}: {alert.message}")
