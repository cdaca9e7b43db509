"""What beats of a composed rhythm have besides their own waves: other P waves, flutter and fibrillation, aberrancy.

A piece is what is cut out of a recording around a beat (``trainer.pieces``). What is drawn is one patient's. All
of it is this project's own.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitor.events import FS
from trainer.episodes import Random

Doubles = npt.NDArray[np.float64]

BEFORE = int(0.32 * FS)
"""Samples of a piece before R: the P wave with a long PR interval."""
AFTER = int(0.48 * FS)
"""Samples after it: to the end of the T wave."""
P = slice(BEFORE - int(0.28 * FS), BEFORE - int(0.07 * FS))
"""Where in a piece the P wave lies."""
QRS = slice(BEFORE - int(0.084 * FS), BEFORE + int(0.084 * FS))
"""The complex, 84 ms to either side of R, by whose height shapes of two patients are brought to one size."""
_KIN = 0.4
"""Chance that another origin's P wave is akin to the sinus node's."""
_KIN_SHARE = (-1.0, 1.0)
"""Range of its height in theirs."""
_KIN_LATER_S = (0.012, 0.05)
"""Range of s by which it is earlier or later."""
_SEEN_IN = 40
"""Beats of a patient, up to twice as many, that are looked at for whether a P wave tells."""
_TELLS = 0.7
"""Root-mean-square difference of a P wave from the sinus node's, in that of the sinus node's from their own mean, from
which it tells; and …"""
_LEAST_DIFFERENCE = 0.01
"""… in heights of the complexes: noise comes on top."""
_FLUTTER_SIZE = (0.02, 0.12)
"""Range of the height of flutter waves, in heights of the complexes."""
_MOST_SAW = 0.3
"""Most that such a wave's second harmonic may have of the first: it is more a saw's tooth than a sine."""
FADES = int(0.2 * FS)
"""Samples over which fibrillatory waves come and go."""
_ABERRANT = 0.12
"""Chance that a patient's early beats are conducted late in a part of the ventricles."""
_LATE_SIZE = (0.05, 0.4)
"""Range of the height of that part's wave, in heights of the complexes."""
_LATE_AT_S = (0.03, 0.075)
"""Range of s after R at which it stands."""
_LATE_WIDTH_S = (0.008, 0.022)
"""Range of its standard deviation, s."""
_SHORTER = 0.6
"""Chance that the early beats' repolarization is another than that of those in time."""
_QT = (0.85, 1.0)
"""Range of its time, in that of the others: it is shorter after a short interval."""
_T_SIZE = (0.5, 1.2)
"""Range of its height likewise."""
_EARLY = (0.5, 0.9)
"""Share of the interval before after which all of this is seen, and nothing of it."""


def line(piece: Doubles) -> Doubles:
    """What would be there without the P wave."""
    return np.linspace(piece[P.start], piece[P.stop], P.stop - P.start)


