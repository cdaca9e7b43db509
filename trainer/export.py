"""The network as one ONNX file, for where there is no torch: one beat of each of so many patients.

The graph is ``look`` and one ``step``: x [batch, CHANNELS, LENGTH], f [batch, feature], hidden [batch, HIDDEN] →
logits [batch, class], hidden_after [batch, HIDDEN]. The state stays the caller's: zeros for a new patient, and then
what came out with the patient's last beat. x and f are what ``monitor.beats`` makes of a beat; the contract that says
so (and the weights' origin) stand in the file's metadata, as they do in the weights'.

Law: what is written has been run, and equals torch within TOLERANCE.
"""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from monitor.beats import CHANNELS, FEATURES, LENGTH
from monitor.checkpoint import CONTRACT, load
from monitor.errors import UserError
from monitor.network import HIDDEN, Network

OPSET = 18
"""Of ONNX: the oldest that torch's exporter writes without converting, so that most runtimes can read it."""

TOLERANCE = 1e-5
"""Largest difference of a logit or a state from torch's: float32 summed in another order differs by 1e-6."""

INPUTS = ("x", "f", "hidden")
OUTPUTS = ("logits", "hidden_after")

_EXAMPLE = 2
"""Patients in the batch that is traced; 1 would be taken for a constant."""
_CHECKED = (1, 2, 33)
"""Batches that the written file is tried with."""

_MEANING = (
    "One heartbeat of each of [batch] patients. x: waveform, f: features, hidden: the patient's state (zeros for a new "
    "one); logits: of the classes in the metadata's contract, hidden_after: the state to give with the next beat. "
    "Not a medical device."
)


class Step(nn.Module):
    """``look`` and one ``step`` as one function, without state."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, f: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.step(self.network.look(x, f), hidden)


def example(batch: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Random x, f and hidden of so many patients."""
    random = torch.Generator().manual_seed(seed)
    shapes = ((CHANNELS, LENGTH), (len(FEATURES),), (HIDDEN,))
    x, f, hidden = (torch.randn(batch, *shape, generator=random) for shape in shapes)
    return x, f, hidden


def export(weights: Path, out: Path) -> float:
    """Writes the network of ``weights`` to ``out`` and returns its largest difference from torch.

    Raises:
        UserError: the packages are missing, the weights cannot be used, or ``out`` cannot be written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it, and says so less clearly
    except ImportError as error:
        raise UserError(f"export needs the package {error.name}; write `pip install 'ecg-monitor[export]'`") from error
    network, origin = load(weights)
    model = _traced(network)
    contract = msgspec.json.encode(CONTRACT).decode()
    onnx.helper.set_model_props(model, {"contract": contract, "origin": json.dumps(origin, sort_keys=True)})
    model.doc_string = _MEANING
    onnx.checker.check_model(model, full_check=True)
    difference = deviation(model, network)
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the exported network differs from torch's by {difference:g}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, out)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}") from error
    return difference


def deviation(model: Any, network: Network) -> float:
    """The largest difference of what ONNX's own evaluator makes of ``model`` from what torch makes of ``network``."""
    from onnx.reference import ReferenceEvaluator

    evaluator, step = ReferenceEvaluator(model), Step(network).eval()
    largest = 0.0
    for batch in _CHECKED:
        inputs = example(batch, seed=batch)
        with torch.inference_mode():
            expected = step(*inputs)
        got = evaluator.run(None, {name: value.numpy() for name, value in zip(INPUTS, inputs, strict=True)})
        for mine, theirs in zip(got, expected, strict=True):
            largest = max(largest, float(np.abs(mine - theirs.numpy()).max()))
    return largest


def _traced(network: Network) -> Any:
    """The ModelProto that torch's exporter makes, without its notes: they hold stack traces and paths."""
    # The exporter says that torchvision is missing and warns of its own inner workings; nothing of it is ours to mend.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    batch = {0: torch.export.Dim("batch")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                Step(network).eval(),
                example(_EXAMPLE),
                dynamo=True,
                input_names=INPUTS,
                output_names=OUTPUTS,
                dynamic_shapes=(batch, batch, batch),
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    assert program is not None, "the exporter with dynamo returns a program"
    model = program.model_proto
    del model.graph.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del part.metadata_props[:]
    return model
