"""Pixels of every encoding; H != W, odd sizes, padded rows, both byte orders."""

from __future__ import annotations

import sys
from array import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from recon3d_ros.errors import ImageError
from recon3d_ros.messages.encodings import encode_pixels
from recon3d_ros.ros.bridge.conversions import msg_to_image

H, W = 7, 11
RGB = np.random.default_rng(3).integers(0, 256, (H, W, 3), dtype=np.uint8)
MONO = np.random.default_rng(4).integers(0, 256, (H, W), dtype=np.uint8)


def message(pixels: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False) -> Image:
    height, width = pixels.shape[:2]
    pixels = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    rows = pixels.reshape(height, -1).view(np.uint8)
    padded = np.full((height, rows.shape[1] + padding), 0xAB, np.uint8)
    padded[:, : rows.shape[1]] = rows
    msg = Image(height=height, width=width, encoding=encoding, step=padded.shape[1])
    msg.is_bigendian = int(big_endian)
    msg.data = array("B", padded.tobytes())
    return msg


def channels_of(encoding: str, rgb: np.ndarray) -> np.ndarray:
    """The pixels of an encoding, written out by hand."""
    alpha = np.full((H, W, 1), 9, np.uint8)
    r, g, b = (rgb[..., i : i + 1] for i in range(3))
    order = {"rgb8": (r, g, b), "bgr8": (b, g, r), "rgba8": (r, g, b, alpha), "bgra8": (b, g, r, alpha)}
    return np.concatenate(order[encoding], axis=2)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_colours(encoding, padding):
    image = msg_to_image(message(channels_of(encoding, RGB), encoding, padding))
    np.testing.assert_array_equal(image, RGB)
    assert image.flags.c_contiguous


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_mono(encoding, padding):
    np.testing.assert_array_equal(msg_to_image(message(MONO, encoding, padding)), MONO)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("padding", [0, 6])
def test_mono16_is_scaled_over_the_full_range(big_endian, padding):
    values = np.array([[0, 128, 257, 256 * 128, 65535], [1, 129, 65534, 1000, 386]], np.uint16)
    image = msg_to_image(message(values, "mono16", padding, big_endian))
    np.testing.assert_array_equal(image, np.round(values * (255 / 65535)).astype(np.uint8))


def mosaic(pattern: str, rgb: np.ndarray) -> np.ndarray:
    """Sample a Bayer pattern: its four letters are the first 2x2 pixels, row by row."""
    bayer = np.empty(rgb.shape[:2], rgb.dtype)
    for i, letter in enumerate(pattern):
        v, u = divmod(i, 2)
        bayer[v::2, u::2] = rgb[v::2, u::2, "rgb".index(letter)]
    return bayer


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_give_the_colours_that_were_sampled(pattern, bits):
    rgb = np.empty((H, W, 3), np.uint8)
    rgb[:] = (200, 100, 30)
    rgb[:, 6:] = (20, 60, 220)  # two flat areas: away from their edge every method is exact
    bayer = mosaic(pattern, rgb)
    if bits == 16:
        bayer = bayer.astype(np.uint16) * 257
    image = msg_to_image(message(bayer, f"bayer_{pattern}{bits}", padding=4, big_endian=bits == 16))
    np.testing.assert_array_equal(image[1:-1, 1:4], rgb[1:-1, 1:4])
    np.testing.assert_array_equal(image[1:-1, 8:-1], rgb[1:-1, 8:-1])


@pytest.mark.parametrize(
    ("encoding", "first_y"), [("yuv422", 1), ("uyvy", 1), ("yuv422_yuy2", 0), ("yuyv", 0)]
)
def test_yuv422(encoding, first_y):
    pixels = np.full((6, 8, 2), 128, np.uint8)  # U = V = 128 has no colour
    pixels[..., first_y] = np.arange(16, 16 + 8 * 20, 20)
    pixels[3:, 0::2, 1 - first_y] = 90  # U below, V above 128: red
    pixels[3:, 1::2, 1 - first_y] = 240
    image = msg_to_image(message(pixels, encoding, padding=3))
    assert image.shape == (6, 8, 3)
    assert np.all(np.ptp(image[:3].astype(int), axis=2) <= 1)
    assert np.all(np.diff(image[0, :, 0].astype(int)) > 0)
    assert np.all(image[3:, :4, 0] > image[3:, :4, 2].astype(int) + 50)


