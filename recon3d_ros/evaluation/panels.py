"""Pictures to look at: what each method predicts for frames of a set, and the curves of its confidence."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.evaluation.reliability import REMOVED, Reliability
from recon3d_ros.files import colour_depth, colour_inverse_depth, colour_limits
from recon3d_ros.geometry import DepthMap, Sample

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
Predictions = Sequence[tuple[str, DepthMap]]

# An error of this many pixels, and for depth this share of the truth, has the hottest colour.
WORST_PX, WORST_SHARE = 6.0, 0.5
MISSING_RGB = (255, 0, 255)
_TITLE_PX = 22
# Columns of a tile of a sheet, and of the whole at most.
_TILE_PX, _SHEET_PX = 240, 2400
_PLOT_WH = (420, 340)
_MARGIN = 46
_COLOURS = ((200, 60, 40), (40, 110, 200), (40, 150, 70))


def compare(sample: Sample, predictions: Predictions) -> Picture:
    """Draw a frame: the image beside its truth, then a row per method, its prediction beside its error.

    Near is red and far blue, by the same colours in all; errors go from blue to red at 6 px (depth: at half
    the truth), black where there is no truth, magenta where there is no estimate.

    Args:
        sample: Image and truth.
        predictions: Title and depth map of each method.

    Returns:
        (rows, columns, 3) uint8 RGB.
    """
    in_px = all(prediction.disparity is not None for _, prediction in predictions)
    truth = sample.disparity
    if not in_px:
        truth = None if sample.depth is None else inverse_depth(sample.depth)
    found = [(title, _plane(prediction, in_px)) for title, prediction in predictions]
    low, high = colour_limits(truth if truth is not None else found[0][1])
    left = titled(sample.name, in_colour(sample.frame.image))
    tiles = [left]
    if truth is not None:
        tiles.append(titled("truth", colour_inverse_depth(truth, low, high)))
    elif sample.frame.right is not None:
        tiles.append(titled("right", in_colour(sample.frame.right)))
    for (title, plane), (_, prediction) in zip(found, predictions):
        tiles.append(titled(title, colour_inverse_depth(plane, low, high)))
        if truth is not None:
            if in_px:
                picture = _error_colours(np.abs(plane - truth), truth, WORST_PX)
            else:
                picture = _error_colours(_depth_error(prediction, sample), sample.depth, WORST_SHARE)
            tiles.append(titled(f"{title}: error", picture))
    tiles += [np.zeros_like(left)] * (len(tiles) % 2)
    rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    return np.vstack(rows)


def layers(sample: Sample, predictions: Predictions) -> dict[str, Picture]:
    """The pictures of a frame by name, all of its size.

    Of each method depth or disparity, error and confidence, in the colours of :func:`compare` (disparity) and
    :func:`sheet` (depth).

    Args:
        sample: Image and truth.
        predictions: Title and depth map of each method.

    Returns:
        name -> (H, W, 3) uint8 RGB; confidence is white at 1 and black at 0.
    """
    in_px = all(prediction.disparity is not None for _, prediction in predictions)
    truth = sample.disparity if in_px else sample.depth
    shown = [
        prediction.disparity if in_px and prediction.disparity is not None else prediction.depth
        for _, prediction in predictions
    ]
    low, high = colour_limits(truth if truth is not None else shown[0])
    draw = colour_inverse_depth if in_px else colour_depth
    pictures = {"image": in_colour(sample.frame.image)}
    for (title, prediction), plane in zip(predictions, shown):
        pictures[title] = draw(plane, low, high)
        if truth is not None:
            error = np.abs(plane - truth) if in_px else _depth_error(prediction, sample)
            pictures[f"{title}: error"] = _error_colours(error, truth, WORST_PX if in_px else WORST_SHARE)
        if prediction.confidence is not None:
            pictures[f"{title}: confidence"] = in_colour((255 * prediction.confidence).astype(np.uint8))
    if truth is not None:
        pictures["ground truth"] = draw(truth, low, high)
    return pictures


def sheet(samples: Sequence[Sample], predictions: Sequence[Predictions]) -> Picture:
    """Draw frames of one camera, a row each: image, truth, then each method's depth beside its error.

    In a row one scale of colours holds for all depth, from the nearest (red) to the farthest (blue) of the
    truth, which stands in its tile; errors |z - z*| / z* go from blue to red at half the truth, their mean
    (abs_rel) beside; black where there is no truth, magenta where there is no estimate.

    Args:
        samples: With true depth, or all without.
        predictions: Of each sample, title and depth map of each method, the same methods in all.

    Returns:
        (rows, columns, 3) uint8 RGB.
    """
    columns = 1 + (samples[0].depth is not None) + len(predictions[0]) * (1 + (samples[0].depth is not None))
    width = min(_TILE_PX, _SHEET_PX // columns)
    rows = []
    for sample, given in zip(samples, predictions):
        tiles = [_small(text, picture, width) for text, picture in _row(sample, given)]
        tallest = max(tile.shape[0] for tile in tiles)
        rows.append(np.hstack([np.pad(t, ((0, tallest - t.shape[0]), (0, 0), (0, 0))) for t in tiles]))
    return np.vstack([*rows, _legend(rows[0].shape[1])])


def _row(sample: Sample, predictions: Predictions) -> list[tuple[str, Picture]]:
    truth = sample.depth
    near, far = colour_limits(truth if truth is not None else predictions[0][1].depth)
    tiles = [(sample.name, in_colour(sample.frame.image))]
    if truth is not None:
        tiles.append((f"truth {near:.1f} - {far:.1f} m", colour_depth(truth, near, far)))
    for title, prediction in predictions:
        tiles.append((title, colour_depth(prediction.depth, near, far)))
        if truth is not None:
            error = _depth_error(prediction, sample)
            mean = error[np.isfinite(error)].mean() if np.isfinite(error).any() else np.nan
            tiles.append((f"abs_rel {mean:.2f}", _error_colours(error, truth, WORST_SHARE)))
    return tiles


def plot(items: Sequence[Reliability]) -> Picture:
    """Draw the reliability and the sparsification curves of a set, one colour per model.

    Left: mean confidence against the share of errors below the threshold, beside the diagonal. Right: mean
    error of what is left against the share taken away, divided by the first value: by confidence (line), by
    sigma (thin) and by the true error (grey).
    """
    limits = " or ".join(dict.fromkeys(item.error.limit for item in items))
    reliability = _axes(f"x: confidence, y: fraction with error < {limits}")
    _curve(reliability, np.array([0, 1]), np.array([0, 1]), (170, 170, 170), 1)
    sparse = _axes("x: fraction removed, y: remaining error")
    for item, colour in zip(items, _COLOURS * len(items)):
        if item.confidence is not None and item.accuracy is not None:
            _curve(reliability, item.confidence, item.accuracy, colour, 2, dots=True)
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


def _plane(prediction: DepthMap, in_px: bool) -> Plane:
    if in_px:
        assert prediction.disparity is not None  # compare has seen to it
        return prediction.disparity
    return inverse_depth(prediction.depth)


def inverse_depth(depth: Plane) -> Plane:
    """1 / depth, NaN where depth is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(depth > 0, 1 / depth, np.float32(np.nan)).astype(np.float32)


