"""Verdicts: one a beat, to the last bit the same in any company; the network on real patients."""

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import torch
from streams import demo, played

from monitor.beats import CHANNELS, FEATURES, LENGTH
from monitor.checkpoint import SHIPPED, load
from monitor.classifier import TILES, Classifier, choose_device
from monitor.detector import Detector
from monitor.errors import UserError
from monitor.events import Beat, BeatClass, Verdict
from monitor.network import EMBEDDING, HIDDEN, MEMBERS, Network, together
from trainer.evaluate import judge_record, scores


def test_a_verdict_for_every_beat(settings):
    found = Detector(settings).push(played(demo(60.0)))
    out = Classifier(settings, load(SHIPPED)[0], choose_device("cpu")).push(found)
    beats = [e for e in found if isinstance(e, Beat)]
    verdicts = [e for e in out if isinstance(e, Verdict)]
    assert [v.sample for v in verdicts] == [b.sample for b in beats]
    assert verdicts[0].rr is None
    assert [v.rr for v in verdicts[1:]] == [b.sample - a.sample for a, b in pairwise(beats)]
    for v in verdicts:
        assert sum(v.probabilities) == pytest.approx(1.0, abs=3e-4)
        assert v.label == list(BeatClass)[max(range(5), key=v.probabilities.__getitem__)]


def test_the_state_is_an_argument():
    """``step`` along T beats is ``forward`` on all of them."""
    torch.manual_seed(0)
    network = Network().eval()
    seen, hidden = torch.randn(7, 3, EMBEDDING), torch.zeros(3, HIDDEN)
    with torch.inference_mode():
        logits, last = network(seen, hidden)
        for t in range(7):
            one, hidden = network.step(seen[t], hidden)
            torch.testing.assert_close(one, together(logits[t]))
        torch.testing.assert_close(hidden, last)


def test_in_the_committee_the_first_counts_as_much_as_the_others_together():
    logits = torch.randn(4, MEMBERS, 5)
    first, *others = logits.softmax(-1).unbind(-2)
    torch.testing.assert_close(together(logits).softmax(-1), 0.5 * first + 0.5 * sum(others) / len(others))
    assert torch.isfinite(together(torch.tensor([[600.0, 0.0, 0.0, 0.0, 0.0]] * MEMBERS))).all()


def test_each_member_may_be_shown_other_features():
    """What one is shown changes what it sees, and nothing of what the others see."""
    torch.manual_seed(0)
    network, x, f = Network().eval(), torch.randn(3, CHANNELS, LENGTH), torch.randn(3, len(FEATURES))
    shown = f.unsqueeze(1).repeat(1, MEMBERS, 1)
    with torch.inference_mode():
        same = network.look(x, f).unflatten(-1, (MEMBERS, -1))
        torch.testing.assert_close(network.look(x, shown).unflatten(-1, (MEMBERS, -1)), same)
        for k in range(MEMBERS):
            other = shown.clone()
            other[:, k] += 1.0
            differs = (network.look(x, other).unflatten(-1, (MEMBERS, -1)) - same).abs().amax(dim=(0, 2)) > 1e-3
            assert differs.tolist() == [member == k for member in range(MEMBERS)]


def many(settings, count):
    """The beats of so many streams."""
    return [Detector(settings).push(played(demo(8.0, start=0.5 * k), stream=f"p{k}")) for k in range(count)]


def in_company_and_alone(settings, network, streams):
    device = choose_device("cpu")
    together = Classifier(settings, network, device).push([event for events in streams for event in events])
    one_by_one = Classifier(settings, network, device)
    alone = [v for events in streams for v in one_by_one.push(events)]
    return [[msgspec.msgpack.encode(v) for v in verdicts] for verdicts in (together, alone)]


def test_the_company_changes_no_bit(settings):
    """More streams than the tiles hold, at once and one by one: equal, not merely close."""
    together, alone = in_company_and_alone(settings, load(SHIPPED)[0], many(settings, TILES[-1] + TILES[0] + 8))
    assert together == alone


class Rounding(Network):
    """As a library might, on some processor: more rows at once, other bits."""

    def look(self, x, f):
        return super().look(x, f) + 1e-2 * len(x)


def test_sizes_of_tiles_that_round_otherwise_are_not_used(settings):
    torch.manual_seed(0)
    together, alone = in_company_and_alone(settings, Rounding(), many(settings, TILES[-1] + 1))
    assert together == alone


def test_asking_for_cuda_where_there_is_none():
    assert choose_device("cpu").type == "cpu"
    if torch.cuda.is_available():
        assert choose_device("auto").type == "cuda"
    else:
        assert choose_device("auto").type == "cpu"
        with pytest.raises(UserError, match="no CUDA device"):
            choose_device("cuda")


@pytest.mark.gpu
# Where there is a device, a torch that does not find it is no reason to skip.
@pytest.mark.skipif(not torch.cuda.is_available() and not Path("/dev/nvidiactl").exists(), reason="no CUDA device")
def test_cuda_judges_as_the_cpu_does(settings):
    found = Detector(settings).push(played(demo(60.0)))
    network, _ = load(SHIPPED)
    cpu = Classifier(settings, network, torch.device("cpu")).push(found)
    cuda = Classifier(settings, load(SHIPPED)[0], torch.device("cuda")).push(found)
    for a, b in zip(cpu, cuda, strict=True):
        if isinstance(a, Verdict):
            assert a.label == b.label
            assert a.probabilities == pytest.approx(b.probabilities, abs=1e-3)


@pytest.mark.parametrize(("record", "floor"), [("mitdb/200", 0.9), ("mitdb/233", 0.9), ("mitdb/119", 0.9)])
def test_ventricular_beats_are_known(settings, data_dir, record, floor):
    """With our own R peaks, streaming; the whole of DS2 is scored by bench/accuracy_beats.py."""
    result = judge_record(record, load(SHIPPED)[0], settings)
    assert scores(result.confusion)["V"][2] >= floor
