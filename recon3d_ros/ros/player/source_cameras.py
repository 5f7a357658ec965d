"""The camera of what `image_source` plays: from a file, beside the images, or assumed. Needs no ROS."""

from __future__ import annotations

import math
from pathlib import Path

from recon3d_ros.config.camera_topics import is_packed
from recon3d_ros.config.source import SourceConfig
from recon3d_ros.datasets import RawImages
from recon3d_ros.datasets.folders import CAMERA_FILE, image_files
from recon3d_ros.errors import CalibrationError
from recon3d_ros.files import read_camera
from recon3d_ros.geometry import PinholeCamera, StereoRig


def check_images(camera: PinholeCamera | StereoRig, raw: RawImages) -> None:
    """Check that images have the size of their camera.

    Raises:
        CalibrationError: They have not.
    """
    if isinstance(camera, StereoRig):
        camera.left.check_image(raw.left)
        if raw.right is not None:
            camera.right.check_image(raw.right)
    else:
        camera.check_image(raw.left)


def camera_of_folder(config: SourceConfig, first: RawImages, folder: Path) -> PinholeCamera | StereoRig:
    """The camera of a folder whose first images are `first`.

    Raises:
        CalibrationError: There is none, or one of the other kind.
    """
    height, width = first.left.shape[:2]
    beside = folder / CAMERA_FILE
    if first.right is None:
        return _mono_camera(config, (width, height), beside)
    path = Path(config.camera) if config.camera else beside
    if not path.is_file():
        raise CalibrationError(
            f"expected the calibration of the pair in {path}, found none: save a YAML with left: and right: "
            "(camera_info each) there, or name one with the option camera"
        )
    camera = read_camera(path, image=image_files(folder)[0][0])
    if not isinstance(camera, StereoRig):
        raise CalibrationError(
            f"expected left: and right: in {path} for a folder of pairs, got one camera: add both"
        )
    return camera


def camera_of_video(config: SourceConfig, size_wh: tuple[int, int]) -> PinholeCamera | StereoRig:
    """The camera of a video or webcam with images of a size.

    Raises:
        CalibrationError: There is none, or one of the other kind.
    """
    if not is_packed(config.layout):
        return _mono_camera(config, size_wh, None)
    camera = read_camera(Path(config.camera)) if config.camera else None
    if not isinstance(camera, StereoRig):
        raise CalibrationError(
            f"expected the calibration of both views for the layout {config.layout}, got "
            f"{config.camera or 'none'}: name a YAML with left: and right: by the option camera"
        )
    return camera


def _mono_camera(config: SourceConfig, size_wh: tuple[int, int], beside: Path | None) -> PinholeCamera:
    path = Path(config.camera) if config.camera else beside
    if config.camera or (path is not None and path.is_file()):
        camera = read_camera(path)  # type: ignore[arg-type]  # never None here
        if isinstance(camera, StereoRig):
            raise CalibrationError(
                f"expected one camera in {path} for images of one camera, got a pair: take one of them"
            )
        return camera
    if config.fov_deg > 0:
        return PinholeCamera.simple(*size_wh, fx=size_wh[0] / 2 / math.tan(math.radians(config.fov_deg) / 2))
    raise CalibrationError(
        f"expected a calibration for the images of {config.source}, got none: name a camera_info YAML by the "
        "option camera, or state the horizontal field of view by the option fov_deg (60 is common)"
    )
