"""Several processes that train one network, on one machine or more, as torch's own `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from recon3d_ros.errors import ConfigError

# The others wait as long while the first one validates.
TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True)
class ProcessGroup:
    """One process among those of a run; without `torchrun` the only one.

    Attributes:
        rank: Number of this process among all.
        world_size: How many there are.
        local_rank: Its number on this machine; it takes the GPU of that number.
        local_world_size: How many are on this machine.
        node_rank: Number of this machine.
        nodes: How many there are.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    node_rank: int = 0
    nodes: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process saves, logs and validates."""
        return self.rank == 0

    def wrap(self, module: nn.Module, device: torch.device, all_used: bool) -> nn.Module:
        """Let all processes step with the mean of their gradients, from the weights of the first one.

        Args:
            module: Gives a loss.
            device: Where it lives.
            all_used: Whether each of its weights gets a gradient in each step.
        """
        if self.world_size == 1:
            return module
        ids = [device.index] if device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=ids, find_unused_parameters=not all_used)

    def broadcast(self, *values: float) -> list[float]:
        """The values of the first process: clocks differ, and all have to stop at the same step."""
        if self.world_size == 1:
            return list(values)
        # On the processor, also beside GPUs: nothing there has to wait for it.
        shared = torch.tensor(values, dtype=torch.float64)
        distributed.broadcast(shared, src=0)
        return shared.tolist()


def find_process_group() -> ProcessGroup:
    """This process as `torchrun` tells it through the environment.

    Raises:
        ConfigError: The environment tells half of it.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return ProcessGroup()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")
    try:
        rank, world_size, local_rank, local_world_size, node_rank = (int(os.environ[name]) for name in names)
    except (KeyError, ValueError) as exc:
        raise ConfigError(
            f"expected the numbers {', '.join(names)} in the environment, got {exc}: start with torchrun, "
            "or unset RANK"
        ) from exc
    return ProcessGroup(
        rank,
        world_size,
        local_rank,
        local_world_size,
        node_rank,
        max(world_size // max(local_world_size, 1), 1),
    )


@contextmanager
def joined_processes() -> Iterator[ProcessGroup]:
    """Meet the other processes of the run, if there are any, and part at the end."""
    processes = find_process_group()
    if processes.world_size == 1:
        yield processes
        return
    both = torch.cuda.is_available() and distributed.is_nccl_available()
    distributed.init_process_group("cpu:gloo,cuda:nccl" if both else "gloo", timeout=TIMEOUT)
    try:
        yield processes
    finally:
        distributed.destroy_process_group()
