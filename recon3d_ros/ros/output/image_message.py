"""Image messages whose buffers are made once; an image is written into them and nowhere in between."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from recon3d_ros.ros.bridge.conversions import make_header

# Encodings that are written here: dtype and channels.
LAYOUTS = {"32FC1": (np.float32, 1), "16UC1": (np.uint16, 1), "rgb8": (np.uint8, 3)}
_FARTHEST_MM = 65535


class ImageMessage:
    """One message that is filled again and again; for one thread, which publishes before it refills.

    The byte order is the machine's, little-endian on all that ROS 2 supports.
    """

    def __init__(self) -> None:
        self._layout: tuple[tuple[int, int], str] | None = None
        self._msg = Image()
        self._pixels: np.ndarray = np.empty(0)

    def take(
        self, shape_hw: tuple[int, int], encoding: str, stamp_ns: int, frame_id: str
    ) -> tuple[Image, np.ndarray]:
        """Return the message and its pixels.

        Args:
            shape_hw: rows and columns; another size or encoding makes a new buffer.
            encoding: one of `LAYOUTS`.
            stamp_ns: acquisition time in nanoseconds.
            frame_id: optical frame of the camera.

        Returns:
            The message, and the (H, W) or (H, W, channels) view of its data to write into.
        """
        if self._layout != (shape_hw, encoding):
            self._layout = shape_hw, encoding
            self._msg, self._pixels = _new_message(shape_hw, encoding)
        self._msg.header = make_header(stamp_ns, frame_id)
        return self._msg, self._pixels


def write_depth(depth: NDArray[np.float32], pixels: np.ndarray) -> None:
    """Write depth as REP 118 wants it: metres as they are, or millimetres where 0 is "not known".

    Millimetres end at 65.535 m: what is farther, +Inf included, is not known rather than wrong.

    Args:
        depth: (H, W) float32, metres; NaN invalid, +Inf farther than measurable.
        pixels: (H, W) float32 or uint16 to write into.
    """
    if pixels.dtype == np.float32:
        np.copyto(pixels, depth)
        return
    millimetres = np.rint(depth * np.float32(1000))
    with np.errstate(invalid="ignore"):
        known = (millimetres >= 0) & (millimetres <= _FARTHEST_MM)  # False for NaN
    np.copyto(millimetres, 0, where=~known)
    np.copyto(pixels, millimetres, casting="unsafe")


def _new_message(shape_hw: tuple[int, int], encoding: str) -> tuple[Image, np.ndarray]:
    dtype, channels = LAYOUTS[encoding]
    height, width = shape_hw
    step = width * channels * np.dtype(dtype).itemsize
    msg = Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=0)
    msg.data = array("B", bytes(height * step))
    shape = shape_hw if channels == 1 else (*shape_hw, channels)
    return msg, np.frombuffer(msg.data, dtype).reshape(shape)
