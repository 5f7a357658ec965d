"""Grey and colour of 10, 12 or 14 bits in 16-bit images, as industrial cameras store them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

# What sensors have; 8 for drivers that widen what was 8-bit.
BITS = (8, 10, 12, 14, 16)

To8Bits = Callable[[NDArray[Any]], NDArray[np.uint8]]  # of (H, W) or (H, W, C) uint16


def full_range(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale all 16 bits to 8, with rounding, as cv_bridge does.

    Args:
        image: (H, W) or (H, W, C) uint16 in the byte order of the machine.
    """
    return _scaled(image, 16)


def upper_8_bits(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Drop the lower 8 bits, as OpenCV does when it reads 16-bit files as 8-bit.

    Args:
        image: (H, W) or (H, W, C) uint16 in the byte order of the machine.
    """
    upper: NDArray[np.uint8] = np.right_shift(image, 8).astype(np.uint8)
    return upper


def _scaled(image: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.convertScaleAbs(image, alpha=255.0 / ((1 << bits) - 1)), np.uint8)


class BitDepth:
    """Scales 16-bit images of one camera, or of one pair, to 8 bits by the range that they use.

    The range is found at the first image and kept, so that the brightness of a sequence does not jump; a
    value above it widens it. Either is logged. Not thread-safe.

    Args:
        source: Name of the images in the log.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self.bits: int | None = None

    def to_8_bits(self, image: NDArray[Any]) -> NDArray[np.uint8]:
        """Scale one image, with rounding.

        Args:
            image: (H, W) or (H, W, C) uint16 in the byte order of the machine.

        Returns:
            A new array of the same shape.
        """
        largest = int(image.max(initial=0))
        if self.bits is None or largest >= 1 << self.bits:
            found = next(bits for bits in BITS if largest < 1 << bits)
            if self.bits is not None:
                log.warning(
                    "%s: expected values of %d bits, got %d; images are read as %d bits from now on",
                    *(self._source, self.bits, largest, found),
                )
            elif found < 16:
                log.warning(
                    "%s: the 16-bit images use values up to %d and are read as %d bits",
                    *(self._source, largest, found),
                )
            self.bits = found
        return _scaled(image, self.bits)
