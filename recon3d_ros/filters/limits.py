"""Where depth is not believed whatever it is: beyond limits, at the image border, on the robot itself."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import ConfigError, Recon3dError
from recon3d_ros.files.images import read_mask


def limit_depth(depth: NDArray[np.float32], min_m: float, max_m: float) -> None:
    """Keep what lies within the limits.

    Nearer becomes NaN: the estimate is not trusted. Farther becomes +Inf: seen, and out of range (REP 117).

    Args:
        depth: (H, W) m, NaN = invalid, +Inf = farther than measurable; changed in place.
        min_m: Smallest depth kept.
        max_m: Largest depth kept.
    """
    # Mostly nothing is outside, and looking takes a fifth of masking; fmin and fmax pass NaN over.
    if np.fmin.reduce(depth, axis=None, initial=np.inf) < min_m:
        np.copyto(depth, np.nan, where=depth < min_m)
    if np.fmax.reduce(depth, axis=None, initial=-np.inf) > max_m:
        np.copyto(depth, np.inf, where=depth > max_m)


def is_within(depth: NDArray[np.float32], min_m: float, max_m: float) -> bool:
    """Whether all of it is valid and within the limits, so that `limit_depth` would change nothing."""
    least, most = depth.min(initial=np.inf), depth.max(initial=-np.inf)  # NaN if there is one
    return bool(least >= min_m and most <= max_m)


def cut_border(depth: NDArray[np.float32], border_px: int) -> None:
    """Set the outermost rows and columns to NaN.

    Args:
        depth: (H, W) m; changed in place.
        border_px: How many on each side.
    """
    height, width = depth.shape
    rows, columns = min(border_px, height), min(border_px, width)
    depth[:rows] = depth[height - rows :] = np.nan
    depth[:, :columns] = depth[:, width - columns :] = np.nan


class RegionOfInterest:
    """An image file says where depth counts: its black pixels are cut out.

    Of another size than the depth, the mask is resized by nearest neighbour when its aspect is the same (a
    camera that bins, or a mask painted on the full image); of another aspect, it is of another camera.

    Args:
        path: Of the image; what is exactly black in all channels, or erased, is cut out.

    Raises:
        ConfigError: The file is no image that can be read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            black = ~read_mask(path)
        except Recon3dError as exc:
            raise ConfigError(f"expected an image file in roi_mask: {exc}") from exc
        self._black = black.astype(np.uint8)
        self._cut: NDArray[np.bool_] = black

    def apply(self, depth: NDArray[np.float32]) -> None:
        """Set to NaN what is cut out.

        Args:
            depth: (H, W) m; changed in place.

        Raises:
            ConfigError: The mask has another aspect.
        """
        np.copyto(depth, np.nan, where=self.cut(depth.shape))

    def cut(self, shape_hw: tuple[int, ...]) -> NDArray[np.bool_]:
        """What is cut out of an image of this size, (H, W) bool; not to be changed.

        Raises:
            ConfigError: The mask has another aspect.
        """
        if self._cut.shape != shape_hw:
            self._resize(shape_hw)
        return self._cut

    def _resize(self, shape_hw: tuple[int, ...]) -> None:
        (height, width), (rows, columns) = shape_hw, self._black.shape
        # Binning drops what is left over: at the same aspect less than a pixel, on the coarser grid.
        off_px = abs(rows * width / columns - height) * min(1.0, columns / width)
        if off_px >= 1:
            raise ConfigError(
                f"expected a roi_mask of {width}x{height} or that aspect, {self._path} is {columns}x{rows}: "
                "paint it on an image of this camera"
            )
        self._cut = np.asarray(cv2.resize(self._black, (width, height), interpolation=cv2.INTER_NEAREST) > 0)
