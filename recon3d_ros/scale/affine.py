"""The scale of models that predict relative inverse depth: a scale and a shift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import PipelineConfig, ScaleConfig
from recon3d_ros.scale.anchors import Anchors
from recon3d_ros.scale.correspondences import SolverResult, find_correspondences, require_enough
from recon3d_ros.scale.fits import Correspondences, Unobservable, fit_affine
from recon3d_ros.scale.tracks import GATE, AffineTrack

_PERCENTILES = (10, 50, 90)  # of a frame's predictions: where its uncertainty is reported
# A sky, whose inverse depth is 0, has no relative uncertainty; it says nothing of what is within the limits.
_FAR_M = PipelineConfig().max_depth_m


class _AffineMeasurement(NamedTuple):
    theta: NDArray[np.float64]
    covariance: NDArray[np.float64]
    inliers: dict[str, int]
    common: float


class AffineSolver:
    """Measures scale and shift in each frame and follows them.

    The anchors of all sources are fitted together: one source alone seldom spans the depths of a scene.

    Args:
        config: Options.
    """

    def __init__(self, config: ScaleConfig) -> None:
        self._config = config
        self._track: AffineTrack | None = None
        self._common = 0.0

    def update(
        self, values: NDArray[np.float32], sources: Sequence[Anchors], since_s: float, fresh: bool
    ) -> SolverResult:
        """Measure scale and shift in a frame; see `FactorSolver.update`.

        Args:
            values: (H, W) float32, relative inverse depth.
            sources: Anchors of each source.
            since_s: Since the last measurement that was believed.
            fresh: Forget what was before when there is something new.
        """
        track = self._track
        if fresh or track is None:
            some = values[::4, ::4]
            finite = some[np.isfinite(some)].astype(np.float64)
            track = AffineTrack(self._config.scale_drift, finite) if finite.size else None
            if track is None or not track.spread > 0:
                return SolverResult({}, ["the output of the model is invalid or constant"])
        result = SolverResult({}, [])
        one = self._measure(track, values, sources, result.reasons)
        if one is None:
            return result
        if not track.empty and self._distance(track, one, since_s) > GATE**2:
            result.reasons.append(f"{', '.join(one.inliers)}: too far from the previous scale")
            return result
        track.update(one.theta, one.covariance, since_s)
        result.inliers.update(one.inliers)
        self._track, self._common = track, one.common
        return result

    def state(self, values: NDArray[np.float32], since_s: float) -> tuple[float, float, float] | None:
        """Scale, shift in 1/m and relative sigma of this frame's depths; None before the first measurement.

        Args:
            values: (H, W) float32, relative inverse depth of the frame.
            since_s: Since the last measurement that was believed.
        """
        if self._track is None:
            return None
        theta, covariance = self._track.predicted(since_s)
        finite = values[::8, ::8]
        finite = finite[np.isfinite(finite)]
        if not finite.size:
            return (*self._track.scale_and_shift(theta), math.inf)
        scale, shift = self._track.scale_and_shift(theta)
        near = finite[(scale * finite + shift) * _FAR_M >= 1]
        at = np.percentile(near if 4 * near.size >= finite.size else finite, _PERCENTILES).astype(np.float64)
        sigma = self._track.relative_sigma(theta, covariance, at)
        return (*self._track.scale_and_shift(theta), math.hypot(sigma, self._common))

    def _distance(self, track: AffineTrack, one: _AffineMeasurement, since_s: float) -> float:
        """Squared Mahalanobis distance of a measurement, with the errors that stay on both sides."""
        stays = (self._common**2 + one.common**2) * np.outer(one.theta, one.theta)
        return track.distance(one.theta, one.covariance + stays, since_s)

    def _measure(
        self,
        track: AffineTrack,
        values: NDArray[np.float32],
        sources: Sequence[Anchors],
        reasons: list[str],
    ) -> _AffineMeasurement | None:
        """Scale and shift by the anchors; where there are none the fixed ones, if there are any."""
        used: list[Anchors] = []
        for anchors in sources:
            try:
                require_enough(find_correspondences(values, True, [anchors]), anchors.source, self._config)
                used.append(anchors)
            except Unobservable as exc:
                reasons.append(f"{anchors.source}: {exc}")
        try:
            if used:
                return self._fit(track, find_correspondences(values, True, used), used)
        except Unobservable as exc:
            reasons.append(str(exc))
        return self._fixed(track) if "fixed" in self._config.scale_sources else None

    def _fit(self, track: AffineTrack, pairs: Correspondences, used: Sequence[Anchors]) -> _AffineMeasurement:
        fit = fit_affine(track.normalized(pairs.value), pairs)
        inliers: dict[str, int] = {}
        for number, anchors in enumerate(used):
            count = int(np.count_nonzero(fit.inliers & (pairs.source == number)))
            inliers[anchors.source] = inliers.get(anchors.source, 0) + count
        if 3 * sum(inliers.values()) < pairs.depth.size:
            raise Unobservable(f"only {sum(inliers.values())} of {pairs.depth.size} anchors agree")
        return _AffineMeasurement(fit.theta, fit.covariance, inliers, max(anchors.common for anchors in used))

    def _fixed(self, track: AffineTrack) -> _AffineMeasurement:
        a, b = self._config.scale_factor, self._config.scale_shift
        theta = np.array([a * track.middle + b, a * track.spread])
        covariance = np.eye(2) * (1e-3 * np.abs(theta).max()) ** 2  # its error is one that stays
        return _AffineMeasurement(theta, covariance, {"fixed": 0}, self._config.scale_factor_sigma)
