"""Scale recovery through the whole node, over DDS: every source moves a wrong scale to the right one.

The network answers half of the true depth, or inverse depth without any scale; sensors are simulated from the
truth. Whatever is missing or wrong is counted, and no depth comes out that nobody vouches for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import Image, LaserScan, PointCloud2, Range
from std_srvs.srv import Trigger

from recon3d_ros.config.scale_inputs import ScaleInputConfig
from recon3d_ros.errors import ConfigError, MissingDependencyError
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.ros.bridge.conversions import (
    camera_to_info,
    depth_from_msg,
    depth_to_compressed_msg,
    depth_to_msg,
    image_to_msg,
    ns_to_stamp,
)
from recon3d_ros.ros.output.cloud_message import list_to_msg

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

HAVE_TF2 = importlib.util.find_spec("tf2_ros") is not None
FACTOR = 2.0  # truth = FACTOR * answer
INF, NAN = float("inf"), float("nan")
HEIGHT_M, PITCH_DEG = 1.2, 30.0
# Another grid than the image's, so that nothing fits by accident.
DEPTH_CAMERA = PinholeCamera.simple(90, 40, fx=60.0, cx=44.0, cy=18.0)
MANIFEST = """
name: {name}
task: {task}
artifacts: [{{file: {name}.onnx, sha256: {sha256}}}]
input: {{names: [image], scale: 0.00392157, size_wh: [{width}, {height}], fit: stretch}}
output: {{name: answer, layout: NCHW, unit: {unit}}}
licence: {{weights: none, sources: []}}
"""


def write_model(folder, name, answer, task="mono_metric_depth", unit="m"):
    """A network that answers (H, W) `answer` whatever it sees; the path of its manifest."""
    height, width = answer.shape
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    constant = onnx.numpy_helper.from_array(answer.astype(np.float32)[None, None], "constant")
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["mean", "mean"], ["zero"]),
        helper.make_node("Add", ["constant", "zero"], ["answer"]),
    ]
    inputs = [helper.make_tensor_value_info("image", real, [1, 3, height, width])]
    outputs = [helper.make_tensor_value_info("answer", real, [1, 1, height, width])]
    graph = helper.make_graph(nodes, name, inputs, outputs, [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    data = model.SerializeToString()
    (folder / f"{name}.onnx").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    path = folder / f"{name}.yaml"
    path.write_text(
        MANIFEST.format(name=name, task=task, sha256=sha256, width=width, height=height, unit=unit)
    )
    return str(path)


def rays(camera):
    """(H, W, 3) directions with z = 1."""
    height, width = camera.image_shape_hw
    v, u = np.mgrid[:height, :width].astype(float)
    return np.dstack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)])


def truth(camera):
    """(H, W) true depth: the floor under a camera that looks down, and a wall 5 m ahead."""
    pitch = np.radians(PITCH_DEG)
    below = rays(camera) @ [0.0, np.cos(pitch), np.sin(pitch)]
    return np.minimum(HEIGHT_M / np.maximum(below, 1e-6), 5.0).astype(np.float32)


@pytest.fixture(scope="module")
def models(tmp_path_factory, scene):
    folder, depth = tmp_path_factory.mktemp("models"), truth(scene.camera)
    relative = {"task": "mono_relative_inverse_depth", "unit": "relative_inverse_depth"}
    return {
        "metric": write_model(folder, "half", depth / FACTOR),
        "relative": write_model(folder, "relative", 3.0 / depth + 1.0, **relative),
    }


class Sensors:
    """What the sensors of the robot see; each at a pose of its own."""

    poses = (
        "range 0.1 0 0 0 0 0",
        "scan 0.05 0.1 0 0 0 0.2",
        "points -0.3 0.2 0.1 0.1 -0.2 0.3",
        "depth_image 0 0 0 0 0 0",
    )

    def __init__(self, camera):
        self.camera, self.depth = camera, truth(camera)
        self._t = ScaleInputConfig(scale_poses=self.poses).poses()
        row, column = round(camera.cy), round(camera.cx)
        self.ahead_m = float(self.depth[row, column])

    def range(self):
        """The sensor is 0.1 m ahead of the camera on its axis."""
        reading = self.ahead_m - 0.1
        return {"scale/range": Range(range=reading, min_range=0.1, max_range=9.0, field_of_view=0.01)}

    def scan(self):
        """In the plane of the optical axis the floor is a line across, at one depth."""
        msg = LaserScan(angle_min=-0.6, angle_increment=0.02, range_min=0.1, range_max=9.0)
        angles = msg.angle_min + msg.angle_increment * np.arange(61)
        msg.ranges = [float(r) for r in (self.ahead_m - 0.05) / np.cos(angles + 0.2)]
        msg.ranges[3], msg.ranges[30] = NAN, INF
        return {"scale/scan": msg}

    def points(self, frame_id="lidar"):
        """32 points, stored as the sensor has them."""
        rng = np.random.default_rng(3)
        v, u = rng.integers(0, 48, 32), rng.integers(0, 64, 32)
        optical = rays(self.camera)[v, u] * self.depth[v, u, None]
        pose = np.linalg.inv(self._t["points"])
        points = optical @ pose[:3, :3].T + pose[:3, 3]
        points[5] = NAN
        return {"scale/points": list_to_msg(points.astype(np.float32), ("x", "y", "z"), 0, frame_id)}

    def depth_image(self):
        depth = truth(DEPTH_CAMERA)
        depth[::3, ::2] = 0.0
        info = camera_to_info(DEPTH_CAMERA, 0, "depth_optical")
        return {"scale/depth/camera_info": info, "scale/depth/image": depth_to_msg(depth, 0, "depth_optical")}

    def packed_depth_image(self):
        """The same as compressedDepth."""
        messages = self.depth_image()
        depth = depth_from_msg(messages.pop("scale/depth/image"))
        packed = depth_to_compressed_msg(depth, 0, "depth_optical")
        return messages | {"scale/depth/image/compressedDepth": packed}

    def floor(self):
        return {}

    fixed = floor


@pytest.fixture(scope="module")
def sensors(scene):
    return Sensors(scene.camera)


def started(make_bench, models, namespace, model="metric", outputs=("depth/image",), **parameters):
    """A node with the network and the sensors of this module, heard on `outputs` and scale."""
    given = {"mode": "mono", "model": models.get(model, model), "camera_height_m": HEIGHT_M}
    given |= {"camera_pitch_deg": PITCH_DEG, "scale_poses": list(Sensors.poses), "scale_factor": FACTOR}
    bench = make_bench(given | parameters, namespace, outputs=outputs)
    bench.listen("scale", DiagnosticArray)
    return bench


@pytest.fixture(scope="module")
def start(make_bench, models):
    """Start one more node; each lives as long as the module, so few tests have their own."""
    return partial(started, make_bench, models)


@pytest.fixture(scope="module")
def node(start):
    return start("/metric", scale_sources=["range"], scale_max_age_s=2.0)


@pytest.fixture
def ranged(node):
    """A range finder tells the scale, and nothing is remembered of an earlier test."""
    use(node, scale_sources=["range"], scale_factor=FACTOR, scale_tolerance_ms=50.0)
    return node


@pytest.fixture(scope="module")
def relative(start):
    return start("/relative", "relative", scale_sources=["points"])


def use(bench, **parameters):
    """Change sources while the node runs; another configuration begins without a scale."""
    for value in ([], parameters["scale_sources"]) if bench.status()["model"] == "half" else ():
        assert all(result.successful for result in bench.set_parameters(scale_sources=value))
    results = bench.set_parameters(**parameters)
    assert all(result.successful for result in results), results
    bench.received["scale"].clear()
    bench.received["depth/image"].clear()


def sent(scene, messages=None):
    image = image_to_msg(scene.picture(0), 0, "optical")
    return {"image": image}, {"camera_info": camera_to_info(scene.camera, 0, "optical"), **(messages or {})}


def newest_scale(bench):
    """Values of the newest message on `scale`, with its level."""
    if not bench.received["scale"]:
        return {}
    return status_of(bench.received["scale"][-1])


def status_of(msg):
    (status,) = msg.status
    return {"level": status.level[0], **{pair.key: pair.value for pair in status.values}}


def told(bench, source):
    values = newest_scale(bench)
    return values if source in values.get("scale_sources", "").split() else None


def median_ratio(msg, depth):
    found = depth_from_msg(msg)
    known = np.isfinite(found)
    assert known.mean() > 0.9
    return float(np.median(found[known] / depth[known]))


SOURCES = ("fixed", "floor", "range", "scan", "points", "depth_image")


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_finds_the_scale(node, scene, sensors, source):
    use(node, scale_sources=[source])
    bench = node
    images, infos = sent(scene, getattr(sensors, source)())
    bench.wait(lambda: told(bench, source), lambda: bench.send(images, infos), f"nothing told by {source}")
    depth = bench.expect("depth/image", images, infos)
    assert median_ratio(depth, sensors.depth) == pytest.approx(1.0, abs=0.03)
    values = told(bench, source)
    assert float(values["scale"]) == pytest.approx(FACTOR, rel=0.03)
    assert 0 < float(values["scale_sigma"]) < 0.2 and values["scale_trusted"] == "true"
    assert (values["level"], float(values["scale_age_s"])) == (0, 0.0)
    status = bench.wait(lambda: (s := bench.status()).get(f"scale_frames_used_{source}") and s)
    assert float(status["scale"]) == pytest.approx(FACTOR, rel=0.03)


@pytest.mark.parametrize("source", ["scan", "points", "depth_image"])
def test_a_model_without_metres_gets_scale_and_shift(relative, scene, sensors, source):
    bench = relative
    # One depth alone tells no shift, and a level scan of a wall or a floor is just that.
    use(bench, scale_sources=[source, "floor"] if source == "scan" else [source])
    images, infos = sent(scene, getattr(sensors, source)())
    depth = bench.expect("depth/image", images, infos)
    assert median_ratio(depth, sensors.depth) == pytest.approx(1.0, abs=0.03)
    values = newest_scale(bench)
    assert float(values["scale"]) == pytest.approx(1 / 3, rel=0.05)
    assert float(values["scale_shift"]) == pytest.approx(-1 / 3, rel=0.05)


def test_a_depth_image_may_be_compressed(node, scene, sensors):
    bench = node
    use(bench, scale_sources=["depth_image"])
    assert bench.set_parameters(scale_depth_transport="compressedDepth")[0].successful
    images, infos = sent(scene, sensors.packed_depth_image())
    values = bench.wait(
        lambda: told(bench, "depth_image"), lambda: bench.send(images, infos), "nothing told by depth_image"
    )
    assert float(values["scale"]) == pytest.approx(FACTOR, rel=0.03) and values["scale_trusted"] == "true"
    assert bench.set_parameters(scale_depth_transport="raw")[0].successful


def test_a_model_without_metres_needs_a_source(start, relative, scene, sensors):
    with pytest.raises(ConfigError, match="set scale_sources"):
        start("/relative_alone", "relative")
    use(relative, scale_sources=["points"])
    relative.expect("depth/image", *sent(scene, sensors.points()))
    refused = relative.set_parameters(scale_sources=[])[0]
    assert not refused.successful and "set scale_sources" in refused.reason
    relative.expect("depth/image", *sent(scene, sensors.points()))


def test_without_a_scale_no_depth_comes_out_and_frames_are_counted(ranged, scene, sensors):
    images, infos = sent(scene)
    ranged.wait(
        lambda: int(ranged.status()["dropped_no_scale"]) >= 3, lambda: ranged.send(images, infos), "no drops"
    )
    assert not ranged.received["depth/image"]
    status = ranged.status()
    assert status["level"] != "0" and "scale/range, got none" in status["message"]
    assert (status["scale_trusted"], status["scale"]) == ("false", "nan")
    values = newest_scale(ranged)
    assert values["level"] == 2 and "scale/range" in values["scale_reason"]
    assert "no reading" not in values["scale_reason"]  # which says less


def test_a_frame_that_is_withheld_can_be_saved(ranged, scene, tmp_path):
    """What is wrong is what one wants to save."""
    assert ranged.set_parameters(save_folder=str(tmp_path))[0].successful
    answer = ranged.call(Trigger, "save", Trigger.Request(), lambda: ranged.send(*sent(scene)))
    assert answer.success, answer.message
    about = (Path(answer.message) / "versions.txt").read_text()
    assert (
        "scale: nan" in about and "scale_trusted: false" in about and "no source has given a scale" in about
    )


def test_a_reading_of_nothing_ages_the_scale_visibly(ranged, scene, sensors):
    images, infos = sent(scene, sensors.range())
    ranged.wait(lambda: told(ranged, "range"), lambda: ranged.send(images, infos))
    ranged.expect("depth/image", images, infos)
    nothing = sensors.range()
    nothing["scale/range"].range = NAN
    images, infos = sent(scene, nothing)
    unused = int(ranged.status().get("scale_frames_unused_range", 0))
    ranged.received["scale"].clear()
    ranged.wait(
        lambda: newest_scale(ranged).get("level") == 2, lambda: ranged.send(images, infos), "no end of trust"
    )
    seen = [status_of(msg) for msg in ranged.received["scale"]]
    ageing = [values for values in seen if values["level"] == 1]
    assert len(ageing) > 3 and all(values["scale_trusted"] == "true" for values in ageing)
    assert all("scale/range" in values["scale_reason"] for values in ageing)
    for key in ("scale_age_s", "scale_sigma"):
        assert np.all(np.diff([float(values[key]) for values in ageing]) > 0)
    # As written: rounded to a millisecond.
    assert float(ageing[-1]["scale_age_s"]) <= 2.0 <= float(seen[-1]["scale_age_s"])
    status = ranged.wait(lambda: (s := ranged.status())["scale_trusted"] == "false" and s)
    assert int(status["scale_frames_unused_range"]) > unused
    assert median_ratio(ranged.received["depth/image"][-1], sensors.depth) == pytest.approx(1.0, abs=0.03)
    drops = int(status["dropped_no_scale"])
    ranged.wait(lambda: int(ranged.status()["dropped_no_scale"]) > drops, lambda: ranged.send(images, infos))
    assert newest_scale(ranged)["scale_trusted"] == "false"
    ranged.expect("depth/image", *sent(scene, sensors.range()))  # and comes back with the next reading


def test_a_bag_that_starts_over_forgets_the_scale(ranged, scene, sensors):
    images, infos = sent(scene, sensors.range())
    ranged.expect("depth/image", images, infos)
    drops = int(ranged.status()["dropped_no_scale"])
    early = iter(range(ranged.new_stamp_ns() - 100_000_000_000, 1 << 62, 100_000_000))
    images, infos = sent(scene)  # the reading of another time must not count
    ranged.received["scale"].clear()

    def send_early():
        stamp = ns_to_stamp(next(early))
        for topic, msg in (infos | images).items():
            msg.header.stamp = stamp
            ranged.publish(topic, msg)

    ranged.wait(lambda: any(status_of(m)["scale"] == "nan" for m in ranged.received["scale"]), send_early)
    ranged.wait(lambda: int(ranged.status()["dropped_no_scale"]) > drops)
    ranged.expect("depth/image", *sent(scene, sensors.range()))


def test_what_is_too_far_in_time_is_not_used(ranged, scene, sensors):
    ranged.expect("depth/image", *sent(scene, sensors.range()))

    def send_late():
        images, infos = sent(scene)
        stamp_ns = ranged.send(images, infos)
        late = sensors.range()["scale/range"]
        late.header.stamp = ns_to_stamp(stamp_ns + 200_000_000)
        ranged.publish("scale/range", late)

    ranged.wait(lambda: "scale_tolerance_ms" in newest_scale(ranged).get("scale_reason", ""), send_late)
    assert ranged.set_parameters(scale_tolerance_ms=500.0)[0].successful
    ranged.wait(lambda: told(ranged, "range"), send_late)


def subscribed(bench, camera=""):
    prefix = f"{bench.node.get_namespace()}/{camera}scale/"
    return {
        s.topic_name.removeprefix(prefix) for s in bench.node.subscriptions if s.topic_name.startswith(prefix)
    }


def test_sources_change_while_the_node_runs(ranged, models, scene, sensors):
    ranged.expect("depth/image", *sent(scene, sensors.range()))
    assert subscribed(ranged) == {"range"}
    assert ranged.set_parameters(scale_sources=["depth_image", "points"])[0].successful
    ranged.wait(lambda: subscribed(ranged) == {"depth/image", "depth/camera_info", "points"})
    images, infos = sent(scene, sensors.points() | sensors.depth_image())
    ranged.wait(lambda: told(ranged, "points"), lambda: ranged.send(images, infos))
    assert ranged.set_parameters(scale_factor=3.0, scale_sources=["fixed"])[1].successful
    ranged.wait(lambda: subscribed(ranged) == set())
    wanted = sensors.depth * 1.5

    def is_three():
        depth = ranged.received["depth/image"][-1]
        return abs(median_ratio(depth, wanted) - 1) < 0.02

    ranged.wait(is_three, lambda: ranged.send(*sent(scene)))
    assert ranged.set_parameters(scale_sources=[])[0].successful  # the model's own metres
    wanted = sensors.depth / FACTOR
    ranged.wait(is_three, lambda: ranged.send(*sent(scene)))
    ranged.wait(lambda: "scale" not in ranged.status())
    refused = ranged.set_parameters(model=models["relative"])[0]
    assert not refused.successful and "set scale_sources" in refused.reason
    refused = ranged.set_parameters(scale_sources=["sonar"])[0]
    assert not refused.successful and "sonar" in refused.reason
    refused = ranged.set_parameters(scale_sources=["floor"], camera_height_m=0.0)[1]
    assert not refused.successful and "floor_frame" in refused.reason
    assert ranged.set_parameters(camera_height_m=HEIGHT_M)[0].successful


def test_another_parameter_keeps_the_scale(ranged, scene, sensors):
    ranged.expect("depth/image", *sent(scene, sensors.range()))
    drops = ranged.status()["dropped_no_scale"]
    assert ranged.set_parameters(max_depth_m=4.5)[0].successful
    ranged.wait(lambda: np.isinf(depth_from_msg(ranged.expect("depth/image", *sent(scene)))).any())
    assert ranged.status()["dropped_no_scale"] == drops
    assert ranged.set_parameters(max_depth_m=20.0)[0].successful


def test_another_model_begins_without_a_scale(node, models, scene, sensors):
    """Its factor is another one, or it has none at all."""
    use(node, scale_sources=["points"])
    images, infos = sent(scene, sensors.points())
    node.expect("depth/image", images, infos)
    for name, label, scale in (("relative", "relative", 1 / 3), ("metric", "half", FACTOR)):
        assert node.set_parameters(model=models[name])[0].successful
        node.wait(lambda label=label: node.status()["model"] == label)
        node.received["scale"].clear()
        for _ in range(3):
            depth = node.expect("depth/image", images, infos)
            assert median_ratio(depth, sensors.depth) == pytest.approx(1.0, abs=0.03)
        scales = [float(status_of(msg)["scale"]) for msg in node.received["scale"]]
        np.testing.assert_allclose([s for s in scales if np.isfinite(s)], scale, rtol=0.05)


def test_a_sensor_that_cannot_be_subscribed_to_is_refused_and_the_others_stay(start, scene, sensors):
    override = {"qos_overrides./qos_scale/scale/scan.subscription.reliability": "sometimes"}
    bench = start("/qos_scale", scale_sources=["range"], **override)
    bench.expect("depth/image", *sent(scene, sensors.range()))
    refused = bench.set_parameters(scale_sources=["range", "scan"])[0]
    assert not refused.successful and "qos_overrides" in refused.reason
    assert subscribed(bench) == {"range"}
    bench.received["scale"].clear()
    bench.wait(lambda: told(bench, "range"), lambda: bench.send(*sent(scene, sensors.range())))
    assert bench.node.get_parameter("scale_sources").value == ["range"]


def test_a_set_that_one_camera_cannot_have_is_taken_from_all(start, scene, sensors):
    override = {"qos_overrides./all_or_none/rear/scale/scan.subscription.reliability": "sometimes"}
    cameras = ["front", "rear"]
    bench = start("/all_or_none", cameras=cameras, scale_sources=["range"], outputs=(), **override)
    for camera in cameras:
        bench.listen(f"{camera}/depth/image", Image)
    bench.wait(lambda: len(subscribed(bench, "front/")) == len(subscribed(bench, "rear/")) == 1)
    refused = bench.set_together(scale_sources=["range", "scan"], depth_encoding="16UC1", border_px=9)
    assert not refused.successful and "qos_overrides" in refused.reason
    for channel in bench.node._channels:
        assert subscribed(bench, f"{channel.name}/") == {"range"}
        assert channel.outputs._config.depth_encoding == "32FC1"
    names = ("scale_sources", "depth_encoding", "border_px")
    assert [bench.node.get_parameter(name).value for name in names] == [["range"], "32FC1", 0]
    image, info = image_to_msg(scene.picture(0), 0, "optical"), camera_to_info(scene.camera, 0, "optical")
    messages = {f"rear/{topic}": msg for topic, msg in sensors.range().items()}
    bench.wait(
        lambda: bench.received["rear/depth/image"],
        lambda: bench.send({"rear/image": image}, {"rear/camera_info": info, **messages}),
    )
    assert np.isfinite(depth_from_msg(bench.received["rear/depth/image"][-1])[0]).any()  # no border was cut


@pytest.fixture
def scaled(relative, models):
    """The relative model with its points, whatever a test leaves behind."""
    values = {"model": models["relative"], "scale_sources": ["points"], "max_depth_m": 20.0}
    yield relative
    relative.wait(lambda: "model_loading" not in relative.status())
    result = relative.set_together(**values)
    assert result.successful, result
    relative.wait(lambda: relative.status()["model"] == "relative")


def test_a_set_is_checked_against_the_model_that_it_brings(scaled, models, scene, sensors, held_opening):
    images, infos = sent(scene, sensors.points())
    begun, go_on = held_opening(models["metric"])
    result = scaled.set_together(model=models["metric"], scale_sources=[], max_depth_m=1.5)
    assert result.successful, result.reason
    assert begun.wait(30)
    # Until the other model is open the old one goes on with the scale and the limits that it has.
    scaled.received["depth/image"].clear()
    depth = scaled.expect("depth/image", images, infos)
    assert subscribed(scaled) == {"points"} and scaled.status()["model"] == "relative"
    assert median_ratio(depth, sensors.depth) == pytest.approx(1.0, abs=0.03)
    assert not np.isinf(depth_from_msg(depth)).any()
    go_on.set()
    scaled.wait(lambda: scaled.status()["model"] == "half", lambda: scaled.send(images, infos))
    scaled.received["depth/image"].clear()
    answered = depth_from_msg(scaled.expect("depth/image", images, infos))
    assert subscribed(scaled) == set() and np.isinf(answered).any()
    near = np.isfinite(answered)
    np.testing.assert_allclose(answered[near], sensors.depth[near] / FACTOR, rtol=1e-3)
    assert list(scaled.node.get_parameter("scale_sources").value) == []


def test_what_changes_while_a_model_loads_holds_for_both_where_both_can_have_it(
    scaled, models, scene, sensors, held_opening
):
    images, infos = sent(scene, sensors.points())
    begun, go_on = held_opening(models["metric"])
    assert scaled.set_together(model=models["metric"]).successful and begun.wait(30)
    assert scaled.set_together(scale_sources=[]).successful  # the old model cannot: it comes with the new one
    assert scaled.set_together(max_depth_m=1.5).successful
    scaled.wait(
        lambda: np.isinf(depth_from_msg(scaled.received["depth/image"][-1])).any(),
        lambda: scaled.send(images, infos),
        "the limit of the model that serves",
    )
    assert scaled.status()["model"] == "relative" and subscribed(scaled) == {"points"}
    refused = scaled.set_together(model=models["relative"])
    assert not refused.successful and "set scale_sources" in refused.reason
    go_on.set()
    scaled.wait(lambda: scaled.status()["model"] == "half", lambda: scaled.send(images, infos))
    assert subscribed(scaled) == set()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scale_sources": []}, "set scale_sources"),
        ({"scale_sources": [], "model": "no_such_model"}, "no_such_model"),
        ({"scale_sources": [], "model": "metric", "roi_mask": "/no/mask.png"}, "/no/mask.png"),
        ({"scale_sources": ["floor"], "model": "metric", "camera_height_m": 0.0}, "floor_frame"),
        ({"scale_sources": [], "model": "metric", "min_depth_m": 30.0}, "min_depth_m must be less"),
        ({"scale_sources": [], "model": "fake_stereo"}, "set parameter mode to stereo"),
    ],
)
def test_a_set_that_cannot_be_is_refused_whole(scaled, models, values, words):
    before = {name: scaled.node.get_parameter(name).value for name in values}
    values = {name: models.get(value, value) if name == "model" else value for name, value in values.items()}
    refused = scaled.set_together(**values)
    assert not refused.successful and words in refused.reason
    assert {name: scaled.node.get_parameter(name).value for name in values} == before
    assert subscribed(scaled) == {"points"} and scaled.status()["model"] == "relative"


def test_a_set_whose_model_does_not_open_is_taken_back_whole(scaled, models, scene, sensors, tmp_path):
    good = Path(models["metric"])
    broken = tmp_path / good.name
    broken.write_text(good.read_text())
    broken.with_suffix(".onnx").write_bytes(good.with_suffix(".onnx").read_bytes()[:-1])
    assert scaled.set_together(model=str(broken), scale_sources=[], max_depth_m=1.5).successful
    images, infos = sent(scene, sensors.points())
    scaled.wait(
        lambda: scaled.node.get_parameter("model").value == models["relative"],
        lambda: scaled.send(images, infos),
        "the old value",
    )
    names = ("scale_sources", "max_depth_m")
    assert [scaled.node.get_parameter(name).value for name in names] == [["points"], 20.0]
    scaled.received["depth/image"].clear()
    depth = scaled.expect("depth/image", images, infos)
    assert median_ratio(depth, sensors.depth) == pytest.approx(1.0, abs=0.03)
    assert subscribed(scaled) == {"points"}


def test_each_camera_has_its_own_sensors_and_scale(start, scene, sensors):
    bench = start("/two", cameras=["front", "rear"], scale_sources=["range"], outputs=())
    for camera in ("front", "rear"):
        bench.listen(f"{camera}/depth/image", Image)
        bench.listen(f"{camera}/scale", DiagnosticArray)
    images, infos = sent(scene)
    both = {
        f"{camera}/{topic}": msg for camera in ("front", "rear") for topic, msg in (infos | images).items()
    }
    reading = {"front/scale/range": sensors.range()["scale/range"]}
    depth = bench.expect("front/depth/image", both, reading)
    assert median_ratio(depth, sensors.depth) == pytest.approx(1.0, abs=0.03)
    bench.wait(lambda: int(bench.status("rear")["dropped_no_scale"]) > 0)
    assert "/two/rear/scale/range, got none" in bench.status("rear")["message"]
    assert not bench.received["rear/depth/image"]
    (status,) = bench.received["front/scale"][-1].status
    assert status.name == "/two/depth_node: front"


def test_what_cannot_be_read_is_counted_and_costs_no_frame(node, scene, sensors):
    bench = node
    use(bench, scale_sources=["points", "fixed"])
    good = sensors.points()["scale/points"]
    broken = PointCloud2(header=good.header, fields=good.fields, height=1, width=99, point_step=12)
    images, infos = sent(scene, {"scale/points": broken})
    bench.wait(
        lambda: "truncated" in newest_scale(bench).get("scale_reason", ""), lambda: bench.send(images, infos)
    )
    bench.expect("depth/image", images, infos)
    assert told(bench, "fixed")
    bench.wait(lambda: int(bench.status().get("scale_frames_unused_points", 0)) > 0)


def test_sensors_are_heard_only_while_somebody_wants_depth(start, scene, sensors, monkeypatch):
    monkeypatch.setattr("recon3d_ros.ros.node.channel.LINGER_S", 0.2)
    bench = start("/lazy_scale", outputs=(), scale_sources=["range", "scan"])
    bench.wait(lambda: subscribed(bench) == {"range", "scan"})
    (listener,) = [s for s in bench.probe.subscriptions if s.topic_name == "/lazy_scale/scale"]
    bench.silence(listener)
    bench.wait(lambda: subscribed(bench) == set())
    bench.listen("depth/image")
    bench.wait(lambda: subscribed(bench) == {"range", "scan"})
    bench.expect("depth/image", *sent(scene, sensors.scan()))


@pytest.mark.skipif(HAVE_TF2, reason="tf2_ros is installed here")
@pytest.mark.parametrize(
    "changes", [{"scale_poses": []}, {"scale_sources": ["floor"], "floor_frame": "base"}]
)
def test_without_tf2_a_pose_has_to_be_given(start, changes):
    with pytest.raises(MissingDependencyError, match="scale_poses"):
        start("/no_tf2", **({"scale_sources": ["scan"]} | changes))


def test_a_pair_needs_no_scale(make_bench):
    with pytest.raises(ConfigError, match="scale_sources are for mono models"):
        make_bench({"model": "fake_stereo", "scale_sources": ["fixed"]}, "/pair_scale")


class TransformException(Exception):
    """As tf2_py has it."""


class Buffer:
    """What is used of tf2_ros.Buffer; (target, source) -> (4, 4) matrix."""

    known: dict = {}

    def can_transform(self, target_frame, source_frame, time):
        return (target_frame, source_frame) in self.known

    def lookup_transform(self, target_frame, source_frame, time):
        if not self.can_transform(target_frame, source_frame, time):
            raise TransformException("two unconnected trees")
        matrix = self.known[target_frame, source_frame]
        found = TransformStamped()
        move, turn = found.transform.translation, found.transform.rotation
        move.x, move.y, move.z = matrix[:3, 3]
        turn.w, turn.x, turn.y, turn.z = quaternion(matrix[:3, :3])
        return found

    def clear(self):
        """Nothing is kept."""


def quaternion(rotation):
    """(w, x, y, z) by the largest eigenvector (Bar-Itzhack 2000), which never divides by zero."""
    r = rotation
    k = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    return np.linalg.eigh(k)[1][:, -1]


@pytest.fixture(scope="module")
def tf2():
    with pytest.MonkeyPatch.context() as patch:
        module = ModuleType("tf2_ros")
        module.Buffer, module.TransformException = Buffer, TransformException
        module.TransformListener = lambda buffer, node: SimpleNamespace(buffer=buffer, node=node)
        patch.setitem(sys.modules, "tf2_ros", module)
        yield Buffer
    Buffer.known = {}


@pytest.fixture(scope="module")
def by_tf(tf2, start):
    return start("/by_tf", scale_sources=["points"], scale_poses=[])


def test_a_sensor_in_another_frame_waits_for_its_transform(tf2, by_tf, scene, sensors):
    images, infos = sent(scene, sensors.points())
    by_tf.wait(
        lambda: int(by_tf.status().get("scale_frames_unused_points", 0)) >= 3,
        lambda: by_tf.send(images, infos),
    )
    status = by_tf.status()
    assert status["level"] == "2"  # nothing has come out at all
    assert "two unconnected trees" in status["message"] and "'lidar'" in status["message"]
    assert status["scale_trusted"] == "false" and int(status["dropped_no_scale"]) >= 3
    assert not by_tf.received["depth/image"]
    tf2.known = {("optical", "lidar"): ScaleInputConfig(scale_poses=Sensors.poses).poses()["points"]}
    depth = by_tf.expect("depth/image", images, infos)
    assert median_ratio(depth, sensors.depth) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("level_only", [False, True])
def test_tf_tells_how_the_camera_hangs(tf2, by_tf, scene, sensors, level_only):
    """base_footprint tells height and tilt; a level frame tells the tilt, the parameter the height."""
    pitch = np.radians(PITCH_DEG)
    frame = np.eye(4)  # T_base_optical: x ahead, z up
    frame[:3, 0] = [0, -1, 0]
    frame[:3, 1] = [-np.sin(pitch), 0, -np.cos(pitch)]
    frame[:3, 2] = [np.cos(pitch), 0, -np.sin(pitch)]
    frame[:3, 3] = [0.3, 0.1, 0.2 if level_only else HEIGHT_M]
    tf2.known = {}
    height_m = HEIGHT_M if level_only else 0.0
    use(by_tf, floor_frame="base", camera_height_m=height_m, camera_pitch_deg=0.0, scale_sources=["floor"])
    drops, (images, infos) = int(by_tf.status()["dropped_no_scale"]), sent(scene)
    stamps = set()  # a frame of the configuration before may still come out
    by_tf.wait(
        lambda: int(by_tf.status()["dropped_no_scale"]) >= drops + 2,
        lambda: stamps.add(by_tf.send(images, infos)),
    )
    assert "'base'" in newest_scale(by_tf)["scale_reason"]
    assert by_tf.received_at("depth/image", stamps) is None
    tf2.known = {("base", "optical"): frame}
    depth = by_tf.expect("depth/image", images, infos)
    assert median_ratio(depth, sensors.depth) == pytest.approx(1.0, abs=0.03)
    assert told(by_tf, "floor")
