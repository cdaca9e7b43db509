"""Deaths on either side of a link: with what a checkpoint holds, nothing is lost and nothing comes twice."""

import time

import msgspec
import pytest
import zmq
from test_link import alert, context, endpoint, gather, link_settings, report, samples, sequences  # noqa: F401

from monitor import link as links
from monitor.events import AlertState, Gap, Status
from monitor.link import AlertListener, AlertSocket, Publisher, Subscriber, wait

N = 40


def test_a_publisher_that_died_goes_on_where_its_checkpoint_was(context, endpoint, link_settings):  # noqa: F811
    """What it had sent after the checkpoint it sends again; the subscriber takes it for what it is."""
    first = Publisher(context, endpoint, link_settings)
    subscriber = Subscriber(context, endpoint, link_settings, needed=True, name="s", durable=True)
    for event in samples(20):
        first.send([event])
    out = gather(first, subscriber, lambda out: len(out) == 20)
    checkpoint = first.state()
    for event in samples(30, first=21):
        first.send([event])
    out += gather(first, subscriber, lambda out: len(out) == 10)
    first.close()
    second = Publisher(context, endpoint, link_settings, state=checkpoint)
    assert second.lineage == first.lineage
    for event in samples(N, first=21):
        second.send([event])
    out += gather(second, subscriber, lambda out: len(out) == N - 30)
    assert sequences(out) == list(range(1, N + 1))
    assert subscriber.lost == 0
    subscriber.close()
    second.close()


def test_what_was_on_its_way_when_the_publisher_died_is_not_given_up(context, endpoint, link_settings):  # noqa: F811
    """The subscriber misses 21 to 24 and holds 25 when the publisher dies, whose checkpoint ends at 20: all of it comes
    again, and none of it is a gap."""
    first = Publisher(context, endpoint, link_settings)
    subscriber = Subscriber(context, endpoint, link_settings, needed=True, name="s", durable=True)
    for event in samples(20):
        first.send([event])
    out = gather(first, subscriber, lambda out: len(out) == 20)
    checkpoint = first.state()
    (late,) = samples(25, first=25)
    first._pub.send_multipart([b"ecg", _frame(first, late)])
    deadline = time.monotonic() + 10
    while not subscriber._tracks["p"].held and time.monotonic() < deadline:
        wait(subscriber.sockets, 0.02)
        out += [event for event in subscriber.receive() if not isinstance(event, Status)]
    first.close()
    second = Publisher(context, endpoint, link_settings, state=checkpoint)
    for event in samples(30, first=21):
        second.send([event])
    out += gather(second, subscriber, lambda out: len(out) == 10)
    assert sequences(out) == list(range(1, 31))
    assert not any(isinstance(event, Gap) for event in out)
    subscriber.close()
    second.close()


def test_a_life_is_caught_up_when_its_first_question_is_answered(context, endpoint, link_settings):  # noqa: F811
    """Not when something has come: its former life may have had more."""
    publisher = Publisher(context, endpoint, link_settings)
    for event in samples(20):
        publisher.send([event])
    second = Subscriber(context, endpoint, link_settings, needed=True, name="s", durable=True)
    had, deadline = [], time.monotonic() + 10
    while not second.caught_up and time.monotonic() < deadline:
        assert not had or len(had) == 20
        publisher.serve()
        wait([*second.sockets, publisher.socket], 0.02)
        had += [event for event in second.receive() if not isinstance(event, Status)]
    assert second.caught_up
    assert sequences(had) == list(range(1, 21))
    second.close()
    publisher.close()


def _frame(publisher, event):
    from monitor.wire import encode

    return encode([event], run=publisher._run, lineage=publisher._lineage, number=25)


