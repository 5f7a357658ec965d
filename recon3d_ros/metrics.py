"""How far an estimate is from the truth, as pure functions.

A pixel is *scored* when its truth is finite (and positive, for depth); it is *answered* when the estimate
is finite (and positive, for depth). A metric over no pixel is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]

# A point is right within this distance of the other side's: 2 % of the side of the frame, which reaches from
# -1 to 1 (Tatarchenko et al., What Do Single-view 3D Reconstruction Networks Learn?, CVPR 2019).
F_DISTANCE = 0.04
# Rows of the matrix of distances at a time.
_SHAPE_ROWS = 256


def abs_rel(estimate: Plane, truth: Plane) -> float:
    """Mean |estimate - truth| / truth over the answered scored pixels (Eigen et al. 2014).

    Args:
        estimate: (...) m.
        truth: Same shape, m.
    """
    estimate, truth = _answered_depth(estimate, truth)
    return _mean(np.abs(estimate - truth) / truth)


def rmse_m(estimate: Plane, truth: Plane) -> float:
    """Root of the mean squared error, m, over the answered scored pixels; arguments as `abs_rel`."""
    estimate, truth = _answered_depth(estimate, truth)
    return float(np.sqrt(_mean((estimate - truth) ** 2)))


def delta_1(estimate: Plane, truth: Plane) -> float:
    """Fraction of answered scored pixels within a factor of 1.25 (Eigen et al. 2014), as `abs_rel`."""
    estimate, truth = _answered_depth(estimate, truth)
    return _mean(np.maximum(estimate / truth, truth / estimate) < 1.25)


def epe_px(estimate: Plane, truth: Plane) -> float:
    """Mean |estimate - truth|, px, over the answered scored pixels.

    Args:
        estimate: (...) px.
        truth: Same shape, px.
    """
    both = np.isfinite(truth) & np.isfinite(estimate)
    return _mean(np.abs(_float64(estimate[both]) - truth[both]))


def bad_px(estimate: Plane, truth: Plane, threshold: float, answered_only: bool = False) -> float:
    """Fraction of scored pixels whose error is more than `threshold` px; a missing answer is bad.

    Args:
        estimate: (...) px.
        truth: Same shape, px.
        threshold: In px. No relative part: this is not KITTI 2015's D1.
        answered_only: Leave missing answers out instead.
    """
    scored = np.isfinite(truth)
    if answered_only:
        scored &= np.isfinite(estimate)
    error = np.abs(_float64(estimate[scored]) - truth[scored])
    return _mean(~(error <= threshold))  # NaN and Inf are not within any threshold


def coverage(estimate: Plane, truth: Plane) -> float:
    """Fraction of the scored pixels that are answered; (...) of one unit, both."""
    return _mean(np.isfinite(estimate[np.isfinite(truth)]))


def disparity_metrics(
    estimate: Plane, truth: Plane, thresholds: Sequence[float] = (1, 2, 3)
) -> dict[str, float]:
    """Score one disparity map.

    Args:
        estimate: (H, W) px; not finite = no answer.
        truth: (H, W) px; not finite = not scored, 0 = infinitely far.
        thresholds: For `bad_px`, px.

    Returns:
        ``bad_px_<t>`` (a missing answer is bad), ``bad_px_<t>_answered``, ``epe_px`` (answered),
        ``coverage`` and ``pixels`` (scored).
    """
    scores: dict[str, float] = {}
    for threshold in thresholds:
        scores[f"bad_px_{threshold:g}"] = bad_px(estimate, truth, threshold)
        scores[f"bad_px_{threshold:g}_answered"] = bad_px(estimate, truth, threshold, answered_only=True)
    scores["epe_px"] = epe_px(estimate, truth)
    scores["coverage"] = coverage(estimate, truth)
    scores["pixels"] = float(np.count_nonzero(np.isfinite(truth)))
    return scores


def depth_metrics(
    estimate: Plane, truth: Plane, min_m: float = 0.0, max_m: float = np.inf
) -> dict[str, float]:
    """Score one depth map where the truth lies within [min_m, max_m].

    Args:
        estimate: (H, W) m; not finite or not positive = no answer.
        truth: (H, W) m; not finite or not positive = not scored.
        min_m: Nearest truth that is scored.
        max_m: Farthest truth that is scored.

    Returns:
        ``abs_rel``, ``rmse_m``, ``delta_1`` (answered), ``coverage`` and ``pixels`` (scored).
    """
    scored = np.isfinite(truth) & (truth > 0) & (truth >= min_m) & (truth <= max_m)
    truth = truth[scored]
    estimate = np.where(estimate[scored] > 0, estimate[scored], np.nan)
    return {
        "abs_rel": abs_rel(estimate, truth),
        "rmse_m": rmse_m(estimate, truth),
        "delta_1": delta_1(estimate, truth),
        "coverage": coverage(estimate, truth),
        "pixels": float(truth.size),
    }


def _answered_depth(estimate: Plane, truth: Plane) -> tuple[Plane, Plane]:
    both = np.isfinite(truth) & np.isfinite(estimate) & (truth > 0) & (estimate > 0)
    return _float64(estimate[both]), _float64(truth[both])


def _float64(values: Plane) -> Plane:
    return values.astype(np.float64)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")


def label_confusion(
    found: NDArray[np.integer], truth: NDArray[np.integer], classes: int = 7
) -> NDArray[np.int64]:
    """Count points by their true and their found class.

    Args:
        found: (...) whole numbers below `classes`.
        truth: The same shape; 0 = unknown.
        classes: Number of classes, 0 included.

    Returns:
        (classes, classes) int64: rows are true classes, columns found ones; the row of unknown truth is 0.
    """
    pairs = truth.ravel().astype(np.int64) * classes + found.ravel()
    counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    counts[0] = 0
    return counts.astype(np.int64)


def label_ious(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union by class, (classes,) float64; NaN where no point is of it nor found to be."""
    both = np.diag(confusion).astype(float)
    either = confusion.sum(axis=0) + confusion.sum(axis=1) - both
    ious: NDArray[np.float64] = np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)
    return ious


