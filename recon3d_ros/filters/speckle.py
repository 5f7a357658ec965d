"""Speckles: small patches of depth that hang in the air, cut off from what surrounds them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS_PER_E = 3000  # so finely is the logarithm of depth quantised: 16 bits hold 20 microns to 20 km
_FAR, _NONE = 32000, -32000


def drop_speckles(depth: NDArray[np.float32], speckle_px: int, jump: float) -> None:
    """Set small patches to NaN; a small patch of +Inf, a hole seen through a surface, goes as well.

    A patch is what hangs together by neighbours (of 4) whose depth differs by less than the relative `jump`:
    relative, because the errors of depth grow with it.

    Args:
        depth: (H, W) m, NaN = invalid, +Inf = far; changed in place.
        speckle_px: Patches of at most so many pixels go.
        jump: Largest relative change within a patch, >= 0.005.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = cv2.log(depth)
    levels *= np.float32(_LEVELS_PER_E)
    np.rint(levels, out=levels)  # not cut off, which would make the level around 1 m twice as wide
    np.clip(levels, -31000, 31000, out=levels)
    np.copyto(levels, _NONE, where=~(depth > 0))
    np.copyto(levels, _FAR, where=depth == np.inf)
    patches = levels.astype(np.int16)
    cv2.filterSpeckles(patches, _NONE, speckle_px, round(_LEVELS_PER_E * math.log1p(jump)))
    np.copyto(depth, np.nan, where=patches == _NONE)
