"""The dashboard: ``ecg-monitor watch``, and the daemon's own."""

import contextlib
import os
import sys
import time

import msgspec

from monitor.config import Settings
from monitor.dashboard.keys import Action
from monitor.errors import UserError
from monitor.events import Event, Status
from monitor.link import (
    Context,
    Operator,
    Order,
    Subscriber,
    alert_endpoint,
    ask_links,
    control_endpoint,
    new_context,
    wait,
)
from monitor.log import say
from monitor.snapshot import Fold
from monitor.stage import Lifeline
from monitor.supervisor import QUIT
from monitor.views import StreamView

_ANSWER_S = 2.0
"""s that a running daemon may take to say where its links are."""


def watch(endpoint: str | None, settings: Settings, *, headless: bool) -> int:
    """A dashboard on a daemon that runs; until it ends, q, or Ctrl-C."""
    from monitor.commands.alerts import check_endpoint

    plain = headless or not (sys.stdin.isatty() and sys.stdout.isatty())
    if not plain:
        check_size(settings)
    address = check_endpoint(endpoint) if endpoint else alert_endpoint(settings.alert_socket)
    context = new_context(settings.security)
    try:
        links = ask_links(context, address, _ANSWER_S)
    finally:
        context.term()
    return show(links, with_endpoint(settings, address), plain, None, needed=False)


def with_endpoint(settings: Settings, address: str) -> Settings:
    """The settings, with the alert socket at another address."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    socket = msgspec.structs.replace(settings.alert_socket, host=host, port=int(port))
    return msgspec.structs.replace(settings, alert_socket=socket)


def check_size(settings: Settings) -> None:
    """Raises UserError where nothing could be laid out on this terminal."""
    width, height = os.get_terminal_size(sys.stdout.fileno())
    need = settings.dashboard
    if width < need.min_columns or height < need.min_rows:
        raise UserError(
            f"the terminal has {width}×{height} cells and {need.min_columns}×{need.min_rows} are needed; "
            "enlarge it, or use --headless"
        )


class _Stop(Exception):  # noqa: N818 - no error, as StopIteration
    """The supervisor says that it is over."""


def write_line(line: str) -> None:
    """To standard output, where it can be: a full disk behind it does not end the monitoring.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    try:
        print(line, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        say("dashboard", "line not written", why=error.strerror or str(error))


class Wishes:
    """What the person at the screen wants, as orders to the daemon's control socket."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self._operator = Operator(context, control_endpoint(settings.alert_socket))
        self._silence_s = settings.control.silence_s
        self._words = ""
        self._asked: float | None = None

    def ask(self, action: Action, view: StreamView) -> None:
        if action is Action.ACKNOWLEDGE:
            wanted, self._words = Order("acknowledge", view.name), f"{view.name}: acknowledged"
        elif view.silenced_s:
            wanted, self._words = Order("silence", view.name), f"{view.name}: sounds again"
        else:
            wanted = Order("silence", view.name, seconds=self._silence_s)
            self._words = f"{view.name}: silenced for {self._silence_s:.0f} s"
        self._operator.ask(wanted)
        self._asked = time.monotonic()

    def heard(self) -> str:
        for answer in self._operator.heard():
            self._asked = None
            return self._words if answer.ok else answer.error
        if self._asked is not None and time.monotonic() - self._asked > _ANSWER_S:
            self._asked = None
            return "the daemon does not answer: may this user control it?"
        return ""

    def close(self) -> None:
        self._operator.close()


class Feed:
    """What the dashboard hears: all links of a daemon at once."""

    def __init__(self, links: dict[str, str], settings: Settings, lifeline: Lifeline | None, *, needed: bool) -> None:
        self._context = new_context(settings.security)
        self.wishes = Wishes(self._context, settings)
        self._lifeline = lifeline
        # The daemon begins when its own dashboard is there. What is waited for are verdicts and alerts, not samples.
        self._links = {
            name: Subscriber(
                self._context,
                endpoint,
                settings.link,
                needed=needed and name == "classifier",
                name="dashboard" if needed else "",
            )
            for name, endpoint in links.items()
        }

    def receive(self, timeout: float) -> list[Event | Status] | None:
        """What has come within ``timeout`` s; None when the daemon has ended.

        Raises:
            _Stop: the supervisor wants an end.
        """
        sockets = [socket for link in self._links.values() for socket in link.sockets]
        descriptors = self._lifeline.descriptors if self._lifeline else []
        until = time.monotonic() + timeout
        out: list[Event | Status] = []
        while True:
            readable = wait([*sockets, *descriptors], max(0.0, until - time.monotonic()))
            if self._lifeline is not None:
                self._lifeline.alive()
                if self._lifeline.stopped(readable):
                    raise _Stop
            for link in self._links.values():
                out += link.receive()
                link.acknowledge()
            if self._links["classifier"].finished and not out:
                return None
            if out or time.monotonic() >= until:
                return out

    def close(self) -> None:
        self.wishes.close()
        for link in self._links.values():
            link.close()
        self._context.term()


def show(links: dict[str, str], settings: Settings, headless: bool, lifeline: Lifeline | None, *, needed: bool) -> int:
    """Draws, or writes lines, until the daemon ends (0), a person quits (0; QUIT to a supervisor), or the supervisor
    stops it (0)."""
    from monitor.dashboard.keys import Keyboard
    from monitor.dashboard.lines import final
    from monitor.dashboard.screen import Exit, run_lines, run_screen, terminal

    feed = Feed(links, settings, lifeline, needed=needed)
    fold = Fold(settings)
    plain = headless or "utf" not in (sys.stdout.encoding or "").lower()
    if lifeline is not None:
        lifeline.ready()
    try:
        with contextlib.suppress(_Stop):
            if plain:
                run_lines(fold, feed.receive, write_line)
            else:
                keyboard = Keyboard(sys.stdin.fileno())
                left = run_screen(fold, feed.receive, settings, terminal(), keyboard, feed.wishes)
                print("\n".join(final(fold.snapshot(time.time()))))
                if left is Exit.QUIT and lifeline is not None:
                    return QUIT
    finally:
        feed.close()
    return 0
