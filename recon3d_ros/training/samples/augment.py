"""Crop and augment a pair so that the network meets what real cameras do, with the disparity kept right.

What happens to a pair, in this order (docs/training.md says why, and how often):

1. a random window, often one with thin things, resized to the crop: the disparity scales with the width, as
   the focal length does;
2. in half of the crops, posts, fences, branches and near boards are pasted into both images (`posts.py`);
3. sometimes upside down: rows are swapped in both images, the disparity stays one to the left;
4. photometry: grey or colour, exposure, gamma, tint, overexposure, blur and noise, partly each side its own;
5. what a sensor adds: glare, too little light, its noise, JPEG;
6. rows of the right image up to 3.2 px off, as after an imperfect calibration;
7. places of the right image covered with other parts of it.

A third of the pairs is spared 5 to 7: most cameras are good, and a network that sees bad ones alone is worse
with those.

Left and right are never mirrored: the truth is that of the left image, and would have to be the right one's.
Normalisation is no part of it: images are in [0, 1], and the network itself makes them 2 x - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from recon3d_ros.training.samples.posts import paste_things
from recon3d_ros.training.samples.store import STEPS_PER_PX, Pair, unpack_pair

# Of the pairs, how many come from a good, well calibrated camera.
GOOD_SHARE = 0.35
# Of the crops, how many get things pasted in.
PASTED_SHARE = 0.5
# Of the crops: the one of three windows that shows the most of thin things.
THIN_SHARE = 0.5
# Narrower than this, and so much nearer than what is beside it, is thin; px of the stored pair.
THIN_WIDTH_PX, THIN_STEP_PX = 13, 3.0
# Of the others, how many have rows as far off as after a good calibration, and as after a bad one; px.
ROWS_OFF_PX = ((0.35, 0.8), (0.35, 3.2))


def augment_pair(crop: tuple[np.ndarray, ...], rng: np.random.Generator) -> Pair:
    """All of it but the window.

    Args:
        crop: Of `scaled_crop`.
        rng: Where all chance comes from.

    Returns:
        Left and right (3, h, w) float32 in [0, 1]; disparity (h, w) float32 px, NaN = unknown.
    """
    left, right, disparity = crop
    if rng.random() < PASTED_SHARE:
        left, right, disparity = paste_things((left, right, disparity), rng)
    if rng.random() < 0.15:
        left, right, disparity = left[::-1], right[::-1], disparity[::-1]
    left, right = change_photometry([left, right], rng)
    if rng.random() >= GOOD_SHARE:
        left, right = sensor_effects([left, right], rng)
        right = misalign(right, rng)
        if rng.random() < 0.4:
            right = occlude(right, rng)
    return planes(left), planes(right), np.ascontiguousarray(disparity)


@dataclass(frozen=True)
class CropWindow:
    """The part of an image that becomes a crop, px."""

    x: int
    y: int
    width: int
    height: int


def scaled_crop(packed: np.ndarray, size_wh: tuple[int, int], rng: np.random.Generator) -> Pair:
    """Cut a random window, often one with thin things, and resize it to the crop.

    Args:
        packed: (H, W, 8) uint8 of `store.pack_pair`, at least as large as the crop.
        size_wh: Size of the crop.
        rng: Where all chance comes from.
    """
    draws = 3 if rng.random() < THIN_SHARE else 1
    windows = [draw_window(packed.shape[:2], size_wh, rng) for _ in range(draws)]
    window = windows[0] if draws == 1 else max(windows, key=lambda one: thin_share(packed, one))
    return cut(packed, window, size_wh)


def thin_share(packed: np.ndarray, window: CropWindow) -> float:
    """The share of the pixels of a window that show something narrow before something farther.

    What an opening takes away: greyscale erosion, then dilation, of the disparity along rows and columns.

    Args:
        packed: (H, W, 8) uint8 of `store.pack_pair`.
        window: Inside of it.
    """
    rows = slice(window.y, window.y + window.height, 2)  # every second pixel tells enough
    fixed = np.ascontiguousarray(packed[rows, window.x : window.x + window.width : 2, 6:]).view("<u2")[..., 0]
    length = THIN_WIDTH_PX // 2 + 1
    opened = [cv2.morphologyEx(fixed, cv2.MORPH_OPEN, np.ones(shape)) for shape in ((1, length), (length, 1))]
    apart = fixed.astype(np.int32) - np.minimum(*opened)
    return float(np.mean(apart > THIN_STEP_PX * STEPS_PER_PX))


def draw_window(shape_hw: tuple[int, ...], size_wh: tuple[int, int], rng: np.random.Generator) -> CropWindow:
    """A window of 0.66 to 2.3 times the size of the crop, its aspect up to a third another one.

    It is as large as the image at most.
    """
    width, height = size_wh
    full_h, full_w = shape_hw
    scale = 2.0 ** rng.uniform(-1.0, 0.4)
    stretch = 2.0 ** rng.uniform(-0.2, 0.2)
    cut_w = int(np.clip(round(width / (scale * stretch)), 32, full_w))
    cut_h = int(np.clip(round(height / scale * stretch), 32, full_h))
    x, y = rng.integers(0, full_w - cut_w + 1), rng.integers(0, full_h - cut_h + 1)
    return CropWindow(int(x), int(y), cut_w, cut_h)


def cut(packed: np.ndarray, window: CropWindow, size_wh: tuple[int, int]) -> Pair:
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


def sensor_effects(images: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Glare that burns out a part, light for a mean of 4 to 25 % alone, noise, and JPEG; each now and then.

    Args:
        images: (h, w, 3) float32 in [0, 1], both sides of a pair.
        rng: Where all chance comes from.

    Returns:
        The same kind.
    """
    glare = _glare(images[0].shape[:2], rng) if rng.random() < 0.1 else None
    dim = 2.0 ** rng.uniform(-4.5, -2.0) if rng.random() < 0.12 else 1.0
    darkness = min(1.0, dim / max(float(images[0].mean()), 1e-3))
    noise = rng.uniform(0.0, 0.06) if rng.random() < 0.3 else 0.0
    channels = int(rng.choice([1, 3]))
    quality = int(rng.integers(15, 91)) if rng.random() < 0.15 else None
    result = []
    for image in images:
        if glare is not None:
            image = image * glare
        if darkness < 1.0:
            image = image * np.float32(darkness * 2.0 ** rng.uniform(-0.2, 0.2))
        image = np.clip(image, 0.0, 1.0)
        if noise:
            # Half of it from the electronics, half from the light, which varies with its root.
            spread = np.float32(noise) * np.sqrt(0.5 + 0.5 * image)
            image = image + spread * rng.standard_normal((*image.shape[:2], channels), np.float32)
        if quality is not None or darkness < 1.0:
            # As a camera gives it: in the dark few of the 256 levels are left.
            levels = np.clip(np.rint(image * 255.0), 0, 255).astype(np.uint8)
            image = (levels if quality is None else _through_jpeg(levels, quality)) / np.float32(255)
        result.append(np.clip(image, 0.0, 1.0))
    return result


