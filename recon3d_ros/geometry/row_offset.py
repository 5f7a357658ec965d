"""How far the rows of a pair are off, and a right image whose rows match those of the left one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.frame import Frame

# Of the slopes, as if so many points said that there are none: from points of one corner they are guesses.
_FLAT_POINTS = 8.0
# Points farther from the plane than the first number are left out, those farther than the second count less.
_STEPS_PX = ((4.0, 1.0), (2.0, 0.5), (1.5, 0.3), (1.0, 0.2), (1.0, 0.2), (1.0, 0.2))
_FIT_PX = 1.0
# A slope that moves rows by less, root mean square, is taken for none: the points of one pair do not tell it
# well enough, and on KITTI without it more pixels are right.
_LEAST_SLOPE_PX = 0.75


@dataclass(frozen=True)
class RowOffset:
    """By how many rows points of the right image lie lower than in the left one: a plane over the right one.

    A camera that is pitched against the other one shifts all rows, one that is rolled tilts them across the
    width, one of another focal length stretches them along the height.

    Attributes:
        shift_px: In the centre.
        across_px: From the left border to the right one.
        down_px: From the upper border to the lower one.
    """

    shift_px: float = 0.0
    across_px: float = 0.0
    down_px: float = 0.0

    def __add__(self, other: RowOffset) -> RowOffset:
        """Both, one after the other; exact for as few rows as are meant here."""
        return RowOffset(
            self.shift_px + other.shift_px, self.across_px + other.across_px, self.down_px + other.down_px
        )

    def times(self, factor: float) -> RowOffset:
        """So many times as much."""
        return RowOffset(factor * self.shift_px, factor * self.across_px, factor * self.down_px)

    @property
    def rms_px(self) -> float:
        """Root of the mean square over the image."""
        return math.sqrt(self.shift_px**2 + (self.across_px**2 + self.down_px**2) / 12.0)

    @property
    def without_slight_slopes(self) -> RowOffset:
        """The shift alone where the slopes move rows by little."""
        slopes = RowOffset(0.0, self.across_px, self.down_px)
        return self if slopes.rms_px >= _LEAST_SLOPE_PX else RowOffset(self.shift_px)

    def removed(self, frame: Frame) -> Frame:
        """The pair with the right image resampled so that its rows match; columns stay.

        A rotation that moves rows by a few px moves columns by far less than it moves them at the border:
        that part is not corrected.

        Args:
            frame: A pair, its disparity along the rows.
        """
        if frame.right is None or self == RowOffset():
            return frame
        right_valid = frame.right_valid
        if right_valid is not None:
            right_valid = self._resampled(right_valid.astype(np.uint8), cv2.INTER_NEAREST) > 0
        return replace(frame, right=self._resampled(frame.right, cv2.INTER_CUBIC), right_valid=right_valid)

    def _resampled(self, image: NDArray[np.uint8], how: int) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        across, down = self.across_px / width, self.down_px / height
        first = self.shift_px - 0.5 * (across * (width - 1) + down * (height - 1))
        source = np.array([[1.0, 0.0, 0.0], [across, 1.0 + down, first]])
        resampled = cv2.warpAffine(
            image, source, (width, height), flags=how | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(resampled, np.uint8)


def fit_row_offset(
    uv: NDArray[np.float64], rows_px: NDArray[np.float64], size_wh: tuple[int, int]
) -> tuple[RowOffset, float]:
    """The plane through points that each say how far the rows are off there, by least absolute error.

    Args:
        uv: (N, 2) px, their columns in the right image and rows in the left one.
        rows_px: (N,) row in the right image minus row in the left one.
        size_wh: Of the image, px.

    Returns:
        The offset, and the share of the points within 1 px of it. Iteratively reweighted least squares.
    """
    width, height = size_wh
    places = (uv - 0.5 * np.array([width - 1, height - 1])) / (width, height)
    design = np.column_stack([np.ones(len(uv)), places])
    plane = np.array([np.median(rows_px), 0.0, 0.0])
    flat = np.diag([0.0, _FLAT_POINTS / 12.0, _FLAT_POINTS / 12.0])
    for outside, far in _STEPS_PX:
        off = np.abs(rows_px - design @ plane)
        weight = (off < outside) / np.maximum(off, far)
        if not weight.any():
            return RowOffset(), 0.0
        weighted = design * weight[:, None]
        plane = np.linalg.solve(weighted.T @ design + flat, weighted.T @ rows_px)
    within = np.abs(rows_px - design @ plane) < _FIT_PX
    return RowOffset(*plane.tolist()), float(np.mean(within))
