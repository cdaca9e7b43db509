"""What a recording holds besides its beats: noise, U waves, and where the atria fibrillate their waves.

A rhythm composed of beats alone has nothing between them, and whoever learns from it takes anything that a patient does
have there for something that was composed. So what is left of a recording when its usual beats are taken off is laid
between the beats that are composed of it; where the recording fibrillates, beneath them too. Strips of fibrillation
lend theirs to others who shall fibrillate. Averaged beats are subtracted as is common where f waves are looked at
(Slocum, Sahakian & Swiryn 1992, J Electrocardiol 25:1-8); which are averaged, and that parts are laid one after the
other, half of them upside down, is this project's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from monitor.events import FS
from trainer.episodes import Random
from trainer.protocols import Mask
from trainer.waves import AFTER, BEFORE, QRS, Doubles

_NEIGHBOURS = 4
"""Beats to either side that are averaged with a beat."""
_ALIKE = 0.95
"""Correlation of complexes from which they are."""
_SLOWER_S = 1.0
"""What changes more slowly is the electrode, not the heart."""
_MOST = 4.0
"""Of the usual deviation; where complexes lay, more is left of them than of anything else."""
_TO_DEVIATION = 1.4826
"""From the median of absolute values to the standard deviation of a normal distribution."""
_SHORTEST_S = 2.0
"""Of a stretch between unusual beats that is kept."""
_FEWEST_S = 8.0
"""Of all of them together: less would be one second over and over."""
_LAID_S = (3.0, 20.0)
"""Range of the length of a part that is laid at once."""
_JOINT = int(0.1 * FS)
"""Samples over which one part goes over into the next."""


def _mean_of(values: Doubles, known: Mask, length: int) -> Doubles:
    """Running mean over those that are known: what stands beside a stretch must not move it."""
    share = ndimage.uniform_filter1d(known.astype(np.float64), length)
    total = ndimage.uniform_filter1d(np.where(known, values, 0.0), length)
    return np.asarray(total / np.maximum(share, 1.0 / length))


def smoothed(pieces: Sequence[Doubles]) -> list[Doubles]:
    """Every piece as the mean of itself and those of its neighbours that have its complex: what is not the beat's goes,
    the P wave that the beats share stays."""
    out = []
    complexes = [piece[QRS] - piece[QRS].mean() for piece in pieces]
    norms = [float(np.sqrt(np.sum(values**2))) or 1.0 for values in complexes]
    for k in range(len(pieces)):
        near = range(max(k - _NEIGHBOURS, 0), min(k + _NEIGHBOURS + 1, len(pieces)))
        alike = [i for i in near if i == k or np.dot(complexes[i], complexes[k]) >= _ALIKE * norms[i] * norms[k]]
        out.append(np.mean([pieces[i] for i in alike], axis=0))
    return out


@dataclass(frozen=True)
class Background:
    """A recording without its beats."""

    parts: tuple[Doubles, ...]
    """Stretches, mV."""

    @classmethod
    def of(cls, signal: Doubles, at: Sequence[int], pieces: Sequence[Doubles], unusual: Mask) -> "Background | None":
        """What is left of ``signal`` [n], mV; None where that is too little.

        Args:
            signal: at 360 Hz; 0 where it is missing.
            at: R peaks of the usual beats.
            pieces: of each of them what is taken off, from BEFORE to AFTER it.
            unusual: [n], where something else is: other beats, or nothing at all.
        """
        left, known = signal.copy(), ~unusual
        for r, piece in zip(at, pieces, strict=True):
            if r >= BEFORE and r + AFTER <= len(left):
                left[r - BEFORE : r + AFTER] -= piece
            else:  # not there as a whole
                known[max(r - BEFORE, 0) : r + AFTER] = False
        left -= _mean_of(left, known, int(_SLOWER_S * FS))
        usual = left[known]
        if len(usual) < _FEWEST_S * FS:
            return None
        most = _MOST * _TO_DEVIATION * float(np.median(np.abs(usual)))
        left = np.clip(left, -most, most)
        edges = np.flatnonzero(np.diff(np.concatenate(([True], ~known, [True])).astype(np.int8)))
        parts = [left[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= _SHORTEST_S * FS]
        if sum(len(part) for part in parts) < _FEWEST_S * FS:
            return None
        return cls(tuple(parts))

    def scaled(self, by: float) -> "Background":
        """The same, so many times as high."""
        return Background(tuple(by * part for part in self.parts))

    def laid(self, rng: Random, length: int) -> Doubles:
        """``length`` samples of it: parts drawn by chance, one going over into the next. Half of them are upside down:
        so a minute of it makes more than a minute."""
        out = np.zeros(length + _JOINT)
        shares = np.array([len(part) for part in self.parts], dtype=np.float64)
        shares /= shares.sum()
        fade = np.linspace(0.0, np.pi / 2.0, _JOINT)  # the squares of sine and cosine add up to one
        at = 0
        while at < length:
            part = self.parts[int(rng.choice(len(shares), p=shares))]
            n = min(int(rng.uniform(*_LAID_S) * FS), len(part))
            first = int(rng.integers(0, len(part) - n + 1))
            piece = part[first : first + n] * (1.0 if rng.random() < 0.5 else -1.0)
            piece = piece[: len(out) - at]
            over = min(_JOINT, len(piece))
            piece[:over] *= np.sin(fade[:over])
            out[at : at + over] *= np.cos(fade[:over])
            out[at : at + len(piece)] += piece
            at += max(len(piece) - _JOINT, 1)
        return out[:length]
