"""Comparing two images along their rows, in operators that ONNX Runtime and TensorRT run well."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros.networks.layers import exponential


def correlate(left: Tensor, right: Tensor, bins: int) -> Tensor:
    """The normalised correlation of each left column with the `bins` columns to its left in the right image.

    Descriptors are centred over the image and scaled to unit length first: without centring all correlations
    crowd near one and nothing is learned. One matrix product per row gives all pairs of columns; padding and
    reshaping to rows a little longer shifts row x by x: the wanted band comes to the first columns.

    Args:
        left: (B, C, H, W).
        right: (B, C, H, n W), n descriptors for each of the left ones.
        bins: Number of disparities, in columns of the right image.

    Returns:
        (B, bins, H, W) float32 in [-1, 1]; channel k is disparity `bins - 1 - k`, zero where the column would
        lie outside the right image.
    """
    left, right = (_unit(x) for x in (left, right))
    batch, _, height, width = left.shape
    dense = right.shape[3]
    step = dense // width
    # (B, H, W, C) x (B, H, C, bins - 1 + n W): column j of a row belongs to right column j - (bins - 1).
    right = F.pad(right.permute(0, 2, 1, 3), (bins - 1, 0))
    products = torch.matmul(left.permute(0, 2, 3, 1), right)
    flat = F.pad(products.reshape(batch, height, width * (dense + bins - 1)), (0, step * width))
    shifted = flat.reshape(batch, height, width, dense + bins - 1 + step)
    return shifted[..., :bins].permute(0, 3, 1, 2)


def _unit(features: Tensor) -> Tensor:
    features = features.float()
    features = features - features.mean(dim=(2, 3), keepdim=True)
    # 1e-3 under the root survives half precision.
    return features * torch.rsqrt(features.square().sum(dim=1, keepdim=True) + 1e-3)


def border_ramp(correlation: Tensor, columns_per_cell: int) -> Tensor:
    """(B, 1, H, W): the share of the disparities whose right column is inside the image, per left column."""
    batch, bins, height, width = correlation.shape
    columns = torch.arange(width, device=correlation.device, dtype=correlation.dtype)
    return (
        ((columns_per_cell * columns + 1.0) / bins)
        .clamp(max=1.0)
        .view(1, 1, 1, width)
        .expand(batch, 1, height, width)
    )


def windowed_mean(logits: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Softmax, then the mean disparity over the bins within `window` of the most probable one.

    A mean over all bins would land between two surfaces at an edge.

    Args:
        logits: (B, bins, H, W); bin k is disparity `bins - 1 - k`.
        window: Half width of the window in bins.

    Returns:
        (B, 1, H, W) disparity in bins, and (B, 1, H, W) the share of the distribution inside the window.
    """
    bins = logits.shape[1]
    weight = exponential(logits)
    # Not 1: a runtime that fuses the subtraction of the largest logit into a multiply-add gives a bit less.
    best = (weight >= 0.999).to(weight.dtype).detach()
    disparity = torch.arange(bins - 1, -1, -1, device=logits.device, dtype=logits.dtype).view(1, bins, 1, 1)
    # Of equals the nearest one, and half a bin more than the window, where rounding decides nothing. Pooling
    # along the bins would tell the same in ten times the time.
    nearest = (best * disparity).amax(dim=1, keepdim=True)
    inside = weight * ((disparity - nearest).abs() <= window + 0.5).to(weight.dtype)
    mass = inside.sum(dim=1, keepdim=True)
    return (inside * disparity).sum(dim=1, keepdim=True) / mass, mass / weight.sum(dim=1, keepdim=True)
