"""Robust fits of one frame: a factor, or scale and shift of inverse depth, with their variance.

A network's errors are large, few-sided and alike within a patch of the image, so the residuals tell less than
their number says: anchors that share a cell of a coarse grid count as one, and the spread of residuals is
held against what networks are known to do (a scaled inverse chi-squared prior, Gelman et al., Bayesian Data
Analysis, 3rd ed., 2.6), which also gives a variance to a single anchor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# One relative standard deviation of a network's depth at a pixel, once its scale is right. A fixed width
# instead of one estimated from the residuals finds the largest agreeing part of the image: on HoloLens video
# it was better at every share of wrong anchors (docs/scale.md).
NETWORK_SIGMA = 0.15
_PRIOR_ANCHORS = 4.0
_TUKEY = 4.685  # 95 % efficiency for Gaussian residuals (Holland and Welsch 1977)
_ITERATIONS = 10
_CELLS_WH = (8, 6)
_STARTS = 50
_PAIRS = 150
_SEED = 0


class Unobservable(Exception):
    """A source tells no scale in this frame; the message says why."""


class Correspondences(NamedTuple):
    """Anchors beside what the network predicts there; (N,) float64 each.

    Attributes:
        value: The network's prediction: depth, or relative inverse depth.
        depth: m, what is known.
        sigma: Relative standard deviation of `depth`.
        cell: int, the cell of a coarse grid over the image.
        source: int, which of the sources.
    """

    value: NDArray[np.float64]
    depth: NDArray[np.float64]
    sigma: NDArray[np.float64]
    cell: NDArray[np.int64]
    source: NDArray[np.int64]


@dataclass(frozen=True)
class FactorFit:
    """log(depth / prediction), its variance, and which anchors agree, (N,) bool."""

    log_factor: float
    variance: float
    inliers: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class AffineFit:
    """(2,) [t, p] of 1/depth = t + p x in 1/m, its (2, 2) covariance, and which anchors agree, (N,) bool."""

    theta: NDArray[np.float64]
    covariance: NDArray[np.float64]
    inliers: NDArray[np.bool_]


def grid_cells(
    u: NDArray[np.float32], v: NDArray[np.float32], shape_hw: tuple[int, int]
) -> NDArray[np.int64]:
    """The cell of each pixel, (N,) int64, in a grid of 8 x 6 over the image."""
    height, width = shape_hw
    column = np.clip((u + 0.5) * (_CELLS_WH[0] / width), 0, _CELLS_WH[0] - 1).astype(np.int64)
    row = np.clip((v + 0.5) * (_CELLS_WH[1] / height), 0, _CELLS_WH[1] - 1).astype(np.int64)
    cell: NDArray[np.int64] = row * _CELLS_WH[0] + column
    return cell


def fit_factor(pairs: Correspondences, expected: tuple[float, float] | None = None) -> FactorFit:
    """The factor of a network's depth: IRLS with Tukey's weights in log depth (Beaton and Tukey 1974).

    It starts from the anchor that most others agree with (RANSAC), by the likelihood that belongs to Tukey's
    weights and by what is expected: the median would be drawn to one side by wrong anchors, and the weights
    find the maximum next to where they start. From there on only the anchors count.

    Args:
        pairs: With at least one anchor, all values positive.
        expected: log factor and its variance before this frame, if there was one.
    """
    residual = np.log(pairs.depth / pairs.value)
    width = np.hypot(NETWORK_SIGMA, pairs.sigma)
    starts = np.sort(residual)[:: max(1, residual.size // _STARTS)]
    likely = (_TUKEY**2 / 6 * _tukey((residual - starts[:, None]) / width) ** 1.5).sum(axis=1)
    if expected is not None:
        likely -= (starts - expected[0]) ** 2 / (2 * (expected[1] + NETWORK_SIGMA**2))
    center = float(starts[np.argmax(likely)])
    for _ in range(_ITERATIONS):
        weight = _tukey((residual - center) / width) / width**2
        center = float(weight @ residual / weight.sum())
    tukey = _tukey((residual - center) / width)
    variance = _spread((residual - center) / width, tukey) / _independent(tukey / width**2, pairs.cell)
    return FactorFit(center, variance, tukey > 0.5)


def fit_affine(x: NDArray[np.float64], pairs: Correspondences) -> AffineFit:
    """Scale and shift of relative inverse depth (Ranftl et al. 2020): RANSAC over pairs, then IRLS.

    Residuals are those of log depth, as for a factor.

    Args:
        x: (N,) the network's predictions, shifted and scaled to a spread of about 1.
        pairs: The same anchors.

    Raises:
        Unobservable: Fewer than two anchors, all at one value, or no pair that makes near things near.
    """
    theta = _best_pair(x, pairs)
    design = np.stack([np.ones_like(x), x], axis=1)
    width = np.hypot(NETWORK_SIGMA, pairs.sigma)
    for _ in range(_ITERATIONS):
        weight = _tukey(_log_residual(design @ theta, pairs.depth) / width) * (pairs.depth / width) ** 2
        normal = design.T @ (design * weight[:, None])
        if np.linalg.cond(normal) > 1e10:
            raise Unobservable(
                "the anchors have nearly the same depth, so scale and shift cannot be determined"
            )
        theta = np.linalg.solve(normal, design.T @ (weight / pairs.depth))
    residual = _log_residual(design @ theta, pairs.depth) / width
    tukey = _tukey(residual)
    weight = tukey * (pairs.depth / width) ** 2
    normal = design.T @ (design * weight[:, None])
    # anchors of one patch are one: the information shrinks as their number does
    patches = _independent(tukey, pairs.cell) / max(tukey.sum(), 1e-9)
    if theta[1] <= 0 or np.linalg.cond(normal) > 1e10:
        raise Unobservable("the depth of the anchors does not decrease as the output of the model grows")
    return AffineFit(theta, np.linalg.inv(normal * patches) * _spread(residual, tukey), tukey > 0.5)


def _best_pair(x: NDArray[np.float64], pairs: Correspondences) -> NDArray[np.float64]:
    """[t, p] through the two anchors that most others agree with, by the sum of Tukey's weights."""
    if x.size < 2:
        raise Unobservable(f"scale and shift need two anchors, got {x.size}")
    i, j = np.random.default_rng(_SEED).integers(0, x.size, (2, _PAIRS))
    if x.size * (x.size - 1) // 2 <= _PAIRS:
        i, j = np.triu_indices(x.size, 1)
    y = 1 / pairs.depth
    with np.errstate(divide="ignore", invalid="ignore"):
        p = (y[i] - y[j]) / (x[i] - x[j])
    good = np.isfinite(p) & (p > 0)
    if not good.any():
        raise Unobservable("the anchors have nearly the same depth, so scale and shift cannot be determined")
    p, t = p[good], (y[i] - p * x[i])[good]
    residual = _log_residual(t[:, None] + p[:, None] * x, pairs.depth)
    agreed = _tukey(residual / np.hypot(NETWORK_SIGMA, pairs.sigma)).sum(axis=1)
    best = int(np.argmax(agreed))
    return np.array([t[best], p[best]])


def _log_residual(inverse: NDArray[np.float64], depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(known depth / fitted depth); -Inf where the fitted inverse depth is none."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(inverse, 0) * depth)


def _tukey(residual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tukey's biweight of residuals in standard deviations, 0 to 1."""
    inside = 1 - np.minimum(np.abs(residual) / _TUKEY, 1) ** 2
    return np.asarray(inside**2)


def _spread(residual: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Variance of the residuals in units of the expected one, drawn towards 1 when they are few."""
    inside = weight > 0
    total = float(weight[inside] @ residual[inside] ** 2)
    return (_PRIOR_ANCHORS + total) / (_PRIOR_ANCHORS + float(weight.sum()))


def _independent(weight: NDArray[np.float64], cell: NDArray[np.int64]) -> float:
    """The sum of weights, of each cell only the greatest."""
    greatest = np.zeros(_CELLS_WH[0] * _CELLS_WH[1])
    np.maximum.at(greatest, cell, weight)
    return max(float(greatest.sum()), 1e-9)
