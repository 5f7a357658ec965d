"""What a stereo network can be asked for. Each loss is a scalar; `loss_table` names them.

Pixels without a truth count nowhere, except for `edge_smoothness`, which needs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros.networks.stereo import StereoNetwork, StereoOutput

LAPLACE_SCALE_BINS = 0.5
# Beyond it an outlier is an outlier.
LARGEST_ERROR_PX = 64.0
# Nearer to zero than this, a logarithm tells about noise only.
SMALLEST_PX = 0.25
# lambda of Eigen et al.: 0 = absolute, 1 = the scale does not count at all.
SCALE_SHARE = 0.5


@dataclass(frozen=True)
class Scored:
    """An answer beside the truth.

    Attributes:
        output: Of `StereoNetwork.analyse`.
        left: (B, 3, H, W) float RGB in [0, 1].
        measured: (B, H, W) disparity in px, NaN = unknown.
        step_px: Of the bins.
    """

    output: StereoOutput
    left: Tensor
    measured: Tensor
    step_px: int

    @cached_property
    def known(self) -> Tensor:
        """(B, H, W) bool; what is beyond the network's range is not scored either."""
        largest_px = float(self.step_px * (self.output.logits.shape[1] - 1))
        return torch.isfinite(self.measured) & (self.measured <= largest_px)

    @cached_property
    def truth(self) -> Tensor:
        """(B, H, W) px, zero where it is not known: NaN times zero would be NaN again."""
        return torch.where(self.known, self.measured, torch.zeros_like(self.measured))

    @cached_property
    def estimate(self) -> Tensor:
        """(B, H, W) px."""
        return self.output.disparity[:, 0]

    def mean(self, values: Tensor) -> Tensor:
        """The mean of (B, H, W) over the known pixels, 0 where none is known."""
        return (values * self.known).sum() / self.known.sum().clamp(min=1)


def smooth_l1(scored: Scored) -> Tensor:
    """Huber's loss of the disparity with its bend at 1 px (Girshick, Fast R-CNN, ICCV 2015)."""
    return scored.mean(F.smooth_l1_loss(scored.estimate, scored.truth, reduction="none"))


def mae(scored: Scored) -> Tensor:
    """Mean absolute error of the disparity, px."""
    return scored.mean((scored.estimate - scored.truth).abs())


def mse(scored: Scored) -> Tensor:
    """Mean squared error of the disparity, px^2."""
    return scored.mean((scored.estimate - scored.truth).square())


def cosine(scored: Scored) -> Tensor:
    """1 - cos of the angle between disparity and truth, each image one vector; the scale does not count.

    Images without a known pixel are left out of the mean.
    """
    estimate, truth = ((plane * scored.known).flatten(1).float() for plane in (scored.estimate, scored.truth))
    images = (truth.square().sum(dim=1) > 0.0).float()
    apart = 1.0 - F.cosine_similarity(estimate, truth, dim=1, eps=1e-6)
    return (apart * images).sum() / images.sum().clamp(min=1.0)


def scale_invariant_log(scored: Scored) -> Tensor:
    """Variance-like error of the logarithm per image (Eigen et al., NeurIPS 2014, eq. 4, lambda 0.5).

    Of disparity it is the same as of depth: f B drops out of the difference of the logarithms. Truth below
    `SMALLEST_PX` is left out; an estimate below it goes on along the tangent, so that its gradient pulls.
    """
    counted = (scored.known & (scored.truth >= SMALLEST_PX)).float()
    apart = (_soft_log(scored.estimate) - torch.log(scored.truth.clamp(min=SMALLEST_PX))) * counted
    count = counted.sum(dim=(1, 2)).clamp(min=1.0)
    mean_square = apart.square().sum(dim=(1, 2)) / count
    mean = apart.sum(dim=(1, 2)) / count
    images = (counted.sum(dim=(1, 2)) > 0.0).float()
    return ((mean_square - SCALE_SHARE * mean.square()) * images).sum() / images.sum().clamp(min=1.0)


def _soft_log(px: Tensor) -> Tensor:
    return torch.log(px.clamp(min=SMALLEST_PX)) + (px.clamp(max=SMALLEST_PX) - SMALLEST_PX) / SMALLEST_PX


def edge_smoothness(scored: Scored) -> Tensor:
    """First-order smoothness, less where the image has edges (Godard et al., CVPR 2017, eq. 3), px.

    It counts where nothing is known, too: that is what it is for.
    """
    total = torch.zeros((), device=scored.left.device)
    for axis in (1, 2):
        slope = scored.estimate.diff(dim=axis).abs()
        contrast = scored.left.diff(dim=axis + 1).abs().mean(dim=1)
        total = total + (slope * torch.exp(-contrast)).mean()
    return total


def uncertainty(scored: Scored) -> Tensor:
    """Negative log-likelihood of the error under a Laplace distribution, and of being trusted or not.

    The error comes without gradient: the disparity shall not move for it.
    """
    error_px = (scored.estimate - scored.truth).abs().detach()
    log_scale, trust = scored.output.log_scale[:, 0], scored.output.trust[:, 0]
    laplace = error_px.clamp(max=LARGEST_ERROR_PX) * torch.exp(-log_scale) + log_scale
    trusted = (error_px < StereoNetwork.TRUSTED_PX).float()
    return scored.mean(laplace + F.binary_cross_entropy_with_logits(trust, trusted, reduction="none"))


def cross_entropy(scored: Scored) -> Tensor:
    """Cross-entropy between the network's distribution over bins and a Laplace around the truth.

    A quarter-size cell covers 4x4 pixels; the target is the mean of the Laplace distributions around four of
    them, so a cell on an edge has two modes instead of one between the surfaces.
    """
    logits = scored.output.logits
    logs = torch.log_softmax(logits.float(), dim=1)
    target, weight = target_distribution(scored.truth, scored.known, logits.shape[1], scored.step_px)
    return -(target * logs).sum(dim=1).mul(weight).sum() / weight.sum().clamp(min=1.0)


@torch.no_grad()
def target_distribution(truth: Tensor, known: Tensor, bins: int, step_px: int) -> tuple[Tensor, Tensor]:
    """What the distribution over bins should be.

    Args:
        truth: (B, H, W) px.
        known: (B, H, W) bool.
        bins: How many; bin k is disparity `step_px * (bins - 1 - k)`.
        step_px: Between them.

    Returns:
        (B, bins, H/4, W/4) that sums to one, and (B, H/4, W/4): the share of known pixels in each cell.
    """
    centres = torch.arange(bins - 1, -1, -1, device=truth.device, dtype=torch.float32).view(1, bins, 1, 1)
    total = torch.zeros((), device=truth.device)
    weight = torch.zeros((), device=truth.device)
    for v, u in ((0, 1), (1, 3), (2, 0), (3, 2)):
        part = truth[:, None, v::4, u::4] / step_px
        share = known[:, None, v::4, u::4].float()
        laplace = torch.softmax(-(centres - part).abs() / LAPLACE_SCALE_BINS, dim=1)
        total = total + laplace * share
        weight = weight + share
    return total / weight.clamp(min=1.0), weight[:, 0] / 4.0
