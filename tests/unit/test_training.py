"""Training: what is learnt from, in which order, and that the same seed gives the same weights."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from trainings import SMALL, TWO

from monitor.checkpoint import SHIPPED, load
from monitor.errors import UserError
from monitor.events import CLASSES
from monitor.network import MEMBERS, Network
from trainer import resume, train
from trainer.cli import main
from trainer.dataset import UNKNOWN
from trainer.feed import Batches
from trainer.pool import Order, Prepared, orders, prepared
from trainer.protocols import PROTOCOLS
from trainer.strips import is_short, is_strip, strips

# --- what is prepared -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sequences(settings, data_dir):
    wanted = orders(TWO, 0, 2, 1, 0, settings)
    return prepared(wanted, TWO, settings, 2)


def test_both_leads_each_copy_and_the_composed(sequences):
    kinds = [(one.order.kind, one.order.record, one.order.lead, one.order.copy) for one in sequences]
    assert len(kinds) == len(set(kinds)) == 2 * 2 * 3
    first = next(one for one in sequences if one.order == Order("recorded", "mitdb/100", 0, 0, 0))
    counts = np.bincount(first.labels[first.labels >= 0], minlength=5)
    assert counts[CLASSES.index("N")] == pytest.approx(2239, abs=3)
    assert counts[CLASSES.index("S")] == pytest.approx(33, abs=1)


def test_copies_differ_and_are_the_same_twice(sequences, settings):
    plain, changed = (
        next(one for one in sequences if one.order == Order("recorded", "mitdb/119", 0, copy, 0)) for copy in (0, 1)
    )
    assert plain.x.shape != changed.x.shape or not np.array_equal(plain.x, changed.x)
    again = prepared([changed.order], TWO, settings, 1)[0]
    np.testing.assert_array_equal(again.x, changed.x)
    np.testing.assert_array_equal(again.labels, changed.labels)


def test_what_is_composed_depends_on_its_order_alone(settings, data_dir):
    """Not on what the process had at hand, nor on who else is learnt from: 209 lends P waves of S beats, and
    ventricular beats and more."""
    protocol = replace(TWO, train=("mitdb/119", "mitdb/209"), strips=True)
    wanted = [order for order in orders(protocol, 0, 1, 1, 1, settings) if order.kind == "composed"]
    some = [wanted[0], wanted[2], *[order for order in wanted if is_strip(order.record)][:2]]
    together = prepared(some, protocol, settings, 1)
    assert [one.order for one in together] == some
    wider = replace(protocol, name="wider", train=("mitdb/119", "mitdb/200", "mitdb/209", "svdb/880"))
    for one, company in zip(together[1::2], (protocol, wider), strict=True):
        alone = prepared([one.order], company, settings, 1)[0]
        np.testing.assert_array_equal(one.x, alone.x)
        np.testing.assert_array_equal(one.labels, alone.labels)


def test_a_strip_claims_normal_beats_and_nothing_else(settings, data_dir):
    protocol = replace(TWO, strips=True)
    wanted = [order for order in orders(protocol, 0, 1, 1, 0, settings) if order.kind in ("normal", "fibrillation")]
    assert {order.kind for order in wanted} == {"normal", "fibrillation"}
    some = prepared(wanted[:4], protocol, settings, 1)
    assert some
    for one in some:
        assert set(np.unique(one.labels)) <= {UNKNOWN, CLASSES.index("N")}
        assert one.labels[0] == UNKNOWN


def test_rhythms_are_composed_of_a_strips_beats(settings, data_dir):
    """As many patients as there are strips, and both leads of longer recordings; those that fibrillate stay at it;
    ventricular beats are lent."""
    protocol = replace(TWO, train=("mitdb/100", "mitdb/119"), strips=True)
    wanted = [one for one in orders(protocol, 0, 1, 1, 2, settings) if one.kind == "composed" and is_strip(one.record)]
    assert len(wanted) == 2 * len({(one.record, one.lead) for one in wanted}) > 1000
    rhythms = {(one.record, one.lead): one.rhythm for one in strips(settings)}
    fibrillating = [one for one in wanted if rhythms[one.record, one.lead] == "fibrillation"]
    fibrillating = [*fibrillating[:6], *fibrillating[-4:]]
    assert {is_short(one.record) for one in fibrillating} == {True, False}
    normal = [one for one in wanted if rhythms[one.record, one.lead] == "normal"][:6]
    sequences = prepared([*fibrillating, *normal], protocol, settings, 2)
    for group, there in ((fibrillating, {"N", "V"}), (normal, {"N", "S", "V"})):
        labels = np.concatenate([one.labels for one in sequences if one.order in group])
        assert {CLASSES[k].value for k in np.unique(labels[labels != UNKNOWN])} == there


# --- batches ----------------------------------------------------------------------------------------------------


def fake(record, beats, kind="recorded"):
    values = np.arange(beats)
    return Prepared(
        Order(kind, record, 0, 0, 0),
        np.broadcast_to(values[:, None, None], (beats, 2, 3)).astype(np.float16),
        np.broadcast_to(values[:, None], (beats, 2)).astype(np.float32),
        (values % 5).astype(np.int8),
    )


def test_who_fibrillates_is_composed_as_fibrillating(settings, data_dir):
    """mitdb/203's beats have no P waves that anything else could be made of; 101's have."""
    orders_ = [Order("composed", record, 0, 1, 0) for record in ("mitdb/203", "mitdb/101")]
    fibrillating, other = prepared(orders_, TWO, settings, 1)
    assert not (fibrillating.labels == CLASSES.index("S")).any()
    assert (other.labels == CLASSES.index("S")).any()


def test_composed_patients_come_from_strips_by_the_share_that_is_set():
    some = [
        fake("mitdb/100", 20),
        fake("mitdb/100", 20, "composed"),
        fake("challenge2017/A00001", 20, "composed"),
    ]
    recipe = msgspec.structs.replace(SMALL, composed=1.0, composed_strips=0.75, second_lead=0.0)
    source = Batches(some, recipe, np.random.default_rng(0))
    drawn = np.bincount([source.draw() for _ in range(2000)], minlength=3) / 2000
    np.testing.assert_allclose(drawn, [0.0, 0.25, 0.75], atol=0.04)


def test_a_patient_goes_on_where_the_last_batch_ended():
    recipe = msgspec.structs.replace(SMALL, chunk=8, batch=2, second_lead=0.0, composed=0.0)
    rng = np.random.default_rng(0)
    source = Batches([fake("a", 60), fake("b", 45)], recipe, rng)
    last = None
    begun = 0
    for _ in range(40):
        x, f, labels, same = source.next()
        assert x.shape == (8, 2, 2, 3)
        for b in range(2):
            known = labels[:, b] != UNKNOWN
            np.testing.assert_array_equal(f[known, b, 0] % 5, labels[known, b])
            if last is not None and same[b] == 1:
                assert f[0, b, 0] == last[b] + 1
            begun += int(same[b] == 0)
        last = f[-1, :, 0].clone()
    assert begun > 4


def test_every_patient_is_fed_as_often_however_long(sequences):
    recipe = msgspec.structs.replace(SMALL, second_lead=0.5, composed=0.0)
    feed = Batches(sequences, recipe, np.random.default_rng(0))
    drawn = [sequences[feed.draw()].order.record for _ in range(200)]
    assert drawn.count("mitdb/100") == drawn.count("mitdb/119") == 100


# --- the fit ----------------------------------------------------------------------------------------------------


def test_a_fit_is_the_same_twice_and_writes_what_it_says(settings, data_dir, tmp_path):
    told = []
    one = train.fit(TWO, SMALL, settings, tmp_path / "a", lambda step, row: told.append((step, row)))
    two = train.fit(TWO, SMALL, settings, tmp_path / "b", lambda step, row: None)
    (first, origin), (second, _) = load(one), load(two)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert [step for step, _ in told] == [2, 4]
    assert {"train_loss", "loss", "N", "S", "V"} <= set(told[0][1])
    assert origin["protocol"] == "two"
    assert origin["recipe"]["steps"] == 4
    assert len((tmp_path / "a" / "log.csv").read_text().splitlines()) == 3


def test_what_is_written_believes_more_in_s_and_v_by_what_the_recipe_says(settings, data_dir, tmp_path, prepared_once):
    usual, leaning = (
        load(train.fit(TWO, recipe, settings, tmp_path / f"{recipe.s_logit}", lambda step, row: None))[0]
        for recipe in (SMALL, msgspec.structs.replace(SMALL, s_logit=0.5, v_logit=0.25))
    )
    before, after = usual.state_dict(), leaning.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"members.{k}.head.2.bias" for k in range(MEMBERS)}
    for name in changed:
        torch.testing.assert_close(after[name] - before[name], torch.tensor([0.0, 0.5, 0.25, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("can", "has"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"bf16": True, "architecture": "arm64"}, True),
        ({}, False),
    ],
)
def test_bfloat16_is_for_a_cpu_that_is_made_for_it(can, has, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can, raising=False)
    assert train.has_bfloat16(torch.device("cpu")) is has


@pytest.mark.parametrize("has", [True, False])
def test_bfloat16_is_for_a_gpu_that_does_not_emulate_it(has, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or has)
    assert train.has_bfloat16(torch.device("cuda")) is has


def test_a_torch_that_cannot_tell_gets_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not train.has_bfloat16(torch.device("cpu"))


@pytest.mark.parametrize(("asked", "does"), [(None, False), (None, True), (False, False), (True, True)])
def test_products_are_in_bfloat16_where_asked_for_or_else_where_it_is_faster(
    asked, does, settings, data_dir, tmp_path, monkeypatch, prepared_once
):
    monkeypatch.setattr(train, "has_bfloat16", lambda device: does if asked is None else not does)
    seen = set()

    def run_over(network, x, f, hidden, *, mixed=False):
        seen.add((network.training, mixed))
        return real(network, x, f, hidden, mixed=mixed)

    real = train.run_over
    monkeypatch.setattr(train, "run_over", run_over)
    recipe = msgspec.structs.replace(SMALL, steps=2, mixed=asked)
    _, origin = load(train.fit(TWO, recipe, settings, tmp_path, lambda step, row: None))
    assert seen == {(True, does), (False, False)}
    assert origin["recipe"]["mixed"] is does


def test_the_command_trains_and_says_where_the_weights_are(settings, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(PROTOCOLS, "between-patients", TWO)
    sets = ["steps=2", "chunk=16", "batch=3", "copies=1", "composed_copies=0", "reports=1"]
    words = [word for each in sets for word in ("--set", each)]
    assert main(["fit", "--out", str(tmp_path / "a"), "--device", "cpu", *words]) == 0
    said = capsys.readouterr().out
    assert "step 2: train_loss" in said
    assert said.rstrip().endswith("weights.safetensors")
    load(tmp_path / "a" / "weights.safetensors")


def test_features_are_varied_patient_by_patient_and_member_by_member():
    torch.manual_seed(0)
    f, spread = torch.randn(5, 400, 2), torch.tensor([1.0, 10.0])
    torch.testing.assert_close(train.varied(f, spread, 0.0), f.unsqueeze(2).expand(-1, -1, MEMBERS, -1))
    shown = train.varied(f, spread, 0.3)
    assert shown.shape == (5, 400, MEMBERS, 2)
    # Along a chunk one factor and one shift: what is left of a line through the first two beats is nothing.
    slope = (shown[1] - shown[0]) / (f[1] - f[0]).unsqueeze(1)
    clear = (f[1] - f[0]).abs().unsqueeze(1).expand_as(slope) > 0.1
    torch.testing.assert_close(
        (shown[0] + slope * (f[4] - f[0]).unsqueeze(1))[clear], shown[4][clear], atol=1e-2, rtol=0
    )
    assert slope[clear].std() == pytest.approx(0.3, abs=0.03)
    shift = (shown[0] - slope * f[0].unsqueeze(1)).permute(2, 0, 1)[:, clear[..., 0] & clear[..., 1]]
    torch.testing.assert_close(shift.std(dim=1), 0.3 * spread, rtol=0.15, atol=0)
    assert (slope[:, 0] != slope[:, 1]).any()


class EndedError(Exception):
    """As if the power had gone."""


def test_what_ended_early_is_taken_up_and_comes_to_the_same_weights(settings, data_dir, tmp_path, prepared_once):
    whole = train.fit(TWO, SMALL, settings, tmp_path / "whole", lambda step, row: None)

    def gone(step, row):
        raise EndedError

    with pytest.raises(EndedError):
        train.fit(TWO, SMALL, settings, tmp_path / "parts", gone)
    told = []
    parts = train.fit(TWO, SMALL, settings, tmp_path / "parts", lambda step, row: told.append(step), resumed=True)
    assert told == [4]
    (one, one_origin), (two, two_origin) = load(whole), load(parts)
    assert one_origin == two_origin
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (tmp_path / "parts" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()
    with pytest.raises(UserError, match="begun with another recipe"):
        train.fit(TWO, msgspec.structs.replace(SMALL, steps=5), settings, tmp_path / "parts", gone, resumed=True)


def test_nothing_to_take_up_is_one_line(settings, data_dir, tmp_path):
    networks = {"network": Network()}
    optimizer = torch.optim.AdamW(networks["network"].parameters())
    with pytest.raises(UserError, match="leave --resume out"):
        resume.read(tmp_path / "state.safetensors", networks, optimizer, {})
    (tmp_path / "a").write_text("no tensors")
    with pytest.raises(UserError, match="not a whole safetensors file"):
        resume.read(tmp_path / "a", networks, optimizer, {})
    with pytest.raises(UserError, match="not the state of a training"):
        resume.read(SHIPPED, networks, optimizer, {})


def test_out_of_patience_the_best_weights_are_kept(settings, data_dir, tmp_path, monkeypatch, prepared_once):
    scores = iter([0.3, 0.5, 0.4, 0.45, 0.9])
    seen = []

    def validate(network, sequences, device):
        seen.append([p.detach().clone() for p in network.parameters()])
        return {"macro": next(scores)}

    monkeypatch.setattr(train, "validate", validate)
    recipe = msgspec.structs.replace(SMALL, steps=5, reports=5, patience=2)
    path = train.fit(TWO, recipe, settings, tmp_path, lambda step, row: None)
    weights, origin = load(path)
    assert len(seen) == 4
    for a, b in zip(weights.parameters(), seen[1], strict=True):
        assert torch.equal(a, b)
    assert origin["last_report"]["macro"] == 0.5
    with pytest.raises(UserError, match="holds nobody out"):
        train.fit(TWO.final(), recipe, settings, tmp_path, lambda step, row: None)


def test_the_rate_rises_and_falls_to_nothing():
    rates = [train.schedule(step, 200) for step in range(201)]
    assert rates[0] == 0.0
    assert max(rates) == rates[40] > 0.9
    assert rates[200] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.timeout(300)  # two more interpreters that load torch and prepare the sequences
def test_two_processes_learn_together(settings, data_dir, tmp_path):
    """As torchrun starts them: one file of weights, of gradients that are means."""
    script = tmp_path / "two.py"
    script.write_text(
        "from monitor import config\nfrom pathlib import Path\nfrom trainer import train\n"
        "from trainings import SMALL, TWO\n"
        "if __name__ == '__main__':\n"
        f"    out = Path({str(tmp_path)!r})\n"
        "    train.fit(TWO, SMALL, config.load(None), out, lambda step, row: print(step), processes=1)\n"
    )
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    here = Path(__file__).parent
    path = os.pathsep.join([str(here.parents[1]), str(here), *sys.path])
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "4"]
    load(tmp_path / "weights.safetensors")
