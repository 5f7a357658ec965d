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
from recon3d_ros.files.images import read_mask
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


def png_with_tags_at_its_end(body: bytes) -> bytes:
    whole = png(body)
    size = 12 + len(body)
    return whole[:33] + whole[33 + size : -12] + whole[33 : 33 + size] + whole[-12:]


def webp(body: bytes) -> bytes:
    encoded = cv2.imencode(".webp", IMAGE, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    height, width = IMAGE.shape[:2]
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in (width, height))
    body += bytes(len(body) % 2)
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + sides + encoded[12:]
    chunks = b"WEBP" + chunks + b"EXIF" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def tiff_image(orientation: int, order: str) -> bytes:
    """A TIFF file of the grey `IMAGE`, in one strip."""
    grey = IMAGE[..., 0]
    height, width = grey.shape
    longs = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8 + 2 + 10 * 12 + 4, 277: 1, 278: height}
    longs |= {279: grey.size}
    entries = {tag: struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in longs.items()}
    entries[274] = struct.pack(order + "HHIHH", 274, 3, 1, orientation, 0)
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "IH", 8, len(entries))
    return head + b"".join(entry for _, entry in sorted(entries.items())) + bytes(4) + grey.tobytes()


@pytest.mark.parametrize(
    "write", [png, png_with_tags_at_its_end, webp, lambda body: webp(b"Exif\0\0" + body)]
)
def test_png_and_webp_have_the_tags_too(tmp_path, write):
    path = tmp_path / "photo"
    path.write_bytes(write(tiff(6, 27)))
    image, exif = read_photograph(path)
    assert exif == Exif(6, 27.0)
    np.testing.assert_array_equal(image, IMAGE[..., ::-1])


def test_a_mask_is_upright(tmp_path):
    path = tmp_path / "mask.png"
    path.write_bytes(png(tiff(6)))
    np.testing.assert_array_equal(read_mask(path), upright((IMAGE > 0).any(axis=2), 6))


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_pixels_of_a_tiff_are_those_stored(tmp_path, orientation, order):
    path = tmp_path / "photo.tiff"
    path.write_bytes(tiff_image(orientation, order))
    image, exif = read_photograph(path)
    assert exif == Exif(orientation)
    np.testing.assert_array_equal(image, IMAGE[..., 0])


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
