"""``DATABASE/RECORD``: looked for in the folders of ``data.path``, then in the cache, then fetched from PhysioNet.

Laws: what is in the cache under its own name is whole and has the SHA-256 that PhysioNet publishes for it (files
arrive under another name, the header last); nothing is written outside of the cache; every failure is one line.
"""

import hashlib
import http.client
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import platformdirs

from monitor.config import DataSettings
from monitor.errors import UserError

Progress = Callable[[str, int, int | None], None]
"""``progress(name, done_bytes, total_bytes)``; the total is None where the server does not say."""

SUMS = "SHA256SUMS.txt"

BLOCK = 1 << 16
"""Bytes read at once: small enough for a moving bar, large enough to cost nothing."""

LARGEST_TEXT = 1 << 26
"""Bytes of a header or list of sums; PhysioNet's longest list is smaller, and memory is not the server's to fill."""

BAR = 30
"""Columns of the progress bar: with the name and the percentage it fits into 60."""

# One component of a name: never "..", never a hidden or an absolute path.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def cache() -> Path:
    """Where fetched records are kept."""
    return platformdirs.user_cache_path("ecg-monitor")


def folders(data: DataSettings) -> list[Path]:
    """The folders that are searched, the cache last where ``data.path`` does not say where."""
    found = [Path(entry.replace("{cache}", str(cache()))).expanduser() for entry in data.path]
    return found if cache() in found else [*found, cache()]


def find(name: str, data: DataSettings) -> Path | None:
    """The record ``DATABASE/RECORD`` on this machine, without extension.

    Raises:
        UserError: that is no name of a record.
    """
    database, record = _split(name)
    for folder in folders(data):
        path = folder / database / record
        if Path(f"{path}.hea").is_file():
            return path
    return None


def locate(name: str, data: DataSettings, progress: Progress | None = None) -> Path:
    """The same, fetched if need be.

    Raises:
        UserError: it is nowhere to be had.
    """
    return find(name, data) or fetch(name, data, progress)


def fetch(name: str, data: DataSettings, progress: Progress | None = None) -> Path:
    """Fetch header, signals and reference annotations of ``DATABASE/RECORD`` from PhysioNet into the cache.

    Returns:
        The record's path, without extension.

    Raises:
        UserError: unknown database or record, no network, a wrong checksum, a cache that cannot be written.
    """
    database, record = _split(name)
    tried = ", ".join(str(folder) for folder in folders(data))
    if database not in data.versions:
        known = ", ".join(data.versions)
        raise UserError(
            f"replay:{name}: not in {tried}, and no database {database} is known to be fetched from ({known}); "
            f"add it to data.versions, or write replay:./{name} for a file"
        )
    server = _Server(name, database, data, tried)
    sums = _sums(server.text(SUMS))
    header = f"{record}.hea"
    if header not in sums:
        raise UserError(f"replay:{name}: {server.url} has no such record; its file RECORDS lists those there are")
    target = cache() / database
    text = server.text(header, sums[header])
    folder = "".join(record.rpartition("/")[:2])
    signals = [f"{folder}{file}" for file in _signal_files(name, text)]
    annotations = [f"{record}.atr"] if f"{record}.atr" in sums else []
    for file in (*signals, *annotations):
        if file not in sums:
            raise UserError(f"replay:{name}: {server.url}{SUMS} does not list {file}, so it cannot be trusted")
        server.keep(file, target / file, sums[file], progress)
    with _arriving(target / header) as out:
        out.write_bytes(text)
    return target / record


