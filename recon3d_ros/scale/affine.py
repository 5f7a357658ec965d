"""The scale of models that answer relative inverse depth: a scale and a shift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import ScaleConfig
from recon3d_ros.scale.anchors import Anchors
from recon3d_ros.scale.fits import Unobservable, fit_affine
from recon3d_ros.scale.fusion import GATE
from recon3d_ros.scale.known import Told, enough, known_of
from recon3d_ros.scale.tracks import AffineTrack

_PERCENTILES = (10, 50, 90)  # of a frame's answers: where its uncertainty is told


class _Measured(NamedTuple):
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

    def take(
        self, values: NDArray[np.float32], sources: Sequence[Anchors], since_s: float, fresh: bool
    ) -> Told:
        """Measure scale and shift in a frame; see `FactorSolver.take`.

        Args:
            values: (H, W) float32, relative inverse depth.
            sources: What is known.
            since_s: Since the last measurement that was believed.
            fresh: Forget what was before when there is something new.
        """
        track = self._track
        if fresh or track is None:
            finite = values[np.isfinite(values)].astype(np.float64)
            track = AffineTrack(self._config.scale_drift, finite) if finite.size else None
            if track is None or not track.spread > 0:
                return Told({}, ["the model answers nothing, or the same everywhere"])
        told = Told({}, [])
        for one in self._measure(track, values, sources, told.reasons):
            if not track.empty and track.distance(one.theta, one.covariance, since_s) > GATE**2:
                told.reasons.append(f"{', '.join(one.inliers)}: too far from before to be believed")
                continue
            track.update(one.theta, one.covariance, since_s)
            told.inliers.update(one.inliers)
            self._track, self._common = track, one.common
        return told

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
        at = np.percentile(finite, _PERCENTILES).astype(np.float64)
        sigma = self._track.relative_sigma(theta, covariance, at)
        return (*self._track.scale_and_shift(theta), math.hypot(sigma, self._common))

    def _measure(
        self,
        track: AffineTrack,
        values: NDArray[np.float32],
        sources: Sequence[Anchors],
        reasons: list[str],
    ) -> list[_Measured]:
        config, found, used = self._config, [], []
        if "fixed" in config.scale_sources:
            a, b = config.scale_factor, config.scale_shift
            theta = np.array([a * track.middle + b, a * track.spread])
            covariance = np.eye(2) * (1e-3 * theta[0]) ** 2  # as good as known; its sigma is common
            found.append(_Measured(theta, covariance, {"fixed": 0}, config.scale_factor_sigma))
        for anchors in sources:
            try:
                enough(known_of(values, True, [anchors]), anchors.source, config)
                used.append(anchors)
            except Unobservable as exc:
                reasons.append(f"{anchors.source}: {exc}")
        if not used:
            return found
        known = known_of(values, True, used)
        try:
            fit = fit_affine(track.normalized(known.value), known)
        except Unobservable as exc:
            reasons.append(str(exc))
            return found
        inliers: dict[str, int] = {}
        for number, anchors in enumerate(used):
            count = int(np.count_nonzero(fit.inliers & (known.source == number)))
            inliers[anchors.source] = inliers.get(anchors.source, 0) + count
        if 3 * sum(inliers.values()) < known.depth.size:
            reasons.append(f"only {sum(inliers.values())} of {known.depth.size} anchors agree")
            return found
        common = max(anchors.common for anchors in used)
        return [*found, _Measured(fit.theta, fit.covariance, inliers, common)]
