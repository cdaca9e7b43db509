"""What the tests of the whole daemon share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import listen, start

__all__ = ["listen", "start"]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder with a name that is short enough for sockets in it, whoever runs the tests and how."""
    with tempfile.TemporaryDirectory(prefix="ecg-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)
