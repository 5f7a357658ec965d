"""Points that stand alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.filters.cells import Cells, sort_into_cells
from recon3d_ros.geometry import UnorganizedCloud

_PAIRS_AT_ONCE = 1 << 20
_RING = 2  # cells of radius / sqrt(3): a ball around a point touches at most the second ring


def drop_outliers(cloud: UnorganizedCloud, radius_m: float, neighbours: int) -> UnorganizedCloud:
    """Drop points with too few others around (exact, not by cells).

    Two points in one cube of edge radius / sqrt(3) are never farther apart than the radius, which decides for
    most points at once; the others are compared with what lies in the cubes around.

    Args:
        cloud: Points.
        radius_m: How near another point has to be, this far included.
        neighbours: How many others have to be so near.

    Raises:
        ConfigError: The radius is so small that cubes of it overflow.
    """
    if not len(cloud):
        return cloud
    xyz = np.ascontiguousarray(cloud.xyz)  # np.take, far faster than indexing, would copy it every time
    cells = sort_into_cells(xyz, radius_m / math.sqrt(3), margin=_RING)
    count = np.diff(cells.starts, append=len(cloud))
    crowded = np.repeat(count > neighbours, count)
    keep = np.zeros(len(cloud), np.bool_)
    keep[cells.order] = crowded
    doubtful = cells.order[~crowded]
    for some in np.array_split(doubtful, 1 + len(doubtful) // 16384):
        keep[some] = _neighbours(xyz, cells, some, radius_m, neighbours) >= neighbours
    return UnorganizedCloud(cloud.data[keep], cloud.fields, cloud.frame_id)


def _neighbours(
    xyz: NDArray[np.float32], cells: Cells, points: NDArray[np.int64], radius_m: float, enough: int
) -> NDArray[np.int64]:
    """Count the others within the radius of each of some points, until there are enough."""
    found = np.full(len(points), -1)  # each point finds itself
    ends = np.append(cells.starts[1:], len(xyz))
    rings = sorted(
        itertools.product(range(-_RING, _RING + 1), repeat=2), key=lambda at: at[0] ** 2 + at[1] ** 2
    )
    open_ = np.arange(len(points))
    for x, y in rings:  # a column of five cells in z has neighbouring keys
        keys = cells.key_of[points[open_]] + x * cells.strides[0] + y * cells.strides[1]
        low = np.searchsorted(cells.keys, keys - _RING)
        high = np.searchsorted(cells.keys, keys + _RING, side="right")
        some = np.flatnonzero(high > low)
        begin = cells.starts[low[some]]
        length = ends[high[some] - 1] - begin
        found[open_[some]] += _within(xyz, cells.order, points[open_[some]], begin, length, radius_m)
        open_ = open_[found[open_] < enough]
    return found


def _within(
    xyz: NDArray[np.float32],
    order: NDArray[np.int64],
    points: NDArray[np.int64],
    begin: NDArray[np.int64],
    length: NDArray[np.int64],
    radius_m: float,
) -> NDArray[np.int64]:
    """Count those of `order[begin : begin + length]` that are near each point."""
    near = np.zeros(len(points), np.int64)
    if not len(points):
        return near
    blocks = np.flatnonzero(np.diff(np.cumsum(length) // _PAIRS_AT_ONCE, prepend=0))
    for part in np.split(np.arange(len(points)), blocks):
        who = np.repeat(part, length[part])
        offset = np.arange(len(who)) - np.repeat(np.cumsum(length[part]) - length[part], length[part])
        other = order[begin[who] + offset]
        apart = np.take(xyz, points[who], axis=0).astype(np.float64) - np.take(xyz, other, axis=0)
        close = np.einsum("ij,ij->i", apart, apart) <= radius_m**2
        near += np.bincount(who[close], minlength=len(points))
    return near
