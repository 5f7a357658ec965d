"""What goes out of one camera, over real DDS, and that nothing is computed for nobody."""

from __future__ import annotations

import threading
import time
from array import array
from collections import defaultdict

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from recon3d_ros.config import ModelConfig, NodeConfig, PipelineConfig
from recon3d_ros.errors import FrameError, MissingDependencyError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.files import colour_depth
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.messages.compressed import decode_compressed
from recon3d_ros.messages.depth import depth_from_compressed, depth_from_msg
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.ros.bridge.conversions import stamp_to_ns
from recon3d_ros.ros.bridge.transforms import FixedSource
from recon3d_ros.ros.output import outputs as outputs_module
from recon3d_ros.ros.output.outputs import TYPES, Outputs
from recon3d_ros.ros.scale.report import ScaleState
from recon3d_ros.scale import Scale

DEADLINE_S = 30.0
NAMES = ("depth_encoding", "target_frame", "labels_frame")
STAMP_NS = 1_700_000_000_123_456_789
# optical to base: z forward becomes x, x right becomes -y, y down becomes -z; 0.2 m ahead, 1 m up
BASE_OPTICAL = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 1], [0, 0, 0, 1.0]])


class Stage:
    """A node whose outputs are published by the test's thread, and a probe that listens in another."""

    def __init__(self, namespace: str):
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context)
        self.node = Node("stage", context=self.context, namespace=namespace)
        self.probe = Node("probe", context=self.context, namespace=namespace)
        self.received: dict[str, list] = defaultdict(list)
        self._subscriptions: list = []
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.probe)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self):
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass

    def listen(self, outputs: Outputs, *topics: str, prefix: str = "") -> None:
        """Subscribe to these topics and to no other; wait until the outputs know."""
        self._subscriptions = [
            self.probe.create_subscription(TYPES[name], prefix + name, self.received[name].append, 10)
            for name in topics
        ]
        self.wait(lambda: outputs.subscriber_count() == len(topics))

    def silence(self) -> None:
        """Forget all subscriptions and what they brought."""
        while self._subscriptions:
            self.probe.destroy_subscription(self._subscriptions.pop())
        self.received.clear()

    def wait(self, condition):
        deadline = time.monotonic() + DEADLINE_S
        while not (value := condition()):
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.005)
        return value

    def first(self, topic: str):
        return self.wait(lambda: self.received[topic])[0]

    def close(self):
        rclpy.shutdown(context=self.context)
        self._thread.join()
        self.node.destroy_node()
        self.probe.destroy_node()


@pytest.fixture(scope="module")
def stage():
    stage = Stage("/outputs")
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def estimator():
    return Estimator.open(ModelConfig(model="fake_stereo"))


@pytest.fixture
def make_outputs(stage):
    made = []

    def make(**kwargs):
        config = NodeConfig(**{k: kwargs.pop(k) for k in NAMES if k in kwargs})
        made.append(Outputs(stage.node, kwargs.pop("stereo", True), config, **kwargs))
        return made[-1]

    yield make
    stage.silence()
    for outputs in made:
        stage.wait(lambda outputs=outputs: not outputs.wanted())
        outputs.close()


@pytest.fixture
def frame(scene):
    rig = scene.rig.as_rectified()
    return Frame(STAMP_NS, scene.picture(0), rig.left, scene.picture(7), rig, frame_id="left_optical")


@pytest.fixture
def estimate(frame):
    """Depth of all kinds: a slope, a nearest and a farthest pixel, unknown and sky."""
    height, width = frame.camera.image_shape_hw
    depth = np.linspace(1.0, 30.0, height * width, dtype=np.float32).reshape(height, width)
    depth[3, 5], depth[7, 11], depth[40, 60], depth[40, 61] = np.nan, np.inf, 65.535, 70.0
    confidence = np.linspace(0, 1, depth.size, dtype=np.float32).reshape(depth.shape)
    disparity = np.float32(5.0) / depth
    return DepthMap(depth, frame.camera, disparity, confidence, sigma_m=depth * np.float32(0.01))


