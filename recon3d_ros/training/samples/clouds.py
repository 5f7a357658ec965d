"""Labelled clouds as training data: their augmentation, batches and validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recon3d_ros.evaluation.world_clouds import (
    CLOUD_CHANNELS,
    held_out_rng,
    misplaced,
    render_cloud,
    unpack_cloud,
)
from recon3d_ros.geometry.labels import LABEL_COLOURS, OBSTACLE_LABELS, PointLabel
from recon3d_ros.metrics import label_confusion, label_ious
from recon3d_ros.model_zoo.points import PolarGrid
from recon3d_ros.preprocess.points import GroupedPoints, group_points
from recon3d_ros.training.losses.label_input import LabelLossInput
from recon3d_ros.training.samples.results import ValidationResult

_VIEW_WH, _VIEW_M = (96, 96), 8.0


def scattered(xyz: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The cloud mirrored, turned, and a little larger or smaller, at random."""
    yaw, size = rng.normal(0, np.radians(8)), math.exp(rng.normal(0, 0.06))
    c, s = size * math.cos(yaw), size * math.sin(yaw)
    side = 1.0 if rng.random() < 0.5 else -1.0
    return xyz @ np.array([[c, s * side, 0], [-s, c * side, 0], [0, 0, size]], np.float32)


@dataclass(frozen=True)
class PointsTask:
    """The class of every point of clouds of the world; the grid is that of the network."""

    rows: int
    columns: int
    members: int
    channels: ClassVar[int] = CLOUD_CHANNELS
    metrics: ClassVar[tuple[str, ...]] = ("ground_iou", "obstacle_iou", "accuracy")
    variants: ClassVar[int] = 1

    @property
    def grid(self) -> PolarGrid:
        """The grid, over the usual range."""
        return PolarGrid(self.rows, self.columns, self.members)

    def render(self, seed: int, size_wh: tuple[int, int]) -> np.ndarray:  # noqa: D102
        return render_cloud(seed, size_wh)

    def crop(  # noqa: D102
        self, draw: Callable[[], np.ndarray], size_wh: tuple[int, int], rng: np.random.Generator
    ) -> tuple[np.ndarray, ...]:
        height_m, xyz, labels = unpack_cloud(draw())
        count = size_wh[0] * size_wh[1]
        chosen = rng.choice(len(xyz), count, replace=len(xyz) < count)
        grouped = group_points(scattered(misplaced(xyz, height_m, rng)[0][chosen], rng), self.grid)
        return grouped.points, grouped.cells, grouped.members, labels[chosen].astype(np.int64)

    def augment(self, crop: tuple[np.ndarray, ...], rng: np.random.Generator) -> tuple[np.ndarray, ...]:  # noqa: D102
        return crop

    def loss_input(self, network: Any, adapters: nn.ModuleDict, batch: list[Tensor]) -> LabelLossInput:  # noqa: D102
        *cloud, labels = batch
        return LabelLossInput(network.analyse(*cloud), labels)

    def full_image(self, network: Any, packed: np.ndarray) -> LabelLossInput:  # noqa: D102
        grouped, labels = self.held_out(packed)
        return self.loss_input(
            network,
            nn.ModuleDict(),
            [*as_tensors(grouped, torch.device("cpu")), torch.from_numpy(labels)[None]],
        )

    def held_out(self, packed: np.ndarray) -> tuple[GroupedPoints, NDArray[np.int64]]:
        """A stored cloud in the level frame of one robot or other, always the same; its labels."""
        height_m, xyz, labels = unpack_cloud(packed)
        seen, _ = misplaced(xyz, height_m, held_out_rng(packed))
        return group_points(seen, self.grid), labels.astype(np.int64)

    def evaluate(self, network: nn.Module, packed: np.ndarray, device: torch.device) -> ValidationResult:  # noqa: D102
        grouped, labels = self.held_out(packed)
        output = network(*as_tensors(grouped, device))[0].float().cpu().numpy()
        found = output.argmax(axis=1).astype(np.int64) + 1
        confusion = label_confusion(found, labels)
        ious = label_ious(confusion)
        marked = np.isin(np.arange(len(PointLabel)), OBSTACLE_LABELS)
        known = labels != PointLabel.UNKNOWN
        wrong = known & (marked[found] != marked[labels])
        both = known & marked[found] & marked[labels]
        metrics = {
            "ground_iou": float(np.nan_to_num(ious[PointLabel.GROUND], nan=1.0)),
            "obstacle_iou": float(both.sum() / max(both.sum() + wrong.sum(), 1)),
            "accuracy": float((found == labels)[known].mean()) if known.any() else 1.0,
        }
        return _seen_from_above(grouped.points, labels, found, output.max(axis=1), metrics)


def as_tensors(grouped: GroupedPoints, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Tensors of one cloud: points, cells, members, with a batch of 1."""
    points, cells, members = (
        torch.from_numpy(array)[None].to(device) for array in (grouped.points, grouped.cells, grouped.members)
    )
    return points, cells, members


def _seen_from_above(
    xyz: NDArray[np.float32],
    labels: NDArray[np.int64],
    found: NDArray[np.int64],
    confidence: NDArray[np.float32],
    metrics: dict[str, float],
) -> ValidationResult:
    """The labels as rasters, the highest point last; ahead is up."""
    width, height = _VIEW_WH
    low = xyz[:, 2] < 2.2  # below a ceiling
    column = ((0.5 - xyz[:, 1] / _VIEW_M) * width).astype(int)
    row = ((1.0 - xyz[:, 0] / _VIEW_M) * height).astype(int)
    shown = np.flatnonzero(low & (column >= 0) & (column < width) & (row >= 0) & (row < height))
    shown = shown[np.argsort(xyz[shown, 2], kind="stable")]
    at = row[shown], column[shown]
    image = np.zeros((height, width, 3), np.uint8)
    planes = np.full((3, height, width), np.nan, np.float32)
    image[at] = LABEL_COLOURS[found[shown]]
    planes[:, at[0], at[1]] = labels[shown], found[shown], confidence[shown]
    planes[0][planes[0] == PointLabel.UNKNOWN] = np.nan
    return ValidationResult(image, planes[0], planes[1], planes[2], metrics)
