"""Run an estimator over a data set and score every frame against its truth."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean, median
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.evaluation.consistency import consistency_metrics, mirrored
from recon3d_ros.geometry import DepthMap, Frame, Sample
from recon3d_ros.metrics import depth_metrics, disparity_metrics

# Truth outside is not scored and predictions are clipped to it, as Eigen et al. 2014 cap KITTI at 80 m.
DEPTH_RANGE_M = (0.1, 80.0)


class FrameEstimator(Protocol):
    """What is needed of an estimator here; `is_stereo` says whether it predicts disparity."""

    @property
    def is_stereo(self) -> bool:
        """True when it needs pairs."""
        ...

    def estimate(self, frame: Frame) -> DepthMap:
        """Depth of the frame's (left) image."""
        ...


@dataclass(frozen=True)
class FrameScore:
    """One frame: its name, how long `estimate` took, and the metrics its truth allowed (see `score`)."""

    name: str
    time_ms: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class SetScore:
    """One method on one data set.

    ``precision`` is that of the model's file, None for a method without one; ``is_stereo`` says whether the
    method predicts disparity.
    """

    data: str
    method: str
    frames: tuple[FrameScore, ...]
    precision: str | None = None
    is_stereo: bool = True

    @property
    def metrics(self) -> dict[str, float]:
        """Means over the frames that have the metric; NaN when a metric is undefined in every one."""
        keys = dict.fromkeys(key for frame in self.frames for key in frame.metrics)
        return {key: self._mean(key) for key in keys}

    @property
    def time_ms_median(self) -> float:
        """Median time of one `estimate`, NaN without frames."""
        return median(frame.time_ms for frame in self.frames) if self.frames else math.nan

    def _mean(self, key: str) -> float:
        values = [frame.metrics.get(key, math.nan) for frame in self.frames]
        defined = [value for value in values if not math.isnan(value)]
        return fmean(defined) if defined else math.nan


def evaluate(
    estimator: FrameEstimator,
    samples: Iterable[Sample],
    data: str = "",
    method: str = "",
    precision: str | None = None,
    watch: Callable[[Sample, DepthMap], None] = lambda sample, depth_map: None,
) -> SetScore:
    """Score `estimator` on every sample.

    Pairs without any truth are estimated twice, the second time mirrored, for their left-right consistency.

    Args:
        estimator: a model or a baseline.
        samples: read one by one.
        data: name of the set, for the report.
        method: name of the estimator, for the report.
        precision: of the model's file, for the report.
        watch: called with each sample and its depth map.

    Raises:
        Recon3dError: whatever reading a sample or estimating raises; a score over part of a set is none.
    """
    frames: list[FrameScore] = []
    for sample in samples:
        start = time.perf_counter()
        depth_map = estimator.estimate(sample.frame)
        time_ms = (time.perf_counter() - start) * 1e3
        metrics = score(depth_map, sample, estimator.is_stereo)
        if sample.disparity is None and sample.depth is None and depth_map.disparity is not None:
            right = estimator.estimate(mirrored(sample.frame)).disparity
            assert right is not None  # as in the first one
            metrics.update(consistency_metrics(depth_map.disparity, right[:, ::-1]))
        frames.append(FrameScore(sample.name, time_ms, metrics))
        watch(sample, depth_map)
    return SetScore(data, method, tuple(frames), precision, estimator.is_stereo)


def score(depth_map: DepthMap, sample: Sample, is_stereo: bool) -> dict[str, float]:
    """The metrics of `recon3d_ros.metrics` that the sample's truth and the estimate allow.

    Against disparity: `bad_px_1` ... `epe_px`, `pixels`. Against metric depth within DEPTH_RANGE_M:
    `abs_rel`, `rmse_m`, `delta_1`, `depth_pixels`, and for one camera the first three with the suffix
    `_scaled`, after the estimate was multiplied by `scale`, median(truth) / median(estimate) (Zhou et al.
    2017): above 1 where everything is estimated too near.
    Always `coverage`: the fraction with an estimate of the pixels with true disparity, else of those with
    true depth, else of all.
    """
    metrics = {"coverage": float(np.mean(depth_map.valid))}
    if sample.depth is not None:
        metrics.update(_depth_scores(depth_map.depth, sample.depth, with_scaled=not is_stereo))
    if sample.disparity is not None and depth_map.disparity is not None:
        metrics.update(disparity_metrics(depth_map.disparity, sample.disparity))
    return metrics


def _depth_scores(
    estimate: NDArray[np.float32], truth: NDArray[np.float32], with_scaled: bool
) -> dict[str, float]:
    raw = depth_metrics(clip_depth(estimate), truth, *DEPTH_RANGE_M)
    metrics = {key: raw[key] for key in ("abs_rel", "rmse_m", "delta_1", "coverage")}
    metrics["depth_pixels"] = raw["pixels"]
    if with_scaled:
        low, high = DEPTH_RANGE_M
        both = np.isfinite(estimate) & (estimate > 0) & (truth >= low) & (truth <= high)
        factor = np.median(truth[both]) / np.median(estimate[both]) if both.any() else np.float32(np.nan)
        scaled = depth_metrics(clip_depth(estimate * factor), truth, *DEPTH_RANGE_M)
        metrics["scale"] = float(factor)
        metrics.update({f"{key}_scaled": scaled[key] for key in ("abs_rel", "rmse_m", "delta_1")})
    return metrics


def clip_depth(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Predictions as they are scored: within DEPTH_RANGE_M, NaN where there is none; (...) m."""
    known = np.isfinite(depth) & (depth > 0)
    return np.where(known, np.clip(depth, *DEPTH_RANGE_M), np.float32(np.nan))