def send(outputs, pipeline, frame, estimate):
    """One frame as the worker handles it."""
    into = outputs.prepare(frame, pipeline)
    result = pipeline.refine(frame, estimate, into, outputs.requested)
    outputs.publish(frame, result)
    return result


def table(msg):
    """A cloud as PCL reads it: by the names, offsets and types of its fields (pcl_conversions)."""
    assert not msg.is_bigendian and msg.row_step == msg.width * msg.point_step
    assert len(msg.data) == msg.height * msg.row_step
    kinds = {2: "u1", 7: "<f4"}
    layout = np.dtype(
        {
            "names": [f.name for f in msg.fields],
            "formats": [kinds[f.datatype] for f in msg.fields],
            "offsets": [f.offset for f in msg.fields],
            "itemsize": msg.point_step,
        }
    )
    return np.frombuffer(msg.data, layout).reshape(msg.height, msg.width)


def pixels(msg, dtype, channels=1):
    assert msg.step == msg.width * channels * np.dtype(dtype).itemsize and not msg.is_bigendian
    shape = (msg.height, msg.width) if channels == 1 else (msg.height, msg.width, channels)
    return np.frombuffer(msg.data, dtype).reshape(shape)


far = PipelineConfig(max_depth_m=100.0)


@pytest.mark.parametrize("topic", [topic for topic in TYPES if topic != "scale"])
def test_each_output_comes_alone_and_nothing_else_is_made(
    stage, make_outputs, estimator, frame, estimate, topic, monkeypatch
):
    outputs = make_outputs()
    assert not outputs.wanted()
    stage.listen(outputs, topic)
    makers = {
        "depth/preview": "colour_depth",
        "disparity": "disparity_to_msg",
        "depth/camera_info": "camera_to_info",
        "depth/image": "write_depth",
    }
    for name, maker in makers.items():
        if not topic.startswith(name):  # depth/image/compressedDepth is made of depth/image
            monkeypatch.setattr(outputs_module, maker, lambda *_: pytest.fail("made for nobody"))
    labelled = topic in ("points_ground", "points_obstacles")
    model = "recon3d_point_labels" if labelled else ""
    config = PipelineConfig(max_depth_m=100.0, free_space_frames=1, point_labels=model)
    result = send(outputs, Pipeline(estimator, config), frame, estimate)
    assert (result.obstacles is not None) == labelled
    assert (result.cloud is not None) == (topic == "points")
    assert (result.free_points is not None) == (topic == "points_free")
    msg = stage.first(topic)
    header = msg.header
    assert (stamp_to_ns(header.stamp), header.frame_id) == (STAMP_NS, "left_optical")


def test_one_camera_has_a_scale_and_a_pair_a_disparity(stage, make_outputs, frame):
    assert "scale" not in make_outputs(prefix="pair")._publishers
    outputs = make_outputs(stereo=False)
    assert "disparity" not in outputs._publishers
    scale = Scale(2.5, 0.0, 0.03, ("range",), {"range": 1}, 0.0, True, "")
    state = ScaleState.after(None, scale, ("range", "scan"), {"scan": "no transform"})
    outputs.publish_scale(frame, state)  # nobody wants it
    stage.listen(outputs, "scale")
    outputs.publish_scale(frame, state)
    (status,) = stage.first("scale").status
    values = {pair.key: pair.value for pair in status.values}
    assert (values["scale"], values["scale_sigma"], values["scale_trusted"]) == ("2.5", "0.03", "true")
    assert status.level == DiagnosticStatus.OK and status.message == "scan: no transform"
    assert len(stage.received["scale"]) == 1
    header = stage.received["scale"][0].header
    assert (stamp_to_ns(header.stamp), header.frame_id) == (STAMP_NS, "left_optical")


def test_depth_in_metres(stage, make_outputs, estimator, frame, estimate):
    outputs = make_outputs()
    stage.listen(outputs, "depth/image", "depth/camera_info")
    send(outputs, Pipeline(estimator, far), frame, estimate)
    msg, info = stage.first("depth/image"), stage.first("depth/camera_info")
    assert (msg.encoding, msg.height, msg.width) == ("32FC1", 48, 64)
    np.testing.assert_array_equal(pixels(msg, "<f4"), estimate.depth)
    assert (info.width, info.height) == (msg.width, msg.height)