def test_a_subscriber_that_died_goes_on_where_its_checkpoint_was(context, endpoint, link_settings):  # noqa: F811
    publisher = Publisher(context, endpoint, link_settings)
    first = Subscriber(context, endpoint, link_settings, needed=True, name="s", durable=True)
    for event in samples(20):
        publisher.send([event])
    out = gather(publisher, first, lambda out: len(out) == 20)
    pending, out = out[15:], out[:15]  # its owner has not handled these when the checkpoint is taken
    checkpoint = first.state(pending)
    first.close()
    for event in samples(N, first=21):
        publisher.send([event])
    second = Subscriber(context, endpoint, link_settings, needed=True, name="s", durable=True, state=checkpoint)
    out += gather(publisher, second, lambda out: len(out) == N - 15)
    assert sequences(out) == list(range(1, N + 1))
    assert len(publisher._peers) == 1  # the first is a former life of the second
    second.close()
    publisher.close()


def test_a_greeting_that_died_with_the_publisher_is_said_again(context, endpoint, link_settings):  # noqa: F811
    """A subscriber that has just been started greets a publisher that is killed before it takes the greeting."""
    dead = context.socket(zmq.ROUTER)
    dead.setsockopt(zmq.LINGER, 0)
    dead.bind(links.requests_of(endpoint))
    subscriber = Subscriber(context, endpoint, link_settings, needed=True, name="s", durable=True)
    subscriber.receive()
    assert b"hello" in dead.recv_multipart()[-1]
    assert b"repair" in dead.recv_multipart()[-1]
    dead.close()
    publisher = Publisher(context, endpoint, link_settings, awaits=["s"])
    gather(publisher, subscriber, lambda out: not publisher.congested)
    publisher.send(samples(5))
    assert sequences(gather(publisher, subscriber, lambda out: len(out) == 5)) == [1, 2, 3, 4, 5]
    subscriber.close()
    publisher.close()


def test_both_may_die(context, endpoint, link_settings):  # noqa: F811
    """The publisher's checkpoint holds what the subscriber's does not."""
    first = Publisher(context, endpoint, link_settings)
    subscriber = Subscriber(context, endpoint, link_settings, needed=True, name="s", durable=True)
    for event in samples(10):
        first.send([event])
    gather(first, subscriber, lambda out: len(out) == 10)
    old = subscriber.state()
    subscriber.settled(old)
    gather(first, subscriber, lambda out: first.settled)
    for event in samples(20, first=11):
        first.send([event])
    gather(first, subscriber, lambda out: len(out) == 10)
    checkpoint = first.state()
    assert len(checkpoint["pages"]) == 10  # what is settled is no part of it
    subscriber.close()
    first.close()
    second = Publisher(context, endpoint, link_settings, state=checkpoint)
    again = Subscriber(context, endpoint, link_settings, needed=True, name="s", durable=True, state=old)
    out = gather(second, again, lambda out: len(out) == 10)
    assert sequences(out) == list(range(11, 21))
    again.close()
    second.close()


def test_the_history_is_kept_for_a_durable_subscriber_however_full(context, endpoint, link_settings):  # noqa: F811
    small = msgspec.structs.replace(link_settings, history_bytes=4000, window=10_000)
    publisher = Publisher(context, endpoint, small)
    subscriber = Subscriber(context, endpoint, small, needed=True, name="s", durable=True)
    gather(publisher, subscriber, lambda out: bool(publisher._keeping))
    sent = 0
    for event in samples(200):
        if publisher.congested:
            break
        publisher.send([event])
        sent += 1
    assert 5 < sent < 200
    gather(publisher, subscriber, lambda out: len(out) == sent)
    assert publisher.congested  # it has it, but no checkpoint of it has
    subscriber.settled(subscriber.state())
    gather(publisher, subscriber, lambda out: not publisher.congested)
    publisher.send(samples(sent + 1, first=sent + 1))
    publisher._keeping["s"].heard -= small.hold_s  # as if it had been silent for so long
    publisher.send(samples(sent + 40, first=sent + 2))
    assert not publisher.congested
    subscriber.close()
    publisher.close()


