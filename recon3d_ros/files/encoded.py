"""PNG and JPEG before they are decoded: what their headers claim, and whether decoding stays within bounds.

Few bytes may cost a decoder gigabytes or minutes: huge sizes, chunks longer than the file, many scans.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

# The largest sensors of robots have a third of it; a colour image of this size takes 192 MiB.
MAX_PIXELS = 1 << 26
MAX_DECODED_BYTES = MAX_PIXELS * 4
# 512 MiB of PNG in chunks of 8 KiB, as libpng writes them.
_MAX_CHUNKS = 1 << 16
# Cameras write 1, libjpeg's progressive files have 10; each costs a pass over all pixels.
_MAX_SCANS = 64
_MAX_SCANNED_PIXELS = 16 * MAX_PIXELS
# Of at most 64 KiB each: metadata and previews of cameras have hundreds.
_MAX_SEGMENTS = 1 << 13

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3}  # by colour type; the others have alpha or may get it from their palette
_JPEG = b"\xff\xd8"
# A marker that ends a JPEG or has a length: no stuffed zero, filling byte, restart, start or TEM.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
# Start of frame, every kind of it: ITU T.81, table B.1. C4, C8 and CC are no frames.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9


class Encoded(NamedTuple):
    """What a PNG or JPEG says of itself.

    Attributes:
        size_wh: Columns and rows; 0, 0 of a JPEG that has none.
        whole: It has its end; a file may go on behind it (the video of a motion photo). Without, it must not
            be decoded: OpenCV takes the memory that a chunk claims, and older versions fill up with grey.
        excess: Why it must not be decoded; empty when it may.
    """

    size_wh: tuple[int, int]
    whole: bool
    excess: str


def inspect_encoded(data: bytes | memoryview) -> Encoded | None:
    """Read the structure of a PNG or JPEG without decoding it; None of anything else."""
    if data[:8] == _PNG and data[12:16] == b"IHDR" and len(data) >= 33:
        return _inspect_png(data)
    return _inspect_jpeg(data) if data[:2] == _JPEG else None


def _inspect_png(data: bytes | memoryview) -> Encoded:
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    pixel_bytes = _PNG_CHANNELS.get(data[25], 4) * (2 if data[24] == 16 else 1)
    excess = excess_of_size(width, height, pixel_bytes)
    at = 8
    for _ in range(_MAX_CHUNKS):
        if excess or at + 12 > len(data):
            break
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        # Of chunks that decide the pixels (first letter large): libpng would refuse it with a line on stderr.
        if data[at + 4] < 0x60 and _is_damaged(data, at, length):
            break
        if kind == b"IEND":
            return Encoded((width, height), at + 12 + length <= len(data), excess)
        at += 12 + length
    else:
        excess = f"has more than {_MAX_CHUNKS} chunks"
    return Encoded((width, height), False, excess)  # cut off, or a length lies: OpenCV would take the memory


def _is_damaged(data: bytes | memoryview, at: int, length: int) -> bool:
    """Whether the checksum of a chunk that is there as a whole is another one."""
    end = at + 8 + length
    said = int.from_bytes(data[end : end + 4], "big")
    return end + 4 <= len(data) and zlib.crc32(data[at + 4 : end]) != said


def _inspect_jpeg(data: bytes | memoryview) -> Encoded:
    size_wh, scans, excess, at = None, 0, "", 2
    for _ in range(_MAX_SEGMENTS):
        found = _JPEG_MARKER.search(data, at)
        if found is None or found[0][-1] == _JPEG_END or excess:
            whole = found is not None and found[0][-1] == _JPEG_END
            break
        marker, at = found[0][-1], found.end()
        if marker in _JPEG_FRAMES and size_wh is None:
            height, width = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (3, 5))
            size_wh, excess = (width, height), excess_of_size(width, height, 4)
        elif marker == _JPEG_SCAN and size_wh is not None:
            scans += 1
            if scans > _MAX_SCANS or (scans > 1 and scans * size_wh[0] * size_wh[1] > _MAX_SCANNED_PIXELS):
                excess = f"has {scans} scans or more"
        at += int.from_bytes(data[at : at + 2], "big")  # over the segment; what is coded has no markers
    else:
        whole, excess = False, f"has more than {_MAX_SEGMENTS} segments"
    if size_wh is None:
        return Encoded((0, 0), False, excess)
    return Encoded(size_wh, whole, excess)


def excess_of_size(width: int, height: int, pixel_bytes: int) -> str:
    """Why an image of this size must not be decoded; empty when it may."""
    fits = width * height <= MAX_PIXELS and width * height * pixel_bytes <= MAX_DECODED_BYTES
    return "" if fits else f"says {width}x{height} with {pixel_bytes} bytes each"
