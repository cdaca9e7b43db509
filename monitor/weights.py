"""Weights of the detector's small networks: a safetensors file that says what it was made for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open

from monitor.errors import UserError
from monitor.events import Floats


def load(path: Path, shapes: Mapping[str, tuple[int, ...]], contract: str, otherwise: str) -> list[Floats]:
    """The tensors at ``path``, in the order of ``shapes``, float32.

    Args:
        shapes: of each tensor, by its name.
        contract: what weights and code must agree on, as it stands in the file's metadata.
        otherwise: what a person is told where they do not.

    Raises:
        UserError: not there, not whole, or made for another contract.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            origin = msgspec.json.decode((file.metadata() or {}).get("origin", "{}"), type=dict[str, Any])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{path}: not a whole safetensors file: {error}") from error
    if origin.get("contract") != contract:
        raise UserError(f"{path}: {otherwise}")
    for name, shape in shapes.items():
        if name not in tensors or tensors[name].shape != shape or not np.isfinite(tensors[name]).all():
            raise UserError(f"{path}: {name} is missing, of another shape, or not of numbers")
    return [np.ascontiguousarray(tensors[name], dtype=np.float32) for name in shapes]
