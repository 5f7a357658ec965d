"""Comparing two images along their rows, in operators that ONNX Runtime and TensorRT run well."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from recon3d_ros.networks.layers import exponential

# A window of right columns has so many pieces, each as wide as the left columns that are compared with it.
_PIECES = 3


def correlate(left: Tensor, right: Tensor, bins: int) -> Tensor:
    """The normalised correlation of each left column with the `bins` columns to its left in the right image.

    Descriptors are centred over the image and scaled to unit length first: without centring all correlations
    crowd near one and nothing is learned. A matrix product compares a few left columns of a row with all
    columns that one of them needs; padding and reshaping to rows a little longer shifts row i by i: the
    wanted band comes to the first columns.

    Args:
        left: (B, C, H, W).
        right: (B, C, H, n W), n descriptors for each of the left ones.
        bins: Number of disparities, in columns of the right image.

    Returns:
        (B, bins, H, W) float32 in [-1, 1]; channel k is disparity `bins - 1 - k`, zero where the column would
        lie outside the right image.
    """
    left, right = (_unit(x) for x in (left, right))
    batch, channels, height, width = left.shape
    step = right.shape[3] // width
    # Left columns of a product; the further pieces of its window hold the `bins` columns beside the first.
    columns = -(-bins // (step * (_PIECES - 1)))
    missing = -width % columns
    count = (width + missing) // columns
    beyond = step * missing + (_PIECES - 1) * step * columns - (bins - 1)
    left = F.pad(left.permute(0, 2, 3, 1), (0, 0, 0, missing)).reshape(
        batch, height, count, columns, channels
    )
    pieces = F.pad(right.permute(0, 2, 3, 1), (0, 0, bins - 1, beyond)).reshape(
        batch, height, count + _PIECES - 1, step * columns, channels
    )
    windows = torch.cat([pieces[:, :, k : count + k] for k in range(_PIECES)], dim=3)
    # (B, H, count, columns, length): column j belongs to right column j - (bins - 1) of the first left one.
    products = torch.matmul(left, windows.transpose(3, 4))
    length = _PIECES * step * columns
    flat = F.pad(products.reshape(batch, height, count, columns * length), (0, step * columns))
    shifted = flat.reshape(batch, height, count * columns, length + step)
    return shifted[:, :, :width, :bins].permute(0, 3, 1, 2)


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


def windowed_mean(logits: Tensor, window: int, nearer: float = 0.0) -> tuple[Tensor, Tensor]:
    """Softmax, then the mean disparity over the bins within `window` of one mode.

    A mean over all bins would land between two surfaces at an edge.

    Args:
        logits: (B, bins, H, W); bin k is disparity `bins - 1 - k`.
        window: Half width of the window in bins.
        nearer: The mode is the nearest local maximum whose logit is at most this much below the largest one;
            with 0 it is the most probable bin.

    Returns:
        (B, 1, H, W) disparity in bins, and (B, 1, H, W) the share of the distribution inside the window.
    """
    bins = logits.shape[1]
    weight = exponential(logits)
    # Not 1: a runtime that fuses the subtraction of the largest logit into a multiply-add gives a bit less.
    likely = (weight >= min(math.exp(-nearer), 0.999)).to(weight.dtype).detach()
    if nearer > 0.0:
        likely = likely * _local_maxima(weight.detach())
    disparity = torch.arange(bins - 1, -1, -1, device=logits.device, dtype=logits.dtype).view(1, bins, 1, 1)
    # Of equals the nearest one, and half a bin more than the window, where rounding decides nothing. Pooling
    # along the bins would tell the same in ten times the time.
    mode = (likely * disparity).amax(dim=1, keepdim=True)
    inside = weight * ((disparity - mode).abs() <= window + 0.5).to(weight.dtype)
    mass = inside.sum(dim=1, keepdim=True)
    return (inside * disparity).sum(dim=1, keepdim=True) / mass, mass / weight.sum(dim=1, keepdim=True)


def _local_maxima(weight: Tensor) -> Tensor:
    """1 where no bin beside is larger, else 0; (B, bins, H, W) in and out."""
    beside = F.pad(weight, (0, 0, 0, 0, 1, 1))
    return ((weight >= beside[:, :-2]) & (weight >= beside[:, 2:])).to(weight.dtype)
