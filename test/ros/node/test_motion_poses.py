"""Poses of a moving camera: those of tf, as long as a camera can have moved so."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.config import NodeConfig
from recon3d_ros.errors import FrameError, PoseError
from recon3d_ros.geometry import Frame, PinholeCamera
from recon3d_ros.ros.node.motion_poses import MotionPoses

CAMERA = PinholeCamera.simple(8, 6, 5.0)


class Told:
    """A source of transforms that tells what it is told, and remembers how long it was to wait."""

    def __init__(self) -> None:
        self.place = np.zeros(3)
        self.waits_s: list[float] = []

    def start(self) -> None:
        """There is nothing to listen to."""

    def lookup(self, target_frame, source_frame, stamp_ns, patience_s=0.1):
        if (target_frame, source_frame) != ("odom", "optical"):
            raise FrameError("expected a transform, got none: publish it")
        self.waits_s.append(patience_s)
        pose = np.eye(4)
        pose[:3, 3] = self.place
        return pose


def frame(stamp_ms: int, frame_id: str = "optical") -> Frame:
    return Frame(stamp_ms * 1_000_000, np.zeros((6, 8), np.uint8), CAMERA, frame_id=frame_id)


def test_a_frame_gets_its_pose_and_waits_as_long_as_it_may():
    told = Told()
    poses = MotionPoses(told, NodeConfig(motion_frame="/odom", motion_pose_wait_ms=150.0))
    told.place = np.array([1.0, 2.0, 3.0])
    assert poses.posed(frame(0)).T_world_camera[:3, 3].tolist() == [1.0, 2.0, 3.0]
    poses.configure(NodeConfig(motion_pose_wait_ms=0.0))
    poses.posed(frame(1))
    assert told.waits_s == [0.15, 0.0]
    with pytest.raises(FrameError, match="publish it"):
        poses.posed(frame(2, "elsewhere"))


def test_a_jump_is_told_once_and_the_new_place_is_taken():
    told = Told()
    poses = MotionPoses(told, NodeConfig(max_speed_mps=1.0))
    poses.posed(frame(0))
    told.place = np.array([5.0, 0.0, 0.0])
    with pytest.raises(PoseError, match=r"a jump of 5.00 m in 0.100 s; no earlier image") as caught:
        poses.posed(frame(100))
    assert "fused" not in str(caught.value)
    assert poses.posed(frame(200)).T_world_camera[0, 3] == 5.0
    poses.forget()
    told.place = np.zeros(3)
    assert poses.posed(frame(300)).T_world_camera[0, 3] == 0.0
    told.place = np.array([np.nan, 0.0, 0.0])
    with pytest.raises(PoseError, match="finite numbers"):
        poses.posed(frame(400))


def test_a_faster_camera_may_be_allowed_while_it_runs():
    told = Told()
    poses = MotionPoses(told, NodeConfig(max_speed_mps=1.0))
    poses.posed(frame(0))
    poses.configure(NodeConfig(max_speed_mps=100.0))
    told.place = np.array([5.0, 0.0, 0.0])
    assert poses.posed(frame(100)).T_world_camera[0, 3] == 5.0
