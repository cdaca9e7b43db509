"""Episodes of a rhythm by chance: the beats of a patient, when each comes, of what class and with which P wave.

Supraventricular beats alone, in pairs, in runs, in bigeminy, and as the leading rhythm where the sinus node is sick;
and, as the other side of it, irregular rhythms that are normal by class: fibrillation, flutter whose conduction
changes, dropped beats in order and by chance, one or several at a time, a sinus node that pauses as if a focus led in
between, sinus arrhythmia, slow and quick changes of the rate.
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
LENGTHS = (20, 150)
"""Range of an episode's beats."""
_AT_SHORTEST = 0.5
"""Chance that fibrillation's intervals, if they are drawn, are the node's shortest and a little more, most of them, and
longer now and then; else they lie around their mean."""
_SHORTEST_OF_MEAN, _SHAPE = (0.6, 0.9), (0.6, 2.5)
"""Ranges of that shortest interval in the mean one, and of the shape of the gamma distribution of what is more."""
_SPREAD = (0.1, 0.3)
"""Range of the standard deviation of their logarithm otherwise."""
_OWN_RATE, _ABOUT_IT = 0.5, 0.1
"""Chance that a recording's intervals come at about its own rate, since how uneven they are goes with it; and the
standard deviation of the logarithm of what they are changed by then."""
_PAROXYSM_S, _FAST_S = (0.3, 0.6), 0.7
"""Range of a paroxysm's mean interval, s, and the mean up to which a recording's are lent to one."""
_FLUTTER_S, _STICKY_FLUTTER = (0.19, 0.3), (0.0, 0.9)
"""Ranges of the atria's cycle in flutter, s, and of the chance that the conduction stays as it is."""
_RATIOS, _RATIO_WEIGHTS = (2, 3, 4, 5), (0.6, 1.0, 1.0, 0.6)
"""Cycles to a conducted beat, and the parameters of the Dirichlet distribution of how often each is."""
_SLOWING = (0.0, 0.5)
"""Range of the delay in the node of what is conducted 2:1, beyond that after a long time, in cycles of flutter."""
_SEEN = 0.7
"""Chance that beats dropped in order leave their P waves."""
_SHRINKS = (0.0, 0.015)
"""Range of the share by which intervals shrink from beat to beat before one that is dropped unseen."""
_SHARE_DROPPED, _STICKY_DROPPED = (0.03, 0.6), (0.0, 0.9)
"""Ranges of the chance that a beat is dropped, where it is by chance, and that it goes on as it is."""
_MORE_DROPPED = (0.0, 0.5)
"""Range of the chance that after a dropped beat the next is dropped too."""
_RUN = (2, 250)
"""Range of a run's beats, whose logarithm is uniform."""
_FASTER, _CLEARLY_FASTER = (0.5, 0.92), (0.55, 0.8)
"""Ranges of a run's interval, in that of sinus rhythm; the second with a P wave that single beats do not tell from the
sinus node's: it is no change of rate."""
_BIGEMINY, _PAUSE = (0.6, 0.95), (1.0, 1.15)
"""Ranges of the early interval, and of the one after it, in bigeminy and the like, in that of sinus rhythm; and …"""
_OWN_BIGEMINY, _OWN_PAUSE = (0.65, 0.82), (1.0, 1.1)
"""… with that P wave: twice as long would be a dropped beat, less early one that breathing makes."""
_EARLY_SINUS, _EARLY_AFTER, _OWN_AFTER = (0.45, 0.85), (0.45, 0.95), (0.45, 0.85)
"""Ranges of the interval of a supraventricular beat in sinus rhythm, in that of the latter; of the ones that follow it;
and of these with that P wave."""
_UNEVEN_FOCUS = (0.02, 0.06)
"""Range of the standard deviation of the logarithm of an atrial focus's intervals, while it leads."""
_PAUSES = 0.5
"""Chance, in an episode of a focus, that the sick sinus node pauses."""
_PAUSING = (0.1, 0.5)
"""Range of the standard deviation of the logarithm by which it is late then; it is never early."""
_BETWEEN_PAUSES, _PAUSES_ON = (0.05, 0.3), 0.6
"""Range of the chance that a pause follows a beat, and the chance that no other pause follows a pause."""
COUPLING = (0.45, 1.0)
"""Range of the interval of a ventricular beat, in that of the others: it need not be early."""
_TOGETHER = (1.9, 2.0)
"""Range of it and the next one together: the sinus node goes on meanwhile."""
_SHORTEST_PAUSE = 1.8
"""Of it then, in its intervals."""
_LONGEST_PAUSE_S = 6.0
"""What a patient gets up from again."""


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
    """s after the beat before, at which a P wave stands that is not conducted, and again at this distance while there
    is room; 0: none does."""
    waves: float = 0.0
    """Waves of flutter since the beat before, with which the beats keep step; 0: the atria do not flutter."""


