"""Frames of cameras by tf; what needs publishers is tested with the doctor."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped

from recon3d_ros.ros.doctor.camera_symptoms import of_frames, of_pair
from recon3d_ros.ros.doctor.watch import CameraStreams, TfTree


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
    stream = SimpleNamespace(topic="/image", frame_ids=[frame], recent=[])
    camera = CameraStreams(stream, stream, stream)
    assert [symptom.kind for symptom in of_frames(camera, tree)] == kinds


def stream(topic, stamps_ms):
    """What of_pair reads of a stream."""
    stamps = np.array(stamps_ms, np.int64) * 1_000_000
    return SimpleNamespace(
        topic=topic, count=len(stamps), stamps_ns=list(stamps), period_ns=float(np.median(np.diff(stamps)))
    )


EVERY_200_MS = np.arange(0, 10_000, 200)


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        (EVERY_200_MS, EVERY_200_MS, None),
        (EVERY_200_MS + 70, EVERY_200_MS, "got them 70 ms off (100% of the images have no partner)"),
        (EVERY_200_MS + 1_000_000, EVERY_200_MS, "synchronise their clocks"),  # a clock of its own
        (np.arange(0, 10_000, 100), EVERY_200_MS, "50% of the images have no partner"),  # twice the rate
        # A third of each is lost, not the same one: what is left meets.
        (np.delete(EVERY_200_MS, np.s_[::3]), np.delete(EVERY_200_MS, np.s_[1::3]), None),
        (
            np.delete(EVERY_200_MS, np.s_[::3]) + 70,
            np.delete(EVERY_200_MS, np.s_[1::3]),
            "100% of the images have no partner",
        ),
    ],
)
def test_stamps_that_do_not_meet_are_told_from_images_that_were_lost(left, right, said):
    found = list(of_pair(stream("left", left), stream("right", right), 10.0))
    assert [symptom.kind for symptom in found] == (["unsynchronised"] if said else [])
    assert not said or said in found[0].message
