"""The supervisor with small processes in the stages' place: who ends the daemon, and who is left out."""

import contextlib
import errno
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import msgspec
import pytest

from monitor import supervisor as supervising
from monitor.child import Child
from monitor.errors import UserError
from monitor.log import Logbook
from monitor.supervisor import Supervisor
from monitor.systemd import Notifier

_STAGE = """#!{python} -S
import os, select, signal, sys, time
how, lifeline = sys.argv[3], int(sys.argv[-1])
if "--standby" in sys.argv:
    os.write(lifeline, b"s")
    os.read(lifeline, 1) or os._exit(0)
time.sleep(0.05)
os.write(lifeline, b"r.")
began = time.monotonic()
while True:
    if select.select([lifeline], [], [], 0.05)[0]:
        os._exit(0)
    up = time.monotonic() - began
    if how == "hangs":
        time.sleep(100)
    os.write(lifeline, b".")
    if how == "ends" and up > {ends}:
        os._exit(0)
    if how == "dies" and up > 0.1:
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "mistaken" and up > 0.1:
        print("ecg-monitor: a file is in the way", file=sys.stderr, flush=True)
        os._exit(1)
    if how == "crashes" and up > 0.1:
        raise RuntimeError("a bug")
"""


@pytest.fixture
def quick(settings):
    return msgspec.structs.replace(
        settings.supervisor,
        restart_s=0.02,
        restart_max_s=0.02,
        restart_limit=2,
        hang_s=0.6,
        finish_s=1.0,
        stop_s=0.3,
        standby=False,
    )


@pytest.fixture
def run(tmp_path, monkeypatch, quick):
    def begin(children, *, ends=2.0, settings=quick, notifier=None, later=False):
        stage = tmp_path / "stage"
        stage.write_text(_STAGE.format(python=sys.executable, ends=ends))
        stage.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(stage))
        supervisor = Supervisor(children, tmp_path, settings, notifier=notifier)
        if later:
            supervisor._ready_at = time.monotonic() - 1000.0
        return supervisor.run()

    return begin


def child(name, how, **more):
    return Child(name, [how], **more)


def dashboard():
    return child("dashboard", "ends", foreground=True)


def log(folder):
    return [json.loads(line) for line in (folder / "supervisor.log").read_text().splitlines()]


def test_a_recorder_that_dies_again_and_again_is_left_out(run, tmp_path):
    """The others go on to the signal's end, start anew without waiting for it, and the end says what is missing."""
    source = Child("source", ["lives", "--awaits=detector", "--awaits=recorder"], feeds=("recorder",))
    recorder = child("recorder", "dies", essential=False)
    with pytest.raises(UserError, match=r"^recorder had to be left out: died 3 times, last by signal 9$"):
        run([source, recorder, dashboard()])
    assert [line["what"] for line in log(tmp_path)] == ["stage died", "stage died", "stage left out"]
    assert source.arguments == ["lives", "--awaits=detector"]
    assert source.deaths == []
    assert not recorder.finished


def test_who_waits_for_those_who_have_ended_is_let_go(run, monkeypatch):
    """A source that was killed at the very end asks in its new life whether anybody misses anything."""
    monkeypatch.setattr(supervising, "_PARTING_S", 0.2)
    source = child("source", "lives", feeds=("detector", "recorder"))
    others = [child("detector", "ends"), child("recorder", "ends", essential=False)]
    assert run([source, *others, dashboard()], ends=0.5) == 0
    assert source.finished


def test_who_feeds_only_one_that_was_left_out_goes_on(run, monkeypatch, tmp_path):
    monkeypatch.setattr(supervising, "_PARTING_S", 0.2)
    source = child("source", "lives", feeds=("recorder",))
    with pytest.raises(UserError, match=r"^recorder had to be left out"):
        run([source, child("recorder", "dies", essential=False), dashboard()])
    assert not source.finished


def test_an_essential_stage_that_does_ends_the_daemon(run):
    with pytest.raises(UserError, match=r"^detector died 3 times, last by signal 9; giving up"):
        run([child("detector", "dies"), dashboard()])


def test_a_mistake_ends_the_daemon_with_its_line_in_the_beginning(run):
    with pytest.raises(UserError, match=r"^a file is in the way$"):
        run([child("recorder", "mistaken", essential=False), dashboard()])


def test_later_it_does_not(run, tmp_path):
    with pytest.raises(UserError, match=r"recorder had to be left out: .* exit code 1: a file is in the way$"):
        run([child("recorder", "mistaken", essential=False), dashboard()], later=True)
    assert log(tmp_path)[0]["how"] == "exit code 1: a file is in the way"


def test_an_essential_stages_mistake_always_does(run):
    with pytest.raises(UserError, match=r"^a file is in the way$"):
        run([child("source", "mistaken"), dashboard()])


def test_a_bug_is_no_mistake_of_a_persons(run, tmp_path):
    """It is restarted, and its traceback is told at last."""
    with pytest.raises(UserError, match=r"(?s)detector died 3 times, last by exit code 1; giving up.*a bug"):
        run([child("detector", "crashes"), dashboard()])


