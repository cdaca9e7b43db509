"""Run-by-run comparison of annotations after ANSI/AAMI EC57, equal to WFDB's ``rxr -S``.

A run is what one annotator gives as consecutive ectopic beats: ventricular (V or F; flutter and fibrillation are a
run of the greatest length), or supraventricular (S; atrial fibrillation and flutter are a run of the greatest length,
and the N beats within it are S). Each run of the one annotator is compared with the longest that the other has between
150 ms before its first beat and 150 ms after its last. The runs of the reference tell the sensitivity, those of the
test the positive predictivity.

Sources: ANSI/AAMI EC57:1998 as rxr(1) of the WFDB Applications Guide tells it, and what rxr 10.7.0 prints, on which
tests/unit/ec57_cases.json stands. Deviations, each where rxr's bookkeeping says something else than its documentation:

* an episode of VF or AF that nobody ended lasts to the end of the record (rxr looks for its run up to wherever the run
  before it ended);
* a run within the first 150 ms of a record is treated like every other (rxr takes it for one within VF).
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from monitor.events import BeatClass
from trainer.annotations import CLASS_OF, SHUTDOWN_BITS, Annotations, Convention, Mark
from trainer.ec57 import MATCH_WINDOW_S

Ints = npt.NDArray[np.int64]

LONGEST = 6
"""Beats: longer runs are not told apart."""


class Kind(StrEnum):
    """Whose runs."""

    VEB = "veb"
    SVEB = "sveb"


@dataclass(frozen=True)
class _Rules:
    """What the labels of a timeline mean to one kind of run."""

    beats: str
    """Labels that make it longer."""
    begin: str
    """An episode begins that is a run of the greatest length."""
    end: str
    """It ends."""
    ends_search: str
    """Where the other annotator's episode, once begun, is taken to be over."""
    breaks: str
    """Labels that end a run."""
    breaks_search: str
    """Labels that end the other annotator's."""


_RULES = {
    Kind.VEB: _Rules("VF", "[", "]", "]{U", "NQUS", "NQUS{"),
    Kind.SVEB: _Rules("S", "{", "}", "}[U", "NQUVF", "NQUVF["),
}

Timeline = list[tuple[int, str]]
"""Samples and labels: beats N S V F Q, VF ``[`` ``]``, AF ``{`` ``}``, the beginning of a shutdown U."""


@dataclass(frozen=True)
class RunByRun:
    """One record and kind, compared: runs counted by their length in the reference and in the test."""

    sensitivity: Ints
    """[7, 7] by length from 0 to LONGEST and more, reference by test: one count a run of the reference."""
    predictivity: Ints
    """[7, 7], the same for the runs of the test."""


def timeline(annotations: Annotations, convention: Convention) -> Timeline:
    """One annotator's marks as they concern runs: of nested or repeated beginnings and ends only the first counts."""
    af = vf = shutdown = False
    out: Timeline = []
    for mark in annotations.marks:
        rhythm = _rhythm(mark)
        label = ""
        if mark.symbol in CLASS_OF[convention]:
            beat = CLASS_OF[convention][mark.symbol]
            label = "S" if af and beat == BeatClass.N else beat.value
        elif mark.symbol == "~":
            noise = mark.subtype & SHUTDOWN_BITS == SHUTDOWN_BITS
            label, shutdown = "U" if noise and not shutdown else "", noise
        elif rhythm == "VF":
            label, af, vf = "" if vf else "[", False, True
        elif rhythm == "AF":
            label, af, vf = "" if af else "{", True, False
        elif rhythm == "VF over":
            label, vf = "]" if vf else "", False
        elif rhythm == "other":
            label = "}" if af else "]" if vf else ""
            af = vf = False
        if label:
            out.append((mark.sample, label))
    # What nobody ended, ends with the record.
    return [*out, *[(annotations.length, label) for label, on in (("}", af), ("]", vf)) if on]]


def _rhythm(mark: Mark) -> str:
    if mark.symbol == "[" or (mark.symbol == "+" and mark.note.startswith("(VF")):
        return "VF"
    if mark.symbol == "]":
        return "VF over"
    if mark.symbol == "+" and mark.note:
        return "AF" if mark.note.startswith("(AF") else "other"
    return ""


def compare(reference: Annotations, test: Annotations, convention: Convention, from_s: float) -> dict[Kind, RunByRun]:
    """Both kinds of runs, after the learning period of ``from_s`` seconds."""
    start = round(from_s * reference.fs)
    window = int(MATCH_WINDOW_S * reference.fs + 0.5)
    one, other = timeline(reference, convention), timeline(test, convention)
    return {
        kind: RunByRun(
            _count(one, other, start, window, _RULES[kind]), _count(other, one, start, window, _RULES[kind]).T
        )
        for kind in Kind
    }


def _count(definer: Timeline, other: Timeline, start: int, window: int, rules: _Rules) -> Ints:
    """[7, 7], length in ``definer`` by length in ``other``: one count a run of ``definer``."""
    counts = np.zeros((LONGEST + 1, LONGEST + 1), dtype=np.int64)
    search = _Search(other, rules)
    length = first = last = 0
    for sample, label in definer:
        if sample < start:  # the learning period: only an episode that begins in it concerns us
            length = LONGEST if label == rules.begin else 0 if label in "]}" else length
            first, last = start - window, start + window
        elif label in rules.beats:
            first = first if length else sample - window
            length, last = min(length + 1, LONGEST), sample + window
        elif label == rules.begin and not length:
            length, first = LONGEST, sample - window
        elif label == rules.end and length:
            last = sample + window
        elif label in rules.breaks and length:
            counts[length, search.longest(first, last)] += 1
            length = 0
    if length:
        counts[length, search.longest(first, last)] += 1
    return counts


class _Search:
    """Looks for the other annotator's runs, forward only: what one window has used up is not there for the next."""

    def __init__(self, timeline: Timeline, rules: _Rules) -> None:
        self._timeline = timeline
        self._rules = rules
        self._at = 0
        self._episode_end = 0

    def longest(self, first: int, last: int) -> int:
        """The longest run from sample ``first`` to ``last``, in beats."""
        if self._episode_end > max(first, 0):
            return LONGEST
        while self._at < len(self._timeline) and self._timeline[self._at][0] < first:
            if self._timeline[self._at][1] == self._rules.begin and self._pass_episode() > first:
                return LONGEST
            if self._at < len(self._timeline) and self._timeline[self._at][0] < first:
                self._at += 1
        longest = length = 0
        while self._at < len(self._timeline) and self._timeline[self._at][0] <= last:
            label = self._timeline[self._at][1]
            if label == self._rules.begin:
                self._pass_episode()
                return LONGEST
            if label in self._rules.beats:
                length = min(length + 1, LONGEST)
                longest = max(longest, length)
            elif label in self._rules.breaks_search:
                length = 0
            self._at += 1
        return longest

    def _pass_episode(self) -> int:
        """Goes to the end of the episode that begins here; its sample."""
        while self._at < len(self._timeline) and self._timeline[self._at][1] not in self._rules.ends_search:
            self._at += 1
        self._episode_end = self._timeline[min(self._at, len(self._timeline) - 1)][0]
        return self._episode_end
