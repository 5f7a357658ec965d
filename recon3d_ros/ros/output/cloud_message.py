"""PointCloud2 messages: organized ones, made once and packed in place, and lists of points."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

from recon3d_ros.geometry.cloud import BYTES_PER_FIELD, LABEL, XYZRGB
from recon3d_ros.ros.bridge.conversions import make_header, to_bytes_array

# The label is the first of its four bytes.
_DATATYPES = {LABEL[0]: PointField.UINT8}


class CloudMessages:
    """A ring of messages of equal layout; a message stays as it is until the ring comes round to it again.

    Not for use by several threads: one packs and publishes.

    Args:
        count: number of messages in the ring.
    """

    def __init__(self, count: int = 2) -> None:
        self._count = count
        self._layout: tuple[tuple[int, ...], tuple[str, ...]] | None = None
        self._ring: list[tuple[PointCloud2, np.ndarray]] = []
        self._next = 0

    def take(
        self, shape_hw: tuple[int, int], stamp_ns: int, frame_id: str, fields: Sequence[str] = XYZRGB
    ) -> tuple[PointCloud2, np.ndarray]:
        """Return the next message and the points in it.

        Args:
            shape_hw: rows and columns; another size or other fields make new buffers.
            stamp_ns: acquisition time in nanoseconds.
            frame_id: frame of the points.
            fields: names of the F float32 columns.

        Returns:
            The organized message, and the (H, W, F) float32 view of its data to write into.
        """
        layout = tuple(shape_hw), tuple(fields)
        if layout != self._layout:
            self._layout = layout
            self._ring = [_new_message(shape_hw, fields) for _ in range(self._count)]
        self._next = (self._next + 1) % self._count
        msg, points = self._ring[self._next]
        msg.header = make_header(stamp_ns, frame_id)
        return msg, points


def list_to_msg(data: np.ndarray, fields: Sequence[str], stamp_ns: int, frame_id: str) -> PointCloud2:
    """Make an unorganized message: one row of points, all of them valid.

    Args:
        data: (N, F) float32; N may be 0.
        fields: names of the F columns.
        stamp_ns: acquisition time in nanoseconds.
        frame_id: frame of the points.
    """
    msg = _described((1, len(data)), fields)
    msg.header = make_header(stamp_ns, frame_id)
    msg.is_dense = True
    msg.data = to_bytes_array(data) if data.size else array("B")
    return msg


def _new_message(shape_hw: tuple[int, int], fields: Sequence[str]) -> tuple[PointCloud2, np.ndarray]:
    msg = _described(shape_hw, fields)
    # An array('B') given to the property is kept, not copied (bytes would be checked one by one); NumPy
    # writes through the same memory.
    msg.data = array("B", bytes(msg.height * msg.row_step))
    return msg, np.frombuffer(msg.data, np.float32).reshape(*shape_hw, len(fields))


def _described(shape_hw: tuple[int, int], fields: Sequence[str]) -> PointCloud2:
    height, width = shape_hw
    step = BYTES_PER_FIELD * len(fields)
    msg = PointCloud2(height=height, width=width, point_step=step, row_step=width * step, is_dense=False)
    msg.fields = [
        PointField(
            name=name, offset=BYTES_PER_FIELD * i, datatype=_DATATYPES.get(name, PointField.FLOAT32), count=1
        )
        for i, name in enumerate(fields)
    ]
    return msg
