"""Weights: whole and made for this code, or refused with one line."""

import json

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

from monitor import checkpoint
from monitor.errors import UserError
from monitor.network import Network, parameters
from trainer.protocols import PROTOCOLS
from trainer.strips import STRIPS
from trainer.told_by_eye import FIBRILLATING

ORIGIN = {"protocol": "test", "commit": "none"}


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "w.safetensors"
    checkpoint.save(path, Network(), ORIGIN)
    return path


def test_what_is_saved_can_be_loaded(weights):
    network, origin = checkpoint.load(weights)
    assert origin == ORIGIN
    torch.manual_seed(0)
    for mine, theirs in zip(Network().state_dict().values(), network.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_those_that_ship_are_whole_small_and_say_where_they_come_from():
    network, origin = checkpoint.load(checkpoint.SHIPPED)
    assert parameters(network) <= 500_000
    assert checkpoint.SHIPPED.stat().st_size < 3_000_000
    assert {"protocol", "recipe", "data_sha256", "commit"} <= origin.keys()
    assert set(origin["data_sha256"]) == {*PROTOCOLS["everything"].train, STRIPS, *FIBRILLATING}


def rewritten(path, change):
    tensors = load_file(path)
    metadata = {"contract": msgspec.json.encode(checkpoint.CONTRACT).decode(), "origin": json.dumps(ORIGIN)}
    change(tensors, metadata)
    save_file(tensors, path, metadata=metadata)


def contract(**changes):
    def change(tensors, metadata):
        metadata["contract"] = msgspec.json.encode(msgspec.structs.replace(checkpoint.CONTRACT, **changes)).decode()

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (contract(fs=250), r"another fs \(250, here 360\)"),
        (contract(features=("rr",)), "another features"),
        (contract(classes=("N", "V")), "another classes"),
        (contract(window=(3, 100, 50)), "another window"),
        (lambda t, m: m.pop("contract"), "no metadata"),
        (lambda t, m: m.update(origin="{"), "no metadata"),
        (lambda t, m: t.pop("members.0.embed.bias"), "do not fit"),
        (lambda t, m: t["members.0.embed.bias"].fill_(float("nan")), "not numbers"),
    ],
)
def test_others_are_refused_with_one_line(weights, change, words):
    rewritten(weights, change)
    with pytest.raises(UserError, match=words) as error:
        checkpoint.load(weights)
    assert str(error.value).startswith(str(weights))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [lambda b: b[:1000], lambda b: b"", lambda b: b"\x80\x04pickle" + b])
def test_damaged_files_are_refused(weights, damage):
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(UserError, match="not a whole safetensors file"):
        checkpoint.load(weights)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no weights here"):
        checkpoint.load(tmp_path / "x.safetensors")
