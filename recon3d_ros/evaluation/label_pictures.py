"""Pictures of labelled clouds: the image with its labels, and the cloud from above."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.evaluation.label_sets import LabelledCloud
from recon3d_ros.files import make_folder, write_image
from recon3d_ros.geometry.labels import LABEL_COLOURS

_HEIGHT, _REACH_M, _OVER_M = 360, 10.0, 2.2
_SHARE = 0.55  # of a label's colour over the image


class LabelPictures:
    """Draws the first clouds of every set into a folder.

    Args:
        folder: Is made.
        count: How many of each set.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(self, folder: Path, count: int) -> None:
        make_folder(folder)
        self._folder, self._count = folder, count
        self._drawn: dict[str, int] = {}

    def add(self, cloud: LabelledCloud, found: NDArray[np.uint8]) -> None:
        """Draw a cloud with these labels, (N,) uint8, unless there are enough of its set.

        Raises:
            OutputError: The file cannot be written.
        """
        number = self._drawn.get(cloud.data, 0)
        self._drawn[cloud.data] = number + 1
        if number < self._count:
            name = cloud.name.replace(" ", "_")
            write_image(self._folder / f"{cloud.data}_{name}_labels.png", draw_labels(cloud, found))


def draw_labels(cloud: LabelledCloud, found: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw the image with labels, and from above the labels and the truth, without what is above a door.

    Args:
        cloud: The cloud.
        found: (N,) uint8, `PointLabel`.

    Returns:
        (360, W, 3) uint8 RGB.
    """
    tiles = [_from_above(cloud.points, found), _from_above(cloud.points, cloud.truth)]
    if cloud.image is not None and cloud.pixels is not None:
        tiles.insert(0, _over_image(cloud.image, cloud.pixels, found))
    return np.concatenate(tiles, axis=1)


def _over_image(
    image: NDArray[np.uint8], pixels: NDArray[np.intp], found: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    scale = _HEIGHT / rgb.shape[0]
    picture = cv2.resize(rgb, (round(rgb.shape[1] * scale), _HEIGHT)).astype(np.uint8)
    rows, columns = np.unique(pixels[0]), np.unique(pixels[1])
    step = min(np.diff(axis).min(initial=rgb.shape[0]) for axis in (rows, columns))
    half = max(1, round(step * scale / 2))
    over = picture.copy()
    for v, u, label in zip(*np.round(pixels * scale).astype(int), found):
        over[max(v - half, 0) : v + half, max(u - half, 0) : u + half] = LABEL_COLOURS[label]
    return cv2.addWeighted(over, _SHARE, picture, 1 - _SHARE, 0).astype(np.uint8)


def _from_above(points: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = np.full((_HEIGHT, _HEIGHT, 3), 20, np.uint8)
    order = np.argsort(points[:, 2], kind="stable")
    order = order[points[order, 2] < _OVER_M]
    u = (_HEIGHT * (0.5 - points[order, 1] / _REACH_M)).astype(int)
    v = (_HEIGHT * (1 - points[order, 0] / _REACH_M)).astype(int)
    for x, y, label in zip(u, v, labels[order]):
        if 0 <= x < _HEIGHT and 0 <= y < _HEIGHT:
            picture[max(y - 1, 0) : y + 1, max(x - 1, 0) : x + 1] = LABEL_COLOURS[label]
    picture[:, -1] = 255
    return picture
