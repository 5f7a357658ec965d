"""What Nav2, RTAB-Map, OctoMap, nvblox and depthimage_to_laserscan read, read as they do from a running node.

Each reader below is the consumer's own way in a few lines of NumPy; docs/consumers.md names the source files.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from rclpy.qos import (
    QoSCompatibility,
    QoSDurabilityPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from recon3d_ros.config import NodeConfig, PipelineConfig
from recon3d_ros.config.parameters import DEPTH_NODE, parameters
from recon3d_ros.ros.bridge.runtime import sensor_qos
from recon3d_ros.ros.output.outputs import TYPES

ROOT = Path(__file__).resolve().parents[2]
CONSUMERS = yaml.safe_load((ROOT / "config" / "consumers.yaml").read_text())
NAV2 = yaml.safe_load((ROOT / "config" / "nav2_voxel_layer.yaml").read_text())
LAYER = NAV2["local_costmap"]["local_costmap"]["ros__parameters"]["recon3d_layer"]
SOURCES = {name: LAYER[name] for name in LAYER["observation_sources"].split()}
MESSAGES = {"Image": Image, "CameraInfo": CameraInfo, "PointCloud2": PointCloud2}
RELIABILITY = {
    "best_effort": QoSReliabilityPolicy.BEST_EFFORT,
    "reliable": QoSReliabilityPolicy.RELIABLE,
}
CAMERA_TOPICS = {"left/image_rect": Image}
INPUTS = [(name, topic) for name, consumer in CONSUMERS.items() for topic in consumer["inputs"]]
LIMITS = {"min_depth_m": 0.9, "max_depth_m": 2.0}
EVERYTHING = ("points", "points_free", "depth/image", "depth/camera_info")


@pytest.fixture(scope="module", params=["32FC1", "16UC1"])
def bench(make_bench, request):
    parameters = {"model": "fake_stereo", **LIMITS, "depth_encoding": request.param, "free_space_frames": 1}
    bench = make_bench(parameters, f"/consumers_{request.param.lower()}", outputs=())
    for topic in EVERYTHING:
        bench.listen(topic, TYPES[topic])
    return bench


@pytest.fixture
def frame(bench, scene):
    """The messages of one frame, by topic."""

    def complete():
        for msg in bench.received["points_free"]:
            stamp_ns = Time.from_msg(msg.header.stamp).nanoseconds
            found = {topic: bench.received_at(topic, {stamp_ns}) for topic in EVERYTHING}
            if all(found.values()):
                return found
        return None

    return bench.wait(complete, lambda: bench.send(scene.images(), scene.infos()), "no complete frame")


def pcl_points(msg, names):
    """pcl::fromROSMsg: a field is taken when name, type and count are those of the point, at any offset."""
    fields = {f.name: f for f in msg.fields}
    raw = np.frombuffer(msg.data, np.uint8).reshape(msg.height * msg.width, msg.point_step)
    columns = []
    for name in names:
        field = fields[name]
        assert (field.datatype, field.count) == (PointField.FLOAT32, 1)
        columns.append(np.ascontiguousarray(raw[:, field.offset : field.offset + 4]).view("<f4"))
    return np.concatenate(columns, axis=1)


def depth_m(msg):
    """depth_traits.hpp: millimetres are known unless 0, metres if finite; rows by `step`, as in cv_bridge."""
    dtype = {"16UC1": "<u2", "32FC1": "<f4"}[msg.encoding]
    assert not msg.is_bigendian
    rows = np.frombuffer(msg.data, np.uint8).reshape(msg.height, msg.step)
    values = np.ascontiguousarray(rows[:, : msg.width * np.dtype(dtype).itemsize]).view(dtype)
    if msg.encoding == "16UC1":
        return np.where(values == 0, np.nan, values * np.float32(0.001))
    return values


def check_compatible(offered, reliability):
    """Policies that nobody gave ("system default") are at most a warning; what does not match is an error."""
    verdict, reason = qos_check_compatible(offered, QoSProfile(depth=5, reliability=reliability))
    assert verdict != QoSCompatibility.ERROR, reason


# --- the shipped files ---


def test_the_table_names_our_topics_and_their_types():
    for name, topic in INPUTS:
        asked = CONSUMERS[name]["inputs"][topic]
        ours = {**TYPES, **CAMERA_TOPICS}[asked["topic"]]
        assert MESSAGES[asked["type"]] is ours, (name, topic)
        assert asked["reliability"] in RELIABILITY


def test_the_table_gives_each_consumer_nodes_and_a_frame():
    assert set(CONSUMERS) == {"rtabmap", "octomap", "nvblox", "laserscan"}
    for consumer in CONSUMERS.values():
        assert all(set(node) == {"package", "executable"} for node in consumer["nodes"])
        assert isinstance(consumer["parameters"][consumer["frame"]], str)


def test_the_node_side_of_the_nav2_file_is_valid_and_switches_free_space_on():
    given = NAV2["/**"]["depth_node"]["ros__parameters"]
    known = parameters(DEPTH_NODE)
    assert all(type(value) is known[name].type for name, value in given.items())
    config = PipelineConfig(**given)  # all of them are the pipeline's, in their limits
    assert config.free_space_frames > 0
    # Rays clear farther than obstacles are marked, and free space ends beyond that.
    rays_m = [SOURCES[name]["raytrace_max_range"] for name in ("rays", "free")]
    assert SOURCES["obstacles"]["obstacle_max_range"] < min(rays_m) <= max(rays_m) < config.max_depth_m


def test_the_layer_of_labels_fits_the_node():
    document = yaml.safe_load((ROOT / "config" / "nav2_labels_layer.yaml").read_text())
    given = dict(document["/**"]["depth_node"]["ros__parameters"])
    assert NodeConfig(labels_frame=given.pop("labels_frame")).labels_frame
    assert PipelineConfig(**given).point_labels == "recon3d_point_labels"
    layer = document["local_costmap"]["local_costmap"]["ros__parameters"]["recon3d_layer"]
    topics = {layer[name]["topic"].lstrip("/") for name in layer["observation_sources"].split()}
    assert topics == {"points_obstacles", "points_ground"} <= TYPES.keys()


def test_the_voxel_layer_marks_from_points_and_never_from_free_space():
    assert LAYER["plugin"] == "nav2_costmap_2d::VoxelLayer"
    assert {name: (s["topic"], s["marking"], s["clearing"]) for name, s in SOURCES.items()} == {
        "obstacles": ("/points", True, False),
        "rays": ("/points", False, True),
        "free": ("/points_free", False, True),
    }
    for source in SOURCES.values():
        assert TYPES[source["topic"][1:]] is MESSAGES[source["data_type"]]
        # heights that are not given are 0 to 0 m, that is nothing
        assert source["min_obstacle_height"] < source["max_obstacle_height"]
        numbers = [value for key, value in source.items() if re.search("range|height|rate", key)]
        assert all(type(value) is float for value in numbers)  # rcl is strict
    assert SOURCES["obstacles"]["min_obstacle_height"] > 0  # the floor is none
    assert "expected_update_rate" not in SOURCES["free"]  # silent unless free_space_frames is set
    assert LAYER["z_voxels"] <= 16  # of voxel_grid.hpp


@pytest.mark.parametrize("name", [*CONSUMERS, "nav2"])
def test_every_consumer_is_documented(name):
    text = (ROOT / "docs" / "consumers.md").read_text()
    asked = [(row["topic"], row["type"]) for row in CONSUMERS.get(name, {"inputs": {}})["inputs"].values()]
    asked = asked or [(source["topic"][1:], source["data_type"]) for source in SOURCES.values()]
    (section,) = re.findall(rf"^## [^\n]*`{name}`[^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    for topic, message in asked:
        assert re.search(rf"`{re.escape(topic)}`[^\n]*\b{message}\b", section), f"{name} reads {topic}"


# --- the running node ---


def test_the_check_of_qos_can_fail():
    with pytest.raises(AssertionError):
        check_compatible(sensor_qos(), QoSReliabilityPolicy.RELIABLE)


@pytest.mark.parametrize("topic", [topic for topic in TYPES if topic != "scale"])  # which a pair has not
def test_every_output_is_heard_by_reliable_and_best_effort_subscribers(bench, topic):
    namespace = bench.node.get_namespace()
    (info,) = bench.wait(lambda: bench.probe.get_publishers_info_by_topic(f"{namespace}/{topic}"))
    assert info.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE
    assert info.qos_profile.durability == QoSDurabilityPolicy.VOLATILE
    for reliability in RELIABILITY.values():
        check_compatible(info.qos_profile, reliability)


@pytest.mark.parametrize(("name", "topic"), INPUTS)
def test_a_subscription_as_the_consumer_makes_it_is_compatible(bench, name, topic):
    asked = CONSUMERS[name]["inputs"][topic]
    if asked["topic"] in CAMERA_TOPICS:
        return  # the camera's to publish; best effort hears every camera
    (info,) = bench.wait(
        lambda: bench.probe.get_publishers_info_by_topic(f"{bench.node.get_namespace()}/{asked['topic']}")
    )
    assert info.topic_type == f"sensor_msgs/msg/{asked['type']}"
    check_compatible(info.qos_profile, RELIABILITY[asked["reliability"]])


@pytest.mark.parametrize(("name", "topic"), INPUTS)
def test_messages_have_what_the_table_asks_for(frame, name, topic):
    asked = CONSUMERS[name]["inputs"][topic]
    if asked["topic"] in CAMERA_TOPICS:
        assert asked["reliability"] == "best_effort"
        return
    msg = frame[asked["topic"]]
    assert type(msg) is MESSAGES[asked["type"]]
    assert msg.header.frame_id == "left_optical"
    if "encodings" in asked:
        assert msg.encoding in asked["encodings"]
    if "fields" in asked:
        assert set(asked["fields"]) <= {field.name for field in msg.fields}


def test_exact_synchronisation_finds_one_stamp(frame):
    """rtabmap with approx_sync false and nvblox's image_exact_sync pair by equal stamps only."""
    assert len({Time.from_msg(msg.header.stamp).nanoseconds for msg in frame.values()}) == 1


