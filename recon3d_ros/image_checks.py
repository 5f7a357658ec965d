"""What an image, or a pair, tells about its cameras without a model: dark, blurred, covered, swapped, askew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with the images.

    Attributes:
        kind: of one image: dark, saturated, blurred, blocked; of a pair: identical, exposure, decorrelated,
            swapped, vertical_error.
        message: what was expected, what came and what to do.
        value: the number behind it, in the unit the message names.
        subject: name of the image, "pair" for both.
    """

    kind: str
    message: str
    value: float
    subject: str = "pair"


def check_image(image: NDArray[np.uint8], name: str = "image") -> list[Finding]:
    """Look at one image."""
    return []


def check_pair(left: NDArray[np.uint8], right: NDArray[np.uint8], doffs_px: float = 0.0) -> list[Finding]:
    """Look at a rectified pair."""
    return []
