"""Episodes of ventricular beats in order and in succession, as patients who have many of them have them.

Single ones are wherever the patient has any (``trainer.episodes``).
"""

import numpy as np

from trainer.episodes import (
    COUPLING,
    NORMAL,
    VENTRICULAR,
    Patient,
    Random,
    RhythmBeat,
    about,
    coupled,
    ectopic_sinus,
    sooner,
)

_OTHERS = (1, 4)
"""Range of the other beats between two ventricular ones, the second not reached: bigeminy to quadrigeminy."""
_UNEVEN, _COUPLING_SPREAD = 0.03, 0.03
"""Standard deviations of the logarithm of the others' interval, and of the ventricular beats'."""
_RUN_BEATS = (2, 25)
"""Range of a run's beats, the second not reached, short ones oftener."""
_BETWEEN = (1, 20)
"""Range of the beats between two runs, likewise."""
_INTERVAL, _SPREAD = (0.4, 1.1), (0.02, 0.15)
"""Ranges of a run's interval, in that of sinus rhythm: from tachycardia to what comes in where that is slow; and of the
standard deviation of its logarithm."""
_AFTER = (1.0, 1.6)
"""Range of the interval after a run, in that of sinus rhythm."""


def in_order(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Every second to fourth beat is ventricular, as long after the one before it as ever."""
    others, coupling = int(rng.integers(*_OTHERS)), rng.uniform(*COUPLING)
    out: list[RhythmBeat] = []
    for _ in range(length // (others + 1)):
        out += [RhythmBeat(NORMAL, rr * about(rng, _UNEVEN)) for _ in range(others - 1)]
        early, later = coupled(rng, rr, coupling * about(rng, _COUPLING_SPREAD))
        out += [RhythmBeat(VENTRICULAR, early), RhythmBeat(NORMAL, later)]
    return out


def in_runs(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Couplets and runs of ventricular beats among the others."""
    mean, spread = rr * rng.uniform(*_INTERVAL), rng.uniform(*_SPREAD)
    out: list[RhythmBeat] = []
    while len(out) < length:
        out += ectopic_sinus(rng, patient, rr, int(rng.integers(*_BETWEEN)))
        for _ in range(int(np.exp(rng.uniform(*np.log(_RUN_BEATS))))):
            out.append(RhythmBeat(VENTRICULAR, sooner(mean * about(rng, spread))))
        out.append(RhythmBeat(NORMAL, rr * rng.uniform(*_AFTER)))
    return out
