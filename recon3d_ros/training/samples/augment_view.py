"""Crop and augment one image with depth so that a mono network meets what real cameras do, with K kept right.

In this order (docs/training.md says how often): a window of the image, stretched to the crop, which changes
the focal length and so the canonical depth; sometimes mirrored, sometimes rolled about the optical axis,
which leaves depth as it is; then exposure, colour, blur and noise.
"""

from __future__ import annotations

import cv2
import numpy as np

from recon3d_ros.preprocess import Fit
from recon3d_ros.training.samples.augment import CropWindow, change_photometry, planes
from recon3d_ros.training.samples.store import unpack_view

# Of the windows of an aspect, the smallest one's side over the largest one's.
SMALLEST_WINDOW = 0.55
# Width over height of what cameras see, upright ones included.
ASPECTS = (3 / 4, 16 / 9)
GREY_SHARE = 0.1
LARGEST_ROLL_DEG = 6.0

View = tuple[np.ndarray, np.ndarray]


def view_crop(packed: np.ndarray, size_wh: tuple[int, int], rng: np.random.Generator) -> View:
    """A random window of an image, sometimes mirrored or rolled: its geometry without its photometry.

    Args:
        packed: (H, W, 5) uint8 of `store.pack_view`.
        size_wh: Size of the crop.
        rng: Where all chance comes from.

    Returns:
        (h, w, 3) uint8 RGB, and (h, w) float32 canonical depth, m, NaN = unknown.
    """
    window = draw_view_window(packed.shape[:2], rng)
    image, depth = cut_view(packed, window, size_wh)
    if rng.random() < 0.5:
        image, depth = image[:, ::-1], depth[:, ::-1]
    if rng.random() < 0.3:
        stretch = window.width / window.height * size_wh[1] / size_wh[0]
        image, depth = roll(image, depth, float(rng.uniform(-LARGEST_ROLL_DEG, LARGEST_ROLL_DEG)), stretch)
    return np.ascontiguousarray(image), np.ascontiguousarray(depth)


def blended(image: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """Both (h, w, 3) uint8 images in one, the first with this share (mixup, Zhang et al., ICLR 2018)."""
    return np.asarray(cv2.addWeighted(image, share, other, 1.0 - share, 0.0), np.uint8)


def collage(image: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One (h, w, 3) uint8 image with a random part of the other in its place (CutMix, Yun et al., ICCV 2019).

    The part has a quarter to three quarters of the width and of the height.
    """
    height, width = image.shape[:2]
    w, h = (int(side * rng.uniform(0.25, 0.75)) for side in (width, height))
    x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    image = image.copy()
    image[y : y + h, x : x + w] = other[y : y + h, x : x + w]
    return image


def photometric(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(h, w, 3) uint8 RGB as a camera in another light might see it, (3, h, w) float32 in [0, 1]."""
    return planes(change_photometry([image], rng, GREY_SHARE)[0])


def draw_view_window(shape_hw: tuple[int, ...], rng: np.random.Generator) -> CropWindow:
    """A window as large as the image allows or down to `SMALLEST_WINDOW` of that.

    Half of them have the aspect of the image, the others any of `ASPECTS`.
    """
    full_h, full_w = shape_hw
    any_aspect = np.exp(rng.uniform(*np.log(ASPECTS)))
    aspect = full_w / full_h if rng.random() < 0.5 else any_aspect
    # What an image shows as a whole is what tells its scale, but other lenses show less.
    low = 0.9 if rng.random() < 0.5 else SMALLEST_WINDOW
    height = min(full_h, full_w / aspect) * rng.uniform(low, 1.0)
    cut_w, cut_h = min(max(round(height * aspect), 1), full_w), min(max(round(height), 1), full_h)
    x, y = rng.integers(0, full_w - cut_w + 1), rng.integers(0, full_h - cut_h + 1)
    return CropWindow(int(x), int(y), cut_w, cut_h)


def cut_view(packed: np.ndarray, window: CropWindow, size_wh: tuple[int, int]) -> View:
    """The window at the size of the crop; canonical depth shrinks as the focal length grows.

    The camera of the crop is `camera.cropped(x, y, width, height).scaled(size_wh)`; depth is the same, and
    canonical depth is depth over its fy.
    """
    rows = slice(window.y, window.y + window.height)
    image, depth = unpack_view(packed[rows, window.x : window.x + window.width])
    if (window.width, window.height) == size_wh:
        return image, depth
    image, depth = resized(image, depth, size_wh)
    return image, (depth * np.float32(window.height / size_wh[1])).astype(np.float32)


def resized(image: np.ndarray, depth: np.ndarray, size_wh: tuple[int, int]) -> View:
    """Both at another size, depth as it is: whoever keeps it canonical scales it with the focal length."""
    # As an image is brought to the network when it serves.
    fit = Fit(depth.shape[::-1], size_wh, size_wh)
    how = cv2.INTER_AREA if fit.shrinks else cv2.INTER_LINEAR
    # Nearest: a mean over an edge would be a surface that is not there.
    small = cv2.resize(depth, size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
    return cv2.resize(image, size_wh, interpolation=how), small


def roll(image: np.ndarray, depth: np.ndarray, degrees: float, stretch: float = 1.0) -> View:
    """Turn about the optical axis, taken to be in the centre; corners that nobody saw repeat the edge.

    Pixels are `stretch` times as wide as high.
    """
    height, width = depth.shape
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[cos, sin / stretch], [-sin * stretch, cos]])
    matrix = np.column_stack([turn, centre - turn @ centre])
    size_wh = (width, height)
    image = cv2.warpAffine(image, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    depth = cv2.warpAffine(
        depth,
        matrix,
        size_wh,
        flags=cv2.INTER_NEAREST,
        borderValue=float("nan"),
    )
    return image, depth
