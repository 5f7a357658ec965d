"""Mono depth where motion shows none: fitted to the depth of motion, and marked as less certain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import DepthMap
from recon3d_ros.scale.fits import Correspondences, Unobservable, fit_affine, grid_cells

_SURE = 0.5  # confidence of the depth of motion that is fitted to
_STRIDE_PX = 4  # of the pixels that are fitted
_LEAST_PIXELS = 200
_LEAST_CELLS = 8  # of 48 that the image is divided into
_LEAST_INLIERS = 0.7  # share of the pixels that agree with the fit
_MOST_SPREAD = 0.15  # median relative error of the fit
_BEYOND = 0.5  # of the range of inverse depth that was fitted, to both sides
_MOST_CONFIDENCE = 0.45  # of what was fitted: below what others call sure
Plane = NDArray[np.float32]


def filled(motion: DepthMap, mono: DepthMap) -> tuple[DepthMap, str]:
    """Fill the unknown pixels of a depth map with mono depth whose inverse is scaled and shifted to fit.

    Args:
        motion: With confidence.
        mono: On the same grid: metric, or relative inverse depth.

    Returns:
        The map, and why it was not filled; empty when it was. What was filled has a confidence of 0.45 at
        most and the relative error of the fit as its sigma. What lies far outside of the range of depths that
        both know stays unknown.
    """
    value = mono.relative_depth
    if value is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.divide(1, mono.depth, dtype=np.float32)
    pairs = _pairs(motion, value)
    if len(pairs.depth) < _LEAST_PIXELS or len(np.unique(pairs.cell)) < _LEAST_CELLS:
        return motion, "too few pixels have depth from motion"
    middle, spread = float(np.median(pairs.value)), float(np.ptp(pairs.value)) or 1.0
    try:
        fit = fit_affine((pairs.value - middle) / spread, pairs)
    except Unobservable as exc:
        return motion, str(exc)
    inverse = (fit.theta[0] + fit.theta[1] * (value - middle) / spread).astype(np.float32)
    known = fit.theta[0] + fit.theta[1] * (pairs.value - middle) / spread
    error = np.abs(known * pairs.depth - 1)
    relative = float(np.median(error))
    if fit.inliers.mean() < _LEAST_INLIERS or relative > _MOST_SPREAD:
        return motion, f"mono depth does not fit: {relative:.0%} off, {fit.inliers.mean():.0%} agree"
    low, high = np.percentile(1 / pairs.depth, (1, 99))
    low, high = low * (1 - _BEYOND), high * (1 + _BEYOND)
    return _joined(motion, mono, inverse, (float(low), float(high)), float(np.percentile(error, 68))), ""


def _pairs(motion: DepthMap, value: Plane) -> Correspondences:
    """Pixels that both know."""
    part = (slice(_STRIDE_PX // 2, None, _STRIDE_PX),) * 2
    assert motion.confidence is not None
    sure = motion.valid[part] & (motion.confidence[part] > _SURE) & np.isfinite(value[part])
    v, u = np.nonzero(sure)
    first = _STRIDE_PX // 2
    depth = motion.depth[part][v, u].astype(np.float64)
    sigma = np.zeros_like(depth)
    if motion.sigma_m is not None:
        sigma = np.nan_to_num(motion.sigma_m[part][v, u].astype(np.float64) / depth, nan=1.0, posinf=1.0)
    rows, columns = (place.astype(np.float32) * _STRIDE_PX + first for place in (v, u))
    cell = grid_cells(columns, rows, motion.depth.shape)
    return Correspondences(
        value[part][v, u].astype(np.float64), depth, sigma, cell, np.zeros(len(depth), np.int64)
    )


def _joined(
    motion: DepthMap, mono: DepthMap, inverse: Plane, limits: tuple[float, float], relative: float
) -> DepthMap:
    assert motion.confidence is not None
    with np.errstate(invalid="ignore"):
        new = np.isnan(motion.depth) & (inverse > limits[0]) & (inverse < limits[1])
    depth, confidence = motion.depth.copy(), motion.confidence.copy()
    depth[new] = 1 / inverse[new]
    sure = 1.0 if mono.confidence is None else mono.confidence[new]
    confidence[new] = np.minimum(_MOST_CONFIDENCE, sure)
    sigma = motion.sigma_m
    if sigma is not None:
        sigma = sigma.copy()
        sigma[new] = relative * depth[new]
    return replace(motion, depth=depth, confidence=confidence, sigma_m=sigma)
