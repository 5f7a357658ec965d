"""The scale of models that predict depth: one factor, out of those of several sources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import ScaleConfig
from recon3d_ros.scale.anchors import Anchors
from recon3d_ros.scale.correspondences import SolverResult, find_correspondences, require_enough
from recon3d_ros.scale.fits import Unobservable, fit_factor
from recon3d_ros.scale.tracks import GATE, FactorTrack


@dataclass(frozen=True)
class FactorMeasurement:
    """What one source says of a frame.

    Attributes:
        source: Its name.
        log_factor: log(depth / prediction).
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
class FusedFactor:
    """log(scale), its variance, the standard deviation of the error that stays, and what disagrees."""

    log_factor: float
    variance: float
    common: float
    reason: str


class FactorSolver:
    """Measures the factor in each frame and follows it.

    Args:
        config: Options.
    """

    def __init__(self, config: ScaleConfig) -> None:
        self._config = config
        self._track = FactorTrack(config.scale_drift)
        self._common = 0.0

    def update(
        self, values: NDArray[np.float32], sources: Sequence[Anchors], since_s: float, fresh: bool
    ) -> SolverResult:
        """Measure the factor in a frame.

        Args:
            values: (H, W) float32, the model's depth.
            sources: Anchors of each source.
            since_s: Since the last measurement that was believed.
            fresh: Forget what was before when there is something new.
        """
        expected = None if fresh or self._track.empty else self._track.predicted(since_s)
        measured, reasons = self._measure(values, sources, expected)
        if fresh and measured:
            self._track = FactorTrack(self._config.scale_drift)
        believed = []
        for one in measured:
            if self._near(one, since_s):
                believed.append(one)
            else:
                mean = math.exp(self._track.predicted(since_s)[0])
                factor = math.exp(one.log_factor)
                reasons.append(f"{one.source} gives {factor:.3g}, too far from {mean:.3g}")
        result = SolverResult({}, reasons)
        if believed:
            fused = fuse(believed)
            self._track.update(fused.log_factor, fused.variance, since_s)
            self._common = fused.common
            reasons += [fused.reason] if fused.reason else []
            for one in believed:
                result.inliers[one.source] = result.inliers.get(one.source, 0) + one.inliers
        return result

    def state(self, values: NDArray[np.float32], since_s: float) -> tuple[float, float, float] | None:
        """Scale, shift and relative sigma, so long after the last measurement; None before the first."""
        if self._track.empty:
            return None
        mean, variance = self._track.predicted(since_s)
        return math.exp(mean), 0.0, math.sqrt(variance + self._common**2)

    def _measure(
        self,
        values: NDArray[np.float32],
        sources: Sequence[Anchors],
        expected: tuple[float, float] | None,
    ) -> tuple[list[FactorMeasurement], list[str]]:
        config, found, reasons = self._config, [], []
        if "fixed" in config.scale_sources:
            found.append(
                FactorMeasurement("fixed", math.log(config.scale_factor), 0.0, config.scale_factor_sigma, 0)
            )
        for anchors in sources:
            try:
                pairs = require_enough(find_correspondences(values, False, [anchors]), anchors.source, config)
                fit = fit_factor(pairs, expected)
                inliers = int(np.count_nonzero(fit.inliers))
                if 3 * inliers < fit.inliers.size:
                    raise Unobservable(f"only {inliers} of {fit.inliers.size} anchors agree")
            except Unobservable as exc:
                reasons.append(f"{anchors.source}: {exc}")
                continue
            found.append(
                FactorMeasurement(anchors.source, fit.log_factor, fit.variance, anchors.common, inliers)
            )
        return found, reasons

    def _near(self, one: FactorMeasurement, since_s: float) -> bool:
        if self._track.empty:
            return True
        mean, variance = self._track.predicted(since_s)
        return (one.log_factor - mean) ** 2 <= GATE**2 * (variance + self._common**2 + one.total)


def fuse(measurements: Sequence[FactorMeasurement]) -> FusedFactor:
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
            f"sources disagree: {low.source} gives {math.exp(low.log_factor):.3g}, {high.source} gives "
            f"{math.exp(high.log_factor):.3g}"
        )
    return FusedFactor(middle, max(total - common**2, 1e-8), common, reason)
