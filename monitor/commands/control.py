"""``ecg-monitor ack · silence · enable · disable``: orders to a daemon that runs."""

from monitor.commands.alerts import check_endpoint
from monitor.commands.watch import with_endpoint
from monitor.config import Settings
from monitor.errors import UserError
from monitor.link import Order, control_endpoint, new_context, order
from monitor.text import clean

_ANSWER_S = 3.0
"""s that a running daemon may take to answer."""


def control(wanted: Order, endpoint: str | None, settings: Settings) -> int:
    """Sends one order and says what became of it; 0.

    Args:
        endpoint: of the daemon's alert socket; None: the configured one.

    Raises:
        UserError: there is no daemon, or it cannot do that.
    """
    if endpoint is not None:
        settings = with_endpoint(settings, check_endpoint(endpoint))
    context = new_context(settings.security)
    try:
        answer = order(context, control_endpoint(settings.alert_socket), wanted, _ANSWER_S)
    finally:
        context.term()
    if not answer.ok:
        raise UserError(clean(answer.error))
    print(f"{_DONE[wanted.command]}: {clean(', '.join(answer.streams))}")
    return 0


_DONE = {"acknowledge": "acknowledged", "silence": "silenced", "enable": "enabled", "disable": "disabled"}
