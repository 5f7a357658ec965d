"""What a network can be asked for. Each loss is a scalar of a `Scored` answer; `loss_table` names them.

Pixels without a truth count nowhere, except for `edge_smoothness`, which needs none.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros.training.losses.scored import Scored, ScoredDepth, ScoredDisparity

LAPLACE_SCALE_BINS = 0.5
# lambda of Eigen et al.: 0 = absolute, 1 = the scale does not count at all.
SCALE_SHARE = 0.5
# Steps between the pixels whose difference `gradient` compares.
GRADIENT_STEPS_PX = (1, 2, 4, 8)


def smooth_l1(scored: Scored) -> Tensor:
    """Huber's loss with its bend at 1 px or 1 m (Girshick, Fast R-CNN, ICCV 2015)."""
    return scored.mean(F.smooth_l1_loss(scored.estimate, scored.truth, reduction="none"))


def mae(scored: Scored) -> Tensor:
    """Mean absolute error, px or m."""
    return scored.mean((scored.estimate - scored.truth).abs())


def mse(scored: Scored) -> Tensor:
    """Mean squared error, px^2 or m^2."""
    return scored.mean((scored.estimate - scored.truth).square())


def cosine(scored: Scored) -> Tensor:
    """1 - cos of the angle between estimate and truth, each image one vector; the scale does not count.

    Images without a known pixel are left out of the mean.
    """
    estimate, truth = ((plane * scored.known).flatten(1).float() for plane in (scored.estimate, scored.truth))
    images = (truth.square().sum(dim=1) > 0.0).float()
    apart = 1.0 - F.cosine_similarity(estimate, truth, dim=1, eps=1e-6)
    return (apart * images).sum() / images.sum().clamp(min=1.0)


def log_l1(scored: Scored) -> Tensor:
    """Mean absolute error of the logarithm: relative errors, far and near alike."""
    return scored.mean_logged(scored.log_error.abs())


def scale_invariant_log(scored: Scored) -> Tensor:
    """Variance-like error of the logarithm per image (Eigen et al., NeurIPS 2014, eq. 4, lambda 0.5).

    Of disparity it is the same as of depth: f B drops out of the difference of the logarithms. Truth below
    `Scored.smallest` is left out; an estimate below it goes on along the tangent, so that its gradient pulls.
    """
    counted = scored.logged.float()
    apart = scored.log_error * counted
    count = counted.sum(dim=(1, 2)).clamp(min=1.0)
    mean_square = apart.square().sum(dim=(1, 2)) / count
    mean = apart.sum(dim=(1, 2)) / count
    images = (counted.sum(dim=(1, 2)) > 0.0).float()
    return ((mean_square - SCALE_SHARE * mean.square()) * images).sum() / images.sum().clamp(min=1.0)


def gradient(scored: Scored) -> Tensor:
    """Mean absolute difference of the slopes of the error of the logarithm, over four distances.

    The scale-invariant gradient matching of Li and Snavely (MegaDepth, CVPR 2018, eq. 4): edges where the
    truth has them, flat in between.
    """
    error = torch.where(scored.logged, scored.log_error, torch.zeros_like(scored.measured))
    total = torch.zeros((), device=error.device)
    for step in GRADIENT_STEPS_PX:
        for axis in (1, 2):
            length = error.shape[axis] - step
            if length < 1:
                continue
            both = scored.logged.narrow(axis, 0, length) & scored.logged.narrow(axis, step, length)
            slope = (error.narrow(axis, step, length) - error.narrow(axis, 0, length)).abs()
            total = total + (slope * both).sum() / both.sum().clamp(min=1)
    return total / len(GRADIENT_STEPS_PX)


def normals(scored: ScoredDepth) -> Tensor:
    """1 - cos between the surface normals of estimate and truth (Hu et al., WACV 2019, eq. 6).

    Points are back-projected with the canonical focal length and the centre of the crop: equal for both, so a
    stretched window stretches, and one off the centre shears, both alike.
    """
    ours, _ = surface_normals(scored.estimate.float(), scored.focal_px)
    theirs, sure = surface_normals(torch.where(scored.known, scored.measured, torch.nan), scored.focal_px)
    apart = 1.0 - (ours * torch.nan_to_num(theirs)).sum(dim=1)
    return (apart * sure).sum() / sure.sum().clamp(min=1)


def surface_normals(depth: Tensor, focal_px: float) -> tuple[Tensor, Tensor]:
    """Unit normals from differences over two pixels.

    Args:
        depth: (B, H, W) m, NaN = unknown.
        focal_px: Of the image.

    Returns:
        (B, 3, H-2, W-2), and (B, H-2, W-2) bool: where all four neighbours are known.
    """
    _, height, width = depth.shape
    u = torch.arange(width, device=depth.device, dtype=depth.dtype) - (width - 1) / 2
    v = torch.arange(height, device=depth.device, dtype=depth.dtype)[:, None] - (height - 1) / 2
    points = torch.stack([depth * u / focal_px, depth * v / focal_px, depth], dim=1)
    across = points[:, :, 1:-1, 2:] - points[:, :, 1:-1, :-2]
    down = points[:, :, 2:, 1:-1] - points[:, :, :-2, 1:-1]
    normal = F.normalize(torch.cross(down, across, dim=1), dim=1, eps=1e-9)
    return normal, torch.isfinite(normal).all(dim=1)


