"""The fields of the messages that are read here, whoever made the objects: rclpy, or a reader of bags."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.rotations import matrices_of

NS_PER_S = 1_000_000_000


def stamp_to_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


def matrix_of(translation: Any, rotation: Any) -> NDArray[np.float64]:
    """Return the (4, 4) float64 matrix of a translation and a quaternion of geometry_msgs.

    The quaternion is normalised; one of length 0 gives NaN, not a rotation.
    """
    quaternion = np.array([[rotation.x, rotation.y, rotation.z, rotation.w]], np.float64)
    matrix = np.eye(4)
    with np.errstate(invalid="ignore"):
        matrix[:3, :3] = matrices_of(quaternion)[0]
    matrix[:3, 3] = translation.x, translation.y, translation.z
    return matrix


class ImageFields(Protocol):
    """What is read of a sensor_msgs/Image; as properties, so that a tuple has them, too."""

    @property
    def height(self) -> Any: ...  # noqa: D102

    @property
    def width(self) -> Any: ...  # noqa: D102

    @property
    def encoding(self) -> Any: ...  # noqa: D102

    @property
    def is_bigendian(self) -> Any: ...  # noqa: D102

    @property
    def step(self) -> Any: ...  # noqa: D102

    @property
    def data(self) -> Any: ...  # noqa: D102


class CameraInfoFields(Protocol):
    """What is read of a sensor_msgs/CameraInfo of ROS 2 (lower-case matrices)."""

    header: Any
    height: Any
    width: Any
    distortion_model: Any
    d: Any
    k: Any
    r: Any
    p: Any
    binning_x: Any
    binning_y: Any
    roi: Any
