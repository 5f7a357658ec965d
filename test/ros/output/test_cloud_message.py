"""The message contract of clouds, and their reused buffers."""

from __future__ import annotations

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import PointCloud2, PointField

from recon3d_ros.geometry import PinholeCamera, PointPacker
from recon3d_ros.ros.output.cloud_message import CloudMessages

H, W = 6, 10


def test_fields_of_the_message():
    msg, points = CloudMessages().take((H, W), 3_000_000_004, "left_optical")
    assert (msg.height, msg.width, msg.point_step, msg.row_step) == (H, W, 16, 16 * W)
    assert msg.is_dense is False and msg.is_bigendian is False
    assert (msg.header.stamp.sec, msg.header.stamp.nanosec) == (3, 4)
    assert msg.header.frame_id == "left_optical"
    described = [(f.name, f.offset, f.datatype, f.count) for f in msg.fields]
    assert described == [(n, 4 * i, PointField.FLOAT32, 1) for i, n in enumerate(("x", "y", "z", "rgb"))]
    assert len(msg.data) == H * W * 16
    assert (points.shape, points.dtype) == ((H, W, 4), np.float32)


def test_packing_writes_the_bytes_that_are_sent():
    camera = PinholeCamera.simple(W, H, fx=20.0)
    depth = np.full((H, W), 2.0, np.float32)
    depth[0, 3] = np.nan
    image = np.zeros((H, W, 3), np.uint8)
    image[:] = (1, 2, 3)
    msg, points = CloudMessages().take((H, W), 0, "")
    PointPacker(camera).pack(depth, image, out=points)
    sent = deserialize_message(serialize_message(msg), PointCloud2)
    received = np.frombuffer(sent.data, np.float32).reshape(H, W, 4)
    assert np.isnan(received[0, 3, :3]).all()
    np.testing.assert_allclose(received[5, 9, :3], [(9 - 4.5) / 20 * 2, (5 - 2.5) / 20 * 2, 2.0], rtol=1e-6)
    assert received[5, 9, 3:].view(np.uint32)[0] == 0x00010203


def test_buffers_are_reused_in_turn_and_remade_for_a_new_size():
    ring = CloudMessages(count=2)
    first, points = ring.take((H, W), 1, "a")
    points[:] = 7.0
    second, _ = ring.take((H, W), 2, "b")
    assert second.data is not first.data
    assert np.frombuffer(first.data, np.float32)[0] == 7.0  # still whole
    third, _ = ring.take((H, W), 3, "c")
    assert third.data is first.data
    other, points = ring.take((H + 1, W), 4, "d")
    assert (other.height, points.shape[0]) == (H + 1, H + 1)
