"""Flying pixels: depth that a network smears between the two surfaces of a depth edge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SPAN_PX = 2  # slopes are taken over so many pixels to each side
_ASIDE_PX = 5  # and compared with those so far away, beyond the end of a smear
_BLOCK_PX = 1 << 16  # of scratch at a time, to stay in the processor's cache
Plane = NDArray[np.float32]


def drop_flying_pixels(depth: Plane, max_jump: float) -> None:
    """Set to NaN what lies in the ramp between a near and a far surface.

    A ramp rises on both sides of a pixel, and more steeply than the surfaces at its ends. Slopes are those of
    inverse depth, which is affine in the image for a plane of any slant: along a floor the slope is the same
    everywhere, so floors stay, up to the horizon. A clean step is steep on one side of each pixel alone, and
    loses nothing; nor do thin poles, which rise on one side and fall on the other. Of ramps wider than five
    pixels the ends stay. Along rows and along columns, both on the depth as it came.

    Args:
        depth: (H, W) m, NaN = invalid, +Inf = far; changed in place.
        max_jump: Steepest slope kept from one pixel to the next, as a share of the pixel's inverse depth,
            beyond the slope of the surfaces aside.
    """
    height, width = depth.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.divide(1, depth, dtype=np.float32)  # 0 where it is far
        limit = np.float32(max_jump * _SPAN_PX)
        count = max(1, _BLOCK_PX // width)
        halo = _SPAN_PX + _ASIDE_PX
        for top in range(0, height, count):
            first, last = max(0, top - halo), min(height, top + count + halo)
            block = inverse[first:last]
            rows = slice(top - first, min(top + count, height) - first)
            down = _excess(_slopes(block.T).T, axis=0)[rows]
            excess = np.fmax(_excess(_slopes(block[rows]), axis=1), down, out=down)
            np.copyto(depth[top : top + count], np.nan, where=excess > block[rows] * limit)


def _slopes(inverse: Plane) -> Plane:
    """Along rows: the gentler of the steps to both sides, 0 where one goes up and one down (minmod).

    NaN where either is unknown, so in the outermost columns too.
    """
    slope = np.full_like(inverse, np.nan)
    if inverse.shape[1] <= 2 * _SPAN_PX:
        return slope
    middle = inverse[:, _SPAN_PX:-_SPAN_PX]
    before = middle - inverse[:, : -2 * _SPAN_PX]
    after = inverse[:, 2 * _SPAN_PX :] - middle
    inner = slope[:, _SPAN_PX:-_SPAN_PX]
    np.minimum(before, after, out=inner)
    np.maximum(inner, 0, out=inner)
    np.maximum(before, after, out=after)
    inner += np.minimum(after, 0, out=after)
    return slope


def _excess(slope: Plane, axis: int) -> Plane:
    """How much steeper a slope is than those aside that go the same way; NaN where both are unknown."""
    up, down = np.full_like(slope, np.nan), np.full_like(slope, np.nan)
    for here, there in _aside(slope.shape[axis]):
        at, beside = (here, there) if axis == 0 else ((slice(None), here), (slice(None), there))
        np.fmax(up[at], slope[beside], out=up[at])
        np.fmin(down[at], slope[beside], out=down[at])
    np.subtract(slope, np.maximum(up, 0, out=up), out=up)
    np.subtract(np.minimum(down, 0, out=down), slope, out=down)
    return np.maximum(up, down, out=up)


def _aside(size: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Pairs of pixels and what lies aside, to either side; those too near the image's end have none."""
    n = min(_ASIDE_PX, size)
    return (slice(n, None), slice(0, size - n)), (slice(0, size - n), slice(n, None))
