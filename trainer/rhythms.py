"""Rhythms by chance: the beats of a patient who has never been, when each comes, of what class and with which P wave.

Supraventricular beats alone, in pairs, in runs, in bigeminy, and as the leading rhythm where the sinus node is sick;
and, as the other side of it, irregular rhythms that are normal by class: fibrillation, lasting or in fast paroxysms,
flutter whose conduction changes, dropped beats in order and by chance, 2:1 block that comes and goes, sinus arrhythmia,
slow and quick changes of the rate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from monitor.events import CLASSES

Random = np.random.Generator
PWave = Literal["own", "none", "other"]

NORMAL, EARLY, VENTRICULAR = (CLASSES.index(name) for name in ("N", "S", "V"))

_SHORTEST_S = 0.3
"""RR interval; the node conducts no sooner, but in fast fibrillation."""
_SHORTEST_FIBRILLATION_S = 0.24

_FIBRILLATING, _FLUTTERING = 0.08, 0.08
"""Chances that a patient's atria do nothing else."""
_SICK = 0.4
"""Chance that a patient's sinus node is sick, if the atria do not fibrillate."""
_SICK_EPISODES = (3, 3, 12, 60)
"""How much oftener than any other episode an atrial focus leads then, one of these a patient: once in ten is too seldom
to be learnt, and in some it leads all the time."""
_FIBRILLATION_BESIDE = (0.0, 0.0, 0.08, 0.17)
"""Share of fibrillation beside it, one of these a patient: its beats have no P wave like the sinus node's and are N."""

_UNEVEN_FOCUS = (0.02, 0.06)
"""Range of the standard deviation of the logarithm of an atrial focus's intervals, while it leads."""
_PAUSES = 0.5
"""Chance, in an episode whose focus has a P wave of its own, that the sick sinus node pauses."""
_PAUSING = (0.1, 0.5)
"""Range of the standard deviation of the logarithm by which it is late then; it is never early."""
_LONGEST_PAUSE_S = 6.0
"""What a patient gets up from again."""
_LENGTHS = (20, 150)
"""Range of an episode's beats."""
_AT_SHORTEST = 0.5
"""Chance that fibrillation's intervals are the node's shortest and a little more, most of them, and longer now and
then; else they lie around their mean."""
_SHORTEST_OF_MEAN, _SHAPE = (0.6, 0.9), (0.6, 2.5)
"""Ranges of that shortest interval in the mean one, and of the shape of the gamma distribution of what is more."""
_SPREAD = (0.1, 0.3)
"""Range of the standard deviation of their logarithm otherwise."""
_PAROXYSM_S = (0.3, 0.6)
"""Range of a paroxysm's mean interval, s."""


@dataclass(frozen=True)
class RhythmBeat:
    """One beat of a rhythm."""

    label: int
    """Index of CLASSES."""
    rr: float
    """s since the beat before."""
    p: PWave = "own"
    """other: one of another origin in its place."""
    blocked: float = 0.0
    """s after the beat before, at which a P wave stands that is not conducted; 0: none does."""
    waves: float = 0.0
    """Waves of flutter since the beat before, with which the beats keep step; 0: the atria do not flutter."""


@dataclass(frozen=True)
class _Patient:
    """What holds through all of a patient's episodes."""

    ectopic: float
    """Chance of a supraventricular beat in sinus rhythm."""
    ventricular: float
    """Chance of a ventricular one."""
    other_p: PWave
    """P wave of supraventricular beats."""


Episode = Callable[[Random, _Patient, float, int], list[RhythmBeat]]
"""(rng, patient, RR interval in s, beats) → about so many beats."""


