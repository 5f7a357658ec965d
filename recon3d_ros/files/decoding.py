"""Decodes images, and finds out what the libraries for JPEG, PNG and videos say of damaged ones.

They write that to stderr, a line for each image, and give the pixels as if nothing had been: grey from a
place on, or a picture that is shifted. The one sign of it is the line.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.system.logs import without_numbers

_log = logging.getLogger(__name__)
_MOST = 1 << 16  # bytes that are kept of what a library writes for one image

# Of libjpeg's jerror.h (JWRN_...) and libpng's pngerror.c; OpenCV logs "[ WARN:0@1.234] ...", older ones
# "[ WARN:0] ...", and FFmpeg "[mjpeg @ 0x55feb20a4e80] ...".
_OF_A_LIBRARY = re.compile(
    r"Corrupt JPEG data|Premature end of JPEG|Invalid SOS parameters|Inconsistent progression|"
    r"Application transferred too|Unknown Adobe color|Warning: unknown JFIF|libpng |\[ *[A-Z]+:\d+[@\]]|"
    r"\[[\w,]+ @ 0x[0-9a-f]+\]"
)
_HARMLESS = re.compile(
    r"Unknown Adobe color|Warning: unknown JFIF|Corrupt JPEG data: bad ICC marker|libpng warning|\[swscaler|"
    r"\[ *[A-Z]+:\d"
)
# Between parts of the header it is somebody's data. Webcams leave a few bytes behind the pixels, too; flipped
# bits in the pixels end further from the end.
_EXTRANEOUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_HARMLESS_BYTES = 8
_OF_HEADER = frozenset({0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})

_lock = Lock()  # stderr belongs to the whole process
_told: set[str] = set()


class Decoded(NamedTuple):
    """An image, and what its library found wrong with the data.

    Attributes:
        pixels: As `cv2.imdecode` returns them; None of what does not decode, or is damaged.
        damage: The library's words about damaged data; empty when it said none.
    """

    pixels: NDArray[Any] | None
    damage: str


def decode(encoded: NDArray[np.uint8], flags: int) -> Decoded:
    """Decode an image that is within the bounds of `files.encoded`; damaged pixels are not returned.

    What the libraries say of harmless faults is logged once of each kind.

    Args:
        encoded: (N,) uint8, the file.
        flags: `cv2.IMREAD_...`.
    """
    said: list[str] = []
    pixels = None
    with remarks_kept(said):
        try:
            pixels = cv2.imdecode(encoded, flags) if encoded.size else None
        except (cv2.error, MemoryError):  # such as a width of 0
            pass
    damage = damage_of(said)
    if damage:
        return Decoded(None, damage)
    for line in said if pixels is not None else ():
        if without_numbers(line) not in _told:
            _told.add(without_numbers(line))
            _log.warning("an image is not quite as its format wants it (%s), it is used as it is", line)
    return Decoded(pixels, "")


def damage_of(said: list[str]) -> str:
    """The first of some lines of `remarks_kept` that means damaged pixels; empty when none does."""
    return next((line for line in said if not _is_harmless(line)), "")


def _is_harmless(line: str) -> bool:
    found = _EXTRANEOUS.match(line)
    if found:
        return int(found[1]) <= _HARMLESS_BYTES or int(found[2], 16) in _OF_HEADER
    return _HARMLESS.match(line) is not None


@contextmanager
def remarks_kept(said: list[str]) -> Iterator[None]:
    """Collect in `said` what the libraries write to file descriptor 2 in the block, which is to be short.

    What others write there meanwhile, in other threads, is written when the block ends.
    """
    with _lock:
        try:
            stderr = os.dup(2)
        except OSError:  # closed by who started us: nobody reads it
            yield
            return
        kept = os.memfd_create("stderr")
        try:
            os.dup2(kept, 2)
            try:
                yield
            finally:
                os.dup2(stderr, 2)
                written = os.pread(kept, _MOST, 0)
                if written:
                    _tell_others(written, said, stderr)
        finally:
            os.close(stderr)
            os.close(kept)


def _tell_others(written: bytes, said: list[str], stderr: int) -> None:
    """Sort the lines: those of the libraries to `said`, all else to where it was meant to go."""
    others, ours = [], False
    for line in written.decode(errors="surrogateescape").splitlines(keepends=True):
        ours = _OF_A_LIBRARY.match(line) is not None or (ours and not line.strip())
        if not ours:
            others.append(line)
        elif line.strip():
            said.append(line.strip())
    if others:
        os.write(stderr, "".join(others).encode(errors="surrogateescape"))
