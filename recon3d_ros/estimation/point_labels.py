"""The class of every pixel of a depth image, by a network that looks at its points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends import Backend
from recon3d_ros.estimation.cpu_model import CpuModel
from recon3d_ros.geometry import XYZ, DepthMap, PinholeCamera, UnorganizedCloud
from recon3d_ros.geometry.back_projection import back_project
from recon3d_ros.geometry.labels import OBSTACLE_LABELS, PointLabel
from recon3d_ros.geometry.level import assumed_level, find_level
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.preprocess.points import point_tensors

Plane = NDArray[np.float32]

# A class is said when ground, obstacles of any kind, or what is overhead is at least so likely.
LEAST_PROBABILITY = 0.5
# Of a pixel's nearest labelled neighbours the one of the most similar depth counts: relative difference
# at which
# its weight has fallen to a half.
_DEPTH_CHANGE = 0.03


@dataclass(frozen=True, eq=False)
class PixelLabels:
    """Classes on the grid of a depth image.

    Attributes:
        labels: (H, W) uint8, `PointLabel`; `UNKNOWN` where there is no depth or no class is likely.
        probability: (H, W) float32 of that class, of 0 to 1; NaN where there is no depth.
        T_level_optical: (4, 4) float64, the level frame in which the network saw the points.
    """

    labels: NDArray[np.uint8]
    probability: Plane
    T_level_optical: NDArray[np.float64]


class PointLabeller(CpuModel):
    """An open model that labels points. Not thread-safe.

    Without a transform it finds the level frame in each image from the floor, and keeps the last one
    while no floor is in view.

    Args:
        manifest: Of the model.
        backend: In which it is open.
    """

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        super().__init__(manifest, backend)
        self._input, self._output = manifest.point_contracts
        self._classes = np.array(self._output.labels, np.uint8)
        self._level: NDArray[np.float64] | None = None

    @staticmethod
    def require_task(manifest: Manifest) -> None:
        """See `CpuModel.require_task`."""
        manifest.point_contracts  # noqa: B018 - refuses a model of another task

    def reset(self) -> None:
        """Forget the level frame of former images."""
        self._level = None

    def probabilities(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Ask the network.

        Args:
            points: (N, 3) float32 m in the level frame (`geometry.level`), finite, no more than the
                network takes.

        Returns:
            (N, classes) float32 in the order of the manifest.

        Raises:
            ContractError: No point, or too many.
            BackendError: The runtime failed.
        """
        outputs = self._backend.infer(point_tensors(points, self._input))
        said: NDArray[np.float32] = outputs[self._output.name][0, : len(points)]
        return said

    def label_points(self, points: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Labels (N,) uint8 and their probability (N,) float32; arguments and errors as `probabilities`."""
        return decide(self.probabilities(points), self._classes)

    def label_image(
        self, depth: Plane, camera: PinholeCamera, T_level_optical: NDArray[np.float64] | None = None
    ) -> PixelLabels:
        """Label the pixels of a depth image: a regular grid of them by the network, the others after these.

        Args:
            depth: (H, W) float32 m; what is not finite has no point.
            camera: Rectified, of the image.
            T_level_optical: (4, 4), from `geometry.level.level_transform`; None finds it from the floor.

        Raises:
            BackendError: The runtime failed.
        """
        step = grid_step(depth.shape, self._input.count)
        sampled = depth[::step, ::step]
        v, u = np.nonzero(np.isfinite(sampled))
        optical = back_project(camera, u * step, v * step, sampled[v, u])
        level = self._level_of(optical) if T_level_optical is None else T_level_optical
        labels, probability = np.zeros(sampled.shape, np.uint8), np.full(sampled.shape, np.nan, np.float32)
        if len(optical):
            points = (optical @ level[:3, :3].T + level[:3, 3]).astype(np.float32)
            labels[v, u], probability[v, u] = self.label_points(points)
        if step > 1:
            labels, probability = spread_labels(labels, probability, depth, step)
        return PixelLabels(labels, probability, level)

    def _level_of(self, optical: NDArray[np.floating]) -> NDArray[np.float64]:
        found = find_level(optical.astype(np.float64))
        if found is not None:
            self._level = found
        return self._level if self._level is not None else assumed_level(optical.astype(np.float64))


def labelled_points(
    depth_map: DepthMap, labels: PixelLabels, kinds: Sequence[PointLabel], decimation: int, frame_id: str
) -> UnorganizedCloud:
    """The points, x, y, z, whose label is one of `kinds`, of every `decimation`-th row and column."""
    n = decimation
    depth = depth_map.depth[::n, ::n]
    v, u = np.nonzero(np.isin(labels.labels[::n, ::n], np.array(kinds, np.uint8)) & np.isfinite(depth))
    xyz = back_project(depth_map.camera, u * n, v * n, depth[v, u])
    return UnorganizedCloud(np.ascontiguousarray(xyz, np.float32), XYZ, frame_id)


def grid_step(shape_hw: tuple[int, ...], count: int) -> int:
    """The smallest step of a grid over an image of that shape that has no more than `count` pixels."""
    height, width = shape_hw
    step = max(1, math.isqrt(height * width // count))
    while -(-height // step) * -(-width // step) > count:
        step += 1
    return step


def decide(
    probabilities: NDArray[np.float32], classes: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """From probabilities to labels: first ground, obstacle or overhead, then which kind of it.

    Wall, thing, plant and vehicle may be equally likely and no single one above a half: it is an obstacle
    all the same.

    Args:
        probabilities: (N, classes) float32.
        classes: (classes,) uint8, the `PointLabel` of each column.

    Returns:
        (N,) uint8 labels, `UNKNOWN` where none of the three reaches `LEAST_PROBABILITY`; (N,) float32, the
        probability of the label.
    """
    obstacle = np.isin(classes, OBSTACLE_LABELS)
    together = probabilities[:, obstacle].sum(axis=1)
    groups = np.where(obstacle, together[:, None], probabilities)
    best = (np.float32(1e3) * groups + probabilities).argmax(axis=1)
    each = np.arange(len(best))
    likely = groups[each, best] >= LEAST_PROBABILITY
    labels = np.where(likely, classes[best], np.uint8(PointLabel.UNKNOWN))
    return labels.astype(np.uint8), probabilities[each, best]


def spread_labels(
    labels: NDArray[np.uint8], probability: Plane, depth: Plane, step: int
) -> tuple[NDArray[np.uint8], Plane]:
    """From a grid of labelled pixels to all: each takes over from its four neighbours on the grid.

    The nearer one in the image and in depth wins, so that labels end where surfaces do.

    Args:
        labels: (ceil(H / step), ceil(W / step)) uint8 of the pixels [::step, ::step].
        probability: The same shape, float32, NaN where there is no point.
        depth: (H, W) float32 m.
        step: Of the grid.

    Returns:
        (H, W) uint8 and float32.
    """
    height, width = depth.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(np.isfinite(depth), np.float32(1) / depth, np.float32(np.nan))
    coarse = inverse[::step, ::step]
    best = np.full(depth.shape, -1.0, np.float32)
    index = np.zeros(depth.shape, np.int32)
    rows, columns = (_neighbours(size, step, n) for size, n in zip((height, width), coarse.shape))
    for row, near_row in rows:
        for column, near_column in columns:
            there = coarse[row[:, None], column]
            with np.errstate(invalid="ignore", divide="ignore"):
                change = np.abs(there - inverse) / (inverse * np.float32(_DEPTH_CHANGE))
                weight = (near_row[:, None] * near_column) / (1 + change * change)
            better = weight > best  # False for NaN
            np.copyto(best, weight, where=better)
            np.copyto(index, row[:, None] * coarse.shape[1] + column, where=better)
    seen = (best >= 0) & np.isfinite(depth)
    spread = np.where(seen, labels.ravel()[index], np.uint8(PointLabel.UNKNOWN))
    return spread.astype(np.uint8), np.where(seen, probability.ravel()[index], np.float32(np.nan))


def _neighbours(size: int, step: int, coarse: int) -> list[tuple[NDArray[np.int32], Plane]]:
    """Of each pixel along an axis its neighbours on the grid, before and after it, and their weights."""
    at = np.arange(size, dtype=np.int32)
    before = at // step
    share = ((at - before * step) / step).astype(np.float32)
    after = np.minimum(before + 1, coarse - 1).astype(np.int32)
    return [(before, np.float32(1.05) - share), (after, np.float32(0.05) + share)]
