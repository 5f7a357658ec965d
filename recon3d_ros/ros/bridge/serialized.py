"""Messages of raw subscriptions, whose bytes rclpy did not make objects of."""

from __future__ import annotations

from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image

from recon3d_ros.errors import CalibrationError, ImageError, Recon3dError
from recon3d_ros.messages.image_cdr import ImageView, read_image

_PLAIN_CDR = (b"\0\0", b"\0\1")  # big- and little-endian
_AFTER_STAMP = 12  # header.stamp is the first member, behind four bytes that name the representation


def image_of(serialized: bytes) -> ImageView | Image:
    """Read an image message, if possible without copying its pixels.

    Raises:
        ImageError: the bytes are no image message.
    """
    view = read_image(serialized)
    return _deserialized(serialized, Image, ImageError) if view is None else view


class InfoReader:
    """Reads camera_info of one topic: rclpy takes 0.1 ms for each, and mostly only the stamp is new."""

    def __init__(self) -> None:
        self._serialized = b""
        self._msg: CameraInfo | None = None

    def read(self, serialized: bytes) -> CameraInfo:
        """The message; of those that are alike, stamps aside, the first.

        Raises:
            CalibrationError: the bytes are no camera_info.
        """
        before = self._serialized
        alike = serialized[_AFTER_STAMP:] == before[_AFTER_STAMP:] and serialized[:4] == before[:4]
        if self._msg is None or not alike or serialized[:2] not in _PLAIN_CDR:
            self._msg = _deserialized(serialized, CameraInfo, CalibrationError)
        self._serialized = serialized
        return self._msg

    @property
    def newest(self) -> CameraInfo | None:
        """The newest message with its own stamp, made anew; None before the first."""
        return None if self._msg is None else _deserialized(self._serialized, CameraInfo, CalibrationError)


def _deserialized(serialized: bytes, msg_type: type, error: type[Recon3dError]) -> Any:
    try:
        return deserialize_message(serialized, msg_type)
    except Exception as exc:  # whatever middleware and rclpy raise differs between distributions
        raise error(
            f"expected a serialized sensor_msgs/{msg_type.__name__}, got {len(serialized)} bytes that are "
            "none; check who publishes it."
        ) from exc
