"""Beats called S in fibrillation: which count, and which do not."""

import numpy as np
import pytest

from bench.fibrillation_beats import counted, main
from monitor.events import BeatClass, Level, Verdict
from trainer.references import Reference


def verdict(sample, label):
    return Verdict(
        stream="s",
        seq=1,
        sample=sample,
        label=label,
        probabilities=(0.2,) * 5,
        rr=None,
        level=Level.GOOD,
        amplitude=1.0,
        p_likeness=0.0,
        p_amplitude=0.0,
    )


def test_only_beats_in_fibrillation_count_at_the_rate_of_the_monitor():
    """Annotated at 250 Hz: fibrillation from 10 to 20 s."""
    reference = Reference(250.0, np.zeros(0, np.int64), [], [], [], [(0, "N"), (2500, "AFIB"), (5000, "N")])
    labels = {5.0: BeatClass.S, 11.0: BeatClass.S, 12.0: BeatClass.N, 19.9: BeatClass.V, 20.1: BeatClass.S}
    judged = [verdict(int(at * 360), label) for at, label in labels.items()]
    assert counted(reference, judged) == (1, 3)
    assert counted(Reference(250.0, np.zeros(0, np.int64), [], [], [], []), judged) == (0, 0)


@pytest.mark.parametrize("named", ["challenge2015/b538s", "{data}/challenge2015/b538s"])
def test_of_who_fibrillates_all_the_time_every_beat_counts(data_dir, capsys, named):
    """challenge2015 has no annotations that could say so; b538s fibrillates slowly, and hardly a beat of it is S."""
    assert main([named.format(data=data_dir)]) == 0
    _, record, beats, wrong, learnt, _ = capsys.readouterr().out.splitlines()[-1].split("|")
    assert learnt.strip() == "yes"
    assert record.strip().endswith("b538s")
    assert int(beats) > 200
    assert int(wrong.split()[0]) < 0.05 * int(beats)
    assert counted(None, [verdict(360, BeatClass.S), verdict(720, BeatClass.N)]) == (1, 2)


def test_who_is_not_known_to_fibrillate_is_one_line(data_dir, capsys):
    """No annotations, and nothing was told by eye."""
    assert main(["challenge2015/b124s"]) == 1
    assert "no such annotation file" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["vfdb/nobody"], ["--weights", "nowhere.safetensors"]])
def test_what_is_not_there_is_one_line(words, capsys):
    assert main(words) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
