"""The map node in a room that is known exactly: mesh, points, grid, late viewers, services."""

from __future__ import annotations

import time

import numpy as np
import pytest
from std_srvs.srv import SetBool, Trigger

from recon3d_ros.mapping.mesh_files import read_mesh
from recon3d_ros.mapping.trajectory_files import read_trajectory
from recon3d_ros.messages.kinds import stamp_to_ns

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
    bench.wait(lambda: len(bench.vertices()) > 20000, "no mesh")
    corners = bench.vertices()
    assert np.median(distance_to_room(bench.room, corners)) < 0.005
    assert np.percentile(distance_to_room(bench.room, corners), 99) < 0.04
    markers = bench.markers()
    assert len(markers) > 5
    for msg in markers.values():
        assert msg.header.frame_id == "odom" and msg.pose.orientation.w == 1.0
        assert len(msg.points) == len(msg.colors) and len(msg.points) % 3 == 0
        assert {colour.a for colour in msg.colors} == {1.0}


def test_who_comes_late_gets_the_whole_mesh(bench):
    bench.wait(lambda: len(bench.vertices()) > 20000, "no mesh")
    bench.listen("map/mesh", "late")
    same = lambda: np.array_equal(bench.vertices("late"), bench.vertices())  # noqa: E731
    bench.wait(same, "not all of the mesh")
    assert bench.markers("late").keys() == bench.markers().keys()
    time.sleep(2.0)  # several periods: what was sent again is through
    count = len(bench.received["late"])
    time.sleep(2.0)
    assert len(bench.received["late"]) == count, "it goes on for ever"


def test_points_are_on_the_surfaces_and_wait_for_who_comes_late(bench):
    msg = bench.newest("map/points", lambda msg: msg.width > 5000)
    assert msg.header.frame_id == "odom" and stamp_to_ns(msg.header.stamp) == bench.stamp_ns
    points = np.frombuffer(msg.data, np.float32).reshape(-1, 4)[:, :3]
    assert np.median(distance_to_room(bench.room, points)) < 0.005
    bench.listen("map/points", "late points")
    late = bench.newest("late points", lambda msg: True)
    assert late.data == bench.received["map/points"][-1].data


def test_the_grid_is_free_where_the_floor_is_and_occupied_where_the_box_stands(bench):
    msg = bench.newest("map/grid", lambda msg: msg.info.width * msg.info.height > 100)
    assert msg.header.frame_id == "odom" and msg.info.resolution == pytest.approx(0.05)
    assert msg.info.origin.orientation.w == 1.0
    for start in (msg.info.origin.position.x, msg.info.origin.position.y):  # or Nav2 complains
        assert start / 0.05 == pytest.approx(round(start / 0.05), abs=1e-6)
    assert abs(msg.info.origin.position.z) < 0.03
    assert at(msg, 0.0, 0.3) == at(msg, 0.3, -0.2) == 0
    assert 100 in [at(msg, 0.8 + 0.01 * i, -0.65) for i in range(-4, 5)]  # front of the box
    assert at(msg, 1.0, -0.65) in (-1, 100) and at(msg, 1.35, -0.8) == -1  # inside, behind
    assert set(msg.data) <= {-1, 0, 100}
    floor = np.array(msg.data).reshape(msg.info.height, msg.info.width)
    rows, columns = np.nonzero(floor == 0)
    x = msg.info.origin.position.x + (columns + 0.5) * 0.05
    y = msg.info.origin.position.y + (rows + 0.5) * 0.05
    low, high = bench.room.box
    assert not ((x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])).any()
    assert (np.abs(x) < 2).all() and (np.abs(y) < 1.5).all()


def test_distances_to_the_next_obstacle(bench):
    msg = bench.newest("map/distance", lambda msg: msg.width > 100)
    points = np.frombuffer(msg.data, np.float32).reshape(-1, 4)
    near = np.argmin(np.linalg.norm(points[:, :2] - [0.3, -0.65], axis=1))
    assert points[near, 3] == pytest.approx(0.5, abs=0.1)  # to the front of the box
    assert np.abs(points[:, 2]).max() < 0.05


def test_pause_fuses_nothing(bench):
    assert bench.call(SetBool, "pause", data=True).success
    frames = bench.frames
    skipped = bench.node._channels[0].health.report().skipped
    bench.send(bench.room.pose(*WALK[-1]))
    bench.wait(lambda: bench.node._channels[0].health.report().skipped > skipped)
    bench.wait(lambda: bench.status().get("message") == "idle: paused", "the pause is not told")
    assert bench.frames == frames
    assert bench.call(SetBool, "pause", data=False).success
    bench.fuse(bench.room.pose(*WALK[-1]))


def test_save_reset_and_load(bench, tmp_path):
    assert bench.set_parameters(map_folder=str(tmp_path)).successful
    bench.wait(lambda: len(bench.vertices()) > 20000, "no mesh")
    grid = bench.newest("map/grid", lambda msg: stamp_to_ns(msg.header.stamp) == bench.stamp_ns)
    saved = bench.call(Trigger, "save_map")
    assert saved.success and saved.message == str(tmp_path / "map_0001")
    names = {path.name for path in (tmp_path / "map_0001").iterdir()}
    assert names == {"mesh.ply", "map.yaml", "map.pgm", "map.json", "trajectory.txt", "volume.npz"}
    mesh = read_mesh(tmp_path / "map_0001" / "mesh.ply")
    assert np.median(distance_to_room(bench.room, mesh.vertices)) < 0.005
    path = read_trajectory(tmp_path / "map_0001" / "trajectory.txt")
    assert len(path) == len(bench.poses.known) - 1  # one was seen in the pause
    np.testing.assert_allclose(path.at(bench.stamp_ns), bench.poses.known[bench.stamp_ns], atol=1e-6)

    assert bench.call(Trigger, "reset").success
    bench.wait(lambda: not bench.markers(), "the mesh is still shown")
    bench.newest("map/grid", lambda msg: set(msg.data) == {-1})
    bench.newest("map/points", lambda msg: msg.width == 0)
    refused = bench.call(Trigger, "save_map")
    assert not refused.success and "expected a surface" in refused.message
    assert [path.name for path in tmp_path.iterdir()] == ["map_0001"]

    loaded = bench.call(Trigger, "load_map")
    assert loaded.success and loaded.message == str(tmp_path / "map_0001")
    bench.wait(lambda: len(bench.vertices()) > 20000, "no mesh")
    again = bench.newest("map/grid", lambda msg: 100 in msg.data)
    assert np.mean(np.array(again.data) != np.array(grid.data)) < 0.002  # poses have nine digits
    assert again.info.origin.position.x == pytest.approx(grid.info.origin.position.x, abs=1e-6)
    bench.fuse(bench.room.pose(yaw=0.3))
    assert bench.call(Trigger, "save_map").message == str(tmp_path / "map_0002")