def bar(out: TextIO) -> Progress:
    """A progress callback that draws one line on a terminal."""
    shown = ""

    def show(name: str, done: int, total: int | None) -> None:
        nonlocal shown
        if total:
            full = min(BAR, BAR * done // total)
            line = f"\r{name[-16:]:<16} [{'#' * full}{'.' * (BAR - full)}] {min(100, 100 * done // total):3d} %"
        else:
            line = f"\r{name[-16:]:<16} {done / 1e6:.1f} MB"
        if line != shown:
            shown = line
            out.write(line + ("\n" if done == total else ""))
            out.flush()

    return show


class _Server:
    """One published database, and what to say when it does not answer."""

    def __init__(self, name: str, database: str, data: DataSettings, tried: str) -> None:
        self.url = data.url.replace("{database}", database).replace("{version}", data.versions[database])
        self._name = name
        self._tried = tried
        self._timeout = data.timeout_s

    def text(self, file: str, expected: str | None = None) -> bytes:
        """A small file, whole."""
        content = b""
        for block, _ in self._blocks(file):
            content += block
            if len(content) > LARGEST_TEXT:
                raise UserError(f"replay:{self._name}: {self.url}{file} does not end; is data.url PhysioNet's?")
        if expected is not None:
            self._verify(file, hashlib.sha256(content).hexdigest(), expected)
        return content

    def keep(self, file: str, path: Path, expected: str, progress: Progress | None) -> None:
        """Fetch a file to ``path``; it is not there before it is whole and right."""
        with _arriving(path) as arriving:
            digest, done = hashlib.sha256(), 0
            with arriving.open("wb") as out:
                for block, total in self._blocks(file):
                    out.write(block)
                    digest.update(block)
                    done += len(block)
                    if progress is not None:
                        progress(path.name, done, total)
            self._verify(file, digest.hexdigest(), expected)

    def _verify(self, file: str, digest: str, expected: str) -> None:
        if digest != expected:
            raise UserError(
                f"replay:{self._name}: {self.url}{file} came with SHA-256 {digest[:12]}…, but {expected[:12]}… is "
                "published; nothing was kept, try again"
            )

    def _blocks(self, file: str) -> Iterator[tuple[bytes, int | None]]:
        """A file's content in blocks, each with the length of the whole."""
        try:
            with urllib.request.urlopen(f"{self.url}{file}", timeout=self._timeout) as answer:
                length = answer.headers.get("Content-Length", "")
                total = int(length) if length.isdigit() else None
                while block := answer.read(BLOCK):
                    yield block, total
        except urllib.error.HTTPError as error:
            with error:
                raise self._unanswered(f"{self.url}{file} answers {error.code} {error.reason}") from error
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
            reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
            raise self._unanswered(f"{self.url} does not answer ({reason})") from error

    def _unanswered(self, what: str) -> UserError:
        return UserError(
            f"replay:{self._name}: not in {self._tried}, and {what}; name its folder in data.path, "
            "or watch replay:demo, which needs no network"
        )


@contextmanager
def _arriving(path: Path) -> Iterator[Path]:
    """A file beside ``path`` that takes its name when all went well, and is gone when not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as out:
            arriving = Path(out.name)
        try:
            yield arriving
            arriving.replace(path)
        finally:
            arriving.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}; is the cache's disk full?") from error


def _split(name: str) -> tuple[str, str]:
    parts = name.split("/")
    if len(parts) < 2 or not all(_NAME.fullmatch(part) for part in parts):
        raise UserError(f"replay:{name}: no name of a record; write DATABASE/RECORD, such as replay:mitdb/208")
    return parts[0], "/".join(parts[1:])


def _sums(text: bytes) -> dict[str, str]:
    """File → SHA-256, from the lines of sha256sum."""
    words = (line.split(maxsplit=1) for line in text.decode("utf-8", "replace").splitlines())
    return {pair[1].lstrip("*"): pair[0].lower() for pair in words if len(pair) == 2}


def _signal_files(name: str, header: bytes) -> list[str]:
    """The files that a header takes its signals from."""
    lines = [line.split() for line in header.decode("utf-8", "replace").splitlines()]
    lines = [words for words in lines if words and not words[0].startswith("#")]
    if not lines or "/" in lines[0][0]:
        raise UserError(f"replay:{name}: a record of several segments; download it, and write replay:PATH")
    files = list(dict.fromkeys(words[0] for words in lines[1:]))
    for file in files:
        if not _NAME.fullmatch(file):
            raise UserError(
                f"replay:{name}: its header names the file {file!r}, which is none; is data.url PhysioNet's?"
            )
    return files
