"""Compressed images, whose few bytes may claim a lot of memory: the size is read before anything decodes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from recon3d_ros.errors import ImageError

# The largest sensors of robots have a third of it; a colour image of this size takes 192 MiB.
MAX_PIXELS = 1 << 26
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
# Start of frame, every kind of it: ITU T.81, table B.1. C4, C8 and CC are no frames.
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def decode_compressed(data: Any, description: str) -> np.ndarray:
    """Decode a jpeg or png byte string.

    Args:
        data: the bytes (any buffer).
        description: `format` of the message, for the error.

    Returns:
        (H, W, 3) uint8 RGB or (H, W) uint8 mono; 16-bit PNG is scaled like mono16.

    Raises:
        ImageError: neither jpeg nor png, not decodable, or of more than `MAX_PIXELS` pixels.
    """
    buffer = np.frombuffer(data, np.uint8)
    size_wh = claimed_size_wh(buffer.data)
    if size_wh is not None and size_wh[0] * size_wh[1] > MAX_PIXELS:
        raise ImageError(
            f"expected an image of at most {MAX_PIXELS} pixels, got {buffer.size} bytes whose header says "
            f"{size_wh[0]}x{size_wh[1]}; check the publisher."
        )
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(buffer, flags) if size_wh else None
    except cv2.error:  # such as a width of 0; the next lines say what matters
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"expected a jpeg or png image, got {buffer.size} bytes with format {description!r:.80} that do "
            "not decode; check the publisher (a compressedDepth topic is no colour image)."
        )
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=255.0 / 65535.0)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def claimed_size_wh(data: memoryview) -> tuple[int, int] | None:
    """Read columns and rows from the header of a PNG or JPEG; None of anything else."""
    if data[:8] == _PNG and data[12:16] == b"IHDR" and len(data) >= 24:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    return _jpeg_size_wh(data) if data[:2] == _JPEG else None


def _jpeg_size_wh(data: memoryview) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            at += 1  # as libjpeg does with what stands between two segments
            continue
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            return int.from_bytes(data[at + 7 : at + 9], "big"), height
        if marker in (0x00, 0xFF):  # no marker, or a filling byte before one
            at += 1
        elif marker in _JPEG_ALONE:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
