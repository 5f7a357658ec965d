"""Points sorted into the cells of a cubic grid, by one sort of whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ConfigError

_KEY_BITS = 63
_LEAST_INDEX_BITS = 11  # so that keys have at most 52 bits


@dataclass(frozen=True, eq=False)
class Cells:
    """The occupied cells of a grid.

    Attributes:
        order: (N,) int64, the indices of the points, cell by cell.
        starts: (M,) int64, where in `order` each cell begins.
        keys: (M,) int64, ascending; cells that are neighbours in z have neighbouring keys.
        strides: Key distance of neighbours in x and in y.
        key_of: (N,) int64, the key of each point.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    keys: NDArray[np.int64]
    strides: tuple[int, int]
    key_of: NDArray[np.int64]


def sort_into_cells(xyz: NDArray[np.float32], cell_m: float, margin: int = 0) -> Cells:
    """Sort points into cubes that are aligned with the origin.

    Args:
        xyz: (N, 3) m, finite, N > 0.
        cell_m: Edge of the cubes.
        margin: So many empty cells are left around all points, so that keys of neighbours never wrap.

    Raises:
        ConfigError: The cells are so small that their number overflows.
    """
    key = np.zeros(len(xyz))  # whole numbers, exact in float64 up to 2**53
    cell = np.empty(len(xyz))
    spans = []
    for axis in range(3):
        np.divide(xyz[:, axis], cell_m, out=cell, dtype=np.float64)
        np.floor(cell, out=cell)
        low = cell.min() - margin
        spans.append(int(cell.max() - low) + 1 + margin)
        cell -= low
        key *= spans[-1]
        key += cell
    index_bits = max(_LEAST_INDEX_BITS, (len(xyz) - 1).bit_length())
    if spans[0] * spans[1] * spans[2] >= 1 << (_KEY_BITS - index_bits):
        raise ConfigError(
            f"expected voxel_m and outlier_radius_m of more than {cell_m:g} m for points over "
            f"{max(spans) * cell_m:.0f} m, got more cells than can be counted: enlarge them"
        )
    strides = (spans[1] * spans[2], spans[2])
    key_of = key.astype(np.int64)
    # The index rides in the lower bits: sorting numbers is several times as fast as sorting indices by them.
    ridden = key_of << index_bits
    ridden |= np.arange(len(xyz))
    ridden.sort()
    order = ridden & ((1 << index_bits) - 1)
    ridden >>= index_bits
    first = np.empty(len(xyz), np.bool_)
    first[0] = True
    np.not_equal(ridden[1:], ridden[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    return Cells(order, starts, ridden[starts], strides, key_of)
