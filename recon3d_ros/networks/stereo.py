"""A stereo network with a trunk of 2-D convolutions only.

The shape of it follows LightStereo (Guo et al., ICRA 2025) and MobileStereoNet (Shamsafar et al., WACV 2022):
shared features at a quarter of the size, one normalised correlation per disparity, a 2-D hourglass that sees
the correlation and the left image, a softmax over disparity, and the convex upsampling of RAFT (Teed and
Deng, ECCV 2020), and optionally a refinement by what both images show there. Every operator is one that ONNX
Runtime, OpenVINO and TensorRT have: no 3-D convolution, no grid_sample, no top-k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks.layers import (
    ConvUnit,
    Merge,
    ResidualUnit,
    SurfaceUpsampler,
    Uncertainty,
    align_channels,
    starting_as_nothing,
)
from recon3d_ros.networks.matching import border_ramp, correlate, windowed_mean
from recon3d_ros.networks.refinement import Refinement


@dataclass(frozen=True)
class StereoConfig:
    """Widths and depths of `StereoNetwork`.

    Each cell of a quarter of the input size is compared at `bins` disparities, `step_px` (4, or 2 with
    descriptors of twice the width) apart. `blocks` are the residual units of the hourglass per level.
    `logits_kernel`, 1 or 3, is the size of the convolution that gives the logits. `refinement` is the width
    of `Refinement`; 0 = there is none. `ordered` lets the upsampling see how much nearer or farther the cells
    around each one are. Of the modes of a cell, the nearest whose logit is at most `nearer` below the largest
    one counts: a narrow thing fills only a part of its cells. `context` lets confidence and sigma depend on
    the mean over the image.
    """

    bins: int = 96
    step_px: int = 2
    stem: int = 16
    features: tuple[int, int, int] = (48, 64, 96)
    matching: int = 48
    guidance: int = 32
    hourglass: tuple[int, int, int] = (64, 96, 128)
    blocks: tuple[int, int, int] = (1, 2, 4)
    window: int = 2
    uncertainty: int = 32
    logits_kernel: int = 3
    refinement: int = 0
    ordered: bool = False
    nearer: float = 0.0
    context: bool = False

    def __post_init__(self) -> None:
        # A checkpoint or JSON gives lists.
        object.__setattr__(self, "features", tuple(self.features))
        object.__setattr__(self, "hourglass", tuple(self.hourglass))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        levels = (self.features, self.hourglass, self.blocks)
        numbers = (self.bins, self.stem, self.matching, self.guidance, self.uncertainty)
        if min(*numbers, *map(min, levels[:2])) < 1 or any(len(level) != 3 for level in levels):
            raise ConfigError(
                f"expected three positive widths per part and bins >= 1, got {self}: correct it"
            )
        if self.step_px not in (2, 4) or self.logits_kernel not in (1, 3):
            raise ConfigError(f"expected step_px 2 or 4 and logits_kernel 1 or 3, got {self}: correct it")
        if self.window < 0 or min(*self.blocks, self.refinement, self.nearer) < 0:
            raise ConfigError(f"expected window, blocks, refinement and nearer >= 0, got {self}: correct it")

    @property
    def largest_px(self) -> float:
        """The disparity of the last bin, px of the input grid."""
        return float(self.step_px * (self.bins - 1))


@dataclass(frozen=True)
class StereoOutput:
    """What training looks at.

    Attributes:
        logits: (B, bins, H/4, W/4); bin k stands for the disparity `step_px * (bins - 1 - k)`.
        quarter: (B, 1, H/4, W/4) disparity in px of the input grid, before upsampling.
        disparity: (B, 1, H, W) in px of the input grid.
        log_scale: (B, 1, H, W) logarithm of the Laplace scale of the disparity's error, px.
        confidence_logit: (B, 1, H, W) logit of the probability that the error is below `ACCURATE_PX`.
        weights: (B, 9, 16, H/4, W/4) of the cells around each pixel in the upsampling.
        neighbours: (B, 9, 1, H/4, W/4) disparity of these cells, px.
    """

    logits: Tensor
    quarter: Tensor
    disparity: Tensor
    log_scale: Tensor
    confidence_logit: Tensor
    weights: Tensor
    neighbours: Tensor


class StereoNetwork(nn.Module):
    """Two rectified images in, the disparity of the left one and how far to trust it out.

    Inputs are (B, 3, H, W) float RGB in [0, 1], H and W multiples of `MULTIPLE_OF`.
    """

    MULTIPLE_OF = 32
    # An error below it is no outlier, as KITTI counts.
    ACCURATE_PX = 3.0
    # The cross-entropy teaches distributions as wide as its targets; of narrower ones the mean is better.
    SHARPNESS = 1.5

    locking: Tensor

    def __init__(self, config: StereoConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.hourglass = Hourglass(config)
        hidden = config.hourglass[0]
        self.upsampler = SurfaceUpsampler(hidden, config.stem, config.ordered)
        self.refinement = (
            Refinement(hidden, config.stem, config.largest_px, config.refinement)
            if config.refinement
            else None
        )
        self.uncertainty = Uncertainty(hidden + 4 * config.stem + 2, config.uncertainty, config.context)
        # The mean over a few bins leans to the middle of the best one ("pixel locking": Shimizu and
        # Okutomi, ICCV 2001), by this many bins at a quarter between two; `training.export` sets it.
        self.register_buffer("locking", torch.zeros(()))
        # Scales the correlation in [-1, 1] to a logit; learned, this is where it starts.
        self.temperature = nn.Parameter(torch.tensor(10.0))

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The exported graph: disparity (px), confidence in [0, 1] and sigma (px), (B, 1, H, W) each.

        Confidence is the probability that the error is below `ACCURATE_PX`; sigma is one standard deviation.
        """
        output = self.analyse(left, right)
        # The standard deviation of a Laplace distribution is sqrt(2) times its scale.
        return (
            output.disparity,
            torch.sigmoid(output.confidence_logit),
            math.sqrt(2.0) * torch.exp(output.log_scale),
        )

    def analyse(self, left: Tensor, right: Tensor) -> StereoOutput:
        """The same with the intermediate results that the losses need."""
        half, quarter = self.encoder(torch.cat([left, right]))
        batch, step = left.shape[0], self.config.step_px
        correlation = correlate(*self.encoder.match(half, quarter), self.config.bins)
        hidden, residual = self.hourglass(correlation, quarter[:batch])
        # As a factor of both parts, not of their sum: the first one vanishes into a convolution on export.
        sharp = self.SHARPNESS * residual.float() + (self.SHARPNESS * self.temperature) * correlation
        coarse, mass = windowed_mean(sharp, self.config.window, self.config.nearer)
        coarse = float(step) * (coarse + self.locking * torch.sin(2.0 * math.pi * coarse))
        cells = torch.cat([mass, coarse / self.config.largest_px], dim=1)
        details = F.pixel_unshuffle(half[:batch], 2)
        neighbours = self.upsampler.neighbours(coarse)
        features = self.upsampler.look(hidden, details, neighbours)
        weights = self.upsampler.weights(features)
        disparity = self.upsampler.combine(weights, neighbours)
        if self.refinement is not None:
            disparity = self.refinement(disparity, cells, features, half)
        log_scale, confidence_logit = self.uncertainty(hidden, details, cells)
        logits = sharp / self.SHARPNESS
        return StereoOutput(logits, coarse, disparity, log_scale, confidence_logit, weights, neighbours)


