"""Directories of TIFF 6.0, the form of the tags of EXIF as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

Order = Literal["little", "big"]
#: By the first four bytes of a file.
BYTE_ORDERS: dict[bytes, Order] = {b"II*\0": "little", b"MM\0*": "big"}
_MAX_TAGS = 200


class Tag(NamedTuple):
    """An entry of a directory.

    Attributes:
        number: Which tag it is.
        kind: Type of its values: 1 = byte, 3 = short, 4 = long.
        values: How many it has.
        at: Place of its four bytes, which are the values or, where these need more, their place.
    """

    number: int
    kind: int
    values: int
    at: int


def number_at(data: bytes, at: int, size: int) -> int:
    """A whole number of some bytes in the order of the file, which begins with one of `BYTE_ORDERS`."""
    return int.from_bytes(data[at : at + size], BYTE_ORDERS[data[:4]])


def tags_at(data: bytes, at: int) -> Iterator[Tag]:
    """The entries of the directory at a place that the file has whole.

    `number_at(data, 4, 4)` is the place of the first directory.
    """
    for entry in range(at + 2, at + 2 + 12 * min(number_at(data, at, 2), _MAX_TAGS), 12):
        if entry + 12 <= len(data):
            yield Tag(
                number_at(data, entry, 2),
                number_at(data, entry + 2, 2),
                number_at(data, entry + 4, 4),
                entry + 8,
            )
