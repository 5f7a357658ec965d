"""Matching a pair from its right view, too: what both directions say is seen by both."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry.frame import Frame, row_numbers
from recon3d_ros.geometry.rig import StereoRig

Pixel = TypeVar("Pixel", bound=np.generic)


def exchanged(pair: Frame) -> Frame:
    """The pair in a mirror, where right is left: so a stereo network matches from the right view.

    Args:
        pair: Rectified, side by side.

    Raises:
        ImageError: It has no right image.
    """
    if pair.right is None or pair.rig is None:
        raise ImageError("expected a pair, got one image: give the right one, too")
    left, right = pair.rig.left, pair.rig.right
    rig = StereoRig.simple(
        right.width,
        right.height,
        right.fx,
        pair.rig.baseline_m,
        right.width - 1 - right.cx,
        right.cy,
        left.cx - right.cx,
        right.fy,
    )
    return Frame(
        stamp_ns=pair.stamp_ns,
        image=_mirrored(pair.right),
        camera=rig.left,
        right=_mirrored(pair.image),
        rig=rig,
        name=pair.name,
        frame_id=pair.frame_id,
        valid=None if pair.right_valid is None else _mirrored(pair.right_valid),
        right_valid=None if pair.valid is None else _mirrored(pair.valid),
    )


def agreement(
    disparity: NDArray[np.float32], exchanged_disparity: NDArray[np.float32], most_px: float
) -> NDArray[np.bool_]:
    """Where matching from the left and from the right view gives the same.

    Args:
        disparity: (H, W) px of the left view, NaN = unknown.
        exchanged_disparity: (H, W) px of the `exchanged` pair.
        most_px: Largest difference.

    Returns:
        (H, W) bool; False where either is unknown or the match is outside of the right view.
    """
    height, width = disparity.shape
    u = np.arange(width, dtype=np.float32) - np.nan_to_num(disparity, nan=np.float32(2 * width))
    there = cv2.remap(
        _mirrored(exchanged_disparity), u, row_numbers(height, width), cv2.INTER_NEAREST, borderValue=np.nan
    )
    with np.errstate(invalid="ignore"):
        same: NDArray[np.bool_] = np.abs(there - disparity) <= most_px
    return same


def seen_from_right(disparity: NDArray[np.float32]) -> NDArray[np.float32]:
    """The disparity of what the right camera sees: of the pixels that meet in one, the nearest.

    Args:
        disparity: (H, W) px of the left image, NaN = unknown.

    Returns:
        (H, W) px of the right image, -Inf where no left pixel lands.
    """
    height, width = disparity.shape
    rows, columns = np.nonzero(np.isfinite(disparity))
    values = disparity[rows, columns]
    meets = np.rint(columns.astype(np.float32) - values).astype(np.intp)
    inside = (meets >= 0) & (meets < width)
    found = np.full((height, width), -np.inf, np.float32)
    np.maximum.at(found, (rows[inside], meets[inside]), values[inside])
    return found


def _mirrored(plane: NDArray[Pixel]) -> NDArray[Pixel]:
    return np.ascontiguousarray(plane[:, ::-1])