class Encoder(nn.Module):
    """Image -> features at half and quarter size, and the descriptors that are matched.

    The left descriptors are one per cell of 4x4 px, the right ones one per `step_px` columns.
    """

    def __init__(self, config: StereoConfig) -> None:
        super().__init__()
        c4, c8, c16 = config.features
        self.to_half = nn.Sequential(ConvUnit(3, config.stem, stride=2), ConvUnit(config.stem, config.stem))
        self.to_quarter = nn.Sequential(ConvUnit(config.stem, c4, stride=2), ResidualUnit(c4))
        self.to_eighth = nn.Sequential(ConvUnit(c4, c8, stride=2), ResidualUnit(c8))
        self.to_sixteenth = nn.Sequential(ConvUnit(c8, c16, stride=2), ResidualUnit(c16))
        self.merge_eighth = Merge(c16, c8)
        self.merge_quarter = Merge(c8, c4)
        self.describe = nn.Conv2d(c4, config.matching, 1)
        # Descriptors every two pixels: the half-size features tell what the quarter-size ones blur.
        self.refine = (
            starting_as_nothing(nn.Conv2d(config.stem, config.matching, 3, stride=(2, 1), padding=1))
            if config.step_px == 2
            else None
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [0, 1] -> features at half and quarter size."""
        half = self.to_half(2.0 * image - 1.0)
        quarter = self.to_quarter(half)
        eighth = self.to_eighth(quarter)
        eighth = self.merge_eighth(self.to_sixteenth(eighth), eighth)
        return half, self.merge_quarter(eighth, quarter)

    def match(self, half: Tensor, quarter: Tensor) -> tuple[Tensor, Tensor]:
        """Features of left, then right images -> descriptors (B, matching, H/4, W/4) and (..., W/step_px)."""
        left, right = self.describe(quarter).chunk(2)
        if self.refine is None:
            return left, right
        half_left, half_right = half.chunk(2)
        finer = F.conv2d(half_left, self.refine.weight, self.refine.bias, stride=2, padding=1)
        right = F.interpolate(right, scale_factor=(1.0, 2.0), mode="nearest") + self.refine(half_right)
        return left + finer, right


class Hourglass(nn.Module):
    """Aggregate the correlation with 2-D convolutions, guided by the features of the left image."""

    def __init__(self, config: StereoConfig) -> None:
        super().__init__()
        c4, c8, c16 = config.hourglass
        self.columns = 4 // config.step_px
        self.guide = ConvUnit(config.features[0], config.guidance, kernel=1)
        n4, n8, n16 = config.blocks
        self.enter = nn.Sequential(
            ConvUnit(config.bins + config.guidance + 1, c4), *(ResidualUnit(c4) for _ in range(n4))
        )
        self.down_eighth = nn.Sequential(ConvUnit(c4, c8, stride=2), *(ResidualUnit(c8) for _ in range(n8)))
        self.down_sixteenth = nn.Sequential(
            ConvUnit(c8, c16, stride=2), *(ResidualUnit(c16) for _ in range(n16))
        )
        self.up_eighth = Merge(c16, c8)
        self.up_quarter = Merge(c8, c4)
        kernel = config.logits_kernel
        self.leave = nn.Conv2d(c4, config.bins, kernel, padding=kernel // 2)

    @property
    def _first(self) -> nn.Conv2d:
        first = self.enter.get_submodule("0.0")
        assert isinstance(first, nn.Conv2d)
        return first

    @torch.no_grad()
    def align_channels(self) -> None:
        """Give the first convolution a multiple of 16 inputs: others take ONNX Runtime up to twice as long.

        The further ones see copies of the last input with weights of zero, so the answer stays the same.
        """
        align_channels(self._first)

    def forward(self, correlation: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Correlation and left features at H/4 -> hidden features and what to add to the logits, at H/4."""
        parts = [correlation, self.guide(features)]
        copies = self._first.in_channels - sum(part.shape[1] for part in parts)
        seen = border_ramp(correlation, self.columns).expand(-1, copies, -1, -1)
        quarter = self.enter(torch.cat([*parts, seen], dim=1))
        eighth = self.down_eighth(quarter)
        eighth = self.up_eighth(self.down_sixteenth(eighth), eighth)
        hidden = self.up_quarter(eighth, quarter)
        return hidden, self.leave(hidden)
