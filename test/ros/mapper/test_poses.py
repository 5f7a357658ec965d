"""The map node with its own odometry: where the camera was, and what it says of it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.errors import PoseError
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.messages.kinds import matrix_of, stamp_to_ns
from recon3d_ros.ros.bridge.transforms import FixedSource
from recon3d_ros.ros.mapper.poses import OdometryPoses

pytest.importorskip("skimage")
WALK = [(-1.6 + 0.03 * i, 0.01 * i, -0.2 + 0.03 * i) for i in range(10)]


@pytest.fixture(scope="module")
def bench(make_map_bench):
    return make_map_bench("/odometry", poses="odometry")


def pose_of(msg) -> np.ndarray:
    return matrix_of(msg.pose.pose.position, msg.pose.pose.orientation)


def test_the_motion_is_that_of_the_camera(bench):
    room = bench.room
    for place in WALK:
        bench.fuse(room.pose(*place))
    msg = bench.newest("odom", lambda msg: stamp_to_ns(msg.header.stamp) == bench.stamp_ns)
    assert (msg.header.frame_id, msg.child_frame_id) == ("odom", "camera_optical")
    first = bench.received["odom"][0]
    moved = np.linalg.inv(pose_of(first)) @ pose_of(msg)
    true = np.linalg.inv(room.pose(*WALK[0])) @ room.pose(*WALK[-1])
    assert np.linalg.norm(moved[:3, 3] - true[:3, 3]) < 0.02
    assert np.trace(moved[:3, :3].T @ true[:3, :3]) > 2.9995
    speed = np.array([msg.twist.twist.linear.x, msg.twist.twist.linear.y, msg.twist.twist.linear.z])
    step = np.linalg.inv(room.pose(*WALK[-2])) @ room.pose(*WALK[-1])
    assert np.linalg.norm(speed - step[:3, 3] / 0.1) < 0.1


def test_the_map_is_level_on_the_floor_in_view(bench):
    pose = pose_of(bench.received["odom"][0])
    assert pose[2, 3] == pytest.approx(0.9, abs=0.02)
    tilt = np.degrees(np.arcsin(-pose[2, 2]))
    assert tilt == pytest.approx(25, abs=1.0)
    msg = bench.newest("map/grid", lambda msg: 0 in msg.data and 100 in msg.data)
    assert abs(msg.info.origin.position.z) < 0.03


@pytest.mark.skipif(importlib.util.find_spec("tf2_msgs") is not None, reason="tf2_msgs is installed here")
def test_without_tf2_msgs_it_says_so_once_and_goes_on(make_map_bench, capfd):
    bench = make_map_bench("/no_tf2_msgs", poses="odometry")
    for place in WALK[:2]:
        bench.fuse(bench.room.pose(*place))
    bench.newest("odom", lambda msg: True)
    assert capfd.readouterr().err.count("expected tf2_msgs") == 1


def test_a_covered_camera_finds_its_place_again(bench):
    room = bench.room
    bench.refuse(room.pose(*WALK[-1]), "image", image=np.full((123, 164, 3), 7, np.uint8))
    bench.fuse(room.pose(*WALK[-2]))
    msg = bench.newest("odom", lambda msg: stamp_to_ns(msg.header.stamp) == bench.stamp_ns)
    moved = np.linalg.inv(pose_of(bench.received["odom"][0])) @ pose_of(msg)
    true = np.linalg.inv(room.pose(*WALK[0])) @ room.pose(*WALK[-2])
    assert np.linalg.norm(moved[:3, 3] - true[:3, 3]) < 0.02


def test_a_place_that_nothing_connects_is_refused_until_a_reset(bench):
    from std_srvs.srv import Trigger

    elsewhere = bench.room.pose(0.5, 0.8, 3.0)
    said = bench.refuse(elsewhere, "pose")
    assert "nothing connects" in said and "~/reset" in said
    bench.refuse(elsewhere, "pose")
    loaded = bench.call(Trigger, "load_map")
    assert not loaded.success and "poses tf" in loaded.message
    assert bench.call(Trigger, "reset").success
    bench.fuse(elsewhere)


def frame_and_depth(room, pose, stamp_ns: int = 0) -> tuple[Frame, DepthMap]:
    depth, image = room.view(pose)
    return Frame(stamp_ns, image, room.camera, frame_id="optical"), DepthMap(depth, room.camera)


def test_the_robot_begins_at_the_origin_with_a_base_frame(bench):
    T_base_optical = bench.room.pose(0.2, 0.0, 0.1)
    source = FixedSource({("base_link", "optical"): T_base_optical})
    poses = OdometryPoses(OdometryConfig(), source, "base_link")
    found = poses.pose(*frame_and_depth(bench.room, bench.room.pose(*WALK[0])), 0)
    np.testing.assert_allclose(found.T_map_camera, T_base_optical, atol=1e-9)


def test_what_nothing_connects_is_another_part_and_too_little_is_told(bench):
    poses, room = OdometryPoses(OdometryConfig(), FixedSource({}), ""), bench.room
    first = poses.pose(*frame_and_depth(room, room.pose(*WALK[0])), 0)
    other = poses.pose(*frame_and_depth(room, room.pose(0.5, 0.8, 3.0)), 1)
    assert other.part == first.part + 1
    poses.forget()
    assert poses.pose(*frame_and_depth(room, room.pose(0.5, 0.8, 3.0)), 2).part == other.part + 1
    blank = DepthMap(np.full(room.camera.image_shape_hw, np.nan, np.float32), room.camera)
    with pytest.raises(PoseError, match="expected enough texture"):
        poses.pose(Frame(3, np.zeros((123, 164, 3), np.uint8), room.camera, frame_id="optical"), blank, 3)


def test_memory_of_the_odometry_is_bounded(bench):
    poses, room = OdometryPoses(OdometryConfig(), FixedSource({}), ""), bench.room
    for i in range(12):
        poses.pose(*frame_and_depth(room, room.pose(*WALK[i % 10])), i)
    odometry = poses._odometry
    assert not odometry.keyframes and not odometry.edges and len(odometry.steps) == 1