@dataclass(frozen=True)
class Patient:
    """What holds through all of a patient's episodes."""

    ectopic: float
    """Chance of a supraventricular beat in sinus rhythm."""
    ventricular: float
    """Chance of a ventricular one."""
    other_p: PWave
    """P wave of supraventricular beats."""
    tells: bool = True
    """It can be told from the sinus node's at every beat."""
    in_bigeminy: bool = False
    """Much of the time, so that it can be told among many."""
    seen: bool = True
    """The sinus node's P wave is: where nothing follows it a beat was dropped."""
    intervals: tuple[float, ...] = ()
    """Of a recorded fibrillation, s, in their order; empty: they are drawn."""


Episode = Callable[[Random, Patient, float, int], list[RhythmBeat]]
"""(rng, patient, RR interval in s, beats) → about so many beats."""


def about(rng: Random, spread: float) -> float:
    """A factor around 1, with this standard deviation of its logarithm."""
    return float(np.exp(rng.normal(0.0, spread)))


def sooner(rr: float) -> float:
    """An interval, s, that is as short as any at the least."""
    return max(rr, _SHORTEST_S)


def coupled(rng: Random, value: float, coupling: float) -> tuple[float, float]:
    """Intervals, s, of a ventricular beat after ``coupling`` times that of the others, and of the next beat."""
    early = sooner(coupling * value)
    return early, rng.uniform(*_TOGETHER) * value - early


def _sinus(rng: Random, patient: Patient, rr: float, length: int, ectopic: float) -> list[RhythmBeat]:
    """Sinus rhythm with breathing in it, and single or paired early beats."""
    out: list[RhythmBeat] = []
    depth, period, phase = rng.uniform(0.0, 0.1), rng.uniform(3.0, 6.0), rng.uniform(0.0, 6.3)
    at = 0.0
    for _ in range(length):
        value = rr * (1.0 + depth * float(np.sin(2 * np.pi * at / period + phase))) * about(rng, 0.01)
        at += value
        chance = rng.random()
        if chance < ectopic:
            after = _EARLY_AFTER if patient.tells else _OWN_AFTER
            for k in range(int(rng.choice([1, 1, 1, 1, 2, 3]))):
                early = rng.uniform(*(_EARLY_SINUS if k == 0 else after))
                out.append(RhythmBeat(EARLY, sooner(value * early), patient.other_p))
            out.append(RhythmBeat(NORMAL, value * rng.uniform(1.0, 1.4)))
        elif chance < ectopic + patient.ventricular:
            early, later = coupled(rng, value, rng.uniform(*COUPLING))
            out += [RhythmBeat(VENTRICULAR, early), RhythmBeat(NORMAL, later)]
        else:
            out.append(RhythmBeat(NORMAL, value))
    return out