def test_pcl_reads_points_and_colours(frame, scene):
    msg = frame["points"]
    xyz = pcl_points(msg, "xyz").reshape(msg.height, msg.width, 3)
    assert (msg.height, msg.width) == (scene.height, scene.width)
    valid = np.isfinite(xyz).all(axis=2)
    assert valid.any() and np.isnan(xyz[~valid]).all() and not msg.is_dense
    depth = depth_m(frame["depth/image"])
    np.testing.assert_allclose(xyz[valid][:, 2], depth[valid], atol=0.00051)
    # PCL's PointXYZRGB: the float's bits are 0x00RRGGBB
    bits = pcl_points(msg, ["rgb"]).view(np.uint32).reshape(msg.height, msg.width)
    rgb = np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=-1)
    np.testing.assert_array_equal(rgb, scene.picture(0))


def test_octomap_keeps_the_finite_points_and_only_these(frame):
    """octomap_server: pcl::PassThrough over x, y and z removes what is not finite."""
    points = pcl_points(frame["points"], CONSUMERS["octomap"]["inputs"]["cloud_in"]["fields"])
    kept = points[np.isfinite(points).all(axis=1)]
    assert len(kept) == np.isfinite(points[:, 2]).sum() > 0
    assert np.linalg.norm(kept, axis=1).min() >= LIMITS["min_depth_m"]  # no point at the origin
    assert kept[:, 2].max() <= LIMITS["max_depth_m"]


