"""One point for each occupied cube of space: clouds whose density does not depend on the distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.filters.cells import Cells, sort_into_cells
from recon3d_ros.geometry import UnorganizedCloud
from recon3d_ros.geometry.cloud import LABEL, NORMAL


def voxel_grid(cloud: UnorganizedCloud, voxel_m: float) -> UnorganizedCloud:
    """Replace the points of each cube by their mean.

    Every field is the mean of its known values, colours channel by channel; normals have length 1 again;
    the label is that of the likeliest point. The cubes are aligned with the origin, so that those of two
    frames coincide.

    Args:
        cloud: Points.
        voxel_m: Edge of the cubes.

    Raises:
        ConfigError: The cubes are so small that their number overflows.
    """
    if not len(cloud):
        return cloud
    cells = sort_into_cells(cloud.xyz, voxel_m)
    ordered = np.take(cloud.data, cells.order, axis=0)  # ten times as fast as indexing
    means = np.empty((len(cells.starts), len(cloud.fields)), np.float32)
    count = np.diff(cells.starts, append=len(cloud))
    for column, field in enumerate(cloud.fields):
        if field == "rgb":
            means[:, column] = _mean_colour(ordered[:, column], cells, count)
        elif field == LABEL[0]:
            means[:, column] = _likeliest(ordered, cloud.fields, cells, count)
        else:
            _write_mean(ordered[:, column], cells, count, means[:, column])
    if NORMAL[0] in cloud.fields:
        first = cloud.fields.index(NORMAL[0])
        normals = means[:, first : first + 3]
        with np.errstate(divide="ignore", invalid="ignore"):
            normals /= np.sqrt(np.einsum("ij,ij->i", normals, normals))[:, None]
    return UnorganizedCloud(means, cloud.fields, cloud.frame_id)


def _likeliest(
    ordered: NDArray[np.float32], fields: tuple[str, ...], cells: Cells, count: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The label of each cell's point of the highest probability, as it is in the cloud."""
    chance = np.nan_to_num(ordered[:, fields.index(LABEL[1])], nan=-1.0)
    cell = np.repeat(np.arange(len(count)), count)
    order = np.lexsort((chance, cell))
    picked: NDArray[np.float32] = ordered[order[cells.starts + count - 1], fields.index(LABEL[0])]
    return picked


def _write_mean(
    values: NDArray[np.float32], cells: Cells, count: NDArray[np.int64], out: NDArray[np.float32]
) -> None:
    """Write the mean of the values that are known in each cell; NaN where none is."""
    known = ~np.isnan(values)
    if not known.all():  # normals beside a hole, sigma of what is out of range
        values, count = (
            np.where(known, values, np.float32(0)),
            np.add.reduceat(known, cells.starts, dtype=np.int64),
        )
    total = np.add.reduceat(values.astype(np.float64), cells.starts)
    with np.errstate(invalid="ignore"):
        np.divide(total, count, out=out, casting="unsafe")


def _mean_colour(packed: NDArray[np.float32], cells: Cells, count: NDArray[np.int64]) -> NDArray[np.float32]:
    bits = packed.view(np.uint32) if packed.flags.c_contiguous else packed.copy().view(np.uint32)
    mean = np.zeros(len(count), np.uint32)
    for shift in (16, 8, 0):
        total = np.add.reduceat((bits >> np.uint32(shift) & np.uint32(0xFF)).astype(np.int64), cells.starts)
        mean |= ((total + count // 2) // count).astype(np.uint32) << np.uint32(shift)
    return mean.view(np.float32)
