"""Nobody in who is not on the list, nothing to read on the wire, no door open to others without keys."""

import stat
import subprocess
import sys

import msgspec
import pytest

from bench import faults_intruders
from monitor.config import AlertSocketSettings
from monitor.errors import UserError
from monitor.link import AlertSocket, Publisher, free_port, keys, new_context
from monitor.link.sockets import on_loopback


def test_each_gets_what_the_lists_say():
    for who, (got, expected) in faults_intruders.run().items():
        assert got == expected, who


def test_a_sniffer_reads_nothing():
    seen, readable = faults_intruders.overheard()
    assert seen > 0
    assert not readable


@pytest.mark.parametrize("host", ["0.0.0.0", "*", "eth0", "192.168.1.4", "::"])
def test_no_door_is_open_to_others_without_keys(host, settings):
    context = new_context()
    place = AlertSocketSettings(host=host, port=free_port(), kept=10)
    with pytest.raises(UserError, match="ecg-monitor keys DIR"):
        AlertSocket(context, place, {}, 1000)
    with pytest.raises(UserError, match="ecg-monitor keys DIR"):
        Publisher(context, f"tcp://{host}:{free_port()}", settings.link)
    context.term()


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [("tcp://127.0.0.1:1", True), ("tcp://127.3.2.1:1", True), ("tcp://localhost:1", True), ("tcp://[::1]:1", True),
     ("tcp://10.0.0.1:1", False), ("tcp://localhost.evil.org:1", False), ("tcp://*:1", False)],
)  # fmt: skip
def test_what_this_machine_alone_reaches(endpoint, local):
    assert on_loopback(endpoint) is local


def test_keys_that_others_may_read_are_refused(tmp_path, settings):
    keys.make(tmp_path / "k", ["a"], control=False)
    secret = tmp_path / "k" / "server.key_secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    secret.chmod(0o640)
    security = msgspec.structs.replace(settings.security, keys=str(tmp_path / "k"))
    with pytest.raises(UserError, match=r"others may read this secret key \(mode 640\); chmod 600 it"):
        new_context(security)


def test_mistakes_with_keys_are_one_line(tmp_path, settings):
    security = msgspec.structs.replace(settings.security, client=str(tmp_path))
    with pytest.raises(UserError, match="no key: the server's owner makes it"):
        new_context(security)
    keys.make(tmp_path / "k", ["a"], control=False)
    with pytest.raises(UserError, match="a client a already"):
        keys.make(tmp_path / "k", ["a"], control=False)
    with pytest.raises(UserError, match="is no name"):
        keys.make(tmp_path / "k", ["../x"], control=False)


def test_the_command_makes_keys_once(tmp_path):
    words = [sys.executable, "-m", "monitor", "keys", str(tmp_path / "k"), "--client", "nurse", "--control"]
    first = subprocess.run(words, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert "for nurse, who may listen and control" in first.stdout
    assert (tmp_path / "k" / "control" / "nurse.key").exists()
    again = subprocess.run(words, capture_output=True, text=True)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