def test_nav2_gets_obstacles_within_the_limits_and_rays_beyond(frame):
    """observation_buffer.cpp: by height in the costmap's frame, which a NaN is never in; then by range."""
    level_camera = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], np.float32)  # optical to x forward, z up
    for name, source in SOURCES.items():
        msg = frame[source["topic"][1:]]
        points = pcl_points(msg, "xyz") @ level_camera.T
        with np.errstate(invalid="ignore"):
            kept = (points[:, 2] >= source["min_obstacle_height"]) & (
                points[:, 2] <= source["max_obstacle_height"]
            )
        assert kept.any() and np.isfinite(points[kept]).all()
        forward_m = points[kept, 0]
        if name == "free":
            np.testing.assert_allclose(forward_m, LIMITS["max_depth_m"], rtol=1e-5)
        else:
            assert LIMITS["min_depth_m"] <= forward_m.min() and forward_m.max() <= LIMITS["max_depth_m"]
        if not source["marking"]:  # every ray there is, those to floor and ceiling too
            assert kept.sum() == np.isfinite(points).all(axis=1).sum()


def test_a_free_ray_ends_where_no_obstacle_is_seen(frame, scene):
    xyz = pcl_points(frame["points_free"], "xyz")
    camera = scene.rig.left.as_rectified()
    u = np.rint(xyz[:, 0] / xyz[:, 2] * camera.fx + camera.cx).astype(int)
    v = np.rint(xyz[:, 1] / xyz[:, 2] * camera.fy + camera.cy).astype(int)
    seen = pcl_points(frame["points"], "z").reshape(scene.height, scene.width)
    assert len(u) and np.isnan(seen[v, u]).all()


