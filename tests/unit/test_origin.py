"""What weights say of where they come from, and what a training that begins with others takes over of it."""

from dataclasses import replace

import msgspec
import pytest
import torch
from trainings import SMALL, TWO

from monitor.checkpoint import load, save
from monitor.errors import UserError
from monitor.network import Network
from trainer import train
from trainer.cli import main
from trainer.protocols import PROTOCOLS, BeatSplit


def test_a_fit_begins_with_weights_as_they_were_learnt(settings, data_dir, tmp_path, prepared_once):
    """Without what was added to their logits, which the new recipe has for itself; and it says whose they are."""
    first = msgspec.structs.replace(SMALL, s_logit=0.5, v_logit=0.25)
    path = train.fit(TWO, first, settings, tmp_path / "first", lambda step, row: None)
    still = msgspec.structs.replace(SMALL, rate=1e-9, decay=0.0, steps=1, reports=1, s_logit=0.2)
    wider = replace(TWO, name="wider", train=(*TWO.train, "mitdb/105"))
    second = train.fit(wider, still, settings, tmp_path / "second", lambda step, row: None, base=path)
    (before, one), (after, two) = load(path), load(second)
    added = torch.tensor([0.0, 0.2 - 0.5, -0.25, 0.0, 0.0])
    for (name, a), b in zip(before.state_dict().items(), after.state_dict().values(), strict=True):
        torch.testing.assert_close(a + added if name.endswith("head.2.bias") else a, b)
    assert two["base"]["protocol"] == "two"
    assert two["base"]["recipe"] == one["recipe"]
    assert one["base"] == {}
    assert set(two["data_sha256"]) == {"mitdb/100", "mitdb/119", "mitdb/105"}
    with pytest.raises(UserError, match="begun with another base"):
        train.fit(wider, still, settings, tmp_path / "second", lambda step, row: None, resumed=True)


def test_weights_are_written_between_what_was_begun_with_and_what_was_learnt(
    settings, data_dir, tmp_path, prepared_once
):
    path = train.fit(TWO, msgspec.structs.replace(SMALL, s_logit=0.5), settings, tmp_path, lambda step, row: None)
    before = load(path)[0].state_dict()
    written = []
    for share in (0.0, 0.25):
        recipe = msgspec.structs.replace(SMALL, steps=2, reports=1, base_share=share, s_logit=0.5)
        written.append(
            load(train.fit(TWO, recipe, settings, tmp_path / str(share), lambda step, row: None, base=path))[0]
        )
    learnt, mixed = (network.state_dict() for network in written)
    for name, first in before.items():
        torch.testing.assert_close(mixed[name], 0.25 * first + 0.75 * learnt[name])
        assert not torch.equal(first, learnt[name])


def test_a_share_of_no_weights_is_refused(settings, data_dir, tmp_path):
    recipe = msgspec.structs.replace(SMALL, base_share=0.5)
    with pytest.raises(UserError, match=r"--set base_share=0\.5: there are no weights --from which to go on"):
        train.fit(TWO, recipe, settings, tmp_path / "a", lambda step, row: None)


def test_data_of_the_base_count_as_learnt_from(settings, data_dir, tmp_path, prepared_once):
    path = train.fit(TWO, SMALL, settings, tmp_path / "a", lambda step, row: None)
    fewer = replace(TWO, name="fewer", train=("mitdb/119",))
    recipe = msgspec.structs.replace(SMALL, steps=1, reports=1)
    _, origin = load(train.fit(fewer, recipe, settings, tmp_path / "b", lambda step, row: None, base=path))
    assert set(origin["data_sha256"]) == {"mitdb/100", "mitdb/119"}


@pytest.mark.parametrize("held_out", ["validate", "test"])
def test_weights_that_know_who_is_held_out_are_not_begun_with(
    held_out, settings, data_dir, tmp_path, monkeypatch, capsys, prepared_once
):
    path = train.fit(TWO, SMALL, settings, tmp_path / "a", lambda step, row: None)
    monkeypatch.setitem(PROTOCOLS, "between-patients", replace(TWO, **{held_out: ("mitdb/119",)}))
    assert main(["fit", "--from", str(path), "--out", str(tmp_path / "b"), "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert said == f"ecg-train: --from {path}: has learnt from mitdb/119, whom two holds out\n"
    assert not (tmp_path / "b").exists()


def test_weights_that_have_learnt_every_beat_are_not_begun_with_where_beats_are_parted(
    settings, data_dir, tmp_path, prepared_once
):
    """Nor with those of another parting; with those of the same they are."""
    recipe = msgspec.structs.replace(SMALL, steps=1, reports=1)
    parted = replace(TWO, name="parted", test=TWO.train, beats=BeatSplit())
    whole = train.fit(TWO, recipe, settings, tmp_path / "whole", lambda step, row: None)
    with pytest.raises(UserError, match=r"has learnt from mitdb/1\d\d, whom parted holds out"):
        train.fit(parted, recipe, settings, tmp_path / "a", lambda step, row: None, base=whole)
    same = train.fit(parted, recipe, settings, tmp_path / "same", lambda step, row: None)
    train.fit(parted, recipe, settings, tmp_path / "b", lambda step, row: None, base=same)
    other = replace(parted, name="other", beats=BeatSplit(test=0.3))
    with pytest.raises(UserError, match="whom other holds out"):
        train.fit(other, recipe, settings, tmp_path / "c", lambda step, row: None, base=same)


def test_weights_that_do_not_say_what_they_have_learnt_are_not_begun_with(settings, data_dir, tmp_path):
    save(tmp_path / "w.safetensors", Network(), {})
    with pytest.raises(UserError, match="does not say what it has learnt from"):
        train.fit(TWO, SMALL, settings, tmp_path / "a", lambda step, row: None, base=tmp_path / "w.safetensors")
