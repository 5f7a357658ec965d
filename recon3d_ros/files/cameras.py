"""Cameras from the calibration files of many tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError, ConfigError
from recon3d_ros.files import camera_formats as formats
from recon3d_ros.files import camera_kitti as kitti
from recon3d_ros.files.camera_document import Document, read_document
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.geometry import PinholeCamera, StereoRig


class CameraReader(NamedTuple):
    """One way to write a calibration.

    Attributes:
        name: For messages.
        detect: Whether a file is written so, by its keys.
        read: Makes the camera or rig of one file; the image says what the file leaves open.
        read_pair: Makes the rig of two files, where each is not a camera_info of its own.
    """

    name: str
    detect: Callable[[Document], bool]
    read: Callable[[Document, Path | None], PinholeCamera | StereoRig]
    read_pair: Callable[[Document, Document, Path | None], PinholeCamera | StereoRig] | None = None


# The first that detects its keys reads the file.
CAMERA_READERS = (
    CameraReader("camera_info YAML", formats.is_camera_info, formats.read_camera_info),
    CameraReader("camera_info of ros2 topic echo", formats.is_echo, formats.read_echo),
    CameraReader(
        "sensor.yaml of EuRoC", formats.is_euroc_sensor, formats.read_euroc_sensor, formats.read_euroc_pair
    ),
    CameraReader("camchain of kalibr", formats.is_kalibr, formats.read_kalibr),
    CameraReader("calib_cam_to_cam.txt of KITTI", kitti.is_kitti_raw, kitti.read_kitti_raw),
    CameraReader("calib.txt of KITTI", kitti.is_kitti, kitti.read_kitti),
    CameraReader("FileStorage of OpenCV", formats.is_opencv, formats.read_opencv),
)


def read_camera(*paths: Path | str, image: Path | None = None) -> PinholeCamera | StereoRig:
    """Read a calibration: one file, or two of the left and the right camera.

    Known are camera_info as camera_calibration writes it (two cameras under the keys `left` and `right`) and
    as `ros2 topic echo` prints it, OpenCV's FileStorage (YAML), kalibr's camchain, EuRoC's sensor.yaml, and
    KITTI's calib.txt and calib_cam_to_cam.txt. Where a file states no R and P of a pair,
    `stereo_rectified_pair` computes them. Lengths are m: OpenCV's T is in the unit of the calibration board.

    Args:
        paths: One or two files.
        image: A (left) image that the calibration is for. Its size counts where the file states none; its
            folder, image_0 to image_3, says which pair of KITTI's cameras took it.

    Raises:
        ConfigError: More than two files, or one of a pair beside another.
        DataError: A file cannot be read, or is no text of keys and values.
        CalibrationError: It is none of these, or describes no usable camera or rig.
    """
    if len(paths) not in (1, 2):
        raise ConfigError(
            f"expected one camera file, or two of single cameras, got {len(paths)}: give left and right"
        )
    documents = [read_document(path) for path in paths]
    name = " and ".join(map(str, paths))
    try:
        return _read(documents, image)
    except CalibrationError as exc:
        raise CalibrationError(f"{name}: {exc}") from exc
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, np.linalg.LinAlgError) as exc:
        said = f"no {exc}" if isinstance(exc, KeyError) else " ".join(str(exc).split())
        raise CalibrationError(
            f"{name}: expected the calibration of a camera, got a problem with its values ({said:.200}): "
            "compare it with what the tool wrote"
        ) from exc


def _read(documents: list[Document], image: Path | None) -> PinholeCamera | StereoRig:
    if len(documents) == 1:
        return _reader(documents[0]).read(documents[0], image)
    left, right = documents
    if formats.is_opencv_pair(left, right):
        return formats.read_opencv_pair(left, right, image)
    readers = [_reader(document) for document in documents]
    if readers[0] is readers[1] and readers[0].read_pair is not None:
        return readers[0].read_pair(left, right, image)
    cameras = [reader.read(document, image) for reader, document in zip(readers, documents)]
    singles = [camera for camera in cameras if isinstance(camera, PinholeCamera)]
    if len(singles) != 2:
        raise ConfigError(
            "expected one camera file, or two of single cameras, got two with one of a pair: give that alone"
        )
    return StereoRig(*singles)


def _reader(document: Document) -> CameraReader:
    for reader in CAMERA_READERS:
        if reader.detect(document):
            return reader
    raise CalibrationError(
        f"expected one of {', '.join(reader.name for reader in CAMERA_READERS)}, got the keys "
        f"{', '.join(sorted(document)[:8])}: save the calibration as one of these"
    )


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
