"""Single objects as training data: views of them beside their points, and visible parts beside the whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recon3d_ros.evaluation.world_objects import (
    LEAST_POINTS,
    OBJECT_CHANNELS,
    measured,
    part_and_truth,
    render_object,
    shown,
    thinned,
    unpack_object,
    view_and_truth,
)
from recon3d_ros.geometry.object_in_view import ObjectInView
from recon3d_ros.geometry.unit_frame import MARGIN, ObjectView, visible_frame
from recon3d_ros.metrics import shape_metrics
from recon3d_ros.training.losses.shape_input import ShapeLossInput
from recon3d_ros.training.samples.augment import planes
from recon3d_ros.training.samples.augment_view import photometric
from recon3d_ros.training.samples.results import ValidationResult

Arrays = tuple[np.ndarray, ...]
# Of the truth, so many points a crop: more cost time and teach hardly more.
TRUTH_POINTS = 1024
# Of the crops, how many show the object alone, as with a mask.
MASKED_SHARE = 0.5
# Of the parts that are learnt, how many are seen through a window: cut off by something before them.
CUT_SHARE = 0.25
_VIEW_PX = 96
CPU = torch.device("cpu")


class _ObjectTask:
    """What both tasks have in common: the same stored objects, and points to be found."""

    channels: ClassVar[int] = OBJECT_CHANNELS
    metrics: ClassVar[tuple[str, ...]] = ("chamfer", "f_score")
    variants: ClassVar[int] = 1

    def render(self, seed: int, size_wh: tuple[int, int]) -> np.ndarray:
        return render_object(seed, size_wh)

    def loss_input(self, network: Any, adapters: nn.ModuleDict, batch: list[Tensor]) -> ShapeLossInput:
        seen, points = batch
        estimate, coarse = network.analyse(seen)
        return ShapeLossInput(estimate, points, coarse)


@dataclass(frozen=True)
class PointSetTask(_ObjectTask):
    """All points of an object in one image; `side_px` is the side of the square that the network sees."""

    side_px: int

    def crop(  # noqa: D102
        self, draw: Callable[[], np.ndarray], size_wh: tuple[int, int], rng: np.random.Generator
    ) -> Arrays:
        stored = unpack_object(draw())
        x, y, width, height = stored.box
        side = max(width, height)
        shift = rng.normal(0, 0.03 * side, 2)
        box = (x + shift[0], y + shift[1], width, height)
        view = ObjectView.of_box(stored.camera, box, MARGIN * math.exp(rng.normal(0, 0.06)))
        image = shown(stored, view, self.side_px, masked=rng.random() < MASKED_SHARE)
        points = view.frame(view.middle_m(stored.whole)).to_unit(stored.whole)
        if rng.random() < 0.5:
            image, points = np.ascontiguousarray(image[:, ::-1]), points * np.array([-1, 1, 1], np.float32)
        return image, points[rng.choice(len(points), TRUTH_POINTS, replace=False)]

    def augment(self, crop: Arrays, rng: np.random.Generator) -> Arrays:  # noqa: D102
        return photometric(crop[0], rng), crop[1]

    def full_image(self, network: Any, packed: np.ndarray) -> ShapeLossInput:  # noqa: D102
        image, points = view_and_truth(unpack_object(packed), self.side_px)
        return self.loss_input(
            network, nn.ModuleDict(), [_image_tensor(image, CPU), torch.from_numpy(points)[None]]
        )

    def evaluate(self, network: nn.Module, packed: np.ndarray, device: torch.device) -> ValidationResult:  # noqa: D102
        image, points = view_and_truth(unpack_object(packed), self.side_px)
        estimate = network(_image_tensor(image, device))[0].float().cpu().numpy()
        return _compared(image, points, estimate)


@dataclass(frozen=True)
class CompletionTask(_ObjectTask):
    """All points of an object from those of its visible part, `count` of them."""

    count: int

    def crop(  # noqa: D102
        self, draw: Callable[[], np.ndarray], size_wh: tuple[int, int], rng: np.random.Generator
    ) -> Arrays:
        for _ in range(8):
            stored = unpack_object(draw())
            partial = seen_part(stored, rng)
            if len(partial) >= LEAST_POINTS:
                break
        else:
            partial = stored.whole  # rare: eight objects in a row of which nearly nothing was measured
        frame = visible_frame(partial)
        side = np.array([rng.choice([-1.0, 1.0]), 1.0, 1.0], np.float32)
        whole = frame.to_unit(stored.whole)
        kept = whole[rng.choice(len(whole), TRUTH_POINTS, replace=False)]
        return frame.to_unit(thinned(partial, self.count, rng)) * side, kept * side

    def augment(self, crop: Arrays, rng: np.random.Generator) -> Arrays:  # noqa: D102
        partial, points = crop
        # The frame of a part is never quite the same: both move and grow together.
        size, shift = math.exp(rng.normal(0, 0.05)), rng.normal(0, 0.03, 3).astype(np.float32)
        noise = rng.normal(0, 0.01 * rng.random(), partial.shape)
        moved = partial * np.float32(size) + shift + noise.astype(np.float32)
        return moved.astype(np.float32), (points * np.float32(size) + shift).astype(np.float32)

    def full_image(self, network: Any, packed: np.ndarray) -> ShapeLossInput:  # noqa: D102
        partial, points = part_and_truth(unpack_object(packed), self.count)
        return self.loss_input(
            network, nn.ModuleDict(), [torch.from_numpy(partial)[None], torch.from_numpy(points)[None]]
        )

    def evaluate(self, network: nn.Module, packed: np.ndarray, device: torch.device) -> ValidationResult:  # noqa: D102
        stored = unpack_object(packed)
        partial, points = part_and_truth(stored, self.count)
        estimate = network(torch.from_numpy(partial)[None].to(device))[0].float().cpu().numpy()
        return _compared(
            shown(stored, ObjectView.of_box(stored.camera, stored.box), _VIEW_PX), points, estimate
        )


def seen_part(stored: ObjectInView, rng: np.random.Generator) -> NDArray[np.float32]:
    """Its measured points, some cut off on one side as by something before the object, (N, 3) float32 m."""
    partial = measured(stored)
    if len(partial) < LEAST_POINTS or rng.random() >= CUT_SHARE:
        return partial
    angle = rng.uniform(0, 2 * np.pi)
    along = partial[:, 0] * math.cos(angle) + partial[:, 1] * math.sin(angle)
    return partial[along <= np.quantile(along, rng.uniform(0.5, 1.0))]


def _image_tensor(image: NDArray[np.uint8], device: torch.device) -> Tensor:
    return torch.from_numpy(planes(image / np.float32(255)))[None].to(device)


def _compared(
    image: NDArray[np.uint8], truth: NDArray[np.float32], estimate: NDArray[np.float32]
) -> ValidationResult:
    """The metrics, and both clouds as rasters of 1 + their depth, the nearest point in front."""
    rasters = [_raster(points) for points in (truth, estimate)]
    confidence = np.isfinite(rasters[1]).astype(np.float32)
    return ValidationResult(image, rasters[0], rasters[1], confidence, shape_metrics(estimate, truth))


def _raster(points: NDArray[np.float32]) -> NDArray[np.float32]:
    plane = np.full((_VIEW_PX, _VIEW_PX), np.nan, np.float32)
    at = ((points[:, :2] / 1.6 + 1.0) / 2 * _VIEW_PX).astype(int)
    shown = np.flatnonzero(((at >= 0) & (at < _VIEW_PX)).all(axis=1))
    shown = shown[np.argsort(-points[shown, 2], kind="stable")]
    plane[at[shown, 1], at[shown, 0]] = 2.0 - np.clip(points[shown, 2], -1.5, 1.5)
    return plane
