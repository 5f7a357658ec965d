"""What a camera wrote into its photographs (EXIF): which way is up, and how long the lens was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from recon3d_ros.files.tiff import BYTE_ORDERS, Order, number_at, tags_at

_ORIENTATION, _SUB_IFD, _FOCAL_35MM = 0x0112, 0x8769, 0xA405
_FULL_FRAME_MM = 36.0  # width of the film that focal lengths "in 35 mm" are given for
_MAX_CHUNKS = 1 << 16
_NUMBER_BYTES = {3: 2, 4: 4}  # by TIFF's type: short and long
_SEGMENT = b"Exif\0\0"


@dataclass(frozen=True)
class Exif:
    """The tags that geometry can use (CIPA DC-008, EXIF 2.32).

    Attributes:
        orientation: 1 to 8; 1 = the first row is the top. See `geometry.upright`.
        focal_35mm: Focal length on 36 mm wide film, mm; None when it is not known.
    """

    orientation: int = 1
    focal_35mm: float | None = None

    def fx_px(self, width: int, height: int) -> float | None:
        """Focal length in px for an image of this size; None when it is not known."""
        if self.focal_35mm is None:
            return None
        return self.focal_35mm / _FULL_FRAME_MM * max(width, height)


def read_exif(encoded: bytes) -> Exif:
    """Read the tags of a JPEG, PNG, WebP or TIFF; the defaults where there are none, or damaged ones."""
    tiff = _tiff_of(encoded)
    if tiff[:4] not in BYTE_ORDERS:
        return Exif()
    first = {tag: number_at(tiff, *place) for tag, *place in _tags(tiff, number_at(tiff, 4, 4))}
    behind = {tag: number_at(tiff, *place) for tag, *place in _tags(tiff, first.get(_SUB_IFD, len(tiff)))}
    orientation = first.get(_ORIENTATION, 1)
    focal_mm = behind.get(_FOCAL_35MM) or first.get(_FOCAL_35MM)
    return Exif(orientation if 1 <= orientation <= 8 else 1, float(focal_mm) if focal_mm else None)


def as_stored(encoded: bytes) -> bytes:
    """A TIFF file without its orientation, which OpenCV applies whatever it is told; others as they are."""
    if encoded[:4] not in BYTE_ORDERS:
        return encoded
    for tag, at, size in _tags(encoded, number_at(encoded, 4, 4)):
        if tag == _ORIENTATION:
            return encoded[:at] + (1).to_bytes(size, BYTE_ORDERS[encoded[:4]]) + encoded[at + size :]
    return encoded


def _tags(tiff: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """The tags of a directory that are one whole number, and where that is: its place and its bytes."""
    for tag in tags_at(tiff, at):
        size = _NUMBER_BYTES.get(tag.kind)
        if size is not None:
            yield tag.number, tag.at, size


def _tiff_of(encoded: bytes) -> bytes:
    """The TIFF structure that holds the tags; empty when there is none."""
    if encoded[:4] in BYTE_ORDERS:
        return encoded
    if encoded[:8] == b"\x89PNG\r\n\x1a\n":
        return _chunk(encoded, b"eXIf", 8, "big", 4)
    if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP":
        # Some writers put the header of JPEG's segment in front.
        return _chunk(encoded, b"EXIF", 12, "little", 0).removeprefix(_SEGMENT)
    at = 2
    while encoded[:2] == b"\xff\xd8" and at + 10 <= len(encoded) and encoded[at] == 0xFF:
        length = int.from_bytes(encoded[at + 2 : at + 4], "big")
        if encoded[at + 1] == 0xE1 and encoded[at + 4 : at + 10] == _SEGMENT:
            return encoded[at + 10 : at + 2 + length]
        if encoded[at + 1] == 0xDA or length < 2:
            break
        at += 2 + length
    return b""


def _chunk(encoded: bytes, wanted: bytes, at: int, order: Order, behind: int) -> bytes:
    """The data of a chunk of PNG (length, kind, data, checksum) or WebP (kind, length, data, padding)."""
    for _ in range(_MAX_CHUNKS):
        words = encoded[at : at + 4], encoded[at + 4 : at + 8]
        length, kind = words if order == "big" else words[::-1]
        size = int.from_bytes(length, order)
        if kind == wanted:
            return encoded[at + 8 : at + 8 + size]
        at += 8 + size + (behind or size % 2)
        if at + 8 > len(encoded):
            break
    return b""