def test_one_that_hangs_is_killed_and_started_again(run, tmp_path):
    with pytest.raises(UserError, match=r"detector died 3 times, last by signal 9"):
        run([child("detector", "hangs"), child("dashboard", "lives", foreground=True)])
    hung = [line for line in log(tmp_path) if line["what"] == "stage hangs"]
    assert len(hung) == 3
    assert all(0.6 <= line["silent_s"] < 1.5 for line in hung)


def test_what_does_not_finish_is_told(run):
    with pytest.raises(UserError, match=r"^recorder has not finished 1 s after the signal's end$"):
        run([child("recorder", "lives", essential=False), dashboard()], ends=0.2)


def test_what_finishes_is_no_failure(run):
    assert run([child("source", "ends"), dashboard()], ends=0.3) == 0


def test_no_process_to_be_had_is_a_death_like_others(run, tmp_path, monkeypatch):
    real, count = subprocess.Popen, iter(range(100))

    def popen(command, **more):
        if command[3] == "lives" and next(count) < 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(command, **more)

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(UserError, match="has not finished"):  # it came up, after all, and lived
        run([child("source", "lives"), dashboard()], ends=0.2)
    assert [line["how"] for line in log(tmp_path)] == ["not started: Too many open files"] * 2


def test_a_log_that_cannot_be_written_ends_nothing(run, tmp_path, quick):
    for name in ("supervisor.log", "source.log", "source.pid"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="source died 3 times"):
        run([child("source", "dies"), dashboard()])


def test_what_is_logged_goes_to_standard_error_once(tmp_path, capsys):
    (tmp_path / "source.log").write_text('{"what": "of a former life"}\n')
    book = Logbook(tmp_path, echo=True)
    with book.open("source") as file:
        file.write(b'{"what": "new"}\nTraceback ...\n{"what": "half')
        file.flush()
        book.forward(["source"])
        file.write(b' of it"}\n')
    book.say("said", name="x")
    book.forward(["source"])
    book.forward(["source"])
    told = [json.loads(line)["what"] for line in capsys.readouterr().err.splitlines()]
    assert told == ["new", "said", "half of it"]


@contextlib.contextmanager
def service(address):
    """systemd's end: a datagram socket, and what came to it."""
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + address[1:] if address.startswith("@") else address)
        listening.settimeout(0.05)
        over = threading.Event()

        def hear():
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    heard.append((time.monotonic(), listening.recv(4096).decode()))

        thread = threading.Thread(target=hear)
        thread.start()
        try:
            yield heard
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_what_it_wants_to(run, tmp_path, abstract):
    address = f"@ecg-monitor-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    notifier = Notifier.from_environment(environment)
    assert environment == {"HOME": "/"}
    assert notifier.watchdog_s == 0.4
    with service(address) as heard:
        assert run([child("source", "ends"), dashboard()], ends=1.5, notifier=notifier) == 0
        time.sleep(0.1)
    said = [words for _, words in heard]
    ready = said.index("READY=1")
    assert said[0] == "STATUS=starting"
    assert "STATUS=monitoring" in said[ready:]
    pings = [at for at, words in heard if words == "WATCHDOG=1" and at >= heard[ready][0]]
    assert len(pings) >= 4
    assert said[-1] == "STOPPING=1"
    assert said.count("READY=1") == said.count("STOPPING=1") == 1


def test_the_watchdog_hears_nothing_while_an_essential_stage_is_silent(run, tmp_path, quick):
    """A stage that is stopped: no sign of life reaches systemd from ``hang_s`` on."""
    address = str(tmp_path / "notify")
    patient = msgspec.structs.replace(quick, hang_s=0.3, restart_s=1.0, restart_max_s=1.0)
    source = child("source", "lives")

    def stop():
        while source.heard is None:
            time.sleep(0.01)
        time.sleep(0.5)
        source.process.send_signal(signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    with service(address) as heard, pytest.raises(UserError, match="has not finished"):
        run([source, dashboard()], ends=4.0, settings=patient, notifier=Notifier(address, 0.2))
    thread.join()
    pings = [at for at, words in heard if words == "WATCHDOG=1"]
    pauses = [later - earlier for earlier, later in itertools.pairwise(pings)]
    assert max(pauses) > 0.9, "it spoke for a stage that was silent"
    assert "STATUS=monitoring; not up: source" in [words for _, words in heard]


def test_without_systemd_nothing_is_said(tmp_path):
    for address in ("", "vsock:1", str(tmp_path / "nobody")):
        notifier = Notifier(address, 1.0)
        notifier.ready()
        notifier.alive()
    assert Notifier.from_environment({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}).watchdog_s is None


def test_a_dashboard_that_missed_the_end_does_not_hold_the_daemon_up(run, monkeypatch):
    monkeypatch.setattr("monitor.supervisor._PARTING_S", 0.3)
    began = time.monotonic()
    assert run([child("source", "ends"), child("dashboard", "stays", foreground=True)], ends=0.2) == 0
    assert time.monotonic() - began < 10.0
