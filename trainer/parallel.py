"""Several processes that train one network, as ``torchrun`` starts them: each draws its own batches, gradients are
averaged. Without torchrun there is one process, and nothing here does anything."""

import os

import torch
import torch.distributed as dist
from torch import nn


def rank() -> int:
    """This process's number; the first one, 0, is the one that writes and speaks."""
    return int(os.environ.get("RANK", "0"))


def begin(device: torch.device) -> tuple[int, int, torch.device]:
    """This process's number, how many there are, and its own device; the processes have met."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1:
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return rank(), count, device


def mean_gradients(network: nn.Module, count: int) -> None:
    """Every process gets the mean of all processes' gradients, in one message."""
    if count == 1:
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    at = 0
    for g in gradients:
        g.copy_(flat[at : at + g.numel()].view_as(g) / count)
        at += g.numel()


def end(count: int) -> None:
    if count > 1:
        dist.destroy_process_group()
