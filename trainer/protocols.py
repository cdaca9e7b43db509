"""What trains, validates and tests: patients apart, or the beats of all patients apart.

DS1 and DS2 are de Chazal's parting of MIT-BIH (2004, 10.1109/TBME.2004.827359); the paced records are in neither.
Checkpoints and thresholds are chosen on patients held out from DS1; DS2 is looked at once, at the end.

Records 201 and 202, one in either half, are of the same man: 202's header says that it is from the same tape.
``between-patients`` has both, as everybody's figures have, and is told without 202 as well. ``between-patients-strict``
does not learn from 201; what ships and what svdb's parts test goes on from its weights (docs/decisions/0012).

svdb's 826, whose reference calls early beats with another P wave N, is not learnt from anywhere; it tests as any other.

``within-patients`` is the easy question that much of the literature asks: the beats of all records are parted at
random, so that every patient is on both sides. ``within-patients-rebalanced`` is the same of fewer normal beats. Every
beat is seen in its order; the loss counts training beats only, the score test beats only.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from monitor.events import CLASSES, BeatClass
from trainer.dataset import UNKNOWN, Ints, Recording

Mask = npt.NDArray[np.bool_]

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


SVDB = tuple(f"svdb/{n}" for n in (*range(800, 813), *range(820, 830), *range(840, 895)) if n % 2 == 0)
"""The even half of svdb; the odd half is kept aside."""
SAME_MAN = ("mitdb/201", "mitdb/202")
"""The first is in DS1, the second in DS2."""
_LENDERS = tuple(f"mitdb/{record}" for record in DS1 if f"mitdb/{record}" not in SAME_MAN)
_CONTRADICTORY = ("svdb/826",)
"""Some 400 of its beats come early, with another P wave, and are N: docs/decisions/0016."""
_LEARNT_SVDB = tuple(record for record in SVDB if record not in _CONTRADICTORY)


@dataclass(frozen=True)
class BeatSplit:
    """A random parting of the beats of every record."""

    test: float = 0.22
    """Share of the beats of every class."""
    normal: float = 1.0
    """Share of the beats of class N that take part at all, in training or test."""
    seed: int = 42

    def parts(self, record: str, labels: Ints) -> tuple[Mask, Mask]:
        """Which of a record's reference beats [beat] train, and which test; ``labels`` are indices of CLASSES."""
        digits = [int(c) for c in record if c.isdigit()]
        rng = np.random.default_rng([self.seed, *digits])
        tests = rng.random(len(labels)) < self.test
        takes_part = (labels != CLASSES.index(BeatClass.N)) | (rng.random(len(labels)) < self.normal)
        return takes_part & ~tests, takes_part & tests


@dataclass(frozen=True)
class Protocol:
    """Records by their use, as ``database/record``."""

    name: str
    train: tuple[str, ...]
    validate: tuple[str, ...]
    """Patients to choose by; a final training, its recipe chosen, learns from them too."""
    test: tuple[str, ...]
    composed: bool = True
    """Learn from rhythms composed of the training patients' beats too."""
    strips: bool = True
    """Learn from challenge2017's strips, which have no beat annotations, too."""
    beats: BeatSplit | None = None
    """Where beats, not patients, are parted."""
    lend: tuple[str, ...] = _LENDERS
    """Who lends to composed rhythms, if learnt from: DS1, its 201 where DS1 is all that is learnt; so what is composed
    of a patient is the same in every other protocol that has all of them."""

    @property
    def lenders(self) -> tuple[str, ...]:
        """Who of the training patients lends to composed rhythms."""
        return tuple(record for record in self.train if record in self.lend)

    def final(self) -> "Protocol":
        """The same with nothing held out but what tests."""
        return replace(
            self, name=f"{self.name}, final", train=tuple(sorted({*self.train, *self.validate})), validate=()
        )

    def shown(self, recording: Recording) -> Recording:
        """The recording with the labels that may be learnt from; the others are UNKNOWN."""
        if self.beats is None:
            return recording
        learnt, _ = self.beats.parts(recording.record, recording.labels)
        return replace(recording, labels=np.where(learnt, recording.labels, UNKNOWN))

    def tested(self, record: str, labels: Ints) -> Mask:
        """[beat]: which reference beats of a record the score counts; ``labels`` are indices of CLASSES."""
        if self.beats is None:
            return np.ones(len(labels), dtype=np.bool_)
        return self.beats.parts(record, labels)[1]


def _mitdb(records: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"mitdb/{record}" for record in records)


# Held out from DS1 to choose by: one patient with atrial fibrillation and many V (203), one with S in sinus rhythm
# (209), one with V runs and S (223), one noisy and paroxysmal (108), one quiet (124).
_HELD_OUT = ("108", "124", "203", "209", "223")

_BETWEEN = Protocol(
    "between-patients",
    train=_mitdb(tuple(r for r in DS1 if r not in _HELD_OUT)),
    validate=_mitdb(_HELD_OUT),
    test=_mitdb(DS2),
    lend=_mitdb(DS1),
)
_STRICT = replace(
    _BETWEEN,
    name="between-patients-strict",
    train=tuple(record for record in _BETWEEN.train if record not in SAME_MAN),
    lend=_LENDERS,
)

_PARTS = 4


def _svdb(part: int) -> Protocol:
    """One part of svdb's even half, learnt from the other three and all of MIT-BIH."""
    test = SVDB[part - 1 :: _PARTS]
    train = (*_mitdb(MITDB), *(record for record in _LEARNT_SVDB if record not in test))
    return Protocol(f"svdb-{part}", train, (), test)


_WITHIN = Protocol("within-patients", _mitdb(MITDB), (), _mitdb(MITDB), composed=False, strips=False, beats=BeatSplit())
_FEW_N = 10_000 / 90_631
"""N beats of the rebalanced task, of all that the 48 records have."""

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        _BETWEEN,
        _STRICT,
        replace(_STRICT, name="between-patients-strict+svdb", train=(*_STRICT.train, *_LEARNT_SVDB)),
        *(_svdb(part) for part in range(1, _PARTS + 1)),
        _WITHIN,
        replace(_WITHIN, name="within-patients-rebalanced", beats=BeatSplit(test=0.3, normal=_FEW_N)),
        # What ships: nothing is left to test on.
        Protocol("everything", train=(*_mitdb(MITDB), *_LEARNT_SVDB), validate=(), test=()),
    )
}
