"""Flying pixels: depth that a network smears between the two surfaces of a depth edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_REACH_PX = 4  # how wide a smear may be, from its middle to beyond its end


def drop_flying_pixels(depth: NDArray[np.float32], max_jump: float) -> None:
    """Set to NaN what lies in the ramp between a near and a far surface.

    A ramp rises on both sides of a pixel, and more steeply than the surfaces at its ends. Slopes are those of
    inverse depth, which is affine in the image for a plane of any slant: along a floor the slope is the same
    everywhere, so floors stay, up to the horizon; and a clean step, steep on one side of each pixel alone,
    loses nothing. Along rows and along columns in turn, each on the depth as it came.

    Args:
        depth: (H, W) m, NaN = invalid, +Inf = far; changed in place.
        max_jump: Steepest slope kept from one pixel to the next, as a share of the pixel's inverse depth,
            beyond the slope of the surfaces aside.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.divide(1, depth, dtype=np.float32)  # 0 where it is far
        flying = _flying(inverse, max_jump, axis=1)
        np.logical_or(flying, _flying(inverse, max_jump, axis=0), out=flying)
    np.copyto(depth, np.nan, where=flying)


def _flying(inverse: NDArray[np.float32], max_jump: float, axis: int) -> NDArray[np.bool_]:
    """(H, W) bool: the pixel lies in a ramp along that axis."""
    flying = np.zeros(inverse.shape, np.bool_)
    size = inverse.shape[axis]
    if size < 3:
        return flying
    step = np.diff(inverse, axis=axis)
    before, after = _part(step, axis, 0, size - 2), _part(step, axis, 1, size - 1)
    limit = _part(inverse, axis, 1, size - 1) * np.float32(max_jump)
    steep = np.minimum(before, after) > limit
    steep |= np.maximum(before, after) < -limit
    # Few pixels are steep; only they are compared with what lies aside.
    at = np.nonzero(steep)
    slope = _slope(before, after, at)
    for reach in (-_REACH_PX, _REACH_PX):
        aside = list(at)
        aside[axis] = np.clip(at[axis] + reach, 0, size - 3)
        beside = _slope(before, after, tuple(aside))
        same_way = np.sign(slope) * np.nan_to_num(beside, nan=0.0)
        excess = np.abs(slope) - np.maximum(same_way, 0)
        steep[at] &= excess > limit[at]
    _part(flying, axis, 1, size - 1)[...] = steep
    return flying


def _slope(
    before: NDArray[np.float32], after: NDArray[np.float32], at: tuple[NDArray[np.intp], ...]
) -> NDArray[np.float32]:
    """The gentler of the steps on both sides, 0 where one goes up and one down (minmod)."""
    a, b = before[at], after[at]
    return np.where(a * b > 0, np.where(np.abs(a) < np.abs(b), a, b), np.where(np.isnan(a * b), np.nan, 0))


def _part(array: NDArray[np.generic], axis: int, start: int, stop: int) -> NDArray[np.generic]:
    return array[start:stop] if axis == 0 else array[:, start:stop]
