"""Poses of sensors as a person writes them."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.config import SENSOR_SOURCES, ScaleConfig
from recon3d_ros.config.scale_inputs import ScaleInputConfig, ScalePlan
from recon3d_ros.errors import ConfigError
from recon3d_ros.ros.scale.inputs import TOPICS


def moved(pose, *point):
    return (pose @ [*point, 1.0])[:3]


def test_a_pose_is_said_in_axes_of_the_body():
    poses = ScaleInputConfig(scale_poses=("range 0.1 0.2 -0.3 0 0 0",)).poses()
    # ahead of the sensor is ahead of the camera: z; the sensor itself is left (-x) of it and below (+y)
    np.testing.assert_allclose(moved(poses["range"], 2.0, 0.0, 0.0), [-0.2, 0.3, 2.1])


def test_angles_are_those_of_urdf():
    """R = Rz(yaw) Ry(pitch) Rx(roll): a scanner on its side that looks to the left."""
    pose = ScaleInputConfig(scale_poses=(f"scan 0 0 0 {np.pi / 2} 0 {np.pi / 2}",)).poses()["scan"]
    np.testing.assert_allclose(moved(pose, 1, 0, 0), [-1, 0, 0], atol=1e-9)  # left
    np.testing.assert_allclose(moved(pose, 0, 1, 0), [0, -1, 0], atol=1e-9)  # up
    np.testing.assert_allclose(np.linalg.det(pose[:3, :3]), 1.0)
    down = ScaleInputConfig(scale_poses=(f"range 0 0 0 0 {np.pi / 2} 0",)).poses()["range"]
    np.testing.assert_allclose(moved(down, 1, 0, 0), [0, 1, 0], atol=1e-9)  # pitch is down, REP 103


def test_a_cloud_in_an_optical_frame_is_turned_as_tf_turns_it():
    pose = ScaleInputConfig(scale_poses=("points 0 0 0 -1.5708 0 -1.5708",)).poses()["points"]
    np.testing.assert_allclose(pose, np.eye(4), atol=1e-5)


def test_points_of_a_depth_image_are_optical_ones_already():
    pose = ScaleInputConfig(scale_poses=("depth_image 0 -0.06 0 0 0 0",)).poses()["depth_image"]
    np.testing.assert_allclose(moved(pose, 0.5, 0.25, 2.0), [0.56, 0.25, 2.0], atol=1e-12)


@pytest.mark.parametrize(
    "entry", ["", "range", "range 0 0 0", "sonar 0 0 0 0 0 0", "scan 0 0 0 0 0 x", "scan 0 0 0 0 0 nan"]
)
def test_what_is_no_pose_is_refused(entry):
    with pytest.raises(ConfigError, match="six numbers"):
        ScaleInputConfig(scale_poses=(entry,))


def test_a_source_is_named_once():
    with pytest.raises(ConfigError, match="scan twice"):
        ScaleInputConfig(scale_poses=("scan 0 0 0 0 0 0", "scan 1 0 0 0 0 0"))


def plan(*sources, camera_height_m=1.0, **inputs):
    config = ScaleConfig(scale_sources=sources, camera_height_m=camera_height_m)
    return ScalePlan(config, ScaleInputConfig(**inputs))


def test_every_sensor_has_a_topic():
    assert set(TOPICS) == set(SENSOR_SOURCES)


def test_tf_is_asked_for_what_has_no_pose():
    pose = "scan 0 0 0 0 0 0"
    assert not plan().needs_tf and not plan("fixed", "floor").needs_tf
    assert plan("scan").needs_tf and not plan("scan", scale_poses=(pose,)).needs_tf
    assert plan("scan", "range", scale_poses=(pose,)).needs_tf
    assert plan("floor", floor_frame="base").needs_tf
    assert not plan("fixed", floor_frame="base").needs_tf  # nobody asks how the camera hangs


def test_a_floor_needs_a_height():
    with pytest.raises(ConfigError, match="camera_height_m 0 and no floor_frame"):
        plan("floor", camera_height_m=0.0)
    assert plan("floor", camera_height_m=0.0, floor_frame="base").floor_frame == "base"


def test_where_tf_tells_the_mount_the_parameters_do_not():
    """Or a camera that is tilted would count as level whenever its transform is late."""
    assert plan("floor").recovery.camera_height_m == 1.0
    assert plan("floor", floor_frame="base").recovery.camera_height_m == 0.0
    assert plan("floor", floor_frame="base").config.camera_height_m == 1.0
