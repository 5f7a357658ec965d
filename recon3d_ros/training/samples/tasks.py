"""What differs between training networks for depth and for points; loop, run and records know neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recon3d_ros import world
from recon3d_ros.metrics import depth_metrics, disparity_metrics
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.networks.completion import CompletionNetwork
from recon3d_ros.networks.mono import MonoNetwork
from recon3d_ros.networks.pillars import PillarsNetwork
from recon3d_ros.networks.point_set import PointSetNetwork
from recon3d_ros.training.losses.loss_input import DepthLossInput, DisparityLossInput, LossInput
from recon3d_ros.training.samples.augment import CropWindow, augment_pair, planes, scaled_crop
from recon3d_ros.training.samples.augment_view import blended, collage, cut_view, photometric, view_crop
from recon3d_ros.training.samples.clouds import PointsTask
from recon3d_ros.training.samples.objects import CompletionTask, PointSetTask
from recon3d_ros.training.samples.results import ValidationResult
from recon3d_ros.training.samples.store import (
    PAIR_CHANNELS,
    VIEW_CHANNELS,
    pack_pair,
    pack_view,
    unpack_pair,
)
from recon3d_ros.training.samples.teacher import TeacherFile

Arrays = tuple[np.ndarray, ...]
Draw = Callable[[], np.ndarray]  # a stored sample at random
# Of the crops that a teacher judges: two images blended into one, and one with a part of another.
BLENDED_SHARE, COLLAGED_SHARE = 0.35, 0.25
# A teacher is slow: each view that it judges is learnt with so many photometric variants.
VARIANTS = 2
# Pairs of the world reach so far beyond the range of a network: it is to know that it does not know.
BEYOND_RANGE = 1.25
CPU = torch.device("cpu")


class Task(Protocol):
    """One kind of training.

    Attributes:
        channels: Of a stored sample.
        metrics: What a validation measures: fractions, and lengths that end in `_px` or `_m`.
    """

    channels: ClassVar[int]
    metrics: ClassVar[tuple[str, ...]]

    @property
    def variants(self) -> int:
        """How many crops in a row are one view with different photometric augmentation."""
        ...

    def render(self, seed: int, size_wh: tuple[int, int]) -> np.ndarray:
        """A scene of the world, as it is stored."""
        ...

    def crop(self, draw: Draw, size_wh: tuple[int, int], rng: np.random.Generator) -> Arrays:
        """A random crop of a stored sample: images, truth, and what else is learnt from."""
        ...

    def augment(self, crop: Arrays, rng: np.random.Generator) -> Arrays:
        """The crop with random photometric augmentation."""
        ...

    def loss_input(self, network: Any, adapters: nn.ModuleDict, batch: list[Tensor]) -> Any:
        """What losses get of a batch of crops."""
        ...

    def full_image(self, network: Any, packed: np.ndarray) -> Any:
        """The same of a whole stored sample, on the CPU."""
        ...

    def evaluate(self, network: nn.Module, packed: np.ndarray, device: torch.device) -> ValidationResult:
        """The outputs of the exported graph for it, with their metrics."""
        ...


@dataclass(frozen=True)
class StereoTask:
    """Disparity of pairs of the world; `largest_px` is the largest that the network can tell."""

    largest_px: float = 192.0
    channels: ClassVar[int] = PAIR_CHANNELS
    metrics: ClassVar[tuple[str, ...]] = ("bad_px_1", "bad_px_2", "bad_px_3", "epe_px")

    def render(self, seed: int, size_wh: tuple[int, int]) -> np.ndarray:  # noqa: D102
        return pack_pair(world.training_sample(seed, size_wh, BEYOND_RANGE * self.largest_px))

    @property
    def variants(self) -> int:  # noqa: D102
        return 1

    def crop(self, draw: Draw, size_wh: tuple[int, int], rng: np.random.Generator) -> Arrays:  # noqa: D102
        return scaled_crop(draw(), size_wh, rng)

    def augment(self, crop: Arrays, rng: np.random.Generator) -> Arrays:  # noqa: D102
        return augment_pair(crop, rng)

    def loss_input(self, network: Any, adapters: nn.ModuleDict, batch: list[Tensor]) -> LossInput:  # noqa: D102
        left, right, truth = batch
        return DisparityLossInput(network.analyse(left, right), left, truth, network.config.step_px)

    def full_image(self, network: Any, packed: np.ndarray) -> LossInput:  # noqa: D102
        left, right, truth = unpack_pair(packed)
        views = [as_tensor(image, CPU) for image in (left, right)]
        return self.loss_input(network, nn.ModuleDict(), [*views, torch.from_numpy(truth)[None]])

    def evaluate(self, network: nn.Module, packed: np.ndarray, device: torch.device) -> ValidationResult:  # noqa: D102
        left, right, truth = unpack_pair(packed)
        output = network(as_tensor(left, device), as_tensor(right, device))
        disparity, confidence = (plane[0, 0].float().cpu().numpy() for plane in output[:2])
        metrics = disparity_metrics(disparity, truth)
        return ValidationResult(
            left, truth, disparity, confidence, {key: metrics[key] for key in self.metrics}
        )


@dataclass(frozen=True)
class MonoTask:
    """Canonical depth of single images; `teacher` adds what it says of each crop.

    With features on their full grid, modules see those in place of one another's. `size_wh` is what whole
    images are stretched to.
    """

    size_wh: tuple[int, int]
    teacher: TeacherFile | None = None
    channels: ClassVar[int] = VIEW_CHANNELS
    metrics: ClassVar[tuple[str, ...]] = ("delta_1", "abs_rel", "rmse_m")

    def render(self, seed: int, size_wh: tuple[int, int]) -> np.ndarray:  # noqa: D102
        sample = world.view_sample(seed, size_wh)
        assert sample.depth is not None
        return pack_view(sample.frame.image, sample.depth, sample.frame.camera.fy)

    @property
    def variants(self) -> int:  # noqa: D102
        return VARIANTS if self.teacher and not self.teacher_forcing else 1

    @property
    def teacher_forcing(self) -> bool:
        """Whether modules see the teacher's features in place of one another's."""
        return self.teacher is not None and self.teacher.full_grid

    def crop(self, draw: Draw, size_wh: tuple[int, int], rng: np.random.Generator) -> Arrays:  # noqa: D102
        image, depth = view_crop(draw(), size_wh, rng)
        if self.teacher is None:
            return image, depth
        kind = rng.random()
        if kind < BLENDED_SHARE + COLLAGED_SHARE:
            # Nobody knows what depth two images in one have, but what the teacher says of it can be learnt:
            # few images become as many as there are pairs of them (Beyer et al., CVPR 2022).
            other = view_crop(draw(), size_wh, rng)[0]
            blend = kind < BLENDED_SHARE
            image = (
                blended(image, other, float(rng.uniform(0.1, 0.9))) if blend else collage(image, other, rng)
            )
            depth = np.full_like(depth, np.nan)
        # The teacher sees it in good light: what it says is to be said of the image in any.
        return (image, depth, *self.teacher.predict(image))

    def augment(self, crop: Arrays, rng: np.random.Generator) -> Arrays:  # noqa: D102
        image, *rest = crop
        # A module that sees the teacher's features is to learn what the teacher made of the very same image.
        lit = planes(image / np.float32(255)) if self.teacher_forcing else photometric(image, rng)
        return (lit, *rest)

    def loss_input(self, network: Any, adapters: nn.ModuleDict, batch: list[Tensor]) -> LossInput:  # noqa: D102
        image, truth, *predict = batch
        teacher_depth = predict[0] if predict else None
        theirs = {name: feature.float() for name, feature in zip(adapters, predict[1:])}
        output = network.analyse(image, theirs if self.teacher_forcing else None)
        feature_pairs = [adapters[name](output.features[name], x) for name, x in theirs.items()]
        return DepthLossInput(output, image, truth, network.log_centres, teacher_depth, feature_pairs)

    def full_image(self, network: Any, packed: np.ndarray) -> LossInput:  # noqa: D102
        image, truth = self.served_view(packed)
        return self.loss_input(
            network, nn.ModuleDict(), [as_tensor(image, CPU), torch.from_numpy(truth)[None]]
        )

    def evaluate(self, network: nn.Module, packed: np.ndarray, device: torch.device) -> ValidationResult:  # noqa: D102
        image, truth = self.served_view(packed)
        output = network(as_tensor(image, device))
        depth, confidence = (plane[0, 0].float().cpu().numpy() for plane in output[:2])
        metrics = depth_metrics(depth, truth)
        return ValidationResult(image, truth, depth, confidence, {key: metrics[key] for key in self.metrics})

    def served_view(self, packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A stored image as `mono_input` has it served, and its truth."""
        height, width = packed.shape[:2]
        return cut_view(packed, CropWindow(0, 0, width, height), self.size_wh)