def test_depth_in_millimetres_where_zero_is_not_known(stage, make_outputs, estimator, frame, estimate):
    outputs = make_outputs(depth_encoding="16UC1")
    stage.listen(outputs, "depth/image")
    send(outputs, Pipeline(estimator, far), frame, estimate)
    msg = stage.first("depth/image")
    assert (msg.encoding, msg.step) == ("16UC1", 128)
    sent = pixels(msg, "<u2")
    assert sent[3, 5] == 0 and sent[7, 11] == 0  # invalid, sky
    assert sent[40, 60] == 65535 and sent[40, 61] == 0  # the farthest that fits, and what does not
    known = sent > 0
    assert known.sum() == known.size - 3
    np.testing.assert_allclose(sent[known] / 1000, estimate.depth[known], atol=0.00051)


def test_the_encoding_changes_between_two_frames(stage, make_outputs, estimator, frame, estimate):
    outputs = make_outputs()
    stage.listen(outputs, "depth/image")
    pipeline = Pipeline(estimator, far)
    send(outputs, pipeline, frame, estimate)
    outputs.configure(NodeConfig(depth_encoding="16UC1"))
    send(outputs, pipeline, frame, estimate)
    stage.wait(lambda: len(stage.received["depth/image"]) == 2)
    assert [m.encoding for m in stage.received["depth/image"]] == ["32FC1", "16UC1"]


def test_preview_and_confidence(stage, make_outputs, estimator, frame, estimate):
    outputs = make_outputs()
    stage.listen(outputs, "depth/preview", "confidence", "depth/sigma")
    send(outputs, Pipeline(estimator, PipelineConfig(min_depth_m=0.0, max_depth_m=40.0)), frame, estimate)
    picture, confidence = stage.first("depth/preview"), stage.first("confidence")
    assert (picture.encoding, confidence.encoding) == ("rgb8", "32FC1")
    rgb = pixels(picture, np.uint8, 3)
    limited = np.where(estimate.depth > 40, np.float32(np.inf), estimate.depth)
    np.testing.assert_array_equal(rgb, colour_depth(limited, 0.05, 40.0))
    assert not rgb[3, 5].any() and rgb[7, 11].any()
    np.testing.assert_array_equal(pixels(confidence, "<f4"), estimate.confidence)
    sigma = stage.first("depth/sigma")
    assert sigma.encoding == "32FC1" and sigma.header == confidence.header
    np.testing.assert_array_equal(pixels(sigma, "<f4"), estimate.sigma_m)


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1"])
def test_compressed_depth_and_preview(stage, make_outputs, estimator, frame, estimate, encoding):
    outputs = make_outputs(depth_encoding=encoding)
    topics = ("depth/image", "depth/preview", "depth/image/compressedDepth", "depth/preview/compressed")
    stage.listen(outputs, *topics)
    send(outputs, Pipeline(estimator, PipelineConfig(max_depth_m=40.0)), frame, estimate)
    raw, picture, packed, jpeg = (stage.first(topic) for topic in topics)
    assert packed.header == jpeg.header == raw.header
    assert packed.format == f"{encoding}; compressedDepth png" and len(packed.data) < len(raw.data)
    depth = depth_from_msg(raw)
    depth[np.isinf(depth)] = np.nan
    np.testing.assert_allclose(depth_from_compressed(packed), depth, rtol=1e-3)
    assert jpeg.format == "rgb8; jpeg compressed bgr8"
    seen = decode_compressed(jpeg.data, jpeg.format)
    shown = pixels(picture, np.uint8, 3)
    assert seen.shape == shown.shape and np.abs(seen.astype(int) - shown).mean() < 12
    assert outputs._publishers["depth/image/compressedDepth"].topic_name.endswith(
        "/depth/image/compressedDepth"
    )