def drawn(rng: Random, seconds: float, *, ventricular: bool, fibrillating: bool = False) -> list[RhythmBeat]:
    """Episodes of rhythms after each other, ``seconds`` long and a little more.

    Args:
        rng: what everything is drawn from.
        seconds: s.
        ventricular: there may be ventricular beats.
        fibrillating: the patient's beats are from atrial fibrillation, so nothing else is drawn.
    """
    rr = 60.0 / rng.uniform(50, 105)
    ectopic = float(np.exp(rng.uniform(np.log(0.003), np.log(0.12))))
    fluttering = not fibrillating and rng.random() < _FLUTTERING
    fibrillating = fibrillating or rng.random() < _FIBRILLATING
    sick = rng.random() < _SICK
    paroxysms = rng.random() < 0.2
    other_p: PWave = "other" if rng.random() < 0.8 else "own"
    chance = float(rng.uniform(0.0, 0.12)) if ventricular and rng.random() < 0.6 else 0.0
    patient = _Patient(ectopic, chance, other_p)
    episodes: tuple[Episode, ...] = (_flutter,) if fluttering else (_fibrillation,)
    if not fluttering and not fibrillating:
        episodes = (*_EPISODES, *(_paroxysm, _paroxysm) * paroxysms)
        if sick:
            episodes += (_sick_sinus,) * int(rng.choice(_SICK_EPISODES))
            episodes += (_fibrillation,) * round(rng.choice(_FIBRILLATION_BESIDE) * len(episodes))
    out: list[RhythmBeat] = []
    while sum(beat.rr for beat in out) < seconds:
        rr = float(np.clip(rr * _about(rng, 0.08), 0.42, 1.3))
        length = int(rng.integers(*_LENGTHS))
        episode = episodes[int(rng.integers(len(episodes)))]
        out += episode(rng, patient, rr, length)
        if episode is _ramp:
            rr = out[-1].rr
    return out


def _about(rng: Random, spread: float) -> float:
    """A factor around 1, with this standard deviation of its logarithm."""
    return float(np.exp(rng.normal(0.0, spread)))


def _early(rr: float) -> float:
    return max(rr, _SHORTEST_S)


def _sinus(rng: Random, patient: _Patient, rr: float, length: int, ectopic: float) -> list[RhythmBeat]:
    """Sinus rhythm with breathing in it, and single or paired early beats."""
    out: list[RhythmBeat] = []
    depth, period, phase = rng.uniform(0.0, 0.1), rng.uniform(3.0, 6.0), rng.uniform(0.0, 6.3)
    at = 0.0
    for _ in range(length):
        value = rr * (1.0 + depth * float(np.sin(2 * np.pi * at / period + phase))) * _about(rng, 0.01)
        at += value
        chance = rng.random()
        if chance < ectopic:
            for k in range(int(rng.choice([1, 1, 1, 1, 2, 3]))):
                early = rng.uniform(0.45, 0.85 if k == 0 else 0.95)
                out.append(RhythmBeat(EARLY, _early(value * early), patient.other_p))
            out.append(RhythmBeat(NORMAL, value * rng.uniform(1.0, 1.4)))
        elif chance < ectopic + patient.ventricular:
            coupling = rng.uniform(0.45, 0.8)
            out.append(RhythmBeat(VENTRICULAR, _early(value * coupling)))
            out.append(RhythmBeat(NORMAL, value * (rng.uniform(1.9, 2.0) - coupling)))
        else:
            out.append(RhythmBeat(NORMAL, value))
    return out


