"""Camera calibrations as YAML."""

from __future__ import annotations

from pathlib import Path

import yaml

from recon3d_ros.errors import CalibrationError, DataError
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.geometry import PinholeCamera, StereoRig


def read_camera_yaml(path: Path) -> PinholeCamera | StereoRig:
    """Read a ROS camera_info YAML, or two of them under the keys `left` and `right`.

    Raises:
        DataError: The file cannot be read, or is no YAML.
        CalibrationError: It describes no usable camera or rig.
    """
    try:
        document = yaml.safe_load(read_bytes(path).decode())
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: no UTF-8, or a date such as 2020-99-99
        raise DataError(
            f"expected a YAML file of a camera, {path} is none: {' '.join(str(exc).split())}"
        ) from exc
    if not isinstance(document, dict):
        raise CalibrationError(f"expected a camera_info YAML, {path} holds {type(document).__name__}")
    try:
        if "left" in document and "right" in document:
            return StereoRig(*(PinholeCamera.from_dict(document[side]) for side in ("left", "right")))
        return PinholeCamera.from_dict(document)
    except CalibrationError as exc:
        raise CalibrationError(f"{path}: {exc}") from exc
