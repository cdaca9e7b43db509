"""What several modules of trainings share."""

import pytest

from trainer import train
from trainer.pool import prepared


@pytest.fixture(scope="session")
def made_sequences():
    """Sequences that were prepared for one test, for the next: that they are the same each time is tested by itself."""
    return {}


@pytest.fixture
def prepared_once(monkeypatch, made_sequences):
    def once(wanted, protocol, settings, processes):
        key = (protocol, tuple(wanted))
        if key not in made_sequences:
            made_sequences[key] = prepared(wanted, protocol, settings, processes)
        return made_sequences[key]

    monkeypatch.setattr(train, "prepared", once)
