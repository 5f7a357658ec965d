"""The same points in another image: tracked (Lucas-Kanade), or found again by descriptors (SIFT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.odometry.alignment import Array, Points
from recon3d_ros.odometry.sampling import DepthSampler

_WINDOW = (21, 21)
_LEVELS = 3
_BACK_PX = 1.0  # a track that does not come back to where it began is wrong
_OUTSIDE_PX = 50  # tracks begin no farther than this outside of the image
_DESCRIBED_PX = 400  # side of a square of as many pixels as are searched for features
_RATIO = 0.8  # Lowe, Distinctive Image Features from Scale-Invariant Keypoints, 2004
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02)


def follow(
    image: NDArray[np.uint8], uv: Array, into: NDArray[np.uint8], start: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Follow points of an image into another one and back.

    Args:
        image: (H, W) uint8.
        uv: (N, 2) px in `image`.
        into: (H, W) uint8.
        start: (N, 2) px where they are expected in `into`; NaN = where they are in `image`.

    Returns:
        (N, 2) px in `into`, and (N,) bool which came back.
    """
    if not len(uv):
        return np.empty((0, 2)), np.empty(0, bool)
    height, width = into.shape
    with np.errstate(invalid="ignore"):
        inside = (start > -_OUTSIDE_PX) & (start < (width + _OUTSIDE_PX, height + _OUTSIDE_PX))
    usable = np.all(inside, axis=1)
    here = uv.astype(np.float32).reshape(-1, 1, 2)
    there = np.where(usable[:, None], start, uv).astype(np.float32).reshape(-1, 1, 2)
    there, ahead, _ = _lucas_kanade(image, into, here, there)
    back, behind, _ = _lucas_kanade(into, image, there, here.copy())
    good = (ahead.ravel() == 1) & (behind.ravel() == 1)
    good &= np.abs(back - here).reshape(-1, 2).max(1) < _BACK_PX
    found = there.reshape(-1, 2).astype(np.float64)
    good &= ((found >= 0) & (found <= (width - 1, height - 1))).all(1)
    return found, good


def _lucas_kanade(*images_and_points: NDArray[Any]) -> Any:
    return cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]
        *images_and_points,
        winSize=_WINDOW,
        maxLevel=_LEVELS,
        criteria=_CRITERIA,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )


@dataclass(frozen=True, eq=False)
class Features:
    """Descriptors of points of one view.

    Attributes:
        points: Their positions and depths; the depth may be unknown.
        descriptors: (N, 128) uint8 SIFT.
    """

    points: Points
    descriptors: NDArray[np.uint8]


def describe(
    image: NDArray[np.uint8], sampler: DepthSampler, most: int, seen: NDArray[np.bool_] | None
) -> Features:
    """SIFT features of an (H, W) uint8 image, with the depth of its view; at half the size if it is large."""
    scale = min(1.0, max(_DESCRIBED_PX / np.sqrt(image.size), 0.5))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    mask = None
    if seen is not None:
        mask = cv2.resize(seen.astype(np.uint8), small.shape[::-1], interpolation=cv2.INTER_NEAREST)
    detector = cv2.SIFT_create(nfeatures=most)  # type: ignore[attr-defined]
    keypoints, descriptors = detector.detectAndCompute(small, mask)
    if descriptors is None:
        return Features(sampler.at(np.empty((0, 2))), np.empty((0, 128), np.uint8))
    uv = np.array([keypoint.pt for keypoint in keypoints], np.float64)
    uv = (uv + 0.5) * np.divide(image.shape[::-1], small.shape[::-1]) - 0.5
    return Features(sampler.at(uv), descriptors.astype(np.uint8))


def match(source: Features, target: Features) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of mutual nearest neighbours, clearly nearer than the second; sources of known depth."""
    with_depth = np.flatnonzero(np.isfinite(source.points.q))
    nothing = np.empty(0, np.intp)
    if len(with_depth) < 2 or len(target.descriptors) < 2:
        return nothing, nothing
    # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b; exact in float32, as all are whole numbers below 2^24
    a, b = source.descriptors[with_depth].astype(np.float32), target.descriptors.astype(np.float32)
    square = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
    nearest = square.argmin(1)
    rows = np.arange(len(a))
    second = np.partition(square, 1, axis=1)[:, 1]
    good = (square[rows, nearest] < _RATIO**2 * second) & (square.argmin(0)[nearest] == rows)
    return with_depth[good], nearest[good]
