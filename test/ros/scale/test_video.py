"""A played HoloLens video through the real node, with a network that never saw these rooms.

FastDepth answers with a scale of its own here. Beams of a lidar, a level scan, or the floor that tf knows,
tell the right one, and the published cloud is compared with the true depth, pixel by pixel.
"""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import LaserScan

from recon3d_ros.config.scale_inputs import ScaleInputConfig
from recon3d_ros.datasets import open_dataset
from recon3d_ros.ros.bridge.conversions import camera_to_info, cloud_from_msg, image_to_msg, ns_to_stamp
from recon3d_ros.ros.output.cloud_message import list_to_msg

pytest.importorskip("onnxruntime")

CROP = (90, 0, 360, 360)  # the square centre, as FastDepth was trained
STEP, PERIOD_NS = 4, 400_000_000  # of the video's frames, which are 0.1 s apart
BEAMS, SIGMA_M = 16, 0.03
POSE = "points 0.05 -0.1 0.2 0.02 0.1 -0.05"  # of the lidar
FLOOR_Y_M = -1.535  # of the floor in the world of the data: test/scale/test_hololens.py finds it


@pytest.fixture(scope="module")
def video(data_dir):
    """(image, (H, W) true depth, 4x4 camera to world) of every fourth frame, and the camera."""
    x, y, width, height = CROP
    window = (slice(y, y + height), slice(x, x + width))
    samples = open_dataset("hololens", data_dir)
    poses = np.loadtxt(data_dir / "video" / "hololens" / "poses.txt").reshape(-1, 4, 4)
    frames = [
        (np.ascontiguousarray(samples[i].frame.image[window]), samples[i].depth[window], poses[i])
        for i in range(0, len(samples), STEP)
    ]
    return frames, samples[0].frame.camera.cropped(*CROP)


class TransformException(Exception):
    """As tf2_py has it."""


class Buffer:
    """What is used of tf2_ros.Buffer: the camera at each stamp, in a map with z up and the floor at 0."""

    quaternions: dict = {}

    def can_transform(self, target_frame, source_frame, time):
        known = (target_frame, source_frame) == ("map", "optical")
        return known and time.nanoseconds in (0, *self.quaternions)

    def lookup_transform(self, target_frame, source_frame, time):
        if not self.can_transform(target_frame, source_frame, time):
            raise TransformException("not at that time")
        height_m, (w, x, y, z) = self.quaternions[time.nanoseconds]
        found = TransformStamped()
        found.transform.translation.z = height_m
        turn = found.transform.rotation
        turn.w, turn.x, turn.y, turn.z = w, x, y, z
        return found

    def clear(self):
        """Nothing is kept."""


@pytest.fixture(scope="module")
def bench(make_bench, fastdepth):
    model = fastdepth("fast_depth_224_fp32_nchw")
    with pytest.MonkeyPatch.context() as patch:
        module = ModuleType("tf2_ros")
        module.Buffer, module.TransformException = Buffer, TransformException
        module.TransformListener = lambda buffer, node: SimpleNamespace(buffer=buffer, node=node)
        patch.setitem(sys.modules, "tf2_ros", module)
        parameters = {"mode": "mono", "model": model, "threads": 1, "scale_poses": [POSE, "scan 0 0 0 0 0 0"]}
        bench = make_bench({**parameters, "floor_frame": "map"}, "/hololens", outputs=("points",))
        bench.listen("scale", DiagnosticArray)
        yield bench


def beams(depth, camera, rng):
    """A sparse cloud of the lidar: sixteen pixels with 3 cm of noise, in its own frame."""
    v, u = np.random.default_rng(0).integers(0, depth.shape, (BEAMS, 2)).T
    z = depth[v, u] + rng.normal(0, SIGMA_M, BEAMS)
    optical = np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=1)
    pose = np.linalg.inv(ScaleInputConfig(scale_poses=(POSE,)).poses()["points"])
    points = optical @ pose[:3, :3].T + pose[:3, 3]
    return {"scale/points": list_to_msg(points.astype(np.float32), ("x", "y", "z"), 0, "lidar")}