def ectopic_sinus(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    return _sinus(rng, patient, rr, length, patient.ectopic)


def steady(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    return _sinus(rng, patient, rr, length, 0.0)


def _drawn(rng: Random, mean: float, length: int) -> list[float]:
    """Intervals of fibrillation, s."""
    if rng.random() < _AT_SHORTEST:
        shortest = mean * rng.uniform(*_SHORTEST_OF_MEAN)
        shape = rng.uniform(*_SHAPE)
        return [shortest + (mean - shortest) * float(rng.gamma(shape) / shape) for _ in range(length)]
    spread = rng.uniform(*_SPREAD)
    return [mean * about(rng, spread) for _ in range(length)]


def _recorded(rng: Random, intervals: tuple[float, ...], mean: float, length: int) -> list[float]:
    """A recording's intervals from one of them on, s, with this mean."""
    first = int(rng.integers(len(intervals)))
    scale = mean / float(np.mean(intervals))
    return [scale * intervals[(first + k) % len(intervals)] for k in range(length)]


def fibrillation(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    if patient.intervals:
        mean = float(np.mean(patient.intervals)) * about(rng, _ABOUT_IT) if rng.random() < _OWN_RATE else rr
        intervals = _recorded(rng, patient.intervals, mean, length)
    else:
        intervals = _drawn(rng, rr, length)
    out: list[RhythmBeat] = []
    for value in intervals:
        later = value
        if rng.random() < patient.ventricular:
            early, later = coupled(rng, value, rng.uniform(*COUPLING))
            out.append(RhythmBeat(VENTRICULAR, early, "none"))
        out.append(RhythmBeat(NORMAL, max(later, _SHORTEST_FIBRILLATION_S), "none"))
    return out


def paroxysm(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Fibrillation that is fast."""
    mean = rng.uniform(*_PAROXYSM_S)
    if patient.intervals and float(np.mean(patient.intervals)) < _FAST_S:
        intervals = _recorded(rng, patient.intervals, mean, length)
    else:
        intervals = _drawn(rng, mean, length)
    return [RhythmBeat(NORMAL, max(value, _SHORTEST_FIBRILLATION_S), "none") for value in intervals]


def flutter(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Every second to fifth of the atria's beats is conducted, and it changes now and then; the sooner after another,
    the more slowly, as a node does that has hardly recovered."""
    cycle, sticky = rng.uniform(*_FLUTTER_S), rng.uniform(*_STICKY_FLUTTER)
    ratios = rng.dirichlet(_RATIO_WEIGHTS)
    slowing = rng.uniform(*_SLOWING)
    ratio, delay = 3, 0.0
    out: list[RhythmBeat] = []
    for _ in range(length):
        if rng.random() > sticky:
            ratio = int(rng.choice(_RATIOS, p=ratios))
        before, delay = delay, slowing * (2.0 / ratio) * about(rng, 0.1)
        waves = ratio + delay - before
        if rng.random() < patient.ventricular:
            coupling = sooner(rng.uniform(*COUPLING) * cycle * ratio)
            out.append(RhythmBeat(VENTRICULAR, coupling, waves=coupling / cycle))
            waves += ratio - coupling / cycle
        out.append(RhythmBeat(NORMAL, sooner(cycle * waves * about(rng, 0.015)), "none", waves=waves))
    return out


def run(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Supraventricular beats after each other."""
    out = _sinus(rng, patient, rr, 20, patient.ectopic)
    faster = rr * rng.uniform(*(_FASTER if patient.tells else _CLEARLY_FASTER))
    for k in range(int(np.exp(rng.uniform(*np.log(_RUN))))):
        out.append(RhythmBeat(EARLY, sooner(faster * about(rng, 0.02 if k else 0.06)), patient.other_p))
    out.append(RhythmBeat(NORMAL, rr * rng.uniform(1.0, 1.6)))
    return out


def bigeminy(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Every second to fourth beat is early, by a half or by a twentieth."""
    tells = patient.tells or (patient.in_bigeminy and patient.other_p == "other")
    period, early = int(rng.integers(1, 4)), rng.uniform(*(_BIGEMINY if tells else _OWN_BIGEMINY))
    later = _PAUSE if tells else _OWN_PAUSE
    out: list[RhythmBeat] = []
    for _ in range(length // (period + 1)):
        out += [RhythmBeat(NORMAL, rr * about(rng, 0.02)) for _ in range(period - 1)]
        out.append(RhythmBeat(NORMAL, rr * rng.uniform(*later)))
        out.append(RhythmBeat(EARLY, sooner(rr * early * about(rng, 0.03)), patient.other_p))
    return out


def sick_sinus(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """An atrial focus leads, a slow sinus node comes in where it pauses."""
    slow, faster, few = rr * rng.uniform(1.1, 1.6), rr * rng.uniform(0.75, 1.0), rng.uniform(0.05, 0.5)
    uneven = rng.uniform(*_UNEVEN_FOCUS)
    pausing = rng.uniform(*_PAUSING) if rng.random() < _PAUSES else 0.0
    out: list[RhythmBeat] = []
    for _ in range(length // 8):
        for _ in range(int(rng.geometric(few))):
            out.append(RhythmBeat(EARLY, sooner(faster * about(rng, uneven)), patient.other_p))
        for _ in range(int(rng.geometric(_PAUSES_ON))):
            pause = float(np.exp(abs(rng.normal(0.0, pausing))))
            out.append(RhythmBeat(NORMAL, min(slow * pause * about(rng, 0.08), _LONGEST_PAUSE_S)))
    return out


def dropped(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Every so many beats one is not conducted: its P wave is there, and they come evenly (Mobitz II); or the sinus
    node's own beat does not get out to the atria, and there is no P wave either, the intervals before it shrinking
    (Wenckebach)."""
    seen = patient.seen and rng.random() < _SEEN
    every = int(rng.integers(2 if seen else 3, 12))  # two intervals in turn with nothing between them are bigeminy
    shrinks = 0.0 if seen else rng.uniform(*_SHRINKS)
    out: list[RhythmBeat] = []
    for k in range(length):
        value = rr * about(rng, 0.01)
        if k % every == every - 1:
            out.append(RhythmBeat(NORMAL, value * (2.0 - shrinks * every), blocked=value * seen))
        else:
            out.append(RhythmBeat(NORMAL, value * (1.0 + shrinks * (every - 2 - k % every))))
    return out


def dropped_by_chance(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """The same without order, singly or several in succession, now and then or in stretches; the P waves that are not
    conducted are there."""
    share, sticky, more = (rng.uniform(*one) for one in (_SHARE_DROPPED, _STICKY_DROPPED, _MORE_DROPPED))
    dropped = False
    out: list[RhythmBeat] = []
    for _ in range(length):
        if rng.random() > sticky:
            dropped = rng.random() < share
        value = rr * about(rng, 0.015)
        intervals = 1 + dropped * int(rng.geometric(1.0 - more))
        pause = min(intervals, max(int(_LONGEST_PAUSE_S / value), 1)) * value
        out.append(RhythmBeat(NORMAL, pause, blocked=value * dropped))
    return out


def two_to_one(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Every other beat is not conducted, for a while, and then all are again."""
    out: list[RhythmBeat] = []
    for _ in range(length):
        value = rr * about(rng, 0.015)
        out.append(RhythmBeat(NORMAL, 2.0 * value, blocked=value))
    return out + [RhythmBeat(NORMAL, rr * about(rng, 0.02)) for _ in range(int(rng.integers(*LENGTHS)))]


def pausing_sinus(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """Pauses as after a focus that leads, but every beat is the sinus node's: its P wave tells."""
    few, uneven, pausing = (rng.uniform(*one) for one in (_BETWEEN_PAUSES, _UNEVEN_FOCUS, _PAUSING))
    out: list[RhythmBeat] = []
    for _ in range(length // 8):
        out += [RhythmBeat(NORMAL, rr * about(rng, uneven)) for _ in range(int(rng.geometric(few)))]
        for _ in range(int(rng.geometric(_PAUSES_ON))):
            pause = _SHORTEST_PAUSE * float(np.exp(abs(rng.normal(0.0, pausing))))
            out.append(RhythmBeat(NORMAL, min(rr * pause, _LONGEST_PAUSE_S)))
    return out


def ramp(rng: Random, patient: Patient, rr: float, length: int) -> list[RhythmBeat]:
    """The rate changes slowly, or not so slowly."""
    target = float(np.clip(rr * rng.uniform(0.6, 1.5), 0.4, 1.4))
    return [RhythmBeat(NORMAL, (rr + (target - rr) * k / length) * about(rng, 0.015)) for k in range(length)]
