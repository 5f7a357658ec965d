"""What rays passed is empty; thin things, which leave no surface, and what nobody saw are not."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.mapping import observed_space
from recon3d_ros.mapping.fusion import Fusion
from recon3d_ros.mapping.observed_space import ObservedSpace
from recon3d_ros.mapping.occupancy import FREE, UNKNOWN, occupancy_grid, surface_points

CAMERA = PinholeCamera.simple(97, 73, 60.0)


def wall(depth_m: float, **more) -> DepthMap:
    shape = CAMERA.image_shape_hw
    planes = {name: np.full(shape, value, np.float32) for name, value in more.items()}
    return DepthMap(np.full(shape, depth_m, np.float32), CAMERA, **planes)


def along_the_axis(space: ObservedSpace, *z: float) -> list[bool]:
    return space.empty(np.array([[0.02, 0.03, one] for one in z])).tolist()


def test_up_to_a_wall_it_is_empty_and_behind_it_unknown():
    space = ObservedSpace(0.03, 5.0)
    assert space.edge_m == 0.1
    assert along_the_axis(space, 1.0) == [False]
    space.add(wall(2.0), np.eye(4))
    assert along_the_axis(space, 0.55, 1.05, 1.75, 1.95, 2.05, 2.5) == [True, True, True, False, False, False]
    aside = space.empty(np.array([[1.5, 0, 1.0], [0.0, 0.9, 1.0], [0.6, 0.4, 1.0], [0, 0, -1.0]]))
    assert aside.tolist() == [False, False, True, False]


@pytest.mark.parametrize("position", [(-3.7, 0.2, 5.1), (12.0, -7.0, 0.3)])
def test_it_is_the_same_anywhere(position):
    pose = np.eye(4)
    pose[:3, :3] = [[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    pose[:3, 3] = position
    space = ObservedSpace(0.03, 5.0)
    space.add(wall(2.0), pose)
    places = np.array([[0.3, 0, 0], [1.6, 0.3, -0.2], [2.2, 0, 0], [-1, 0, 0]]) + position
    assert space.empty(places).tolist() == [True, True, False, False]


def test_what_is_far_is_dropped_and_the_rest_stays_as_it_was():
    space = ObservedSpace(0.03, 5.0)
    space.add(wall(4.0), np.eye(4))
    near, blocks = along_the_axis(space, 0.55, 1.05), len(space.coords)
    space.keep_within(np.zeros(3), 1.5)
    assert 0 < len(space.coords) < blocks
    assert along_the_axis(space, 0.55, 1.05, 3.5) == [*near, False] == [True, True, False]
    space.add(wall(4.0), np.eye(4))
    assert len(space.coords) == blocks and along_the_axis(space, 3.5) == [True]


def test_an_uncertain_end_clears_only_what_lies_three_sigmas_before_it():
    space = ObservedSpace(0.03, 5.0)
    space.add(wall(3.0, sigma_m=0.4), np.eye(4))
    assert along_the_axis(space, 1.65, 1.95, 2.75) == [True, False, False]
    blind = ObservedSpace(0.03, 5.0)
    blind.add(wall(3.0, sigma_m=np.nan), np.eye(4))
    blind.add(wall(np.nan), np.eye(4))
    assert along_the_axis(blind, 1.0) == [False]
    blind.add(wall(np.inf), np.eye(4))
    assert along_the_axis(blind, 1.0, 4.85, 5.5) == [True, True, False]


def test_what_every_fourth_image_hits_is_not_empty_and_what_moved_away_is():
    space = ObservedSpace(0.03, 5.0)
    for i in range(12):
        depth = np.full(CAMERA.image_shape_hw, 3.0, np.float32)
        if i % 4 == 0:
            depth[30:44, 40:56] = 1.55
        if i == 0:
            depth[30:44, 10:26] = 1.55
        space.add(DepthMap(depth, CAMERA), np.eye(4))
    assert along_the_axis(space, 1.0, 1.55) == [True, False]
    assert space.empty(np.array([[-0.75, 0.02, 1.55]])).tolist() == [True]


def test_memory_is_bounded_and_what_was_dropped_is_unknown():
    space = ObservedSpace(0.03, 5.0, max_mb=0.4)  # 195 blocks
    pose = np.eye(4)
    for x in np.arange(0, 40, 2.0):
        pose[0, 3] = x
        space.add(wall(2.0), pose)
        assert len(space._keys) <= 195
    assert along_the_axis(space, 1.0) == [False]
    assert space.empty(np.array([[38.0, 0, 1.0]])).tolist() == [True]


def test_what_was_moved_away_is_forgotten(monkeypatch):
    """However long it stood there; and what comes is not outvoted for ever."""
    monkeypatch.setattr(observed_space, "_REMEMBERED", 20)
    space = ObservedSpace(0.03, 5.0)
    for _ in range(200):
        space.add(wall(1.05), np.eye(4))
    for frames, there in ((70, False), (20, True)):
        for _ in range(frames):
            space.add(wall(1.05 if there else 3.0), np.eye(4))
        assert along_the_axis(space, 1.05) == [not there]


def test_a_cell_below_a_thing_that_left_no_surface_is_unknown():
    """A rod of one pixel, seen before a far wall from two sides: the fusion does not know it."""
    turn = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    fusion, space = Fusion(MappingConfig(voxel_m=0.03), "numpy"), ObservedSpace(0.03, 5.0)
    u, v = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones_like(u)], -1) @ turn.T
    for y in (-0.2, 0.0, 0.2):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, [0, y, 1]
        with np.errstate(divide="ignore"):
            floor = np.where(rays[..., 2] < 0, -1 / rays[..., 2], np.inf)
        depth = np.minimum(floor, 4.0).astype(np.float32)
        column = round(CAMERA.cx + CAMERA.fx * y / 2.5)  # the rod stands at x = 2.5 m, y = 0
        rod = depth[:, column] > 2.5
        depth[rod, column] = 2.5
        image = np.full((*depth.shape, 3), 99, np.uint8)
        fusion.add(DepthMap(depth, CAMERA), image, pose)
        space.add(DepthMap(depth, CAMERA), pose)
    points, config = surface_points(fusion.store, 0.03, 0.01), GridConfig()
    plain = occupancy_grid(points, np.eye(4), config)
    seen = occupancy_grid(points, np.eye(4), config, space)

    def at(grid, x, y):
        row, column = (int(np.floor((v - o) / grid.cell_m)) for v, o in zip((y, x), grid.origin_xy[::-1]))
        return int(grid.cells[row, column])

    assert at(plain, 2.53, 0.02) == FREE
    assert at(seen, 2.53, 0.02) == UNKNOWN
    assert at(seen, 2.53, 0.42) == at(seen, 3.0, -0.4) == FREE
