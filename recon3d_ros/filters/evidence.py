"""Depth needs evidence: the confidence of the model, or texture to match."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.grey import to_grey

_WINDOW_PX = 11  # of the mean; 121 differences of 255 fit into 16 bits


def require_confidence(
    depth: NDArray[np.float32], confidence: NDArray[np.float32], min_confidence: float
) -> None:
    """Set to NaN what the model is less sure of, the sky included.

    Args:
        depth: (H, W) m; changed in place.
        confidence: (H, W) in [0, 1]; NaN is none.
        min_confidence: Least confidence kept.
    """
    np.copyto(depth, np.nan, where=~(confidence >= min_confidence))


def require_texture(depth: NDArray[np.float32], image: NDArray[np.uint8], min_texture: float) -> None:
    """Set to NaN what lies on blank surfaces, the sky included.

    Texture is the mean difference of neighbouring grey levels along the rows, where stereo matches, over
    11x11 pixels: edges along a row say nothing about disparity.

    Args:
        depth: (H, W) m; changed in place.
        image: (H, W, 3) RGB or (H, W) mono uint8.
        min_texture: Least mean difference kept, in grey levels.
    """
    grey = to_grey(image)
    change = np.zeros(grey.shape, np.uint8)
    if grey.shape[1] > 1:
        cv2.absdiff(grey[:, 1:], grey[:, :-1], dst=change[:, 1:])
    window = (_WINDOW_PX, _WINDOW_PX)
    total = cv2.boxFilter(change, cv2.CV_16U, window, normalize=False, borderType=cv2.BORDER_REFLECT)
    np.copyto(depth, np.nan, where=total < min_texture * _WINDOW_PX**2)
