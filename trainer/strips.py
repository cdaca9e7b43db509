"""Recordings without beat annotations whose rhythm is known: what a beat of theirs is not.

challenge2017 says of each of its strips, half a minute or a minute long, whether it is normal or fibrillates.
challenge2015 says nothing of rhythms, but who fibrillates there was told by eye (``trainer.told_by_eye``): in these
five minutes it can be learnt how fibrillation goes on in one patient. Where the rhythm is normal or fibrillation, a
beat that looks like the others is N; of the rest nothing is claimed.
"""

import csv
from typing import Literal, NamedTuple

from monitor.config import Settings
from replay import physionet
from trainer.told_by_eye import FIBRILLATING

STRIPS = "challenge2017"
"""The database of the strips; its files end with …"""
STRIPS_SUFFIX = ".mat"
""".. this."""
_LEADS = (0, 1)
"""Of challenge2015."""

Rhythm = Literal["normal", "fibrillation"]
_RHYTHMS: dict[str, Rhythm] = {"N": "normal", "A": "fibrillation"}
"""By challenge2017's classes; "O", others, may have any beats, and "~" is noise."""


class Strip(NamedTuple):
    """One lead of such a recording."""

    record: str
    lead: int
    rhythm: Rhythm


def strips(settings: Settings) -> list[Strip]:
    """All of them."""
    table = physionet.locate(f"{STRIPS}/A00001", settings.data).parent / "REFERENCE.csv"
    with table.open(newline="") as file:
        found = [Strip(f"{STRIPS}/{name}", 0, _RHYTHMS[label]) for name, label in csv.reader(file) if label in _RHYTHMS]
    return found + [Strip(record, lead, "fibrillation") for record in FIBRILLATING for lead in _LEADS]


def is_strip(record: str) -> bool:
    """Whether a recording is one of them."""
    return record.startswith(f"{STRIPS}/") or record in FIBRILLATING


def is_short(record: str) -> bool:
    """Whether it is over before much is usual for its patient."""
    return record.startswith(f"{STRIPS}/")
