"""A monocular depth network of 2-D convolutions only: an encoder, a decoder with skips, a softmax over depth.

The trunk is a small residual network (He et al., CVPR 2016) with what the whole image says added at its
coarsest level; depth is the mean of a distribution over logarithmic bins (Fu et al., DORN, CVPR 2018; Bhat et
al., AdaBins, CVPR 2021), brought to full size by the convex upsampling of RAFT (Teed and Deng, ECCV 2020).

Depth is canonical (Yin et al., Metric3D, ICCV 2023): what it would be if the focal length were
`CANONICAL_FOCAL_PX`. One image cannot tell a far thing from a small focal length, so the network is spared
the question: whoever serves or trains it multiplies by fx / `CANONICAL_FOCAL_PX`, fx in px of its input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks.layers import (
    ConvexUpsampler,
    ConvUnit,
    Merge,
    ResidualUnit,
    Uncertainty,
    exponential,
)
from recon3d_ros.networks.mono_contract import CANONICAL_FOCAL_PX, TAUGHT


@dataclass(frozen=True)
class MonoConfig:
    """Widths and depths of `MonoNetwork`.

    `widths` are the channels at 1/4, 1/8, 1/16 and 1/32 of the size, `blocks` the residual units there;
    `bins` spread logarithmically from `near_m` to `far_m` of canonical depth.
    """

    stem: int = 24
    widths: tuple[int, int, int, int] = (40, 64, 112, 144)
    blocks: tuple[int, int, int, int] = (1, 2, 3, 1)
    bins: int = 64
    near_m: float = 0.3
    far_m: float = 20.0
    uncertainty: int = 24

    def __post_init__(self) -> None:
        # A checkpoint or JSON gives lists.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if len(self.widths) != 4 or len(self.blocks) != 4 or min(self.blocks) < 0:
            raise ConfigError(f"expected four widths and four blocks >= 0, got {self}: correct it")
        if min(self.stem, self.uncertainty, *self.widths) < 1 or self.bins < 2:
            raise ConfigError(f"expected positive widths and two bins or more, got {self}: correct it")
        if not 0.0 < self.near_m < self.far_m:
            raise ConfigError(f"expected 0 < near_m < far_m, got {self}: correct it")

    @property
    def taught_channels(self) -> dict[str, int]:
        """Channels of the features by module of `TAUGHT`."""
        return dict(zip(TAUGHT, (*self.widths, *self.widths[2::-1])))


@dataclass(frozen=True)
class MonoOutput:
    """What training looks at.

    Attributes:
        logits: (B, bins, H/4, W/4); bin k stands for the k-th canonical depth of `MonoNetwork.log_centres`.
        depth: (B, 1, H, W) canonical depth, m.
        log_scale: (B, 1, H, W) logarithm of the Laplace scale of the error of log depth.
        trust: (B, 1, H, W) logit of the probability that the relative error is below `TRUSTED_SHARE`.
        features: What another network can teach, by the name of the module that made it, each of `TAUGHT`.
    """

    logits: Tensor
    depth: Tensor
    log_scale: Tensor
    trust: Tensor
    features: dict[str, Tensor]


class MonoNetwork(nn.Module):
    """One image in, its canonical depth and how far to trust it out.

    The input is (B, 3, H, W) float RGB in [0, 1], H and W multiples of `MULTIPLE_OF`.
    """

    MULTIPLE_OF = 32
    FOCAL_PX = CANONICAL_FOCAL_PX
    # A relative error of depth below it is no outlier: nearly the threshold of delta_1.
    TRUSTED_SHARE = 0.25

    log_centres: Tensor
    log_gain: Tensor

    def __init__(self, config: MonoConfig) -> None:
        super().__init__()
        self.config = config
        c4, c8, c16, c32 = config.widths
        n4, n8, n16, n32 = config.blocks
        self.to_half = nn.Sequential(ConvUnit(3, config.stem, stride=2), ConvUnit(config.stem, config.stem))
        self.to_quarter = _level(config.stem, c4, n4)
        self.to_eighth = _level(c4, c8, n8)
        self.to_sixteenth = _level(c8, c16, n16)
        self.to_thirtysecond = _level(c16, c32, n32)
        self.overview = nn.Sequential(ConvUnit(c32, c32, kernel=1), nn.Conv2d(c32, c32, 1))
        self.merge_sixteenth = Merge(c32, c16)
        self.merge_eighth = Merge(c16, c8)
        self.merge_quarter = Merge(c8, c4)
        self.distribution = nn.Conv2d(c4, config.bins, 3, padding=1)
        self.upsampler = ConvexUpsampler(c4, config.stem)
        self.uncertainty = Uncertainty(c4 + 4 * config.stem + 2, config.uncertainty)
        centres = torch.linspace(math.log(config.near_m), math.log(config.far_m), config.bins)
        self.register_buffer("log_centres", centres.view(1, -1, 1, 1), persistent=False)
        # Of all depth: what images that did not train showed to be off; `training.calibration` sets it.
        self.register_buffer("log_gain", torch.zeros(()))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The exported graph: canonical depth (m), confidence in [0, 1] and sigma (m), (B, 1, H, W) each.

        Confidence is the probability that the relative error is below `TRUSTED_SHARE`; sigma is one standard
        deviation.
        """
        output = self.analyse(image)
        # One standard deviation of a Laplace distribution is sqrt(2) scales; d(depth) = depth d(log depth).
        sigma = math.sqrt(2.0) * torch.exp(output.log_scale) * output.depth
        return output.depth, torch.sigmoid(output.trust), sigma

    def analyse(self, image: Tensor) -> MonoOutput:
        """The same with the intermediate results that the losses need."""
        half = self.to_half(2.0 * image - 1.0)
        quarter = self.to_quarter(half)
        eighth = self.to_eighth(quarter)
        sixteenth = self.to_sixteenth(eighth)
        coarse = self.to_thirtysecond(sixteenth)
        seen = F.relu(coarse + self.overview(coarse.mean(dim=(2, 3), keepdim=True)))
        up_sixteenth = self.merge_sixteenth(seen, sixteenth)
        up_eighth = self.merge_eighth(up_sixteenth, eighth)
        hidden = self.merge_quarter(up_eighth, quarter)
        levels = (quarter, eighth, sixteenth, coarse, up_sixteenth, up_eighth, hidden)
        logits = self.distribution(hidden).float()
        weight = exponential(logits)
        total = weight.sum(dim=1, keepdim=True)
        mean = (weight * self.log_centres).sum(dim=1, keepdim=True) / total
        details = F.pixel_unshuffle(half, 2)
        depth = torch.exp(self.upsampler(mean, hidden, details) + self.log_gain)
        spread = (weight * (self.log_centres - mean).abs()).sum(dim=1, keepdim=True) / total
        log_scale, trust = self.uncertainty(hidden, details, mean, spread)
        return MonoOutput(logits, depth, log_scale, trust, dict(zip(TAUGHT, levels)))


def _level(channels_in: int, channels_out: int, blocks: int) -> nn.Sequential:
    """Half the size, then residual units."""
    units = (ResidualUnit(channels_out) for _ in range(blocks))
    return nn.Sequential(ConvUnit(channels_in, channels_out, stride=2), *units)
