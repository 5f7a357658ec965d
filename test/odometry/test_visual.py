from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.errors import CalibrationError, ConfigError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.odometry import Status, VisualOdometry


def covered(frame, depth_map):
    """What a hand before the lens leaves."""
    nothing = np.full_like(depth_map.depth, np.nan)
    return replace(frame, image=np.full_like(frame.image, 9)), DepthMap(nothing, depth_map.camera)


def distance(step, pose):
    return np.linalg.norm(step.T_map_camera[:3, 3] - pose[:3, 3])


def test_a_walk_is_followed(walk):
    odometry = VisualOdometry()
    steps = [odometry.track(*walk[i]) for i in range(12)]
    assert [step.status for step in steps] == [Status.NEW_SUBMAP] + [Status.TRACKED] * 11
    assert distance(steps[-1], walk.pose(11)) < 0.03 * np.linalg.norm(walk.pose(11)[:3, 3])
    for step in steps:  # what is kept relative to a keyframe is the same pose
        again = odometry.keyframes[step.keyframe].T_map_camera @ step.T_keyframe_camera
        np.testing.assert_allclose(again, step.T_map_camera, atol=1e-9)


def test_standing_still_does_not_walk(walk):
    frame, depth_map = walk[3]
    odometry, rng = VisualOdometry(), np.random.default_rng(0)
    for _ in range(20):
        noise = rng.normal(0, 3, frame.image.shape)
        image = np.clip(frame.image + noise, 0, 255).astype(np.uint8)
        depth = depth_map.depth * rng.normal(1, 0.01, depth_map.depth.shape).astype(np.float32)
        step = odometry.track(replace(frame, image=image), DepthMap(depth, depth_map.camera))
        assert distance(step, np.eye(4)) < 0.01
    assert len(odometry.keyframes) == 1


def test_a_covered_camera_is_lost_and_found_again(walk):
    odometry = VisualOdometry()
    for i in range(3):
        odometry.track(*walk[i])
    hidden = [odometry.track(*covered(*walk[i])) for i in (3, 4)]
    assert [step.status for step in hidden] == [Status.LOST] * 2
    assert all(step.T_map_camera is None and "covered" in step.reason for step in hidden)
    step = odometry.track(*walk[5])
    assert step.status in (Status.TRACKED, Status.RELOCATED) and step.submap == 0
    assert distance(step, walk.pose(5)) < 0.02


def test_a_jump_to_another_place_begins_a_submap(walk):
    odometry = VisualOdometry()
    odometry.track(*walk[0])
    frame, depth_map = walk[0]
    elsewhere = np.random.default_rng(1).permutation(frame.image.ravel()).reshape(frame.image.shape)
    step = odometry.track(replace(frame, image=elsewhere), depth_map)
    assert (step.status, step.submap) == (Status.NEW_SUBMAP, 1)
    assert "connect" in step.reason and (step.T_map_camera == np.eye(4)).all()


def test_the_first_frame_may_be_covered(walk):
    odometry = VisualOdometry()
    assert odometry.track(*covered(*walk[0])).status is Status.LOST
    assert odometry.track(*walk[1]).status is Status.NEW_SUBMAP


def test_the_same_twice_is_the_same(walk):
    twice = []
    for _ in range(2):
        odometry = VisualOdometry()
        twice.append(np.stack([odometry.track(*walk[i]).T_map_camera for i in range(6)]).tobytes())
    assert twice[0] == twice[1]


def test_another_camera_is_refused(walk):
    odometry = VisualOdometry()
    frame, depth_map = walk[0]
    odometry.track(frame, depth_map)
    other = PinholeCamera.simple(321, 241, 111.0)
    with pytest.raises(CalibrationError, match="one camera"):
        odometry.track(replace(frame, camera=other, right=None, rig=None), DepthMap(depth_map.depth, other))


def test_limits_of_the_options():
    with pytest.raises(ConfigError, match="odometry_points"):
        OdometryConfig(odometry_points=3)
