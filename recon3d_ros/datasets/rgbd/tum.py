"""TUM RGB-D recordings (Sturm et al., IROS 2012): lists of stamped colour and depth images."""

from __future__ import annotations

import os
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recon3d_ros.datasets.folders import CAMERA_FILE
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.rgbd.aligner import RgbdAligner
from recon3d_ros.datasets.rgbd.association import nearest_pairs, unmatched_note
from recon3d_ros.datasets.rgbd.folders import K_FILE, camera_of
from recon3d_ros.errors import DataError
from recon3d_ros.files import read_depth, read_image
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.geometry import PinholeCamera, Sample, StereoRig

UNITS_PER_M = 5000.0
LISTS = ("rgb.txt", "depth.txt")
# "Intrinsic camera calibration of the Kinect" on the benchmark's page, with the digits that ORB-SLAM's
# settings have: fx, fy, cx, cy; k1, k2, p1, p2, k3. Images of freiburg3 are undistorted already.
FREIBURG = {
    "freiburg1": (
        (517.306408, 516.469215, 318.643040, 255.313989),
        (0.262383, -0.953104, -0.005358, 0.002628, 1.163314),
    ),
    "freiburg2": (
        (520.908620, 521.007327, 325.141442, 249.701764),
        (0.231222, -0.784899, -0.003257, -0.000105, 0.917205),
    ),
    "freiburg3": ((535.4, 539.2, 320.1, 247.6), ()),
}


class _Listed(NamedTuple):
    stamp_ns: int
    path: Path


def is_tum(path: Path) -> bool:
    """Whether the folder has the two lists, rgb.txt and depth.txt."""
    return all((path / name).is_file() for name in LISTS)


def tum_samples(path: Path, camera: PinholeCamera | StereoRig | None = None) -> LazySequence[Sample]:
    """The pairs of a recording whose stamps are within 20 ms, each image once; the note counts the rest.

    Depth is 16 bits, 5000 to the metre, registered to the colour image. Raw images (freiburg1 and 2) and
    their depth are rectified. `groundtruth.txt` is of poses and is not read.

    Args:
        path: The folder with rgb.txt and depth.txt.
        camera: Instead of camera.yaml or K.txt in the folder; without any of them the calibration of the
            sensor that the folder's name gives.

    Raises:
        DataError: A list is damaged or not in order, no two stamps match, nothing names the camera.
        CalibrationError: The calibration cannot be used.
    """
    images, depths = (_read_list(path / name) for name in LISTS)
    pairs = nearest_pairs([item.stamp_ns for item in images], [item.stamp_ns for item in depths])
    if not pairs:
        raise DataError(
            f"expected stamps of {LISTS[0]} and {LISTS[1]} within 20 ms of each other, no two are in {path}: "
            "check that both lists are of one recording"
        )
    aligner = RgbdAligner(_camera(path, images[0].path, camera))

    def load(pair: tuple[int, int]) -> Sample:
        image, depth = images[pair[0]], depths[pair[1]]
        planes = read_image(image.path), read_depth(depth.path, UNITS_PER_M)
        return aligner.sample(image.path.stem, image.stamp_ns, *planes, str(depth.path))

    return LazySequence(pairs, load, unmatched_note(len(images), len(depths), len(pairs)))


def _camera(path: Path, image: Path, given: PinholeCamera | StereoRig | None) -> PinholeCamera:
    if given is not None or any((path / name).is_file() for name in (CAMERA_FILE, K_FILE)):
        return camera_of(path, image, given)
    name = os.path.basename(os.path.realpath(path))
    sensor = next((known for known in FREIBURG if known in name), None)
    if sensor is None:
        raise DataError(
            f"expected {CAMERA_FILE} or {K_FILE} in {path}, or a folder named after its sensor "
            f"({', '.join(FREIBURG)}), got neither: write the calibration there"
        )
    (fx, fy, cx, cy), d = FREIBURG[sensor]
    return PinholeCamera(640, 480, np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), np.array(d))


def _read_list(path: Path) -> list[_Listed]:
    """Read a list: a stamp in seconds and a file name on each line, comments after `#`."""
    items: list[_Listed] = []
    for number, line in enumerate(read_bytes(path).decode(errors="replace").splitlines(), 1):
        words = line.split("#", 1)[0].split(maxsplit=1)
        if not words:
            continue
        try:
            stamp_ns = int(Decimal(words[0]) * 1_000_000_000)
            items.append(_Listed(stamp_ns, path.parent / words[1].strip()))
        except (InvalidOperation, ValueError, OverflowError, IndexError) as exc:
            raise DataError(
                f"expected a stamp in seconds and a file name in line {number} of {path}, got {line!r:.80}: "
                "correct it"
            ) from exc
        if len(items) > 1 and items[-1].stamp_ns <= items[-2].stamp_ns:
            raise DataError(
                f"expected rising stamps in {path}, line {number} goes from "
                f"{items[-2].stamp_ns / 1e9:.6f} to {stamp_ns / 1e9:.6f} s: sort the list, or split it where "
                "the recording starts over"
            )
    if not items:
        raise DataError(f"expected stamps and file names in {path}, found none: check the file")
    return items
