"""What an image file of any readable format claims to be, before it is decoded.

OpenCV reads more formats, some of which take gigabytes for a file of 35 bytes (GIF), and would find them
under any name. What is not known here is not decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from recon3d_ros.files.encoded import Encoded, excess_of_size, inspect_encoded
from recon3d_ros.files.tiff import BYTE_ORDERS, number_at, tags_at

FORMATS = "PNG, JPEG, BMP, TIFF, WebP, PNM or EXR"
_BMP_CORE = 12  # bytes of the oldest header
# "P6 640 480 255": kind, width, height and, but for bitmaps, the largest value; comments between them.
_GAP = rb"(?:\s|#[^\n]*\n)+"
_PNM = re.compile(rb"P([1-6])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})(?:" + _GAP + rb"(\d{1,9}))?")
_PNM_COLOURS = (3, 6)
_PNM_HEAD = 4096  # comments are short
# Tags of TIFF 6.0: size, bits of a value, values of a pixel, size of a tile.
_WIDTH, _HEIGHT, _BITS, _VALUES, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 258, 277, 322, 323
_TIFF_NUMBER_BYTES = {1: 1, 3: 2, 4: 4}
_EXR = b"\x76\x2f\x31\x01"
_EXR_WINDOW = b"dataWindow\0box2i\0\x10\0\0\0"


def inspect_image(data: bytes) -> Encoded | None:
    """Read what a file says of its size; None of a format that is not read."""
    known = inspect_encoded(data)
    if known is not None:
        return known
    for inspect in (_inspect_bmp, _inspect_webp, _inspect_tiff, _inspect_pnm, _inspect_exr):
        if (claims := inspect(data)) is not None:
            return claims
    return None


def _claims(width: int, height: int, pixel_bytes: int) -> Encoded:
    excess = excess_of_size(width, height, pixel_bytes) if min(width, height) > 0 else ""
    return Encoded((width, height), min(width, height) > 0, excess)


def _inspect_bmp(data: bytes) -> Encoded | None:
    if data[:2] != b"BM" or len(data) < 26:
        return None
    if int.from_bytes(data[14:18], "little") == _BMP_CORE:
        width, height = (int.from_bytes(data[at : at + 2], "little") for at in (18, 20))
        return _claims(width, height, 3)
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    return _claims(width, abs(height), 4)  # below 0: from top to bottom


def _inspect_webp(data: bytes) -> Encoded | None:
    """The first chunk has the size of them all."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return _claims(width, height, 4)


def _inspect_tiff(data: bytes) -> Encoded | None:
    """The first image of the file, which is the one that is read."""
    if data[:4] not in BYTE_ORDERS:
        return None
    tags = dict(_tiff_tags(data))
    width, height = tags.get(_WIDTH, 0), tags.get(_HEIGHT, 0)
    pixel_bytes = max(tags.get(_BITS, 1) // 8, 1) * max(tags.get(_VALUES, 1), 1)
    tile = _claims(max(tags.get(_TILE_WIDTH, 1), 1), max(tags.get(_TILE_HEIGHT, 1), 1), pixel_bytes)
    whole = _claims(width, height, pixel_bytes)
    return whole if whole.excess or not tile.excess else tile


def _tiff_tags(data: bytes) -> Iterator[tuple[int, int]]:
    """Tags with one whole number, or the first of several."""
    for tag in tags_at(data, number_at(data, 4, 4)):
        size = _TIFF_NUMBER_BYTES.get(tag.kind)
        if size is not None:
            place = tag.at if tag.values * size <= 4 else number_at(data, tag.at, 4)
            yield tag.number, number_at(data, place, size)


def _inspect_pnm(data: bytes) -> Encoded | None:
    found = _PNM.match(data[:_PNM_HEAD])
    if found is None:
        return None
    kind, width, height = (int(found[i]) for i in (1, 2, 3))
    value_bytes = 2 if found[4] is not None and int(found[4]) > 255 else 1
    return _claims(width, height, value_bytes * (3 if kind in _PNM_COLOURS else 1))


def largest_pnm_value(data: bytes) -> int:
    """What white is in a PGM or PPM of 8 bits, 255 of any other file."""
    found = _PNM.match(data[:_PNM_HEAD])
    return min(max(int(found[4]), 1), 255) if found is not None and found[4] is not None else 255


def _inspect_exr(data: bytes) -> Encoded | None:
    """The window that has data; its pixels are decoded as floats of up to four channels."""
    if data[:4] != _EXR:
        return None
    at = data.find(_EXR_WINDOW)
    if at < 0:
        return Encoded((0, 0), False, "")
    at += len(_EXR_WINDOW)
    left, top, right, bottom = (
        int.from_bytes(data[at + i : at + i + 4], "little", signed=True) for i in (0, 4, 8, 12)
    )
    return _claims(right - left + 1, bottom - top + 1, 4)
