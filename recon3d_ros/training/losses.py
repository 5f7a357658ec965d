"""What the stereo network is asked for: the right match at quarter size, and the right disparity in full."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros.networks.stereo import StereoNetwork, StereoOutput

LAPLACE_SCALE_BINS = 0.5
CROSS_ENTROPY_WEIGHT = 1.0
SMOOTH_L1_WEIGHT = 0.2
UNCERTAINTY_WEIGHT = 0.2
# Beyond it an outlier is an outlier.
LARGEST_ERROR_PX = 64.0


def stereo_loss(output: StereoOutput, truth: Tensor, step_px: int) -> Tensor:
    """Cross-entropy of the matching distribution, smooth L1 of the disparity, likelihood of its error.

    Smooth L1 on a soft-argmin alone stands still: it rewards the mean of a flat distribution.

    Args:
        output: Of `StereoNetwork.analyse`.
        truth: (B, H, W) disparity in px, NaN = unknown; beyond the network's range is not scored either.
        step_px: Of the bins.
    """
    largest_px = float(step_px * (output.logits.shape[1] - 1))
    known = torch.isfinite(truth) & (truth <= largest_px)
    truth = torch.where(known, truth, torch.zeros_like(truth))
    error = F.smooth_l1_loss(output.disparity[:, 0], truth, reduction="none")
    regression = (error * known).sum() / known.sum().clamp(min=1)
    matching = matching_loss(output.logits, truth, known, step_px)
    doubt = uncertainty_loss(output, (output.disparity[:, 0] - truth).abs().detach(), known)
    return CROSS_ENTROPY_WEIGHT * matching + SMOOTH_L1_WEIGHT * regression + UNCERTAINTY_WEIGHT * doubt


def uncertainty_loss(output: StereoOutput, error_px: Tensor, known: Tensor) -> Tensor:
    """Negative log-likelihood of the error under a Laplace distribution, and of being trusted or not.

    Args:
        output: Of `StereoNetwork.analyse`.
        error_px: (B, H, W) absolute error, without gradient: the disparity shall not move for it.
        known: (B, H, W) bool.
    """
    log_scale, trust = output.log_scale[:, 0], output.trust[:, 0]
    laplace = error_px.clamp(max=LARGEST_ERROR_PX) * torch.exp(-log_scale) + log_scale
    trusted = (error_px < StereoNetwork.TRUSTED_PX).float()
    trusting = F.binary_cross_entropy_with_logits(trust, trusted, reduction="none")
    return ((laplace + trusting) * known).sum() / known.sum().clamp(min=1)


def matching_loss(logits: Tensor, truth: Tensor, known: Tensor, step_px: int) -> Tensor:
    """Cross-entropy between the network's distribution over bins and a Laplace around the truth.

    A quarter-size cell covers 4x4 pixels; the target is the mean of the Laplace distributions around four of
    them, so a cell on an edge has two modes instead of one between the surfaces.

    Args:
        logits: (B, bins, H/4, W/4); bin k is disparity `step_px * (bins - 1 - k)`.
        truth: (B, H, W) px.
        known: (B, H, W) bool.
        step_px: Of the bins.
    """
    logs = torch.log_softmax(logits.float(), dim=1)
    target, weight = target_distribution(truth, known, logits.shape[1], step_px)
    return -(target * logs).sum(dim=1).mul(weight).sum() / weight.sum().clamp(min=1.0)


@torch.no_grad()
def target_distribution(truth: Tensor, known: Tensor, bins: int, step_px: int) -> tuple[Tensor, Tensor]:
    """(B, bins, H/4, W/4) that sums to one, and (B, H/4, W/4): the share of known pixels in each cell."""
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
