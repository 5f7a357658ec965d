"""The brightness of an image, however it came."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB or (H, W) mono uint8 as (H, W) uint8; a mono image is returned as it is."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]
