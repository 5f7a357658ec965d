"""What a file claims is known before it is decoded; what is not known is not decoded."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from recon3d_ros import files
from recon3d_ros.errors import ImageError
from recon3d_ros.files.image_headers import inspect_image

PIXELS = np.random.default_rng(0).integers(0, 256, (21, 34, 3), np.uint8)
ENCODED = {suffix: cv2.imencode(suffix, PIXELS)[1].tobytes() for suffix in (".png", ".jpg", ".bmp", ".ppm")}
ENCODED["mono.pgm"] = cv2.imencode(".pgm", PIXELS[..., 0])[1].tobytes()
ENCODED["lossy.webp"] = cv2.imencode(".webp", PIXELS, [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes()
ENCODED["lossless.webp"] = cv2.imencode(".webp", PIXELS, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
ENCODED["lzw.tiff"] = cv2.imencode(".tiff", PIXELS)[1].tobytes()
ENCODED["deep.tiff"] = cv2.imencode(".tiff", PIXELS.astype(np.uint16) * 257)[1].tobytes()
ENCODED["topdown.bmp"] = ENCODED[".bmp"][:22] + struct.pack("<i", -21) + ENCODED[".bmp"][26:]
ENCODED["comment.ppm"] = ENCODED[".ppm"].replace(b"P6\n", b"P6\n# of a camera\n", 1)


@pytest.mark.parametrize("name", ENCODED)
def test_the_size_is_that_of_the_pixels(tmp_path, name):
    claims = inspect_image(ENCODED[name])
    assert claims is not None and (claims.size_wh, claims.whole, claims.excess) == ((34, 21), True, "")
    (tmp_path / "image").write_bytes(ENCODED[name])
    assert files.read_image(tmp_path / "image").shape[:2] == (21, 34)


def test_bit_depth_and_channels_count():
    whole = bytearray(ENCODED["deep.tiff"])
    for tag in (256, 257):  # 8192 x 8192 of 6 bytes; as short or long as it is there
        at = next(i for i in range(len(whole)) if whole[i : i + 2] == struct.pack("<H", tag))
        whole[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 8192)
    claims = inspect_image(bytes(whole))
    assert claims is not None and claims.excess == "says 8192x8192 with 6 bytes each"


def _with(name: str, *changes: tuple[int, bytes]) -> bytes:
    data = bytearray(ENCODED[name])
    for at, new in changes:
        data[at : at + len(new)] = new
    return bytes(data)


GIF = b"GIF89a" + struct.pack("<HHBBB", 30000, 30000, 0x80, 0, 0) + bytes(6) + b"\x2c"
GIF += struct.pack("<HHHHB", 0, 0, 30000, 30000, 0) + b"\x02\x02\x4c\x01\x00\x3b"
CORE_BMP = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 60000, 60000, 1, 24)
EXR = b"\x76\x2f\x31\x01\x02\0\0\0dataWindow\0box2i\0" + struct.pack("<I4i", 16, 0, 0, 29999, 29999)
BOMBS = {
    "gif": (GIF, "PNG, JPEG, BMP"),
    "bmp": (_with(".bmp", (18, struct.pack("<ii", 30000, -30000))), "30000x30000"),
    "old bmp": (CORE_BMP, "60000x60000"),
    "ppm": (b"P6 30000 30000 255\n", "30000x30000"),
    "ascii": (b"P2\n# all of it\n99999 99999\n255\n1 1 1", "99999x99999"),
    "lossy": (_with("lossy.webp", (26, struct.pack("<HH", 16000, 16000))), "16000x16000"),
    "lossless": (_with("lossless.webp", (21, struct.pack("<I", 15999 | 15999 << 14))), "16000x16000"),
    "extended": (b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\0" * 2, "65536x65536"),
    "exr": (EXR, "30000x30000"),
    "an exr without a window": (EXR[:8], "is none"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "is none"),
    "sun raster": (struct.pack(">8I", 0x59A66A95, 9, 9, 8, 81, 1, 0, 0) + bytes(90), "is none"),
    "nothing": (b"", "is none"),
    "no width": (b"P5 0 9 255\n", "is none"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_costs_too_much_or_is_unknown_is_not_decoded(tmp_path, monkeypatch, name):
    content, why = BOMBS[name]
    (tmp_path / "mask.png").write_bytes(content)  # as a roi_mask might be called
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded a bomb"))
    with pytest.raises(ImageError, match=why):
        files.read_image(tmp_path / "mask.png")


@pytest.mark.parametrize("name", ENCODED)
def test_a_header_that_is_cut_off_is_no_other_error(name):
    for kept in range(120):
        inspect_image(ENCODED[name][:kept])
