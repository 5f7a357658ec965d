"""Folders of colour and depth images: plain ones with K, exports of NYUv2, exports of ScanNet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from recon3d_ros.datasets.folders import CAMERA_FILE, paired_files, stamps_of
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.datasets.rgbd.aligner import RgbdAligner
from recon3d_ros.errors import CalibrationError, DataError
from recon3d_ros.files import DEPTH_SUFFIXES, read_camera, read_depth, read_image, read_intrinsics
from recon3d_ros.files.disk import read_bytes
from recon3d_ros.geometry import Frame, PinholeCamera, Sample, StereoRig

K_FILE = "K.txt"
SCALE_FILE = "depth_scale.txt"
RATE_HZ = 10.0  # of images whose names are no stamps
# The colour camera of NYUv2's toolbox (camera_params.m), which holds for the whole labelled set.
NYUV2_CAMERA = PinholeCamera.simple(640, 480, 518.8579, 325.5824, 253.7362, 519.4696)
# Undistorting left a white frame around its photographs: left, top, right, bottom.
NYUV2_BORDER_PX = (8, 6, 5, 7)
# Where exporters of ScanNet put the intrinsics of colour and depth: SensReader, and scannet_frames_25k.
SCANNET_FILES = (
    ("intrinsic/intrinsic_color.txt", "intrinsic/intrinsic_depth.txt"),
    ("intrinsics_color.txt", "intrinsics_depth.txt"),
)


def has_pair_of_folders(path: Path, colour: str) -> bool:
    """Whether a folder has one of colour images by that name, and one named depth."""
    return (path / colour).is_dir() and (path / "depth").is_dir()


def is_nyuv2(path: Path) -> bool:
    """Whether it is rgb/ and depth/ without calibration, it or the folder above named after NYU."""
    names = os.path.realpath(path).lower().split(os.sep)[-2:]
    calibrated = any((path / name).is_file() for name in (CAMERA_FILE, K_FILE))
    return has_pair_of_folders(path, "rgb") and not calibrated and any("nyu" in name for name in names)


def plain_samples(path: Path, camera: PinholeCamera | StereoRig | None = None) -> LazySequence[Sample]:
    """The samples of `rgb/` and `depth/`, joined by equal names, with K.txt or camera.yaml.

    Args:
        path: The folder. `camera.yaml` may have distortion: image and depth are rectified then, the depth
            taken to lie on the raw image's grid. `depth_scale.txt` holds the stored units of a metre (1000 of
            16 bits, 1 of floats without it).
        camera: Instead of the calibration in the folder.

    Raises:
        DataError: A file lacks its partner or there is none, the calibration is missing or double.
        CalibrationError: The calibration cannot be used or belongs to another size.
    """
    files = paired_files(path / "rgb", path / "depth", DEPTH_SUFFIXES)
    return _samples(files, RgbdAligner(camera_of(path, files[0][0], camera)), _scale(path))


def nyuv2_samples(path: Path) -> LazySequence[Sample]:
    """The samples of NYUv2's labelled set exported to `rgb/` and `depth/` (16 bits, mm), white frame cropped.

    Raises:
        DataError: A file lacks its partner, there is none, or images are not NYUv2's 640x480.
    """
    files = paired_files(path / "rgb", path / "depth", DEPTH_SUFFIXES)
    size_wh = read_image(files[0][0]).shape[1::-1]
    if size_wh != NYUV2_CAMERA.image_size_wh:
        raise DataError(
            f"expected NYUv2's images of 640x480 in {path / 'rgb'}, got {size_wh[0]}x{size_wh[1]}: write the "
            f"K of your export into {path / K_FILE}"
        )
    return _samples(files, RgbdAligner(NYUV2_CAMERA), _scale(path), _inside)


def scannet_samples(path: Path) -> LazySequence[Sample]:
    """The samples of a scene exported as ScanNet's SensReader does, on the grid of the depth.

    Colour (1296x968) and depth (640x480, mm) look from one place, each with its K; poses are not read.

    Raises:
        DataError: A file is missing or lacks its partner.
        CalibrationError: The intrinsics cannot be used.
    """
    files = paired_files(path / "color", path / "depth", DEPTH_SUFFIXES)
    named = next((pair for pair in SCANNET_FILES if (path / pair[0]).is_file()), SCANNET_FILES[0])
    colour, depth = (read_intrinsics(path / name) for name in named)
    width, height = read_image(files[0][0]).shape[1::-1]
    stored = read_depth(files[0][1])
    return _samples(
        files,
        RgbdAligner(
            _sized(colour, (width, height), path / named[0]),
            _sized(depth, (stored.shape[1], stored.shape[0]), path / named[1]),
        ),
        _scale(path),
    )


def camera_of(folder: Path, image: Path, given: PinholeCamera | StereoRig | None) -> PinholeCamera:
    """The camera of a folder with colour and depth: the one given, else camera.yaml, else K.txt.

    Raises:
        DataError: There is none, two, or one of a pair.
        CalibrationError: It cannot be used.
    """
    found = [folder / name for name in (CAMERA_FILE, K_FILE) if (folder / name).is_file()]
    if given is None and len(found) != 1:
        what = "both: remove the one that does not belong to the images" if found else "none: write K.txt"
        raise DataError(f"expected {CAMERA_FILE} or {K_FILE} with the calibration in {folder}, found {what}")
    if given is None and found[0].name == K_FILE:
        width, height = read_image(image).shape[1::-1]
        return _sized(read_intrinsics(found[0]), (width, height), found[0])
    camera = read_camera(found[0], image=image) if given is None else given
    if isinstance(camera, StereoRig):
        raise DataError(
            f"expected one camera for images with depth, got a stereo pair for {folder}: give one"
        )
    return camera


def _sized(k: np.ndarray, size_wh: tuple[int, int], source: Path) -> PinholeCamera:
    width, height = size_wh
    if not (0 <= k[0, 2] < width and 0 <= k[1, 2] < height):
        raise CalibrationError(
            f"expected the principal point inside images of {width}x{height}, got "
            f"({k[0, 2]:g}, {k[1, 2]:g}) in {source}: K belongs to another size, scale it"
        )
    return PinholeCamera(width, height, k)


def _scale(folder: Path) -> float | None:
    path = folder / SCALE_FILE
    if not path.exists():
        return None
    text = read_bytes(path).decode(errors="replace").strip()
    try:
        units_per_m = float(text)
    except ValueError:
        units_per_m = -1.0
    if not 0 < units_per_m < float("inf"):
        raise DataError(
            f"expected one number in {path}, the stored units of a metre, got {text!r:.60}: "
            "write 1000 for millimetres"
        )
    return units_per_m


def _inside(sample: Sample) -> Sample:
    """The sample without NYUv2's white frame."""
    left, top, right, bottom = NYUV2_BORDER_PX
    height, width = sample.frame.image.shape[:2]
    kept = (slice(top, height - bottom), slice(left, width - right))
    camera = sample.frame.camera.cropped(left, top, width - left - right, height - top - bottom)
    assert sample.depth is not None  # `RgbdAligner` gives it
    image, depth = np.ascontiguousarray(sample.frame.image[kept]), np.ascontiguousarray(sample.depth[kept])
    seen = sample.frame.valid
    valid = None if seen is None else np.ascontiguousarray(seen[kept])
    frame = Frame(sample.frame.stamp_ns, image, camera, name=sample.name, valid=valid)
    return Sample(frame, None, depth, sample.name)


def _samples(
    files: list[tuple[Path, Path]],
    aligner: RgbdAligner,
    units_per_m: float | None,
    finish: Callable[[Sample], Sample] = lambda sample: sample,
) -> LazySequence[Sample]:
    stamps = stamps_of([image.stem for image, _ in files], RATE_HZ)

    def load(i: int) -> Sample:
        image, depth = files[i]
        planes = read_image(image), read_depth(depth, units_per_m)
        return finish(aligner.sample(image.stem, stamps[i], *planes, str(depth)))

    return LazySequence(range(len(files)), load)
