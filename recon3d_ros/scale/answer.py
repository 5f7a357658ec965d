"""What scale recovery says about one frame, and how it is applied."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recon3d_ros.geometry import DepthMap


@dataclass(frozen=True)
class Scale:
    """The scale of one frame.

    Attributes:
        scale: depth = scale * answer of a model that answers depth; for relative inverse depth
            1/depth = scale * answer + shift. NaN until there was a trusted one.
        shift: 1/m, 0 for a model that answers depth.
        sigma: One standard deviation of the depth that comes of the scale, relative to the depth; it grows
            while the scale ages. +Inf until there was a trusted one.
        sources: What told it in this frame; empty while it only ages.
        inliers: Anchors that agreed in this frame, by source.
        age_s: Since a source told it last, s; 0 when one did in this frame, +Inf until one did.
        trusted: Whether depth is given out.
        reason: Why sources were refused, or why it is not trusted; empty when all went well.
    """

    scale: float
    shift: float
    sigma: float
    sources: tuple[str, ...]
    inliers: dict[str, int]
    age_s: float
    trusted: bool
    reason: str

    def __str__(self) -> str:
        """As people read it: `scale 1.31 +- 7 % from floor`, `no scale: ...`."""
        shift = f", shift {self.shift:.3g} 1/m" if self.shift else ""
        told = f"from {', '.join(self.sources)}" if self.sources else f"{self.age_s:.1f} s old"
        number = f"scale {self.scale:.3g}{shift} +- {self.sigma:.0%} {told}"
        reason = f" ({self.reason})" if self.reason else ""
        return number + reason if self.trusted else f"no scale: {self.reason}"

    def apply(self, estimate: DepthMap) -> DepthMap:
        """Give an estimate its metres; without a trusted scale all depth is NaN.

        sigma_m^2 becomes (scale sigma_m)^2 + (depth sigma)^2: the model's error and that of the scale are
        independent. Of relative inverse depth, where 1/depth is not positive there is no depth.

        Args:
            estimate: As the estimator answered it; it stays as it is.
        """
        sigma_m = estimate.sigma_m
        if not self.trusted:
            nothing = np.full_like(estimate.depth, np.nan)
            return replace(estimate, depth=nothing, sigma_m=None if sigma_m is None else nothing)
        if estimate.relative_depth is not None:
            inverse = estimate.relative_depth * np.float32(self.scale) + np.float32(self.shift)
            with np.errstate(divide="ignore", invalid="ignore"):
                depth = np.where(inverse > 0, 1 / inverse, np.float32(np.nan))
            return replace(estimate, depth=depth)
        depth = estimate.depth * np.float32(self.scale)
        if sigma_m is not None:
            with np.errstate(invalid="ignore"):
                sigma_m = np.hypot(sigma_m * np.float32(self.scale), depth * np.float32(self.sigma))
        return replace(estimate, depth=depth, sigma_m=sigma_m)
