"""Ranges, scans and clouds of any layout as what a scale is fitted to.

Ranges follow REP 117: +Inf is nothing within reach, -Inf too near to measure, NaN invalid. None of them
is a distance: in a scan they come out as NaN, for `recon3d_ros.scale.from_points` to drop and count.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import LaserScan, PointCloud2, PointField, Range

from recon3d_ros.errors import DataError
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.scale import Anchors, from_range

_FLOATS = {PointField.FLOAT32: "f4", PointField.FLOAT64: "f8"}


def range_to_anchors(msg: Range, camera: PinholeCamera, pose: NDArray[np.float64]) -> Anchors:
    """Return the anchor of a reading, none if it measured nothing.

    A reading at `max_range` is none either: before REP 117 that said "nothing there", and many still say it.

    Args:
        msg: its sensor looks along x (Range.msg).
        camera: the rectified one of the image.
        pose: (4, 4) T_optical_sensor, m.

    Raises:
        ConfigError: the field of view is no angle of a cone, or the pose no rotation.
    """
    range_m = msg.range if msg.range < msg.max_range else math.inf
    cone = (pose[:3, 3], pose[:3, 0], msg.field_of_view, (msg.min_range, msg.max_range))
    variance = getattr(msg, "variance", 0.0)  # which Humble's has not; 0 is unknown
    if variance > 0:
        return from_range(range_m, camera, *cone, sigma_m=math.sqrt(variance))
    return from_range(range_m, camera, *cone)


def scan_to_points(msg: LaserScan) -> NDArray[np.float64]:
    """Return the ends of the rays of a scan, (N, 3) m, in the plane z = 0; NaN for rays that hit nothing.

    Raises:
        DataError: the angles are no finite numbers.
    """
    if not (np.isfinite(msg.angle_min) and np.isfinite(msg.angle_increment)):
        raise DataError(
            f"expected finite angles in the scan, got angle_min {msg.angle_min:g} and angle_increment "
            f"{msg.angle_increment:g}; check the driver of the scanner."
        )
    ranges = np.array(msg.ranges, np.float64)
    with np.errstate(invalid="ignore"):
        ranges[~((ranges >= msg.range_min) & (ranges <= msg.range_max) & np.isfinite(ranges))] = np.nan
    angles = msg.angle_min + np.arange(len(ranges)) * msg.angle_increment
    return ranges[:, None] * np.stack([np.cos(angles), np.sin(angles), np.zeros(len(angles))], axis=1)


def cloud_to_points(msg: PointCloud2) -> NDArray[np.float64]:
    """Return the points of any cloud, (N, 3) m, whatever its other fields, padding and byte order.

    Raises:
        DataError: no x, y and z of float32 or float64, or less data than the message declares.
    """
    fields = {field.name: field for field in msg.fields}
    floats = [name for name in "xyz" if name in fields and fields[name].datatype in _FLOATS]
    if floats != ["x", "y", "z"]:
        raise DataError(
            f"expected a cloud with x, y, z as float32 or float64, got fields {list(fields)}; subscribe to "
            "a cloud of points, or convert it."
        )
    order = ">" if msg.is_bigendian else "<"
    formats = [order + _FLOATS[fields[name].datatype] for name in "xyz"]
    offsets = [fields[name].offset for name in "xyz"]
    step, row_step = msg.point_step, msg.row_step if msg.height > 1 else msg.width * msg.point_step
    ends = max(offset + np.dtype(format).itemsize for offset, format in zip(offsets, formats))
    needed = (msg.height - 1) * row_step + msg.width * step if msg.height and msg.width else 0
    if ends > step or row_step < msg.width * step or len(msg.data) < needed:
        raise DataError(
            f"expected {msg.height} rows of {msg.width} points of {step} bytes, got row_step {msg.row_step} "
            f"and {len(msg.data)} bytes; the cloud is truncated or its layout wrong, check its publisher."
        )
    if not needed:
        return np.empty((0, 3))
    layout = np.dtype({"names": list("xyz"), "formats": formats, "offsets": offsets, "itemsize": step})
    shape = (msg.height, msg.width)
    packed = np.ndarray(shape, layout, buffer=memoryview(msg.data), strides=(row_step, step))
    return np.stack([packed[name].ravel().astype(np.float64) for name in "xyz"], axis=1)