def _depth_error(prediction: DepthMap, sample: Sample) -> Plane:
    """|z - z*| / z*, NaN where one of the two is missing."""
    assert sample.depth is not None  # the callers have seen to it
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(prediction.depth - sample.depth) / sample.depth
    return np.where(prediction.valid & (sample.depth > 0), error, np.float32(np.nan))


def _error_colours(error: Plane, truth: Plane | None, worst: float) -> Picture:
    """Errors up to the worst; black where the truth is not finite (sky), magenta without estimate."""
    assert truth is not None  # the callers have seen to it
    picture = colour_inverse_depth(error, 0.0, worst)
    picture[np.isfinite(truth) & ~np.isfinite(error)] = MISSING_RGB
    picture[~np.isfinite(truth)] = 0
    return picture


def in_colour(image: Picture) -> Picture:
    """(H, W, 3) of an image in colours or in grey."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _small(title: str, picture: Picture, width: int) -> Picture:
    """The picture at that width, with a thin edge to the right, under its title."""
    height = round(picture.shape[0] * width / picture.shape[1])
    small = cv2.resize(picture, (width - 2, height), interpolation=cv2.INTER_AREA)
    return titled(title, np.pad(small, ((0, 0), (0, 2), (0, 0))))


def _legend(width: int) -> Picture:
    """A bar of the colours of errors, and in words what the others mean."""
    strip = np.zeros((2 * _TITLE_PX, width, 3), np.uint8)
    ramp = np.tile(np.linspace(0, 1, _TILE_PX, dtype=np.float32), (_TITLE_PX - 8, 1))
    strip[4 : _TITLE_PX - 4, 6 : 6 + _TILE_PX] = colour_inverse_depth(ramp, 0.0, 1.0)
    write(strip, f"error: 0 to {WORST_SHARE:.0%} of the truth and more", (14 + _TILE_PX, 15))
    write(
        strip,
        "black: no ground truth; magenta: no estimate; depth: near is red, far is blue",
        (6, _TITLE_PX + 15),
    )
    return strip


def write(picture: Picture, text: str, where: tuple[int, int]) -> None:
    """White text whose lower left corner is at that column and row."""
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)


def titled(title: str, picture: Picture) -> Picture:
    """The picture under a line of text; (H, W, 3) uint8 RGB."""
    tile = np.zeros((picture.shape[0] + _TITLE_PX, picture.shape[1], 3), np.uint8)
    tile[_TITLE_PX:] = picture
    write(tile, title, (6, 15))
    return tile


def _axes(title: str) -> Picture:
    """A white picture with a frame, a grid and the numbers 0 to 1 on both axes."""
    width, height = _PLOT_WH
    picture = np.full((height, width, 3), 255, np.uint8)
    cv2.putText(picture, title, (10, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
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