def test_remapping_the_depth_moves_its_compressed_topic(stage):
    node = Node("moved", context=stage.context, cli_args=["--ros-args", "-r", "front/depth/image:=/wanted"])
    outputs = Outputs(node, True, NodeConfig(), prefix="front")
    names = [outputs._publishers[name].topic_name for name in ("depth/image", "depth/image/compressedDepth")]
    node.destroy_node()
    assert names == ["/wanted", "/wanted/compressedDepth"]


def test_what_cannot_come_is_said_once(stage, make_outputs, estimator, frame, estimate, monkeypatch):
    outputs, said = make_outputs(), []
    monkeypatch.setattr(stage.node.get_logger(), "warning", said.append)
    stage.listen(outputs, "confidence", "points_free")
    poor = DepthMap(estimate.depth, estimate.camera)
    for _ in range(3):
        send(outputs, Pipeline(estimator, far), frame, poor)
    assert len(said) == 2
    assert "/outputs/confidence" in said[1] and "free_space_frames" in said[0]
    assert not stage.received["confidence"]


CLOUDS = [
    ({}, ("x", "y", "z", "rgb")),
    ({"point_fields": "xyz"}, ("x", "y", "z")),
    ({"point_fields": "xyzi"}, ("x", "y", "z", "intensity")),
    ({"point_confidence": True, "point_sigma": True}, ("x", "y", "z", "rgb", "confidence", "sigma")),
    ({"point_normals": True}, ("x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z")),
    (
        {"point_fields": "xyz", "point_normals": True, "point_curvature": True},
        ("x", "y", "z", "normal_x", "normal_y", "normal_z", "curvature"),
    ),
]


@pytest.mark.parametrize(("settings", "fields"), CLOUDS, ids=lambda value: "-".join(value) or "default")
def test_fields_of_organized_clouds(stage, make_outputs, estimator, frame, estimate, settings, fields):
    outputs = make_outputs()
    stage.listen(outputs, "points")
    send(outputs, Pipeline(estimator, PipelineConfig(max_depth_m=100.0, **settings)), frame, estimate)
    msg = stage.first("points")
    assert (msg.height, msg.width, msg.point_step, msg.is_dense) == (48, 64, 4 * len(fields), False)
    points = table(msg)
    assert points.dtype.names == fields
    assert [f.count for f in msg.fields] == [1] * len(fields)
    z = np.where(np.isfinite(estimate.depth), estimate.depth, np.nan)
    np.testing.assert_array_equal(points["z"], z)
    camera = frame.camera
    np.testing.assert_allclose(points["x"][10], (np.arange(64) - camera.cx) * z[10] / camera.fx, rtol=1e-5)
    for name in ("x", "y"):
        assert np.isnan(points[name][3, 5]) and np.isnan(points[name][7, 11])
    if "rgb" in fields:
        bits = np.ascontiguousarray(points["rgb"]).view(np.uint32)
        r, g, b = (int(channel) for channel in frame.image[20, 30])
        assert bits[20, 30] == (r << 16) | (g << 8) | b
    if "sigma" in fields:
        np.testing.assert_allclose(points["sigma"][10, 20], estimate.sigma_m[10, 20])
        np.testing.assert_allclose(points["confidence"][10, 20], estimate.confidence[10, 20])


def test_a_grey_camera_gives_intensity(stage, make_outputs, estimator, scene, estimate):
    rig = scene.rig.as_rectified()
    grey = np.ascontiguousarray(scene.picture(0)[..., 1])
    frame = Frame(STAMP_NS, grey, rig.left, grey, rig)
    outputs = make_outputs()
    stage.listen(outputs, "points")
    config = PipelineConfig(max_depth_m=100.0, point_fields="auto")
    send(outputs, Pipeline(estimator, config), frame, estimate)
    points = table(stage.first("points"))
    assert points.dtype.names == ("x", "y", "z", "intensity")
    assert points["intensity"][20, 30] == grey[20, 30]


