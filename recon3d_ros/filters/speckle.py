"""Speckles: small patches of depth that hang in the air, cut off from what surrounds them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS_PER_JUMP = 8  # so finely is depth quantised where a jump ends a patch
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
    levels *= np.float32(_LEVELS_PER_JUMP / math.log1p(jump))
    np.clip(levels, -31000, 31000, out=levels)
    np.copyto(levels, _NONE, where=~(depth > 0))
    np.copyto(levels, _FAR, where=depth == np.inf)
    patches = levels.astype(np.int16)
    cv2.filterSpeckles(patches, _NONE, speckle_px, _LEVELS_PER_JUMP)
    np.copyto(depth, np.nan, where=patches == _NONE)
