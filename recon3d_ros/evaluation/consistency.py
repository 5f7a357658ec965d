"""Left-right consistency: what can be said of pairs without truth."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import Frame, StereoRig

Pixel = TypeVar("Pixel", bound=np.generic)
THRESHOLDS_PX = (1, 3)


def mirrored(frame: Frame) -> Frame:
    """The pair as a mirror shows it: the right image is the left one there, and disparities are the same.

    Args:
        frame: A pair.
    """
    frame = frame.side_by_side
    assert frame.right is not None and frame.rig is not None
    left, right = frame.rig.left.folded(), frame.rig.right.folded()
    rig = StereoRig.simple(
        left.width,
        left.height,
        frame.rig.fx,
        frame.rig.baseline_m,
        cx=left.width - 1 - right.cx,
        cy=right.cy,
        doffs_px=frame.rig.doffs_px,
    )
    seen, right_seen = (
        None if plane is None else _flipped(plane) for plane in (frame.right_valid, frame.valid)
    )
    images = _flipped(frame.right), _flipped(frame.image)
    return Frame(
        frame.stamp_ns, images[0], rig.left, images[1], rig, frame.name, valid=seen, right_valid=right_seen
    )


def _flipped(plane: NDArray[Pixel]) -> NDArray[Pixel]:
    return np.ascontiguousarray(plane[:, ::-1])


def left_right_gap(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the right image's disparity is from the left's, at the pixel the left one points to.

    Args:
        left: (H, W) px, disparity of the left image.
        right: (H, W) px, disparity of the right image.

    Returns:
        (H, W) px on the grid of the left image, linear between columns of the right one; NaN where either
        has no estimate, or the left one points outside the right image.
    """
    height, width = left.shape
    x = np.arange(width, dtype=np.float32) - left
    inside = (x >= 0) & (x <= width - 1)
    x = np.where(inside, x, 0)
    low = np.minimum(x.astype(np.int64), max(width - 2, 0))
    part = x - low
    rows = np.arange(height)[:, None]
    there = right[rows, low] * (1 - part) + right[rows, np.minimum(low + 1, width - 1)] * part
    return np.where(inside, np.abs(left - there), np.float32(np.nan)).astype(np.float32)


def consistency_metrics(left: NDArray[np.float32], right: NDArray[np.float32]) -> dict[str, float]:
    """`consistent_px_<t>`: share of ALL pixels of the left image whose gap is at most t px.

    What has no estimate, is hidden from the right camera, or points outside its image is not consistent.
    """
    gap = left_right_gap(left, right)
    return {f"consistent_px_{t}": float(np.mean(gap <= t)) for t in THRESHOLDS_PX}
