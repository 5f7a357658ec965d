"""A map for driving: which cells of the floor are free, which are occupied, and which nobody saw.

Free is only where the floor itself was seen and nothing stands on it, as high as the robot is, and where the
space above it was seen to be empty. Cells beside an obstacle are not called free: where its surface is, is
known to a margin. A surface that most depth maps see through, an error at an edge, has none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.mapping import GridConfig
from recon3d_ros.errors import DataError
from recon3d_ros.files import write_atomically, write_image
from recon3d_ros.geometry.level import find_level
from recon3d_ros.mapping.blocks import DISTANCE_STEPS, SIDE, WEIGHT_STEPS, BlockStore
from recon3d_ros.mapping.observed_space import ObservedSpace
from recon3d_ros.mapping.trajectory import Trajectory

UNKNOWN, FREE, OCCUPIED = -1, 0, 100  # as in nav_msgs/OccupancyGrid
_CHUNK = 512  # blocks at a time
_ON_SURFACE = 0.75  # voxels from a surface
_SAME_UP_DEG = 3.0  # a world whose z axis is that near to up keeps its axes
_MOST_CELLS = 100_000_000
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OccupancyGrid:
    """Cells of a horizontal plane.

    Attributes:
        cells: (rows, columns) int8, `UNKNOWN`, `FREE` or `OCCUPIED`; row 0 has the smallest y.
        origin_xy: Of the corner of cell (0, 0), m in the map.
        cell_m: Edge of a cell, m.
        T_map_world: (4, 4) float64, from the world of the poses to the map: z up, the floor at 0.
    """

    cells: NDArray[np.int8]
    origin_xy: tuple[float, float]
    cell_m: float
    T_map_world: Matrix


def surface_points(store: BlockStore, voxel_m: float, min_weight: float) -> NDArray[np.float64]:
    """Centres of the voxels at surfaces that were observed enough, (N, 3) m in the world."""
    found = []
    for first in range(0, len(store), _CHUNK):
        part = slice(first, first + _CHUNK)
        near = np.abs(store.distance[part]) < _ON_SURFACE * DISTANCE_STEPS
        slots, x, y, z = np.nonzero(near & (store.weight[part] >= max(min_weight * WEIGHT_STEPS, 1)))
        found.append(store.coords[first + slots] * SIDE + np.stack([x, y, z], axis=1) + 0.5)
    return np.concatenate(found) * voxel_m if found else np.empty((0, 3))


def map_from_world(points: NDArray[np.float64], path: Trajectory) -> Matrix:
    """Find the floor below the cameras.

    Args:
        points: (N, 3) m in the world, of surfaces.
        path: Poses of cameras that were upright within 45 degrees, on the average.

    Returns:
        (4, 4) float64 T_map_world: z up, the floor at 0. The axes stay where the world's z is up within 3
        degrees; otherwise x is ahead of the cameras.

    Raises:
        DataError: No plane is a floor.
    """
    down, ahead = (path.T_world_camera[:, :3, axis].mean(axis=0) for axis in (1, 2))
    if np.linalg.norm(down) > 1e-3:
        down = down / np.linalg.norm(down)
        ahead = ahead - (ahead @ down) * down
        if np.linalg.norm(ahead) < 1e-3:  # they looked around in a circle
            ahead = np.cross(path.T_world_camera[0, :3, 0], down)
        ahead = ahead / np.linalg.norm(ahead)
        T_camera_world = np.eye(4)
        T_camera_world[:3, :3] = np.stack([np.cross(down, ahead), down, ahead])
        T_camera_world[:3, 3] = -T_camera_world[:3, :3] @ path.positions.mean(axis=0)
        level = find_level(points @ T_camera_world[:3, :3].T + T_camera_world[:3, 3])
        if level is not None:
            return _keeping_the_axes(np.asarray(level @ T_camera_world, np.float64))
    raise DataError(
        "expected a floor below the cameras for the grid, found none: show the floor, with the camera "
        "upright, or leave --grid out"
    )


def keeps_the_axes(T_map_world: Matrix) -> bool:
    """Whether the world's z axis is up, within 3 degrees, so that the map has its x and y."""
    return bool(T_map_world[2, 2] >= np.cos(np.radians(_SAME_UP_DEG)))


def _keeping_the_axes(T_map_world: Matrix) -> Matrix:
    up = T_map_world[2, :3]
    if not keeps_the_axes(T_map_world):
        return T_map_world
    # The shortest turn from the world's z to up, so that x and y of a level world are those of the map.
    axis = np.array([-up[1], up[0], 0.0])
    angle = np.arctan2(np.linalg.norm(axis), up[2])
    turn, _ = cv2.Rodrigues(axis / max(float(np.linalg.norm(axis)), 1e-12) * angle)
    kept = np.eye(4)
    kept[:3, :3] = np.asarray(turn).T
    kept[2, 3] = T_map_world[2, 3]
    return kept


