"""Annotations for tests, written as ``100N 300~-1 500+(AFIB``: sample, code, subtype, note."""

import json
import re
from pathlib import Path

from trainer.annotations import Annotations, Mark

_MARK = re.compile(r"(\d+)(\D)(-?\d*)(\(\w+)?")


def annotations(text: str, fs: float = 360.0, length: int = 1_000_000) -> Annotations:
    marks = []
    for word in text.split():
        sample, symbol, subtype, note = _MARK.fullmatch(word).groups()
        marks.append(Mark(int(sample), symbol, int(subtype or 0), note or ""))
    return Annotations(fs, length, tuple(marks))


def bxb_cases() -> list[dict]:
    """What WFDB's own programs count (tests/bxb_cases.py)."""
    return json.loads((Path(__file__).parent / "unit/ec57_cases.json").read_text())


def both(case: dict) -> tuple[Annotations, Annotations]:
    reference, test = (annotations(case[one], case["fs"], case["length"]) for one in ("reference", "test"))
    return reference, test