def test_a_size_that_the_encoding_cannot_have():
    with pytest.raises(ImageError, match="yuv422, got 7x6"):
        msg_to_image(message(np.zeros((6, 7, 2), np.uint8), "yuv422"))


def test_other_encodings_go_through_cv_bridge(monkeypatch):
    asked = []

    class CvBridge:  # of a ROS installation; the wheel on PyPI converts nothing beyond the table
        def imgmsg_to_cv2(self, msg, desired_encoding):
            asked.append((msg.encoding, desired_encoding))
            return RGB

    monkeypatch.setitem(sys.modules, "cv_bridge", SimpleNamespace(CvBridge=CvBridge))
    np.testing.assert_array_equal(msg_to_image(message(RGB, "nv24")), RGB)
    assert asked == [("nv24", "rgb8")]


def test_without_cv_bridge_an_unknown_encoding_says_what_is_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(ImageError, match=r"'nv24'.*install cv_bridge.*rgb8.*nv12"):
        msg_to_image(message(np.zeros((6, 8, 2), np.uint8), "nv24"))


@pytest.mark.parametrize("encoding", ["", "foo", "32FC1", "8UC2"])
def test_unknown_encoding(encoding):
    pixels = np.zeros((H, W, 3), np.uint8)
    with pytest.raises(ImageError, match=f"got '{encoding}'"):
        msg_to_image(message(pixels, encoding))


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("encoding", ["rgb16", "bgr16", "rgba16", "bgra16"])
def test_colours_of_16_bits(encoding, big_endian):
    pixels = channels_of(encoding.replace("16", "8"), RGB).astype(np.uint16) * 257
    np.testing.assert_array_equal(msg_to_image(message(pixels, encoding, 4, big_endian)), RGB)


@pytest.mark.parametrize(("encoding", "named"), [("8UC3", "bgr8"), ("8UC4", "bgra8")])
def test_unnamed_channels_are_in_the_order_of_opencv(encoding, named):
    np.testing.assert_array_equal(msg_to_image(message(channels_of(named, RGB), encoding, 5)), RGB)


def test_unnamed_16_bits_are_mono16():
    values = np.arange(H * W, dtype=np.uint16).reshape(H, W) * 800
    np.testing.assert_array_equal(
        msg_to_image(message(values, "16UC1")), msg_to_image(message(values, "mono16"))
    )


