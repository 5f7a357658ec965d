"""Correspondences: the prediction of a network at the anchors beside their known depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import ScaleConfig
from recon3d_ros.scale.anchors import Anchors
from recon3d_ros.scale.fits import Correspondences, Unobservable, grid_cells

_DISC_SAMPLES = 15  # across a disc
_NEAREST = 0.1  # the nearest tenth of a disc is its nearest surface: a few pixels of a network fly
# Sources of many points, which should give some; a range has one, and a floor its own rule.
_MANY = ("scan", "points", "depth_image")


@dataclass(frozen=True)
class SolverResult:
    """Of one frame: the number of inliers by source (empty: no measurement), and why others gave none."""

    inliers: dict[str, int]
    reasons: list[str]


def require_enough(pairs: Correspondences, source: str, config: ScaleConfig) -> Correspondences:
    """Return the same anchors.

    Raises:
        Unobservable: There are too few of them.
    """
    needed = config.scale_min_anchors if source in _MANY else 1
    if pairs.depth.size < needed:
        raise Unobservable(f"{pairs.depth.size} anchors in view of {needed} needed")
    return pairs


def find_correspondences(
    values: NDArray[np.float32], relative: bool, sources: Sequence[Anchors]
) -> Correspondences:
    """Put the anchors of several sources beside the predictions; those without one are left out.

    Args:
        values: (H, W) float32 depth up to a factor, or with `relative` inverse depth.
        relative: Which of both.
        sources: Numbered in this order.
    """
    parts = [_of_source(values, relative, anchors, number) for number, anchors in enumerate(sources)]
    return Correspondences(*(np.concatenate(columns) for columns in zip(*parts))) if parts else _none()


def _of_source(values: NDArray[np.float32], relative: bool, anchors: Anchors, number: int) -> Correspondences:
    if not len(anchors):
        return _none()
    at = _at(values, relative, anchors)
    good = np.isfinite(at) & (relative | (at > 0))
    depth = anchors.depth[good].astype(np.float64)
    return Correspondences(
        at[good],
        depth,
        anchors.sigma_m[good] / depth,
        grid_cells(anchors.u[good], anchors.v[good], values.shape[:2]),
        np.full(depth.size, number, np.int64),
    )


def _none() -> Correspondences:
    empty = np.empty(0)
    return Correspondences(empty, empty, empty, np.empty(0, np.int64), np.empty(0, np.int64))


def _at(values: NDArray[np.float32], relative: bool, anchors: Anchors) -> NDArray[np.float64]:
    """(N,) predictions at the anchors' pixels, or of the nearest surface within their radius."""
    height, width = values.shape
    if anchors.radius_px < 1:
        u, v = np.rint(anchors.u).astype(int), np.rint(anchors.v).astype(int)
        at: NDArray[np.float64] = values[np.clip(v, 0, height - 1), np.clip(u, 0, width - 1)].astype(
            np.float64
        )
        return at
    step = np.linspace(-1, 1, _DISC_SAMPLES) * anchors.radius_px
    du, dv = (plane.ravel() for plane in np.meshgrid(step, step))
    inside = np.hypot(du, dv) <= anchors.radius_px
    out = np.full(len(anchors), np.nan)
    for i, (u0, v0) in enumerate(zip(anchors.u, anchors.v)):
        u, v = np.rint(u0 + du[inside]).astype(int), np.rint(v0 + dv[inside]).astype(int)
        seen = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        around = values[v[seen], u[seen]].astype(np.float64)
        around = around[np.isfinite(around) & (relative | (around > 0))]
        if around.size:
            out[i] = np.quantile(around, 1 - _NEAREST if relative else _NEAREST)
    return out
