"""How much of many frames the limit `max_depth_m` takes away: one for rooms is too small for a street."""

from __future__ import annotations

from recon3d_ros.geometry.plausibility import BEYOND
from recon3d_ros.pipeline import Result

_NOTABLE = 0.05


class FarPixels:
    """Averages `Result.beyond_max_depth`.

    Args:
        max_depth_m: The limit.
    """

    def __init__(self, max_depth_m: float) -> None:
        self._max_depth_m = max_depth_m
        self._sum, self._count = 0.0, 0

    def add(self, result: Result) -> None:
        """Take the result of a frame."""
        self._sum += result.beyond_max_depth
        self._count += 1

    @property
    def sentence(self) -> str:
        """See `cut_sentence`."""
        return cut_sentence(self._sum / max(self._count, 1), self._max_depth_m)


def cut_sentence(share: float, max_depth_m: float) -> str:
    """How much is cut, and what keeps it; empty when it is less than 5 % of the pixels.

    Args:
        share: Mean of `Result.beyond_max_depth`.
        max_depth_m: The limit.
    """
    if share < _NOTABLE:
        return ""
    limit_m, reach_m = f"{max_depth_m:g}", f"{BEYOND * max_depth_m:g}"
    return (
        f"{share:.0%} of the pixels are at {limit_m} to {reach_m} m, beyond max_depth_m ({limit_m} m): out "
        f"of range (+Inf), in no cloud; --max-depth-m {reach_m} keeps them"
    )