def occupancy_grid(
    points: NDArray[np.float64],
    T_map_world: Matrix,
    config: GridConfig,
    space: ObservedSpace | None = None,
) -> OccupancyGrid:
    """Say what is free, what is occupied and what is unknown.

    Args:
        points: See :func:`surface_points`.
        T_map_world: See :func:`map_from_world`.
        config: Cells, and between which heights a thing is in the way. What lies that far below the floor is
            an edge to fall down, and in the way, too.
        space: What was seen to be empty; without it what stands above the floor must have left a surface.

    Raises:
        DataError: Nothing is at the height of the robot, or the grid would be absurdly large.
    """
    x, y, height = (points @ T_map_world[:3, :3].T + T_map_world[:3, 3]).T
    low, high = config.obstacle_min_height_m, config.obstacle_max_height_m
    obstacle = ((height >= low) & (height <= high)) | (height <= -low)
    used = obstacle | (np.abs(height) < low)
    if not used.any():
        raise DataError(
            "expected surfaces at the height of the robot for the grid, found none: check "
            "obstacle_max_height_m and the floor"
        )
    first = np.floor([x[used].min() / config.grid_cell_m, y[used].min() / config.grid_cell_m]).astype(int)
    columns = np.floor(x / config.grid_cell_m).astype(int) - first[0]
    rows = np.floor(y / config.grid_cell_m).astype(int) - first[1]
    shape = (int(rows[used].max()) + 1, int(columns[used].max()) + 1)
    if shape[0] * shape[1] > _MOST_CELLS:
        raise DataError(
            f"expected a grid of at most {_MOST_CELLS} cells, got {shape[1]} x {shape[0]}: raise grid_cell_m"
        )
    sure = obstacle if space is None else _still_seen(points, obstacle, space)
    floor, occupied, standing = (
        _marked(shape, rows, columns, one) for one in (used & ~obstacle, obstacle, sure)
    )
    reach = max(1, int(np.ceil(config.grid_margin_m / config.grid_cell_m)))
    beside = cv2.dilate(standing, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2))
    cells = np.full(shape, UNKNOWN, np.int8)
    cells[(floor > 0) & (beside == 0)] = FREE
    cells[occupied > 0] = OCCUPIED
    if space is not None:
        _require_empty(cells, first, T_map_world, config, space)
    origin_xy = (float(first[0] * config.grid_cell_m), float(first[1] * config.grid_cell_m))
    return OccupancyGrid(cells, origin_xy, config.grid_cell_m, T_map_world)


def _still_seen(
    points: NDArray[np.float64], obstacle: NDArray[np.bool_], space: ObservedSpace
) -> NDArray[np.bool_]:
    """The obstacles that depth maps did not see through: the others are errors at edges, or have just come.

    Those occupy their cells, too, but have no margin.
    """
    sure = obstacle.copy()
    sure[obstacle] = ~space.empty(points[obstacle])
    return sure


def _marked(
    shape: tuple[int, int], rows: NDArray[np.int64], columns: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """(rows, columns) uint8, 1 in the cells of the chosen points."""
    cells = np.zeros(shape, np.uint8)
    cells[rows[chosen], columns[chosen]] = 1
    return cells


def _require_empty(
    cells: NDArray[np.int8],
    first: NDArray[Any],
    T_map_world: Matrix,
    config: GridConfig,
    space: ObservedSpace,
) -> None:
    """Make cells unknown above which, as high as the robot is, something may stand.

    The lowest voxels are left out: the rays to the floor, which was seen, run closely above it.
    """
    low, high = config.obstacle_min_height_m + space.edge_m, config.obstacle_max_height_m
    heights = np.arange(low, high, space.edge_m)
    rows, columns = np.nonzero(cells == FREE)
    if not len(heights) or not len(rows):
        return
    xy = (np.stack([columns, rows], axis=1) + first + 0.5) * config.grid_cell_m
    T_world_map = np.linalg.inv(T_map_world)
    empty = np.ones(len(rows), np.bool_)
    for height in heights:
        points = np.column_stack([xy, np.full(len(xy), height)])
        empty &= space.empty(points @ T_world_map[:3, :3].T + T_world_map[:3, 3])
    cells[rows[~empty], columns[~empty]] = UNKNOWN


def draw_grid(grid: OccupancyGrid) -> NDArray[np.uint8]:
    """(rows, columns) uint8 with y up: free 254, occupied 0, unknown 205, the values of Nav2's map_saver."""
    image = np.full(grid.cells.shape, 205, np.uint8)
    image[grid.cells == FREE], image[grid.cells == OCCUPIED] = 254, 0
    return np.ascontiguousarray(image[::-1])


def write_grid(path: Path, grid: OccupancyGrid) -> None:
    """Write a map for Nav2's map_server: an image, PGM, and its YAML beside it.

    Args:
        path: Of the YAML; the image gets its name with `.pgm`.
        grid: To write.

    Raises:
        OutputError: A file cannot be written.
    """
    write_image(path.with_suffix(".pgm"), draw_grid(grid))
    x, y = grid.origin_xy
    lines = (
        f"image: {json.dumps(path.with_suffix('.pgm').name)}",
        "mode: trinary",
        f"resolution: {grid.cell_m:g}",
        f"origin: [{x:.6g}, {y:.6g}, 0.0]",
        "negate: 0",
        "occupied_thresh: 0.65",
        "free_thresh: 0.196",  # below the 205 of unknown
    )
    write_atomically(path, ("\n".join(lines) + "\n").encode())