class OtherP:
    """A P wave of another origin: its polarity, size, width and distance are one patient's. It is drawn anew, or made
    of the sinus node's: a focus not far from it has a P wave that is a little earlier or later, smaller, or upside
    down; or it is a recorded one. What a beat has besides the patient's usual P wave, it keeps: a beat whose own was
    exchanged is no quieter than another.

    Args:
        rng: what everything is drawn from.
        lent: a recorded one, what lies in P in heights of the complexes.
        usual: the patient's usual one (:func:`mean_p`), mV; None: every beat's own.
    """

    def __init__(self, rng: Random, lent: Doubles | None = None, usual: Doubles | None = None) -> None:
        self._lent = lent
        self._usual = usual
        self._distance = rng.uniform(0.09, 0.20)
        self._width = rng.uniform(0.012, 0.03)
        self._size = rng.uniform(0.07, 0.22) * (-1.0 if rng.random() < 0.5 else 1.0)
        self._rest = rng.uniform(-0.3, 0.3) if rng.random() < 0.5 else 0.0
        self._kin = rng.random() < _KIN
        self._share = rng.uniform(*_KIN_SHARE)
        self._later = int(rng.uniform(*_KIN_LATER_S) * FS) * (-1 if rng.random() < 0.5 else 1)

    def instead(self, piece: Doubles, *, present: bool) -> Doubles:
        """The piece with its own P wave taken out and, if ``present``, the other one put in."""
        changed = piece.copy()
        own = piece[P] - line(piece)
        usual = own if self._usual is None else self._usual
        without = piece[P] - usual
        height = float(np.abs(piece[BEFORE - 20 : BEFORE + 20]).max())
        if not present:
            changed[P] = without + self._rest * usual
        elif self._lent is not None:
            changed[P] = without + height * self._lent
        elif self._kin:
            changed[P] = without + self._share * _moved(usual * np.hanning(len(usual)) ** 0.25, self._later)
        else:
            changed[P] = without + self._rest * usual
            t = np.arange(-BEFORE, AFTER) / FS
            changed += self._size * height * np.exp(-((t + self._distance) ** 2) / (2 * self._width**2)) * (t < -0.04)
        return changed

    def tells(self, pieces: Sequence[Doubles]) -> float:
        """How far it is from the P wave that these beats of the patient's sinus node have, in what tells: from 1 on it
        can be told at every beat."""
        some = pieces[:: max(len(pieces) // _SEEN_IN, 1)]
        return _told(some, np.mean([self.instead(piece, present=True)[P] - piece[P] for piece in some], axis=0))


def _told(pieces: Sequence[Doubles], difference: Doubles) -> float:
    """A difference in P, mV, over what has to be to be told among these beats."""
    own = np.stack([piece[P] - line(piece) for piece in pieces])
    height = float(np.median([np.abs(piece[QRS]).max() for piece in pieces]))
    least = max(_TELLS * float(np.std(own - own.mean(axis=0))), _LEAST_DIFFERENCE * height)
    return float(np.sqrt(np.mean(difference**2))) / least


def mean_p(pieces: Sequence[Doubles]) -> Doubles:
    """The usual P wave of these beats, what lies in P, mV."""
    return np.asarray(np.mean([piece[P] - line(piece) for piece in pieces], axis=0))


def is_seen(pieces: Sequence[Doubles]) -> bool:
    """Whether the P wave of these beats can be told from none."""
    return _told(pieces[:: max(len(pieces) // _SEEN_IN, 1)], mean_p(pieces)) >= 1.0


def _moved(wave: Doubles, by: int) -> Doubles:
    """Later by so many samples, or earlier; zero where nothing was."""
    out = np.zeros_like(wave)
    out[max(by, 0) : len(wave) + min(by, 0)] = wave[max(-by, 0) : len(wave) - max(by, 0)]
    return out


class Flutter:
    """A patient's flutter waves: one after the other without a pause, in step with the complexes that they are
    conducted to, so that they look like P waves at one distance."""

    def __init__(self, rng: Random, height: float) -> None:
        self._size = height * float(np.exp(rng.uniform(*np.log(_FLUTTER_SIZE))))
        self._first, self._second = rng.uniform(0.0, 2 * np.pi, 2)
        self._saw = rng.uniform(0.0, _MOST_SAW)
        self._passed = 0.0

    def between(self, samples: int, waves: float) -> Doubles:
        """So many waves from one R peak to the next, mV; they go on where they were."""
        phase = 2 * np.pi * (self._passed + waves * np.arange(samples) / samples)
        self._passed += waves
        wave = np.sin(phase + self._first) + self._saw * np.sin(2 * phase + self._second)
        return np.asarray(self._size * wave)


class Aberrancy:
    """How a patient's early beats are conducted: as the others, or with a late part of the complex (a bundle that is
    still refractory) and a repolarization of their own, the more so the earlier they are; also in fibrillation (Gouaux
    & Ashman 1947, Am Heart J 34:366). They stay supraventricular, whatever they look like."""

    def __init__(self, rng: Random, height: float) -> None:
        late = rng.uniform(*_LATE_SIZE) * (-1.0 if rng.random() < 0.5 else 1.0)
        self._late = height * late if rng.random() < _ABERRANT else 0.0
        self._at, self._width = rng.uniform(*_LATE_AT_S), rng.uniform(*_LATE_WIDTH_S)
        qt, size = rng.uniform(*_QT), rng.uniform(*_T_SIZE)
        self._qt, self._t = (qt, size) if rng.random() < _SHORTER else (1.0, 1.0)

    def conducted(self, piece: Doubles, early: float) -> Doubles:
        """The piece as it is where it comes after ``early`` times the interval before."""
        t = np.arange(len(piece) - QRS.stop)
        changed = piece.copy()
        faded = np.minimum(t / FADES, 1.0)  # the complex goes over into the T wave
        after = np.interp(t / self._qt, t, piece[QRS.stop :], right=0.0)
        changed[QRS.stop :] = after * (1.0 + (self._t - 1.0) * faded)
        if self._late:
            seconds = np.arange(-BEFORE, AFTER) / FS
            changed += self._late * np.exp(-((seconds - self._at) ** 2) / (2 * self._width**2))
        return piece + (changed - piece) * float(np.interp(early, _EARLY, (1.0, 0.0)))


def fibrillation(rng: Random, length: int) -> Doubles:
    """f waves: 4–9 Hz, rms 1."""
    t = np.arange(length) / FS
    rate = rng.uniform(4.5, 8.0) + 0.6 * np.sin(2 * np.pi * 0.2 * t + rng.uniform(0, 6.3))
    wave = np.sin(2 * np.pi * np.cumsum(rate) / FS)
    waxing = 1.0 + 0.4 * np.sin(2 * np.pi * 0.31 * t)
    return np.asarray(np.sqrt(2.0) * wave * waxing)
