"""Bytes of raw subscriptions against the messages that rclpy makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo

from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.messages.image_cdr import ImageView
from recon3d_ros.ros.bridge import serialized
from recon3d_ros.ros.bridge.conversions import (
    camera_to_info,
    image_to_msg,
    msg_to_image,
    ns_to_stamp,
    stamp_to_ns,
)
from recon3d_ros.ros.bridge.serialized import InfoReader, image_of

RGB = np.random.default_rng(0).integers(0, 256, (5, 9, 3), dtype=np.uint8)
NO_MESSAGES = [b"", b"\0\1\0\0", b"no message at all"]


@pytest.mark.parametrize("frame_id", ["", "left", "left_optical", "gauche_é"])
@pytest.mark.parametrize("encoding", ["rgb8", "mono16", "bgra8"])
def test_images_are_the_same_as_those_of_rclpy(encoding, frame_id):
    msg = image_to_msg(RGB, 5_000_000_007, frame_id, encoding)
    got = image_of(serialize_message(msg))
    assert isinstance(got, ImageView) == frame_id.isascii()
    assert stamp_to_ns(got.header.stamp) == 5_000_000_007
    for name in ("height", "width", "encoding", "is_bigendian", "step"):
        assert getattr(got, name) == getattr(msg, name)
    assert got.header.frame_id == frame_id and bytes(got.data) == msg.data.tobytes()
    np.testing.assert_array_equal(msg_to_image(got), msg_to_image(msg))


@pytest.mark.parametrize("whole", NO_MESSAGES)
def test_bytes_that_are_no_message_are_refused_in_words(whole):
    with pytest.raises(ImageError, match=f"expected a serialized sensor_msgs/Image, got {len(whole)} bytes"):
        image_of(whole)
    reader = InfoReader()
    for _ in range(2):  # the second time, too
        with pytest.raises(CalibrationError, match="expected a serialized sensor_msgs/CameraInfo, got"):
            reader.read(whole)
    assert reader.newest is None


def info_bytes(stamp_ns: int, fx: float = 500.0, frame_id: str = "left") -> bytes:
    return serialize_message(camera_to_info(PinholeCamera.simple(64, 48, fx=fx), stamp_ns, frame_id))


def test_camera_infos_that_differ_in_their_stamp_alone_are_made_once(monkeypatch):
    made = []

    def counted(whole, msg_type):
        made.append(msg_type)
        return deserialize_message(whole, msg_type)

    monkeypatch.setattr(serialized, "deserialize_message", counted)
    reader = InfoReader()
    assert reader.newest is None
    first = reader.read(info_bytes(1))
    assert reader.read(info_bytes(2)) is first and made == [CameraInfo]
    assert reader.newest.header.stamp == ns_to_stamp(2)
    for other in (info_bytes(3, fx=501.0), info_bytes(4, frame_id="left_"), info_bytes(5, frame_id="right")):
        assert reader.read(other) == deserialize_message(other, CameraInfo)
        assert reader.newest == deserialize_message(other, CameraInfo)


def test_bytes_that_are_no_message_leave_what_was_read():
    reader = InfoReader()
    first = reader.read(info_bytes(1))
    with pytest.raises(CalibrationError):
        reader.read(info_bytes(2)[:40])
    assert reader.read(info_bytes(3)) is first
