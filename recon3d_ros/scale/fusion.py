"""One measurement of log(scale) out of those of several sources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GATE = 3.0  # standard deviations


@dataclass(frozen=True)
class Measurement:
    """What one source says of a frame.

    Attributes:
        source: Its name.
        log_factor: log(depth / answer).
        variance: Of what differs from frame to frame.
        common: Standard deviation of the error that stays, see `Anchors`.
        inliers: How many anchors agree.
    """

    source: str
    log_factor: float
    variance: float
    common: float
    inliers: int

    @property
    def total(self) -> float:
        """Whole variance."""
        return self.variance + self.common**2


@dataclass(frozen=True)
class Fused:
    """log(scale), its variance, the standard deviation of the error that stays, and what disagrees."""

    log_factor: float
    variance: float
    common: float
    reason: str


def fuse(measurements: Sequence[Measurement]) -> Fused:
    """The median of the sources, weighted by their variance.

    When they differ by more than their variances allow, the variance grows by chi^2 / (K - 1) (Birge 1932).

    Args:
        measurements: At least one.
    """
    ordered = sorted(measurements, key=lambda one: one.log_factor)
    values = np.array([one.log_factor for one in ordered])
    weights = np.array([1 / max(one.total, 1e-12) for one in ordered])
    share = weights / weights.sum()
    middle = float(np.interp(0.5, np.cumsum(share) - share / 2, values))
    ratio = float(weights @ (values - middle) ** 2) / max(len(ordered) - 1, 1)
    total = max(ratio, 1.0) / float(weights.sum())
    common = math.sqrt(float(share**2 @ [one.common**2 for one in ordered]))
    reason = ""
    if len(ordered) > 1 and ratio > GATE**2:
        low, high = ordered[0], ordered[-1]
        reason = (
            f"sources disagree: {low.source} says {math.exp(low.log_factor):.3g}, "
            f"{high.source} says {math.exp(high.log_factor):.3g}"
        )
    return Fused(middle, max(total - common**2, 1e-8), common, reason)
