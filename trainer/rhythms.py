"""Rhythms by chance: a patient who has never been, with what he has and has not, episode after episode
(``trainer.episodes``)."""

from collections.abc import Sequence

import numpy as np

from trainer import episodes
from trainer.episodes import LENGTHS, Episode, Patient, PWave, Random, RhythmBeat, about
from trainer.ventricular import in_order, in_runs

_OTHER_P = 0.7
"""Chance that a patient's supraventricular beats have a P wave of their own, if that tells; where a focus leads they
have it anyway."""
_FIBRILLATING, _FLUTTERING = 0.08, 0.14
"""Chances that a patient's atria do nothing else."""
_RECORDED_INTERVALS = 0.6
"""Chance that they come as unevenly as in a recording, where one lends its intervals, and not as drawn."""
_PAROXYSMS = 0.3
"""Chance that a patient's atria fibrillate now and then."""
_BLOCKED = 0.12
"""Chance that a patient's node drops beats oftener than others' do, if the sinus node is not sick."""
_BLOCKED_EPISODES = (1, 6)
"""Pairs of episodes more in which it does, one of these a patient."""
_SOME_VENTRICULAR = 0.6
"""Chance that a patient has ventricular beats, if there may be some."""
_ECTOPIC, _VENTRICULAR = (0.003, 0.12), (0.0, 0.25)
"""Ranges of the chances that a beat in sinus rhythm is supraventricular, and ventricular, of most patients."""
_MUCH_ECTOPY = 0.15
"""Chance that a patient has so much of both that nothing is even, as in fibrillation, but the P waves are there."""
_MUCH_ECTOPIC, _MUCH_VENTRICULAR, _MUCH_EPISODES = (0.12, 0.35), (0.0, 0.25), 8
"""The same of such a patient, and episodes of it more."""
_IN_BIGEMINY = 0.3
"""Chance that a patient who neither fibrillates nor flutters all the time is in bigeminy and the like much of it."""
_BIGEMINY_EPISODES = (3, 12)
"""Episodes of it more, one of these a patient."""
_VENTRICULAR_EPISODES = (0, 1, 3, 8)
"""Episodes of ventricular bigeminy and the like, and as many of couplets and runs, more, one of these a patient who has
such beats."""
_SICK = 0.4
"""Chance that a patient's sinus node is sick, if the atria do not fibrillate, and if the P wave of the focus that leads
then can be told from the node's: else it would be nothing but an irregular sinus rhythm."""
_SICK_EPISODES = (3, 3, 12, 60)
"""Episodes in which the focus leads, to a dozen others, one of these a patient: once in ten is too seldom to be learnt,
and in some it leads all the time."""
_SINUS_BACK = 0.1
"""Chance that sinus rhythm comes back after such an episode: in minutes of a focus its P wave becomes the usual one, so
it has to be seen that this may be over."""
_FIBRILLATION_BESIDE = (0.0, 0.0, 0.08, 0.17)
"""Share of fibrillation beside it, one of these a patient: its beats have no P wave like the sinus node's and are N."""
_PAUSING_SINUS = 0.6
"""Chance that a patient's sinus node pauses while it leads."""


