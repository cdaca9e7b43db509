"""A training's whole state in one safetensors file, written at every report, so that it can be taken up where it was.

Tensors: the network, the running mean of its weights, the best of these so far, AdamW's moments, the patients' states,
torch's random numbers. Metadata, as JSON: protocol, recipe, step, log, which patients' beats come next. Nothing is
pickled.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from monitor.checkpoint import contents
from monitor.errors import UserError

_FORMAT = "ecg-monitor/training/1"


def write(
    path: Path,
    networks: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    tensors: dict[str, Tensor],
    rest: dict[str, Any],
) -> None:
    """The file appears whole or not at all."""
    out = {f"{name}.{key}": value for name, network in networks.items() for key, value in network.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        out |= {f"optimizer.{index}.{key}": value for key, value in moments.items()}
    out |= tensors | {"random": torch.get_rng_state()}
    if torch.cuda.is_available():
        out["random.cuda"] = torch.cuda.get_rng_state()
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in out.items()}
    unfinished = path.with_suffix(".unfinished")
    save_file(whole, unfinished, metadata={"format": _FORMAT, "rest": json.dumps(rest)})
    unfinished.replace(path)


def read(
    path: Path, networks: dict[str, nn.Module], optimizer: torch.optim.Optimizer, same: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Puts networks, optimizer and random numbers back; returns the other tensors and the rest.

    Raises:
        UserError: nothing to take up there, or what is there was not begun with ``same``.
    """
    metadata, tensors = contents(path, f"--resume: {path} is not there; leave --resume out to begin")
    if metadata.get("format") != _FORMAT:
        raise UserError(f"--resume: {path}: not the state of a training")
    rest: dict[str, Any] = json.loads(metadata["rest"])
    for name, here in same.items():
        # A state of before may lack what is asked now.
        if (there := rest.get(name)) != here:
            raise UserError(f"--resume: {path} was begun with another {name}: {there}, here {here}")
    for name, network in networks.items():
        network.load_state_dict(_taken(tensors, f"{name}."))
    groups = optimizer.state_dict()["param_groups"]
    state = {index: _taken(tensors, f"optimizer.{index}.") for index in range(len(groups[0]["params"]))}
    _taken(tensors, "optimizer.")
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    torch.set_rng_state(tensors.pop("random"))
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors.pop("random.cuda"))
    return tensors, rest


def _taken(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose name begins so, without it; they leave ``tensors``."""
    return {name[len(prefix) :]: tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
