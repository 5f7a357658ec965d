"""What goes wrong is told in one sentence, costs its own frames, and never the map."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_srvs.srv import Trigger

from recon3d_ros.ros.bridge.conversions import camera_to_info, compressed_to_msg, depth_to_msg, image_to_msg

pytest.importorskip("skimage")
START = (-1.6, 0.0, 0.0)
NEAR = (-1.56, 0.0, 0.02)
FRAME = "camera_optical"
FAR = (0.2, 0.6, 1.5)


@pytest.fixture(scope="module")
def bench(make_map_bench):
    return make_map_bench("/faults", outputs=("map/grid",), weights="confidence")


@pytest.fixture
def running(bench):
    """With one frame in a map of its own."""
    assert bench.call(Trigger, "reset").success
    bench.set_parameters(on_pose_jump="refuse", min_weight=0.1)
    bench.fuse(bench.room.pose(*START))
    return bench


def test_a_pose_that_jumps_is_refused_until_it_jumps_back(running):
    said = running.refuse(running.room.pose(*FAR), "pose")
    assert "a jump of" in said and "~/reset" in said
    for _ in range(8):
        running.refuse(running.room.pose(*FAR), "pose")
    blocks = running.node._map.state.blocks
    running.fuse(running.room.pose(*NEAR))
    assert running.node._map.state.frames == 2 and running.node._map.state.blocks < 1.3 * blocks


def test_a_pose_that_stays_elsewhere_can_begin_a_new_map(running):
    assert running.set_parameters(on_pose_jump="restart").successful
    for _ in range(4):
        running.refuse(running.room.pose(*FAR), "pose")
    running.fuse(running.room.pose(*FAR))
    running.wait(lambda: running.node._map.state.frames == 1, "no new map")
    told = lambda: any("a new map begins" in line for line in running.logs())  # noqa: E731
    running.wait(told, "it is not told")
    path = running.node._map.live.paths[""].trajectory
    assert len(path) == 1 and np.allclose(path.positions[0], running.room.pose(*FAR)[:3, 3])


def test_a_bag_that_starts_over_begins_a_new_map(running):
    running.fuse(running.room.pose(*NEAR))
    running.stamp_ns -= 500_000_000_000
    running.fuse(running.room.pose(*FAR))  # no jump: time began anew
    running.wait(lambda: running.node._map.state.frames == 1, "no new map")
    told = lambda: any("stamps went back by" in line for line in running.logs())  # noqa: E731
    running.wait(told, "it is not told")
    running.stamp_ns += 500_000_000_000


def test_a_small_step_back_keeps_the_map(running):
    running.fuse(running.room.pose(*NEAR))
    running.stamp_ns -= 400_000_000
    running.fuse(running.room.pose(-1.4, 0.0, 0.0))  # it drove on, faster than no time allows
    assert running.node._map.state.frames == 3


def test_a_stamp_from_nowhere_costs_one_image(running):
    running.stamp_ns += 500_000_000_000
    depth, image = running.room.view(running.room.pose(*NEAR))
    before = running.dropped("no_transform")
    running.send_arrays(depth, image)  # and no transform at that time
    running.wait(lambda: running.dropped("no_transform") > before, "not dropped")
    running.stamp_ns -= 500_000_000_000
    running.fuse(running.room.pose(*NEAR))
    assert running.node._map.state.frames == 2


def test_a_covered_camera_is_told_and_not_fused(running):
    dark = np.full((123, 164, 3), 5, np.uint8)
    assert "lens cap" in running.refuse(running.room.pose(*NEAR), "image", image=dark)
    grey = np.full((123, 164, 3), 100, np.uint8)
    assert "covered" in running.refuse(running.room.pose(*NEAR), "image", image=grey)
    assert running.set_parameters(check_images=False).successful
    running.fuse(running.room.pose(*NEAR), image=dark)
    assert running.set_parameters(check_images=True).successful


def test_no_depth_at_all_is_told(running):
    nothing = np.full((123, 164), np.nan, np.float32)
    assert "expected depth" in running.refuse(running.room.pose(*NEAR), "no_depth", depth=nothing)


def test_an_unknown_transform_is_told(running):
    running.poses.frames = ("odom", "another")
    assert "expected a transform" in running.refuse(running.room.pose(*NEAR), "no_transform")
    running.poses.frames = ("odom", FRAME)
    running.fuse(running.room.pose(*NEAR))


@pytest.mark.parametrize(
    ("change", "cause", "words"),
    [
        ("size", "image", "expected depth of 164x123 px as the image, got 82x123"),
        ("frame", "camera_info", "registered to the image"),
        ("encoding", "image", "expected depth as 32FC1 or 16UC1"),
        ("short", "image", "bytes"),
        ("image", "camera_info", "164x123"),
    ],
)
def test_messages_that_do_not_fit_are_dropped(running, change, cause, words):
    depth, image = running.room.view(running.room.pose(*NEAR))
    running.stamp_ns += 100_000_000
    running.poses.known[running.stamp_ns] = running.room.pose(*NEAR)
    at = (running.stamp_ns, FRAME)
    message = depth_to_msg(depth[:, ::2] if change == "size" else depth, *at)
    if change == "frame":
        message.header.frame_id = "depth_optical"
    if change == "encoding":
        message.encoding = "mono8"
    if change == "short":
        message.data = array("B", bytes(100))
    before = running.dropped(cause)
    running.publish("depth/camera_info", camera_to_info(running.room.camera, *at))
    running.publish("image", image_to_msg(image[::2] if change == "image" else image, *at))
    running.publish("depth/image", message)
    running.wait(lambda: running.dropped(cause) > before, "not dropped")
    said = running.node._channels[0].health.report().message
    assert words in said and "\n" not in said
    running.fuse(running.room.pose(*NEAR))


def test_millimetres_are_depth_too(running):
    depth, image = running.room.view(running.room.pose(*NEAR))
    running.stamp_ns += 100_000_000
    running.poses.known[running.stamp_ns] = running.room.pose(*NEAR)
    at = (running.stamp_ns, FRAME)
    message = depth_to_msg(depth, *at)
    message.encoding, message.step = "16UC1", 2 * 164
    message.data = array("B", np.rint(depth * 1000).astype(np.uint16).tobytes())
    frames = running.frames
    running.publish("image", image_to_msg(image, *at))
    running.publish("depth/image", message)
    running.wait(lambda: running.frames > frames, "not fused")


def test_voxels_change_only_without_a_map(running):
    refused = running.set_parameters(voxel_m=0.06)
    assert not refused.successful and "~/reset" in refused.reason
    assert running.call(Trigger, "reset").success
    running.wait(lambda: running.node._map.state.blocks == 0)
    assert running.set_parameters(voxel_m=0.06).successful
    running.fuse(running.room.pose(*START))
    assert running.node._map.live.fusion.config.voxel_m == 0.06
    assert running.call(Trigger, "reset").success
    running.wait(lambda: running.node._map.state.blocks == 0)
    assert running.set_parameters(voxel_m=0.03).successful


def test_a_full_memory_is_told(running):
    assert running.set_parameters(max_mb=1.0).successful
    running.fuse(running.room.pose(*NEAR))
    running.fuse(running.room.pose(-1.5, 0.0, 0.2))
    running.wait(lambda: any("has reached max_mb, 1 MB" in line for line in running.logs()), "not told")
    assert running.node._map.state.megabytes <= 1.0
    assert int(running.wait(lambda: running.status().get("map_dropped_blocks"))) >= 0
    assert running.set_parameters(max_mb=1024.0).successful


def test_confidence_weighs_and_is_not_waited_for_for_ever(running):
    sure = np.ones((123, 164), np.float32)
    sure[:, :82] = 0.0
    running.call(Trigger, "reset")
    room = running.room
    running.fuse(room.pose(*START), confidence=sure)  # it may come before anybody knows of the publisher
    running.call(Trigger, "reset")
    running.fuse(room.pose(*START), confidence=sure)
    points = running.node._map.live.mesh().vertices
    in_camera = points @ np.linalg.inv(room.pose(*START))[:3, :3].T + np.linalg.inv(room.pose(*START))[:3, 3]
    assert (in_camera[:, 0] / in_camera[:, 2] > -0.03).all()  # the left half has no weight
    before = running.frames
    for _ in range(5):  # from now on nothing comes, though the publisher is there
        paired = running.node._channels[0]._unanswered
        running.send(room.pose(*START))
        running.wait(lambda paired=paired: running.node._channels[0]._unanswered > paired)
    assert running.frames == before
    running.fuse(room.pose(*START))
    told = lambda: any("all pixels of the depth weigh alike" in line for line in running.logs())  # noqa: E731
    running.wait(told, "it is not told")


def test_the_map_outlives_a_deactivation_but_not_a_cleanup(running):
    def transit(number: int) -> bool:
        request = {"transition": Transition(id=number)}
        return running.call(ChangeState, "change_state", **request).success

    def heard(on: bool) -> None:
        counts = [one.get_subscription_count for one in running._publishers.values()]
        running.wait(lambda: all((count() > 0) == on for count in counts), f"it listens is not {on}")

    blocks = running.node._map.state.blocks
    assert transit(Transition.TRANSITION_DEACTIVATE)
    heard(False)  # or what is sent to subscriptions of before is lost
    assert not running.node._map.active
    assert running.node._map.state.blocks == blocks
    assert transit(Transition.TRANSITION_ACTIVATE)
    heard(True)
    running.fuse(running.room.pose(*START), confidence=np.ones((123, 164), np.float32))
    assert transit(Transition.TRANSITION_DEACTIVATE) and transit(Transition.TRANSITION_CLEANUP)
    heard(False)
    refused = running.call(Trigger, "save_map")
    assert not refused.success and "configure it first" in refused.message
    assert running.set_parameters(voxel_m=0.04).successful
    assert transit(Transition.TRANSITION_CONFIGURE) and transit(Transition.TRANSITION_ACTIVATE)
    assert running.node._map.live.fusion.config.voxel_m == 0.04
    heard(True)
    running.fuse(running.room.pose(*START), confidence=np.ones((123, 164), np.float32))


def test_sigma_weighs_by_default(make_map_bench):
    bench = make_map_bench("/sigma", outputs=())
    pose = bench.room.pose(*START)
    sure = np.full((123, 164), 0.005, np.float32)
    sure[:, :82] = 3.0
    bench.fuse(pose, sigma=sure)  # it may come before anybody knows of the publisher
    bench.call(Trigger, "reset")
    bench.fuse(pose, sigma=sure)
    T_camera_world = np.linalg.inv(pose)
    x, _, z = (bench.node._map.live.mesh().vertices @ T_camera_world[:3, :3].T + T_camera_world[:3, 3]).T
    assert (x / z > -0.03).all()  # what is 3 m off makes no surface


def test_two_cameras_make_one_map(make_map_bench):
    bench = make_map_bench("/two", outputs=(), cameras=["front", "rear"])
    room = bench.room
    for name, yaw in (("front", 0.0), ("rear", np.pi)):
        for step in range(2):
            bench.stamp_ns += 100_000_000
            pose = room.pose(-0.2 + 0.01 * step, 0.3, yaw)
            bench.poses.known[bench.stamp_ns] = pose
            before = bench.frames
            bench.send_arrays(*room.view(pose), prefix=f"{name}/")
            bench.wait(lambda before=before: bench.frames > before, f"{name} was not fused")
    live = bench.node._map.live
    assert {name: len(path) for name, path in live.paths.items()} == {"front": 2, "rear": 2}
    x = live.mesh().vertices[:, 0]
    assert x.min() < -1.9 and x.max() > 1.9
    bench.wait(lambda: bench.status("front") and bench.status("rear"), "a status of each")


def test_raw_compressed_images_are_rectified(make_map_bench):
    bench = make_map_bench("/raw", outputs=(), rectify=True, image_transport="compressed")
    room = bench.room
    bench.stamp_ns += 100_000_000
    pose = room.pose(*START)
    bench.poses.known[bench.stamp_ns] = pose
    depth, image = room.view(pose)
    at = (bench.stamp_ns, FRAME)
    bench.publish("camera_info", camera_to_info(room.camera, *at))
    bench.publish("depth/image", depth_to_msg(depth, *at))
    bench.publish("image_raw/compressed", compressed_to_msg(image, *at, codec="png"))
    bench.wait(lambda: bench.frames == 1, "not fused")
    colours = bench.node._map.live.mesh().colours.astype(int)
    assert (colours[:, 2] >= colours[:, 0]).mean() > 0.9  # the pattern is bluish