def drawn(
    rng: Random,
    seconds: float,
    *,
    ventricular: bool,
    fibrillating: bool = False,
    tells: bool = True,
    focus_tells: bool = True,
    seen: bool = True,
    intervals: Sequence[float] = (),
) -> list[RhythmBeat]:
    """Episodes of rhythms after each other, ``seconds`` long and a little more.

    Args:
        rng: what everything is drawn from.
        seconds: s.
        ventricular: there may be ventricular beats.
        fibrillating: the patient's beats are from atrial fibrillation, so nothing else is drawn.
        tells: another P wave can be told from the sinus node's; otherwise supraventricular beats have that one, and are
            only where their intervals tell.
        focus_tells: a focus that leads can be told by it, where there are many such beats.
        seen: the sinus node's P wave can be told from none; else beats dropped in order leave none, and are not every
            other one.
        intervals: of a recorded fibrillation, s, for when the patient fibrillates.
    """
    rr = 60.0 / rng.uniform(50, 105)
    ectopic = float(np.exp(rng.uniform(*np.log(_ECTOPIC))))
    fluttering = not fibrillating and rng.random() < _FLUTTERING
    fibrillating = fibrillating or rng.random() < _FIBRILLATING
    sick = focus_tells and rng.random() < _SICK
    in_bigeminy = not fibrillating and not fluttering and rng.random() < _IN_BIGEMINY
    told = tells or (in_bigeminy and focus_tells)
    other_p: PWave = "other" if sick or (told and rng.random() < _OTHER_P) else "own"
    paroxysms = rng.random() < _PAROXYSMS
    blocked = not sick and rng.random() < _BLOCKED
    chance = float(rng.uniform(*_VENTRICULAR)) if ventricular and rng.random() < _SOME_VENTRICULAR else 0.0
    much = other_p == "other" and rng.random() < _MUCH_ECTOPY
    if much:
        ectopic = float(rng.uniform(*_MUCH_ECTOPIC))
        chance = float(rng.uniform(*_MUCH_VENTRICULAR)) if ventricular else 0.0
    lent = tuple(intervals) if rng.random() < _RECORDED_INTERVALS else ()
    patient = Patient(ectopic, chance, other_p, tells and other_p == "other", in_bigeminy, seen, lent)
    kinds: tuple[Episode, ...] = (episodes.flutter,) if fluttering else (episodes.fibrillation,)
    if not fluttering and not fibrillating:
        kinds = _EPISODES
        kinds += (episodes.paroxysm, episodes.paroxysm, episodes.fibrillation, episodes.fibrillation) * paroxysms
        kinds += (episodes.ectopic_sinus,) * (_MUCH_EPISODES * much)
        if in_bigeminy:
            kinds += (episodes.bigeminy,) * int(rng.choice(_BIGEMINY_EPISODES))
        if chance > 0.0:
            kinds += (in_order, in_runs) * int(rng.choice(_VENTRICULAR_EPISODES))
        if rng.random() < _PAUSING_SINUS:
            kinds += (episodes.pausing_sinus,)
        if blocked:
            more = int(rng.choice(_BLOCKED_EPISODES))
            kinds += (episodes.dropped, episodes.dropped_by_chance, episodes.two_to_one) * more
        if sick:
            kinds += (episodes.sick_sinus,) * round(rng.choice(_SICK_EPISODES) * len(kinds) / 12)
            kinds += (episodes.fibrillation,) * round(rng.choice(_FIBRILLATION_BESIDE) * len(kinds))
    out: list[RhythmBeat] = []
    lasts = 0.0
    while lasts < seconds:
        rr = float(np.clip(rr * about(rng, 0.08), 0.42, 1.3))
        length = int(rng.integers(*LENGTHS))
        episode = kinds[int(rng.integers(len(kinds)))]
        some = episode(rng, patient, rr, length)
        if episode is episodes.sick_sinus and rng.random() < _SINUS_BACK:
            some += episodes.ectopic_sinus(rng, patient, rr, int(rng.integers(*LENGTHS)))
        if episode is episodes.ramp:
            rr = some[-1].rr
        out += some
        lasts += sum(beat.rr for beat in some)
    return out


_EPISODES: tuple[Episode, ...] = (
    episodes.ectopic_sinus,
    episodes.ectopic_sinus,  # twice as often as any other
    episodes.run,
    episodes.bigeminy,
    episodes.dropped,
    episodes.flutter,
    episodes.flutter,
    episodes.ramp,
    episodes.steady,
    episodes.dropped_by_chance,
    episodes.two_to_one,
)
"""Of any patient who does not fibrillate."""
