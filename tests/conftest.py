"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest

from monitor.config import Settings, load

# A shell that starts the tests in the background has them ignore Ctrl-C, and every process that they start with them.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The shipped settings."""
    return load()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the PhysioNet databases; its tests are skipped without it, except in CI, where they fail."""
    folder = Path(__file__).resolve().parents[1] / "../shared/data"
    if not (folder / "mitdb").is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"no recordings in {folder}")
        pytest.skip(f"no recordings in {folder}")
    return folder.resolve()
