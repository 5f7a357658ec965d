"""KITTI's calibrations: calib.txt with P0 to P3, and calib_cam_to_cam.txt of the raw recordings.

Cameras 0 and 1 are the grey pair, 2 and 3 the colour pair. All P are in the frame of the rectified camera 0;
translations are m, as P[0, 3] = -fx x.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from recon3d_ros.errors import CalibrationError
from recon3d_ros.files.camera_document import Document, numbers
from recon3d_ros.files.camera_formats import image_size
from recon3d_ros.geometry import PinholeCamera, StereoRig

log = logging.getLogger(__name__)

PAIRS = ((2, 3), (0, 1))


def is_kitti(document: Document) -> bool:
    """calib.txt of odometry, stereo and object detection."""
    return any({f"P{left}", f"P{right}"} <= document.keys() for left, right in PAIRS)


def read_kitti(document: Document, image: Path | None) -> StereoRig:
    """Read the pair that the image belongs to; all images of these sets are rectified."""
    pair = _pair({number for number in range(4) if f"P{number}" in document}, image)
    width, height = image_size(image, "the images to the command: KITTI's calib.txt has none")
    projections = (numbers(document[f"P{number}"], 3, 4) for number in pair)
    return StereoRig(*(PinholeCamera(width, height, p[:, :3], p=p) for p in projections))


def is_kitti_raw(document: Document) -> bool:
    """calib_cam_to_cam.txt."""
    return any({f"P_rect_0{left}", f"P_rect_0{right}"} <= document.keys() for left, right in PAIRS)


def read_kitti_raw(document: Document, image: Path | None) -> StereoRig:
    """Read the pair that the image belongs to, as raw cameras when the image has the size of raw ones."""
    pair = _pair({number for number in range(4) if f"P_rect_0{number}" in document}, image)
    sizes = {key: tuple(int(n) for n in numbers(document[f"{key}_0{pair[0]}"], 2)) for key in ("S", "S_rect")}
    size_wh = sizes["S_rect"] if image is None else image_size(image, "")
    if size_wh not in sizes.values():
        raise CalibrationError(
            f"expected rectified images of {sizes['S_rect']} or raw ones of {sizes['S']}, "
            f"{image} has {size_wh}: name the calibration of the same day"
        )
    raw = size_wh != sizes["S_rect"]
    return StereoRig(*(_raw_camera(document, number, size_wh, raw) for number in pair))


def _raw_camera(document: Document, number: int, size_wh: tuple[int, ...], raw: bool) -> PinholeCamera:
    width, height = size_wh
    p = numbers(document[f"P_rect_0{number}"], 3, 4)
    if not raw:
        return PinholeCamera(width, height, p[:, :3], p=p)
    k, r = (numbers(document[f"{key}_0{number}"], 3, 3) for key in ("K", "R_rect"))
    return PinholeCamera(width, height, k, numbers(document[f"D_0{number}"], 5), "plumb_bob", r, p)


def _pair(there: set[int], image: Path | None) -> tuple[int, int]:
    """The pair of the folder image_0 to image_3 (or image_00 to image_03) of the image, else colour.

    The pairs differ by 1 % in their baseline, so that the choice without such a folder is logged.
    """
    said = [re.fullmatch(r"image_0?([0-3])", part) for part in (image.absolute().parts if image else ())]
    number = next((int(match[1]) for match in reversed(said) if match), None)
    pairs = [pair for pair in PAIRS if set(pair) <= there and (number is None or number in pair)]
    if not pairs:
        raise CalibrationError(f"it lacks the cameras of {image}: name the calibration of this recording")
    if number is None and len(pairs) > 1:
        log.warning(
            "KITTI's calibration holds two pairs: taking the colour cameras 2 and 3, as no folder image_0 to "
            "image_3 says which images these are"
        )
    return pairs[0]
