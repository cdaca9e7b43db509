"""Real sockets: what is published arrives, in order, once; what cannot is told."""

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq
from streams import ALERT

from monitor import link as links
from monitor.errors import UserError
from monitor.events import Alert, AlertState, Closed, Gap, Opened, Samples, Status
from monitor.link import AlertListener, AlertSocket, Publisher, Subscriber, ask_links, new_context, wait

PATIENCE_S = 10.0


@pytest.fixture
def context():
    context = new_context()
    yield context
    left = [socket for socket in context.inner._sockets if not socket.closed]
    context.inner.destroy(linger=0)
    assert not left, "a socket was left open"


@pytest.fixture
def link_settings(settings):
    return settings.link


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path}/l"


def samples(n, stream="p", first=1):
    head = [] if first > 1 else [
        Opened(stream=stream, seq=1, source="", fs=360.0, leads=("I",), start_time=0.0, length=None)
    ]  # fmt: skip
    body = [
        Samples(stream=stream, seq=k, start=36 * (k - 2), signal=np.full((1, 36), k, dtype=np.float32))
        for k in range(max(first, 2), n + 1)
    ]
    return [*head, *body]


def report():
    return Status(stage="t", pid=1, time=0.0, uptime=0.0, events_in=0, events_out=0, samples=0, streams=0, lost=0,
                  repaired=0, rejected=0, busy=0.0, detail="")  # fmt: skip


def gather(publisher, subscriber, until, *, beat=True):
    """What the subscriber delivers until ``until(out)``; the publisher answers and, as it must, reports meanwhile: what
    is sent while a subscription arrives is noticed by the next report alone."""
    out = []
    deadline = time.monotonic() + PATIENCE_S
    next_report = 0.0
    while not until(out):
        assert time.monotonic() < deadline, f"only {len(out)} events came"
        wait([*subscriber.sockets, publisher.socket], 0.02)
        publisher.serve()
        if beat and time.monotonic() > next_report:
            publisher.report(report())
            next_report = time.monotonic() + 0.05
        out += [event for event in subscriber.receive() if not isinstance(event, Status)]
        subscriber.acknowledge()
    return out


def sequences(out, stream="p"):
    return [event.seq for event in out if event.stream == stream]


@pytest.fixture
def pair(context, endpoint, link_settings):
    publisher = Publisher(context, endpoint, link_settings)
    subscriber = Subscriber(context, endpoint, link_settings, needed=True)
    yield publisher, subscriber
    subscriber.close()
    publisher.close()


def test_in_order_and_once(pair):
    publisher, subscriber = pair
    for event in samples(200):
        publisher.send([event])
    out = gather(publisher, subscriber, lambda out: len(out) == 200)
    assert sequences(out) == list(range(1, 201))
    assert (subscriber.lost, subscriber.rejected) == (0, 0)


def test_a_latecomer_gets_what_was_before(context, endpoint, link_settings):
    publisher = Publisher(context, endpoint, link_settings)
    for event in samples(50):
        publisher.send([event])
    subscriber = Subscriber(context, endpoint, link_settings, needed=False)
    out = gather(publisher, subscriber, lambda out: len(out) == 50)
    for event in samples(60, first=51):
        publisher.send([event])
    out += gather(publisher, subscriber, lambda out: len(out) == 10)
    assert sequences(out) == list(range(1, 61))
    subscriber.close()
    publisher.close()


class _Dropping:
    """A socket that loses some of what is sent."""

    def __init__(self, socket, lost):
        self._socket, self._lost, self._count = socket, lost, 0

    def send_multipart(self, parts):
        self._count += 1
        if self._count not in self._lost:
            self._socket.send_multipart(parts)

    def __getattr__(self, name):
        return getattr(self._socket, name)


def test_what_is_dropped_on_the_way_is_fetched_again(pair):
    publisher, subscriber = pair
    gather(publisher, subscriber, lambda out: bool(publisher._peers))
    publisher._pub = _Dropping(publisher._pub, lost={3, 4, 5, 9})
    for event in samples(20):
        publisher.send([event])
    out = gather(publisher, subscriber, lambda out: len(out) == 20, beat=False)
    assert sequences(out) == list(range(1, 21))
    assert subscriber.lost == 0
    assert subscriber.repaired >= 3


def test_a_loss_at_the_end_is_noticed_by_the_next_heartbeat(pair):
    publisher, subscriber = pair
    gather(publisher, subscriber, lambda out: bool(publisher._peers))
    publisher._pub = _Dropping(publisher._pub, lost={5, 6})
    for event in samples(6):
        publisher.send([event])
    out = gather(publisher, subscriber, lambda out: len(out) == 6)
    assert sequences(out) == [1, 2, 3, 4, 5, 6]


