"""7-Scenes sequences (Shotton et al., CVPR 2013): `frame-000000.color.png`, `.depth.png` and `.pose.txt`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.errors import DataError
from recon3d_ros.files import read_depth, read_image
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.geometry import Frame, PinholeCamera, Sample

UNITS_PER_M = 1000.0
NO_DEPTH = 65535
_K_FILES = ("camera-intrinsics.txt", "K.txt")
_KINECT_FX = 585.0  # of the set's page, for the depth camera, to which colour is registered
_PERIOD_NS = 33_333_333


def is_seven_scenes(path: Path) -> bool:
    """Whether the folder has colour and depth images of these names."""
    return path.is_dir() and any(path.glob("*.color.*")) and any(path.glob("*.depth.png"))


def seven_scenes_samples(path: Path) -> LazySequence[Sample]:
    """The frames that have colour and depth; depth is in mm, 0 and 65535 are unknown.

    Raises:
        DataError: No frame has both, or camera-intrinsics.txt is damaged.
    """
    colours = sorted(path.glob("*.color.*"))
    names = [colour.name.partition(".")[0] for colour in colours]
    pairs = [
        (colour, depth)
        for colour, name in zip(colours, names)
        if (depth := path / f"{name}.depth.png").is_file()
    ]
    if not pairs:
        raise DataError(
            f"expected NAME.color.* with NAME.depth.png in {path}, found no pair: check the folder"
        )
    k = _intrinsics(path)

    def load(i: int) -> Sample:
        colour, depth_file = pairs[i]
        image, depth = read_image(colour), read_depth(depth_file, UNITS_PER_M)
        depth = np.where(depth < NO_DEPTH / UNITS_PER_M, depth, np.float32(np.nan))
        height, width = image.shape[:2]
        camera = PinholeCamera.simple(width, height, k[0, 0], cx=k[0, 2], cy=k[1, 2], fy=k[1, 1])
        name = colour.name.partition(".")[0]
        return Sample(Frame(i * _PERIOD_NS, image, camera, name=name), None, depth, name)

    return LazySequence(range(len(pairs)), load)


def _intrinsics(path: Path) -> np.ndarray:
    file = next((path / name for name in _K_FILES if (path / name).is_file()), None)
    if file is None:
        return np.array([[_KINECT_FX, 0, 320.0], [0, _KINECT_FX, 240.0], [0, 0, 1]])
    try:
        return np.array(read_bytes(file, 1 << 16).split(), np.float64).reshape(3, 3)
    except ValueError as exc:
        raise DataError(f"expected 3 x 3 numbers in {file}, got others ({exc}): correct it") from exc
