"""EuRoC MAV recordings: raw grey stereo with intrinsics, distortion and body-to-camera extrinsics."""

from __future__ import annotations

from pathlib import Path

from recon3d_ros.datasets.folders import RawImages, images_of, paired_files, rectified_frames
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.errors import DataError
from recon3d_ros.files.camera_document import read_document
from recon3d_ros.files.camera_formats import read_euroc_pair
from recon3d_ros.geometry import Frame, StereoRig


def is_euroc(path: Path | str) -> bool:
    """True when the folder looks like a EuRoC recording (`cam0` and `cam1` with their YAML files)."""
    folder = _camera_root(Path(path))
    return all(_yaml_path(folder, name).is_file() and (folder / name).is_dir() for name in ("cam0", "cam1"))


def euroc_raw(path: Path | str) -> tuple[StereoRig, LazySequence[RawImages]]:
    """Open a EuRoC recording, `cam0.yaml` beside `cam0/` or the original `mav0/cam0/sensor.yaml` and `data/`.

    Returns:
        The raw rig, with R and P computed by `cv2.stereoRectify` since EuRoC states none, and the images as
        (stamp_ns, left, right), (H, W) uint8.

    Raises:
        DataError: when a file is missing or unreadable, the two cameras differ in size or model, or images
            lack their partner.
        CalibrationError: when the numbers describe no stereo rig.
    """
    folder = _camera_root(Path(path))
    paths = [_yaml_path(folder, name) for name in ("cam0", "cam1")]
    left, right = (read_document(path) for path in paths)
    try:
        rig = read_euroc_pair(left, right)
        rate_hz = float(left.get("rate_hz", 20.0))
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise DataError(
            f"expected intrinsics, distortion_model, distortion_coefficients, resolution and T_BS in "
            f"{paths[0]} and {paths[1]}, got a problem with {exc}: compare with a EuRoC sensor.yaml"
        ) from exc
    return rig, images_of(_image_files(folder), rate_hz)


def euroc_frames(path: Path | str) -> LazySequence[Frame]:
    """The recording as rectified frames, named by their stamps; see `euroc_raw`."""
    rig, raw = euroc_raw(path)
    names = [left.stem for left, _ in _image_files(_camera_root(Path(path)))]
    return rectified_frames(raw, rig, names)


def _camera_root(path: Path) -> Path:
    return path / "mav0" if (path / "mav0").is_dir() else path


def _yaml_path(folder: Path, camera: str) -> Path:
    beside = folder / f"{camera}.yaml"
    return beside if beside.is_file() else folder / camera / "sensor.yaml"


def _image_files(folder: Path) -> list[tuple[Path, Path | None]]:
    dirs = []
    for camera in ("cam0", "cam1"):
        inner = folder / camera / "data"
        dirs.append(inner if inner.is_dir() else folder / camera)
        if not dirs[-1].is_dir():
            raise DataError(f"expected the images of {camera} in {dirs[-1]}, found no folder: check the path")
    return [*paired_files(dirs[0], dirs[1])]
