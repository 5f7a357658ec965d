"""A monocular depth network of 2-D convolutions only: an encoder, a decoder with skips, a softmax over depth.

The trunk is of separable convolutions, the encoder's added to the decoder's, as in FastDepth (Wofk et al.,
ICRA 2019), and as wide as that one, pruned, where `DISTILLABLE` names a module: so each can learn from it
alone. Depth is the mean of a distribution over logarithmic bins (Fu et al., DORN, CVPR 2018; Bhat et al.,
AdaBins, CVPR 2021), brought to full size by the convex upsampling of RAFT (Teed and Deng, ECCV 2020).

Depth is canonical (Yin et al., Metric3D, ICCV 2023): what it would be if the focal length were
`CANONICAL_FOCAL_PX`. One image cannot tell a far thing from a small focal length, so the network is spared
the question: whoever serves or trains it multiplies by fy / `CANONICAL_FOCAL_PX`, fy in px of its input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recon3d_ros.errors import ConfigError
from recon3d_ros.networks.layers import ConvexUpsampler, ConvUnit, SeparableUnit, Uncertainty, exponential
from recon3d_ros.networks.mono_contract import CANONICAL_FOCAL_PX, DISTILLABLE


@dataclass(frozen=True)
class MonoConfig:
    """Widths of `MonoNetwork`.

    `encoder` has the channels of the units at 1/4, 1/8, 1/16 and 1/32 of the size. On the way back
    `bottleneck` are those at 1/32 and `hidden` those at 1/4; between them they are the encoder's one level
    finer, whose features are added. `bins` spread logarithmically from `near_m` to `far_m` of canonical
    depth.
    """

    stem: int = 48
    encoder: tuple[tuple[int, ...], ...] = (
        (96, 120),
        (160, 256),
        (416, 384, 320, 320, 320, 328),
        (512, 512),
    )
    bottleneck: int = 200
    hidden: int = 56
    bins: int = 64
    near_m: float = 0.3
    far_m: float = 20.0
    uncertainty: int = 24

    def __post_init__(self) -> None:
        # A checkpoint or JSON gives lists.
        object.__setattr__(self, "encoder", tuple(tuple(level) for level in self.encoder))
        if len(self.encoder) != 4 or not all(self.encoder):
            raise ConfigError(f"expected four levels of one unit or more, got {self}: correct encoder")
        widths = (self.stem, self.bottleneck, self.hidden, self.uncertainty, *sum(self.encoder, ()))
        if min(widths) < 1 or self.bins < 2:
            raise ConfigError(f"expected positive widths and two bins or more, got {self}: correct it")
        if not 0.0 < self.near_m < self.far_m:
            raise ConfigError(f"expected 0 < near_m < far_m, got {self}: correct it")

    @property
    def distillable_channels(self) -> dict[str, int]:
        """Channels of the features by module of `DISTILLABLE`."""
        c4, c8, c16, c32 = (level[-1] for level in self.encoder)
        return dict(zip(DISTILLABLE, (c4, c8, c16, c32, c8, c4, self.hidden)))


@dataclass(frozen=True)
class MonoOutput:
    """What training looks at.

    Attributes:
        logits: (B, bins, H/4, W/4); bin k stands for the k-th canonical depth of `MonoNetwork.log_centres`.
        depth: (B, 1, H, W) canonical depth, m.
        log_scale: (B, 1, H, W) logarithm of the Laplace scale of the error of log depth.
        confidence_logit: (B, 1, H, W) logit of the probability of a relative error below `ACCURATE_SHARE`.
        features: What another network can teach, by the module of `DISTILLABLE` that made it.
    """

    logits: Tensor
    depth: Tensor
    log_scale: Tensor
    confidence_logit: Tensor
    features: dict[str, Tensor]


class MonoNetwork(nn.Module):
    """One image in, its canonical depth and how far to trust it out.

    The input is (B, 3, H, W) float RGB in [0, 1], H and W multiples of `MULTIPLE_OF`.
    """

    MULTIPLE_OF = 32
    FOCAL_PX = CANONICAL_FOCAL_PX
    # A relative error of depth below it is no outlier: nearly the threshold of delta_1.
    ACCURATE_SHARE = 0.25

    log_centres: Tensor
    log_gain: Tensor

    def __init__(self, config: MonoConfig) -> None:
        super().__init__()
        self.config = config
        stem, hidden = config.stem, config.hidden
        c4, c8, c16, c32 = (level[-1] for level in config.encoder)
        self.to_half = nn.Sequential(ConvUnit(3, stem, stride=2), SeparableUnit(stem, stem))
        self.to_quarter, self.to_eighth, self.to_sixteenth, self.to_thirtysecond = (
            _level(before, level) for before, level in zip((stem, c4, c8, c16), config.encoder)
        )
        self.bottleneck = SeparableUnit(c32, config.bottleneck, kernel=5)
        self.merge_sixteenth = SeparableUnit(config.bottleneck, c8, kernel=5)
        self.merge_eighth = SeparableUnit(c8, c4, kernel=5)
        self.merge_quarter = SeparableUnit(c4, hidden, kernel=5)
        self.distribution = nn.Conv2d(hidden, config.bins, 3, padding=1)
        self.upsampler = ConvexUpsampler(hidden, stem)
        self.uncertainty = Uncertainty(hidden + 4 * stem + 2, config.uncertainty)
        centres = torch.linspace(math.log(config.near_m), math.log(config.far_m), config.bins)
        self.register_buffer("log_centres", centres.view(1, -1, 1, 1), persistent=False)
        # Of all depth, by images that did not train; `training.export.calibration` sets it.
        self.register_buffer("log_gain", torch.zeros(()))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The exported graph: canonical depth (m), confidence in [0, 1] and sigma (m), (B, 1, H, W) each.

        Confidence is the probability that the relative error is below `ACCURATE_SHARE`; sigma is one standard
        deviation.
        """
        output = self.analyse(image)
        # One standard deviation of a Laplace distribution is sqrt(2) scales; d(depth) = depth d(log depth).
        sigma = math.sqrt(2.0) * torch.exp(output.log_scale) * output.depth
        return output.depth, torch.sigmoid(output.confidence_logit), sigma

    def analyse(self, image: Tensor, given: Mapping[str, Tensor] | None = None) -> MonoOutput:
        """The same with the intermediate results that the losses need.

        Args:
            image: As in `forward`.
            given: By module of `DISTILLABLE`, what others see in place of its output, of the same shape:
                then each learns by itself (teacher forcing, Williams and Zipser 1989; in blocks Li et al.,
                CVPR 2020).

        Raises:
            ConfigError: What is given has another shape.
        """
        half = self.to_half(2.0 * image - 1.0)
        features, hidden = self._trunk(half, given or {})
        logits = self.distribution(hidden).float()
        weight = exponential(logits)
        total = weight.sum(dim=1, keepdim=True)
        mean = (weight * self.log_centres).sum(dim=1, keepdim=True) / total
        details = F.pixel_unshuffle(half, 2)
        depth = torch.exp(self.upsampler(mean, hidden, details) + self.log_gain)
        spread = (weight * (self.log_centres - mean).abs()).sum(dim=1, keepdim=True) / total
        log_scale, confidence_logit = self.uncertainty(hidden, details, mean, spread)
        return MonoOutput(logits, depth, log_scale, confidence_logit, features)

    def _trunk(self, half: Tensor, given: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        """Half-size features -> the output of each module of `DISTILLABLE`, and what the heads see."""
        features: dict[str, Tensor] = {}

        def seen(name: str, output: Tensor) -> Tensor:
            features[name] = output
            if name not in given:
                return output
            if given[name].shape != output.shape:
                raise ConfigError(
                    f"expected features of (B, C, h, w) {tuple(output.shape)} in place of {name}, got "
                    f"{tuple(given[name].shape)}: take a teacher of these channels that takes any size"
                )
            return given[name]

        quarter = seen("to_quarter", self.to_quarter(half))
        eighth = seen("to_eighth", self.to_eighth(quarter))
        sixteenth = seen("to_sixteenth", self.to_sixteenth(eighth))
        coarse = seen("to_thirtysecond", self.to_thirtysecond(sixteenth))
        up = seen("merge_sixteenth", self.merge_sixteenth(_twice(self.bottleneck(coarse))))
        up = seen("merge_eighth", self.merge_eighth(_twice(up) + eighth))
        hidden = seen("merge_quarter", self.merge_quarter(_twice(up) + quarter))
        return features, hidden


def _level(channels: int, widths: Sequence[int]) -> nn.Sequential:
    """Half the size, then as many units as there are widths, the first one included."""
    pairs = zip((channels, *widths), widths)
    return nn.Sequential(*(SeparableUnit(i, o, stride=1 if k else 2) for k, (i, o) in enumerate(pairs)))


def _twice(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, 2h, 2w)."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
