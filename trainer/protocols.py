"""Which patients train, validate and test.

DS1 and DS2 are de Chazal's parting of MIT-BIH (2004, 10.1109/TBME.2004.827359); the paced records are in neither.
Checkpoints and thresholds are chosen on patients held out from DS1; DS2 is looked at once, at the end.
"""

from dataclasses import dataclass

DS1 = (
    "101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122",
    "124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230",
)  # fmt: skip
DS2 = (
    "100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210",
    "212", "213", "214", "219", "221", "222", "228", "231", "232", "233", "234",
)  # fmt: skip
PACED = ("102", "104", "107", "217")
MITDB = tuple(sorted(DS1 + DS2 + PACED))


@dataclass(frozen=True)
class Protocol:
    """Records by their use, as ``database/record``."""

    name: str
    train: tuple[str, ...]
    validate: tuple[str, ...]
    """Patients to choose by; a final training, its recipe chosen, learns from them too."""
    test: tuple[str, ...]

    def final(self) -> "Protocol":
        """The same with nothing held out but the test patients."""
        return Protocol(f"{self.name}, final", tuple(sorted(self.train + self.validate)), (), self.test)


def _mitdb(records: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"mitdb/{record}" for record in records)


# Held out from DS1 to choose by: one patient with atrial fibrillation and many V (203), one with S in sinus rhythm
# (209), one with V runs and S (223), one noisy and paroxysmal (108), one quiet (124).
_HELD_OUT = ("108", "124", "203", "209", "223")

PROTOCOLS = {
    "between-patients": Protocol(
        "between-patients",
        train=_mitdb(tuple(r for r in DS1 if r not in _HELD_OUT)),
        validate=_mitdb(_HELD_OUT),
        test=_mitdb(DS2),
    ),
}
