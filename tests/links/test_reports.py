"""What stages say of themselves: heard alone by who only wants that, and told in the log."""

import json
import time

import msgspec
import pytest
from test_link import context, endpoint, gather, link_settings, pair, report, samples  # noqa: F401

from monitor.events import Gap
from monitor.link import Publisher, ReportListener, Subscriber, wait
from monitor.report import Teller

PATIENCE_S = 10.0


def test_who_listens_for_reports_hears_nothing_else(context, tmp_path, link_settings):  # noqa: F811
    """Of two publishers at once; and no rubbish."""
    endpoints = [f"ipc://{tmp_path}/{name}" for name in "ab"]
    publishers = [Publisher(context, each, link_settings) for each in endpoints]
    listener = ReportListener(context, endpoints, link_settings)
    heard = []
    until = time.monotonic() + PATIENCE_S
    while {status.stage for status in heard} != {"a", "b"} and time.monotonic() < until:
        for name, publisher in zip("ab", publishers, strict=True):
            publisher.report(msgspec.structs.replace(report(), stage=name))
        wait([listener.socket], 0.05)
        heard += listener.receive()
    assert {status.stage for status in heard} == {"a", "b"}
    while listener.receive():
        pass

    arrived = []
    read = listener._sub.recv_multipart
    listener._sub = type("", (), {"recv_multipart": lambda _, flags: arrived.append(read(flags)) or arrived[-1],
                                  "close": lambda _, socket=listener._sub: socket.close()})()  # fmt: skip
    for event in samples(20):
        publishers[0].send([event])
    publishers[0]._pub.send_multipart([b"ecg/report", b"rubbish"])
    publishers[0].report(msgspec.structs.replace(report(), stage="last"))
    stages = []
    while "last" not in stages and time.monotonic() < until:
        stages += [status.stage for status in listener.receive()]
    assert stages == ["last"]
    assert len(arrived) == 2, "events came too"
    assert listener.rejected == 1
    listener.close()
    for publisher in publishers:
        publisher.close()


def said(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_what_is_given_up_is_told_with_its_numbers(pair, capsys):  # noqa: F811
    """Messages that have left the history: one line for each hole."""
    publisher, subscriber = pair
    gather(publisher, subscriber, lambda out: bool(publisher._peers))
    events = samples(10)
    publisher.send(events[:3])
    gather(publisher, subscriber, lambda out: len(out) == 3)
    for event in events[3:7]:
        publisher.hold([event])
    publisher._unsent.clear()
    for _ in range(4):
        publisher._history.pop()
    publisher.send(events[7:])
    out = gather(publisher, subscriber, lambda out: len(out) == 4)
    assert isinstance(out[0], Gap)
    teller = Teller("detector", {"source": subscriber}, publisher)
    teller.tell(rejected=0)
    (line,) = said(capsys)
    assert {key: line[key] for key in ("stage", "what", "link", "stream", "first", "last")} == {
        "stage": "detector", "what": "events lost", "link": "source", "stream": "p", "first": 4, "last": 7,
    }  # fmt: skip
    assert subscriber.lost == 4
    teller.tell(rejected=0)
    assert said(capsys) == [], "told twice"


def test_who_is_gone_and_back_is_told_once(context, endpoint, settings, capsys):  # noqa: F811
    quick = msgspec.structs.replace(settings.link, dead_s=0.3, heartbeat_s=0.05, hold_s=0.8)
    publisher = Publisher(context, endpoint, quick)
    subscriber = Subscriber(context, endpoint, quick, needed=True, name="classifier", durable=True)
    teller = Teller("detector", {"source": subscriber}, publisher)

    def pass_time(seconds, *, reports, listens):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            wait([*subscriber.sockets, publisher.socket], 0.02)
            publisher.serve()
            if reports:
                publisher.report(report())
            if listens:
                subscriber.receive()
                subscriber.acknowledge()
            teller.tell(rejected=0)

    pass_time(0.5, reports=False, listens=False)
    assert said(capsys) == [], "who has never been there is not gone"
    pass_time(0.4, reports=True, listens=True)
    assert said(capsys) == []
    pass_time(0.5, reports=False, listens=True)
    pass_time(0.2, reports=True, listens=True)
    told = [(line["what"], line["name"]) for line in said(capsys)]
    assert told == [("publisher gone", "source"), ("publisher back", "source")]
    pass_time(1.1, reports=True, listens=False)
    pass_time(0.3, reports=True, listens=True)
    told = [(line["what"], line["name"]) for line in said(capsys)]
    assert told == [(f"subscriber {what}", "classifier") for what in ("gone", "given up", "back", "held for again")]
    subscriber.close()
    publisher.close()


@pytest.fixture
def quiet(context, endpoint, link_settings):  # noqa: F811
    publisher = Publisher(context, endpoint, link_settings)
    yield publisher
    publisher.close()


def test_refused_frames_are_told_now_and_then(quiet, capsys, monkeypatch):
    from monitor import report as reporting

    teller = Teller("detector", {}, quiet)
    for count in (0, 3, 4, 500):
        teller.tell(rejected=count)
    (line,) = said(capsys)
    assert (line["what"], line["count"], line["since_start"]) == ("frames rejected", 3, 3)
    monkeypatch.setattr(reporting, "_REJECTED_S", 0.0)
    teller.tell(rejected=500)
    (line,) = said(capsys)
    assert (line["count"], line["since_start"]) == (497, 500)


def test_trouble_is_told_when_it_comes_and_when_it_goes(quiet, capsys):
    teller = Teller("recorder", {}, quiet)
    for trouble in ("", "full", "full", "", ""):
        teller.tell(rejected=0, trouble=trouble)
    assert [(line["what"], line["why"]) for line in said(capsys)] == [("trouble", "full"), ("trouble over", "full")]
    teller.finished(report())
    (line,) = said(capsys)
    assert (line["what"], line["lost"], line["samples"]) == ("finished", 0, 0)
