from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.errors import DataError, ImageError
from recon3d_ros.geometry import DepthMap
from recon3d_ros.offline.camera_path import estimate_path
from recon3d_ros.world import WorldCamera

pytest.importorskip("gtsam")
WORLD = WorldCamera(size_wh=(241, 161))


def exact(sample):
    return DepthMap(sample.depth, sample.frame.camera)


def recording(count, broken=()):
    def load(i):
        if i in broken:
            raise ImageError("torn")
        return WORLD.sample(i)

    return LazySequence(range(count), load)


def test_the_path_of_a_walk():
    found = estimate_path(recording(6), exact, OdometryConfig(), first=10)
    assert found.trajectory.key == "order" and found.trajectory.stamps_ns.tolist() == [*range(10, 16)]
    truth = np.linalg.inv(WORLD.pose(0)) @ WORLD.pose(5)
    assert np.linalg.norm(found.trajectory.positions[5] - truth[:3, 3]) < 0.05
    poses = [WORLD.pose(i)[:3, 3] for i in range(6)]
    length_m = np.linalg.norm(np.diff(poses, axis=0), axis=1).sum()
    assert found.trajectory.length_m == pytest.approx(length_m, rel=0.05)
    assert found.summary.startswith("odometry: 6 of 6 frames along 0.5") and not found.unposed


def test_frames_without_depth_or_pixels_are_told():
    def blind(sample):
        depth_map = exact(sample)
        if sample.name.endswith("3"):
            depth_map = DepthMap(np.full_like(depth_map.depth, np.nan), depth_map.camera)
        return depth_map

    found = estimate_path(recording(6, broken=(1,)), blind, OdometryConfig(), first=0)
    # frame 3 has a pose: its pixels are tracked, though it has no depth of its own
    assert found.trajectory.stamps_ns.tolist() == [0, 2, 3, 4, 5]
    assert "5 of 6 frames" in found.summary


def test_no_depth_at_all_is_refused():
    nothing = np.full((161, 241), np.nan, np.float32)
    with pytest.raises(DataError, match="covered or dark"):
        estimate_path(recording(2), lambda s: DepthMap(nothing, s.frame.camera), OdometryConfig(), first=0)
