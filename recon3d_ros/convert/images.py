"""Images a model is shown while it is converted: to find the ranges of its tensors, and to compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros import datasets, world
from recon3d_ros.backends.base import check_feed
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import Sample
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.preprocess import Preprocessor, plan_fit, with_extra

# Scenes that neither train nor validate. Those that find the ranges are of one size, as the quantiser wants;
# those that compare are others, and of several sizes.
CALIBRATION_SEEDS = range(910_000, 910_008)
COMPARISON_SEEDS = range(920_000, 920_008)
CALIBRATION_SIZE_WH = (416, 256)
SIZES_WH = ((416, 256), (320, 320), (512, 224), (384, 288))
MAX_DISPARITY_PX = 160.0

Images = list[NDArray[np.uint8]]  # of one frame, as many as the model takes, left before right


class ComparisonFrame(NamedTuple):
    """Images, and where it is known the disparity of the left one, (H, W) px, and its depth, (H, W) m."""

    images: Images
    sample: Sample | None = None


def split_images(
    manifest: Manifest, images: Sequence[Images] | None
) -> tuple[Sequence[Images], Sequence[ComparisonFrame]]:
    """What finds ranges, and what compares: every second image each, or scenes of the world without images.

    A network is to be right about what it will see: one of rooms says anything of rendered streets, and a
    little rounding makes it say something else.

    Raises:
        DataError: There is only one image.
    """
    if images is None:
        return world_images(manifest), comparison_images(manifest)
    if len(images) < 2:
        raise DataError(
            "expected at least two images, for the ranges and for the comparison, got one: add more"
        )
    return images[::2], [ComparisonFrame(frame) for frame in images[1::2]]


def world_images(manifest: Manifest) -> list[Images]:
    """Images of the procedural world that find ranges."""
    return [_of(manifest, _sample(manifest, seed, CALIBRATION_SIZE_WH)) for seed in CALIBRATION_SEEDS]


def comparison_images(manifest: Manifest) -> list[ComparisonFrame]:
    """Images of other scenes of the world, with their truth."""
    samples = [_sample(manifest, seed, SIZES_WH[seed % len(SIZES_WH)]) for seed in COMPARISON_SEEDS]
    return [ComparisonFrame(_of(manifest, sample), sample) for sample in samples]


def folder_images(manifest: Manifest, folder: Path, limit: int = 32) -> list[Images]:
    """At most `limit` images of a folder, spread over it and cropped to the smallest of them.

    Pairs lie in `left/` and `right/`.

    Raises:
        DataError: there is no such folder, nothing in it, or no pairs for a stereo model.
    """
    raw = datasets.folder_images(folder)
    chosen = [raw[i] for i in np.unique(np.linspace(0, len(raw) - 1, limit).round().astype(int))]
    if not manifest.is_stereo:
        return _cropped([[item.left] for item in chosen])
    pairs = [[item.left, item.right] for item in chosen if item.right is not None]
    if not pairs:
        raise DataError(f"expected left/ and right/ in {folder} for a stereo model, got single images")
    return _cropped(pairs)


def _cropped(frames: list[Images]) -> list[Images]:
    """The middles of the images, as large as the smallest: the quantiser wants one size."""
    shapes = [image.shape[:2] for images in frames for image in images]
    height, width = (min(sides) for sides in zip(*shapes))

    def middle(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        y, x = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        return image[y : y + height, x : x + width]

    return [[middle(image) for image in images] for images in frames]


def feeds(
    manifest: Manifest, frames: Sequence[Images], inputs: tuple[TensorSpec, ...]
) -> list[dict[str, NDArray[Any]]]:
    """The tensors of each frame, as the estimator would make them for these inputs of the file."""
    made = []
    for images in frames:
        fit = plan_fit(manifest.input, (images[0].shape[1], images[0].shape[0]))
        tensors = Preprocessor(manifest.input, fit, len(images)).tensors(images)
        made.append(check_feed(inputs, with_extra(tensors, manifest.input, fit, inputs)))
    return made


def _sample(manifest: Manifest, seed: int, size_wh: tuple[int, int]) -> Sample:
    if not manifest.is_stereo:
        return world.view_sample(seed, size_wh)
    return world.training_sample(seed, size_wh, MAX_DISPARITY_PX)


def _of(manifest: Manifest, sample: Sample) -> Images:
    right = sample.frame.right
    return [sample.frame.image] if right is None else [sample.frame.image, right]
