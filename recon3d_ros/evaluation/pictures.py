"""Pictures to look at: what each method answers for one frame of a set, and the curves of its confidence."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.evaluation.calibration import REMOVED, Calibration
from recon3d_ros.files import colour_inverse_depth, colour_limits
from recon3d_ros.geometry import DepthMap, Sample

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]

# An error of this many pixels, and for depth this share of the truth, has the hottest colour.
WORST_PX, WORST_SHARE = 6.0, 0.5
MISSING_RGB = (255, 0, 255)
_TITLE_PX = 22
_PLOT_WH = (420, 340)
_MARGIN = 46
_COLOURS = ((200, 60, 40), (40, 110, 200), (40, 150, 70))


def compare(sample: Sample, answers: Sequence[tuple[str, DepthMap]]) -> Picture:
    """Draw a frame: the image beside its truth, then a row per method, its answer beside its error.

    Near is red and far blue, by the same colours in all; errors go from blue to red at 6 px (depth: at half
    the truth), black where there is no truth, magenta where there is no answer.

    Args:
        sample: Image and truth.
        answers: Title and answer of each method.

    Returns:
        (rows, columns, 3) uint8 RGB.
    """
    in_px = all(answer.disparity is not None for _, answer in answers)
    truth = sample.disparity if in_px else _inverse(sample.depth)
    found = [(title, _plane(answer, in_px)) for title, answer in answers]
    low, high = colour_limits(truth if truth is not None else found[0][1])
    image = sample.frame.image
    left = _titled(sample.name, image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2))
    tiles = [left]
    if truth is not None:
        tiles.append(_titled("truth", colour_inverse_depth(truth, low, high)))
    elif sample.frame.right is not None:
        right = sample.frame.right
        tiles.append(_titled("right", right if right.ndim == 3 else np.repeat(right[..., None], 3, axis=2)))
    for title, plane in found:
        tiles.append(_titled(title, colour_inverse_depth(plane, low, high)))
        if truth is not None:
            tiles.append(_titled(f"{title}: error", _error_colours(plane, truth, in_px)))
    tiles += [np.zeros_like(left)] * (len(tiles) % 2)
    rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    return np.vstack(rows)


def plot(items: Sequence[Calibration]) -> Picture:
    """Draw the reliability and the sparsification curves of a set, one colour per model.

    Left: mean confidence against the share of errors below 3 px, beside the diagonal. Right: mean error of
    what is left against the share taken away, divided by the first value: by confidence (line), by sigma
    (thin) and by the true error (grey).
    """
    reliability = _axes("confidence (x) and share of errors < 3 px (y)")
    _curve(reliability, np.array([0, 1]), np.array([0, 1]), (170, 170, 170), 1)
    sparse = _axes("share taken away (x), error left (y)")
    for item, colour in zip(items, _COLOURS * len(items)):
        if item.confidence is not None and item.trusted is not None:
            _curve(reliability, item.confidence, item.trusted, colour, 2, dots=True)
        _curve(sparse, REMOVED, _relative(item.oracle), (170, 170, 170), 1)
        for curve, width in ((item.by_sigma, 1), (item.by_confidence, 2)):
            if curve is not None:
                _curve(sparse, REMOVED, _relative(curve), colour, width)
    names = [f"{item.method} {item.precision or ''}".rstrip() for item in items]
    for i, (name, colour) in enumerate(zip(names, _COLOURS * len(names))):
        at = (_MARGIN + 8, _MARGIN + 18 + 16 * i)
        cv2.putText(reliability, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
    return np.hstack([reliability, sparse])


def _relative(curve: Plane) -> Plane:
    """The curve divided by its first value, 0 where nothing was wrong."""
    return curve / max(curve[0], np.finfo(np.float32).tiny)


def _plane(answer: DepthMap, in_px: bool) -> Plane:
    if in_px:
        assert answer.disparity is not None  # compare has seen to it
        return answer.disparity
    inverse = _inverse(answer.depth)
    assert inverse is not None
    return inverse


def _inverse(depth: Plane | None) -> Plane | None:
    """1 / depth, NaN where depth is not positive."""
    if depth is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(depth > 0, 1 / depth, np.float32(np.nan)).astype(np.float32)


def _error_colours(plane: Plane, truth: Plane, in_px: bool) -> Picture:
    """Errors in px; of inverse depth as a share of the true one."""
    error = np.abs(plane - truth)
    if not in_px:
        error = error / truth * np.float32(WORST_PX / WORST_SHARE)
    picture = colour_inverse_depth(error, 0.0, WORST_PX)
    picture[np.isfinite(truth) & ~np.isfinite(plane)] = MISSING_RGB
    picture[~np.isfinite(truth)] = 0
    return picture


def _titled(title: str, picture: Picture) -> Picture:
    tile = np.zeros((picture.shape[0] + _TITLE_PX, picture.shape[1], 3), np.uint8)
    tile[_TITLE_PX:] = picture
    cv2.putText(tile, title, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def _axes(title: str) -> Picture:
    """A white picture with a frame, a grid and the numbers 0 to 1 on both axes."""
    width, height = _PLOT_WH
    picture = np.full((height, width, 3), 255, np.uint8)
    cv2.putText(picture, title, (_MARGIN, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    for tick in np.linspace(0, 1, 6):
        (x, y), (left, bottom) = _at(tick, tick), _at(0, 0)
        right, top = _at(1, 1)
        cv2.line(picture, (x, bottom), (x, top), (225, 225, 225), 1)
        cv2.line(picture, (left, y), (right, y), (225, 225, 225), 1)
        for where in ((x - 9, bottom + 16), (left - 28, y + 4)):
            cv2.putText(
                picture, f"{tick:.1f}", where, cv2.FONT_HERSHEY_SIMPLEX, 0.35, (0, 0, 0), 1, cv2.LINE_AA
            )
    return picture


def _curve(
    picture: Picture, x: NDArray, y: NDArray, colour: tuple[int, int, int], width: int, dots: bool = False
) -> None:
    points = [_at(float(a), float(b)) for a, b in zip(x, y) if np.isfinite(b)]
    for start, end in zip(points, points[1:]):
        cv2.line(picture, start, end, colour, width, cv2.LINE_AA)
    for point in points if dots else []:
        cv2.circle(picture, point, 3, colour, -1, cv2.LINE_AA)


def _at(x: float, y: float) -> tuple[int, int]:
    """Pixel of a point whose coordinates go from 0 to 1 (more is cut off)."""
    width, height = _PLOT_WH
    x, y = min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
    return (
        round(_MARGIN + x * (width - 1.5 * _MARGIN)),
        round(height - _MARGIN - y * (height - 2 * _MARGIN)),
    )
