"""EuRoC MAV recordings: raw grey stereo with intrinsics, distortion and body-to-camera extrinsics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from recon3d_ros.datasets.folders import RawImages, images_of, paired_files, rectified_frames
from recon3d_ros.datasets.lazy_sequence import LazySequence
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import Frame, StereoRig, stereo_rectified_pair
from recon3d_ros.geometry.checks import is_rotation

DISTORTION_MODELS = {"radial-tangential": "plumb_bob", "radtan": "plumb_bob", "equidistant": "equidistant"}


class EurocCamera(NamedTuple):
    """One camera's YAML: (3, 3) K, distortion coefficients, ROS model name, size, T_body_sensor, rate."""

    k: np.ndarray
    d: np.ndarray
    distortion_model: str
    size_wh: tuple[int, int]
    T_body_sensor: np.ndarray
    rate_hz: float


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
    left, right = (read_euroc_yaml(_yaml_path(folder, name)) for name in ("cam0", "cam1"))
    if left.size_wh != right.size_wh or left.distortion_model != right.distortion_model:
        raise DataError(
            f"expected two cameras of equal size and model in {folder}, got {left.size_wh} "
            f"{left.distortion_model} and {right.size_wh} {right.distortion_model}: check the YAML files"
        )
    rig = stereo_rectified_pair(
        left.k,
        left.d,
        right.k,
        right.d,
        np.linalg.inv(right.T_body_sensor) @ left.T_body_sensor,
        left.size_wh,
        distortion_model=left.distortion_model,
    )
    return rig, images_of(_image_files(folder), left.rate_hz)


def euroc_frames(path: Path | str) -> LazySequence[Frame]:
    """The recording as rectified frames, named by their stamps; see `euroc_raw`."""
    rig, raw = euroc_raw(path)
    names = [left.stem for left, _ in _image_files(_camera_root(Path(path)))]
    return rectified_frames(raw, rig, names)


def read_euroc_yaml(path: Path) -> EurocCamera:
    """Read one camera of a EuRoC recording (kalibr's `sensor.yaml`).

    Raises:
        DataError: when the file is missing, is no YAML, or lacks or garbles a value.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # OpenCV's header "%YAML:1.0" is no directive PyYAML accepts
        content = yaml.safe_load("\n".join(line for line in text.splitlines() if not line.startswith("%")))
    except (OSError, ValueError, yaml.YAMLError) as exc:
        reason = " ".join(str(exc).split())
        raise DataError(f"expected a readable EuRoC camera YAML at {path}, got: {reason}; check it") from exc
    try:
        return _parse(content)
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise DataError(
            f"expected intrinsics, distortion_model, distortion_coefficients, resolution and T_BS in {path}, "
            f"got a problem with {exc}: compare with a EuRoC sensor.yaml"
        ) from exc


def _parse(content: Mapping[str, Any]) -> EurocCamera:
    fu, fv, cu, cv = (float(number) for number in content["intrinsics"])
    width, height = (int(number) for number in content["resolution"])
    model = str(content["distortion_model"])
    if model not in DISTORTION_MODELS:
        raise ValueError(f"distortion_model {model} (known: {', '.join(DISTORTION_MODELS)})")
    T_body_sensor = np.array(content["T_BS"]["data"], dtype=np.float64).reshape(4, 4)
    if not np.isfinite(T_body_sensor).all() or not is_rotation(T_body_sensor[:3, :3]):
        raise ValueError("T_BS, which holds no rotation")
    return EurocCamera(
        k=np.array([[fu, 0.0, cu], [0.0, fv, cv], [0.0, 0.0, 1.0]]),
        d=np.array(content["distortion_coefficients"], dtype=np.float64),
        distortion_model=DISTORTION_MODELS[model],
        size_wh=(width, height),
        T_body_sensor=T_body_sensor,
        rate_hz=float(content.get("rate_hz", 20.0)),
    )


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
