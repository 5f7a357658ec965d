"""Depth of a scene that holds still gets calmer with every frame; what moves is left alone."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.grey import to_grey

_CHANGE_GREY = 6  # difference of blurred grey levels that is more than noise
_BLUR_PX = 5


class TemporalFilter:
    """An exponential mean of inverse depth for each pixel, which starts anew where anything changes.

    Inverse depth, because that is where the errors of stereo are symmetric. A pixel's past is forgotten when
    its depth differs from it by more than `jump`, when the (blurred) image changes there, or when it was
    invalid: so nothing is smeared behind what moves, and a depth that drifts lags by less than `jump`. It
    fills no holes.

    Args:
        weight: Of the past, in [0, 1).
        jump: Relative change of depth that is motion.
    """

    def __init__(self, weight: float, jump: float) -> None:
        self._weight, self._jump = np.float32(weight), np.float32(jump)
        self._past: NDArray[np.float32] | None = None
        self._past_grey: NDArray[Any] | None = None

    def reset(self) -> None:
        """Forget the past: the next frame stays as it is."""
        self._past = self._past_grey = None

    def apply(self, depth: NDArray[np.float32], image: NDArray[np.uint8]) -> None:
        """Smooth one frame.

        Args:
            depth: (H, W) m, NaN = invalid, +Inf = far; changed in place.
            image: (H, W, 3) RGB or (H, W) mono uint8, where the depth was seen.
        """
        grey = cv2.blur(to_grey(image), (_BLUR_PX, _BLUR_PX))
        if self._past is not None and self._past_grey is not None and self._past.shape == depth.shape:
            with np.errstate(divide="ignore", invalid="ignore"):
                change = np.divide(depth, self._past, out=self._past)
                change -= 1  # of inverse depth, as a share of the present one: past / present - 1
            still = np.abs(change) <= self._jump  # False for NaN
            still &= cv2.absdiff(grey, self._past_grey) <= _CHANGE_GREY
            change *= self._weight
            change += 1
            np.divide(depth, change, out=depth, where=still)
            np.copyto(self._past, depth)
        else:
            self._past = depth.copy()
        self._past_grey = grey
