"""A map that is read while it grows: the changes together are the whole, and what left is told."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.mapping import live_map
from recon3d_ros.mapping.blocks import BlockStore
from recon3d_ros.mapping.live_map import CameraPath, LiveMap
from recon3d_ros.mapping.occupancy import FREE

pytest.importorskip("skimage")
CAMERA = PinholeCamera.simple(163, 121, 140.0)
IMAGE = np.full((121, 163, 3), (200, 100, 50), np.uint8)
CONFIG = MappingConfig(voxel_m=0.03)


def wall(distance: float = 1.5) -> DepthMap:
    return DepthMap(np.full((121, 163), distance, np.float32), CAMERA)


def at(x: float) -> np.ndarray:
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


def ahead(x: float) -> np.ndarray:
    """Pose of a camera 1 m above the floor of a world with z up, that looks along its x."""
    pose = np.eye(4)
    pose[:3, :3] = [[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    pose[:3, 3] = x, 0, 1
    return pose


def floor() -> DepthMap:
    """What that camera sees of the floor."""
    rows = np.arange(121) - CAMERA.cy
    with np.errstate(divide="ignore"):
        depth = np.where(rows > 0, CAMERA.fy / rows, np.inf)
    return DepthMap(np.repeat(depth[:, None], 163, axis=1).astype(np.float32), CAMERA)


def area(mesh) -> float:
    a, b, c = mesh.vertices[mesh.faces].astype(float).transpose(1, 0, 2)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_the_cubes_together_are_the_whole_mesh():
    live = LiveMap(CONFIG)
    for i in range(5):
        live.add(wall(), IMAGE, at(0.1 * i), i)
        for _ in live.mesh_changes():
            pass
    whole = live.mesh()
    assert len(live.meshes) > 3
    assert sum(len(mesh.faces) for mesh in live.meshes.values()) == len(whole.faces)
    assert sum(area(mesh) for mesh in live.meshes.values()) == pytest.approx(area(whole), rel=1e-6)
    points, colours = live.points()
    assert len(points) == len(colours) > len(whole.vertices)  # those on borders are there for each cube
    assert {tuple(p) for p in points.tolist()} == {tuple(p) for p in whole.vertices.tolist()}


def test_only_what_changed_is_read_again():
    live = LiveMap(CONFIG)
    live.add(wall(), IMAGE, at(0), 0)
    first = {place for place, _ in live.mesh_changes()}
    assert list(live.mesh_changes()) == []
    live.add(wall(), IMAGE, at(0), 1)  # the same again
    assert list(live.mesh_changes()) == []
    live.add(wall(), IMAGE, at(2.5), 2)
    assert not first & {place for place, _ in live.mesh_changes()}


def test_what_vanished_is_told():
    live = LiveMap(CONFIG)
    for i in range(2):
        live.add(wall(), IMAGE, at(0), i)
    shown = {place for place, mesh in live.mesh_changes() if mesh is not None}
    for i in range(30):
        live.add(wall(9.0), IMAGE, at(0), 2 + i)
    assert {place for place, mesh in live.mesh_changes() if mesh is None} == shown
    assert not live.meshes


def test_reading_stops_in_time_and_goes_on():
    live = LiveMap(CONFIG)
    live.add(wall(), IMAGE, at(0), 0)
    assert list(live.mesh_changes(seconds=0.0)) == []
    assert list(live.mesh_changes())


def test_what_is_beyond_the_radius_is_dropped():
    live = LiveMap(CONFIG, radius_m=2.5)
    most = 0
    for i in range(60):
        live.add(wall(), IMAGE, at(0.2 * i), i)
        for _ in live.mesh_changes():
            pass
        most = max(most, len(live.fusion.store)) if i < 20 else most
        assert len(live.fusion.store) <= most * 1.2 or i < 20
    centres = (live.fusion.store.coords + 0.5) * 8 * 0.03
    assert np.linalg.norm(centres - [59 * 0.2, 0, 0], axis=1).max() < 2.5 * 1.1
    low = min(place[0] for place in live.meshes) * live.tile_m
    assert low > 59 * 0.2 - 2.5 - 2 * live.tile_m
    assert live.fusion.stats.dropped_blocks > 100


def test_the_empty_space_beyond_the_radius_is_dropped_too():
    live = LiveMap(CONFIG, radius_m=2.5)
    counts = []
    for i in range(60):
        live.add(wall(), IMAGE, at(0.2 * i), i * 200_000_000)
        counts.append(len(live.space.coords))
    assert max(counts[20:]) <= 1.2 * max(counts[:20])
    size = 8 * live.space.edge_m
    away = np.linalg.norm((live.space.coords + 0.5) * size - [59 * 0.2, 0, 0], axis=1)
    assert away.max() < 2.5 * 1.05 + 0.87 * size + 0.2
    ahead = np.array([[59 * 0.2, 0.0, 0.6], [1.0, 0.0, 0.6]])
    assert live.space.empty(ahead).tolist() == [True, False]


def test_without_a_reader_nothing_is_remembered_of_what_was_dropped():
    live = LiveMap(CONFIG, radius_m=2.5)
    for i in range(80):
        live.add(wall(), IMAGE, at(0.25 * i), i)
    assert max(abs(place[0] * live.tile_m - 79 * 0.25) for place in live._changed) < 2.5 + 4 * live.tile_m


def test_another_map_takes_its_place():
    live = LiveMap(CONFIG)
    live.add(wall(), IMAGE, at(0), 0)
    shown = {place for place, _ in live.mesh_changes()}
    live.replace(BlockStore(), {})
    assert {place for place, mesh in live.mesh_changes() if mesh is None} == shown
    with pytest.raises(DataError, match="none yet"):
        live.grid(GridConfig())


def test_a_path_is_bounded_and_starts_over_with_time(monkeypatch):
    monkeypatch.setattr(live_map, "MOST_POSES", 10)
    path = CameraPath()
    for i in range(25):
        path.add(i, at(i))
    assert len(path) <= 10 and path.trajectory.stamps_ns[-1] == 24
    assert len(path.sampled(4)) <= 4 and path.sampled(4)[0, 0, 3] == path.trajectory.positions[0, 0]
    path.add(3, at(100))
    assert path.trajectory.stamps_ns[-1] == 3 and path.trajectory.positions[-1, 0] == 100


def test_another_least_weight_is_seen_at_once():
    live = LiveMap(CONFIG)
    live.add(wall(), IMAGE, at(0), 0)
    shown = {place for place, _ in live.mesh_changes()}
    live.configure(MappingConfig(voxel_m=0.03, min_weight=1.5), 0.0)
    assert {place for place, mesh in live.mesh_changes() if mesh is None} == shown


def test_floor_is_free_only_where_the_space_above_was_seen():
    live = LiveMap(CONFIG)
    live.add(floor(), IMAGE, ahead(0.0), 0)
    seen = live.grid(GridConfig(obstacle_max_height_m=0.5))
    live.space.restore(np.empty((0, 3), np.int32), np.empty((0, 512, 2), np.uint16))
    assert (seen.cells == FREE).sum() > 20
    assert not (live.grid(GridConfig(obstacle_max_height_m=0.5)).cells == FREE).any()


def test_a_fast_camera_counts_for_the_empty_space_five_times_a_second():
    live = LiveMap(CONFIG)
    for stamp_ns in (*range(0, 10**9, 50_000_000), 500_000_000):  # 20 Hz, then the clock is set back
        live.add(wall(), IMAGE, at(0), stamp_ns)
    assert live.space.counts[..., 0].max() == 5 + 1
    live.add(wall(), IMAGE, at(0), 600_000_000, "another camera")
    assert live.space.counts[..., 0].max() == 7
    live.configure(MappingConfig(voxel_m=0.03, map_max_depth_m=4.0), 0.0)
    assert live.space.counts[..., 0].max() == 7
    live.replace(BlockStore(), {})
    live.configure(MappingConfig(voxel_m=0.08), 0.0)
    assert live.space.edge_m == 0.16 and not len(live.space.coords)
