"""Camera calibrations as YAML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError, DataError
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.geometry import PinholeCamera, StereoRig


def read_camera_yaml(path: Path | str) -> PinholeCamera | StereoRig:
    """Read a ROS camera_info YAML, or two of them under the keys `left` and `right`.

    Raises:
        DataError: The file cannot be read, or is no YAML.
        CalibrationError: It describes no usable camera or rig.
    """
    try:
        document = yaml.safe_load(read_bytes(path).decode())
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: no UTF-8, or a date such as 2020-99-99
        raise DataError(
            f"expected a YAML file of a camera, {path} is none ({' '.join(str(exc).split())}): name what "
            "camera_calibration saved, ost.yaml"
        ) from exc
    if not isinstance(document, dict):
        raise CalibrationError(f"expected a camera_info YAML, {path} holds {type(document).__name__}")
    try:
        if "left" in document and "right" in document:
            return StereoRig(*(PinholeCamera.from_dict(document[side]) for side in ("left", "right")))
        return PinholeCamera.from_dict(document)
    except CalibrationError as exc:
        raise CalibrationError(f"{path}: {exc}") from exc


def read_intrinsics(path: Path | str) -> NDArray[np.float64]:
    """Read K from a text file: 3x3 numbers, or 4x4 as ScanNet writes it, between blanks, commas, lines.

    Returns:
        (3, 3) float64 px: fx 0 cx, 0 fy cy, 0 0 1.

    Raises:
        DataError: The file cannot be read.
        CalibrationError: It holds no such matrix.
    """
    try:
        words = read_bytes(path).decode().replace(",", " ").split()
        numbers = np.array([float(word) for word in words])
    except ValueError as exc:
        raise CalibrationError(f"expected numbers only in {path} ({exc}): write K as 3x3 numbers") from exc
    if numbers.size not in (9, 16):
        raise CalibrationError(
            f"expected the 3x3 (or 4x4) numbers of K in {path}, got {numbers.size}: "
            "write fx 0 cx, 0 fy cy, 0 0 1"
        )
    side = 3 if numbers.size == 9 else 4
    k = numbers.reshape(side, side)[:3, :3]
    good = np.isfinite(numbers).all() and min(k[0, 0], k[1, 1]) > 0
    if not good or k[0, 1] != 0 or k[1, 0] != 0 or not np.array_equal(k[2], (0, 0, 1)):
        raise CalibrationError(
            f"expected fx 0 cx, 0 fy cy, 0 0 1 with positive focal lengths in {path}, got "
            f"{numbers.tolist()}: write the K of the images"
        )
    return k
