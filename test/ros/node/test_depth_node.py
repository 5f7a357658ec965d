"""The depth node with a stereo pair: message contract, colours, faults; real rclpy, real DDS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sensor_msgs.msg import PointField

from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.ros.bridge.conversions import (
    cloud_from_msg,
    depth_from_msg,
    image_to_msg,
    info_to_camera,
    ns_to_stamp,
    stamp_to_ns,
)


@pytest.fixture(scope="module")
def bench(make_bench):
    limits = {"min_depth_m": 1.2, "max_depth_m": 4.0, "border_px": 2}
    return make_bench({"model": "fake_stereo", **limits}, "/stereo")


@pytest.fixture(scope="module")
def expected(scene):
    """What the pipeline answers to the very same images, without ROS."""
    estimator = Estimator.open(ModelConfig(model="fake_stereo"))
    rig = scene.rig.as_rectified()
    left, right = scene.picture(0), scene.picture(7)
    frame = Frame(stamp_ns=0, image=left, camera=rig.left, right=right, rig=rig)
    config = PipelineConfig(min_depth_m=1.2, max_depth_m=4.0, border_px=2)
    result = Pipeline(estimator, config).process(frame)
    for kind in (np.isnan, np.isposinf, np.isfinite):
        assert kind(result.depth_map.depth).any()
    return result


def test_cloud_message_field_by_field(bench, scene, expected):
    msg = bench.expect("points", scene.images(), scene.infos())
    assert (msg.height, msg.width) == (scene.height, scene.width)
    assert (msg.point_step, msg.row_step) == (16, 16 * scene.width)
    assert msg.is_dense is False and msg.is_bigendian is False
    assert [(f.name, f.offset, f.datatype, f.count) for f in msg.fields] == [
        (name, offset, PointField.FLOAT32, 1) for name, offset in (("x", 0), ("y", 4), ("z", 8), ("rgb", 12))
    ]
    assert len(msg.data) == scene.height * scene.width * 16
    assert msg.header.frame_id == "left_optical"
    cloud = cloud_from_msg(msg)
    np.testing.assert_array_equal(cloud.xyz, expected.cloud.xyz)
    np.testing.assert_array_equal(cloud.rgb, scene.picture(0))


def test_stamps_of_all_outputs_are_those_of_the_left_image(bench, scene):
    stamp_ns = bench.new_stamp_ns()
    images = scene.images()
    images["right/image_rect"].header.frame_id = "somewhere_else"
    bench.expect("points", scene.images(), scene.infos())  # everything is matched now
    for topic, msg in images.items():
        msg.header.stamp = ns_to_stamp(stamp_ns)
        bench.publish(topic, msg)
    for topic in ("points", "depth/image", "depth/camera_info", "disparity"):
        msg = bench.wait(lambda topic=topic: bench.received_at(topic, {stamp_ns}), what=topic)
        assert msg.header.frame_id == "left_optical"


def test_depth_and_its_camera_info(bench, scene, expected):
    msg = bench.expect("depth/image", scene.images(), scene.infos())
    np.testing.assert_array_equal(depth_from_msg(msg), expected.depth_map.depth)
    assert msg.encoding == "32FC1"
    info = bench.wait(lambda: bench.received_at("depth/camera_info", {stamp_to_ns(msg.header.stamp)}))
    assert (info.width, info.height) == (msg.width, msg.height)
    assert info_to_camera(info) == replace(scene.rig.left.as_rectified(), d=np.zeros(5))


def test_disparity(bench, scene, expected):
    msg = bench.expect("disparity", scene.images(), scene.infos())
    assert (msg.f, msg.t) == (pytest.approx(scene.rig.fx), pytest.approx(scene.rig.baseline_m))
    disparity, depth = depth_from_msg(msg.image), expected.depth_map.depth
    valid = disparity >= msg.min_disparity
    np.testing.assert_array_equal(valid, np.isfinite(depth))  # beyond the limits is invalid here
    np.testing.assert_allclose(msg.f * msg.t / disparity[valid], depth[valid], rtol=1e-5)


@pytest.mark.parametrize("encoding", ["bgr8", "rgba8", "bgra8"])
def test_colour_orders_give_the_same_cloud(bench, scene, encoding):
    reference = bench.expect("points", scene.images("rgb8"), scene.infos())
    other = bench.expect("points", scene.images(encoding), scene.infos())
    assert other.data == reference.data


def test_mono_pairs_and_colour_with_mono(bench, scene):
    grey = scene.images("mono8")
    cloud = cloud_from_msg(bench.expect("points", grey, scene.infos()))
    assert np.all(np.ptp(cloud.rgb.astype(int), axis=2) == 0)


def test_bayer(bench, scene):
    image = np.empty((scene.height, scene.width, 3), np.uint8)
    image[:] = (200, 100, 30)
    mosaic = image[..., 1].copy()
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = 200, 30
    images = scene.images()
    for topic in images:
        images[topic] = image_to_msg(mosaic, 0, "left_optical", "mono8")
        images[topic].encoding = "bayer_rggb8"
    cloud = cloud_from_msg(bench.expect("points", images, scene.infos()))
    np.testing.assert_array_equal(cloud.rgb[1:-1, 1:-1], image[1:-1, 1:-1])


def test_camera_info_is_read_again_when_it_changes(bench, scene):
    near = cloud_from_msg(bench.expect("points", scene.images(), scene.infos()))
    infos = scene.infos()
    infos["right/camera_info"].p[3] *= 1.25

    def scaled():
        msgs = bench.received["points"]
        z = cloud_from_msg(msgs[-1]).data[..., 2]
        both = np.isfinite(z) & near.valid
        return np.allclose(z[both], near.data[..., 2][both] * 1.25, rtol=1e-5)

    bench.wait(scaled, lambda: bench.send(scene.images(), infos), "depth for the new baseline")
    bench.expect("points", scene.images(), scene.infos())


def test_diagnostics_have_rates_latencies_model_and_backend(bench, scene):
    bench.expect("points", scene.images(), scene.infos())
    status = bench.wait(lambda: bench.status() if bench.status()["rate_out_hz"] != "0.00" else None)
    assert (status["model"], status["backend"], status["mode"]) == ("fake_stereo", "fake", "stereo")
    assert float(status["rate_in_hz"]) > 0 and float(status["rate_out_hz"]) > 0
    for name in ("latency_ms", "processing_ms"):
        assert 0 < float(status[f"{name}_p50"]) <= float(status[f"{name}_p95"]) < 10_000
    drops = sum(int(value) for key, value in status.items() if key.startswith("dropped_"))
    assert int(status["dropped"]) == drops
