"""HoloLens and NYUv2: one colour camera with registered metric depth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recon3d_ros.datasets import index
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.errors import DataError
from recon3d_ros.files import read_image
from recon3d_ros.geometry import Frame, PinholeCamera, Sample

# Neither set carries time stamps here; frames are spaced by this nominal period.
NOMINAL_PERIOD_NS = 100_000_000
# The index states NYUv2's scale as a formula in words: depth in metres = (stored + 0.5) * 9.99547 / 255.
NYUV2_M_PER_STEP = 9.99547 / 255.0
# Where NYUv2 is scored: left, top, right and bottom of the whole frame, and its size (Eigen et al. 2014).
EIGEN_LTRB, EIGEN_FRAME_WH = (41, 45, 601, 471), (640, 480)


def hololens(root: Path) -> LazySequence[Sample]:
    """The HoloLens frames: depth in metres, NaN where the sensor saw nothing.

    Raises:
        DataError: when the index has no such sequence.
    """
    entry = index.sequence(root, "hololens")

    def depth_of(stored: np.ndarray) -> np.ndarray:
        unknown = np.isin(stored, index.value(entry, "gt_invalid"))
        return np.where(unknown, np.float32(np.nan), stored * np.float32(index.value(entry, "gt_to_m")))

    return LazySequence(range(index.value(entry, "n")), lambda i: _read(root, entry, i, depth_of))


def nyuv2(root: Path, split: str, eigen_only: bool = False) -> LazySequence[Sample]:
    """NYUv2 with its white border cropped away and the principal point moved with it.

    The depth is inpainted (dense) and quantised to 0.04 m.

    Args:
        root: the data folder.
        split: `test` = the test blocks, the only ones that may be scored; `train` = everything that is
            neither in a test block nor within the guard frames around one.
        eigen_only: depth only within the crop of Eigen et al. 2014, NaN around it: what is scored.

    Raises:
        DataError: when the index has no such sequence.
    """
    entry = index.sequence(root, "nyuv2")

    def depth_of(stored: np.ndarray) -> np.ndarray:
        depth = (stored.astype(np.float32) + np.float32(0.5)) * np.float32(NYUV2_M_PER_STEP)
        return _within_eigen_crop(depth) if eigen_only else depth

    return LazySequence(split_frames(entry, split), lambda i: _read(root, entry, i, depth_of))


def _within_eigen_crop(depth: np.ndarray) -> np.ndarray:
    """(H, W) m of a whole frame, NaN outside the crop; of a frame of another size, the same part of it."""
    height, width = depth.shape
    scale = np.array([width, height] * 2) / np.array(EIGEN_FRAME_WH * 2)
    left, top, right, bottom = np.rint(EIGEN_LTRB * scale).astype(int)
    kept = np.full_like(depth, np.nan)
    kept[top:bottom, left:right] = depth[top:bottom, left:right]
    return kept


def split_frames(entry: Mapping[str, Any], split: str) -> list[int]:
    """Frame numbers of the `train` or `test` split, as the index's `split` rule defines them."""
    length, guard = (index.value(entry, "split", key) for key in ("block_frames", "guard_frames"))
    count = index.value(entry, "n")
    test: set[int] = set()
    kept_away: set[int] = set()
    for block in index.value(entry, "split", "test_blocks"):
        first, end = block * length, (block + 1) * length
        test.update(range(first, end))
        kept_away.update(range(first - guard, end + guard))
    if split == "test":
        return sorted(i for i in test if i < count)
    return [i for i in range(count) if i not in kept_away]


def _read(root: Path, entry: Mapping[str, Any], i: int, depth_of: Any) -> Sample:
    image = read_image(root / index.value(entry, "rgb").format(i=i))
    depth = depth_of(index.read_truth(root / index.value(entry, "depth").format(i=i)))
    camera = PinholeCamera.simple(
        index.value(entry, "width"),
        index.value(entry, "height"),
        index.value(entry, "fx"),
        cx=index.value(entry, "cx"),
        cy=index.value(entry, "cy"),
        fy=index.value(entry, "fy"),
    )
    camera.check_image(image)
    if depth.shape != image.shape[:2]:
        raise DataError(
            f"expected depth of the image's size {image.shape[:2]}, got {depth.shape} for frame {i} of "
            f"{entry.get('id')}: restore the file"
        )
    if entry.get("crop_px"):
        x, y, right, bottom = (
            index.value(entry, "crop_px", side) for side in ("left", "top", "right", "bottom")
        )
        width, height = camera.width - x - right, camera.height - y - bottom
        camera = camera.cropped(x, y, width, height)
        inside = (slice(y, y + height), slice(x, x + width))
        image, depth = np.ascontiguousarray(image[inside]), np.ascontiguousarray(depth[inside])
    name = f"{index.value(entry, 'id')}_{i:04d}"
    frame = Frame(stamp_ns=i * NOMINAL_PERIOD_NS, image=image, camera=camera, name=name)
    return Sample(frame=frame, disparity=None, depth=depth, name=name)
