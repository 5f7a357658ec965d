"""Free only where the floor was seen and nothing stands on it; what nobody saw is unknown."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d_ros import world
from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.errors import DataError
from recon3d_ros.files import read_image
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.mapping.fusion import Fusion
from recon3d_ros.mapping.observed_space import ObservedSpace
from recon3d_ros.mapping.occupancy import (
    FREE,
    OCCUPIED,
    UNKNOWN,
    OccupancyGrid,
    map_from_world,
    occupancy_grid,
    surface_points,
    write_grid,
)
from recon3d_ros.mapping.trajectory import Trajectory


def rotation_of(vector) -> np.ndarray:
    return cv2.Rodrigues(np.array(vector, float))[0]


CONFIG = GridConfig(grid_cell_m=0.1, grid_margin_m=0.0)


def patch(x, y, z, step=0.02) -> np.ndarray:
    """Points of a box whose sides are the ranges x, y, z, m."""
    axes = [np.arange(low, max(high, low + step / 2), step) + step / 2 for low, high in (x, y, z)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def at(grid: OccupancyGrid, x: float, y: float) -> int:
    row, column = (int(np.floor((v - o) / grid.cell_m)) for v, o in zip((y, x), grid.origin_xy[::-1]))
    return int(grid.cells[row, column])


def room() -> np.ndarray:
    """A floor of 4 x 3 m with a wall, a beam overhead, a hole and a box."""
    floor = patch((0, 4), (0, 3), (0, 0))
    floor = floor[~((floor[:, 0] > 3) & (floor[:, 1] > 2))]
    return np.concatenate(
        [
            floor,
            patch((0, 0), (0, 3), (0, 2)),
            patch((1, 1.2), (0, 3), (1.8, 1.9)),
            patch((3, 4), (2, 3), (-0.5, -0.5)),
            patch((2, 2.3), (1, 1.3), (0.3, 0.3)),
        ]
    )


def test_floor_wall_beam_hole_and_box():
    grid = occupancy_grid(room(), np.eye(4), CONFIG)
    assert grid.cells.shape == (30, 40) and grid.origin_xy == (0.0, 0.0) and grid.cells.dtype == np.int8
    assert at(grid, 0.7, 1.0) == FREE and at(grid, 1.1, 0.5) == FREE  # under the beam
    assert at(grid, 0.05, 1.5) == OCCUPIED  # the wall
    assert at(grid, 3.5, 2.5) == OCCUPIED  # the hole
    assert at(grid, 2.15, 1.15) == OCCUPIED  # the box
    assert at(grid, 2.35, 1.15) == UNKNOWN  # beside it
    low = occupancy_grid(room(), np.eye(4), GridConfig(grid_cell_m=0.1, obstacle_max_height_m=1.85))
    assert at(low, 1.1, 0.5) == OCCUPIED


def test_the_margin_keeps_away_from_obstacles():
    grid = occupancy_grid(room(), np.eye(4), GridConfig(grid_cell_m=0.1, grid_margin_m=0.3))
    assert [at(grid, x, 1.15) for x in (2.45, 2.55, 2.65, 2.75)] == [UNKNOWN, UNKNOWN, FREE, FREE]


def test_a_surface_that_was_seen_through_has_no_margin():
    """Three depth maps see the floor and a wall; a box that only the surfaces have hangs before the wall."""
    camera = PinholeCamera.simple(161, 121, 80.0)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = [[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]], [0, 0, 1]
    v = np.arange(121)[:, None]
    with np.errstate(divide="ignore"):
        floor = np.where(v > camera.cy, camera.fy / (v - camera.cy), np.inf)
    depth = np.repeat(np.minimum(floor, 4.0), 161, axis=1).astype(np.float32)
    space = ObservedSpace(0.03, 6.0)
    for _ in range(3):
        space.add(DepthMap(depth, camera), pose)
    boxes = [patch((2.5, 2.6), (y, y + 0.1), (0.8, 0.9)) for y in (0.5, -0.6)]
    surfaces = np.concatenate(
        [patch((1, 3.9), (-1.5, 1.5), (0, 0)), patch((4, 4), (-1.5, 1.5), (0, 2)), *boxes]
    )
    for _ in range(3):  # the one at the right is really there
        there = depth.copy()
        there[40:80, 97:102] = 2.5
        space.add(DepthMap(there, camera), pose)
    grid = occupancy_grid(surfaces, np.eye(4), GridConfig(grid_margin_m=0.15), space)
    assert at(grid, 2.53, 0.53) == at(grid, 2.53, -0.53) == OCCUPIED
    assert at(grid, 2.53, 0.73) == FREE and at(grid, 2.53, -0.73) == UNKNOWN


def test_what_nobody_saw_is_unknown():
    holes = room()
    holes = holes[~((holes[:, 0] > 0.5) & (holes[:, 0] < 0.9) & (holes[:, 1] < 1))]
    grid = occupancy_grid(holes, np.eye(4), CONFIG)
    assert at(grid, 0.75, 0.55) == UNKNOWN and at(grid, 0.75, 1.55) == FREE


def test_nothing_at_the_height_of_the_robot_is_an_error():
    with pytest.raises(DataError, match="surfaces at the height of the robot"):
        occupancy_grid(patch((0, 1), (0, 1), (5, 5)), np.eye(4), CONFIG)
    far = np.array([[0.0, 0, 0], [1e6, 1e6, 0]])
    with pytest.raises(DataError, match="raise grid_cell_m"):
        occupancy_grid(far, np.eye(4), CONFIG)


def path_over(turn: np.ndarray, height: float) -> Trajectory:
    """Cameras 1 to 2 m from the corner that look along x, level; in a world turned by `turn`."""
    poses = np.tile(np.eye(4), (5, 1, 1))
    optical = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    for i, pose in enumerate(poses):
        pose[:3, :3] = turn @ optical
        pose[:3, 3] = turn @ [1 + 0.25 * i, 1.5, height]
    return Trajectory(np.arange(5), poses, key="order")


@settings(max_examples=20)
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.floats(0.3, 1.5), st.floats(-2, 2))
def test_the_floor_is_found_in_any_world(vector, height, lift):
    turn = rotation_of(np.array(vector))
    points = (room() + [0, 0, lift]) @ turn.T
    level = map_from_world(points, path_over(turn, height + lift))
    up = turn[:, 2]
    assert level[2, :3] @ up > np.cos(np.radians(2))
    heights = points @ level[2, :3] + level[2, 3]
    assert np.median(np.abs(heights)) < 0.03
    np.testing.assert_allclose(level[:3, :3] @ level[:3, :3].T, np.eye(3), atol=1e-9)


def test_a_world_with_z_up_keeps_its_axes():
    tilt = rotation_of(np.array([0.01, -0.015, 0.0]))
    level = map_from_world(room() @ tilt.T, path_over(tilt, 0.8))
    np.testing.assert_allclose(level[:2, :2], np.eye(2), atol=1e-3)
    np.testing.assert_allclose(level[:2, 3], 0)
    turned = rotation_of(np.array([0.0, 0.0, 2.0]))
    np.testing.assert_allclose(
        map_from_world(room() @ turned.T, path_over(turned, 0.8))[:3, :3], np.eye(3), atol=5e-3
    )


def test_without_a_floor_there_is_no_map():
    with pytest.raises(DataError, match="expected a floor below the cameras"):
        map_from_world(patch((3, 3), (0, 3), (0.5, 2.5)), path_over(np.eye(3), 0.8))
    around = np.tile(np.eye(4), (2, 1, 1))
    around[1, :3, :3] = np.diag([1.0, -1, -1])  # upside down: no up on the average
    with pytest.raises(DataError, match="with the camera upright"):
        map_from_world(room(), Trajectory(np.arange(2), around, key="order"))


def test_files_as_map_server_reads_them(tmp_path):
    """Its rule: p = (255 - value) / 255; occupied above occupied_thresh, free below free_thresh."""
    grid = occupancy_grid(room(), np.eye(4), CONFIG)
    write_grid(tmp_path / "map.yaml", grid)
    document = yaml.safe_load((tmp_path / "map.yaml").read_text())
    assert (document["mode"], document["negate"], document["origin"]) == ("trinary", 0, [0.0, 0.0, 0.0])
    image = read_image(tmp_path / document["image"])
    image = image if image.ndim == 2 else image[..., 0]
    p = (255 - image[::-1].astype(float)) / 255
    read = np.full(p.shape, UNKNOWN)
    read[p > document["occupied_thresh"]], read[p < document["free_thresh"]] = OCCUPIED, FREE
    np.testing.assert_array_equal(read, grid.cells)


def test_a_room_of_the_world_has_no_free_cell_on_its_furniture():
    """Exact depth: what is free with the usual voxels is free with finer ones, too."""
    camera = world.WorldCamera(seed=0, kind="indoor", size_wh=(160, 120), rate_hz=5, loop_frames=8)
    samples = [camera.sample(i) for i in range(8)]
    poses = np.stack([camera.pose(i) for i in range(8)])
    grids = {}
    for voxel in (0.02, 0.03):
        fusion = Fusion(MappingConfig(voxel_m=voxel), "numpy")
        for sample, pose in zip(samples, poses):
            fusion.add(DepthMap(sample.depth, sample.frame.camera), sample.frame.image, pose)
        points = surface_points(fusion.store, voxel, 0.1)
        level = map_from_world(points, Trajectory(np.arange(8), poses, key="order"))
        assert abs(level[2, 3]) < 0.02 and level[2, 2] > 0.999
        grids[voxel] = occupancy_grid(points, np.eye(4), GridConfig())
    fine, coarse = grids[0.02], grids[0.03]
    rows, columns = np.nonzero(fine.cells == OCCUPIED)
    x = fine.origin_xy[0] + (columns + 0.5) * 0.05
    y = fine.origin_xy[1] + (rows + 0.5) * 0.05
    inside = [
        at(coarse, *xy)
        for xy in zip(x, y)
        if 0 <= (xy[1] - coarse.origin_xy[1]) / 0.05 < coarse.cells.shape[0]
        and 0 <= (xy[0] - coarse.origin_xy[0]) / 0.05 < coarse.cells.shape[1]
    ]
    assert len(inside) > 200 and FREE not in inside
    assert (coarse.cells == FREE).sum() > 500