def yuv_420(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """The planes of a 4:2:0 encoding, (H * 3 / 2, W)."""
    height, width = rgb.shape[:2]
    planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
    if encoding in ("yuv420", "i420"):
        return planes
    u, v = planes[height:].reshape(2, height // 2, width // 2)
    pairs = (u, v) if encoding == "nv12" else (v, u)
    return np.vstack([planes[:height], np.stack(pairs, axis=2).reshape(height // 2, width)])


@pytest.mark.parametrize(
    ("encoding", "padding"), [("nv12", 0), ("nv12", 6), ("nv21", 0), ("nv21", 6), ("yuv420", 0), ("i420", 0)]
)
def test_luminance_with_chrominance_below_it(encoding, padding):
    rgb = np.empty((8, 12, 3), np.uint8)
    rgb[:] = (200, 100, 30)
    rgb[:, 6:] = (20, 60, 220)
    msg = message(yuv_420(rgb, encoding), encoding, padding)
    msg.height = 8
    image = msg_to_image(msg)
    assert image.shape == rgb.shape and np.abs(image.astype(int) - rgb).max() <= 4
    msg.data = msg.data[: -(padding + 1)]
    with pytest.raises(ImageError, match="truncated"):
        msg_to_image(msg)


def test_420_planes_need_even_sides():
    with pytest.raises(ImageError, match="even sides"):
        msg_to_image(message(np.zeros((H, W), np.uint8), "nv12"))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_compressed_mosaic_has_the_colours_that_its_format_names(bits):
    rgb = np.empty((8, 12, 3), np.uint8)
    rgb[:] = (200, 100, 30)
    bayer = mosaic("rggb", rgb)
    if bits == 16:
        bayer = bayer.astype(np.uint16) * 257
    encoding = f"bayer_rggb{bits}"
    data = array("B", cv2.imencode(".png", bayer)[1].tobytes())
    image = msg_to_image(CompressedImage(format=f"{encoding}; png compressed {encoding}", data=data))
    np.testing.assert_array_equal(image, rgb)
    # What the publisher has demosaiced already stays as it is.
    data = array("B", cv2.imencode(".png", rgb[..., ::-1])[1].tobytes())
    image = msg_to_image(CompressedImage(format=f"{encoding}; png compressed bgr8", data=data))
    np.testing.assert_array_equal(image, rgb)


def test_truncated_data():
    msg = message(RGB, "rgb8")
    msg.data = msg.data[:-1]
    with pytest.raises(ImageError, match=f"expected {H * W * 3} bytes.*got {H * W * 3 - 1}.*truncated"):
        msg_to_image(msg)


def test_last_row_may_lack_its_padding():
    msg = message(RGB, "rgb8", padding=5)
    msg.data = msg.data[:-5]
    np.testing.assert_array_equal(msg_to_image(msg), RGB)


def test_short_step():
    msg = message(RGB, "rgb8")
    msg.step = W
    with pytest.raises(ImageError, match=f"expected step >= {W * 3} bytes"):
        msg_to_image(msg)


def test_empty_image():
    with pytest.raises(ImageError, match="0x0"):
        msg_to_image(Image(encoding="rgb8"))


def compressed(extension: str, pixels: np.ndarray) -> CompressedImage:
    msg = CompressedImage(format=extension)
    msg.data = array("B", cv2.imencode(f".{extension}", pixels)[1].tobytes())
    return msg


def test_compressed_colours_are_rgb():
    np.testing.assert_array_equal(msg_to_image(compressed("png", RGB[..., ::-1].copy())), RGB)
    flat = np.empty((16, 24, 3), np.uint8)
    flat[:] = (200, 100, 30)
    image = msg_to_image(compressed("jpeg", flat[..., ::-1].copy()))
    assert image.shape == flat.shape
    assert np.abs(image.astype(int) - flat).max() <= 4


def test_compressed_mono_stays_mono_and_16_bit_is_scaled():
    np.testing.assert_array_equal(msg_to_image(compressed("png", MONO)), MONO)
    np.testing.assert_array_equal(msg_to_image(compressed("png", MONO.astype(np.uint16) * 257)), MONO)


@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8\xff\xe0"])
def test_compressed_garbage(data):
    msg = CompressedImage(format="jpeg")
    msg.data = array("B", data)
    with pytest.raises(ImageError, match=f"got {len(data)} bytes with format 'jpeg'"):
        msg_to_image(msg)


def test_truncated_png():
    msg = compressed("png", RGB)
    msg.data = msg.data[: len(msg.data) // 3]
    with pytest.raises(ImageError, match="do not decode"):
        msg_to_image(msg)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5), np.float32), np.zeros((4, 5, 4), np.uint8), np.zeros(5, np.uint8)]
)
def test_encode_refuses_what_is_no_image(image):
    with pytest.raises(ImageError, match="uint8 image"):
        encode_pixels(image, "")


def test_encode_refuses_unknown_encodings():
    with pytest.raises(ImageError, match="bayer_rggb8"):
        encode_pixels(RGB, "bayer_rggb8")
