"""PointCloud2 messages whose buffers are made once and packed in place."""

from __future__ import annotations

from array import array

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from recon3d_ros.geometry import OrganizedCloud
from recon3d_ros.ros.conversions import make_header


class CloudMessages:
    """A ring of messages of equal size; a message stays as it is until the ring comes round to it again.

    Not for use by several threads: one packs and publishes.

    Args:
        count: number of messages in the ring.
    """

    def __init__(self, count: int = 2) -> None:
        self._count = count
        self._ring: list[tuple[PointCloud2, np.ndarray]] = []
        self._next = 0

    def take(self, shape_hw: tuple[int, int], stamp_ns: int, frame_id: str) -> tuple[PointCloud2, np.ndarray]:
        """Return the next message and the points in it.

        Args:
            shape_hw: rows and columns; a new size makes new buffers.
            stamp_ns: acquisition time in nanoseconds.
            frame_id: optical frame of the points.

        Returns:
            The organized message, and the (H, W, 4) float32 view of its data (x, y, z, rgb) to write into.
        """
        if not self._ring or self._ring[0][1].shape[:2] != tuple(shape_hw):
            self._ring = [_new_message(shape_hw) for _ in range(self._count)]
        self._next = (self._next + 1) % self._count
        msg, points = self._ring[self._next]
        msg.header = make_header(stamp_ns, frame_id)
        return msg, points


def _new_message(shape_hw: tuple[int, int]) -> tuple[PointCloud2, np.ndarray]:
    height, width = shape_hw
    step = OrganizedCloud.POINT_STEP
    msg = PointCloud2(height=height, width=width, point_step=step, row_step=width * step, is_dense=False)
    msg.fields = [
        PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1)
        for name, offset in OrganizedCloud.FIELDS
    ]
    # An array('B') given to the property is kept, not copied (bytes would be checked one by one); NumPy
    # writes through the same memory.
    msg.data = array("B", bytes(height * width * step))
    return msg, np.frombuffer(msg.data, np.float32).reshape(height, width, step // 4)
