"""Correct a disparity by how well both images agree there, at half of their size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recon3d_ros.networks.layers import ConvUnit, SeparableUnit, align_channels, starting_as_nothing


class Refinement(nn.Module):
    """A residual of a disparity from left descriptors and right ones taken from where it points.

    Bins every 2 px of cells of 4 px tell no more than half a pixel. How much left and right differ one pixel
    below and one above the answer tells which way it is off, as in StereoNet (Khamis et al., ECCV 2018) and
    HITNet (Tankovich et al., CVPR 2021).

    Args:
        features: Channels at a quarter of the size.
        stem: Channels at half of the size.
        largest_px: The largest disparity.
        width: Of its own features.
    """

    DESCRIPTORS = 8
    # Of a difference of descriptors; its logarithm tells better from worse at any contrast.
    LEAST_DIFFERENCE = 0.02

    def __init__(self, features: int, stem: int, largest_px: float, width: int) -> None:
        super().__init__()
        self.largest_px = largest_px
        self.describe = nn.Conv2d(stem, self.DESCRIPTORS, 3, padding=1)
        self.enter = ConvUnit(features + 2 * 4 + 2, width, kernel=1)
        self.mix = SeparableUnit(width, width)
        self.leave = starting_as_nothing(nn.Conv2d(width, 16, 1))

    @property
    def _first(self) -> nn.Conv2d:
        first = self.enter[0]
        assert isinstance(first, nn.Conv2d)
        return first

    def align_channels(self) -> None:
        """Give the first convolution a multiple of 16 inputs, copies of the last with weights of zero."""
        align_channels(self._first)

    def forward(self, disparity: Tensor, cells: Tensor, features: Tensor, half: Tensor) -> Tensor:
        """The corrected disparity, (B, 1, H, W) px, from 0 to the largest.

        Args:
            disparity: (B, 1, H, W) px.
            cells: (B, 2, H/4, W/4): the share of each cell's first mode, and its disparity of the largest.
            features: (B, features, H/4, W/4) of the left image.
            half: (2 B, stem, H/2, W/2) features of the left, then of the right images.
        """
        differences = self.compare(self.describe(half).float(), disparity.detach())
        parts = [features, F.pixel_unshuffle(differences, 2), cells]
        copies = self._first.in_channels - sum(part.shape[1] for part in parts)
        # None, unless the channels were aligned.
        seen = torch.cat([*parts, *[cells[:, 1:]] * copies], dim=1)
        residual = F.pixel_shuffle(self.leave(self.mix(self.enter(seen))).float(), 4)
        return (disparity + residual).clamp(0.0, self.largest_px)

    def compare(self, described: Tensor, disparity: Tensor) -> Tensor:
        """Logarithms of the mean difference of left and right descriptors, (B, 2, H/2, W/2).

        The first is that of a disparity one pixel larger, the second of one a pixel smaller. Beyond the
        border the descriptors there go on.

        Args:
            described: (2 B, C, H/2, W/2), of the left, then of the right images.
            disparity: (B, 1, H, W) px; that of every second pixel is looked at.
        """
        left, right = described.chunk(2)
        batch, channels, height, width = left.shape
        column = torch.arange(width, device=left.device, dtype=left.dtype)
        at = column - 0.5 * disparity[:, :, ::2, ::2] - 0.5
        low = torch.floor(at)
        columns = torch.cat([low, low + 1.0, low + 2.0], dim=1).clamp(0.0, width - 1.0)
        rows = width * torch.arange(batch * height, device=left.device).view(batch, 1, height, 1)
        # One look-up of whole descriptors: (B, 3, H/2, W/2, C).
        found = F.embedding(columns.long() + rows, right.permute(0, 2, 3, 1).reshape(-1, channels))
        between = found[:, :2] + (at - low)[..., None] * (found[:, 1:] - found[:, :2])
        apart = between - left.permute(0, 2, 3, 1)[:, None]
        return torch.log(apart.abs().mean(dim=-1) + self.LEAST_DIFFERENCE)