def test_decimated_and_voxel_filtered_clouds(stage, make_outputs, estimator, frame, estimate):
    outputs = make_outputs()
    stage.listen(outputs, "points")
    send(outputs, Pipeline(estimator, PipelineConfig(max_depth_m=100.0, decimation=5)), frame, estimate)
    msg = stage.first("points")
    assert (msg.height, msg.width) == (10, 13)
    stage.received["points"].clear()
    pipeline = Pipeline(estimator, PipelineConfig(max_depth_m=100.0, voxel_m=2.0))
    result = send(outputs, pipeline, frame, estimate)
    msg = stage.first("points")
    assert (msg.height, msg.is_dense) == (1, True)
    assert 0 < msg.width < 48 * 64
    points = table(msg)[0]
    np.testing.assert_array_equal(points["x"], result.cloud.data[:, 0])
    assert all(np.isfinite(points[axis]).all() for axis in "xyz")


def test_free_space_is_a_list_of_far_points(stage, make_outputs, estimator, frame, estimate):
    outputs = make_outputs()
    stage.listen(outputs, "points_free")
    pipeline = Pipeline(estimator, PipelineConfig(max_depth_m=6.0, free_space_frames=2))
    for _ in range(3):
        result = send(outputs, pipeline, frame, estimate)
    stage.wait(lambda: len(stage.received["points_free"]) == 3)
    counts = [msg.width for msg in stage.received["points_free"]]
    assert counts[0] == 0 < counts[1] == counts[2]  # an empty list says that the camera is alive
    msg = stage.received["points_free"][2]
    assert (msg.height, msg.point_step, msg.is_dense) == (1, 12, True)
    points = table(msg)[0]
    assert points.dtype.names == ("x", "y", "z")
    np.testing.assert_array_equal(points["z"], result.free_points["z"])


