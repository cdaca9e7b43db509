"""Who may connect: CURVE keys of the server and of its clients, and the lists of who is let in.

A server's folder, made by ``ecg-monitor keys DIR``:

* ``server.key``, ``server.key_secret``: the server's pair; the secret one is nobody else's to read.
* ``clients/NAME.key``: public keys of those who may listen.
* ``control/NAME.key``: of those who may also acknowledge, silence and switch kinds off.
* ``for/NAME/``: what to hand to a client: its own pair and the server's public key.
"""

import stat
from collections.abc import Sequence
from pathlib import Path

import zmq
import zmq.auth
from msgspec import Struct

from monitor.errors import UserError

LISTEN, CONTROL = "clients", "control"
"""Folders of those who may, and names of the domains that they may enter."""
LOCAL = "local"
"""The client that every server has: its own dashboard."""
_SERVER, _CLIENT = "server", "client"


class Pair(Struct, frozen=True):
    """A key pair."""

    public: bytes
    secret: bytes


def make(folder: Path, clients: Sequence[str], *, control: bool) -> list[str]:
    """Makes what is not there yet; lines that say what was made.

    Args:
        folder: the server's.
        clients: names to make keys for.
        control: they may also control.

    Raises:
        UserError: the folder cannot be written to, or a client is there already.
    """
    said = []
    try:
        for part in (folder, folder / LISTEN, folder / CONTROL, folder / "for"):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / f"{_SERVER}.key_secret").exists():
            _pair(folder, _SERVER)
            said.append(f'{folder}: keys of a server; [security] keys = "{folder}" in its configuration uses them')
            _client(folder, LOCAL, control=True)
        for name in clients:
            if not name.isidentifier():
                raise UserError(f"keys: {name!r} is no name for a client; write letters, digits and _")
            if (folder / "for" / name).exists():
                raise UserError(f"keys: there is a client {name} already; remove {folder / 'for' / name} for new keys")
            _client(folder, name, control=control)
            right = "listen and control" if control else "listen"
            said.append(f"{folder / 'for' / name}: for {name}, who may {right}; hand it over by a safe way")
    except OSError as error:
        raise UserError(f"keys: {folder}: {error.strerror or error}") from error
    return said


def _pair(folder: Path, name: str) -> None:
    _, secret = zmq.auth.create_certificates(folder, name)
    Path(secret).chmod(0o600)


def _client(folder: Path, name: str, *, control: bool) -> None:
    own = folder / "for" / name
    own.mkdir(mode=0o700)
    _pair(own, _CLIENT)
    (own / f"{_SERVER}.key").write_bytes((folder / f"{_SERVER}.key").read_bytes())
    public = (own / f"{_CLIENT}.key").read_bytes()
    for part in (LISTEN, CONTROL) if control else (LISTEN,):
        (folder / part / f"{name}.key").write_bytes(public)


def of_server(folder: Path) -> Pair:
    """The server's pair.

    Raises:
        UserError: it is not there, or others may read it.
    """
    return _load(folder / f"{_SERVER}.key_secret", f"`ecg-monitor keys {folder}` makes it")


def of_client(folder: Path) -> tuple[Pair, bytes]:
    """A client's pair, and the public key of its server.

    Raises:
        UserError: they are not there, or others may read the secret one.
    """
    pair = _load(folder / f"{_CLIENT}.key_secret", "the server's owner makes it with `ecg-monitor keys`")
    try:
        return pair, zmq.auth.load_certificate(folder / f"{_SERVER}.key")[0]
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / f'{_SERVER}.key'}: no public key of the server") from error


def _load(path: Path, remedy: str) -> Pair:
    try:
        mode = path.stat().st_mode
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no key: {remedy}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(f"{path}: others may read this secret key (mode {mode & 0o777:o}); chmod 600 it")
    if secret is None:
        raise UserError(f"{path}: no secret key in it: {remedy}")
    return Pair(public, secret)
