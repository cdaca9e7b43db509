"""The network as ONNX: the same figures as torch's, with what they mean, in any batch."""

import json
import sys

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from monitor.checkpoint import CONTRACT, Contract, save
from monitor.network import HIDDEN, Network
from trainer.cli import main
from trainer.export import INPUTS, OUTPUTS, TOLERANCE, Step, deviation, example, export

ORIGIN = {"protocol": "test", "commit": "none"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An untrained network, and the file that it is exported to."""
    torch.manual_seed(0)
    network, folder = Network().eval(), tmp_path_factory.mktemp("export")
    save(folder / "w.safetensors", network, ORIGIN)
    assert export(folder / "w.safetensors", folder / "new" / "w.onnx") <= TOLERANCE
    return network, folder / "new" / "w.onnx"


def reference(path):
    evaluator = ReferenceEvaluator(str(path))
    return lambda feed: evaluator.run(list(OUTPUTS), feed)


def runtime(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(list(OUTPUTS), feed)


@pytest.mark.parametrize("run_by", [reference, runtime])
@pytest.mark.parametrize("batch", [1, 7])
def test_beat_after_beat_it_says_what_torch_says(made, run_by, batch):
    network, path = made
    run, step = run_by(path), Step(network)
    hidden = torch.zeros(batch, HIDDEN)
    theirs = hidden.numpy()
    for beat in range(3):
        x, f, _ = example(batch, seed=100 + beat)
        with torch.inference_mode():
            logits, hidden = step(x, f, hidden)
        said, theirs = run({"x": x.numpy(), "f": f.numpy(), "hidden": theirs})
        assert said.shape == (batch, 5)
        np.testing.assert_allclose(said, logits.numpy(), rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(theirs, hidden.numpy(), rtol=0, atol=TOLERANCE)


def test_the_file_says_what_it_was_made_for(made):
    model = onnx.load(made[1])
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert msgspec.json.decode(told["contract"], type=Contract) == CONTRACT
    assert json.loads(told["origin"]) == ORIGIN
    assert tuple(one.name for one in model.graph.input) == INPUTS
    for one in (*model.graph.input, *model.graph.output):
        assert one.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_file_tells_nothing_of_the_machine(made):
    content = made[1].read_bytes()
    for word in (b"site-packages", b".py", b"stack_trace"):
        assert word not in content


def test_a_difference_shows(made):
    network, path = made
    model = onnx.load(path)
    for one in model.graph.initializer:
        if one.name.endswith("head.2.bias"):  # of every member
            moved = onnx.numpy_helper.to_array(one) + np.float32([0.01, 0, 0, 0, 0])
            one.CopyFrom(onnx.numpy_helper.from_array(moved, one.name))
    # Of logits that are a softmax's, the one that was moved has moved by 0.01 (1 - p).
    assert 0.005 < deviation(model, network) < 0.01


def test_mistakes_are_one_line(capsys, tmp_path, monkeypatch):
    assert main(["export", "--weights", str(tmp_path / "x"), "--out", str(tmp_path / "x.onnx")]) == 1
    assert "there are no weights here" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", "--weights", str(tmp_path / "x"), "--out", str(tmp_path / "x.onnx")]) == 1
    told = capsys.readouterr().err
    assert "onnxscript" in told
    assert "pip install 'ecg-monitor[export]'" in told
    assert len(told.splitlines()) == 1
