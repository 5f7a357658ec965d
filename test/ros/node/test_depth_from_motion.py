"""The depth node with one camera that moves: depth from its images and the poses of tf, over real DDS."""

from __future__ import annotations

import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.mapping.trajectory import quaternions_of
from recon3d_ros.ros.bridge.conversions import (
    camera_to_info,
    cloud_from_msg,
    compressed_to_msg,
    depth_from_msg,
    image_to_msg,
)
from recon3d_ros.world.camera import WorldCamera

SIZE_WH = (240, 176)
STEP_NS = 100_000_000
FRAMES = 8  # of the walk, 0.1 m from one to the next
MOVING = {
    "mode": "mono",
    "depth_from": "motion",
    "model": "recon3d_stereo_light",
    "backend": "onnxruntime",
    "threads": 1,
    "motion_parallax_px": 20.0,
}


class TransformException(Exception):
    """As tf2_py has it."""


class Buffer:
    """What is used of tf2_ros.Buffer: it knows the poses of optical frames in odom at some stamps."""

    known: dict[int, np.ndarray] = {}

    def can_transform(self, target_frame, source_frame, time):
        return target_frame == "odom" and (time == Time() or time.nanoseconds in self.known)

    def lookup_transform(self, target_frame, source_frame, time):
        if not self.can_transform(target_frame, source_frame, time):
            raise TransformException("Lookup would require extrapolation into the future")
        pose, found = self.known[time.nanoseconds], TransformStamped()
        place, turn = found.transform.translation, found.transform.rotation
        place.x, place.y, place.z = pose[:3, 3].tolist()
        turn.x, turn.y, turn.z, turn.w = quaternions_of(pose[None, :3, :3])[0].tolist()
        return found

    def clear(self):
        """The test knows what is there."""


@pytest.fixture(scope="module", autouse=True)
def tf2():
    module = ModuleType("tf2_ros")
    module.Buffer, module.TransformException = Buffer, TransformException
    module.TransformListener = lambda buffer, node: SimpleNamespace(buffer=buffer, node=node)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tf2_ros", module)
        yield


@pytest.fixture(scope="module")
def walk():
    """What a camera sees that walks through the procedural room: images, exact depth, poses."""
    world = WorldCamera(0, "indoor", SIZE_WH)
    return SimpleNamespace(
        camera=world.rig.left.as_rectified(),
        poses=[world.pose(i) for i in range(FRAMES)],
        samples=[world.sample(i) for i in range(FRAMES)],
    )


class Walker:
    """Sends views of the walk to a node, each with its pose in tf, and hears what becomes of them."""

    def __init__(self, bench, walk, make=image_to_msg, kind="image", cameras=("",)):
        self.bench, self.walk, self.make, self.kind = bench, walk, make, kind
        self.stamp_ns = time.time_ns()
        for camera in cameras:
            bench.listen(f"{camera}depth/image", Image)

    def show(self, view: int, told="its own", camera: str = "", late_s: float = 0.0) -> int:
        """Publish a view; tf tells the pose of another one, or none. Return the stamp when all is done."""
        self.stamp_ns += STEP_NS
        stamp_ns, pose = self.stamp_ns, self.walk.poses[view] if isinstance(told, str) else told
        if pose is not None:
            timer = threading.Timer(late_s, Buffer.known.__setitem__, (stamp_ns, pose))
            timer.start() if late_s else timer.function(*timer.args)
        health = next(c for c in self.bench.node._channels if c.name == camera.strip("/")).health
        before = self.done(health)
        at = (stamp_ns, f"{camera.strip('/')}optical")
        self.bench.publish(f"{camera}camera_info", camera_to_info(self.walk.camera, *at))
        image = self.walk.samples[view].frame.image
        self.bench.publish(f"{camera}{self.kind}", self.make(image, *at))
        self.bench.wait(lambda: self.done(health) > before, what="the image was lost")
        return stamp_ns

    @staticmethod
    def done(health) -> int:
        report = health.report()
        return report.published + report.skipped + sum(report.drops.values())

    def depth(self, stamp_ns: int, camera: str = "") -> np.ndarray:
        msg = self.bench.wait(
            lambda: self.bench.received_at(f"{camera}depth/image", {stamp_ns}), what="depth"
        )
        assert msg.header.frame_id == f"{camera.strip('/')}optical"
        return depth_from_msg(msg)

    def has_depth(self, stamp_ns: int, camera: str = "") -> bool:
        time.sleep(0.2)  # what was published before the count is on its way
        return self.bench.received_at(f"{camera}depth/image", {stamp_ns}) is not None

    def drops(self, cause: str) -> int:
        return self.bench.node._channels[0].health.report().drops[cause]


@pytest.fixture(scope="module")
def walker(make_bench, walk):
    bench = make_bench(MOVING, "/moving", outputs=("points",))
    bench.listen("confidence", Image)
    bench.listen("depth/sigma", Image)
    return Walker(bench, walk)


