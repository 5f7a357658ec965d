"""The fields of the messages that are read here, whoever made the objects: rclpy, or a reader of bags."""

from __future__ import annotations

from typing import Any, Protocol

NS_PER_S = 1_000_000_000


def stamp_to_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return int(stamp.sec) * NS_PER_S + int(stamp.nanosec)


class ImageFields(Protocol):
    """What is read of a sensor_msgs/Image."""

    height: Any
    width: Any
    encoding: Any
    is_bigendian: Any
    step: Any
    data: Any


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