def _glare(shape_hw: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """(h, w, 1) factor of at least 1, largest at a place that may lie outside."""
    height, width = shape_hw
    x, y = rng.uniform(-0.2, 1.2) * width, rng.uniform(-0.2, 1.2) * height
    spread = rng.uniform(0.1, 0.5) * width
    across, down = (np.exp(-(((np.arange(n) - at) / spread) ** 2)) for n, at in ((width, x), (height, y)))
    return (1.0 + rng.uniform(1.0, 6.0) * np.outer(down, across)).astype(np.float32)[..., None]


def _through_jpeg(levels: np.ndarray, quality: int) -> np.ndarray:
    _, code = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    # The order of the channels stays what it was: both ways take them for blue, green, red.
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))


def misalign(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift rows up or down, differently across width and height, as an imperfect calibration does.

    Most of the time; columns stay where they are, so the disparity stays right.
    """
    kind = rng.random()
    (often, slight), (seldom, strong) = ROWS_OFF_PX
    if kind >= often + seldom:
        return image
    most = slight if kind < often else strong
    height, width = image.shape[:2]
    slope, stretch = rng.uniform(-0.5, 0.5) / width, rng.uniform(-0.3, 0.3) / height
    shift = rng.uniform(-most, most) - slope * width / 2 - stretch * height / 2
    matrix = np.array([[1.0, 0.0, 0.0], [slope, 1.0 + stretch, shift]])
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
