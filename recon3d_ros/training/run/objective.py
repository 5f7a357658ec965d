"""The weighted sum of losses that a run minimises, as one module: what torch's distributed engine wraps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recon3d_ros.system import lazy
from recon3d_ros.training.losses.loss_input import LossInput
from recon3d_ros.training.losses.table import LOSSES

if TYPE_CHECKING:
    from recon3d_ros.training.samples.tasks import Task


def weighted_loss(inputs: LossInput, weights: Mapping[str, float]) -> Tensor:
    """The sum of the named losses, each times its weight.

    Args:
        inputs: Prediction and truth.
        weights: By name, of `parse_losses`.
    """
    total = torch.zeros((), device=inputs.measured.device)
    for name, weight in weights.items():
        total = total + weight * lazy.load(LOSSES[name])(inputs)
    return total


class Objective(nn.Module):
    """A batch of crops in, the loss of the network on it out.

    Args:
        network: One of the task.
        task: Knows what a batch is made of.
        weights: Of the losses, by name.
        mixed: Whether convolutions run in bfloat16.
        adapters: By the module whose features they bring into a teacher's space; they learn, too.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        weights: Mapping[str, float],
        mixed: bool,
        adapters: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.task = task
        self.weights = dict(weights)
        self.mixed = mixed
        self.adapters = nn.ModuleDict(adapters or {})

    @property
    def reaches_all_weights(self) -> bool:
        """Whether each weight gets a gradient: most losses need the prediction, one its uncertainty."""
        idle = {"cross_entropy", "uncertainty", "features"}
        return "uncertainty" in self.weights and bool(set(self.weights) - idle)

    def forward(self, *batch: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1], the truth (B, H, W), what else the task's crops have -> a scalar."""
        with torch.autocast(batch[0].device.type, torch.bfloat16, enabled=self.mixed):
            inputs = self.task.loss_input(self.network, self.adapters, list(batch))
        return weighted_loss(inputs, self.weights)
