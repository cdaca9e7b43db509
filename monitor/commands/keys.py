"""``ecg-monitor keys``: the keys of a server and of its clients."""

from collections.abc import Sequence
from pathlib import Path

from monitor.link.keys import make


def keys(folder: Path, clients: Sequence[str], *, control: bool) -> int:
    """Makes what is not there yet, and says what it made; 0.

    Raises:
        UserError: it cannot.
    """
    for line in make(folder.absolute(), clients, control=control) or ["nothing to make: the server has its keys"]:
        print(line)
    return 0
