"""Transform sources: the fixed one, and tf2 where it is installed and as its API is where it is not."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from hypothesis import given
from hypothesis import strategies as st
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time

from recon3d_ros.errors import FrameError, MissingDependencyError
from recon3d_ros.messages.kinds import matrix_of
from recon3d_ros.ros.bridge import transforms
from recon3d_ros.ros.bridge.transforms import FixedSource, Tf2Source

HAVE_TF2 = importlib.util.find_spec("tf2_ros") is not None
part = st.floats(-1, 1, allow_nan=False)


@given(axis=st.tuples(part, part, part), shift=st.tuples(part, part, part), length=st.floats(0.1, 10))
def test_matrix_of_a_quaternion_of_any_length(axis, shift, length):
    angle = float(np.linalg.norm(axis))
    direction = np.asarray(axis) / angle if angle > 1e-9 else np.zeros(3)
    x, y, z = (length * value for value in direction * np.sin(angle / 2))
    rotation = Quaternion(x=x, y=y, z=z, w=length * float(np.cos(angle / 2)))
    matrix = matrix_of(Vector3(x=shift[0], y=shift[1], z=shift[2]), rotation)
    wanted = cv2.Rodrigues(np.asarray(direction) * angle)[0]
    np.testing.assert_allclose(matrix[:3, :3], wanted, atol=1e-9)
    assert matrix[:3, 3].tolist() == list(shift) and matrix[3].tolist() == [0, 0, 0, 1]


def test_no_quaternion_is_no_rotation():
    assert not np.isfinite(matrix_of(Vector3(), Quaternion(w=0.0))[:3, :3]).any()


def test_a_fixed_source_knows_what_it_was_given_and_no_identity():
    source = FixedSource({("base", "optical"): np.diag([1.0, 2.0, 3.0, 1.0])})
    source.start()
    assert source.lookup("base", "optical", 5)[1, 1] == 2.0
    with pytest.raises(FrameError, match="from 'base' to 'optical'"):
        source.lookup("optical", "base", 5)


@pytest.fixture
def node():
    """A node that is spun in another thread, as a depth node is."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = Node("transforms", context=context, namespace="/transforms")
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin():
        try:
            executor.spin()
        except ExternalShutdownException:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    yield node
    rclpy.shutdown(context=context)
    thread.join()
    node.destroy_node()


@pytest.mark.skipif(HAVE_TF2, reason="tf2_ros is installed here")
def test_without_tf2_the_remedy_is_named_and_nothing_is_guessed(node):
    source = Tf2Source(node)
    with pytest.raises(MissingDependencyError, match="tf2-ros-py"):
        source.start()
    with pytest.raises(FrameError):
        source.lookup("base", "optical", 0)


class TransformException(Exception):
    """As tf2_py has it."""


class Buffer:
    """What is used of tf2_ros.Buffer (geometry2, tf2_ros_py/tf2_ros/buffer.py): the stamps of one edge."""

    def __init__(self):
        self.stamps_ns, self.cleared = [], 0

    def can_transform(self, target_frame, source_frame, time):
        known = (target_frame, source_frame) == ("odom", "optical") and bool(self.stamps_ns)
        return known and (time.nanoseconds == 0 or time.nanoseconds <= max(self.stamps_ns))

    def lookup_transform(self, target_frame, source_frame, time):
        if not self.can_transform(target_frame, source_frame, time):
            raise TransformException(f'"{target_frame}" does\nnot exist')
        stamped = TransformStamped()
        stamped.transform.translation.x = time.nanoseconds / 1e9
        return stamped

    def clear(self):
        self.cleared += 1


@pytest.fixture
def tf2(monkeypatch):
    module = ModuleType("tf2_ros")
    module.Buffer, module.TransformException = Buffer, TransformException
    module.TransformListener = lambda buffer, node: SimpleNamespace(buffer=buffer, node=node)
    monkeypatch.setitem(sys.modules, "tf2_ros", module)
    return module


