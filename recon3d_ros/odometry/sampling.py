"""Corners of an image with their depth, and the depth at positions between pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import DepthMap, StereoRig
from recon3d_ros.odometry.alignment import Array, Points

_DEPTH_SIGMA = 0.02  # relative, of depth without a sigma of its own
_DISPARITY_SIGMA_PX = 0.3  # at least; the network's own sigma is that of most pixels, not of the worst
_EDGE = 0.08  # relative change of depth within the window of a corner: two surfaces, not one


class DepthSampler:
    """Inverse depth of a view at any position, with its standard deviation.

    Args:
        depth_map: Depth with sigma or confidence where the model has them.
        rig: Of a stereo pair; its baseline bounds from below how well depth is known. None for other sources.
        min_confidence: What is less certain is unknown.
    """

    def __init__(self, depth_map: DepthMap, rig: StereoRig | None, min_confidence: float) -> None:
        depth = np.where(depth_map.valid, depth_map.depth, np.float32(np.nan))
        if depth_map.confidence is not None:
            depth = np.where(depth_map.confidence >= min_confidence, depth, np.float32(np.nan))
        self._depth = depth
        self._sigma_m = depth_map.sigma_m
        self._least = 0.0 if rig is None else _DISPARITY_SIGMA_PX / (rig.fx * rig.baseline_m)

    def at(self, uv: Array) -> Points:
        """The points at (N, 2) px; unknown outside the image, on edges and where depth is not trusted."""
        height, width = self._depth.shape
        column, row = (np.clip(np.rint(c), 2, m - 3).astype(int) for c, m in zip(uv.T, (width, height)))
        inside = (uv > 1.5).all(1) & (uv < (width - 2.5, height - 2.5)).all(1)
        steps = [(0, 0), (-2, 0), (2, 0), (0, -2), (0, 2)]
        around = np.stack([self._depth[row + dv, column + du] for dv, du in steps])
        z = around[0].astype(float)
        with np.errstate(invalid="ignore"):
            smooth = (np.abs(around - around[0]) <= _EDGE * around[0]).all(0)
        q = np.where(inside & smooth & (z > 0), 1 / np.where(z > 0, z, 1.0), np.nan)
        sigma = _DEPTH_SIGMA * z if self._sigma_m is None else self._sigma_m[row, column].astype(float)
        sigma_q = np.maximum(sigma * q**2, self._least)
        known = np.isfinite(q) & np.isfinite(sigma_q) & (sigma_q < q)
        return Points(uv, np.where(known, q, np.nan), np.where(known, sigma_q, np.inf))


def corners(
    image: NDArray[np.uint8], sampler: DepthSampler, most: int, seen: NDArray[np.bool_] | None
) -> Points:
    """Corners of known depth, spread over the image.

    Args:
        image: (H, W) uint8.
        sampler: The depth of the same view.
        most: At most so many.
        seen: (H, W) bool, where the image has content; None = everywhere.
    """
    points = sampler.at(corner_pixels(image, most, seen, found=2 * most))
    return points[np.flatnonzero(np.isfinite(points.q))[:most]]


def corner_pixels(
    image: NDArray[np.uint8], most: int, seen: NDArray[np.bool_] | None, found: int | None = None
) -> Array:
    """Corners of an image, (N, 2) px, the clearest ones first (Shi and Tomasi, CVPR 1994).

    Args:
        image: (H, W) uint8.
        most: As far apart as so many would lie all over the image.
        seen: (H, W) bool, where the image has content; None = everywhere.
        found: At most so many; None = `most`.
    """
    height, width = image.shape
    apart = max(4, int(np.sqrt(height * width / most) * 0.6))
    mask = None
    if seen is not None:
        mask = cv2.erode(seen.astype(np.uint8), np.ones((15, 15), np.uint8), borderValue=1)
    corners = cv2.goodFeaturesToTrack(image, found or most, 0.005, apart, mask=mask, blockSize=5)
    return np.empty((0, 2)) if corners is None else corners.reshape(-1, 2).astype(np.float64)
