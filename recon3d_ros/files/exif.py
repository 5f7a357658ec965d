"""What a camera wrote into its photographs (EXIF): which way is up, and how long the lens was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_ORIENTATION, _SUB_IFD, _FOCAL_35MM = 0x0112, 0x8769, 0xA405
_FULL_FRAME_MM = 36.0  # width of the film that focal lengths "in 35 mm" are given for
_MAX_TAGS = 200


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
    """Read the tags of a JPEG or PNG; the defaults where there are none, or damaged ones."""
    tiff = _tiff_of(encoded)
    if tiff[:2] not in (b"II", b"MM"):
        return Exif()
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], order)

    def tags(at: int) -> Iterator[tuple[int, int, int]]:
        for i in range(min(number(at, 2), _MAX_TAGS)):
            entry = at + 2 + 12 * i
            if entry + 12 <= len(tiff):
                yield number(entry, 2), number(entry + 8, 2), number(entry + 8, 4)

    orientation, focal_mm, directories = 1, 0, [number(4, 4)]
    for tag, short, long in [*tags(directories[0])]:
        if tag == _ORIENTATION and 1 <= short <= 8:
            orientation = short
        elif tag == _SUB_IFD:
            directories.append(long)
    for tag, short, _ in (found for at in directories for found in tags(at)):
        focal_mm = short if tag == _FOCAL_35MM else focal_mm
    return Exif(orientation, float(focal_mm) if focal_mm else None)


def _tiff_of(encoded: bytes) -> bytes:
    """The TIFF structure that holds the tags; empty when there is none."""
    if encoded[:8] == b"\x89PNG\r\n\x1a\n":
        at = 8
        while at + 8 <= len(encoded):
            length, kind = int.from_bytes(encoded[at : at + 4], "big"), encoded[at + 4 : at + 8]
            if kind in (b"eXIf", b"IDAT"):
                return encoded[at + 8 : at + 8 + length] if kind == b"eXIf" else b""
            at += 12 + length
        return b""
    at = 2
    while encoded[:2] == b"\xff\xd8" and at + 10 <= len(encoded) and encoded[at] == 0xFF:
        length = int.from_bytes(encoded[at + 2 : at + 4], "big")
        if encoded[at + 1] == 0xE1 and encoded[at + 4 : at + 10] == b"Exif\0\0":
            return encoded[at + 10 : at + 2 + length]
        if encoded[at + 1] == 0xDA or length < 2:
            break
        at += 2 + length
    return b""