def test_what_left_the_history_is_told_as_a_gap(context, endpoint, link_settings):
    small = msgspec.structs.replace(link_settings, history_bytes=2000)
    publisher = Publisher(context, endpoint, small)
    for event in samples(100):
        publisher.send([event])
    subscriber = Subscriber(context, endpoint, small, needed=False)
    out = gather(publisher, subscriber, lambda out: out and out[-1].seq == 100)
    assert isinstance(out[0], Opened)  # without it nobody would know what this is
    (gap,) = [event for event in out if isinstance(event, Gap)]
    assert gap.cause == "lost"
    following = out[out.index(gap) + 1]
    assert (gap.start, gap.stop) == (0, following.start)
    assert subscriber.lost == following.seq - 2
    subscriber.close()
    publisher.close()


def test_a_slow_needed_subscriber_holds_the_publisher_back_and_a_dead_one_does_not(pair, link_settings):
    publisher, subscriber = pair
    gather(publisher, subscriber, lambda out: bool(publisher._peers))
    for event in samples(link_settings.window):
        publisher.send([event])
    assert publisher.congested
    gather(publisher, subscriber, lambda out: not publisher.congested)
    for event in samples(2 * link_settings.window, first=link_settings.window + 1):
        publisher.send([event])
    assert publisher.congested
    heard = next(iter(publisher._peers.values()))
    heard.heard -= link_settings.dead_s  # as if it had been silent for so long
    assert not publisher.congested


def test_others_may_be_as_slow_as_they_like(context, endpoint, link_settings):
    publisher = Publisher(context, endpoint, link_settings)
    subscriber = Subscriber(context, endpoint, link_settings, needed=False)
    gather(publisher, subscriber, lambda out: bool(publisher._peers))
    for event in samples(3 * link_settings.high_water_mark):
        publisher.send([event])
        assert not publisher.congested
    # Far more than the sockets hold: the rest comes from the history.
    out = gather(publisher, subscriber, lambda out: len(out) == 3 * link_settings.high_water_mark)
    assert sequences(out) == list(range(1, 3 * link_settings.high_water_mark + 1))
    subscriber.close()
    publisher.close()


def test_a_publisher_waits_for_its_first_subscriber(context, endpoint, link_settings):
    publisher = Publisher(context, endpoint, link_settings, awaits=["p"])
    assert publisher.congested
    subscriber = Subscriber(context, endpoint, link_settings, needed=True, name="p")
    gather(publisher, subscriber, lambda out: not publisher.congested)
    subscriber.close()
    publisher.close()


def test_the_end_is_the_end_only_when_everything_is_here(pair):
    publisher, subscriber = pair
    gather(publisher, subscriber, lambda out: bool(publisher._peers))
    publisher._pub = _Dropping(publisher._pub, lost={4})
    for event in samples(4):
        publisher.send([event])
    publisher.finish(report())
    out = gather(publisher, subscriber, lambda out: subscriber.finished)
    assert sequences(out) == [1, 2, 3, 4]
    gather(publisher, subscriber, lambda out: publisher.drained)


def test_a_publisher_in_a_new_life_is_followed(context, endpoint, link_settings):
    first = Publisher(context, endpoint, link_settings)
    subscriber = Subscriber(context, endpoint, link_settings, needed=True)
    for event in samples(5):
        first.send([event])
    gather(first, subscriber, lambda out: len(out) == 5)
    first.close()
    second = Publisher(context, endpoint, link_settings)
    for event in samples(3):
        second.send([event])
    out = gather(second, subscriber, lambda out: len(out) == 3)
    assert sequences(out) == [1, 2, 3]
    subscriber.close()
    second.close()


@pytest.mark.parametrize(
    "parts", [[b"ecg", b"junk"], [b"ecg"], [b"ecg", b"ECGM" + bytes(40)], [b"ecg", b"a", b"b"], [b"ecg", b""]]
)
def test_junk_is_counted_and_nothing_else_happens(pair, parts):
    publisher, subscriber = pair
    gather(publisher, subscriber, lambda out: bool(publisher._peers))
    publisher._pub.send_multipart(parts)
    for event in samples(3):
        publisher.send([event])
    out = gather(publisher, subscriber, lambda out: len(out) == 3)
    assert sequences(out) == [1, 2, 3]
    assert subscriber.rejected == 1


def test_requests_that_are_junk_are_counted(context, pair, endpoint):
    publisher, subscriber = pair
    with context.socket(zmq.DEALER) as stranger:
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.connect(links.requests_of(endpoint))
        for parts in ([b"junk"], [b"a", b"b", b"c"], [msgspec.msgpack.encode({"type": "hello"})]):
            stranger.send_multipart(parts)
        gather(publisher, subscriber, lambda out: publisher.rejected == 3)


def test_a_port_in_use_is_one_clear_line(context, link_settings):
    port = links.free_port()
    one = Publisher(context, f"tcp://127.0.0.1:{port}", link_settings)
    with pytest.raises(UserError, match=f"tcp://127.0.0.1:{port} is in use"):
        Publisher(context, f"tcp://127.0.0.1:{port}", link_settings)
    one.close()


# --- the alert socket -------------------------------------------------------------------------------------------


def alert(seq, state, ident="p/vt/1"):
    return msgspec.structs.replace(ALERT, seq=seq, state=state, id=ident)


