"""What several modules of trainings share."""

import pytest

from trainer import train
from trainer.pool import prepared


@pytest.fixture(scope="session")
def made():
    """Sequences that were prepared for one test, for the next: that they are the same each time is tested by itself."""
    return {}


@pytest.fixture
def prepared_once(monkeypatch, made):
    def once(wanted, protocol, settings, processes):
        key = (protocol.name, tuple(wanted))
        if key not in made:
            made[key] = prepared(wanted, protocol, settings, processes)
        return made[key]

    monkeypatch.setattr(train, "prepared", once)
