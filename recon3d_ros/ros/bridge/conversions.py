"""ROS messages to the package's types and back; nothing of ROS goes further down than this."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.messages.camera_info import info_to_camera as info_to_camera
from recon3d_ros.messages.cloud import cloud_from_msg as cloud_from_msg
from recon3d_ros.messages.depth import compress_depth
from recon3d_ros.messages.depth import depth_from_msg as depth_from_msg
from recon3d_ros.messages.encodings import encode_pixels
from recon3d_ros.messages.encodings import msg_to_image as msg_to_image
from recon3d_ros.messages.kinds import NS_PER_S
from recon3d_ros.messages.kinds import stamp_to_ns as stamp_to_ns

_PLUMB_BOB_VALUES = 5


def ns_to_stamp(stamp_ns: int) -> Time:
    """Return integer nanoseconds as a stamp."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def make_header(stamp_ns: int, frame_id: str) -> Header:
    """Return a header."""
    return Header(stamp=ns_to_stamp(stamp_ns), frame_id=frame_id)


def to_bytes_array(values: np.ndarray) -> array:
    """Copy an array of any dtype into an `array.array('B')`, which message setters take unchecked."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(values).data.cast("B"))
    return data


def image_to_msg(image: np.ndarray, stamp_ns: int, frame_id: str, encoding: str = "") -> Image:
    """Make an image message.

    Args:
        image: (H, W, 3) uint8 RGB or (H, W) uint8 mono.
        stamp_ns: acquisition time in nanoseconds.
        frame_id: optical frame of the camera.
        encoding: rgb8, bgr8, rgba8, bgra8, mono8 or mono16; empty: rgb8 or mono8, as the image is.

    Raises:
        ImageError: unknown encoding, or an array that is no image of this package.
    """
    pixels, encoding = encode_pixels(image, encoding)
    return _pixels_to_msg(pixels, stamp_ns, frame_id, encoding)


def compressed_to_msg(
    image: np.ndarray, stamp_ns: int, frame_id: str, codec: str = "jpeg", quality: int = 90
) -> CompressedImage:
    """Make a compressed image message whose `format` reads as compressed_image_transport writes it.

    Args:
        image: (H, W, 3) uint8 RGB or (H, W) uint8 mono.
        stamp_ns: acquisition time in nanoseconds.
        frame_id: optical frame of the camera.
        codec: jpeg or png.
        quality: JPEG quality, 1 to 100.

    Raises:
        ImageError: unknown codec, or an array that is no image of this package.
    """
    if codec not in ("jpeg", "png"):
        raise ImageError(f"expected codec jpeg or png, got {codec!r}; choose one of them.")
    pixels, encoding = encode_pixels(image, "mono8" if image.ndim == 2 else "bgr8")
    options = {"jpeg": [cv2.IMWRITE_JPEG_QUALITY, int(quality)], "png": [cv2.IMWRITE_PNG_COMPRESSION, 1]}
    _, buffer = cv2.imencode(f".{codec}", pixels, options[codec])
    shown = "mono8" if image.ndim == 2 else "rgb8"
    msg = CompressedImage(
        header=make_header(stamp_ns, frame_id), format=f"{shown}; {codec} compressed {encoding}"
    )
    msg.data = to_bytes_array(buffer)
    return msg


def depth_to_compressed_msg(depth: np.ndarray, stamp_ns: int, frame_id: str) -> CompressedImage:
    """Make a message of the transport compressedDepth.

    Args:
        depth: see `recon3d_ros.messages.depth.compress_depth`.
        stamp_ns: acquisition time in nanoseconds.
        frame_id: optical frame of the camera.
    """
    description, data = compress_depth(depth)
    msg = CompressedImage(header=make_header(stamp_ns, frame_id), format=description)
    msg.data = to_bytes_array(np.frombuffer(data, np.uint8))
    return msg


def camera_to_info(camera: PinholeCamera, stamp_ns: int, frame_id: str) -> CameraInfo:
    """Make a camera_info message (REP 104) that describes the whole camera, binning and ROI included."""
    info = CameraInfo(header=make_header(stamp_ns, frame_id), width=camera.width, height=camera.height)
    info.distortion_model = camera.distortion_model
    # CameraInfo.msg: plumb_bob has five values; a camera of ours may have none or four.
    missing = max(0, _PLUMB_BOB_VALUES - len(camera.d)) if camera.distortion_model == "plumb_bob" else 0
    info.d = [float(value) for value in camera.d] + [0.0] * missing
    info.k, info.r, info.p = camera.k.ravel(), camera.r.ravel(), camera.p.ravel()
    info.binning_x, info.binning_y = camera.binning_x, camera.binning_y
    if camera.roi is not None:
        info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = camera.roi
    return info


def depth_to_msg(depth: np.ndarray, stamp_ns: int, frame_id: str) -> Image:
    """Make a 32FC1 depth message (REP 118).

    Args:
        depth: (H, W) float32, metres; NaN invalid, +Inf farther than measurable.
        stamp_ns: acquisition time in nanoseconds.
        frame_id: optical frame of the camera.
    """
    return _pixels_to_msg(np.asarray(depth, np.float32), stamp_ns, frame_id, "32FC1")


def disparity_to_msg(
    disparity: np.ndarray,
    rig: StereoRig,
    depth_limits_m: tuple[float, float],
    border_px: int,
    stamp_ns: int,
    frame_id: str,
) -> DisparityImage:
    """Make a disparity message as stereo_image_proc does.

    As DisparityImage.msg wants it, the offset of the principal points is taken out, so that Z = f T / d;
    invalid pixels hold `min_disparity - 1`.

    Args:
        disparity: (H, W) float32, x_left - x_right in pixels, NaN = invalid.
        rig: the rectified pair; gives f, T, the offset and the disparities at the depth limits.
        depth_limits_m: nearest and farthest depth; `max_disparity` and `min_disparity` belong to them.
        border_px: width of the border outside the valid window.
        stamp_ns: acquisition time in nanoseconds.
        frame_id: optical frame of the left camera.
    """
    msg = DisparityImage(header=make_header(stamp_ns, frame_id), f=float(rig.fx), t=float(rig.baseline_m))
    near, far = depth_limits_m
    height, width = disparity.shape
    at_near = rig.fx * rig.baseline_m / near if near > 0 else float("inf")
    msg.max_disparity = float(min(at_near, width))
    msg.min_disparity = float(rig.fx * rig.baseline_m / far)
    msg.delta_d = 0.0  # continuous: a network does not quantise
    window = msg.valid_window
    window.x_offset = window.y_offset = border_px
    window.width, window.height = max(width - 2 * border_px, 0), max(height - 2 * border_px, 0)
    adjusted = np.subtract(disparity, np.float32(rig.doffs_px), dtype=np.float32)
    np.copyto(adjusted, np.float32(msg.min_disparity - 1.0), where=~np.isfinite(adjusted))
    msg.image = _pixels_to_msg(adjusted, stamp_ns, frame_id, "32FC1")
    return msg


def _pixels_to_msg(pixels: np.ndarray, stamp_ns: int, frame_id: str, encoding: str) -> Image:
    msg = Image(header=make_header(stamp_ns, frame_id), height=pixels.shape[0], width=pixels.shape[1])
    msg.encoding, msg.step = encoding, int(pixels.nbytes // pixels.shape[0])
    msg.is_bigendian = int(pixels.dtype.str.startswith(">"))
    msg.data = to_bytes_array(pixels)
    return msg