def _ectopic_sinus(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    return _sinus(rng, patient, rr, length, patient.ectopic)


def _steady(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    return _sinus(rng, patient, rr, length, 0.0)


def _uneven(rng: Random, mean: float, length: int) -> list[float]:
    """Intervals of fibrillation, s."""
    if rng.random() < _AT_SHORTEST:
        shortest = mean * rng.uniform(*_SHORTEST_OF_MEAN)
        shape = rng.uniform(*_SHAPE)
        return [shortest + (mean - shortest) * float(rng.gamma(shape) / shape) for _ in range(length)]
    spread = rng.uniform(*_SPREAD)
    return [mean * _about(rng, spread) for _ in range(length)]


def _fibrillation(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    out: list[RhythmBeat] = []
    for value in _uneven(rng, rr, length):
        after = 1.0
        if rng.random() < patient.ventricular:
            out.append(RhythmBeat(VENTRICULAR, _early(0.6 * value)))
            after = 1.3
        out.append(RhythmBeat(NORMAL, max(after * value, _SHORTEST_FIBRILLATION_S), "none"))
    return out


def _paroxysm(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Fibrillation that is fast."""
    intervals = _uneven(rng, rng.uniform(*_PAROXYSM_S), length)
    return [RhythmBeat(NORMAL, max(value, _SHORTEST_FIBRILLATION_S), "none") for value in intervals]


def _flutter(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Every second to fifth of the atria's beats is conducted, and it changes now and then."""
    cycle, sticky = rng.uniform(0.19, 0.3), rng.uniform(0.0, 0.9)
    ratios = rng.dirichlet([0.6, 1.0, 1.0, 0.6])
    ratio = 3
    out: list[RhythmBeat] = []
    for _ in range(length):
        if rng.random() > sticky:
            ratio = int(rng.choice([2, 3, 4, 5], p=ratios))
        waves = float(ratio)
        if rng.random() < patient.ventricular:
            coupling = _early(0.6 * cycle * ratio)
            out.append(RhythmBeat(VENTRICULAR, coupling, waves=coupling / cycle))
            waves = 2.0 * ratio - coupling / cycle
        out.append(RhythmBeat(NORMAL, _early(cycle * waves * _about(rng, 0.015)), "none", waves=waves))
    return out


def _run(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Two to 250 supraventricular beats after each other."""
    out = _sinus(rng, patient, rr, 20, patient.ectopic)
    faster = rr * rng.uniform(0.5, 0.92)
    for k in range(int(np.exp(rng.uniform(np.log(2), np.log(250))))):
        out.append(RhythmBeat(EARLY, _early(faster * _about(rng, 0.02 if k else 0.06)), patient.other_p))
    out.append(RhythmBeat(NORMAL, rr * rng.uniform(1.0, 1.6)))
    return out


def _bigeminy(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Every second to fourth beat is early, by a half or by a twentieth."""
    period, early = int(rng.integers(1, 4)), rng.uniform(0.5, 0.95)
    out: list[RhythmBeat] = []
    for _ in range(length // (period + 1)):
        out += [RhythmBeat(NORMAL, rr * _about(rng, 0.02)) for _ in range(period - 1)]
        out.append(RhythmBeat(NORMAL, rr * rng.uniform(1.0, 1.25)))
        out.append(RhythmBeat(EARLY, _early(rr * early * _about(rng, 0.03)), patient.other_p))
    return out


def _sick_sinus(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    """An atrial focus leads, a slow sinus node comes in where it pauses."""
    slow, faster, few = rr * rng.uniform(1.1, 1.6), rr * rng.uniform(0.75, 1.0), rng.uniform(0.05, 0.5)
    uneven = rng.uniform(*_UNEVEN_FOCUS)
    pausing = rng.uniform(*_PAUSING) if patient.other_p == "other" and rng.random() < _PAUSES else 0.0
    out: list[RhythmBeat] = []
    for _ in range(length // 8):
        for _ in range(int(rng.geometric(few))):
            out.append(RhythmBeat(EARLY, _early(faster * _about(rng, uneven)), patient.other_p))
        for _ in range(int(rng.geometric(0.6))):
            pause = float(np.exp(abs(rng.normal(0.0, pausing))))
            out.append(RhythmBeat(NORMAL, min(slow * pause * _about(rng, 0.08), _LONGEST_PAUSE_S)))
    return out


def _dropped(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Every so many beats one is not conducted, the intervals before it growing or not (Wenckebach, Mobitz)."""
    every, grows = int(rng.integers(2, 12)), rng.uniform(0.0, 0.04)
    out: list[RhythmBeat] = []
    for k in range(length):
        dropped = k % every == every - 1
        out.append(RhythmBeat(NORMAL, rr * ((2.0 - grows * every) if dropped else 1.0 + grows * (k % every))))
    return out


def _dropped_by_chance(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    """The same without order, one by one or in stretches; the P wave that is not conducted is there."""
    share, sticky = rng.uniform(0.03, 0.6), rng.uniform(0.0, 0.9)
    dropped = False
    out: list[RhythmBeat] = []
    for _ in range(length):
        if rng.random() > sticky:
            dropped = rng.random() < share
        value = rr * _about(rng, 0.015)
        out.append(RhythmBeat(NORMAL, 2.0 * value, blocked=value) if dropped else RhythmBeat(NORMAL, value))
    return out


def _two_to_one(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Every other beat is not conducted, for a while, and then all are again."""
    out: list[RhythmBeat] = []
    for _ in range(length):
        value = rr * _about(rng, 0.015)
        out.append(RhythmBeat(NORMAL, 2.0 * value, blocked=value))
    return out + [RhythmBeat(NORMAL, rr * _about(rng, 0.02)) for _ in range(int(rng.integers(*_LENGTHS)))]


def _ramp(rng: Random, patient: _Patient, rr: float, length: int) -> list[RhythmBeat]:
    """The rate changes slowly, or not so slowly."""
    target = float(np.clip(rr * rng.uniform(0.6, 1.5), 0.4, 1.4))
    return [RhythmBeat(NORMAL, (rr + (target - rr) * k / length) * _about(rng, 0.015)) for k in range(length)]


_EPISODES: tuple[Episode, ...] = (
    _ectopic_sinus,
    _ectopic_sinus,  # twice as often as any other
    _run,
    _bigeminy,
    _dropped,
    _dropped_by_chance,
    _two_to_one,
    _flutter,
    _ramp,
    _steady,
)
"""Of any patient who does not fibrillate."""
