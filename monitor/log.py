"""What a stage has to say to whoever runs it: one JSON object a line, on standard error; and where the supervisor keeps
that of all stages.

Law: nobody ends because something could not be logged.
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

_LAST_WORDS = 12
"""Lines of a dead stage's log that are shown."""
MISTAKE = "ecg-monitor: "
"""How the last line of a process begins that could not do what a person asked for."""


def line(stage: str, what: str, **more: Any) -> str:
    """Wall clock (s since the Unix epoch), stage, what happened, and what belongs to it."""
    return json.dumps({"time": round(time.time(), 3), "stage": stage, "what": what, **more})


def say(stage: str, what: str, **more: Any) -> None:
    """One line on standard error, where it can be written."""
    with contextlib.suppress(OSError):
        print(line(stage, what, **more), file=sys.stderr, flush=True)


class Logbook:
    """One file a stage, in a folder, and one of the supervisor's own.

    Args:
        folder: for the files.
        echo: what is logged also goes to standard error.
    """

    def __init__(self, folder: Path, *, echo: bool = False) -> None:
        self._folder = folder
        self._echo = echo
        # What former lives have logged was told by them.
        self._told = {path.stem: path.stat().st_size for path in folder.glob("*.log")}

    def open(self, name: str) -> IO[bytes]:
        """A stage's file, to write its standard error to; nowhere, where there can be no such file."""
        try:
            return (self._folder / f"{name}.log").open("ab")
        except OSError:
            return Path("/dev/null").open("ab")

    def say(self, what: str, **more: Any) -> None:
        """A line of the supervisor's."""
        with contextlib.suppress(OSError), (self._folder / "supervisor.log").open("a") as log:
            print(line("supervisor", what, **more), file=log)

    def note_pid(self, name: str, pid: int) -> None:
        """``NAME.pid``, for whoever looks for the process."""
        with contextlib.suppress(OSError):
            (self._folder / f"{name}.pid").write_text(f"{pid}\n")

    def forward(self, names: Iterable[str]) -> None:
        """What has been logged since the last time, to standard error."""
        if not self._echo:
            return
        for name in ("supervisor", *names):
            path = self._folder / f"{name}.log"
            told = self._told.get(name, 0)
            with contextlib.suppress(OSError):
                if not path.exists() or path.stat().st_size <= told:
                    continue
                with path.open("rb") as log:
                    log.seek(told)
                    whole, _, _ = log.read().rpartition(b"\n")
                self._told[name] = told + len(whole) + 1 if whole else told
                for each in whole.splitlines():
                    if each.startswith(
                        b"{"
                    ):  # the rest is a traceback, or a line that ends the daemon and is told then
                        sys.stderr.write(each.decode("utf-8", "replace") + "\n")
        with contextlib.suppress(OSError):
            sys.stderr.flush()

    def mistake(self, name: str) -> str | None:
        """The line with which a stage ended, if it is a person's to mend; None: it is our own bug."""
        lines = self._lines(name)
        return lines[-1].removeprefix(MISTAKE) if lines and lines[-1].startswith(MISTAKE) else None

    def last_word(self, name: str) -> str:
        """The last line of a stage's log: of a traceback what went wrong."""
        return "".join(self._lines(name)[-1:])

    def last_words(self, name: str) -> str:
        """The end of a stage's log, each line after a line break and indented."""
        return "".join(f"\n  {each}" for each in self._lines(name)[-_LAST_WORDS:])

    def _lines(self, name: str) -> list[str]:
        path = self._folder / f"{name}.log"
        try:
            return path.read_text("utf-8", "replace").rstrip().splitlines()
        except OSError:
            return []