def test_clouds_move_to_the_target_frame_and_images_do_not(stage, make_outputs, estimator, frame, estimate):
    source = FixedSource({("base_link", "left_optical"): BASE_OPTICAL})
    outputs = make_outputs(target_frame="base_link", transforms=source)
    stage.listen(outputs, "points", "points_free", "depth/image", "depth/camera_info")
    pipeline = Pipeline(estimator, PipelineConfig(max_depth_m=6.0, free_space_frames=1))
    result = send(outputs, pipeline, frame, estimate)
    plain = pipeline.refine(frame, estimate)
    for cloud, unmoved in ((result.cloud, plain.cloud), (result.free_points, plain.free_points)):
        assert cloud.frame_id == "left_optical"  # publishing changed nothing
        np.testing.assert_array_equal(cloud.data.view(np.uint32), unmoved.data.view(np.uint32))
    msg, free = stage.first("points"), stage.first("points_free")
    for cloud in (msg, free):
        assert (cloud.header.frame_id, stamp_to_ns(cloud.header.stamp)) == ("base_link", STAMP_NS)
    points = table(msg)
    np.testing.assert_allclose(points["x"], plain.cloud.data[..., 2] + 0.2, rtol=1e-5)
    np.testing.assert_allclose(points["y"], -plain.cloud.data[..., 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(points["z"], 1 - plain.cloud.data[..., 1], rtol=1e-5, atol=1e-6)
    assert np.ascontiguousarray(points["rgb"]).tobytes() == plain.cloud["rgb"].tobytes()
    np.testing.assert_allclose(table(free)[0]["x"], plain.free_points["z"] + 0.2, rtol=1e-5)
    assert stage.first("depth/image").header.frame_id == "left_optical"
    assert stage.first("depth/camera_info").header.frame_id == "left_optical"
    outputs.configure(NodeConfig())  # live: back in the optical frame
    send(outputs, pipeline, frame, estimate)
    stage.wait(lambda: len(stage.received["points"]) == 2)
    assert stage.received["points"][1].header.frame_id == "left_optical"
    np.testing.assert_array_equal(table(stage.received["points"][1])["z"], plain.cloud.data[..., 2])


@pytest.mark.parametrize("source", [FixedSource({}), None])
def test_without_a_transform_clouds_stay_and_images_go(
    stage, make_outputs, estimator, frame, estimate, source
):
    outputs = make_outputs(target_frame="base_link", transforms=source)
    stage.listen(outputs, "points", "depth/image")
    with pytest.raises(FrameError, match="'base_link'"):
        send(outputs, Pipeline(estimator, far), frame, estimate)
    stage.first("depth/image")
    outputs.configure(NodeConfig())  # what comes now shows that nothing came before
    send(outputs, Pipeline(estimator, far), frame, estimate)
    stage.wait(lambda: len(stage.received["depth/image"]) == 2)
    stage.first("points")
    assert [msg.header.frame_id for msg in stage.received["points"]] == ["left_optical"]


def test_a_target_frame_is_refused_where_nothing_looks_it_up(make_outputs):
    class Absent(FixedSource):
        def start(self):
            raise MissingDependencyError("no tf2 here")

    outputs = make_outputs(depth_encoding="16UC1", transforms=Absent({}))
    with pytest.raises(MissingDependencyError):
        outputs.configure(NodeConfig(target_frame="base_link"))
    assert outputs._config.depth_encoding == "16UC1" and not outputs._config.target_frame


def test_several_cameras_have_topics_of_their_own(stage, make_outputs, estimator, frame, estimate):
    front, rear = make_outputs(prefix="front"), make_outputs(prefix="rear", stereo=False)
    stage.listen(front, "points", prefix="front/")
    assert not rear.wanted()
    send(front, Pipeline(estimator, far), frame, estimate)
    stage.first("points")
    names = {name for name, _ in stage.probe.get_topic_names_and_types()}
    assert {"/outputs/front/depth/image", "/outputs/rear/depth/image"} <= names
    assert "/outputs/front/disparity" in names and "/outputs/rear/disparity" not in names


def test_buffers_are_arrays_of_bytes_that_are_used_again(
    stage, make_outputs, estimator, frame, estimate, monkeypatch
):
    outputs = make_outputs()
    stage.listen(outputs, "points", "depth/image", "depth/preview", "confidence")
    sent = defaultdict(list)
    for name, publisher in outputs._publishers.items():
        monkeypatch.setattr(publisher, "publish", lambda msg, name=name: sent[name].append(msg.data))
    for _ in range(3):
        send(outputs, Pipeline(estimator, far), frame, estimate)
    for name, buffers in sent.items():
        assert all(isinstance(data, array) and data.typecode == "B" for data in buffers)
        assert buffers[2] is buffers[0], name


def test_closed_outputs_leave_no_topic(stage, make_outputs):
    outputs = make_outputs(prefix="gone")

    def publishers():
        return stage.probe.count_publishers("/outputs/gone/points")

    stage.wait(lambda: publishers() == 1)
    outputs.close()
    outputs.close()
    stage.wait(lambda: publishers() == 0)
    assert not outputs.wanted()


def test_labels_are_a_byte_of_each_point_and_lists_of_points(stage, make_outputs, estimator, frame, estimate):
    transforms = FixedSource({("base", "left_optical"): BASE_OPTICAL})
    outputs = make_outputs(transforms=transforms, labels_frame="base")
    level = outputs.level_transform(frame)
    np.testing.assert_allclose(level[2], [0, -1, 0, 1.0], atol=1e-12)  # 1 m over the ground, up is -y
    pipeline = Pipeline(estimator, PipelineConfig(point_labels="recon3d_point_labels", point_fields="xyz"))
    stage.listen(outputs, "points", "points_ground", "points_obstacles")
    into = outputs.prepare(frame, pipeline)
    result = pipeline.refine(frame, estimate, into, outputs.requested, (), level)
    outputs.publish(frame, result)
    stage.wait(lambda: all(stage.received[name] for name in ("points", "points_ground", "points_obstacles")))
    points = table(stage.received["points"][0])
    assert np.array_equal(points["label"], result.labels.labels)
    assert stage.received["points"][0].fields[3].datatype == 2  # UINT8
    for name, cloud in (("points_ground", result.ground), ("points_obstacles", result.obstacles)):
        found = table(stage.received[name][0])
        assert found.size == len(cloud) and stage.received[name][0].header.frame_id == "left_optical"
    assert len(result.ground) + len(result.obstacles) > 100


def test_labels_without_their_transform_are_refused(make_outputs, frame):
    outputs = make_outputs(transforms=FixedSource({}), labels_frame="base")
    with pytest.raises(FrameError, match="'base'"):
        outputs.level_transform(frame)
    assert make_outputs().level_transform(frame) is None
