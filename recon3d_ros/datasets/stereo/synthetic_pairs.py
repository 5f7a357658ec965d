"""Stereo pairs made of NYUv2's photographs and depth: real images with exact disparity.

They are for choosing among networks and for looking at their confidence. Only the test blocks are used, so
training may use the other frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.rgbd.sets import NYUV2_M_PER_STEP, nyuv2
from recon3d_ros.datasets.stereo.synthesis import Plane, right_view, sharpen_edges, smooth_depth
from recon3d_ros.geometry import Frame, Sample, StereoRig

# Neighbouring frames of a film are nearly alike: every second one.
STRIDE = 2
SEED = 31
NEAREST_PX = (12.0, 160.0)  # the disparity of what is nearest lies between, by its logarithm
LARGEST_PX = 190.0
_MOST_SHAPES = 5
# What the crop of the index leaves of the photographs' white frame.
_FRAME_PX = 3

Rng = np.random.Generator
Image = NDArray[np.uint8]


def nyuv2_pairs(root: Path, seen_only: bool = False) -> LazySequence[Sample]:
    """A hundred pairs, the same ones each time: baseline, floating shapes and noise come from a fixed seed.

    Half of them are grey. Disparity and depth are those of the warp, exact, and known everywhere.

    Args:
        root: The data folder.
        seen_only: Truth only where the right camera sees the point too, as KITTI 2012's non-occluded one.

    Raises:
        DataError: when the index has no NYUv2.
    """
    photographs = nyuv2(root, "test")

    def load(i: int) -> Sample:
        return make_pair(photographs, i, np.random.default_rng([SEED, i]), seen_only)

    return LazySequence(range(0, len(photographs), STRIDE), load)


def make_pair(photographs: Sequence[Sample], i: int, rng: Rng, seen_only: bool = False) -> Sample:
    """Make a pair of photograph `i`; others lend their pixels to shapes and to what only the right sees."""
    photograph = photographs[i]
    image = _inner(photograph.frame.image)
    camera = photograph.frame.camera.cropped(_FRAME_PX, _FRAME_PX, image.shape[1], image.shape[0])
    assert photograph.depth is not None  # NYUv2 has it
    depth = sharpen_edges(smooth_depth(_inner(photograph.depth), NYUV2_M_PER_STEP))
    nearest_px = float(np.exp(rng.uniform(*np.log(NEAREST_PX))))
    disparity = np.float32(nearest_px * np.percentile(depth, 1)) / depth
    np.minimum(disparity, np.float32(LARGEST_PX), out=disparity)
    image, disparity = image.copy(), disparity.astype(np.float32)
    for _ in range(int(rng.integers(0, _MOST_SHAPES + 1))):
        image = _add_shape(image, disparity, _other(photographs, i, rng), rng)
    view = right_view(image, disparity)
    right = np.where(view.hole[..., None], _other(photographs, i, rng), view.image)
    images = [_photographed(side, rng) for side in (image, right)]
    if rng.random() < 0.5:
        images = [cv2.cvtColor(side, cv2.COLOR_RGB2GRAY) for side in images]  # type: ignore[misc]
    baseline_m = nearest_px * float(np.percentile(depth, 1)) / camera.fx
    rig = StereoRig.simple(camera.width, camera.height, camera.fx, baseline_m, cx=camera.cx, cy=camera.cy)
    if seen_only:
        disparity = np.where(view.seen, disparity, np.float32(np.nan))
    name = photograph.name.replace("nyuv2", "nyuv2_pair")
    frame = Frame(photograph.frame.stamp_ns, images[0], rig.left, images[1], rig, name)
    return Sample(frame, disparity, rig.depth_from_disparity(disparity), name)


def _inner(plane: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(plane[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX])


def _other(photographs: Sequence[Sample], i: int, rng: Rng) -> Image:
    """The photograph of another room, mirrored half of the time."""
    count = len(photographs)
    image = _inner(photographs[(i + int(rng.integers(count // 4, 3 * count // 4 + 1))) % count].frame.image)
    return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image


def _add_shape(image: Image, disparity: Plane, texture: Image, rng: Rng) -> Image:
    """Hang a textured shape, flat and slanted, in front of what is there; `disparity` is written to."""
    alpha = _outline(disparity.shape, rng)
    inside = alpha >= 0.5
    if not inside.any():
        return image
    behind = float(disparity[inside].max())
    nearest = behind + rng.uniform(1.0, max(2.0, 0.6 * behind))
    slope = rng.normal(0, 0.03, 2)
    v, u = np.nonzero(inside)
    plane = nearest + slope[0] * (u - u.mean()) + slope[1] * (v - v.mean())
    disparity[inside] = np.clip(plane, behind + 0.5, max(LARGEST_PX, behind + 0.5)).astype(np.float32)
    blend = alpha[..., None]
    return np.rint(image * (1 - blend) + texture * blend).astype(np.uint8)


def _outline(shape_hw: tuple[int, ...], rng: Rng) -> Plane:
    """Coverage, 0 to 1, of a polygon, an ellipse or a pole, somewhere in the image."""
    height, width = shape_hw
    centre = rng.uniform((0, 0), (width, height))
    size = width * float(np.exp(rng.uniform(np.log(0.04), np.log(0.2))))
    kind = rng.integers(3)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 3 + int(rng.integers(6))))
    if kind == 0:
        points = centre + size * rng.uniform(0.5, 1.0, (len(angles), 1)) * _unit(angles)
    elif kind == 1:
        axes = np.array([size, size * rng.uniform(0.3, 1.0)])
        points = centre + _unit(np.linspace(0, 2 * np.pi, 48, endpoint=False)) * axes
    else:  # a pole of two to eight pixels
        along, thick = _unit(rng.uniform(0, np.pi, 1))[0], rng.uniform(1.0, 4.0)
        across = np.array([-along[1], along[0]])
        corners = ((1, 1), (1, -1), (-1, -1), (-1, 1))
        points = np.array([centre + 3 * size * a * along + thick * b * across for a, b in corners])
    mask = np.zeros((height, width), np.uint8)
    fixed = np.rint(points * 16).astype(np.int32)  # positions to a sixteenth of a pixel
    cv2.fillPoly(mask, [fixed], 255, lineType=cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / np.float32(255)


def _unit(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _photographed(image: Image, rng: Rng) -> Image:
    """As another camera would take it: a little brighter or darker, with noise of its own."""
    gain, offset, noise = rng.uniform(0.92, 1.08), rng.uniform(-4, 4), rng.uniform(0.5, 2.5)
    seen = image * gain + offset + rng.normal(0, noise, image.shape)
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)
