"""What an image or a pair shows about its cameras without a model: dark, blurred, covered, swapped, askew.

Cheap enough for a running node (at 640x480 on one core about 1 ms for an image, 10 ms for a pair). The limits
lie well outside of what ordinary indoor and street recordings show, so a fault is worth somebody's time.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.frame import Frame
from recon3d_ros.geometry.grey import to_grey
from recon3d_ros.geometry.pair_matches import AGREEING_SHARE, ENOUGH_MATCHES, fit_rows, match_pair, reduced

# Smaller images say too little about focus and geometry.
MIN_SIZE_WH = (160, 120)
_THUMB_WH = (160, 120)
DARK_LEVEL, SATURATED_LEVEL = 32, 250
SATURATED_SHARE = 0.4
FLAT_STD, FLAT_SHARE = 2.0, 0.9
# Focus measure of Gaussian blur with 0, 2, 3, 5 and 8 px on ordinary images; sharp ones with some motion blur
# stay below 0.35.
_BLUR = ((0.15, 0.37, 0.5, 0.7, 0.84), (0.0, 2.0, 3.0, 5.0, 8.0))
BLURRED = 0.45
EXPOSURE_RATIO = 2.0
VERTICAL_PX = 1.0
_ENOUGH_FEATURES, _FEW_FEATURES = 150, 15
_SWAPPED_SHARE = 0.6


@dataclass(frozen=True)
class ImageFault:
    """Something that is wrong with the images.

    Attributes:
        kind: of one image: dark, saturated, blurred, blocked; of a pair: identical, exposure, decorrelated,
            swapped, vertical_error.
        message: what was expected, what came and what to do.
        value: the number behind it, in the unit the message names.
        subject: name of the image, "pair" for both.
    """

    kind: str
    message: str
    value: float
    subject: str = "pair"


def check_image(image: NDArray[np.uint8], name: str = "image") -> list[ImageFault]:
    """Look at one image.

    Args:
        image: (H, W, 3) RGB or (H, W) mono uint8; smaller than 160x120 gives no fault.
        name: what the messages call it.
    """
    if not _big_enough(image):
        return []
    thumb = _thumb(image)
    bright = float(np.percentile(thumb, 95))
    saturated = float(np.mean(thumb >= SATURATED_LEVEL))
    flat = float(np.mean(_block_std(thumb) < FLAT_STD))

    def fault(kind: str, value: float, words: str) -> list[ImageFault]:
        return [ImageFault(kind, f"{name}: {words}", value, name)]

    if bright < DARK_LEVEL:
        return fault(
            "dark",
            bright,
            f"expected 5 % of the pixels above {DARK_LEVEL} of 255, got {bright:.0f}, the image is dark; "
            "remove the lens cap, add light or increase the exposure",
        )
    if saturated > SATURATED_SHARE:
        return fault(
            "saturated",
            saturated,
            f"expected less than {SATURATED_SHARE:.0%} of the pixels white, got {saturated:.0%}, the image "
            "is saturated; reduce exposure or gain, or turn on auto exposure",
        )
    if flat > FLAT_SHARE:
        return fault(
            "blocked",
            flat,
            f"expected texture, got none in {flat:.0%} of the image, the lens may be covered; uncover and "
            "clean it (or the camera is close to a blank wall)",
        )
    focus = _focus(image)
    if focus > BLURRED:
        sigma_px = float(np.interp(focus, *_BLUR))
        return fault(
            "blurred",
            sigma_px,
            f"expected sharp edges, got them blurred by about {sigma_px:.0f} px; focus and clean the lens, "
            "or use a shorter exposure if the camera moves",
        )
    return []


def check_images(frame: Frame) -> list[ImageFault]:
    """Look at each image of a frame by itself; one that is poor says nothing of the pair."""
    if frame.right is None:
        return check_image(frame.image)
    return check_image(frame.image, "left image") + check_image(frame.right, "right image")


def check_pair(left: NDArray[np.uint8], right: NDArray[np.uint8], doffs_px: float = 0.0) -> list[ImageFault]:
    """Look at a rectified pair. Where too little matches to judge, nothing is found.

    Args:
        left: (H, W, 3) RGB or (H, W) mono uint8; smaller than 160x120 gives no fault.
        right: the same of the right camera.
        doffs_px: disparity of infinity, cx of the left minus cx of the right camera.
    """
    if not (_big_enough(left) and _big_enough(right)) or left.shape[:2] != right.shape[:2]:
        return []
    thumbs = (_thumb(left), _thumb(right))
    if np.array_equal(thumbs[0], thumbs[1]) and float(np.std(thumbs[0])) > FLAT_STD:
        words = "expected two views of a scene, got the same image twice; remap the topic of one camera"
        return [ImageFault("identical", words, 0.0)]
    exposure = _check_exposure(float(np.mean(thumbs[0])), float(np.mean(thumbs[1])))
    small = (reduced(left), reduced(right))
    return exposure + _check_matches(small[0], small[1], left.shape[1] / small[0].shape[1], doffs_px)


def check_frame(frame: Frame) -> list[ImageFault]:
    """Look at the pair of a frame; a single image has no fault."""
    frame = frame.side_by_side
    if frame.right is None or frame.rig is None:
        return []
    return check_pair(frame.image, frame.right, frame.rig.doffs_px)


def _check_exposure(left: float, right: float) -> list[ImageFault]:
    darker, brighter = min(left, right), max(left, right)
    ratio = (brighter + 1) / (darker + 1)
    if ratio < EXPOSURE_RATIO:
        return []
    words = (
        f"expected left and right about equally bright, got means of {left:.0f} and {right:.0f} of 255; "
        "uncover both lenses, and use equal exposure (hardware trigger, or fixed exposure and gain)"
    )
    return [ImageFault("exposure", words, ratio)]


def _check_matches(
    left: NDArray[np.uint8], right: NDArray[np.uint8], scale: float, doffs_px: float
) -> list[ImageFault]:
    """What matching features say; `scale` is px of the images per px of these reduced ones."""
    matches = match_pair(left, right)
    most, least = max(matches.features), min(matches.features)
    if most < _ENOUGH_FEATURES or (_FEW_FEATURES <= least < _ENOUGH_FEATURES):
        return []
    if least < _FEW_FEATURES:
        bare = "left" if matches.features[0] == least else "right"
        words = (
            f"expected texture in both images, got almost none in the {bare} one; uncover and focus the "
            f"{bare} camera, and compare the exposure of both"
        )
        return [ImageFault("decorrelated", words, float(least))]
    rows = fit_rows(matches, left.shape[1])
    agreeing = float(np.mean(rows.agree)) if len(rows.agree) else 0.0
    if agreeing < AGREEING_SHARE:
        words = (
            f"expected left and right images of the same scene, got {agreeing:.0%} matching features; "
            "check that both topics belong to one camera pair and to the same time, and that no lens is "
            "covered"
        )
        return [ImageFault("decorrelated", words, agreeing)]
    if np.count_nonzero(rows.agree) < ENOUGH_MATCHES:
        return []
    disparity_px = (matches.left - matches.right)[rows.agree, 0] * scale - doffs_px
    return _check_sides(disparity_px, scale) + _check_rows(float(np.mean(np.abs(rows.error_px))) * scale)


def _check_sides(disparity_px: NDArray[np.float32], scale: float) -> list[ImageFault]:
    negative = float(np.mean(disparity_px < -1.5 * scale))
    if negative < _SWAPPED_SHARE:
        return []
    words = (
        f"expected positive disparities, got negative ones for {negative:.0%} of the features; left and "
        "right are swapped, exchange the topics (or files)"
    )
    return [ImageFault("swapped", words, negative)]


def _check_rows(error_px: float) -> list[ImageFault]:
    if error_px < VERTICAL_PX:
        return []
    words = (
        f"expected rectified images whose rows match within {VERTICAL_PX:g} px, got them off by "
        f"{error_px:.1f} px; rectify the images (parameter rectify with image_raw), or calibrate again"
    )
    return [ImageFault("vertical_error", words, error_px)]


def _focus(image: NDArray[np.uint8]) -> float:
    """How much of the edges survives a box blur of 9: near 1 for what is blurred already.

    The idea is the blur effect of Crete et al. 2007; edges are weighted by their square here, so that sensor
    noise in a blurred image does not pass for sharpness. Motion along one axis counts as much as lost focus.
    """
    height, width = image.shape[:2]
    top, left = max(height - 960, 0) // 2, max(width - 1280, 0) // 2
    grey = to_grey(image[top : height - top, left : width - left])
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.float32)
    worst = 0.0
    for axis, size_wh in ((0, (1, 9)), (1, (9, 1))):
        sharp = np.abs(np.diff(half, axis=axis))
        soft = np.abs(np.diff(cv2.blur(half, size_wh), axis=axis))
        energy = float(np.vdot(sharp, sharp))
        if energy > 0:
            worst = max(worst, float(np.vdot(np.minimum(sharp, soft), sharp)) / energy)
    return worst


def _block_std(thumb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Standard deviation of grey levels in blocks of 8x8, (15, 20)."""
    levels = thumb.astype(np.float32)
    mean, square = cv2.blur(levels, (8, 8)), cv2.blur(levels * levels, (8, 8))
    return np.sqrt(np.maximum(square - mean * mean, 0))[4::8, 4::8]


def _big_enough(image: NDArray[np.uint8]) -> bool:
    height, width = image.shape[:2]
    return bool(width >= MIN_SIZE_WH[0] and height >= MIN_SIZE_WH[1])


def _thumb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return to_grey(cv2.resize(image, _THUMB_WH, interpolation=cv2.INTER_AREA))  # type: ignore[arg-type]