def shape_metrics(estimate: NDArray[np.floating], truth: NDArray[np.floating]) -> dict[str, float]:
    """Compare two clouds.

    Args:
        estimate: (N, 3), N at least 1.
        truth: (M, 3), M at least 1.

    Returns:
        `chamfer`, the mean of both mean distances to the nearest point of the other side (CD-T of PCN), and
        `f_score` at `F_DISTANCE`, 0 to 1: the harmonic mean of how many points of each side are that near.
    """
    there, back = nearest_distances(estimate, truth)
    precision, recall = float((there < F_DISTANCE).mean()), float((back < F_DISTANCE).mean())
    return {
        "chamfer": float(there.mean() + back.mean()) / 2,
        "f_score": 2 * precision * recall / max(precision + recall, 1e-9),
    }


def nearest_distances(
    ours: NDArray[np.floating], theirs: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance of each point to the nearest one of the other side, (N,) of ours and (M,) of theirs."""
    ours, theirs = ours.astype(np.float32), theirs.astype(np.float32)
    sizes = (theirs**2).sum(axis=1)
    back = np.full(len(theirs), np.inf, np.float32)
    there = []
    for start in range(0, len(ours), _SHAPE_ROWS):
        part = ours[start : start + _SHAPE_ROWS]
        squared = (part**2).sum(axis=1)[:, None] + sizes - 2.0 * part @ theirs.T
        there.append(squared.min(axis=1))
        np.minimum(back, squared.min(axis=0), out=back)
    return tuple(np.sqrt(np.maximum(part, 0.0)) for part in (np.concatenate(there), back))  # type: ignore[return-value]