def mono_input(size_wh: tuple[int, int]) -> InputContract:
    """How a mono network is served: any image is stretched to the size of the crops that trained it.

    What it knows is how high things are in an image of that size; a wide one shrunk to its width would show
    them lower.
    """
    return InputContract(("image",), scale=1.0 / 255.0, size_wh=size_wh, fit="stretch")


class FeatureAdapter(nn.Module):
    """Brings our features to a teacher's channels and grid, where ours differ; standardises both alike."""

    # A channel that hardly varies says little, and is not to be learnt to the last digit.
    LEAST_VARIANCE = 1e-3

    def __init__(self, channels: int, teacher_channels: int) -> None:
        super().__init__()
        same = channels == teacher_channels
        self.project = nn.Identity() if same else nn.Conv2d(channels, teacher_channels, 1)

    def forward(self, ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) and the teacher's (B, T, y, x) -> two of (B, T, y, x)."""
        if ours.shape[2:] != theirs.shape[2:]:
            ours = nn.functional.interpolate(ours, theirs.shape[2:], mode="nearest-exact")
        variance, mean = torch.var_mean(theirs, dim=(0, 2, 3), keepdim=True)
        gain = torch.rsqrt(variance + self.LEAST_VARIANCE)
        return (self.project(ours).float() - mean) * gain, (theirs - mean) * gain


def as_tensor(image: np.ndarray, device: torch.device) -> torch.Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, H, W) float32 in [0, 1]."""
    planes = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None]
    return planes.float().div(255.0).contiguous(memory_format=torch.channels_last)


def task_for(network: Any, size_wh: tuple[int, int], teacher: TeacherFile | None = None) -> Task:
    """The task of a network that is trained on crops of this size."""
    if isinstance(network, MonoNetwork):
        return MonoTask(size_wh, teacher)
    if isinstance(network, PillarsNetwork):
        return PointsTask(network.config.rows, network.config.columns, network.config.members)
    if isinstance(network, PointSetNetwork):
        return PointSetTask(network.config.side)
    if isinstance(network, CompletionNetwork):
        return CompletionTask(size_wh[0] * size_wh[1])
    return StereoTask(network.config.largest_px)
