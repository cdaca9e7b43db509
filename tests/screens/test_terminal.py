"""The screen loop in a real terminal: a child process draws into a pty, and the terminal is as it was afterwards."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

CHILD = """
import sys
from rich.console import Console
from scenes import SETTINGS, Scene
from monitor.dashboard.keys import Keyboard
from monitor.dashboard.screen import run_screen

mode = sys.argv[1]
scene = Scene()
scene.open("bed 1")
scene.open("bed 2")
rounds = 0

def receive(timeout):
    global rounds
    rounds += 1
    if rounds > 5 and mode == "crash":
        raise ConnectionError("the link broke")
    if rounds > 5 and mode == "end":
        return None
    scene.run(0.1)
    time.sleep(timeout)
    return []

import time

class Orders:
    def ask(self, action, view):
        pass
    def heard(self):
        return ""

try:
    reason = run_screen(scene.fold, receive, SETTINGS, Console(), Keyboard(0), Orders(), wall=lambda: scene.now)
except ConnectionError as error:
    print("error:", error)
except KeyboardInterrupt:
    print("interrupted")
else:
    print("left:", reason.name)
"""
ENTER, LEAVE, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
ROOT = Path(__file__).parents[2]
PATIENCE_S = 20


class Terminal:
    def __init__(self, mode, columns=80, rows=24):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.resize(columns, rows)
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, mode], stdin=self.slave, stdout=self.slave, stderr=self.slave,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "PYTHONPATH": paths, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        self.seen = b""

    def resize(self, columns, rows):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, wanted):
        """Reads until ``wanted`` has come; what came up to it is forgotten. Returns that."""
        deadline = time.monotonic() + PATIENCE_S
        while wanted not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted!r} did not come; last seen: {self.seen[-500:]!r}"
            if select.select([self.master], [], [], left)[0]:
                self.seen += os.read(self.master, 65536)
        head, _, self.seen = self.seen.partition(wanted)
        return head

    def press(self, keys):
        os.write(self.master, keys)

    def is_as_before(self):
        self.process.wait(PATIENCE_S)
        return self.process.returncode == 0 and termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def start():
    terminals = []

    def begin(mode, **size):
        terminals.append(Terminal(mode, **size))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def test_q_leaves_and_gives_the_terminal_back(start):
    terminal = start("run")
    terminal.until(ENTER)
    terminal.until(b"ECG-MONITOR")
    assert termios.tcgetattr(terminal.slave) != terminal.before
    terminal.press(b"\t")
    terminal.until(b"2/2")
    terminal.press(b"q")
    assert SHOW_CURSOR in terminal.until(LEAVE) + terminal.until(b"left: QUIT")
    assert terminal.is_as_before()


@pytest.mark.parametrize(("mode", "words"), [("crash", b"error: the link broke"), ("end", b"left: ENDED")])
def test_an_error_or_the_end_gives_the_terminal_back(start, mode, words):
    terminal = start(mode)
    terminal.until(ENTER)
    assert SHOW_CURSOR in terminal.until(LEAVE) + terminal.until(words)
    assert terminal.is_as_before()


def test_ctrl_c_gives_the_terminal_back(start):
    terminal = start("run")
    terminal.until(b"ECG-MONITOR")
    os.kill(terminal.process.pid, signal.SIGINT)
    terminal.until(LEAVE)
    terminal.until(b"interrupted")
    assert terminal.is_as_before()


def test_the_picture_follows_the_size_of_the_terminal(start):
    terminal = start("run")
    terminal.until(b"STAGES")
    terminal.resize(50, 12)
    terminal.until("terminal too small: 50×12, at least 60×18 needed".encode())
    terminal.resize(130, 40)
    terminal.until(b"RR INTERVALS")
    terminal.press(b"q")
    terminal.until(b"left: QUIT")
    assert terminal.is_as_before()