def test_laserscan_takes_the_middle_rows(frame, scene):
    """DepthImageToLaserScan.hpp: the nearest of each column, measured in the plane of its row."""
    msg, info = frame["depth/image"], frame["depth/camera_info"]
    parameters = CONSUMERS["laserscan"]["parameters"]
    rows = parameters["scan_height"]
    assert rows / 2 <= info.k[5] <= msg.height - rows / 2  # else it throws
    assert msg.step % np.dtype({"16UC1": "u2", "32FC1": "f4"}[msg.encoding]).itemsize == 0
    top = int(info.p[6] - rows / 2)
    depth = depth_m(msg)[top : top + rows]
    x = (np.arange(msg.width) - info.p[2]) / info.p[0]
    with np.errstate(invalid="ignore"):
        ranges = np.hypot(depth, depth * x)
    inside = (ranges >= parameters["range_min"]) & (ranges <= parameters["range_max"])
    nearest = np.min(np.where(inside, ranges, np.inf), axis=0)
    truth = np.full((scene.height, scene.width), np.nan, np.float32)
    points = pcl_points(frame["points"], "xyz").reshape(scene.height, scene.width, 3)
    truth = np.hypot(points[..., 0], points[..., 2])[top : top + rows]
    wanted = np.min(np.where(np.isfinite(truth), truth, np.inf), axis=0)
    np.testing.assert_allclose(nearest, wanted, atol=0.002)
    assert np.isfinite(nearest).any()


def test_rtabmap_takes_the_pair_for_image_and_depth(frame, scene):
    """MsgConversion.cpp: encodings, an integer ratio of the sizes, and no baseline in the camera_info."""
    depth, info = frame["depth/image"], frame["depth/camera_info"]
    image = scene.images()["left/image_rect"]
    assert depth.encoding in ("16UC1", "32FC1", "mono16")
    assert image.encoding in ("mono8", "mono16", "rgb8", "bgr8", "rgba8", "bgra8")
    assert image.width % depth.width == 0 and image.width // depth.width == image.height // depth.height
    assert (info.width, info.height) == (image.width, image.height)
    assert info.p[3] == 0.0  # of the left camera; the right one's is -fx B, or rtabmap takes it for no stereo
    assert scene.infos()["right/camera_info"].p[3] < 0


def test_nvblox_reads_k_and_rows_without_padding(frame):
    """image_conversions.cpp: the camera is K alone (not P), the pixels are one block of float or int16."""
    depth, info = frame["depth/image"], frame["depth/camera_info"]
    k, p = np.reshape(info.k, (3, 3)), np.reshape(info.p, (3, 4))
    np.testing.assert_array_equal(k, p[:, :3])
    assert not np.any(info.d) and np.array_equal(np.reshape(info.r, (3, 3)), np.eye(3))
    assert len(depth.data) == depth.width * depth.height * {"32FC1": 4, "16UC1": 2}[depth.encoding]
    assert depth.encoding in ("32FC1", "16UC1")
    if depth.encoding == "32FC1":  # invalid is NaN, never 0
        assert not (depth_m(depth) <= 0).any()
