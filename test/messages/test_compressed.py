"""Compressed images: sizes are read from the header, and what claims too much is refused before decoding."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.errors import ImageError
from recon3d_ros.files.encoded import MAX_PIXELS, inspect_encoded
from recon3d_ros.messages.compressed import decode_compressed


def encoded(suffix: str, height: int, width: int, *options: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


@given(height=st.integers(1, 40), width=st.integers(1, 40), progressive=st.booleans())
def test_the_claimed_size_is_the_size(height, width, progressive):
    for data in (
        encoded(".png", height, width),
        encoded(".jpg", height, width, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)),
    ):
        assert inspect_encoded(memoryview(data)) == ((width, height), True, "")
        assert decode_compressed(data, "rgb8").shape[:2] == (height, width)


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(10_000_000))  # ten megabytes of black in ten thousand bytes
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def jpeg_that_claims(width: int, height: int) -> bytes:
    data = bytearray(encoded(".jpg", 8, 8))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("make", [png_that_claims, jpeg_that_claims])
def test_a_decompression_bomb_is_refused_by_its_header(make, monkeypatch):
    bomb = make(65000, 65000)  # 12.7 GB as pixels
    assert len(bomb) < 20_000
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded a bomb"))
    with pytest.raises(ImageError, match="whose header says 65000x65000"):
        decode_compressed(bomb, "rgb8; png")


def test_the_bound_is_on_pixels_and_not_on_bytes():
    assert decode_compressed(png_that_claims(1, 1000), "").shape == (1000, 1, 3)
    with pytest.raises(ImageError, match="at most"):
        decode_compressed(png_that_claims(1, MAX_PIXELS + 1), "")


@pytest.mark.parametrize("suffix", [".bmp", ".tiff", ".webp", ".ppm"])
def test_other_formats_are_refused_unread(suffix):
    with pytest.raises(ImageError, match="jpeg or png"):
        decode_compressed(encoded(suffix, 8, 9), "rgb8; other")


@given(
    data=st.binary(max_size=300), head=st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
)
def test_whatever_comes_is_an_image_or_one_error(data, head):
    try:
        image = decode_compressed(head + data, "fuzz")
    except ImageError:
        return
    assert image.dtype == np.uint8
