"""What `recon3d run`, `process`, `reconstruct` and `~/save` leave on disk, into a `RerunLog`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recon3d_ros.errors import DataError
from recon3d_ros.files import read_camera, read_image, read_pfm, read_ply_points
from recon3d_ros.geometry import DepthMap, PinholeCamera, StereoRig
from recon3d_ros.reports.rerun_log import RerunLog

_MESHES = (".glb", ".gltf", ".obj", ".stl")
_DEPTH = "_depth.pfm"
_CLOUD_OF_BAG = re.compile(r"(\d{6,})_(\d+)\.ply")
_TRAJECTORY = "trajectory.txt"


def log_saved(log: RerunLog, path: Path) -> int:
    """Log a file (PLY, mesh) or a folder of results.

    Args:
        log: Where to.
        path: `DIR` of `recon3d run --out`, of `process --out-ply`, of `reconstruct --out`, a folder of
            `~/save`, or one file.

    Returns:
        The number of frames, clouds and meshes.

    Raises:
        DataError: There is nothing of that kind, or a file is damaged.
    """
    if path.is_file():
        _log_file(log, path)
        return 1
    if not path.is_dir():
        raise DataError(f"expected a file or folder at {path}, found none: check the path")
    count = sum(1 for _ in _log_folder(log, path))
    if count == 0:
        raise DataError(
            f"expected results of recon3d run, process, reconstruct or ~/save in {path}, found none: name "
            "the folder that was given as --out"
        )
    return count


def _log_file(log: RerunLog, path: Path) -> None:
    if path.suffix.lower() == ".ply":
        log.points(*read_ply_points(path))
    elif path.suffix.lower() in _MESHES:
        log.mesh(path)
    else:
        raise DataError(
            f"expected a file of .ply, {', '.join(_MESHES)}, got {path}: convert it, or name a folder"
        )


def _log_folder(log: RerunLog, folder: Path) -> Iterator[Path]:
    """Log what is in a folder, and yield the file that each frame or model was taken from."""
    if (folder / "result" / "depth.pfm").is_file():
        _log_saved_frame(log, folder)
        yield folder
        return
    for number, depth in enumerate(sorted(folder.glob(f"*{_DEPTH}"))):
        log.at(number)
        _log_result(log, folder, depth.name.removesuffix(_DEPTH) + "_")
        yield depth
    for path in sorted(folder.glob("*.ply")):
        if match := _CLOUD_OF_BAG.fullmatch(path.name):
            log.at(int(match[1]), int(match[2]))
            log.points(*read_ply_points(path))
            yield path
    # One mesh is enough: the others are the same in another format.
    for path in sorted(folder.glob("mesh.*"), key=lambda path: path.suffix != ".glb"):
        if path.suffix in _MESHES:
            log.mesh(path)
            yield path
            break
    if (trajectory := folder / _TRAJECTORY).is_file():
        log.trajectory(_positions(trajectory))
        yield trajectory


def _log_saved_frame(log: RerunLog, folder: Path) -> None:
    camera = read_camera(folder / "camera.yaml")
    sides = ["left", "right"] if (folder / "left").is_dir() else [""]
    files = [min((folder / side).glob("*.png"), default=None) for side in sides]
    if None in files:
        raise DataError(f"expected the images of a saved frame in {folder}, found none: save it again")
    images = [read_image(file) for file in files if file is not None]
    left = camera.left if isinstance(camera, StereoRig) else camera
    log.at(0, int(files[0].stem) if files[0] is not None and files[0].stem.isdecimal() else 0)
    log.images(left, images[0], images[1] if len(images) > 1 else None)
    _log_result(log, folder / "result", "", left)


def _log_result(log: RerunLog, folder: Path, prefix: str, camera: PinholeCamera | None = None) -> None:
    depth = read_pfm(folder / f"{prefix}depth.pfm")
    if camera is None:  # `run` writes none; the field of view of the picture does not matter
        camera = PinholeCamera.simple(depth.shape[1], depth.shape[0], fx=float(depth.shape[1]))
    confidence = folder / f"{prefix}confidence.pfm"
    known = read_pfm(confidence) if confidence.is_file() else None
    log.depth_map(DepthMap(depth, camera, confidence=known))
    if (cloud := folder / f"{prefix}cloud.ply").is_file():
        log.points(*read_ply_points(cloud))


def _positions(path: Path) -> np.ndarray:
    """(N, 3) positions of a trajectory in TUM's format: stamp x y z and a quaternion per line."""
    try:
        rows = np.loadtxt(path, ndmin=2)
        return np.ascontiguousarray(rows[:, 1:4])
    except (ValueError, IndexError, OSError) as exc:
        raise DataError(f"expected lines of stamp x y z qx qy qz qw in {path}: {exc}") from exc
