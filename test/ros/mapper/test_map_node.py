"""The map node in a room that is known exactly: mesh, points, grid, late viewers, services."""

from __future__ import annotations

import numpy as np
import pytest
from std_srvs.srv import SetBool, Trigger

from recon3d_ros.mapping.mesh_files import read_mesh
from recon3d_ros.mapping.trajectory_files import read_trajectory

pytest.importorskip("skimage")
WALK = [(-1.6 + 0.04 * i, 0.02 * i, -0.3 + 0.06 * i) for i in range(12)]


@pytest.fixture(scope="module")
def bench(make_map_bench):
    bench = make_map_bench("/room")
    for x, y, yaw in WALK:
        bench.fuse(bench.room.pose(x, y, yaw))
    return bench


def distance_to_room(room, points: np.ndarray) -> np.ndarray:
    """Of points to the next surface of the room or its box, m."""
    walls = np.min(np.abs(np.stack([points - [-2, -1.5, 0], points - [2, 1.5, 2.4]])), axis=(0, 2))
    low, high = room.box
    outside = np.maximum(np.maximum(low - points, points - high), 0)
    inside = np.minimum(points - low, high - points).min(axis=1).clip(0)
    return np.minimum(walls, np.linalg.norm(outside, axis=1) + inside)


def at(grid, x: float, y: float) -> int:
    """The cell of a grid message at a place of its frame."""
    column = int((x - grid.info.origin.position.x) / grid.info.resolution)
    row = int((y - grid.info.origin.position.y) / grid.info.resolution)
    return grid.data[row * grid.info.width + column]


def test_the_mesh_is_the_room(bench):
    corners = bench.wait(lambda: c if len(c := bench.vertices()) > 20000 else None, "no mesh")
    assert np.median(distance_to_room(bench.room, corners)) < 0.005
    assert np.percentile(distance_to_room(bench.room, corners), 99) < 0.04
    markers = bench.markers()
    assert len(markers) > 5
    for msg in markers.values():
        assert msg.header.frame_id == "odom" and msg.pose.orientation.w == 1.0
        assert len(msg.points) == len(msg.colors) and len(msg.points) % 3 == 0
        assert {colour.a for colour in msg.colors} == {1.0}


def test_who_comes_late_gets_the_whole_mesh(bench):
    whole = bench.wait(lambda: c if len(c := bench.vertices()) > 20000 else None, "no mesh")
    bench.listen("map/mesh", "late")
    bench.wait(lambda: len(bench.vertices("late")) >= len(whole), "not all of the mesh")
    assert bench.markers("late").keys() == bench.markers().keys()
