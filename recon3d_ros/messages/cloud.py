"""Point clouds as the node publishes them, by the fields of their messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from recon3d_ros.errors import DataError
from recon3d_ros.geometry import XYZ, OrganizedCloud
from recon3d_ros.geometry.cloud import BYTES_PER_FIELD, LABEL

_UINT8, _FLOAT32 = 2, 7  # datatypes of sensor_msgs/PointField


def cloud_from_msg(msg: Any) -> OrganizedCloud:
    """View a cloud that is laid out as `CloudMessages` does it: float32 fields, x, y, z first, no gaps.

    Raises:
        DataError: another layout, or less data than the message declares.
    """
    height, width, step = msg.height, msg.width, msg.point_step
    fields = tuple(field.name for field in msg.fields)
    kinds = [_UINT8 if name == LABEL[0] else _FLOAT32 for name in fields]
    packed = [(BYTES_PER_FIELD * i, kind) for i, kind in enumerate(kinds)]
    described = [(field.offset, field.datatype) for field in msg.fields]
    without_gaps = described == packed and step == BYTES_PER_FIELD * len(fields)
    if not without_gaps or fields[:3] != XYZ or msg.is_bigendian:
        raise DataError(
            f"expected a cloud of float32 x, y, z and more without gaps, got {list(fields)} in {step} bytes; "
            "take the points of a depth_node."
        )
    if msg.row_step != width * step or len(msg.data) != height * msg.row_step:
        raise DataError(
            f"expected {height} rows of {width * step} bytes, got row_step {msg.row_step} and "
            f"{len(msg.data)} bytes; the cloud is truncated, check its publisher."
        )
    return OrganizedCloud(np.frombuffer(msg.data, np.float32).reshape(height, width, len(fields)), fields)
