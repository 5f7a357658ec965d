"""Depth messages to metres: both encodings of REP 118, plain or as PNG (compressedDepth)."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

from recon3d_ros.errors import ImageError
from recon3d_ros.files import metres
from recon3d_ros.files.decoding import decode
from recon3d_ros.files.encoded import inspect_encoded
from recon3d_ros.messages.encodings import message_view
from recon3d_ros.messages.kinds import ImageFields

ENCODINGS = ("16UC1", "32FC1")
# enum and two floats before the PNG: compressed_depth_image_transport compression_common.h, ConfigHeader
_CONFIG = struct.Struct("<i2f")
_INVERSE_DEPTH = 0
_LARGEST_CODE = 65535


def depth_from_msg(msg: ImageFields) -> np.ndarray:
    """Read a depth message of either encoding of REP 118.

    Returns:
        (H, W) float32, metres, NaN = invalid by the rule of `recon3d_ros.files.read_depth`: of millimetres 0
        and 65535, which many write for "farther", of metres what is not above 0. +Inf of metres stays.

    Raises:
        ImageError: another encoding, or malformed.
    """
    if msg.encoding == "16UC1":
        return metres(message_view(msg, "u2", 1).astype(np.uint16), None, "a depth message")
    if msg.encoding != "32FC1":
        raise ImageError(
            f"expected depth as 32FC1 or 16UC1, got {msg.encoding!r}; subscribe to a depth image topic."
        )
    return metres(message_view(msg, "f4", 1), None, "a depth message")


def is_compressed_depth(description: str) -> bool:
    """Whether a CompressedImage of this `format` holds depth."""
    return description.startswith(ENCODINGS)


def depth_from_compressed(msg: Any) -> np.ndarray:
    """Read the PNG of a CompressedImage whose `format` says 16UC1 or 32FC1.

    Of 32FC1 the PNG holds A / depth + B, and A and B stand before it (codec.cpp of the transport).

    Returns:
        As `depth_from_msg`.

    Raises:
        ImageError: no such message, its PNG does not decode, or it is beyond the bounds of `files.encoded`.
    """
    data = bytes(msg.data)
    headed = "compressedDepth" in msg.format
    png = data[_CONFIG.size :] if headed else data
    claims = inspect_encoded(png)
    image = None
    if claims and claims.whole and not claims.excess:
        image = decode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED).pixels
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        raise ImageError(
            f"expected a 16-bit PNG of depth, got {len(data)} bytes with format {msg.format!r:.80} that hold "
            "none; record the depth image itself or its compressedDepth in PNG."
        )
    if msg.format.startswith("16UC1"):
        return metres(image, None, "a depth message")
    if not headed:
        raise ImageError(f"expected compressedDepth of 32FC1, got format {msg.format!r:.80}; record that.")
    _, a, b = _CONFIG.unpack_from(data)
    with np.errstate(divide="ignore"):
        depth = np.float32(a) / (image.astype(np.float32) - np.float32(b))
    return metres(np.where(image > 0, depth, np.float32(np.nan)), None, "a depth message")


def compress_depth(depth: np.ndarray) -> tuple[str, bytes]:
    """Encode depth as compressed_depth_image_transport does: a header and a PNG of 16 bits.

    Millimetres are kept as they are. Metres become codes c = A / depth + B, 1 to 65535 between the farthest
    and the nearest depth of this image, and the header holds A and B, as in `encodeCompressedDepthImage` of
    the transport's codec.cpp (which has A and B from parameters; by default it loses what is farther than
    10 m). A code is one step of inverse depth: at depth z the error is at most
    z * z * (1 / nearest - 1 / farthest) / 131068, and never below that of float32.

    Args:
        depth: (H, W) uint16 millimetres, 0 = invalid; or float32 metres, where NaN, +Inf and what is not
            above 0 become invalid.

    Returns:
        `format` and `data` of the CompressedImage.
    """
    encoding, a, b, codes = "16UC1", 0.0, 0.0, depth
    if depth.dtype != np.uint16:
        encoding = "32FC1"
        known = np.isfinite(depth) & (depth > 0)
        inverse = np.divide(1.0, depth, out=np.zeros(depth.shape, np.float64), where=known)
        farthest, nearest = (inverse[known].min(), inverse.max()) if known.any() else (0.0, 1.0)
        # One depth alone would leave no range to divide by.
        a = (_LARGEST_CODE - 1) / max(nearest - farthest, 1e-3 * nearest)
        b = 1.0 - a * farthest
        # What is read is float32: codes of A and B as they will be read.
        a, b = (float(np.float32(value)) for value in (a, b))
        codes = np.where(known, np.clip(np.rint(inverse * a + b), 1, _LARGEST_CODE), 0).astype(np.uint16)
    _, png = cv2.imencode(".png", codes, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return f"{encoding}; compressedDepth png", _CONFIG.pack(_INVERSE_DEPTH, a, b) + png.tobytes()
