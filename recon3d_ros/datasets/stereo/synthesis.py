"""A right view for a photograph with depth: smooth the depth, warp, and know what the right camera misses.

The idea is that of Watson et al., Learning Stereo from Single Images, ECCV 2020; its faults are dealt with
here: terraces of quantised depth, blurred edges, whole-pixel shifts.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

# Neighbours that far apart in depth belong to different surfaces: absolute, in quanta, and relative.
_EDGE_QUANTA, _EDGE_SHARE = 3.0, 0.04
# Depth sensors are noisier with distance (structured light: about 1.5 mm at 1 m, with the square).
_NOISE_PER_M = 0.002
# A ramp is taken for a blurred edge when depth differs by that share within a few pixels.
_RAMP_SHARE = 0.15


class RightView(NamedTuple):
    """What the right camera sees.

    Attributes:
        image: (H, W, C) uint8; undefined where `hole`.
        hole: (H, W) bool: no pixel of the left image lies there.
        seen: (H, W) bool on the grid of the left image: the right camera sees that point.
    """

    image: NDArray[np.uint8]
    hole: NDArray[np.bool_]
    seen: NDArray[np.bool_]


def smooth_depth(depth: Plane, quantum_m: float) -> Plane:
    """Turn terraces into slopes, between edges and within the rounding (and noise) of each value.

    Every value moves towards the mean of its two neighbours at equal distances left and right, above and
    below, first far ones and then near ones, if no edge lies between.

    Args:
        depth: (H, W) m, positive, in steps of `quantum_m`.
        quantum_m: The step.

    Returns:
        (H, W) m, nowhere further from `depth` than half a step and the sensor's noise.
    """
    smooth = depth.astype(np.float32)
    reach = np.float32(0.5 * quantum_m) + np.float32(_NOISE_PER_M) * depth**2
    low, high = depth - reach, depth + reach
    walls = [_walls(depth, axis, quantum_m) for axis in (0, 1)]
    for distance in (48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1):
        for _ in range(3):
            for axis in (0, 1):
                _relax(smooth, walls[axis], axis, distance)
            np.clip(smooth, low, high, out=smooth)
    return smooth


def sharpen_edges(depth: Plane) -> Plane:
    """Give pixels on the ramp of a blurred edge to the nearer or the farther side, whichever is closer.

    Args:
        depth: (H, W) m, positive.

    Returns:
        (H, W) m.
    """
    kernel = np.ones((5, 5), np.uint8)
    for _ in range(2):
        near, far = cv2.erode(depth, kernel), cv2.dilate(depth, kernel)
        snapped = np.where(depth - near < far - depth, near, far)
        depth = np.where(far - near > _RAMP_SHARE * near, snapped, depth).astype(np.float32)
    return depth


def right_view(image: NDArray[np.uint8], disparity: Plane) -> RightView:
    """Warp a left image into the right camera, each row as a chain of straight pieces, the nearest on top.

    Neighbours in a row span a piece that is drawn with colours between theirs, so positions are exact to a
    fraction of a pixel; where the chain is torn apart, each end keeps half a pixel of its own.

    Args:
        image: (H, W, C).
        disparity: (H, W) px, of that image.
    """
    height, width = disparity.shape
    at = np.arange(width, dtype=np.float32) - disparity  # (H, W) column in the right image
    start, end = at[:, :-1], at[:, 1:]
    torn = (end - start > 2.0) | (end <= start)
    half = np.float32(0.5)
    # Pieces as (from, to, whether, first column offset of the two colours)
    pieces = [
        (start, end, ~torn, 0, 1),
        (start, start + half, torn, 0, 0),
        (end - half, end, torn, 1, 1),
        (at[:, :1] - half, at[:, :1], np.ones((height, 1), bool), 0, 0),
        (at[:, -1:], at[:, -1:] + half, np.ones((height, 1), bool), width - 1, width - 1),
    ]
    depth_order = np.full((height, width), -np.inf, np.float32)
    source = np.zeros((height, width), np.float32)  # left column, with its fraction
    for first, last, wanted, offset, other in pieces:
        _draw(depth_order, source, disparity, first, last, wanted, offset, other)
    hole = ~np.isfinite(depth_order)
    rows = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], source.shape)
    warped = cv2.remap(image, source, np.ascontiguousarray(rows), cv2.INTER_LINEAR)
    return RightView(warped.reshape(image.shape), hole, _seen(at, disparity, depth_order))  # type: ignore[arg-type]


def _draw(
    nearest: Plane,
    source: Plane,
    disparity: Plane,
    first: Plane,
    last: Plane,
    wanted: NDArray[np.bool_],
    offset: int,
    other: int,
) -> None:
    """Draw pieces that begin at column `first` and end at `last` of the right image into both planes."""
    width = nearest.shape[1]
    rows, columns = np.nonzero(wanted)
    begin, end = first[rows, columns], last[rows, columns]
    left, right = columns + offset, columns + other
    for step in range(3):  # a piece is at most two pixels long
        target = np.ceil(begin) + step
        good = (target <= end) & (target >= 0) & (target < width)
        part = (target - begin)[good] / np.maximum(end - begin, 1e-6)[good]
        r, t = rows[good], target[good].astype(np.int64)
        a, b = left[good], right[good]
        value = disparity[r, a] * (1 - part) + disparity[r, b] * part
        order = np.argsort(value, kind="stable")  # of several assignments to one pixel the last one stays
        r, t, value = r[order], t[order], value[order].astype(np.float32)
        column = (a * (1 - part) + b * part)[order].astype(np.float32)
        front = value > nearest[r, t]
        nearest[r[front], t[front]] = value[front]
        source[r[front], t[front]] = column[front]


def _seen(at: Plane, disparity: Plane, nearest: Plane) -> NDArray[np.bool_]:
    """Whether nothing nearer by more than a pixel of disparity was drawn where a left pixel lands."""
    height, width = disparity.shape
    inside = (at >= 0) & (at <= width - 1)
    column = np.where(inside, at, 0)
    low = np.floor(column).astype(np.int64)
    high = np.minimum(low + 1, width - 1)
    rows = np.arange(height)[:, None]
    front = np.minimum(nearest[rows, low], nearest[rows, high])
    seen: NDArray[np.bool_] = inside & (front <= disparity + 1.0)
    return seen


def _walls(depth: Plane, axis: int, quantum_m: float) -> NDArray[np.int32]:
    """How many edges lie before each pixel along an axis."""
    step = np.abs(np.diff(depth, axis=axis, prepend=np.take(depth, [0], axis=axis)))
    edge = step > np.maximum(_EDGE_QUANTA * quantum_m, _EDGE_SHARE * depth)
    return np.cumsum(edge, axis=axis, dtype=np.int32)


def _relax(values: Plane, walls: NDArray[np.int32], axis: int, distance: int) -> None:
    """Move each value to the mean of itself and of its two neighbours at a distance, within the walls."""
    if values.shape[axis] <= 2 * distance:
        return
    view, wall = (values, walls) if axis else (values.T, walls.T)
    before, middle, after = view[:, : -2 * distance], view[:, distance:-distance], view[:, 2 * distance :]
    free = wall[:, : -2 * distance] == wall[:, 2 * distance :]
    middle += np.where(free, (before + after - 2 * middle) * np.float32(0.25), 0)
