"""Weights with their metadata in one safetensors file; a mismatch is refused with one line; nothing is unpickled.

The metadata say what the weights were made for (classes, window, features, sampling rate, sizes) and where they come
from (training data and their hashes, commit, metrics). The first kind must equal what this code makes of a beat.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from monitor.beats import CENTRE, CHANNELS, FEATURES, LENGTH
from monitor.errors import UserError
from monitor.events import CLASSES, FS
from monitor.network import EMBEDDING, HIDDEN, Network

_FORMAT = "ecg-monitor/weights/1"
SHIPPED = Path(__file__).with_name("weights.safetensors")
"""The weights in the package."""


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What weights and code must agree on."""

    format: str
    classes: tuple[str, ...]
    fs: int
    """Hz, before decimation."""
    window: tuple[int, int, int]
    """Channels, samples, index of the R peak."""
    features: tuple[str, ...]
    sizes: tuple[int, int]
    """Of what is seen of a beat, of a patient's state."""


CONTRACT = Contract(
    format=_FORMAT,
    classes=tuple(c.value for c in CLASSES),
    fs=FS,
    window=(CHANNELS, LENGTH, CENTRE),
    features=FEATURES,
    sizes=(EMBEDDING, HIDDEN),
)


def save(path: Path, network: Network, origin: dict[str, Any]) -> None:
    """Writes the weights (float32) with the contract and ``origin``: data, hashes, commit, protocol, metrics."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    metadata = {"contract": msgspec.json.encode(CONTRACT).decode(), "origin": json.dumps(origin, sort_keys=True)}
    save_file(tensors, path, metadata=metadata)


def contents(path: Path, nothing: str) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Metadata and tensors of a safetensors file.

    Args:
        nothing: what to say where there is no file.

    Raises:
        UserError: it is not there, or not whole.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return file.metadata() or {}, tensors
    except FileNotFoundError as error:
        raise UserError(nothing) from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a whole safetensors file: {error}") from error


def load(path: Path) -> tuple[Network, dict[str, Any]]:
    """The network at ``path``, ready to judge, and the origin of its weights.

    Raises:
        UserError: not there, not safetensors, without our metadata, or made for another contract.
    """
    metadata, tensors = contents(path, f"{path}: there are no weights here; `ecg-train fit` makes some")
    try:
        contract = msgspec.json.decode(metadata["contract"], type=Contract)
        origin: dict[str, Any] = json.loads(metadata["origin"])
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{path}: these weights carry no metadata of this project; `ecg-train fit` makes some"
        ) from error
    for field in contract.__struct_fields__:
        there, here = getattr(contract, field), getattr(CONTRACT, field)
        if there != here:
            raise UserError(f"{path}: made for another {field} ({there}, here {here}); train anew with `ecg-train fit`")
    network = Network()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise UserError(f"{path}: the weights do not fit the network: {first}") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise UserError(f"{path}: the weights hold values that are not numbers")
    return network.eval(), origin
