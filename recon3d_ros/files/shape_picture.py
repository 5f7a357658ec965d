"""A picture of an object's points beside its image: from where it was seen, from the side, and from above."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

# Axes of the three views, and signs: to the right, down, towards the viewer last.
VIEWS = {"seen": ((0, 1, 2), (1, 1, 1)), "side": ((2, 1, 0), (1, 1, 1)), "above": ((0, 2, 1), (1, -1, 1))}
PAPER, MEASURED_RGB = 255, (60, 60, 60)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_shape(
    image: NDArray[np.uint8],
    clouds: Sequence[tuple[str, NDArray[np.floating]]],
    side_px: int = 192,
    measured: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8]:
    """Draw clouds of one object in one frame, a row each, with the same scale.

    Args:
        image: (H, W, 3) uint8 RGB, the first tile.
        clouds: Title and (N, 3) points each, x right, y down, z away from the camera, in any unit.
        side_px: Side of a tile.
        measured: (N, 3) points in the same frame, which are drawn in grey below those of each cloud.

    Returns:
        (rows * side_px, 4 * side_px, 3) uint8 RGB. Points that are near in the first view are red.
    """
    every = np.concatenate([cloud for _, cloud in clouds])
    low, high = np.percentile(every, (1, 99), axis=0)
    middle, reach = (low + high) / 2, max(float((high - low).max()) * 0.58, 1e-6)
    first = _fitted(image, side_px)
    blank = np.full_like(first, PAPER)
    rows = []
    for row, (title, cloud) in enumerate(clouds):
        tiles = [first if row == 0 else blank.copy()]
        colours = _depth_colours(cloud[:, 2], low[2], high[2])
        for name, (axes, signs) in VIEWS.items():
            tile = np.full((side_px, side_px, 3), PAPER, np.uint8)
            for points, tone in ((measured, None), (cloud, colours)):
                if points is not None:
                    place = (points - middle) / reach * np.array([signs[axes.index(k)] for k in range(3)])
                    _scatter(tile, place[:, list(axes)], tone)
            cv2.putText(tile, name, (4, side_px - 6), _FONT, 0.36, (120, 120, 120), 1, cv2.LINE_AA)
            tiles.append(tile)
        cv2.putText(tiles[0], title, (4, 14), _FONT, 0.42, (200, 0, 200), 1, cv2.LINE_AA)
        rows.append(np.concatenate(tiles, axis=1))
    return np.concatenate(rows)


def _fitted(image: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """The image in the middle of a square tile."""
    ratio = side_px / max(image.shape[:2])
    size_wh = max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size_wh, interpolation=how)
    tile = np.full((side_px, side_px, 3), PAPER, np.uint8)
    x, y = (side_px - size_wh[0]) // 2, (side_px - size_wh[1]) // 2
    tile[y : y + size_wh[1], x : x + size_wh[0]] = small
    return tile


def _depth_colours(z: NDArray[np.floating], low: float, high: float) -> NDArray[np.uint8]:
    share = np.clip((high - z) / max(high - low, 1e-6), 0.0, 1.0)
    mapped = cv2.applyColorMap(np.round(share * 255).astype(np.uint8)[:, None], cv2.COLORMAP_TURBO)
    return np.ascontiguousarray(mapped[:, 0, ::-1])


def _scatter(tile: NDArray[np.uint8], place: NDArray[np.floating], colours: NDArray[np.uint8] | None) -> None:
    """Dots of 2 px at (N, 3) places of -1 to 1, the nearest on top."""
    side = tile.shape[0]
    at = np.round((place[:, :2] + 1.0) / 2 * (side - 2)).astype(int)
    shown = np.flatnonzero(((at >= 0) & (at < side - 1)).all(axis=1))
    for k in shown[np.argsort(-place[shown, 2], kind="stable")]:
        x, y = at[k]
        tile[y : y + 2, x : x + 2] = MEASURED_RGB if colours is None else colours[k]
