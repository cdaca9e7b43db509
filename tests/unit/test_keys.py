"""Keys: bytes to actions, actions to looks."""

import os
import pty
import termios

import pytest
from scenes import Scene

from monitor.dashboard.keys import Action, Keyboard, parse, steer
from monitor.dashboard.look import Look


def test_keys_have_their_meaning():
    assert parse(b"q\tp?+-") == (
        [Action.QUIT, Action.NEXT, Action.PAUSE, Action.HELP, Action.LONGER, Action.SHORTER],
        b"",
    )
    assert parse(b"\x1b[C\x1b[D\x1bOC\x1b[Z") == ([Action.NEXT, Action.PREVIOUS, Action.NEXT, Action.PREVIOUS], b"")


def test_what_has_no_meaning_is_passed_over_as_a_whole():
    assert parse(b"xyz\x1b[15~\x1b[1;5Cq\x00\xff") == ([Action.QUIT], b"")
    assert parse("é患".encode()) == ([], b"")
    assert parse(b"\x1bq") == ([Action.QUIT], b"")


def test_a_key_may_come_in_pieces():
    whole = b"\t\x1b[C\x1b[15~p\x1b[Zq"
    expected = parse(whole)[0]
    for cut in range(len(whole) + 1):
        first, rest = parse(whole[:cut])
        second, rest = parse(rest + whole[cut:])
        assert first + second == expected and rest == b""
    actions, rest = [], b""
    for byte in whole:
        found, rest = parse(rest + bytes([byte]))
        actions += found
    assert actions == expected


def test_steering():
    scene = Scene()
    for name in "abc":
        scene.open(name)
    scene.run(1)
    snapshot = scene.snapshot()
    look = Look()
    visited = []
    for _ in range(4):
        look = steer(look, Action.NEXT, snapshot)
        visited.append(look.stream)
    assert visited == [1, 2, 0, 1]
    assert steer(Look(), Action.PREVIOUS, snapshot).stream == 2
    held = steer(look, Action.PAUSE, snapshot)
    assert held.held is snapshot.streams[1]
    assert steer(held, Action.PAUSE, snapshot).held is None and steer(held, Action.NEXT, snapshot).held is None
    for _ in range(9):
        look = steer(look, Action.LONGER, snapshot)
    assert look.zoom == 4
    for _ in range(9):
        look = steer(look, Action.SHORTER, snapshot)
    assert look.zoom == 0.25
    assert steer(steer(look, Action.HELP, snapshot), Action.HELP, snapshot) == look


def test_no_stream_no_harm():
    snapshot = Scene().snapshot()
    for action in Action:
        assert steer(Look(), action, snapshot).stream == 0


@pytest.fixture
def terminal():
    master, slave = pty.openpty()
    yield master, slave
    os.close(slave)
    os.close(master)


def test_the_terminal_is_given_back(terminal):
    master, slave = terminal
    before = termios.tcgetattr(slave)
    with Keyboard(slave) as keyboard:
        assert not termios.tcgetattr(slave)[3] & (termios.ECHO | termios.ICANON)
        assert keyboard.read() == []
        os.write(master, b"p\x1b[")
        assert keyboard.read(1.0) == [Action.PAUSE]
        os.write(master, b"C")
        assert keyboard.read(1.0) == [Action.NEXT]
    assert termios.tcgetattr(slave) == before
    with pytest.raises(RuntimeError), Keyboard(slave):
        raise RuntimeError
    assert termios.tcgetattr(slave) == before
