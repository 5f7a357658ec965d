"""The losses. Each is a scalar of a `LossInput`; `losses.table` names them.

Pixels without a truth count nowhere, except for `edge_smoothness`, which needs none.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros.training.losses.loss_input import DepthLossInput, DisparityLossInput, LossInput

LAPLACE_SCALE_BINS = 0.5
# lambda of Eigen et al.: 0 = absolute, 1 = the scale does not count at all.
SCALE_SHARE = 0.5
# What `truncated_l1` counts at most, px: farther off, a pixel is on another surface.
TRUNCATION_PX = 2.0
# Of a cell so far from the truth of a pixel: on its surface, and on another one, px.
SAME_SURFACE_PX, OTHER_SURFACE_PX = 1.0, 4.0
# They are few, and lie beside much that is right with the cells behind them.
THIN_CHOICE = 16.0
# Steps between the pixels whose difference `gradient` compares.
GRADIENT_STEPS_PX = (1, 2, 4, 8)


def smooth_l1(inputs: LossInput) -> Tensor:
    """Huber's loss with its bend at 1 px or 1 m (Girshick, Fast R-CNN, ICCV 2015)."""
    return inputs.mean(F.smooth_l1_loss(inputs.estimate, inputs.truth, reduction="none"))


def mae(inputs: LossInput) -> Tensor:
    """Mean absolute error, px or m."""
    return inputs.mean((inputs.estimate - inputs.truth).abs())


def mse(inputs: LossInput) -> Tensor:
    """Mean squared error, px^2 or m^2."""
    return inputs.mean((inputs.estimate - inputs.truth).square())


def cosine(inputs: LossInput) -> Tensor:
    """1 - cos of the angle between estimate and truth, each image one vector; the scale does not count.

    Images without a known pixel are left out of the mean.
    """
    estimate, truth = ((plane * inputs.known).flatten(1).float() for plane in (inputs.estimate, inputs.truth))
    images = (truth.square().sum(dim=1) > 0.0).float()
    apart = 1.0 - F.cosine_similarity(estimate, truth, dim=1, eps=1e-6)
    return (apart * images).sum() / images.sum().clamp(min=1.0)


def log_l1(inputs: LossInput) -> Tensor:
    """Mean absolute error of the logarithm: relative errors, far and near alike."""
    return inputs.mean_logged(inputs.log_error.abs())


def scale_invariant_log(inputs: LossInput) -> Tensor:
    """Variance-like error of the logarithm per image (Eigen et al., NeurIPS 2014, eq. 4, lambda 0.5).

    Of disparity it is the same as of depth: f B drops out of the difference of the logarithms. Truth below
    `LossInput.smallest` is left out; an estimate below it goes on along the tangent, so that its gradient
    pulls.
    """
    counted = inputs.logged.float()
    apart = inputs.log_error * counted
    count = counted.sum(dim=(1, 2)).clamp(min=1.0)
    mean_square = apart.square().sum(dim=(1, 2)) / count
    mean = apart.sum(dim=(1, 2)) / count
    images = (counted.sum(dim=(1, 2)) > 0.0).float()
    return ((mean_square - SCALE_SHARE * mean.square()) * images).sum() / images.sum().clamp(min=1.0)


def gradient(inputs: LossInput) -> Tensor:
    """Mean absolute difference of the slopes of the error of the logarithm, over four distances.

    The scale-invariant gradient matching of Li and Snavely (MegaDepth, CVPR 2018, eq. 4): edges where the
    truth has them, flat in between.
    """
    error = torch.where(inputs.logged, inputs.log_error, torch.zeros_like(inputs.measured))
    total = torch.zeros((), device=error.device)
    for step in GRADIENT_STEPS_PX:
        for axis in (1, 2):
            length = error.shape[axis] - step
            if length < 1:
                continue
            both = inputs.logged.narrow(axis, 0, length) & inputs.logged.narrow(axis, step, length)
            slope = (error.narrow(axis, step, length) - error.narrow(axis, 0, length)).abs()
            total = total + (slope * both).sum() / both.sum().clamp(min=1)
    return total / len(GRADIENT_STEPS_PX)


def normals(inputs: DepthLossInput) -> Tensor:
    """1 - cos between the surface normals of estimate and truth (Hu et al., WACV 2019, eq. 6).

    Points are back-projected with the canonical focal length and the centre of the crop: equal for both, so a
    stretched window stretches, and one off the centre shears, both alike.
    """
    ours, _ = surface_normals(inputs.estimate.float(), inputs.focal_px)
    theirs, sure = surface_normals(torch.where(inputs.known, inputs.measured, torch.nan), inputs.focal_px)
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


