"""A stereo network with a trunk of 2-D convolutions only.

The shape of it follows LightStereo (Guo et al., ICRA 2025) and MobileStereoNet (Shamsafar et al., WACV 2022):
shared features at a quarter of the size, one normalised correlation per disparity, a 2-D hourglass that sees
the correlation and the left image, a softmax over disparity, and the convex upsampling of RAFT (Teed and
Deng, ECCV 2020). Every operator is one that ONNX Runtime and TensorRT run well: no 3-D convolution, no
grid_sample, no top-k, no gather.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks.layers import ConvUnit, Merge, ResidualUnit


@dataclass(frozen=True)
class StereoConfig:
    """Widths and depths of `StereoNetwork`.

    `bins` disparities are compared at a quarter of the input size, so the largest answer is `4 * bins` px.
    """

    bins: int = 48
    stem: int = 16
    features: tuple[int, int, int] = (48, 64, 96)
    matching: int = 48
    guidance: int = 32
    hourglass: tuple[int, int, int] = (64, 96, 128)
    window: int = 2

    def __post_init__(self) -> None:
        # A checkpoint or JSON gives lists.
        object.__setattr__(self, "features", tuple(self.features))
        object.__setattr__(self, "hourglass", tuple(self.hourglass))
        numbers = (self.bins, self.stem, self.matching, self.guidance, *self.features, *self.hourglass)
        if min(numbers) < 1 or self.window < 0 or len(self.features) != 3 or len(self.hourglass) != 3:
            raise ConfigError(
                f"expected three positive widths per part and bins >= 1, got {self}: correct it"
            )


@dataclass(frozen=True)
class StereoOutput:
    """What training looks at.

    Attributes:
        logits: (B, bins, H/4, W/4); bin k stands for the quarter-scale disparity `bins - 1 - k`.
        quarter: (B, 1, H/4, W/4) disparity in px of the input grid, before upsampling.
        disparity: (B, 1, H, W) in px of the input grid.
    """

    logits: Tensor
    quarter: Tensor
    disparity: Tensor


class StereoNetwork(nn.Module):
    """Two rectified images in, the disparity of the left one out.

    Inputs are (B, 3, H, W) float RGB in [0, 1], H and W multiples of `MULTIPLE_OF`.
    """

    MULTIPLE_OF = 32

    def __init__(self, config: StereoConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.hourglass = Hourglass(config)
        self.upsampler = ConvexUpsampler(config)
        # Scales the correlation in [-1, 1] to a logit; learned, this is where it starts.
        self.temperature = nn.Parameter(torch.tensor(10.0))

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """The disparity of the left image, (B, 1, H, W) in px: the exported graph."""
        return self.analyse(left, right).disparity

    def analyse(self, left: Tensor, right: Tensor) -> StereoOutput:
        """The same with the intermediate results that the losses need."""
        half, quarter, matching = self.encoder(torch.cat([left, right]))
        batch = left.shape[0]
        correlation = correlate(matching[:batch], matching[batch:], self.config.bins)
        hidden, residual = self.hourglass(correlation, quarter[:batch])
        logits = residual.float() + self.temperature * correlation
        coarse = windowed_mean(logits, self.config.window)
        disparity = self.upsampler(4.0 * coarse, hidden, half[:batch])
        return StereoOutput(logits, 4.0 * coarse, disparity)


class Encoder(nn.Module):
    """Image -> features at half and quarter size, and the descriptors that are matched."""

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

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) in [0, 1] -> features at H/2 and at H/4, descriptors at H/4."""
        half = self.to_half(2.0 * image - 1.0)
        quarter = self.to_quarter(half)
        eighth = self.to_eighth(quarter)
        eighth = self.merge_eighth(self.to_sixteenth(eighth), eighth)
        quarter = self.merge_quarter(eighth, quarter)
        return half, quarter, self.describe(quarter)


