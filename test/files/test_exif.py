"""EXIF tags of made-up photographs; OpenCV, which turns images by them itself, is the reference."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.files import read_photograph
from recon3d_ros.files.exif import Exif, read_exif
from recon3d_ros.geometry import upright

IMAGE = np.random.default_rng(0).integers(0, 256, (13, 24, 3), np.uint8)


def tiff(orientation: int, focal_35mm: int | None = None, order: str = ">") -> bytes:
    """The TIFF structure of EXIF: one directory, and behind it the one of the camera."""
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    first = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    if focal_35mm is None:
        return head + struct.pack(order + "H", 1) + first + bytes(4)
    at = 8 + 2 + 2 * 12 + 4
    first += struct.pack(order + "HHII", 0x8769, 4, 1, at)
    second = struct.pack(order + "HHHIHH", 1, 0xA405, 3, 1, focal_35mm, 0)
    return head + struct.pack(order + "H", 2) + first + bytes(4) + second + bytes(4)


def jpeg(body: bytes) -> bytes:
    encoded = cv2.imencode(".jpg", IMAGE, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    segment = b"Exif\0\0" + body
    return encoded[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + encoded[2:]


def png(body: bytes) -> bytes:
    encoded = cv2.imencode(".png", IMAGE)[1].tobytes()
    chunk = b"eXIf" + body
    return (
        encoded[:33]
        + struct.pack(">I", len(body))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + encoded[33:]
    )


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_opencv_turns_it(tmp_path, orientation, order):
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg(tiff(orientation, 27, order)))
    image, exif = read_photograph(path)
    assert exif == Exif(orientation, 27.0) and image.shape == IMAGE.shape
    shown = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(upright(image, orientation), shown)


def test_a_png_may_have_the_tags_too():
    assert read_exif(png(tiff(6))) == Exif(6)


def test_the_focal_length_is_that_of_the_long_side():
    assert (
        Exif(6, 26.0).fx_px(4000, 3000) == Exif(6, 26.0).fx_px(3000, 4000) == pytest.approx(2888.9, abs=0.1)
    )
    assert Exif().fx_px(4000, 3000) is None


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_none(orientation):
    assert read_exif(jpeg(tiff(orientation))) == Exif()


@given(st.binary(max_size=300), st.integers(0, 80))
def test_damaged_tags_are_no_tags(noise, kept):
    assert isinstance(read_exif(noise), Exif)
    assert isinstance(read_exif(jpeg(tiff(6, 27)[:kept] + noise)), Exif)
    assert isinstance(read_exif(png(noise)), Exif)