def test_drained_is_when_the_last_checkpoint_is_told(context, endpoint, link_settings):  # noqa: F811
    publisher = Publisher(context, endpoint, link_settings)
    subscriber = Subscriber(context, endpoint, link_settings, needed=True, name="s", durable=True)
    publisher.send(samples(5))
    publisher.finish(report())
    # All may arrive before the publisher has heard of the subscriber at all.
    gather(publisher, subscriber, lambda out: subscriber.finished and publisher._keeping)
    assert not publisher.drained
    state = subscriber.state()
    assert state["over"]
    subscriber.settled(state)
    gather(publisher, subscriber, lambda out: publisher.drained)
    subscriber.close()
    publisher.close()


def test_a_crowd_that_asks_for_everything_does_not_hold_up_the_publisher(context, endpoint, link_settings):  # noqa: F811
    publisher = Publisher(context, endpoint, link_settings)
    for k in range(4):
        publisher.send(samples(500, stream=str(k)))
    crowd = [Subscriber(context, endpoint, link_settings, needed=False) for _ in range(30)]
    for each in crowd:
        each.receive()
    longest, heard, deadline = 0.0, [0] * len(crowd), time.monotonic() + 20
    while min(heard) < 2000 and time.monotonic() < deadline:
        began = time.monotonic()
        publisher.serve()
        longest = max(longest, time.monotonic() - began)
        for k, each in enumerate(crowd):
            heard[k] += len(each.receive())
    assert heard == [2000] * len(crowd)
    assert longest < 20 * link_settings.serve_s
    for each in crowd:
        each.close()
    publisher.close()


# --- alerts ------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(settings):
    return msgspec.structs.replace(settings.alert_socket, port=links.free_port())


def listen(socket, listener, count):
    out, deadline = [], time.monotonic() + 10
    while len(out) < count:
        assert time.monotonic() < deadline, [a.seq for a in out]
        wait([*listener.sockets, *socket.sockets], 0.02)
        socket.serve()
        out += listener.receive()
    return [a.seq for a in out]


def chained(*numbers):
    return [
        msgspec.structs.replace(alert(n, AlertState.RAISED, f"a{n}"), previous=previous)
        for previous, n in zip((0, *numbers), numbers, strict=False)
    ]


@pytest.mark.parametrize("history", [True, False])
def test_a_listener_outlives_the_alert_socket(context, place, history):  # noqa: F811
    """What was published while it was away comes after its return, once."""
    first = AlertSocket(context, place, {}, 1 << 20)
    first.begin(7)
    listener = AlertListener(context, links.alert_endpoint(place), history=history)
    alerts = chained(1, 2, 5, 6, 9)
    listen_until_greeted(first, listener)
    first.publish(alerts[0])
    first.publish(alerts[1])
    assert listen(first, listener, 2) == [1, 2]
    first.hold(alerts[2])  # in the checkpoint, and dead before it was published
    state = first.state()
    first.close()
    second = AlertSocket(context, place, {}, 1 << 20, state)
    second.begin(7)
    second.publish(alerts[3])
    second.publish(alerts[4])
    assert listen(second, listener, 3) == [5, 6, 9]
    second.close()
    third = AlertSocket(context, place, {}, 1 << 20, state)
    third.begin(8)  # another daemon at the same address: its numbers count anew
    third._history.clear()
    third.publish(chained(3)[0])
    assert listen(third, listener, 1) == [3]
    listener.close()
    third.close()


def listen_until_greeted(socket, listener):
    deadline = time.monotonic() + 10
    while (listener._lineage is None or listener._held is not None) and time.monotonic() < deadline:
        wait([*listener.sockets, *socket.sockets], 0.02)
        socket.serve()
        listener.receive()


def test_an_alert_that_was_dropped_on_the_way_is_asked_for(context, place):  # noqa: F811
    socket = AlertSocket(context, place, {}, 1 << 20)
    listener = AlertListener(context, links.alert_endpoint(place), history=False)
    listen_until_greeted(socket, listener)
    one, two, three = chained(4, 6, 7)
    socket.publish(one)
    assert listen(socket, listener, 1) == [4]
    socket.hold(two)
    socket._unsent.clear()  # dropped
    socket.publish(three)
    assert listen(socket, listener, 2) == [6, 7]
    listener.close()
    socket.close()
