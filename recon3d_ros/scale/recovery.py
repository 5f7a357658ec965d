"""The scale of a mono model over time, from all its sources.

It takes the estimate as a `DepthMap` instead of bare values and a camera: that has both, and says whether
the values are depth or relative inverse depth. A floor is no list of anchors but a `Mount`: which pixels are
floor is for the estimate to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import ScaleConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.scale.affine import AffineSolver
from recon3d_ros.scale.anchors import Anchors
from recon3d_ros.scale.factor import FactorSolver
from recon3d_ros.scale.fits import Unobservable
from recon3d_ros.scale.floor import floor_anchors
from recon3d_ros.scale.mount import Mount

Observation: TypeAlias = Anchors | Mount

_MOST_SIGMA = 0.5  # a scale known no better is none


@dataclass(frozen=True)
class Scale:
    """The scale of one frame.

    Attributes:
        scale: depth = scale * output for metric models; for relative inverse depth
            1/depth = scale * output + shift. NaN until there was a trusted one.
        shift: 1/m, 0 for metric models.
        sigma: Relative standard deviation of depth caused by the scale; it grows while the scale ages.
            +Inf until there was a trusted one.
        sources: The sources measured in this frame; empty while it only ages.
        inliers: Anchors that agreed in this frame, by source.
        age_s: Since the last measurement, s; 0 when there is one in this frame, +Inf before the first.
        trusted: Whether depth is valid.
        reason: Why sources were rejected, or why the scale is not trusted; empty otherwise.
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
        """As people read it: `scale 1.31 +- 7% from floor`, `no scale: ...`."""
        shift = f", shift {self.shift:.3g} 1/m" if self.shift else ""
        origin = f"from {', '.join(self.sources)}" if self.sources else f"{self.age_s:.1f} s old"
        number = f"scale {self.scale:.3g}{shift} +- {self.sigma:.0%} {origin}"
        reason = f" ({self.reason})" if self.reason else ""
        return number + reason if self.trusted else f"no scale: {self.reason}"

    def apply(self, estimate: DepthMap) -> DepthMap:
        """Apply the scale to an estimate; without a trusted scale all depth is NaN.

        sigma_m^2 becomes (scale sigma_m)^2 + (depth sigma)^2: the model's error and that of the scale are
        independent. For relative inverse depth, depth is NaN where 1/depth is not positive.

        Args:
            estimate: Output of the estimator; it is not changed.
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


class ScaleRecovery:
    """Finds the scale of each frame and filters it over time; one for each camera.

    Not thread-safe.

    Args:
        config: Sources and filter.

    Raises:
        ConfigError: No source is named.
    """

    def __init__(self, config: ScaleConfig) -> None:
        if not config.is_on:
            raise ConfigError("expected a source of the scale, got none: set scale_sources")
        self.config = config
        self._mount = Mount.of(config)
        self._camera: PinholeCamera | None = None
        self._relative = False
        self._last_ns = 0
        self._measured_ns: int | None = None
        self._solver: FactorSolver | AffineSolver = FactorSolver(config)

    @classmethod
    def of(cls, config: ScaleConfig) -> ScaleRecovery | None:
        """Recovery as configured; None if there are no sources."""
        return cls(config) if config.is_on else None

    def update(self, stamp_ns: int, estimate: DepthMap, observations: Sequence[Observation] = ()) -> Scale:
        """Find the scale of a frame.

        Args:
            stamp_ns: Stamp of the frame; if it goes back, the scale is reset.
            estimate: Output of the model without scale; another camera than before resets the scale.
            observations: Anchors of the sources, and the mount if it is known better than by the
                configuration (from tf). Sources that are not configured are ignored.

        Returns:
            The scale, or why there is none; `Scale.apply` applies it to the estimate.
        """
        values = estimate.depth if estimate.relative_depth is None else estimate.relative_depth
        self._follow(stamp_ns, estimate)
        age_s = math.inf if self._measured_ns is None else (stamp_ns - self._measured_ns) / 1e9
        sources, refused = self._gather(values, estimate.camera, observations)
        result = self._solver.update(values, sources, age_s, fresh=age_s > self.config.scale_max_age_s)
        if result.inliers:
            self._measured_ns, age_s = stamp_ns, 0.0
        return self._answer(values, age_s, result.inliers, [*refused, *result.reasons])

    def reset(self) -> None:
        """Reset the scale."""
        self._measured_ns = None
        self._solver = AffineSolver(self.config) if self._relative else FactorSolver(self.config)

    def _follow(self, stamp_ns: int, estimate: DepthMap) -> None:
        """Forget what another camera, another kind of model or another time gave."""
        relative = estimate.relative_depth is not None
        if (estimate.camera, relative) != (self._camera, self._relative) or stamp_ns < self._last_ns:
            self._camera, self._relative = estimate.camera, relative
            self.reset()
        self._last_ns = stamp_ns

    def _gather(
        self, values: NDArray[np.float32], camera: PinholeCamera, observations: Sequence[Observation]
    ) -> tuple[list[Anchors], list[str]]:
        """The anchors of every configured source, and why some have none."""
        found: list[Anchors] = []
        refused: list[str] = []
        for source in self.config.scale_sources:
            if source == "floor":
                try:
                    found.append(self._floor(values, camera, observations))
                except Unobservable as exc:
                    refused.append(f"floor: {exc}")
            elif source != "fixed":
                own = [one for one in observations if isinstance(one, Anchors) and one.source == source]
                found += own
                refused += [] if own else [f"{source}: no reading"]
        return found, refused

    def _floor(
        self, values: NDArray[np.float32], camera: PinholeCamera, observations: Sequence[Observation]
    ) -> Anchors:
        mount = next((one for one in observations if isinstance(one, Mount)), self._mount)
        if mount is None:
            raise Unobservable("the height of the camera is not known: set camera_height_m")
        return floor_anchors(values, self._relative, camera, mount, self.config.scale_min_floor)

    def _answer(
        self, values: NDArray[np.float32], age_s: float, inliers: dict[str, int], reasons: list[str]
    ) -> Scale:
        state = self._solver.state(values, age_s)
        if state is None:
            reasons.append("no source has given a scale yet: no depth is published")
            return Scale(math.nan, 0.0, math.inf, (), {}, age_s, False, "; ".join(reasons))
        scale, shift, sigma = state
        trusted = age_s <= self.config.scale_max_age_s and sigma <= _MOST_SIGMA
        if age_s > self.config.scale_max_age_s:
            reasons.append(f"the scale is {age_s:.1f} s old: no depth is published")
        elif not trusted:
            reasons.append(f"the uncertainty of the scale is {sigma:.0%}: no depth is published")
        return Scale(scale, shift, sigma, tuple(inliers), inliers, age_s, trusted, "; ".join(reasons))