def scan(depth, camera, rng):
    """A level scan through the camera's axis: one row of the image, x ahead and y to the left."""
    msg = LaserScan(angle_min=-0.3, angle_increment=0.01, range_min=0.1, range_max=12.0)
    angles = msg.angle_min + msg.angle_increment * np.arange(61)
    u = np.rint(camera.cx - camera.fx * np.tan(angles)).astype(int)
    ranges = depth[round(camera.cy), u] / np.cos(angles) + rng.normal(0, SIGMA_M, 61)
    msg.ranges = [float(r) for r in np.where(np.isfinite(ranges), ranges, np.inf)]
    return {"scale/scan": msg}


def nothing(depth, camera, rng):
    return {}


def play(bench, video, sensor):
    """Play the frames; return the pixelwise cloud depth / true depth of those that came out, by number."""
    frames, camera = video
    rng, begin_ns, ratios = np.random.default_rng(1), bench.new_stamp_ns(), {}
    Buffer.quaternions = {begin_ns + i * PERIOD_NS: hanging(pose) for i, (_, _, pose) in enumerate(frames)}
    for i, (image, depth, _) in enumerate(frames):
        messages = {"camera_info": camera_to_info(camera, 0, "optical"), **sensor(depth, camera, rng)}
        messages["image"] = image_to_msg(image, 0, "optical")
        stamp_ns = begin_ns + i * PERIOD_NS
        for topic, msg in messages.items():
            msg.header.stamp = ns_to_stamp(stamp_ns)
            bench.publish(topic, msg)
        told = answer(bench, "scale", stamp_ns)
        if told.status[0].level == b"\x02":
            continue
        cloud = cloud_from_msg(answer(bench, "points", stamp_ns))
        known = np.isfinite(cloud["z"]) & np.isfinite(depth)
        ratios[i] = cloud["z"][known] / depth[known]
    return ratios


def answer(bench, topic, stamp_ns):
    return bench.wait(lambda: bench.received_at(topic, {stamp_ns}), what=f"no {topic} of {stamp_ns}")


def hanging(pose):
    """Height over the floor and quaternion (w, x, y, z) of T_map_optical; the world of the data has y up."""
    rotation = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]) @ pose[:3, :3]
    w = np.sqrt(max(0.0, 1 + np.trace(rotation))) / 2
    off = [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    return float(pose[1, 3] - FLOOR_Y_M), (w, *(np.array(off) / (4 * w)))


def played(bench, video, source, sensor):
    """Play with one source; delta_1, that of an oracle, and the medians of the frames that came out."""
    assert all(result.successful for result in bench.set_parameters(scale_sources=[source]))
    ratios = play(bench, video, sensor)
    medians = {i: float(np.median(ratio)) for i, ratio in ratios.items()}
    oracle = {i: ratio / medians[i] for i, ratio in ratios.items()}
    return delta_1(ratios), delta_1(oracle), medians


def delta_1(ratios):
    return float(np.mean([np.mean(np.maximum(r, 1 / r) < 1.25) for r in ratios.values()]))


def test_the_network_alone_has_not_the_metres_of_the_room(bench, video):
    found, oracle, medians = played(bench, video, "fixed", nothing)  # the factor is 1
    assert len(medians) == 20 and found < oracle - 0.15
    assert min(medians.values()) < 0.6 and max(medians.values()) > 1.2


@pytest.mark.parametrize(
    ("source", "sensor", "least", "within", "behind"),
    [
        ("points", beams, 20, 0.05, 0.03),
        ("scan", scan, 20, 0.05, 0.03),
        (
            "floor",
            nothing,
            12,
            0.1,
            0.07,
        ),  # networks see floors nearer or farther than the rest: docs/scale.md
    ],
)
def test_the_cloud_has_the_metres_of_the_room(bench, video, source, sensor, least, within, behind):
    """As good as the oracle that scales each frame by the median of its truth."""
    found, oracle, medians = played(bench, video, source, sensor)
    assert len(medians) >= least  # the floor is not in view in the first frames, which are withheld
    assert np.median(list(medians.values())) == pytest.approx(1.0, abs=within)
    assert found > oracle - behind
