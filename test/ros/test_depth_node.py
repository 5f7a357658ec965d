"""The depth node with a stereo pair: message contract, colours, faults; real rclpy, real DDS."""

from __future__ import annotations

import re
import threading
import time
from array import array

import numpy as np
import pytest
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointField

from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.estimator import Estimator
from recon3d_ros.geometry import Frame
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.ros.conversions import (
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
    assert info_to_camera(info) == scene.rig.left.as_rectified()


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


def k0_is_zero(images, infos):
    infos["left/camera_info"].k[0] = 0.0


def calibration_is_nan(images, infos):
    infos["right/camera_info"].p[0] = float("nan")


def calibration_has_inf(images, infos):
    infos["left/camera_info"].p[2] = float("inf")


def sides_are_swapped(images, infos):
    infos["right/camera_info"].p[3] *= -1


def camera_info_has_another_size(images, infos):
    for info in infos.values():
        info.width *= 2


def encoding_is_unknown(images, infos):
    images["left/image_rect"].encoding = "bgr10"


def data_is_truncated(images, infos):
    images["right/image_rect"].data = images["right/image_rect"].data[:-100]


def image_is_empty(images, infos):
    image = images["left/image_rect"]
    image.height = image.width = image.step = 0
    image.data = array("B")


def right_image_is_smaller(images, infos):
    image = images["right/image_rect"]
    image.height -= 2
    image.data = image.data[: image.height * image.step]


FAULTS = [
    (k0_is_zero, "camera_info", r"K\[0\] = 0"),
    (calibration_is_nan, "camera_info", r"P\[0\] = nan"),
    (calibration_has_inf, "camera_info", "finite numbers in P"),
    (sides_are_swapped, "camera_info", "(?i)swap"),
    (camera_info_has_another_size, "camera_info", "camera_info says 128x48, the image is 64x48"),
    (encoding_is_unknown, "image", "bgr10"),
    (data_is_truncated, "image", "truncated"),
    (image_is_empty, "image", "0x0"),
    (right_image_is_smaller, "camera_info", "64x46"),
]


@pytest.mark.parametrize(("spoil", "cause", "words"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_a_fault_is_counted_and_named_and_the_next_good_frame_works(bench, scene, spoil, cause, words):
    images, infos = scene.images(), scene.infos()
    spoil(images, infos)
    before = int(bench.status()[f"dropped_{cause}"])
    clouds = len(bench.received["points"])

    def seen():
        status = bench.status()
        new = int(status[f"dropped_{cause}"]) > before
        return status if new and status["level"] != "0" and matches(words, status["message"]) else None

    bench.wait(seen, lambda: bench.send(images, infos), f"no {cause} fault that says {words!r}")
    # The log is throttled by kind, numbers aside: the test before may have used up this kind.
    kind = re.sub(r"\b\d+(?=x)|(?<=x)\d+", r"\\d+", words)
    assert bench.wait(lambda: [w for w in bench.warnings() if matches(kind, w)])
    assert len(bench.received["points"]) == clouds
    bench.expect("points", scene.images(), scene.infos())


def matches(words, text):
    return re.search(words, text) is not None


def test_stamps_that_never_match(bench, scene):
    bench.expect("points", scene.images(), scene.infos())
    before = int(bench.status()["dropped_unmatched"])
    clouds = len(bench.received["points"])

    def send():
        for topic, msg in scene.images().items():
            late_ns = 4_000_000 if topic.startswith("right") else 0
            msg.header.stamp = ns_to_stamp(bench.new_stamp_ns() + late_ns)
            bench.publish(topic, msg)

    def seen():
        status = bench.status()
        return "sync_tolerance_ms" in status["message"] and int(status["dropped_unmatched"]) > before

    bench.wait(seen, send, "no unmatched fault")
    assert any("at most 0 ms apart" in warning for warning in bench.warnings())
    assert len(bench.received["points"]) == clouds
    bench.expect("points", scene.images(), scene.infos())


def test_one_camera_alone_is_named(bench, scene):
    def send():
        msg = scene.images()["left/image_rect"]
        msg.header.stamp = ns_to_stamp(bench.new_stamp_ns())
        bench.publish("left/image_rect", msg)

    # The other side may still hold images without a partner; once a pair was made it is empty.
    bench.expect("points", scene.images(), scene.infos())
    bench.wait(lambda: "only one of them" in bench.status()["message"], send, "no fault for a silent camera")
    bench.expect("points", scene.images(), scene.infos())


def test_warnings_are_throttled(bench, scene):
    images, infos = scene.images(), scene.infos()
    for msg in images.values():
        msg.encoding = "an_encoding_of_this_test"
    before, began_s = int(bench.status()["dropped_image"]), time.monotonic()
    bench.wait(
        lambda: int(bench.status()["dropped_image"]) >= before + 8,
        lambda: bench.send(images, infos),
        "8 drops",
    )
    warnings = [w for w in bench.warnings() if "an_encoding_of_this_test" in w]
    assert 1 <= len(warnings) <= 1 + (time.monotonic() - began_s) // 5  # s; more than one on a slow machine


def test_an_exception_in_the_worker_is_counted_and_survived(bench, scene, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "refine", lambda *args, **kwargs: 1 // 0)
        bench.wait(
            lambda: "ZeroDivisionError" in bench.status()["message"],
            lambda: bench.send(scene.images(), scene.infos()),
        )
    assert int(bench.status()["dropped_internal"]) > 0
    bench.expect("points", scene.images(), scene.infos())


def test_diagnostics_that_cannot_be_published_do_not_end_the_node(bench, scene, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(bench.node._status._publisher, "publish", lambda msg: 1 // 0)
        bench.wait(lambda: [w for w in bench.warnings() if "cannot publish /diagnostics" in w])
    bench.expect("points", scene.images(), scene.infos())


def test_newest_frame_wins_while_the_worker_is_busy(bench, scene, monkeypatch):
    bench.expect("points", scene.images(), scene.infos())
    entered, go_on, process = threading.Event(), threading.Event(), Pipeline.refine

    def slow(*args, **kwargs):
        entered.set()
        assert go_on.wait(10)
        return process(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Pipeline, "refine", slow)
        before = int(bench.status()["dropped_busy"])
        bench.wait(entered.is_set, lambda: bench.send(scene.images(), scene.infos()))
        sent = []
        bench.wait(
            lambda: int(bench.status()["dropped_busy"]) >= before + 2,
            lambda: sent.append(bench.send(scene.images(), scene.infos())),
        )
        go_on.set()
        received = bench.wait(lambda: bench.received_at("points", set(sent)))
    newest = bench.wait(lambda: bench.received_at("points", set(sent[-2:])))
    assert stamp_to_ns(newest.header.stamp) >= stamp_to_ns(received.header.stamp)
    assert len([s for s in sent if bench.received_at("points", {s})]) <= 2  # all others were replaced


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


def call(bench, service_type, name, request):
    client = bench.probe.create_client(service_type, f"{bench.node.get_fully_qualified_name()}/{name}")
    assert client.wait_for_service(5)
    future = client.call_async(request)
    return bench.wait(lambda: future.result() if future.done() else None)


def set_parameters(bench, **values):
    parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    return call(bench, SetParameters, "set_parameters", SetParameters.Request(parameters=parameters)).results


def test_depth_limits_follow_the_parameters(bench, scene):
    full = depth_from_msg(bench.expect("depth/image", scene.images(), scene.infos()))
    limit = float(np.median(full[np.isfinite(full)]))
    assert set_parameters(bench, max_depth_m=limit)[0].successful

    def cut():
        depth = depth_from_msg(bench.received["depth/image"][-1])
        return np.array_equal(
            depth, np.where(full > np.float32(limit), np.float32(np.inf), full), equal_nan=True
        )

    bench.wait(cut, lambda: bench.send(scene.images(), scene.infos()))
    assert set_parameters(bench, max_depth_m=4)[0].successful  # an integer will do


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mode": "mono"}, "read-only"),
        ({"max_depth_m": -1.0}, "range"),
        ({"min_depth_m": 30.0}, "min_depth_m must be less than max_depth_m"),
    ],
)
def test_bad_parameter_changes_are_refused(bench, values, words):
    result = set_parameters(bench, **values)[0]
    assert not result.successful and words in result.reason


def test_parameters_are_described(bench):
    request = DescribeParameters.Request(names=["max_age_ms", "mode", "border_px"])
    age, mode, border = call(bench, DescribeParameters, "describe_parameters", request).descriptors
    assert age.description.endswith("[ms]") and age.floating_point_range[0].from_value == 0.0
    assert mode.read_only and mode.additional_constraints == "one of stereo, mono"
    assert (border.integer_range[0].from_value, border.integer_range[0].to_value) == (0, 1024)
    assert not border.read_only
