"""Pixels of image messages to the package's images (RGB or mono, uint8) and back.

The named encodings are converted here from a view of the message with OpenCV alone. cv_bridge, imported in
this module only, decodes all others (such as nv24): its wheel on PyPI ignores `step`, lacks
mono16, 16-bit Bayer and bayer_grbg8, and byte-swaps with a call NumPy 2 removed; its apt build does not load
under NumPy 2 (ros-perception/vision_opencv#535).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from recon3d_ros.errors import ImageError
from recon3d_ros.files.bit_depth import To8Bits, full_range
from recon3d_ros.messages.compressed import decode_compressed
from recon3d_ros.messages.kinds import ImageFields

# encoding -> (dtype, channels, cv2 code to RGB or None where the pixels stay as they are).
# OpenCV names a Bayer pattern by its second row's second and third pixel: ROS rggb is OpenCV BG (sensor_msgs
# image_encodings, cv_bridge cv_bridge.cpp: getConversionCode).
_TO_RGB: dict[str, tuple[str, int, int | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, cv2.COLOR_BGR2RGB),
    "rgba8": ("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "mono8": ("u1", 1, None),
    "rgb16": ("u2", 3, None),
    "bgr16": ("u2", 3, cv2.COLOR_BGR2RGB),
    "rgba16": ("u2", 4, cv2.COLOR_RGBA2RGB),
    "bgra16": ("u2", 4, cv2.COLOR_BGRA2RGB),
    "8UC1": ("u1", 1, None),
    # In OpenCV's order of colours, as rviz shows them.
    "8UC3": ("u1", 3, cv2.COLOR_BGR2RGB),
    "8UC4": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "16UC1": ("u2", 1, None),
    "mono16": ("u2", 1, None),
    "yuv422": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": ("u1", 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": ("u1", 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": ("u1", 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": ("u1", 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": ("u1", 1, cv2.COLOR_BayerGB2RGB),
    "bayer_rggb16": ("u2", 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr16": ("u2", 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg16": ("u2", 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg16": ("u2", 1, cv2.COLOR_BayerGB2RGB),
}

# A plane of luminance, and below it a pair of chrominance for every 2x2 pixels: interleaved (nv12, nv21), or
# one plane after the other.
_YUV_420: dict[str, int] = {
    "nv12": cv2.COLOR_YUV2RGB_NV12,
    "nv21": cv2.COLOR_YUV2RGB_NV21,
    "yuv420": cv2.COLOR_YUV2RGB_I420,
    "i420": cv2.COLOR_YUV2RGB_I420,
}

_RGB_TO = {
    "rgb8": None,
    "bgr8": cv2.COLOR_RGB2BGR,
    "rgba8": cv2.COLOR_RGB2RGBA,
    "bgra8": cv2.COLOR_RGB2BGRA,
    "mono8": cv2.COLOR_RGB2GRAY,
}


def message_view(msg: ImageFields, dtype: str, channels: int) -> np.ndarray:
    """View the pixels of an image message without a copy, whatever its row padding and byte order.

    Args:
        msg: the message; `step` may exceed the width of a row.
        dtype: NumPy type code of one channel, without byte order ("u1", "u2", "f4").
        channels: channels per pixel.

    Returns:
        (H, W) or (H, W, channels) view in the message's byte order; not contiguous where rows are padded.

    Raises:
        ImageError: empty image, step shorter than a row, or less data than height x step.
    """
    item = np.dtype(dtype).newbyteorder(">" if msg.is_bigendian else "<")
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    row = width * channels * item.itemsize
    if height == 0 or width == 0:
        raise ImageError(f"expected an image with pixels, got {width}x{height}; check the camera driver.")
    if step < row:
        raise ImageError(
            f"expected step >= {row} bytes for {width} pixels of {msg.encoding}, got {step}; "
            "correct step or encoding in the camera driver."
        )
    needed = (height - 1) * step + row  # the last row needs no padding
    if len(msg.data) < needed:
        raise ImageError(
            f"expected {height * step} bytes for {width}x{height} {msg.encoding} with step {step}, "
            f"got {len(msg.data)}; the message is truncated, check the camera driver and the network."
        )
    shape, strides = (height, width), (step, channels * item.itemsize)
    if channels > 1:
        shape, strides = (*shape, channels), (*strides, item.itemsize)  # type: ignore[assignment]
    return np.ndarray(shape, item, buffer=memoryview(msg.data), strides=strides)


def msg_to_image(msg: Any, to_8_bits: To8Bits = full_range) -> np.ndarray:
    """Decode a sensor_msgs/Image or CompressedImage, made by rclpy or read from a bag.

    Args:
        msg: the message.
        to_8_bits: scales pixels of 16 bits, such as `BitDepth.to_8_bits` of its camera.

    Returns:
        (H, W, 3) uint8 RGB, or (H, W) uint8 mono; may be a read-only view of the message.

    Raises:
        ImageError: unknown encoding, empty, truncated or not decodable.
    """
    if hasattr(msg, "encoding"):
        return decode_image(msg, to_8_bits)
    image = decode_compressed(msg.data, msg.format, to_8_bits)
    # "bayer_rggb8; png compressed bayer_rggb8" holds the mosaic; with "jpeg compressed bgr8" it has colours.
    encoding = msg.format.partition(";")[0].strip()
    if image.ndim == 2 and encoding.startswith("bayer_") and encoding in _TO_RGB:
        return _in_rgb(image, encoding, _TO_RGB[encoding][2])
    return image


def decode_image(msg: ImageFields, to_8_bits: To8Bits = full_range) -> np.ndarray:
    """Convert an image message of any supported encoding.

    Args:
        msg: the message.
        to_8_bits: scales pixels of 16 bits; by default their full range, as cv_bridge does.

    Returns:
        (H, W, 3) uint8 RGB for colour and Bayer, (H, W) uint8 for mono; a read-only view of the message where
        nothing has to be converted.

    Raises:
        ImageError: unknown encoding or malformed message.
    """
    if msg.encoding in _YUV_420:
        return _in_rgb(_yuv_420_planes(msg), msg.encoding, _YUV_420[msg.encoding])
    if msg.encoding not in _TO_RGB:
        return _decode_with_cv_bridge(msg)
    dtype, channels, code = _TO_RGB[msg.encoding]
    pixels = message_view(msg, dtype, channels)
    if dtype == "u2":
        pixels = to_8_bits(np.ascontiguousarray(pixels, dtype=np.uint16))  # also swaps bytes where needed
    if code is not None:
        return _in_rgb(pixels, msg.encoding, code)
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return pixels


def _in_rgb(pixels: np.ndarray, encoding: str, code: int | None) -> np.ndarray:
    try:
        return cv2.cvtColor(np.ascontiguousarray(pixels), code)  # type: ignore[arg-type]
    except cv2.error as exc:  # such as an odd width in yuv422
        height, width = pixels.shape[:2]
        raise ImageError(
            f"expected a size that is possible in {encoding}, got {width}x{height}, which OpenCV refuses "
            f"({exc.err}); change size or encoding in the camera driver."
        ) from exc


def _yuv_420_planes(msg: ImageFields) -> np.ndarray:
    """View the luminance and the chrominance below it as one image, (H * 3 / 2, W) uint8."""
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    if height % 2 or width % 2 or (step != width and not msg.encoding.startswith("nv")):
        raise ImageError(
            f"expected even sides, and rows without padding, of an image in {msg.encoding}, got {width}x"
            f"{height} with step {step}; change size or encoding in the camera driver."
        )
    below = SimpleNamespace(
        height=height * 3 // 2,
        width=width,
        step=step,
        encoding=msg.encoding,
        is_bigendian=0,
        data=msg.data,
    )
    return message_view(below, "u1", 1)


def encode_pixels(image: np.ndarray, encoding: str) -> tuple[np.ndarray, str]:
    """Convert an image for a message.

    Args:
        image: (H, W, 3) uint8 RGB or (H, W) uint8 mono.
        encoding: rgb8, bgr8, rgba8, bgra8, mono8 or mono16; empty keeps the image (rgb8 or mono8).

    Returns:
        Contiguous pixels in that encoding (uint8, uint16 for mono16), and the encoding's name.

    Raises:
        ImageError: unknown encoding, or an array that is no image of this package.
    """
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ImageError(
            f"expected an (H, W, 3) or (H, W) uint8 image, got {image.dtype} {image.shape}; convert it first."
        )
    encoding = encoding or ("mono8" if image.ndim == 2 else "rgb8")
    if encoding == "mono16":
        return encode_pixels(image, "mono8")[0].astype(np.uint16) * 257, encoding
    if encoding not in _RGB_TO:
        raise ImageError(
            f"expected an encoding of {', '.join([*_RGB_TO, 'mono16'])}, got {encoding!r}; choose one."
        )
    if image.ndim == 2:
        if encoding == "mono8":
            return np.ascontiguousarray(image), encoding
        image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2RGB)
    code = _RGB_TO[encoding]
    image = np.ascontiguousarray(image)
    return (image if code is None else cv2.cvtColor(image, code)), encoding


def _decode_with_cv_bridge(msg: ImageFields) -> np.ndarray:
    supported = f"supported without it: {', '.join([*_TO_RGB, *_YUV_420])}"
    try:
        from cv_bridge import CvBridge
    except Exception as exc:  # an apt cv_bridge under NumPy 2 fails in more ways than ImportError
        raise ImageError(
            f"expected a known image encoding, got {msg.encoding!r}, and cv_bridge, which may know it, does "
            f"not import ({exc}); install cv_bridge or change the encoding ({supported})."
        ) from exc
    try:
        image = CvBridge().imgmsg_to_cv2(msg, "rgb8")
    except Exception as exc:  # KeyError, TypeError, CvBridgeError, cv2.error: differs between its versions
        raise ImageError(
            f"expected a known image encoding, got {msg.encoding!r}, which cv_bridge cannot convert either "
            f"({exc}); change the camera's encoding ({supported})."
        ) from exc
    return np.ascontiguousarray(image)
