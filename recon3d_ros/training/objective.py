"""The weighted sum of losses that a run minimises, as one module: what torch's distributed engine wraps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from recon3d_ros import lazy
from recon3d_ros.networks.stereo import StereoNetwork
from recon3d_ros.training.loss_table import LOSSES
from recon3d_ros.training.losses import Scored


def weighted_loss(scored: Scored, weights: Mapping[str, float]) -> Tensor:
    """The sum of the named losses, each times its weight.

    Args:
        scored: Answer and truth.
        weights: By name, of `parse_losses`.
    """
    total = torch.zeros((), device=scored.measured.device)
    for name, weight in weights.items():
        total = total + weight * lazy.load(LOSSES[name])(scored)
    return total


class Objective(nn.Module):
    """A pair and its truth in, the loss of the network on it out."""

    def __init__(self, network: StereoNetwork, weights: Mapping[str, float], mixed: bool) -> None:
        super().__init__()
        self.network = network
        self.weights = dict(weights)
        self.mixed = mixed

    @property
    def moves_all(self) -> bool:
        """Whether each weight gets a gradient: most losses ask for the disparity, one for its doubt."""
        return "uncertainty" in self.weights and bool(set(self.weights) - {"cross_entropy", "uncertainty"})

    def forward(self, left: Tensor, right: Tensor, truth: Tensor) -> Tensor:
        """(B, 3, H, W) images in [0, 1] and (B, H, W) disparity in px, NaN = unknown -> a scalar."""
        with torch.autocast(left.device.type, torch.bfloat16, enabled=self.mixed):
            output = self.network.analyse(left, right)
        return weighted_loss(Scored(output, left, truth, self.network.config.step_px), self.weights)
