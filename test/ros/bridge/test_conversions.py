"""Messages to the package's types and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.errors import CalibrationError, DataError, ImageError
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.ros.bridge import conversions
from recon3d_ros.ros.output.cloud_message import CloudMessages

H, W = 5, 9
RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_are_exact(stamp_ns):
    assert conversions.stamp_to_ns(conversions.ns_to_stamp(stamp_ns)) == stamp_ns


@pytest.mark.parametrize("encoding", ["", "rgb8", "bgr8", "rgba8", "bgra8"])
def test_image_round_trip(encoding):
    msg = conversions.image_to_msg(RGB, 5_000_000_007, "cam", encoding)
    assert (msg.header.stamp.sec, msg.header.stamp.nanosec, msg.header.frame_id) == (5, 7, "cam")
    assert (msg.height, msg.width, msg.encoding) == (H, W, encoding or "rgb8")
    np.testing.assert_array_equal(conversions.msg_to_image(msg), RGB)


@pytest.mark.parametrize("encoding", ["", "mono8", "mono16"])
def test_mono_round_trip(encoding):
    msg = conversions.image_to_msg(RGB[..., 0], 0, "cam", encoding)
    np.testing.assert_array_equal(conversions.msg_to_image(msg), RGB[..., 0])


@pytest.mark.parametrize("image", [RGB, RGB[..., 0]])
def test_compressed_round_trip(image):
    msg = conversions.compressed_to_msg(image, 7, "cam", "png")
    assert "png" in msg.format and msg.header.frame_id == "cam"
    np.testing.assert_array_equal(conversions.msg_to_image(msg), image)


def test_unknown_codec():
    with pytest.raises(ImageError, match="'webp'"):
        conversions.compressed_to_msg(RGB, 0, "", "webp")


def full_camera() -> PinholeCamera:
    k = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
    p = np.array([[480.0, 0, 310, -48], [0, 480, 235, 0], [0, 0, 1, 0]])
    angle = np.deg2rad(3)
    r = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    d = np.array([0.1, -0.2, 1e-3, 2e-3, 0.05])
    return PinholeCamera(640, 480, k, d, "plumb_bob", r, p, 2, 2, (10, 20, 600, 400))


def test_camera_info_round_trip_is_exact():
    info = conversions.camera_to_info(full_camera(), 9, "cam")
    assert (info.header.stamp.nanosec, info.header.frame_id) == (9, "cam")
    assert conversions.info_to_camera(info) == full_camera()


def test_rectified_camera_comes_from_p_alone():
    info = conversions.camera_to_info(full_camera(), 0, "cam")
    info.distortion_model, info.d = "a_model_of_the_future", [1.0]
    camera = conversions.info_to_camera(info, rectified=True)
    assert camera == replace(
        full_camera(), k=full_camera().p[:, :3], d=np.empty(0), distortion_model="plumb_bob", r=np.eye(3)
    )
    with pytest.raises(CalibrationError, match="a_model_of_the_future"):
        conversions.info_to_camera(info)


@pytest.mark.parametrize("name", ["k", "p"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_uncalibrated(name, value):
    info = conversions.camera_to_info(full_camera(), 0, "front")
    getattr(info, name)[0] = value
    with pytest.raises(CalibrationError, match=rf"{name.upper()}\[0\].*'front'.*calibrate"):
        conversions.info_to_camera(info, rectified=name == "p")


@pytest.mark.parametrize("name", ["k", "p", "d", "r"])
def test_nan_anywhere(name):
    info = conversions.camera_to_info(full_camera(), 0, "front")
    getattr(info, name)[2] = float("nan")
    with pytest.raises(CalibrationError):
        conversions.info_to_camera(info)


def test_depth_round_trip_keeps_nan_and_inf():
    depth = np.array([[1.5, np.nan, np.inf], [0.25, 3, 4]], np.float32)
    msg = conversions.depth_to_msg(depth, 1, "cam")
    assert (msg.encoding, msg.step, msg.height, msg.width) == ("32FC1", 12, 2, 3)
    np.testing.assert_array_equal(conversions.depth_from_msg(msg), depth)


def test_depth_of_another_encoding():
    with pytest.raises(ImageError, match="rgb8"):
        conversions.depth_from_msg(conversions.image_to_msg(RGB, 0, ""))


def test_disparity_message():
    rig = StereoRig.simple(W, H, fx=100.0, baseline_m=0.2, doffs_px=1.5)
    disparity = np.full((H, W), 4.0, np.float32)
    disparity[1, 2] = np.nan
    msg = conversions.disparity_to_msg(disparity, rig, (5.0, 20.0), 2, 3, "left")
    assert (msg.f, msg.t) == (100.0, pytest.approx(0.2))
    assert (msg.min_disparity, msg.max_disparity) == (pytest.approx(1.0), pytest.approx(4.0))
    window = msg.valid_window
    assert (window.x_offset, window.y_offset, window.width, window.height) == (2, 2, W - 4, H - 4)
    assert (msg.image.encoding, msg.header.frame_id, msg.image.header.frame_id) == ("32FC1", "left", "left")
    values = np.frombuffer(msg.image.data, np.float32).reshape(H, W)
    assert values[1, 2] == pytest.approx(0.0)
    # DisparityImage.msg: d is without the offset of the principal points, and Z = f T / d.
    assert np.sum(values == 2.5) == H * W - 1
    assert msg.f * msg.t / 2.5 == pytest.approx(rig.depth_from_disparity(disparity)[0, 0])


def test_disparity_limits_without_nearest_depth():
    rig = StereoRig.simple(W, H, fx=100.0, baseline_m=0.2)
    msg = conversions.disparity_to_msg(np.ones((H, W), np.float32), rig, (0.0, 20.0), 0, 0, "left")
    assert msg.max_disparity == W


def test_cloud_messages_are_read_without_a_copy():
    msg, points = CloudMessages().take((H, W), 4, "cam")
    points[:] = RNG.random((H, W, 4), np.float32)
    cloud = conversions.cloud_from_msg(msg)
    assert cloud.shape_hw == (H, W)
    np.testing.assert_array_equal(cloud.data, points)
    assert np.shares_memory(cloud.data, points)


def test_clouds_of_other_fields_are_read_with_their_names():
    fields = ("x", "y", "z", "intensity", "sigma")
    msg, points = CloudMessages().take((H, W), 4, "cam", fields)
    points[:] = RNG.random((H, W, 5), np.float32)
    cloud = conversions.cloud_from_msg(msg)
    assert cloud.fields == fields
    np.testing.assert_array_equal(cloud["sigma"], points[..., 4])


@pytest.fixture
def cloud_msg():
    return CloudMessages().take((2, 3), 4, "cam")[0]


def test_truncated_cloud(cloud_msg):
    cloud_msg.data = cloud_msg.data[:-8]
    with pytest.raises(DataError, match="truncated"):
        conversions.cloud_from_msg(cloud_msg)


def without_colours(msg):
    msg.fields = msg.fields[:3]


def wider(msg):
    msg.point_step = 20


def odd_step(msg):
    msg.point_step = 18


def doubles(msg):
    msg.fields[2].datatype = 8


def other_order(msg):
    msg.fields[0].name, msg.fields[1].name = "y", "x"


def big_endian(msg):
    msg.is_bigendian = True


CHANGES = [without_colours, wider, odd_step, doubles, other_order, big_endian]


@pytest.mark.parametrize("change", CHANGES)
def test_clouds_of_others_are_not_misread(cloud_msg, change):
    change(cloud_msg)
    with pytest.raises(DataError, match="without gaps"):
        conversions.cloud_from_msg(cloud_msg)
