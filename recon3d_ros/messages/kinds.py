"""The fields of the messages that are read here, whoever made the objects: rclpy, or a reader of bags."""

from __future__ import annotations

from typing import Any, Protocol

NS_PER_S = 1_000_000_000


def stamp_to_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


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
