"""Where a camera looks through to beyond its range: the rays on which nothing stands."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import DepthMap

STRIDE_PX = 8
_LEAST_CONFIDENCE = 0.5  # of models that predict it: a doubtful sky must not erase an obstacle
_OVEREXPOSED = 250


class FreeSpace:
    """Remembers how long each ray has been free.

    One ray of every 8x8 pixels, and it is free when all of them are out of range (+Inf), none is overexposed
    (white has no texture: networks take it for sky), and the model is confident; and that in `frames` frames
    in a row.

    Args:
        frames: So many; 1 trusts a single frame.
        max_depth_m: Where the points are put.
        min_confidence: Least confidence, where the model predicts one; at least 0.5 is asked for anyway.
    """

    def __init__(self, frames: int, max_depth_m: float, min_confidence: float) -> None:
        self._frames, self._max_depth_m = frames, max_depth_m
        self._min_confidence = max(min_confidence, _LEAST_CONFIDENCE)
        self._count: NDArray[np.uint8] | None = None

    def reset(self) -> None:
        """Forget the frames so far."""
        self._count = None

    def update(self, depth_map: DepthMap, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Take in one frame.

        Args:
            depth_map: Filtered, +Inf where it is out of range.
            image: (H, W, 3) RGB or (H, W) mono uint8, where the depth was seen.

        Returns:
            (N, 3) float32 m, points at z = `max_depth_m` on the rays that have been free long enough.
        """
        free = depth_map.depth == np.inf
        if depth_map.confidence is not None:
            free &= depth_map.confidence >= self._min_confidence
        white = (_OVEREXPOSED,) * (1 if image.ndim == 2 else 3)
        free &= cv2.inRange(image, white, (255,) * len(white)) == 0
        whole = _all_of_blocks(free)
        if self._count is None or self._count.shape != whole.shape:
            self._count = np.zeros(whole.shape, np.uint8)
        self._count += self._count < 255
        self._count[~whole] = 0
        v, u = np.nonzero(self._count >= self._frames)
        camera, middle = depth_map.camera, STRIDE_PX // 2
        x = (u * STRIDE_PX + middle - camera.cx) * (self._max_depth_m / camera.fx)
        y = (v * STRIDE_PX + middle - camera.cy) * (self._max_depth_m / camera.fy)
        return np.stack([x, y, np.full(len(x), self._max_depth_m)], axis=1).astype(np.float32)


def _all_of_blocks(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether all pixels of each whole block are True; what is left at the right and below does not count."""
    rows, columns = (side // STRIDE_PX for side in valid.shape)
    part = valid[: rows * STRIDE_PX, : columns * STRIDE_PX]
    if not part.size:
        return np.zeros((rows, columns), np.bool_)
    share = cv2.resize(part.astype(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA)
    whole: NDArray[np.bool_] = share == 255
    return whole
