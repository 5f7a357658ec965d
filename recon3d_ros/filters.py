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
    limited = depth.copy()
    np.copyto(limited, np.nan, where=depth < min_m)
    np.copyto(limited, np.inf, where=depth > max_m)
    return limited


def invalidate_border(depth: NDArray[np.float32], border_px: int) -> NDArray[np.float32]:
    """Set the outermost ``border_px`` rows and columns of an (H, W) array to NaN."""
    result = np.full_like(depth, np.nan)
    rows, columns = (slice(border_px, max(border_px, side - border_px)) for side in depth.shape)
    result[rows, columns] = depth[rows, columns]
    return result
