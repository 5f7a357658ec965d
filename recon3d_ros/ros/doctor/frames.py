"""The frames that images and camera_info name: whether tf knows them, and whether they are optical ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.rotations import matrices_of
from recon3d_ros.ros.doctor.finding import Finding, warn
from recon3d_ros.ros.doctor.topic_monitor import CameraMonitor


class TfTree:
    """Parents and rotations of frames, from /tf and /tf_static."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str, NDArray[np.float64]]] = {}

    def add(self, transforms: Sequence[Any]) -> None:
        """Take geometry_msgs/TransformStamped messages."""
        for one in transforms:
            q = one.transform.rotation
            rotation = _rotation(np.array([q.x, q.y, q.z, q.w]))
            self._parents[one.child_frame_id.lstrip("/")] = (one.header.frame_id.lstrip("/"), rotation)

    def __bool__(self) -> bool:
        """Whether anything was heard."""
        return bool(self._parents)

    @property
    def frames(self) -> set[str]:
        """All that were heard of."""
        return {*self._parents, *(parent for parent, _ in self._parents.values())}

    def place(self, frame: str) -> tuple[str, NDArray[np.float64]]:
        """The root above a frame and R_root_frame, (3, 3); no root ("") for a root, and in a circle."""
        rotation, seen, above = np.eye(3), set(), ""
        frame = frame.lstrip("/")
        while frame in self._parents:
            if frame in seen:
                return "", np.eye(3)
            seen.add(frame)
            above, step = self._parents[frame]
            frame, rotation = above, step @ rotation
        return above, rotation


def check_frames(camera: CameraMonitor, tf: TfTree) -> Iterator[Finding]:
    """A frame that is missing, changes, or does not look like an optical one (REP 103: z forward, y down)."""
    topic, frames = camera.image.topic, camera.image.frame_ids
    if not frames:
        return
    if "" in frames:
        words = "expected an optical frame in header.frame_id, got none; set frame_id in the camera driver"
        yield warn("frame_id", topic, words)
        return
    if len(frames) > 1:
        words = f"expected one frame_id, got {', '.join(frames)}; do two cameras publish on one topic?"
        yield warn("frame_id", topic, words)
    frame = frames[0]
    info = camera.newest_info
    if info is not None and info.header.frame_id != frame:
        words = (
            f"expected the frame_id of the image, {frame}, got {info.header.frame_id!r}; correct the driver"
        )
        yield warn("frame_id", camera.info.topic, words)
    root, rotation = tf.place(frame)
    if root and "optical" not in root and rotation[2, 2] > 0.7:
        yield warn(
            "frame_id",
            topic,
            f"expected an optical frame (z forward, y down), but z of {frame} points up in tf, as in a "
            "body frame; set frame_id to the camera's optical frame, or clouds are rotated by 90 degrees",
        )
    elif tf and frame not in tf.frames:
        yield warn(
            "tf",
            topic,
            f"expected {frame} in tf, found no parent of it; publish its transform (robot_state_publisher, "
            "or static_transform_publisher), or the cloud cannot be placed",
        )
    elif not root and "optical" not in frame:
        yield warn(
            "frame_id",
            topic,
            f"expected an optical frame (z forward, y down; usually named ..._optical_frame), got {frame}; "
            "make sure that it is one, or clouds are rotated by 90 degrees",
        )


def _rotation(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix of a quaternion x, y, z, w; identity for the one of zeros that broken drivers send."""
    return matrices_of(q[None])[0] if np.linalg.norm(q) > 0 else np.eye(3)
