"""Points to the input of a network that labels them: which cell of a polar grid each lies in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ContractError
from recon3d_ros.model_zoo.points import PointInputContract, PolarGrid


@dataclass(frozen=True, eq=False)
class GroupedPoints:
    """Tensors of one cloud of N points.

    Attributes:
        points: (N, 3) float32 m.
        cells: (N,) int32, the cell of each point: row * columns + column.
        members: (rows * columns, members) int32, points of each cell; N where it has no more.
    """

    points: NDArray[np.float32]
    cells: NDArray[np.int32]
    members: NDArray[np.int32]


def group_points(points: NDArray[np.float32], grid: PolarGrid) -> GroupedPoints:
    """Find the cell of each point; points beyond the grid count for the cell at its edge.

    Args:
        points: (N, 3) float32 m in the level frame, x ahead, y left, z up; finite.
        grid: The grid.
    """
    distance = np.hypot(points[:, 0], points[:, 1])
    nearest, farthest = np.log(grid.range_m[0]), np.log(grid.range_m[1])
    row = (np.log(np.maximum(distance, 1e-6)) - nearest) * (grid.rows / (farthest - nearest))
    half = np.float32(np.radians(grid.azimuth_deg))
    column = (np.arctan2(points[:, 1], points[:, 0]) + half) * (grid.columns / (2 * half))
    row = np.clip(row, 0, grid.rows - 1).astype(np.int32)
    column = np.clip(column, 0, grid.columns - 1).astype(np.int32)
    cells = row * np.int32(grid.columns) + column
    return GroupedPoints(points, cells, _members(cells, grid))


def _members(cells: NDArray[np.int32], grid: PolarGrid) -> NDArray[np.int32]:
    """Up to `members` points of each cell, spread over all that it has."""
    count = len(cells)
    order = np.argsort(cells, kind="stable").astype(np.int32)
    has = np.bincount(cells, minlength=grid.rows * grid.columns)
    first = np.concatenate([[0], np.cumsum(has)[:-1]])
    of = cells[order]
    rank = np.arange(count) - first[of]
    slot = np.where(has[of] > grid.members, rank * grid.members // np.maximum(has[of], 1), rank)
    members = np.full((grid.rows * grid.columns, grid.members), count, np.int32)
    members[of, slot] = order
    return members


def point_tensors(points: NDArray[np.float32], contract: PointInputContract) -> dict[str, NDArray[Any]]:
    """The input tensors of one cloud, by name.

    Args:
        points: (N, 3) float32 m in the level frame, finite, N from 1 to `contract.count`; fewer are repeated.
        contract: What the network wants.

    Raises:
        ContractError: There is no point, or there are too many.
    """
    if not 1 <= len(points) <= contract.count:
        raise ContractError(
            f"expected 1 to {contract.count} points, got {len(points)}: sample the cloud before"
        )
    repeated = np.resize(points, (contract.count, 3)).astype(np.float32, copy=False)
    grouped = group_points(repeated, contract.grid)
    tensors = (grouped.points, grouped.cells, grouped.members)
    return {name: tensor[None] for name, tensor in zip(contract.names, tensors)}
