"""Both views of a stereo camera in one image, as ZED and ELP cameras deliver them over USB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ImageError


def split_views(image: NDArray[np.uint8], layout: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut an image that holds both views into them.

    Args:
        image: (H, W, 3) or (H, W).
        layout: `side_by_side`, the left view in the left half, or `top_bottom`, in the upper one.

    Returns:
        The left and the right view: (H, W / 2, ...) or (H / 2, W, ...), contiguous.

    Raises:
        ImageError: The image cannot be halved.
    """
    axis = 1 if layout == "side_by_side" else 0
    size = image.shape[axis]
    if size % 2:
        side = "columns" if axis else "rows"
        raise ImageError(
            f"expected an even number of {side} for the layout {layout}, got {size}: use the whole image"
        )
    left, right = np.split(image, 2, axis=axis)
    return np.ascontiguousarray(left), np.ascontiguousarray(right)