class Hourglass(nn.Module):
    """Aggregate the correlation with 2-D convolutions, guided by the features of the left image."""

    def __init__(self, config: StereoConfig) -> None:
        super().__init__()
        c4, c8, c16 = config.hourglass
        self.bins = config.bins
        self.guide = ConvUnit(config.features[0], config.guidance, kernel=1)
        self.enter = nn.Sequential(ConvUnit(config.bins + config.guidance + 1, c4), ResidualUnit(c4))
        self.down_eighth = nn.Sequential(ConvUnit(c4, c8, stride=2), ResidualUnit(c8))
        self.down_sixteenth = nn.Sequential(ConvUnit(c8, c16, stride=2), ResidualUnit(c16), ResidualUnit(c16))
        self.up_eighth = Merge(c16, c8)
        self.up_quarter = Merge(c8, c4)
        self.leave = nn.Conv2d(c4, config.bins, 3, padding=1)

    def forward(self, correlation: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Correlation and left features at H/4 -> hidden features and what to add to the logits, at H/4."""
        seen = border_ramp(correlation, self.bins)
        quarter = self.enter(torch.cat([correlation, self.guide(features), seen], dim=1))
        eighth = self.down_eighth(quarter)
        eighth = self.up_eighth(self.down_sixteenth(eighth), eighth)
        hidden = self.up_quarter(eighth, quarter)
        return hidden, self.leave(hidden)


class ConvexUpsampler(nn.Module):
    """Quarter to full size: each pixel is a weighted mean of the 3x3 coarse neighbours (RAFT).

    The weights see the half-size features, folded into channels, so that edges follow the image.
    """

    def __init__(self, config: StereoConfig) -> None:
        super().__init__()
        c4 = config.hourglass[0]
        self.weigh = nn.Sequential(
            ConvUnit(c4 + 4 * config.stem, c4, kernel=1), ConvUnit(c4, c4), nn.Conv2d(c4, 9 * 16, 1)
        )

    def forward(self, coarse: Tensor, hidden: Tensor, half: Tensor) -> Tensor:
        """(B, 1, H/4, W/4) px, hidden features at H/4, left features at H/2 -> (B, 1, H, W) px."""
        weights = self.weigh(torch.cat([hidden, F.pixel_unshuffle(half, 2)], dim=1)).float()
        batch, _, height, width = weights.shape
        weights = torch.softmax(weights.view(batch, 9, 16, height, width), dim=1)
        padded = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
        neighbours = torch.stack(
            [padded[:, :, v : v + height, u : u + width] for v in range(3) for u in range(3)], dim=1
        )
        return F.pixel_shuffle((weights * neighbours).sum(dim=1), 4)


def correlate(left: Tensor, right: Tensor, bins: int) -> Tensor:
    """The normalised correlation of each left column with the `bins` columns to its left in the right image.

    Descriptors are centred over the image and scaled to unit length first: without centring all correlations
    crowd near one and nothing is learned. One matrix product per row gives all pairs of columns; padding and
    reshaping to rows one element longer shifts row x by x: the wanted band comes to the first columns.

    Args:
        left: (B, C, H, W).
        right: (B, C, H, W).
        bins: Number of disparities.

    Returns:
        (B, bins, H, W) float32 in [-1, 1]; channel k is disparity `bins - 1 - k`, zero where the column would
        lie outside the right image.
    """
    left, right = (_unit(x) for x in (left, right))
    batch, _, height, width = left.shape
    # (B, H, W, C) x (B, H, C, bins - 1 + W): column j of a row belongs to right column j - (bins - 1).
    right = F.pad(right.permute(0, 2, 1, 3), (bins - 1, 0))
    products = torch.matmul(left.permute(0, 2, 3, 1), right)
    flat = F.pad(products.reshape(batch, height, width * (width + bins - 1)), (0, width))
    return flat.reshape(batch, height, width, width + bins)[..., :bins].permute(0, 3, 1, 2)


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    features = features - features.mean(dim=(2, 3), keepdim=True)
    # 1e-3 under the root survives half precision.
    return features * torch.rsqrt(features.square().sum(dim=1, keepdim=True) + 1e-3)


def border_ramp(correlation: Tensor, bins: int) -> Tensor:
    """(B, 1, H, W): the share of the disparities whose right column is inside the image, per left column."""
    batch, _, height, width = correlation.shape
    columns = torch.arange(width, device=correlation.device, dtype=correlation.dtype)
    return ((columns + 1.0) / bins).clamp(max=1.0).view(1, 1, 1, width).expand(batch, 1, height, width)


def windowed_mean(logits: Tensor, window: int) -> Tensor:
    """Softmax, then the mean disparity over the bins within `window` of the most probable one.

    A mean over all bins would land between two surfaces at an edge.

    Args:
        logits: (B, bins, H, W); bin k is disparity `bins - 1 - k`.
        window: Half width of the window in bins.

    Returns:
        (B, 1, H, W) disparity in bins.
    """
    bins = logits.shape[1]
    probability = torch.softmax(logits, dim=1)
    best = (probability >= probability.amax(dim=1, keepdim=True)).to(probability.dtype).detach()
    padded = F.pad(best, (0, 0, 0, 0, window, window))
    near = torch.stack([padded[:, k : k + bins] for k in range(2 * window + 1)]).amax(dim=0)
    weight = probability * near
    disparity = torch.arange(bins - 1, -1, -1, device=logits.device, dtype=logits.dtype).view(1, bins, 1, 1)
    return (weight * disparity).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True)
