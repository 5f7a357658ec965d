"""The few convolutional pieces that the networks are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvUnit(nn.Sequential):
    """Convolution, batch normalisation, ReLU; the normalisation folds into the convolution on export."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(
            nn.Conv2d(
                channels_in, channels_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False
            ),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class SeparableUnit(nn.Module):
    """A filter for each channel, then a 1x1 convolution (Howard et al., MobileNets, 2017)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.filter = ConvUnit(channels_in, channels_in, kernel, stride, groups=channels_in)
        self.mix = ConvUnit(channels_in, channels_out, kernel=1)
        self.large = kernel > 3

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, H, W) -> (B, channels_out, H / stride, W / stride)."""
        if not self.large:
            return self.mix(self.filter(x))
        # oneDNN takes six times as long for the gradient of larger filters in bfloat16 as in float32.
        with torch.autocast(x.device.type, enabled=False):
            filtered = self.filter(x.float())
        return self.mix(filtered)


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


class ConvexUpsampler(nn.Module):
    """Quarter to full size: each pixel is a weighted mean of the 3x3 coarse neighbours (RAFT, ECCV 2020).

    The weights see the half-size features, folded into channels, so that edges follow the image.

    Args:
        hidden: Channels at a quarter of the size.
        stem: Channels at half of the size.
    """

    def __init__(self, hidden: int, stem: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            ConvUnit(hidden + 4 * stem, hidden, kernel=1),
            ConvUnit(hidden, hidden),
            nn.Conv2d(hidden, 9 * 16, 1),
        )

    def forward(self, coarse: Tensor, hidden: Tensor, details: Tensor) -> Tensor:
        """(B, 1, H/4, W/4), hidden features and the folded half-size ones at H/4 -> (B, 1, H, W)."""
        neighbours = self.neighbours(coarse)
        return self.combine(self.weights(self.look(hidden, details, neighbours)), neighbours)

    def neighbours(self, coarse: Tensor) -> Tensor:
        """(B, 1, h, w) -> the nine cells around each one, (B, 9, 1, h, w)."""
        height, width = coarse.shape[2:]
        padded = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
        return torch.stack(
            [padded[:, :, v : v + height, u : u + width] for v in range(3) for u in range(3)], dim=1
        )

    def look(self, hidden: Tensor, details: Tensor, neighbours: Tensor) -> Tensor:
        """The features (B, hidden, H/4, W/4) that the weights are made of."""
        return self.weigh[1](self.weigh[0](torch.cat([hidden, details], dim=1)))

    def weights(self, features: Tensor) -> Tensor:
        """Of the features, the weights of the cells around each pixel: (B, 9, 16, h, w), the largest 1."""
        weights = self.weigh[2](features).float()
        batch, _, height, width = weights.shape
        return exponential(weights.view(batch, 9, 16, height, width))

    def combine(self, weights: Tensor, neighbours: Tensor) -> Tensor:
        """Weights (B, 9, 16, h, w) of neighbours (B, 9, 1, h, w) -> (B, 1, 4 h, 4 w)."""
        weights = self.choose(weights, neighbours)
        return F.pixel_shuffle((weights * neighbours).sum(dim=1) / weights.sum(dim=1), 4)

    def choose(self, weights: Tensor, neighbours: Tensor) -> Tensor:
        """The weights that count, sizes as in `combine`: here all."""
        return weights


