"""The depth node in its other shapes: mono, compressed, rectifying, tolerant, idle; starts that fail."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from rclpy.qos import QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, PointCloud2

from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.errors import ConfigError, ManifestError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, Rectifier, stereo_rectified_pair
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.ros.bridge.conversions import (
    camera_to_info,
    cloud_from_msg,
    compressed_to_msg,
    image_to_msg,
    info_to_camera,
    ns_to_stamp,
    stamp_to_ns,
)


def answer(model: str, **frame):
    """What the pipeline answers without ROS."""
    estimator = Estimator.open(ModelConfig(model=model))
    return Pipeline(estimator, PipelineConfig()).process(Frame(stamp_ns=0, **frame))


@pytest.fixture(scope="module")
def mono(make_bench):
    outputs = ("points", "depth/image", "depth/camera_info")
    return make_bench({"mode": "mono", "model": "fake_mono"}, "/mono", outputs=outputs)


def test_mono(mono, scene):
    image = image_to_msg(scene.picture(0), 0, "optical", "bgr8")
    msg = mono.expect("points", {"image": image}, {"camera_info": camera_to_info(scene.camera, 0, "optical")})
    expected = answer("fake_mono", image=scene.picture(0), camera=scene.camera)
    cloud = cloud_from_msg(msg)
    np.testing.assert_array_equal(cloud.xyz, expected.cloud.xyz)
    np.testing.assert_array_equal(cloud.rgb, scene.picture(0))
    assert msg.header.frame_id == "optical"
    info = mono.wait(lambda: mono.received_at("depth/camera_info", {stamp_to_ns(msg.header.stamp)}))
    assert info_to_camera(info) == replace(scene.camera, d=np.zeros(5))
    topics = dict(mono.node.get_publisher_names_and_types_by_node("depth_node", "/mono"))
    assert "/mono/points" in topics and "/mono/disparity" not in topics


def test_mono_binning_and_roi(mono, scene):
    """The camera is 200x150; the image shows a region of it, binned by 2 (REP 104)."""
    info = CameraInfo(width=200, height=150, distortion_model="plumb_bob", binning_x=2, binning_y=2)
    info.k[:] = info.p[[0, 1, 2, 4, 5, 6, 8, 9, 10]] = [100.0, 0, 91, 0, 100, 71, 0, 0, 1]
    info.r[:] = np.eye(3).ravel()
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 31, 21, 128, 96
    image = {"image": image_to_msg(scene.picture(0), 0, "optical")}
    msg = mono.expect("points", image, {"camera_info": info})
    expected = answer("fake_mono", image=scene.picture(0), camera=scene.camera)  # f 50, c (30, 25) again
    np.testing.assert_allclose(cloud_from_msg(msg).xyz, expected.cloud.xyz, rtol=1e-5)


def test_mono_without_calibration(mono, scene):
    image = {"image": image_to_msg(scene.picture(0), 0, "optical")}
    info = {"camera_info": CameraInfo(width=64, height=48)}
    mono.wait(lambda: "K[0] = 0" in mono.status()["message"], lambda: mono.send(image, info))
    mono.expect("points", image, {"camera_info": camera_to_info(scene.camera, 0, "optical")})


def test_an_unlikely_baseline_warns_and_keeps_free_space_back_until_it_is_trusted(make_bench, scene):
    parameters = {"model": "fake_stereo", "free_space_frames": 1, "max_depth_m": 2.0}
    bench = make_bench(parameters, "/unlikely", outputs=("points",))
    bench.listen("points_free", PointCloud2)
    bench.expect("points_free", scene.images(), scene.infos())
    bench.wait(lambda: bench.status().get("calibration_doubts") == "none")
    infos = scene.infos()
    infos["right/camera_info"].p[3] *= 1000
    bench.wait(
        lambda: "P[0, 3] in millimetres?" in bench.status()["message"],
        lambda: bench.send(scene.images(), infos),
    )
    status = bench.status()
    assert status["level"] == "1" and "trust_calibration" in status["message"]
    assert "got 100 m" in status["calibration_doubts"]
    bench.received["points_free"].clear()
    for _ in range(3):
        bench.expect("points", scene.images(), infos)
    assert not bench.received["points_free"]
    bench.wait(lambda: any("in millimetres?" in text for text in bench.warnings()))
    assert bench.set_parameters(trust_calibration=True)[0].successful
    assert bench.expect("points_free", scene.images(), infos).width > 0
    bench.wait(lambda: bench.status()["level"] == "0", lambda: bench.send(scene.images(), infos))


@pytest.fixture(scope="module")
def compressed(make_bench):
    parameters = {"model": "fake_stereo", "image_transport": "compressed", "sync_tolerance_ms": 3.0}
    return make_bench(parameters, "/compressed", outputs=("points",))


def compressed_pair(scene, codec):
    sides = (("left", 0), ("right", 7))
    return {
        f"{side}/image_rect/compressed": compressed_to_msg(scene.picture(seed), 0, f"{side}_optical", codec)
        for side, seed in sides
    }


@pytest.mark.parametrize(("codec", "tolerance"), [("png", 0), ("jpeg", 12)])
def test_compressed(compressed, scene, codec, tolerance):
    msg = compressed.expect("points", compressed_pair(scene, codec), scene.infos())
    difference = cloud_from_msg(msg).rgb.astype(int) - scene.picture(0)
    assert np.abs(difference).mean() <= tolerance / 3 and msg.header.frame_id == "left_optical"


def test_compressed_garbage_is_counted_and_the_next_good_frame_works(compressed, scene):
    images = compressed_pair(scene, "jpeg")
    images["left/image_rect/compressed"].data = images["left/image_rect/compressed"].data[:40]
    compressed.wait(
        lambda: "do not decode" in compressed.status()["message"],
        lambda: compressed.send(images, scene.infos()),
    )
    assert int(compressed.status()["dropped_image"]) > 0
    compressed.expect("points", compressed_pair(scene, "jpeg"), scene.infos())


def test_pairs_within_the_tolerance_have_the_stamp_of_the_left(compressed, scene):
    compressed.expect("points", compressed_pair(scene, "png"), scene.infos())
    stamp_ns = compressed.new_stamp_ns() + 50_000_000
    late_ns = {"left": 0, "right": 2_900_000}
    for topic, msg in compressed_pair(scene, "png").items():
        msg.header.stamp = ns_to_stamp(stamp_ns + late_ns[topic.split("/")[0]])
        compressed.publish(topic, msg)
    compressed.wait(lambda: compressed.received_at("points", {stamp_ns}))


def rotated_rig(scene):
    """Two lenses with distortion, one turned by a few degrees."""
    k = np.array([[50.0, 0, 31], [0, 51, 24], [0, 0, 1]])
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array([0.02, -0.03, 0.01]))[0]
    T[0, 3] = -0.1
    d = np.array([-0.2, 0.05, 1e-3, -1e-3, 0.0])
    return stereo_rectified_pair(k, d, k, 0.5 * d, T, (scene.width, scene.height))


def test_rectify_subscribes_to_raw_images_and_uses_the_rectified_p(make_bench, scene):
    bench = make_bench(
        {"model": "fake_stereo", "rectify": True}, "/rectify", outputs=("points", "depth/camera_info")
    )
    rig = rotated_rig(scene)
    sides = (("left", rig.left), ("right", rig.right))
    infos = {f"{side}/camera_info": camera_to_info(camera, 0, f"{side}_optical") for side, camera in sides}
    msg = bench.expect("points", scene.images(name="image_raw"), infos)
    left, right = Rectifier(rig.left), Rectifier(rig.right)
    image = left.rectify(scene.picture(0))
    assert np.any(image != scene.picture(0))
    expected = answer(
        "fake_stereo",
        image=image,
        camera=left.camera,
        right=right.rectify(scene.picture(7)),
        rig=rig.as_rectified(),
    )
    cloud = cloud_from_msg(msg)
    np.testing.assert_array_equal(cloud.xyz, expected.cloud.xyz)
    np.testing.assert_array_equal(cloud.rgb, image)
    info = bench.wait(lambda: bench.received_at("depth/camera_info", {stamp_to_ns(msg.header.stamp)}))
    assert info_to_camera(info) == replace(left.camera, d=np.zeros(5))


def test_old_frames_are_dropped_and_the_clock_explained(make_bench, scene):
    bench = make_bench({"model": "fake_stereo", "max_age_ms": 2000}, "/old", outputs=("points",))
    bench.expect("points", scene.images(), scene.infos())
    sent: set[int] = set()

    def send_old():
        stamp_ns = bench.new_stamp_ns() - 60_000_000_000
        sent.add(stamp_ns)
        stamp = ns_to_stamp(stamp_ns)
        for topic, msg in scene.images().items():
            msg.header.stamp = stamp
            bench.publish(topic, msg)

    bench.wait(lambda: int(bench.status()["dropped_too_old"]) >= 2, send_old)
    assert "use_sim_time" in bench.status()["message"] and "2000 ms" in bench.status()["message"]
    assert not bench.received_at("points", sent)
    bench.expect("points", scene.images(), scene.infos())


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_swapped_cameras_are_put_right_by_remapping(make_bench, scene, transport):
    """The very advice for a negative baseline; a name that is remapped twice would be back where it was."""
    sides = {"left": "right", "right": "left"}
    remaps = [f"{a}/{name}:={b}/{name}" for name in ("image_rect", "camera_info") for a, b in sides.items()]
    bench = make_bench(
        {"model": "fake_stereo", "image_transport": transport},
        f"/swapped_{transport}",
        outputs=("points",),
        remaps=tuple(remaps),
    )
    images = scene.images() if transport == "raw" else compressed_pair(scene, "png")

    def swapped(messages):
        split = {topic.partition("/"): msg for topic, msg in messages.items()}
        return {f"{sides[side]}/{name}": msg for (side, _, name), msg in split.items()}

    msg = bench.expect("points", swapped(images), swapped(scene.infos()))
    assert msg.header.frame_id == "left_optical"
    np.testing.assert_array_equal(cloud_from_msg(msg).rgb, scene.picture(0))


def test_qos_is_overridable(make_bench):
    overrides = {
        "qos_overrides./qos/points.publisher.reliability": "best_effort",
        "qos_overrides./qos/left/image_rect.subscription.reliability": "reliable",
        "qos_overrides./qos/left/image_rect.subscription.depth": 7,
    }
    bench = make_bench({"model": "fake_stereo", **overrides}, "/qos", outputs=("disparity",))

    def reliability(list_endpoints, topic):
        found = bench.wait(lambda: [e for e in list_endpoints(topic) if e.node_name == "depth_node"])
        return found[0].qos_profile.reliability

    publishers, subscriptions = (
        bench.probe.get_publishers_info_by_topic,
        bench.probe.get_subscriptions_info_by_topic,
    )
    assert reliability(publishers, "/qos/points") == QoSReliabilityPolicy.BEST_EFFORT
    assert reliability(publishers, "/qos/depth/image") == QoSReliabilityPolicy.RELIABLE
    assert reliability(subscriptions, "/qos/left/image_rect") == QoSReliabilityPolicy.RELIABLE
    assert reliability(subscriptions, "/qos/right/image_rect") == QoSReliabilityPolicy.BEST_EFFORT


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"model": "no_such_model"}, ManifestError, "no_such_model"),
        ({"model": "fake_mono"}, ConfigError, "set parameter mode to mono"),
        ({"mode": "mono", "model": "fake_stereo"}, ConfigError, "set parameter mode to stereo"),
        ({"mode": "trio"}, ConfigError, "mode must be one of stereo, mono"),
        ({"model": 3}, ConfigError, "correct parameter model"),
        ({"max_depth_m": -2.0}, ConfigError, "correct parameter max_depth_m"),
        ({"min_depth_m": 50.0, "model": "fake_stereo"}, ConfigError, "min_depth_m must be less"),
        (
            {"qos_overrides./bad/left/image_rect.subscription.history": "all", "model": "fake_stereo"},
            ConfigError,
            "qos_overrides",
        ),
        ({"cameras": ["front", "front"], "model": "fake_stereo"}, ConfigError, "different namespaces"),
        ({"cameras": ["/front"], "model": "fake_stereo"}, ConfigError, "no leading or trailing slash"),
        (
            {"qos_overrides./bad/points.publisher.reliability": "sometimes", "model": "fake_stereo"},
            ConfigError,
            "qos_overrides",
        ),
    ],
)
def test_a_start_that_cannot_be_fails_with_one_sentence(make_bench, parameters, error, words):
    with pytest.raises(error, match=words) as caught:
        make_bench(parameters, "/bad")
    assert "\n" not in str(caught.value)


def test_approximate_sync_says_whether_the_tolerance_counts(make_bench, scene):
    parameters = {"model": "fake_stereo", "approximate_sync": False, "sync_tolerance_ms": 5.0}
    bench = make_bench(parameters, "/sync", outputs=("points",))

    def send_apart(by_ms):
        for msg in scene.infos().items():
            bench.publish(*msg)
        stamp_ns = bench.new_stamp_ns()
        images = scene.images()
        for topic, offset_ms in zip(("left/image_rect", "right/image_rect"), (0, by_ms)):
            images[topic].header.stamp = ns_to_stamp(stamp_ns + offset_ms * 1_000_000)
            bench.publish(topic, images[topic])

    def unmatched():
        return int(bench.status()["dropped_unmatched"])

    bench.wait(lambda: unmatched() > 2, lambda: send_apart(3))
    message = bench.wait(lambda: m if "approximate_sync" in (m := bench.status()["message"]) else None)
    assert "at most 0 ms apart" in message and bench.status()["frames_in"] == "0"
    send_apart(0)
    bench.wait(lambda: bench.received["points"], what="a pair of equal stamps")
    assert bench.set_parameters(approximate_sync=True)[0].successful
    bench.received["points"].clear()
    bench.wait(lambda: bench.received["points"], lambda: send_apart(3), "a pair within the tolerance")
    before = unmatched()
    bench.wait(lambda: unmatched() > before + 2, lambda: send_apart(30))  # farther away than the tolerance


def test_both_views_in_one_image_give_the_cloud_of_the_pair(make_bench, scene):
    sides = make_bench({"model": "fake_stereo"}, "/sides", outputs=("points",))
    expected = sides.expect("points", scene.images(), scene.infos())
    packed = make_bench({"model": "fake_stereo", "layout": "side_by_side"}, "/packed", outputs=("points",))
    both = np.hstack([scene.picture(0), scene.picture(7)])
    msg = packed.expect("points", {"image": image_to_msg(both, 0, "left_optical")}, scene.infos())
    assert msg.data == expected.data and msg.header.frame_id == "left_optical"


def test_one_camera_and_no_model_named_says_how_good_the_default_is(make_bench, capfd):
    make_bench({"mode": "mono"}, "/honest", outputs=("points",))
    console = "".join(capfd.readouterr())
    assert console.count("recon3d_mono is small: mean error of depth") == 1