@pytest.fixture
def begun(walker):
    """A walk that begins anew: time has gone back, so that nothing is known of what was seen before."""
    walker.stamp_ns -= 1000 * STEP_NS
    assert not walker.has_depth(walker.show(0))
    return walker


def test_depth_is_that_of_the_room_and_the_cloud_is_its(begun, walk):
    bench = begun.bench
    for view in range(1, 5):
        stamp_ns = begun.show(view)
    depth, exact = begun.depth(stamp_ns), walk.samples[4].depth
    confidence = depth_from_msg(bench.wait(lambda: bench.received_at("confidence", {stamp_ns})))
    sure = np.isfinite(depth) & (confidence > 0.9)
    error = np.abs(depth[sure] / exact[sure] - 1)
    assert sure.mean() > 0.25
    assert np.median(error) < 0.03 and (error > 0.1).mean() < 0.07
    cloud = cloud_from_msg(bench.wait(lambda: bench.received_at("points", {stamp_ns})))
    np.testing.assert_array_equal(cloud["z"].reshape(depth.shape)[sure], depth[sure])
    np.testing.assert_array_equal(cloud.rgb, walk.samples[4].frame.image)
    sigma = depth_from_msg(bench.wait(lambda: bench.received_at("depth/sigma", {stamp_ns})))
    assert 0 < np.median(sigma[sure] / depth[sure]) < 0.1
    status = bench.wait(lambda: s if (s := bench.status())["level"] == "0" else None)
    assert (status["mode"], status["depth_from"], status["model"]) == ("mono", "motion", MOVING["model"])
    assert float(status["pose_ms_p50"]) < 100


def test_a_camera_that_stands_still_has_no_depth_and_the_reason_is_told_once(begun):
    bench = begun.bench
    for view in range(3):
        stamp_ns = begun.show(view)
    assert begun.has_depth(stamp_ns)
    begun.stamp_ns += 10_000_000_000  # what was seen before is too old now
    before, logged, counted = (
        len(bench.received["depth/image"]),
        len(bench.warnings()),
        begun.drops("no_depth"),
    )
    for _ in range(15):
        begun.show(2)
    status = bench.wait(
        lambda: s if "did not move far enough" in (s := bench.status())["message"] else None, what="a reason"
    )
    assert status["level"] == "1"  # nobody's fault: never an error
    assert len(bench.received["depth/image"]) == before
    assert begun.drops("no_depth") == counted + 15
    assert len([text for text in bench.warnings()[logged:] if "no_depth" in text]) <= 2
    for view in range(3, 6):
        stamp_ns = begun.show(view)
    assert begun.has_depth(stamp_ns)


def test_a_camera_that_stands_still_has_depth_as_long_as_earlier_views_are_young(begun, walk):
    bench = begun.bench
    for view in range(4):
        begun.show(view)
    try:
        assert bench.set_parameters(motion_max_age_s=0.6)[0].successful
        depth = begun.depth(begun.show(3))
        sure = np.isfinite(depth)
        assert sure.mean() > 0.2
        assert np.median(np.abs(depth[sure] / walk.samples[3].depth[sure] - 1)) < 0.03
        for _ in range(7):
            stamp_ns = begun.show(3)
        assert not begun.has_depth(stamp_ns)
    finally:
        assert bench.set_parameters(motion_max_age_s=10.0)[0].successful


def test_a_camera_that_turned_away_says_so(begun, walk):
    turned = walk.poses[1] @ np.diag([-1.0, 1.0, -1.0, 1.0])
    begun.bench.set_parameters(max_turn_dps=100000.0)
    try:
        assert not begun.has_depth(begun.show(1, told=turned))
    finally:
        begun.bench.set_parameters(max_turn_dps=360.0)
    begun.bench.wait(lambda: "turned away" in begun.bench.status()["message"])


def test_a_pose_that_is_late_is_waited_for_and_one_that_never_comes_is_told(begun):
    begun.show(1)
    assert begun.has_depth(begun.show(3, late_s=0.1))
    counted, began = begun.drops("no_transform"), time.monotonic()
    assert not begun.has_depth(begun.show(4, told=None))
    assert time.monotonic() - began < 2.0 and begun.drops("no_transform") == counted + 1
    message = begun.bench.wait(
        lambda: s["message"] if "'odom'" in (s := begun.bench.status())["message"] else None
    )
    assert "expected a transform from 'optical' to 'odom', got none" in message
    assert begun.has_depth(begun.show(5)) or begun.has_depth(begun.show(6))


