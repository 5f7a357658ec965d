"""The poses that a bag holds itself."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rosbags")

from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.datasets.bags.writer import BagWriter
from recon3d_ros.errors import DataError
from recon3d_ros.offline.bag_poses import poses_in_bag
from test.bag_transforms import TYPES, write_odometry, write_transforms

T0, MS = 1_700_000_000 * 10**9, 1_000_000
IMAGE = "/camera/image_rect"
# Of a camera that looks ahead, 0.2 m above the base: x right, y down, z forward.
BASE_CAMERA = np.array([[0, 0, 1, 0.1], [-1, 0, 0, 0.0], [0, -1, 0, 0.2], [0, 0, 0, 1.0]])


def pose(x, y=0.0, yaw=0.0):
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    matrix[:2, 3] = x, y
    return matrix


def drive(t_s):
    """Where the base is in odom: a straight line with a slow turn, so that between two stamps it is exact."""
    return pose(0.5 * t_s, 0.1 * t_s, 0.3 * t_s)


class Recording(BagWriter):
    """One image, so that its frame is known, and what a test adds."""

    def __init__(self, path, frame="camera_optical_frame"):
        super().__init__(path, {**TYPES, IMAGE: "sensor_msgs/msg/Image"})
        self.write(IMAGE, T0, self.depth(np.zeros((3, 5), np.float32), T0, frame))

    def base_camera(self):
        edge = ("base_link", "camera_optical_frame", BASE_CAMERA)
        write_transforms(self, T0, edge, topic="/tf_static")

    def odom_base(self, count=20, step_ms=50):
        for i in range(count):
            write_transforms(self, T0 + i * step_ms * MS, ("odom", "base_link", drive(i * step_ms / 1e3)))

    def poses(self, fixed=""):
        self.close()
        with Bag(self.path) as bag:
            return poses_in_bag(bag, IMAGE, fixed)


@pytest.fixture
def recording(tmp_path):
    return Recording(tmp_path / "run.mcap")


def test_poses_of_a_camera_on_a_robot_that_drives(recording):
    recording.base_camera()
    recording.odom_base()
    path = recording.poses()
    assert len(path) == 20 and path.key == "stamp"
    for t_s in (0.0, 0.25, 0.333, 0.95):
        expected = drive(t_s) @ BASE_CAMERA
        # Turned about the base, the camera is between two stamps on an arc, of which this is the chord.
        np.testing.assert_allclose(path.at(T0 + round(t_s * 1e9)), expected, atol=1e-4)


def test_the_frame_that_does_not_jump_is_taken_unless_another_is_named(recording):
    recording.base_camera()
    recording.odom_base(10, step_ms=100)
    for i in range(5):  # at other stamps than odometry, and with a jump
        jump = pose(10.0 if i < 3 else 11.0)
        write_transforms(recording, T0 + (i * 220 + 7) * MS, ("/map", "odom", jump))
    smooth = recording.poses()
    with Bag(recording.path) as bag:
        jumping = poses_in_bag(bag, IMAGE, "map")
    np.testing.assert_allclose(smooth.at(T0 + 500 * MS), drive(0.5) @ BASE_CAMERA, atol=1e-9)
    # Nothing is told beyond the last correction: no pose is made up there.
    assert jumping.stamps_ns[0] == T0 + 7 * MS and jumping.stamps_ns[-1] == T0 + 887 * MS
    np.testing.assert_allclose(jumping.at(T0 + 400 * MS), pose(10.0) @ drive(0.4) @ BASE_CAMERA, atol=1e-9)
    np.testing.assert_allclose(jumping.at(T0 + 800 * MS), pose(11.0) @ drive(0.8) @ BASE_CAMERA, atol=1e-9)


def test_a_pause_of_tf_is_not_bridged(recording):
    recording.base_camera()
    recording.odom_base(5)
    for i in range(30):
        write_transforms(recording, T0 + i * 100 * MS, ("map", "odom", pose(1.0)))
    write_transforms(recording, T0 + 2500 * MS, ("odom", "base_link", drive(2.5)))
    stamps = recording.poses("map").stamps_ns
    assert not ((stamps > T0 + 200 * MS) & (stamps < T0 + 2500 * MS)).any()
    assert stamps[-1] == T0 + 2500 * MS


def test_odometry_stands_in_for_a_transform_that_tf_does_not_have(recording):
    recording.base_camera()
    for i in range(5):
        write_odometry(recording, T0 + i * 100 * MS, "odom", "base_link", drive(i / 10))
    np.testing.assert_allclose(recording.poses().at(T0 + 200 * MS), drive(0.2) @ BASE_CAMERA, atol=1e-9)


def test_tf_counts_before_odometry(recording):
    recording.base_camera()
    recording.odom_base(5)
    write_odometry(recording, T0, "elsewhere", "base_link", pose(100.0))
    np.testing.assert_allclose(recording.poses().at(T0), BASE_CAMERA, atol=1e-9)


@pytest.mark.parametrize("still", ["nothing", "static"])
def test_a_bag_that_tells_of_no_motion_has_no_poses(recording, still):
    if still == "static":
        recording.base_camera()
    assert recording.poses() is None


def test_faults_are_one_sentence(tmp_path):
    def check(name, fill, match, fixed=""):
        recording = Recording(tmp_path / f"{name}.mcap")
        recording.base_camera()
        fill(recording)
        with pytest.raises(DataError, match=match):
            recording.poses(fixed)

    check("a", Recording.odom_base, "expected earth above .*got base_link, odom: name one", "earth")
    edges = [("odom", "base_link", pose(0)), ("map", "base_link", pose(0))]
    check("b", lambda r: write_transforms(r, T0, *edges), "base_link is in map and in odom .*give --poses")
    circle = ("camera_optical_frame", "base_link", pose(0))
    check("c", lambda r: write_transforms(r, T0, circle), "expected a tree of frames")
    broken = pose(0)
    broken[0, 3] = np.nan
    check("d", lambda r: write_transforms(r, T0, ("odom", "base_link", broken)), "expected rigid transforms")


def test_what_is_wrong_elsewhere_in_the_tree_does_no_harm(recording):
    recording.base_camera()
    recording.odom_base(5)
    broken = np.full((4, 4), np.nan)
    write_transforms(recording, T0, ("a", "gripper", pose(0)), ("b", "gripper", pose(0)), ("c", "d", broken))
    assert len(recording.poses()) == 5