def distill(inputs: DepthLossInput) -> Tensor:
    """Mean absolute error of the logarithm against a teacher's depth of the same crop, where it has some."""
    teacher_depth = inputs.teacher_depth
    if teacher_depth is None:
        return torch.zeros((), device=inputs.measured.device)
    size_hw = (int(teacher_depth.shape[1]), int(teacher_depth.shape[2]))
    estimate = F.adaptive_avg_pool2d(inputs.estimate[:, None], size_hw)[:, 0]
    predicted = torch.isfinite(teacher_depth)
    apart = torch.log(estimate.clamp(min=1e-3)) - torch.log(
        torch.where(predicted, teacher_depth, 1.0).clamp(min=1e-3)
    )
    return (apart.abs() * predicted).sum() / predicted.sum().clamp(min=1)


def features(inputs: DepthLossInput) -> Tensor:
    """Huber's loss between a teacher's features and ours brought into their space (FitNets, ICLR 2015)."""
    total = torch.zeros((), device=inputs.measured.device)
    for ours, theirs in inputs.feature_pairs:
        total = total + F.smooth_l1_loss(ours.float(), theirs)
    return total


def edge_smoothness(inputs: LossInput) -> Tensor:
    """First-order smoothness, less where the image has edges (Godard et al., CVPR 2017, eq. 3), px or m.

    It counts where nothing is known, too: that is what it is for.
    """
    total = torch.zeros((), device=inputs.image.device)
    for axis in (1, 2):
        slope = inputs.estimate.diff(dim=axis).abs()
        contrast = inputs.image.diff(dim=axis + 1).abs().mean(dim=1)
        total = total + (slope * torch.exp(-contrast)).mean()
    return total


def uncertainty(inputs: LossInput) -> Tensor:
    """Negative log-likelihood of the error under a Laplace distribution, and of being trusted or not.

    The error comes without gradient: the prediction shall not move for it.
    """
    laplace = inputs.error.detach() * torch.exp(-inputs.log_scale) + inputs.log_scale
    is_accurate = inputs.is_accurate.float()
    return inputs.mean(
        laplace + F.binary_cross_entropy_with_logits(inputs.confidence_logit, is_accurate, reduction="none")
    )


def cross_entropy(inputs: LossInput) -> Tensor:
    """Cross-entropy between the network's distribution over bins and a Laplace around the truth.

    A quarter-size cell covers 4x4 pixels; the target is the mean of the Laplace distributions around four of
    them, so a cell on an edge has two modes instead of one between the surfaces.
    """
    logits = inputs.logits
    logs = torch.log_softmax(logits.float(), dim=1)
    target, weight = target_distribution(inputs.positions, inputs.known, logits.shape[1])
    return -(target * logs).sum(dim=1).mul(weight).sum() / weight.sum().clamp(min=1.0)


def thin(inputs: DisparityLossInput) -> Tensor:
    """Cross-entropy and a fifth of `smooth_l1` again, of thin things alone, as a share of all that is known.

    They cover few pixels, and where one shares a cell with what is behind it, its mode is the smaller one:
    without more weight they vanish. With a weight of 2 each of their pixels counts three times.
    """
    logs = torch.log_softmax(inputs.logits.float(), dim=1)
    target, weight = target_distribution(inputs.positions, inputs.thin, inputs.logits.shape[1])
    missed = -(target * logs).sum(dim=1).mul(weight).sum() / (inputs.known.sum() / 16.0).clamp(min=1.0)
    return missed + 0.2 * inputs.mean(
        inputs.thin * F.smooth_l1_loss(inputs.estimate, inputs.truth, reduction="none")
    )


def truncated_l1(inputs: DisparityLossInput) -> Tensor:
    """Mean absolute error, of a pixel at most `TRUNCATION_PX`, px (Black and Anandan, CVIU 1996).

    For what comes after the choice of a surface: pixels on a wrong one, which it cannot repair, do not pull.
    """
    return inputs.mean((inputs.estimate - inputs.truth).abs().clamp(max=TRUNCATION_PX))


def surface_choice(inputs: DisparityLossInput) -> Tensor:
    """Expected share of pixels whose upsampling picks a cell on another surface, if weights were odds.

    The upsampling takes the surface of the largest weight, a choice without gradient; the expectation over
    all choices has one (as the soft selection of SMD-Nets: Tosi et al., CVPR 2021). Pixels of thin things
    count `THIN_CHOICE` times.
    """
    counted = inputs.known * (1.0 + (THIN_CHOICE - 1.0) * inputs.thin)
    truth, counted, known = (
        F.pixel_unshuffle(x[:, None].float(), 4) for x in (inputs.truth, counted, inputs.known)
    )
    apart = (inputs.neighbours.detach() - truth[:, None]).abs()
    wrong = ((apart - SAME_SURFACE_PX) / (OTHER_SURFACE_PX - SAME_SURFACE_PX)).clamp(0.0, 1.0)
    expected = (inputs.weights * wrong).sum(dim=1) / inputs.weights.sum(dim=1)
    return (expected * counted).sum() / known.sum().clamp(min=1.0)


def out_of_range(inputs: DisparityLossInput) -> Tensor:
    """Negative log-likelihood of no confidence where the truth is nearer than the network can tell."""
    unsure = F.softplus(inputs.confidence_logit) * inputs.beyond
    return unsure.sum() / (inputs.beyond | inputs.known).sum().clamp(min=1)


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
