"""Where one coordinate frame stands in another: tf2 where it is installed, a fixed table in tests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from recon3d_ros.errors import FrameError, MissingDependencyError
from recon3d_ros.messages.kinds import matrix_of

PATIENCE_S = 0.1  # for the transform of a moving frame, which is often published after the image
# A transform that did not come is not waited for again so soon: the worker serves other cameras too.
IMPATIENCE_S = 1.0
_POLL_S = 0.002
WITHOUT_TF2 = "leave target_frame and floor_frame empty and give scale_poses"


class TransformSource(Protocol):
    """Looks up where a frame stands in another one, or says that it does not know: never a guess."""

    def start(self) -> None:
        """Begin to listen; a source that listens already goes on.

        Raises:
            MissingDependencyError: what it listens with is not installed.
        """

    def lookup(
        self, target_frame: str, source_frame: str, stamp_ns: int, patience_s: float = PATIENCE_S
    ) -> NDArray[np.float64]:
        """Return T_target_source, (4, 4) float64, rotation and translation in m, at that time.

        It may wait for a transform that is on its way, no longer than `patience_s`.

        Raises:
            FrameError: it is not known for that time.
        """


class FixedSource:
    """Transforms that are given once.

    Args:
        transforms: (target frame, source frame) -> (4, 4) float64 T_target_source.
    """

    def __init__(self, transforms: Mapping[tuple[str, str], NDArray[np.float64]]) -> None:
        self._transforms = dict(transforms)

    def start(self) -> None:
        """There is nothing to listen to."""

    def lookup(
        self, target_frame: str, source_frame: str, stamp_ns: int, patience_s: float = PATIENCE_S
    ) -> NDArray[np.float64]:
        """Return T_target_source, the same at all times.

        Raises:
            FrameError: it is not in the table.
        """
        try:
            return self._transforms[target_frame, source_frame]
        except KeyError as exc:
            raise _unknown(target_frame, source_frame, "it was not given") from exc


class Tf2Source:
    """Listens to /tf and /tf_static with tf2_ros, from `start` on; `lookup` may be called by any thread.

    Nothing is kept besides tf2's own buffer: a static transform is looked up there in constant time, and one
    that is published anew takes effect at once.

    Args:
        node: who listens; an executor has to spin it in another thread than the one that looks up.
        without: what to do without tf2_ros, for the error.
    """

    def __init__(self, node: Node, without: str = WITHOUT_TF2) -> None:
        self._node, self._without = node, without
        self._tf2: Any = None
        self._buffer: Any = None
        self._impatient_until_s: dict[tuple[str, str], float] = {}

    def start(self) -> None:
        """Subscribe to the transforms.

        Raises:
            MissingDependencyError: tf2_ros is not installed.
        """
        if self._buffer is not None:
            return
        try:
            import tf2_ros
        except ImportError as exc:
            raise MissingDependencyError(
                f"expected tf2_ros to look up frames, got {exc}; apt install ros-<distro>-tf2-ros-py "
                f"(there is no wheel), or {self._without}."
            ) from exc
        buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(buffer, self._node)
        # tf2 refuses what is older than its newest entry less ten seconds: a bag that starts again, or a
        # simulator that is reset, needs an empty buffer. Static transforms survive clear().
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1))
        self._jump = self._node.get_clock().create_jump_callback(threshold, post_callback=self._forget)
        self._tf2, self._buffer = tf2_ros, buffer

    def _forget(self, jump: TimeJump) -> None:
        self._buffer.clear()

    def lookup(
        self, target_frame: str, source_frame: str, stamp_ns: int, patience_s: float = PATIENCE_S
    ) -> NDArray[np.float64]:
        """Return T_target_source at that time; waits for it if the frames are connected at all.

        Waiting in vain is done once in `IMPATIENCE_S` for each two frames.

        Raises:
            FrameError: the frames are not connected, or not at that time.
        """
        if self._buffer is None:
            raise _unknown(target_frame, source_frame, "no subscription to /tf yet")
        stamp, latest = Time(nanoseconds=stamp_ns), Time()
        frames, began = (target_frame, source_frame), time.monotonic()
        patient = began >= self._impatient_until_s.get(frames, began)
        while not self._buffer.can_transform(target_frame, source_frame, stamp):
            if not patient or not self._buffer.can_transform(target_frame, source_frame, latest):
                break
            if time.monotonic() - began > patience_s:
                self._impatient_until_s[frames] = time.monotonic() + IMPATIENCE_S
                break
            time.sleep(_POLL_S)
        try:
            found = self._buffer.lookup_transform(target_frame, source_frame, stamp).transform
        except self._tf2.TransformException as exc:
            raise _unknown(target_frame, source_frame, str(exc)) from exc
        return matrix_of(found.translation, found.rotation)


def _unknown(target_frame: str, source_frame: str, reason: str) -> FrameError:
    return FrameError(
        f"expected a transform from {source_frame!r} to {target_frame!r}, got none "
        f"({' '.join(reason.split())}); publish it (robot_state_publisher, static_transform_publisher) or "
        "correct the name of the frame, a parameter or the frame_id of a message."
    )
