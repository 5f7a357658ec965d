"""Frames of cameras by tf; what needs publishers is tested with the doctor."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from geometry_msgs.msg import TransformStamped

from recon3d_ros.ros.doctor.frames import TfTree, check_frames
from recon3d_ros.ros.doctor.topic_monitor import CameraMonitor


def transform(parent, child, q=(0.0, 0.0, 0.0, 1.0)):
    msg = TransformStamped(child_frame_id=child)
    msg.header.frame_id = parent
    r = msg.transform.rotation
    r.x, r.y, r.z, r.w = q
    return msg


OPTICAL_Q = (-0.5, 0.5, -0.5, 0.5)  # z forward, x right, in a frame of x forward, y left


@pytest.mark.parametrize(
    ("frame", "kinds"),
    [
        ("eye_optical", []),
        ("eye", []),  # z forward by tf, whatever its name
        ("body_optical", ["frame_id"]),
        ("lonely_optical", ["tf"]),
        ("base_link", ["frame_id"]),  # a root: only its name tells
        ("round_a", ["frame_id"]),
        ("right_of_optical_root", []),
    ],
)
def test_frames_by_tf(frame, kinds):
    tree = TfTree()
    tree.add([transform("base_link", "mast"), transform("mast", "eye", OPTICAL_Q)])
    tree.add([transform("eye", "eye_optical"), transform("/mast", "/body_optical", (0.0, 0.0, 0.0, 0.0))])
    tree.add([transform("round_b", "round_a"), transform("round_a", "round_b")])
    tree.add([transform("left_optical", "right_of_optical_root")])
    monitor = SimpleNamespace(topic="/image", frame_ids=[frame], recent=[])
    camera = CameraMonitor(monitor, monitor, monitor)
    assert [finding.kind for finding in check_frames(camera, tree)] == kinds
