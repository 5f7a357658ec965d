"""Moving clouds from one coordinate frame into another."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry.cloud import NORMAL, XYZ, OrganizedCloud, UnorganizedCloud

_BLOCK_POINTS = 1 << 15  # of scratch at a time, so that it stays in the processor's cache

C = TypeVar("C", OrganizedCloud, UnorganizedCloud)


def transform_cloud(
    cloud: C, t_target_source: NDArray[np.float64], frame_id: str, into: NDArray[np.float32] | None = None
) -> C:
    """Return the cloud in another frame; the one that is given stays as it is.

    Points are rotated and shifted, normals rotated; all other fields keep their bits, and points of NaN stay
    NaN. OpenCV moves the three channels out of the packed points and back: as fast as copying them, where
    NumPy's strided arithmetic takes three to four times as long.

    Args:
        cloud: The points in the source frame.
        t_target_source: (4, 4) float64, rotation and translation in m (REP 103).
        frame_id: Name of the target frame.
        into: float32 in C order of the shape of `cloud.data` to write into, e.g. a view of a message's
            buffer; not the memory of `cloud` itself. By default a new array.

    Raises:
        ImageError: `into` has another shape, or is read-only.
    """
    moved = replace(cloud, data=np.empty_like(cloud.data) if into is None else into, frame_id=frame_id)
    if moved.data.shape != cloud.data.shape or not moved.data.flags.writeable:
        raise ImageError(
            f"expected a writable target of {cloud.data.shape}, got {moved.data.shape}, "
            f"writeable={moved.data.flags.writeable}: make one of that size"
        )
    # One point a row: OpenCV's channels are our fields. Both are views, since clouds are contiguous.
    source, target = (each.data.reshape(-1, 1, len(cloud.fields)) for each in (cloud, moved))
    transforms = [(XYZ, t_target_source[:3].astype(np.float32))]
    if NORMAL[0] in cloud.fields:
        transforms.append((NORMAL, t_target_source[:3, :3].astype(np.float32)))
    for start in range(0, len(source), _BLOCK_POINTS):
        block = target[start : start + _BLOCK_POINTS]
        block[:] = source[start : start + _BLOCK_POINTS]
        for names, matrix in transforms:
            _transform(block, [cloud.fields.index(name) for name in names], matrix)
    return moved


def _transform(block: NDArray[np.float32], channels: list[int], matrix: NDArray[np.float32]) -> None:
    """Apply a (3, 3) or (3, 4) matrix to three channels of (N, 1, F) points in place."""
    vectors = np.empty((len(block), 1, 3), np.float32)
    cv2.mixChannels([block], [vectors], [n for i, c in enumerate(channels) for n in (c, i)])
    moved = cv2.transform(vectors, matrix)
    cv2.mixChannels([moved], [block], [n for i, c in enumerate(channels) for n in (i, c)])
