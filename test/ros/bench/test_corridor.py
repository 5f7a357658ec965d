"""The corridor of the walks: what is seen at a pose is where it stands."""

from __future__ import annotations

import numpy as np

from recon3d_ros.ros.bench.corridor import PERIOD_S, START_NS, Corridor, CorridorPoses, pose_at


def points_of(corridor: Corridor, depth: np.ndarray, pose: np.ndarray) -> np.ndarray:
    cam = corridor.camera
    v, u = np.mgrid[: cam.height, : cam.width]
    rays = np.stack([(u - cam.cx) / cam.fx, (v - cam.cy) / cam.fy, np.ones(u.shape)], axis=-1)
    return (rays * depth[..., None]) @ pose[:3, :3].T + pose[:3, 3]


def test_what_is_seen_lies_on_floor_walls_ceiling_and_pillars():
    corridor = Corridor((80, 60))
    for seconds in (0.0, 3.3, 1000.7):
        pose = pose_at(seconds)
        depth, image = corridor.view(pose)
        assert depth.shape == (60, 80) and image.shape == (60, 80, 3) and (depth > 0).all()
        x, y, z = points_of(corridor, depth, pose)[depth < 8].T
        off = np.min([np.abs(z), np.abs(z - 2.4), np.abs(np.abs(y) - 1.5), np.abs(np.abs(y) - 1.1)], axis=0)
        side = np.min([x % 3.0, 3.0 - x % 3.0, np.abs(x % 3.0 - 0.4)], axis=0)
        assert np.minimum(off, side).max() < 1e-3
        assert (np.abs(np.abs(y) - 1.1) < 1e-3).any()  # a pillar
        assert np.ptp(image) > 100


def test_after_a_period_the_same_is_seen():
    corridor = Corridor((80, 60))
    for seconds in (1.2, 20.0):
        depth, image = corridor.view(pose_at(seconds))
        again, image_again = corridor.view(pose_at(seconds + PERIOD_S))
        np.testing.assert_allclose(again, depth, rtol=1e-4)
        assert (image != image_again).any(axis=-1).mean() < 0.01  # at the edges of its cells


def test_the_walk_goes_on_at_a_metre_a_second_and_the_source_tells_it():
    source = CorridorPoses()
    source.start()
    poses = [source.lookup("odom", "camera_optical", START_NS + i * 200_000_000) for i in range(50)]
    steps = np.diff([pose[:3, 3] for pose in poses], axis=0)
    np.testing.assert_allclose(steps[:, 0], 0.2, atol=1e-9)
    assert np.linalg.norm(steps, axis=1).max() < 0.25
    for pose in poses:
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        assert pose[2, 2] < 0  # looks down, to see the floor
    np.testing.assert_array_equal(poses[5], pose_at(1.0))