@pytest.fixture
def alert_socket(context, settings):
    port = links.free_port()
    socket = AlertSocket(
        context, msgspec.structs.replace(settings.alert_socket, port=port), {"source": "ipc://x"}, 1 << 20
    )
    yield socket, f"tcp://127.0.0.1:{port}"
    socket.close()


def hear(socket, listener, count):
    out: list[Alert] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(out) < count:
        assert time.monotonic() < deadline, out
        wait([*listener.sockets, *socket.sockets], 0.02)
        socket.serve()
        out += listener.receive()
    return out


def test_a_late_listener_gets_what_is_active_then_what_comes(context, alert_socket):
    socket, endpoint = alert_socket
    socket.publish(alert(1, AlertState.RAISED, "a"))
    socket.publish(alert(2, AlertState.RAISED, "b"))
    socket.publish(alert(3, AlertState.ENDED, "a"))
    listener = AlertListener(context, endpoint, history=False)
    assert [a.id for a in hear(socket, listener, 1)] == ["b"]
    socket.publish(alert(4, AlertState.ENDED, "b"))
    assert [(a.id, a.seq) for a in hear(socket, listener, 1)] == [("b", 4)]
    listener.close()


def test_nothing_published_while_a_listener_arrives_is_missed(context, alert_socket):
    """However the connection and what is published fall together."""
    socket, endpoint = alert_socket
    listener = AlertListener(context, endpoint, history=False)
    out: list[Alert] = []
    seq = 0
    deadline = time.monotonic() + PATIENCE_S
    while len({a.id for a in out}) < 200 and time.monotonic() < deadline:
        if seq < 200:
            seq += 1
            socket.publish(alert(seq, AlertState.RAISED, f"a{seq}"))
        socket.serve()
        out += listener.receive()
    assert [a.seq for a in out] == list(range(1, 201))
    listener.close()


def test_a_listener_may_ask_for_all_there_was(context, alert_socket):
    socket, endpoint = alert_socket
    for seq, state in enumerate((AlertState.RAISED, AlertState.UPDATED, AlertState.ENDED), 1):
        socket.publish(alert(seq, state))
    listener = AlertListener(context, endpoint, history=True)
    assert [a.seq for a in hear(socket, listener, 3)] == [1, 2, 3]
    listener.close()


def test_a_plain_subscriber_needs_nothing_of_ours(context, alert_socket):
    """What docs/protocol.md promises: SUB, subscribe to b"alert", JSON in the second frame."""
    import json

    socket, endpoint = alert_socket
    with context.socket(zmq.SUB) as plain:
        plain.setsockopt(zmq.LINGER, 0)
        plain.setsockopt(zmq.SUBSCRIBE, b"alert")
        plain.connect(endpoint)
        deadline = time.monotonic() + PATIENCE_S
        while not plain.poll(20):  # until the subscription has arrived
            assert time.monotonic() < deadline
            socket.publish(alert(1, AlertState.RAISED))
        topic, body = plain.recv_multipart()
        assert topic == b"alert"
        assert json.loads(body)["kind"] == "vt"


def test_a_daemon_says_where_its_links_are(tmp_path):
    """Another process holds the socket: asking waits for the answer."""
    code = (
        "import sys, msgspec\n"
        "from monitor import config\n"
        "from monitor.link import AlertSocket, new_context, wait, free_port\n"
        "c = new_context(); p = free_port()\n"
        "s = AlertSocket(c, msgspec.structs.replace(config.load().alert_socket, port=p), {'source': 'ipc://x'}, 1000)\n"
        "print(p, flush=True)\n"
        "while True:\n"
        "    wait([*s.sockets], 1.0); s.serve()\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    context = new_context()
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        assert ask_links(context, f"tcp://127.0.0.1:{port}", 5.0) == {"source": "ipc://x"}
        with pytest.raises(UserError, match="no ecg-monitor answers"):
            ask_links(context, f"tcp://127.0.0.1:{links.free_port()}", 0.1)
    finally:
        child.kill()
        child.communicate()
        context.term()


def test_closed_streams_leave_nothing_behind(pair):
    publisher, subscriber = pair
    publisher.send([*samples(3), Closed(stream="p", seq=4, sample=72, reason="end")])
    gather(publisher, subscriber, lambda out: len(out) == 4)
    assert publisher._opened == {}


def test_an_answer_to_what_was_asked_before_gives_nothing_up(pair):
    """Events that come while the answer to an earlier question is on its way are not lost: they are asked for."""
    publisher, subscriber = pair
    gather(publisher, subscriber, lambda out: bool(publisher._peers))
    gather(publisher, subscriber, lambda out: subscriber._asked is None)
    subscriber._ask()  # answered below, before anything is sent
    wait([publisher.socket], 1.0)
    publisher.serve()
    publisher._pub = _Dropping(publisher._pub, lost={1, 2, 3})
    for event in samples(5):
        publisher.send([event])
    out = gather(publisher, subscriber, lambda out: len(out) == 5)
    assert sequences(out) == [1, 2, 3, 4, 5]
    assert subscriber.lost == 0
