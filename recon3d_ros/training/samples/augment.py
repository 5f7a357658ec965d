"""Crop and augment a pair so that the network meets what real cameras do, with the disparity kept right.

What happens to a pair, in this order (docs/training.md says why, and how often):

1. a random window, resized to the crop: the disparity scales with the width, as the focal length does;
2. sometimes upside down: rows are swapped in both images, the disparity stays one to the left;
3. photometry: grey or colour, exposure, gamma, tint, overexposure, blur and noise, partly each side its own;
4. rows of the right image up to a pixel off, as after an imperfect calibration;
5. places of the right image covered with other parts of it.

Left and right are never mirrored: the truth is that of the left image, and would have to be the right one's.
Normalisation is no part of it: images are in [0, 1], and the network itself makes them 2 x - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from recon3d_ros.training.samples.store import unpack_pair

Pair = tuple[np.ndarray, np.ndarray, np.ndarray]


def lit_pair(view: tuple[np.ndarray, ...], rng: np.random.Generator) -> Pair:
    """All of it but the window.

    Args:
        view: Of `scaled_crop`.
        rng: Where all chance comes from.

    Returns:
        Left and right (3, h, w) float32 in [0, 1]; disparity (h, w) float32 px, NaN = unknown.
    """
    left, right, disparity = view
    if rng.random() < 0.15:
        left, right, disparity = left[::-1], right[::-1], disparity[::-1]
    left, right = change_photometry([left, right], rng)
    right = misalign(right, rng)
    if rng.random() < 0.4:
        right = occlude(right, rng)
    return planes(left), planes(right), np.ascontiguousarray(disparity)


@dataclass(frozen=True)
class Window:
    """The part of an image that becomes a crop, px."""

    x: int
    y: int
    width: int
    height: int


def scaled_crop(packed: np.ndarray, size_wh: tuple[int, int], rng: np.random.Generator) -> Pair:
    """Cut a random window and resize it to the crop.

    Args:
        packed: (H, W, 8) uint8 of `store.pack_pair`, at least as large as the crop.
        size_wh: Size of the crop.
        rng: Where all chance comes from.
    """
    return cut(packed, draw_window(packed.shape[:2], size_wh, rng), size_wh)


def draw_window(shape_hw: tuple[int, ...], size_wh: tuple[int, int], rng: np.random.Generator) -> Window:
    """A window of 0.66 to 1.74 times the size of the crop, its aspect up to a third another one."""
    width, height = size_wh
    full_h, full_w = shape_hw
    scale = 2.0 ** rng.uniform(-0.6, 0.4)
    stretch = 2.0 ** rng.uniform(-0.2, 0.2)
    cut_w = int(np.clip(round(width / (scale * stretch)), 32, full_w))
    cut_h = int(np.clip(round(height / scale * stretch), 32, full_h))
    x, y = rng.integers(0, full_w - cut_w + 1), rng.integers(0, full_h - cut_h + 1)
    return Window(int(x), int(y), cut_w, cut_h)


def cut(packed: np.ndarray, window: Window, size_wh: tuple[int, int]) -> Pair:
    """The window of both images at the size of the crop; the disparity scales with the width.

    The camera of the crop is `camera.cropped(x, y, width, height).scaled(size_wh)`: f and disparity grow by
    the same factor, so f B / d is the same depth as before.

    Args:
        packed: (H, W, 8) uint8 of `store.pack_pair`.
        window: Inside of it.
        size_wh: Of the crop.

    Returns:
        Left and right (h, w, 3) uint8 RGB, disparity (h, w) float32 px with NaN for unknown.
    """
    rows = slice(window.y, window.y + window.height)
    left, right, disparity = unpack_pair(packed[rows, window.x : window.x + window.width])
    if (window.width, window.height) == size_wh:
        return left, right, disparity
    how = cv2.INTER_AREA if window.width > size_wh[0] else cv2.INTER_LINEAR
    left, right = (cv2.resize(image, size_wh, interpolation=how) for image in (left, right))
    # Nearest: a mean over an edge would be a surface that is not there.
    disparity = cv2.resize(disparity, size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
    return left, right, (disparity * (size_wh[0] / window.width)).astype(np.float32)


def change_photometry(
    sides: Sequence[np.ndarray], rng: np.random.Generator, grey_share: float = 0.5
) -> list[np.ndarray]:
    """Grey or colour, then exposure, gamma, tint, blur and noise: shared, and a little on each side.

    A fifth are overexposed, so that white is not always sky.

    Args:
        sides: (h, w, 3) uint8 RGB, one or several.
        rng: Where all chance comes from.
        grey_share: How many lose their colour.

    Returns:
        (h, w, 3) float32 in [0, 1] each.
    """
    images: list[Any] = [image.astype(np.float32) / 255.0 for image in sides]
    if rng.random() < grey_share:
        weights = rng.dirichlet((3.0, 6.0, 2.0)).astype(np.float32)
        images = [np.repeat((image @ weights)[..., None], 3, axis=2) for image in images]
        tint = 0.0
    else:
        tint = 0.15
    shared = _draw_tone(rng, strength=1.0, tint=tint)
    burn = rng.uniform(1.2, 3.0) if rng.random() < 0.2 else 1.0
    sigma = rng.choice([0.0, 0.0, rng.uniform(0.3, 1.2)])
    noise = rng.choice([0.0, rng.uniform(0.0, 0.03)])
    apart = rng.uniform(0.0, 0.5)
    result = []
    for image in images:
        image = _apply_tone(_apply_tone(image * burn, shared), _draw_tone(rng, strength=apart, tint=tint))
        own_sigma = sigma + (rng.uniform(0.0, 0.8) if rng.random() < 0.15 else 0.0)
        if own_sigma > 0.2:
            image = cv2.GaussianBlur(image, (0, 0), own_sigma)
        if noise > 0.0:
            own_noise = np.float32(noise * 2.0 ** rng.uniform(-0.5, 0.5))
            image += own_noise * rng.standard_normal((*image.shape[:2], 1), np.float32)
        result.append(np.clip(image, 0.0, 1.0))
    return result


def _draw_tone(rng: np.random.Generator, strength: float, tint: float) -> tuple[float, float, np.ndarray]:
    gamma = 2.0 ** (strength * rng.uniform(-0.7, 0.7))
    offset = strength * rng.uniform(-0.1, 0.1)
    gain = 2.0 ** (strength * (rng.uniform(-0.6, 0.6) + tint * rng.uniform(-1, 1, 3)))
    return gamma, offset, gain.astype(np.float32)


def _apply_tone(image: np.ndarray, tone: tuple[float, float, np.ndarray]) -> np.ndarray:
    gamma, offset, gain = tone
    return np.clip(cv2.pow(np.clip(image, 0.0, 1.0), gamma) * gain + np.float32(offset), 0.0, 1.0)


def misalign(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift rows by up to a pixel, differently across the width, as an imperfect calibration does.

    Half of the time; columns stay where they are, so the disparity stays right.
    """
    if rng.random() < 0.5:
        return image
    height, width = image.shape[:2]
    slope = rng.uniform(-0.5, 0.5) / width
    matrix = np.array([[1.0, 0.0, 0.0], [slope, 1.0, rng.uniform(-0.8, 0.8) - slope * width / 2]])
    return cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def occlude(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cover one or two places with another part of the image: what only one camera sees."""
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(rng.integers(1, 3)):
        w = int(rng.integers(min(16, width - 1), max(width // 4, 18)))
        h = int(rng.integers(min(16, height - 1), max(height // 3, 18)))
        x, y, u, v = (int(rng.integers(0, n)) for n in (width - w, height - h, width - w, height - h))
        image[y : y + h, x : x + w] = image[v : v + h, u : u + w].copy()
    return image


def planes(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) -> (3, h, w) float32."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
