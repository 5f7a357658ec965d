"""Features that both images of a pair show, wherever they are, and how far their rows are off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.grey import to_grey

ENOUGH_MATCHES, AGREEING_SHARE = 30, 0.3
_MATCH_WIDTH = 480
_FEATURES = 400


class Matches(NamedTuple):
    """Number of features in left and right, and the (N, 2) float32 positions of those that match, px."""

    features: tuple[int, int]
    left: NDArray[np.float32]
    right: NDArray[np.float32]


def match_pair(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Matches:
    """Match ORB features (Rublee et al. 2011) both ways, anywhere in the image: the pair may be askew."""
    orb = cv2.ORB_create(nfeatures=_FEATURES, nlevels=4, fastThreshold=10)  # type: ignore[attr-defined]
    points, words = zip(*(orb.detectAndCompute(image, None) for image in (left, right)))
    features = (len(points[0]), len(points[1]))
    found: Sequence[cv2.DMatch] = ()
    if min(features):
        found = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(*words)
    close = [match for match in found if match.distance <= 50]  # of 256 bits; unrelated features have 128
    ends = [
        [points[0][match.queryIdx].pt for match in close],
        [points[1][match.trainIdx].pt for match in close],
    ]
    return Matches(features, *(np.array(end, np.float32).reshape(-1, 2) for end in ends))


class Rows(NamedTuple):
    """Which matches agree, (N,) bool, and the vertical error fitted through these, (M,) float px."""

    agree: NDArray[np.bool_]
    error_px: NDArray[np.float64]


def fit_rows(matches: Matches, width: int) -> Rows:
    """Fit y_left - y_right as a plane over the image (offset, roll, scale), outliers cut step by step.

    ORB places features by whole pixels of its pyramid; the plane through a hundred of them averages that out.
    """
    dy = (matches.left - matches.right)[:, 1].astype(np.float64)
    if len(dy) < 4:
        return Rows(np.zeros(len(dy), bool), np.empty(0))
    ordered = np.sort(dy)  # begin where most of them lie within 3 px
    counts = np.searchsorted(ordered, ordered + 3, "right") - np.arange(len(ordered))
    first = int(np.argmax(counts))
    agree = np.abs(dy - np.median(ordered[first : first + counts[first]])) < 8
    design = np.column_stack([np.ones(len(dy)), (matches.left - width / 2) / width])
    fitted = dy
    for limit_px in (8, 5, 3, 2, 2, 2):
        if np.count_nonzero(agree) < 4:
            break
        fitted = design @ np.linalg.lstsq(design[agree], dy[agree], rcond=None)[0]
        agree = np.abs(dy - fitted) < limit_px
    return Rows(agree, fitted[agree])


def matched_rows(
    left: NDArray[np.uint8], right: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Features that both images show, wherever they are in the right one.

    Args:
        left: (H, W, 3) RGB or (H, W) mono uint8.
        right: The same of the right camera.

    Returns:
        (N, 2) px, columns in the right image and rows in the left one, and (N,) row in the right image minus
        row in the left one, px; None where too few are found, or do not agree.
    """
    small = (reduced(left), reduced(right))
    scale = left.shape[1] / small[0].shape[1]
    matches = match_pair(*small)
    agree = fit_rows(matches, small[0].shape[1]).agree
    if np.count_nonzero(agree) < ENOUGH_MATCHES or np.mean(agree) < AGREEING_SHARE:
        return None
    ends = [scale * end[agree].astype(np.float64) for end in (matches.left, matches.right)]
    return np.column_stack([ends[1][:, 0], ends[0][:, 1]]), (ends[1] - ends[0])[:, 1]


def reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB or (H, W) mono uint8 as (h, w) mono, at most `_MATCH_WIDTH` wide."""
    height, width = image.shape[:2]
    if width <= _MATCH_WIDTH:
        return to_grey(image)
    size_wh = (_MATCH_WIDTH, max(round(height * _MATCH_WIDTH / width), 1))
    return cv2.resize(to_grey(image), size_wh, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
