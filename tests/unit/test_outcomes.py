"""Every beat's outcome: counted as the score counts, curves by hand, examples of each kind of error."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from marks import annotations, both, bxb_cases

from monitor.events import CLASSES, FS, BeatClass, Level, Verdict
from trainer import ec57, outcomes
from trainer.annotations import Annotations, Mark
from trainer.outcomes import NONE, compare, curve, examples
from trainer.protocols import PROTOCOLS
from trainer.scoring import LITERATURE, Where

WHERE = Where("db/r", "replay:db/r", Path("r"))
N, S, V, F, Q = range(5)


def verdict(sample, label="N", p=0.9):
    shares = [(1 - p) / 4] * 5
    shares[CLASSES.index(BeatClass(label))] = p
    return Verdict(
        stream="r",
        seq=0,
        sample=sample,
        label=BeatClass(label),
        probabilities=tuple(shares),
        rr=None,
        level=Level.GOOD,
        amplitude=1.0,
        p_likeness=0.9,
        p_amplitude=0.1,
    )


def said(text):
    """Verdicts, written as ``100N.9``: sample, class, its probability."""
    out = []
    for word in text.split():
        at = next(n for n, c in enumerate(word) if c.isalpha())
        out.append(verdict(int(word[:at]), word[at], float(word[at + 1 :] or 0.9)))
    return out


def result(reference, test, name="db/r"):
    return compare(replace(WHERE, name=name), annotations(reference), said(test))


@pytest.mark.parametrize("case", bxb_cases())
def test_counted_as_the_score_counts(case):
    reference, _ = both(case)
    # The test side as a pipeline says it: beats alone, at 360 Hz.
    found = [verdict(n, str(c)) for n, c in zip(range(0, 5000, 300), "NSVFQ" * 4, strict=False)]
    marks = tuple(Mark(round(v.sample * reference.fs / FS), v.label.value) for v in found)
    expected = ec57.compare(
        reference, Annotations(reference.fs, reference.length, marks), LITERATURE.convention, LITERATURE.from_s
    )
    np.testing.assert_array_equal(compare(WHERE, reference, found).confusion, expected.confusion)


def test_each_beat_and_where_it_is():
    one = result("400N 800V 1200S 1600N", "405N 1210V.8 1605N 2000S.7")
    assert one.rows.tolist() == [N, V, S, N, ec57.MISSED]
    assert one.columns.tolist() == [N, ec57.MISSED, V, N, S]
    assert one.reference.tolist() == [400, 800, 1200, 1600, NONE]
    assert one.test.tolist() == [405, NONE, 1210, 1605, 2000]
    assert np.isnan(one.probabilities[1]).all()
    assert one.probabilities[2, V] == pytest.approx(0.8)
    half = one.only(one.reference > 1000)
    assert half.confusion.sum() == 2


def test_nothing_is_counted_within_flutter():
    assert result("400N 800[ 2000] 2400N", "400N 1200V 1600V 2400N").confusion.sum() == 2


def test_a_curve_by_hand():
    """V by falling probability: right .9, wrong .8, right .6, made up .5; one V is missed."""
    one = result("400V 800N 1200V 1600V 2400N", "400V.9 800V.8 1200V.6 2000V.5 2400N.99")
    found = curve([one], V)
    np.testing.assert_allclose(found.precision[:4], [1, 1 / 2, 2 / 3, 2 / 4])
    np.testing.assert_allclose(found.recall[:4], [1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert found.recall[-1] == pytest.approx(2 / 3)  # the missed beat is never recalled
    assert found.average_precision == pytest.approx(1 / 3 + 2 / 9)
    assert found.at == pytest.approx((2 / 3, 2 / 4))
    assert found.beats == 3


def test_equal_probabilities_pass_together():
    one = result("400V 800N 1200V", "400V.9 800V.9 1200V.9")
    found = curve([one], V)
    assert found.precision.tolist() == [pytest.approx(2 / 3)]
    assert found.average_precision == pytest.approx(2 / 3)


def test_a_class_that_is_not_there():
    found = curve([result("400N", "400N")], F)
    assert (found.average_precision, found.beats, found.at) == (0.0, 0, (0.0, 0.0))
    assert curve([result("400N", "")], N).average_precision == 0.0


def test_examples_take_kinds_and_records_by_turns():
    a = result("400S 800S 1200S 1600V", "400N.6 800N.9 1200N.7 1600N.5", "db/a")
    b = result("400S", "400N.5", "db/b")
    chosen = [(one.outcomes.where.name, one.sample) for one in examples([a, b], 10)]
    # S called N (4): the surest of a, then b's; V called N between them, as the second kind.
    assert chosen == [("db/a", 800), ("db/a", 1600), ("db/b", 400), ("db/a", 1200), ("db/a", 400)]
    assert len(examples([a, b], 2)) == 2
    assert examples([result("400N", "400N")], 3) == []
    assert [one.sample for one in examples([result("400N", "400N 900V")], 3)] == [900]


def test_only_the_beats_that_test_are_counted(settings, data_dir, monkeypatch):
    protocol = PROTOCOLS["within-patients"]
    reference = outcomes.load_reference(data_dir / "mitdb" / "100")
    tested = protocol.tested("mitdb/100", np.array([CLASSES.index(label) for label in reference.labels]))
    perfect = [
        verdict(int(sample), label.value) for sample, label in zip(reference.samples, reference.labels, strict=True)
    ]
    extra = verdict(int(reference.samples[10] + reference.samples[11]) // 2, "V")
    monkeypatch.setattr(outcomes, "verdicts", lambda *_: sorted([*perfect, extra], key=lambda v: v.sample))
    counted = outcomes.judge("mitdb/100", protocol, None, settings).confusion
    assert counted.sum() == np.trace(counted) == tested.sum()
