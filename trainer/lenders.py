"""What a recording lends to rhythms that are composed of another's beats: ventricular beats, P waves, fibrillation.

MIT-BIH's training half has a handful of patients with each of them. All of it is this project's own.
"""

from dataclasses import dataclass

import numpy as np

from monitor.events import FS
from trainer.background import Background, smoothed
from trainer.dataset import Recording
from trainer.episodes import EARLY, NORMAL, VENTRICULAR, Random
from trainer.pieces import EDGES, FEWEST_NORMAL, background_of, height_of, pieces_of
from trainer.waves import AFTER, BEFORE, QRS, Doubles, OtherP, P, mean_p

_LENDS = 20
"""Beats of a kind from which a recording has some to lend."""
_LENT = 40
"""Ventricular beats that are lent: as they followed each other."""
_INVERTED = 0.3
"""Chance that something is lent with the other sign: another lead of another heart."""
_BLENDED = 0.6
"""Chance that they take on something of the patient's own complex."""
_OWN_SHARE = 0.65
"""Most that a lent shape may take on of the patient's own complex."""
_NARROW = 0.6
"""Chance, of those, that the complex is nearly the patient's own and the T wave tells: an origin near the bundles."""
_NARROW_SHARE = (0.4, 0.95)
"""Range of what such a complex has of the patient's own."""
_WIDER = (1.0, 1.45)
"""Range of how much longer it lasts: it spreads through muscle for a while before it meets the bundles."""
_T_SHARE = (-0.9, 0.0)
"""Range of what its T wave has of the patient's own: repolarization takes another order."""
_COMPLEX_ENDS = (QRS.stop - BEFORE - FS // 50, QRS.stop - BEFORE + FS // 20)
"""Samples after R between which the one goes over into the other, where the complex lasts as long as the patient's."""
_TELLS = 0.95
"""Quantile of how far the patient's own beats are from their mean, complex and T wave; what is nearer is his own."""
_DRAWS = 4
"""Times that a narrow shape is drawn, until it tells."""
_CLEAR_S = 0.42
"""Least interval, s, from an N beat to an S one whose P wave is lent: sooner it lies in that beat's complex."""
_P_BEATS = 12
"""S beats in succession whose P waves are averaged."""
_P_SEEN = 0.04
"""Height of such an average, in heights of the complexes, from which there is a P wave; and …"""
_P_ALIKE = 0.7
"""… the correlation of the averages of every other of them, from which they are of one origin."""
_P_LEVEL = int(0.02 * FS)
"""Samples at either end of a P wave that are its zero."""
_P_FADES = 0.25
"""Power of the bell over it by which it begins and ends at zero: of 1/4 it is flat for most of its length."""
_P_SIZE = (0.6, 1.5)
"""Range of the height of a P wave that is lent, in its own."""
_FEWEST_INTERVALS = 12
"""Of fibrillation, before they are lent."""
_LEAST_UNEVEN = 0.08
"""Their standard deviation over their mean, below which they are hardly fibrillation's."""


@dataclass(frozen=True)
class Lent:
    """What others lend to one patient."""

    ventricular: "Ventricular | None" = None
    p: "EctopicP | None" = None
    fibrillation: "Fibrillation | None" = None


@dataclass(frozen=True)
class Ventricular:
    """Ventricular beats to lend, in normal heights of their own patient's complexes."""

    pieces: tuple[Doubles, ...]

    @classmethod
    def of(cls, recording: Recording) -> "Ventricular | None":
        """A recording's; None where there are too few of them, or of the normal ones that they are measured by."""
        pieces = pieces_of(recording, VENTRICULAR)
        normal = pieces_of(recording, NORMAL)
        if len(pieces) < _LENDS or len(normal) < FEWEST_NORMAL:
            return None
        height = height_of(normal)
        return cls(tuple(piece / height for piece in pieces))

    def lent(self, rng: Random, normal: list[Doubles]) -> list[Doubles]:
        """Some of them as a patient with these ``normal`` beats might have them."""
        first = int(rng.integers(0, len(self.pieces)))
        sign = -1.0 if rng.random() < _INVERTED else 1.0
        height = sign * height_of(normal)
        pieces = [height * piece for piece in self.pieces[first : first + _LENT]]
        if rng.random() >= _BLENDED:
            return pieces
        bare = OtherP(rng, usual=mean_p(normal))
        own = [bare.instead(normal[k % len(normal)], present=False) for k in range(len(pieces))]
        if rng.random() < _NARROW:
            for _ in range(_DRAWS):
                narrow = _narrow(rng, pieces, own)
                if tells(narrow, normal):
                    return narrow
            return pieces
        share = float(rng.uniform(0.0, _OWN_SHARE))
        return [(1.0 - share) * piece + share * usual for piece, usual in zip(pieces, own, strict=True)]


def _narrow(rng: Random, pieces: list[Doubles], own: list[Doubles]) -> list[Doubles]:
    """The patient's ``own`` shapes, slower, a little of the lent ``pieces`` in the complex, the T wave of the other
    sign."""
    t = np.arange(-BEFORE, AFTER)
    wider = float(rng.uniform(*_WIDER))
    own = [np.interp(t / wider, t, usual) * EDGES for usual in own]
    after = np.interp(t, [wider * end for end in _COMPLEX_ENDS], (0.0, 1.0))  # 0 in the complex, 1 in the T wave
    of_complex, of_t = rng.uniform(*_NARROW_SHARE), rng.uniform(*_T_SHARE)
    share = of_complex + (of_t - of_complex) * after
    alike = float(np.sum(after * np.mean(pieces, axis=0) * np.mean(own, axis=0)))
    sign = 1.0 - 2.0 * after if alike > 0.0 else 1.0
    return [(1.0 - np.abs(share)) * sign * piece + share * usual for piece, usual in zip(pieces, own, strict=True)]


def tells(pieces: list[Doubles], normal: list[Doubles]) -> bool:
    """Whether most of them can be told from the patient's ``normal`` beats by complex and T wave."""
    usual = np.mean(normal, axis=0)
    far, own = ([float(np.mean((one - usual)[QRS.start :] ** 2)) for one in some] for some in (pieces, normal))
    return bool(np.median(far) > np.quantile(own, _TELLS))


@dataclass(frozen=True)
class EctopicP:
    """P waves of supraventricular beats to lend."""

    waves: tuple[Doubles, ...]
    """What lies in P, in normal heights of their own patient's complexes."""

    @classmethod
    def of(cls, recording: Recording) -> "EctopicP | None":
        """What precedes a recording's S beats once the mean normal beat is taken off at the N before, several averaged;
        None where there are too few, or none to be seen, or where the atria fibrillate."""
        normal = pieces_of(recording, NORMAL)
        rr = np.diff(recording.samples, prepend=0)
        early = (recording.labels[1:] == EARLY) & (recording.labels[:-1] == NORMAL) & (rr[1:] >= _CLEAR_S * FS)
        early &= (recording.samples[:-1] >= BEFORE) & (recording.samples[1:] + AFTER <= len(recording.signal))
        if recording.fibrillates or len(normal) < FEWEST_NORMAL or np.count_nonzero(early) < _LENDS:
            return None
        usual = np.mean(normal, axis=0)
        signal = np.nan_to_num(recording.signal.astype(np.float64))
        found = []
        for before, r in zip(recording.samples[:-1][early], recording.samples[1:][early], strict=True):
            left = signal[before - BEFORE : r + AFTER].copy()
            left[: BEFORE + AFTER] -= usual
            wave = left[r - before :][P]
            first, last = (float(part.mean()) for part in (wave[:_P_LEVEL], wave[-_P_LEVEL:]))
            found.append((wave - np.linspace(first, last, len(wave))) * np.hanning(len(wave)) ** _P_FADES)
        height = height_of(normal)
        averages = []
        for k in range(0, len(found) - _P_BEATS + 1, _P_BEATS):
            odd, even = (np.mean(found[k + first : k + _P_BEATS : 2], axis=0) / height for first in (0, 1))
            if np.abs(odd + even).max() / 2.0 >= _P_SEEN and np.corrcoef(odd, even)[0, 1] >= _P_ALIKE:
                averages.append((odd + even) / 2.0)
        return cls(tuple(averages)) if averages else None

    def lent(self, rng: Random) -> Doubles:
        """One of them as a patient might have it, in heights of the complexes."""
        wave = self.waves[int(rng.integers(len(self.waves)))]
        return wave * rng.uniform(*_P_SIZE) * (-1.0 if rng.random() < _INVERTED else 1.0)


@dataclass(frozen=True)
class Fibrillation:
    """What a recording of fibrillation lends to others who shall fibrillate."""

    waves: Background | None
    """In normal heights of its complexes; None where there is too little between its beats: it is fast."""
    intervals: tuple[float, ...]
    """Between its beats, s, in their order; empty where they are few or hardly uneven."""

    @classmethod
    def of(cls, recording: Recording) -> "Fibrillation | None":
        """A recording's; None where it has neither."""
        pieces = pieces_of(recording, NORMAL)
        left = background_of(recording, smoothed(pieces)) if len(pieces) >= FEWEST_NORMAL else None
        intervals = uneven(recording)
        if left is None and not intervals:
            return None
        return cls(None if left is None else left.scaled(1.0 / height_of(pieces)), intervals)


def uneven(recording: Recording) -> tuple[float, ...]:
    """Intervals between normal beats, s, in their order; empty where they are few or hardly uneven."""
    normal = recording.labels == NORMAL
    rr = np.diff(recording.samples)[normal[1:] & normal[:-1]]
    if len(rr) < _FEWEST_INTERVALS or rr.std() < _LEAST_UNEVEN * rr.mean():
        return ()
    return tuple((rr / FS).tolist())