def distill(scored: ScoredDepth) -> Tensor:
    """Mean absolute error of the logarithm against what a teacher answered to the same crop, where it did."""
    taught = scored.taught
    if taught is None:
        return torch.zeros((), device=scored.measured.device)
    size_hw = (int(taught.shape[1]), int(taught.shape[2]))
    estimate = F.adaptive_avg_pool2d(scored.estimate[:, None], size_hw)[:, 0]
    answered = torch.isfinite(taught)
    apart = torch.log(estimate.clamp(min=1e-3)) - torch.log(
        torch.where(answered, taught, 1.0).clamp(min=1e-3)
    )
    return (apart.abs() * answered).sum() / answered.sum().clamp(min=1)


def features(scored: ScoredDepth) -> Tensor:
    """Huber's loss between a teacher's features and ours brought into their space (FitNets, ICLR 2015)."""
    total = torch.zeros((), device=scored.measured.device)
    for ours, theirs in scored.lessons:
        total = total + F.smooth_l1_loss(ours.float(), theirs)
    return total


def edge_smoothness(scored: Scored) -> Tensor:
    """First-order smoothness, less where the image has edges (Godard et al., CVPR 2017, eq. 3), px or m.

    It counts where nothing is known, too: that is what it is for.
    """
    total = torch.zeros((), device=scored.image.device)
    for axis in (1, 2):
        slope = scored.estimate.diff(dim=axis).abs()
        contrast = scored.image.diff(dim=axis + 1).abs().mean(dim=1)
        total = total + (slope * torch.exp(-contrast)).mean()
    return total


def uncertainty(scored: Scored) -> Tensor:
    """Negative log-likelihood of the error under a Laplace distribution, and of being trusted or not.

    The error comes without gradient: the answer shall not move for it.
    """
    laplace = scored.error.detach() * torch.exp(-scored.log_scale) + scored.log_scale
    trusted = scored.trusted.float()
    return scored.mean(laplace + F.binary_cross_entropy_with_logits(scored.trust, trusted, reduction="none"))


def cross_entropy(scored: Scored) -> Tensor:
    """Cross-entropy between the network's distribution over bins and a Laplace around the truth.

    A quarter-size cell covers 4x4 pixels; the target is the mean of the Laplace distributions around four of
    them, so a cell on an edge has two modes instead of one between the surfaces.
    """
    logits = scored.logits
    logs = torch.log_softmax(logits.float(), dim=1)
    target, weight = target_distribution(scored.positions, scored.known, logits.shape[1])
    return -(target * logs).sum(dim=1).mul(weight).sum() / weight.sum().clamp(min=1.0)


def thin(scored: ScoredDisparity) -> Tensor:
    """Cross-entropy and a fifth of `smooth_l1` again, of thin things alone, as a share of all that is known.

    They cover few pixels, and where one shares a cell with what is behind it, its mode is the smaller one:
    without more weight they vanish. With a weight of 2 each of their pixels counts three times.
    """
    logs = torch.log_softmax(scored.logits.float(), dim=1)
    target, weight = target_distribution(scored.positions, scored.thin, scored.logits.shape[1])
    missed = -(target * logs).sum(dim=1).mul(weight).sum() / (scored.known.sum() / 16.0).clamp(min=1.0)
    return missed + 0.2 * scored.mean(
        scored.thin * F.smooth_l1_loss(scored.estimate, scored.truth, reduction="none")
    )


def out_of_range(scored: ScoredDisparity) -> Tensor:
    """Negative log-likelihood of no trust where the truth is nearer than the network can answer."""
    unsure = F.softplus(scored.trust) * scored.beyond
    return unsure.sum() / (scored.beyond | scored.known).sum().clamp(min=1)


@torch.no_grad()
def target_distribution(positions: Tensor, known: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """What the distribution over bins should be.

    Args:
        positions: (B, H, W) where the truth lies among the bins, bin k at k.
        known: (B, H, W) bool.
        bins: How many.

    Returns:
        (B, bins, H/4, W/4) that sums to one, and (B, H/4, W/4): the share of known pixels in each cell.
    """
    centres = torch.arange(bins, device=positions.device, dtype=torch.float32).view(1, bins, 1, 1)
    total = torch.zeros((), device=positions.device)
    weight = torch.zeros((), device=positions.device)
    for v, u in ((0, 1), (1, 3), (2, 0), (3, 2)):
        part = positions[:, None, v::4, u::4]
        share = known[:, None, v::4, u::4].float()
        laplace = torch.softmax(-(centres - part).abs() / LAPLACE_SCALE_BINS, dim=1)
        total = total + laplace * share
        weight = weight + share
    return total / weight.clamp(min=1.0), weight[:, 0] / 4.0
