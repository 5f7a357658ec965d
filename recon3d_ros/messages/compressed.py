"""Compressed images, whose few bytes may claim a lot of memory: what they claim is read before decoding."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from recon3d_ros.errors import ImageError
from recon3d_ros.files.bit_depth import To8Bits, full_range
from recon3d_ros.files.decoding import decode
from recon3d_ros.files.encoded import MAX_DECODED_BYTES, MAX_PIXELS, inspect_encoded


def decode_compressed(data: Any, description: str, to_8_bits: To8Bits = full_range) -> np.ndarray:
    """Decode a jpeg or png byte string.

    Args:
        data: the bytes (any buffer).
        description: `format` of the message, for the error.
        to_8_bits: scales pixels of 16-bit PNG.

    Returns:
        (H, W, 3) uint8 RGB or (H, W) uint8 mono.

    Raises:
        ImageError: neither jpeg nor png, damaged, or beyond the bounds of `files.encoded`.
    """
    buffer = np.frombuffer(data, np.uint8)
    claims = inspect_encoded(buffer.data)
    if claims is not None and claims.excess:
        raise ImageError(
            f"expected an image of at most {MAX_PIXELS} pixels and {MAX_DECODED_BYTES >> 20} MiB, got "
            f"{buffer.size} bytes whose header says {claims.size_wh[0]}x{claims.size_wh[1]}, and that cannot "
            f"be decoded safely: it {claims.excess}; check the publisher."
        )
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    image, damage = decode(buffer, flags) if claims and claims.whole else (None, "")
    if damage:
        raise ImageError(
            f"expected a whole jpeg or png image, got {buffer.size} bytes that are damaged ({damage}); check "
            "the camera's cable, the network and the publisher."
        )
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"expected a jpeg or png image, got {buffer.size} bytes with format {description!r:.80} that do "
            "not decode; check the publisher (a compressedDepth topic is no colour image)."
        )
    if image.dtype == np.uint16:
        image = to_8_bits(image)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
