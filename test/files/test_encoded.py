"""Images that would cost their decoder gigabytes or minutes are refused by their structure."""

from __future__ import annotations

import struct
import time
import zlib

import cv2
import numpy as np
import pytest

from recon3d_ros import files
from recon3d_ros.errors import ImageError
from recon3d_ros.files.encoded import MAX_PIXELS, inspect_encoded
from recon3d_ros.messages.compressed import decode_compressed


def chunk(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body) if length is None else length) + kind + body + crc


def png(width: int, height: int, depth: int, colour: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks)


def progressive_jpeg(scans: int) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (13, 21, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last = jpeg.rindex(b"\xff\xda")
    own = jpeg.count(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * (scans - own) + jpeg[-2:]


LYING_CHUNK = png(4, 4, 8, 2, chunk(b"IDAT", b"", 0xFFFFFFF0))
BOMBS = {
    "a chunk of 4 GB": (LYING_CHUNK, ""),
    "a chunk that takes the end": (png(4, 4, 8, 2, chunk(b"IDAT", b"x", 2), b"\0" * 11), ""),
    "256 megapixels": (png(16384, 16384, 8, 0, chunk(b"IEND", b"")), "16384x16384"),
    "16-bit colour": (png(8192, 8192, 16, 2, chunk(b"IEND", b"")), "with 6 bytes each"),
    "many chunks": (png(4, 4, 8, 2, chunk(b"tEXt", b"") * 70_000), "more than 65536 chunks"),
    "thousands of scans": (progressive_jpeg(3000), "65 scans or more"),
    "many segments": (b"\xff\xd8" + b"\xff\xfe\0\2" * 9000, "more than 8192 segments"),
    "no frame": (b"\xff\xd8" + bytes(40_000_000), ""),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_costs_too_much_is_not_decoded(tmp_path, monkeypatch, name):
    content, why = BOMBS[name]
    (tmp_path / "bomb").write_bytes(content)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded a bomb"))
    started = time.perf_counter()
    with pytest.raises(ImageError, match=f"expected .*{why}"):
        decode_compressed(content, "rgb8; png")
    with pytest.raises(ImageError, match=f"expected .*bomb.*{why}"):
        files.read_image(tmp_path / "bomb")
    assert time.perf_counter() - started < 1


def test_scans_are_bounded_by_the_pixels_that_they_pass():
    jpeg = bytearray(progressive_jpeg(40))
    assert inspect_encoded(bytes(jpeg)).excess == ""
    with pytest.raises(ImageError, match=r"damaged .Inconsistent progression"):
        decode_compressed(bytes(jpeg), "jpeg")
    at = jpeg.index(b"\xff\xc2")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 8192, MAX_PIXELS // 8192)
    assert "17 scans" in inspect_encoded(bytes(jpeg)).excess


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_that_is_cut_off_is_refused_undecoded(dtype, channels, capfd):
    pixels = np.random.default_rng(0).integers(0, 256, (17, 29, channels)).astype(dtype)
    whole = cv2.imencode(".png", pixels)[1].tobytes()
    assert decode_compressed(whole, "png").shape[:2] == (17, 29)
    for kept in (40, len(whole) // 2, len(whole) - 12, len(whole) - 1):
        with pytest.raises(ImageError):
            decode_compressed(whole[:kept], "png")
    assert capfd.readouterr().err == ""  # OpenCV would tell of each


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"BM" + bytes(80)])
def test_of_what_is_neither_nothing_is_said(data):
    assert inspect_encoded(data) is None