def test_a_pose_that_jumped_is_told_and_the_views_before_it_are_forgotten(begun, walk):
    begun.show(1)
    away = np.eye(4)
    away[:3, 3] = 0.0, 0.0, 9.0
    counted = begun.drops("pose")
    assert not begun.has_depth(begun.show(2, told=away @ walk.poses[2]))
    assert begun.drops("pose") == counted + 1
    begun.bench.wait(lambda: "a jump of 9" in begun.bench.status()["message"])
    first = begun.show(3, told=away @ walk.poses[3])
    assert not begun.has_depth(first)
    begun.show(4, told=away @ walk.poses[4])
    assert begun.has_depth(begun.show(5, told=away @ walk.poses[5]))


def test_stamps_that_go_back_forget_the_views_and_a_gap_does_not(begun):
    begun.show(1)
    begun.stamp_ns += 30 * STEP_NS
    assert begun.has_depth(begun.show(3))
    begun.stamp_ns -= 10_000 * STEP_NS
    assert not begun.has_depth(begun.show(4))
    begun.bench.wait(lambda: "the first view" in begun.bench.status()["message"])


def test_options_change_while_it_runs_and_what_cannot_be_is_refused(begun):
    bench = begun.bench
    begun.show(1)
    begun.show(2)
    share = np.isfinite(begun.depth(begun.show(3))).mean()
    try:
        assert bench.set_parameters(motion_min_parallax_px=25.0)[0].successful
        assert np.isfinite(begun.depth(begun.show(4))).mean() < share / 2
    finally:
        assert bench.set_parameters(motion_min_parallax_px=8.0)[0].successful
    assert np.isfinite(begun.depth(begun.show(5))).mean() > share / 2  # the views stayed
    for name, value, words in (
        ("scale_sources", ["fixed"], "no scale_sources with depth_from motion"),
        ("model", "recon3d_mono", "a stereo model for depth_from motion"),
        ("motion_fill", "auto", "read-only"),
        ("depth_from", "model", "read-only"),
    ):
        (result,) = bench.set_parameters(**{name: value})
        assert not result.successful and words in result.reason


def test_another_model_goes_on_with_the_views(begun):
    begun.show(1)
    begun.show(2)
    assert begun.has_depth(begun.show(3))
    switch = begun.bench.node._switch
    try:
        assert begun.bench.set_parameters(threads=2)[0].successful
        begun.bench.wait(lambda: switch.serving[ModelConfig].threads == 2, what="the other model")
        assert begun.has_depth(begun.show(4))
    finally:
        assert begun.bench.set_parameters(threads=1)[0].successful
        begun.bench.wait(lambda: switch.serving[ModelConfig].threads == 1, what="the first model")


def test_cleanup_forgets_the_views(begun):
    bench = begun.bench
    begun.show(1)
    for transition in ("deactivate", "cleanup", "configure", "activate"):
        assert bench.transit(transition)
    assert not begun.has_depth(begun.show(2))
    begun.show(3)
    assert begun.has_depth(begun.show(4))


def test_several_cameras_with_compressed_images_each_have_their_own_views(make_bench, walk):
    parameters = {**MOVING, "cameras": ["front", "rear"], "image_transport": "compressed"}
    bench = make_bench(parameters, "/moving_pair", outputs=())
    make = lambda image, *at: compressed_to_msg(image, *at, codec="png")  # noqa: E731
    walker = Walker(bench, walk, make, "image/compressed", ("front/", "rear/"))
    for view in range(4):
        front = walker.show(view, camera="front/")
        rear = walker.show(0, camera="rear/")
    assert np.isfinite(walker.depth(front, "front/")).mean() > 0.25
    assert not walker.has_depth(rear, "rear/")
    bench.wait(lambda: "did not move far enough" in bench.status("rear")["message"])
    assert "did not move" not in bench.status("front")["message"]


def test_mono_depth_fills_what_motion_does_not_show(begun, make_bench, walk):
    for view in range(1, 4):
        plain = begun.show(view)
    plain_depth = begun.depth(plain)
    walker = Walker(make_bench({**MOVING, "motion_fill": "auto"}, "/filled", outputs=()), walk)
    walker.bench.listen("points", PointCloud2)
    for view in range(4):
        filled = walker.show(view)
    depth, exact = walker.depth(filled), walk.samples[3].depth
    new = np.isnan(plain_depth) & np.isfinite(depth)
    assert new.mean() > 0.05
    assert np.median(np.abs(depth[new] / exact[new] - 1)) < 0.3
    np.testing.assert_array_equal(depth[np.isfinite(plain_depth)], plain_depth[np.isfinite(plain_depth)])


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({**MOVING, "mode": "stereo"}, "depth_from motion is for single cameras, got mode stereo"),
        ({**MOVING, "model": "recon3d_mono"}, "expected a stereo model for depth_from motion"),
        ({**MOVING, "scale_sources": ["fixed"]}, "no scale_sources with depth_from motion"),
        ({**MOVING, "motion_frame": "/"}, "motion_frame must be the name of a fixed frame"),
    ],
)
def test_a_wrong_start_is_one_sentence(make_bench, parameters, words):
    with pytest.raises(ConfigError, match=words):
        make_bench(parameters, "/wrong")