def test_a_transform_that_comes_a_little_late_is_waited_for(node, tf2):
    source = Tf2Source(node)
    source.start()
    source.start()  # by each of several cameras
    buffer = source._buffer
    buffer.stamps_ns.append(1)
    late = threading.Timer(0.02, lambda: buffer.stamps_ns.append(2_000_000_000))
    late.start()
    assert source.lookup("odom", "optical", 1_500_000_000)[0, 3] == 1.5
    late.join()


def test_one_that_never_comes_is_an_error_in_one_sentence(node, tf2):
    source = Tf2Source(node)
    source.start()
    with pytest.raises(FrameError, match=r'\("odom" does not exist\); publish it') as caught:
        source.lookup("odom", "optical", 7)
    assert "\n" not in str(caught.value)
    source._buffer.stamps_ns.append(1)
    with pytest.raises(FrameError):  # connected, but not at that time
        source.lookup("odom", "optical", 7, patience_s=0.02)


def test_waiting_in_vain_is_not_repeated_at_once(node, tf2, monkeypatch):
    waited_s = []
    monkeypatch.setattr(transforms, "IMPATIENCE_S", 0.5)
    monkeypatch.setattr(transforms.time, "sleep", waited_s.append)
    source = Tf2Source(node)
    source.start()
    source._buffer.stamps_ns.append(1)
    for turn in range(3):
        before = len(waited_s)
        with pytest.raises(FrameError):
            source.lookup("odom", "optical", 7, patience_s=0.02)
        assert (len(waited_s) > before) == (turn == 0)
    source._impatient_until_s["odom", "optical"] = 0.0  # a while later
    with pytest.raises(FrameError):
        source.lookup("odom", "optical", 7, patience_s=0.02)
    assert len(waited_s) > before
    assert source.lookup("odom", "optical", 1)[0, 3] == 1e-9  # one that is there comes all the same


def test_frames_that_are_not_connected_are_not_waited_for(node, tf2):
    source = Tf2Source(node)
    source.start()
    with pytest.raises(FrameError):
        source.lookup("odom", "elsewhere", 7, patience_s=60.0)


def test_the_buffer_is_emptied_when_the_clock_jumps_back(node, tf2):
    source = Tf2Source(node)
    source.start()
    node.get_clock().set_ros_time_override(Time(seconds=100))
    node.get_clock()._set_ros_time_is_active(True)
    node.get_clock().set_ros_time_override(Time(seconds=101))
    before = source._buffer.cleared
    node.get_clock().set_ros_time_override(Time(seconds=3))
    assert source._buffer.cleared == before + 1


@pytest.mark.skipif(not HAVE_TF2, reason="tf2_ros is in no wheel; a ROS 2 workspace has it")
def test_real_tf2_answers_static_and_moving_transforms(node):
    from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

    def stamped(parent, child, stamp_ns, x):
        message = TransformStamped(child_frame_id=child)
        message.header.frame_id, message.header.stamp = parent, Time(nanoseconds=stamp_ns).to_msg()
        message.transform.translation.x = x
        message.transform.rotation.w = 1.0
        return message

    source = Tf2Source(node)
    source.start()
    still, moving = StaticTransformBroadcaster(node), TransformBroadcaster(node)
    still.sendTransform(stamped("base", "optical", 0, 1.0))
    now_ns = time.time_ns()
    for i in (0, 1):
        moving.sendTransform(stamped("odom", "base", now_ns + i * 1_000_000_000, 10.0 * i))
    deadline = time.monotonic() + 60
    while True:
        try:
            matrix = source.lookup("odom", "optical", now_ns + 500_000_000)
            break
        except FrameError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    np.testing.assert_allclose(matrix[:3, 3], [6.0, 0, 0])
    with pytest.raises(FrameError):
        source.lookup("odom", "nowhere", now_ns)
