"""Which depths to believe: pure functions, each returns a new array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def limit_depth(depth: NDArray[np.float32], min_m: float, max_m: float) -> NDArray[np.float32]:
    """Keep what lies within the limits.

    Nearer is NaN: the estimate is not trusted. Farther is +Inf: seen, and out of range (REP 117).

    Args:
        depth: (H, W) m, NaN = invalid, +Inf = farther than measurable.
        min_m: Smallest depth kept.
        max_m: Largest depth kept.
    """
    limited = np.where(depth > max_m, np.float32(np.inf), depth)
    np.copyto(limited, np.nan, where=limited < min_m)
    return limited


def invalidate_border(depth: NDArray[np.float32], border_px: int) -> NDArray[np.float32]:
    """Set the outermost ``border_px`` rows and columns of an (H, W) array to NaN."""
    inner = np.full_like(depth, np.nan)
    keep = (slice(border_px, max(border_px, side - border_px)) for side in depth.shape)
    rows, columns = keep
    inner[rows, columns] = depth[rows, columns]
    return inner