class SurfaceUpsampler(ConvexUpsampler):
    """The same over one surface: the neighbours within `REACH_PX` of the one with the largest weight.

    A mean over all would put the pixels of an edge between a thing and what is behind it, and a thin thing
    at neither (of two modes SMD-Nets choose one: Tosi et al., CVPR 2021).

    Args:
        hidden: Channels at a quarter of the size.
        stem: Channels at half of the size.
        ordered: Whether the weights also see how much nearer or farther the cells around each one are.
    """

    # Wider than a slanted surface changes over three cells, narrower than what sets things apart.
    REACH_PX = 6.0

    def __init__(self, hidden: int, stem: int, ordered: bool = False) -> None:
        super().__init__(hidden, stem)
        self.order = starting_as_nothing(nn.Conv2d(9, hidden, 1)) if ordered else None

    def look(self, hidden: Tensor, details: Tensor, neighbours: Tensor) -> Tensor:
        """The features (B, hidden, H/4, W/4) that the weights are made of."""
        entered = self.weigh[0](torch.cat([hidden, details], dim=1))
        if self.order is not None:
            apart = ((neighbours - neighbours[:, 4:5]) / self.REACH_PX).clamp(-2.0, 2.0)
            entered = entered + self.order(apart.detach()[:, :, 0])
        return self.weigh[1](entered)

    def choose(self, weights: Tensor, neighbours: Tensor) -> Tensor:
        """The weights of the surface, 0 for others; sizes as in `combine`."""
        best = (weights >= 0.999).to(weights.dtype)
        # Of equals the nearest one. Which it is comes without gradient: the loss `surface_choice` teaches it.
        surface = (best * neighbours).amax(dim=1, keepdim=True).detach()
        return weights * ((neighbours - surface).abs() <= self.REACH_PX).to(weights.dtype)


class Uncertainty(nn.Module):
    """How far an estimate may be off: a Laplace scale (Kendall and Gal, NeurIPS 2017) and a probability.

    It looks at the network without moving it: its inputs are detached, or the network would learn to excuse
    hard pixels instead of solving them. Gains and offsets correct what training images, harder than clean
    ones, make too cautious; `training.export.calibration` sets them.

    Args:
        channels: Of all it sees, at a quarter of the size.
        width: Of its own features.
        context: Whether it also sees the mean over the image: noise and a bad rectification are the same all
            over it.
    """

    scale_gain: Tensor
    scale_offset: Tensor
    trust_gain: Tensor
    trust_offset: Tensor

    def __init__(self, channels: int, width: int, context: bool = False) -> None:
        super().__init__()
        self.context = starting_as_nothing(nn.Conv2d(channels, width, 1)) if context else None
        self.judge = nn.Sequential(
            ConvUnit(channels, width, kernel=1), ConvUnit(width, width), nn.Conv2d(width, 2 * 16, 1)
        )
        for name, value in (
            ("scale_gain", 1.0),
            ("scale_offset", 0.0),
            ("trust_gain", 1.0),
            ("trust_offset", 0.0),
        ):
            self.register_buffer(name, torch.tensor(value))

    def forward(self, *seen: Tensor) -> tuple[Tensor, Tensor]:
        """Maps at H/4 -> logarithm of the scale and logit of the confidence, (B, 1, H, W) each."""
        everything = torch.cat(seen, dim=1).detach()
        enter, mix, leave = self.judge
        features = enter(everything)
        if self.context is not None:
            features = features + self.context(everything.mean(dim=(2, 3), keepdim=True))
        output = leave(mix(features)).float()
        log_scale, confidence_logit = F.pixel_shuffle(output[:, :16], 4), F.pixel_shuffle(output[:, 16:], 4)
        log_scale = self.scale_gain * log_scale.clamp(-5.0, 5.0) + self.scale_offset
        return log_scale, self.trust_gain * confidence_logit + self.trust_offset


def starting_as_nothing(added: nn.Conv2d) -> nn.Conv2d:
    """A convolution that answers zero until it is trained, so that it can be added to a trained network."""
    for parameter in added.parameters():
        nn.init.zeros_(parameter)
    return added


@torch.no_grad()
def align_channels(first: nn.Conv2d) -> None:
    """Give a convolution a multiple of 16 inputs; the further ones have weights of zero."""
    more = -first.in_channels % 16
    first.weight = nn.Parameter(F.pad(first.weight, (0, 0, 0, 0, 0, more)))
    first.in_channels += more


def exponential(logits: Tensor) -> Tensor:
    """Softmax over channels before its division: ONNX Runtime's own is ten times slower on this axis."""
    return torch.exp(logits - logits.amax(dim=1, keepdim=True).detach())
