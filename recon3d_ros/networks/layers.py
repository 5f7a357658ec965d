"""The few convolutional pieces that the networks are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvUnit(nn.Sequential):
    """Convolution, batch normalisation, ReLU; the normalisation folds into the convolution on export."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions beside an identity (He et al., Deep Residual Learning, CVPR 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels)
        normalise = nn.BatchNorm2d(channels)
        # Starts as the identity (Goyal et al., 2017), so that depth can also be added to a trained network.
        nn.init.zeros_(normalise.weight)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), normalise)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) in and out."""
        return F.relu(x + self.second(self.first(x)))


class Merge(nn.Module):
    """Bring a coarse map to twice its size and merge it with the finer one (as in U-Net and FPN)."""

    def __init__(self, channels_coarse: int, channels_fine: int) -> None:
        super().__init__()
        self.reduce = ConvUnit(channels_coarse, channels_fine, kernel=1)
        self.blend = ConvUnit(2 * channels_fine, channels_fine)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(B, coarse, H/2, W/2) and (B, fine, H, W) -> (B, fine, H, W)."""
        coarse = F.interpolate(self.reduce(coarse), scale_factor=2.0, mode="nearest")
        return self.blend(torch.cat([coarse, fine], dim=1))
