"""Maps as folders: map_0001, map_0002 and so on, each written as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.mapping import GridConfig
from recon3d_ros.errors import DataError, OutputError
from recon3d_ros.files.disk import make_folder, open_regular, read_json, write_json
from recon3d_ros.mapping.blocks import SIDE, VOXELS, BlockStore
from recon3d_ros.mapping.live_map import CameraPath, LiveMap
from recon3d_ros.mapping.mesh_files import write_mesh
from recon3d_ros.mapping.observed_space import ObservedSpace
from recon3d_ros.mapping.occupancy import write_grid
from recon3d_ros.mapping.trajectory import Trajectory
from recon3d_ros.mapping.trajectory_files import read_trajectory, write_tum

VOLUME, ABOUT, MESH, GRID = "volume.npz", "map.json", "mesh.ply", "map.yaml"
_NAME = re.compile(r"map_(\d{4,9})")
_DRAFT = re.compile(r"\.map_draft_(\d+)_.*")
_PLANES: dict[str, tuple[type, tuple[int, ...]]] = {
    "coords": (np.int32, (3,)),
    "distance": (np.int16, (SIDE,) * 3),
    "weight": (np.uint16, (SIDE,) * 3),
    "colour": (np.uint8, (SIDE, SIDE, SIDE, 3)),
}
_SPACE_PLANES: dict[str, tuple[type, tuple[int, ...]]] = {
    "space_coords": (np.int32, (3,)),
    "space_counts": (np.uint16, (VOXELS, 2)),
}
_MOST_BYTES = 64 << 30
_MOST_TEXT = 1 << 20


@dataclass(frozen=True)
class SavedMap:
    """A map on disk.

    Attributes:
        folder: Where it is.
        without_grid: Why it has no grid; empty when it has one.
    """

    folder: Path
    without_grid: str = ""


def save_map(parent: Path, live: LiveMap, grid_config: GridConfig, frame_id: str) -> SavedMap:
    """Write mesh, grid, trajectories and the volume to a new folder; a killed process leaves no half of one.

    Args:
        parent: Where the folder goes; made when it is missing.
        live: At least one surface.
        grid_config: Of the grid.
        frame_id: Name of the fixed frame.

    Raises:
        DataError: There is no surface.
        OutputError: Something cannot be written.
        MissingDependencyError: scikit-image is not installed.
    """
    mesh = live.mesh()  # before a folder is made
    make_folder(parent)
    _remove_drafts(parent)
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".map_draft_{os.getpid()}_", dir=parent))
    except OSError as exc:
        raise _cannot_write(parent, exc) from exc
    try:
        write_mesh(draft / MESH, mesh)
        cameras = [name for name, path in live.paths.items() if len(path)]
        for name in cameras:
            write_tum(draft / _trajectory_file(name), live.paths[name].trajectory)
        without_grid = ""
        try:
            write_grid(draft / GRID, live.grid(grid_config))
        except DataError as exc:
            without_grid = str(exc)
        about = {"frame_id": frame_id, "voxel_m": live.fusion.config.voxel_m, "cameras": cameras}
        write_json(draft / ABOUT, about)
        _write_volume(draft / VOLUME, live)
        return SavedMap(_renamed(draft, parent), without_grid)
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # gone already when all went well


def load_map(place: Path, live: LiveMap, frame_id: str) -> Path:
    """Read a map back into `live`, in place of what it has.

    Args:
        place: Folder of a map, or one with maps, of which the last is taken.
        live: Has the same voxels.
        frame_id: Name of the fixed frame.

    Returns:
        The folder of the map.

    Raises:
        DataError: There is none, it is damaged, or it has other voxels or another fixed frame.
    """
    folder = newest_map(place)
    about = read_json(folder / ABOUT, _MOST_TEXT)
    voxel_m = live.fusion.config.voxel_m
    if not isinstance(about, dict) or about.get("voxel_m") != voxel_m or about.get("frame_id") != frame_id:
        raise DataError(
            f"expected a map with voxel_m {voxel_m:g} in the frame {frame_id} in {folder}, got "
            f"{about!r:.200}: set voxel_m and map_frame to those of the map, or choose another one"
        )
    arrays = _read_volume(folder / VOLUME)
    store = BlockStore.of(*(arrays[name] for name in _PLANES))
    space = ObservedSpace(voxel_m, live.fusion.config.map_max_depth_m)
    space.restore(*(arrays[name] for name in _SPACE_PLANES))
    names = [str(name) for name in about.get("cameras") or ()]
    paths = {name: _path_of(read_trajectory(folder / _trajectory_file(name))) for name in names}
    live.replace(store, paths, space)
    return folder


def newest_map(place: Path) -> Path:
    """The folder itself if it is a map, else the map in it with the highest number.

    Raises:
        DataError: There is none.
    """
    if (place / VOLUME).is_file():
        return place
    numbered = _numbered(place)
    if not numbered:
        raise DataError(
            f"expected a saved map in {place}, found none: call ~/save_map first, or set map_folder"
        )
    return place / numbered[max(numbered)]


def _numbered(parent: Path) -> dict[int, str]:
    try:
        names = os.listdir(parent)
    except OSError:
        return {}
    return {int(found[1]): name for name in names if (found := _NAME.fullmatch(name))}


def _renamed(draft: Path, parent: Path) -> Path:
    try:
        draft.chmod(0o755)  # mkdtemp makes folders that only their owner opens
        while True:
            number = max(_numbered(parent), default=0) + 1
            place = parent / f"map_{number:04d}"
            with contextlib.suppress(FileExistsError, IsADirectoryError):
                if not place.exists():
                    return draft.rename(place)
    except OSError as exc:
        raise _cannot_write(parent, exc) from exc


def _remove_drafts(parent: Path) -> None:
    """What processes that were killed while they wrote have left."""
    for name in os.listdir(parent):
        found = _DRAFT.fullmatch(name)
        if found and not Path(f"/proc/{found[1]}").exists():
            shutil.rmtree(parent / name, ignore_errors=True)


def _trajectory_file(camera: str) -> str:
    return f"trajectory_{camera.replace('/', '_')}.txt" if camera else "trajectory.txt"


def _path_of(trajectory: Trajectory) -> CameraPath:
    path = CameraPath()
    for stamp_ns, pose in zip(trajectory.stamps_ns.tolist(), trajectory.T_world_camera):
        path.add(stamp_ns, pose)
    return path


def _write_volume(path: Path, live: LiveMap) -> None:
    arrays: dict[str, Any] = {name: getattr(live.fusion.store, name) for name in _PLANES}
    arrays |= {"space_coords": live.space.coords, "space_counts": live.space.counts}
    try:
        with open(path, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise _cannot_write(path, exc) from exc


def _read_volume(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of `_PLANES` and `_SPACE_PLANES`, of one length each."""
    expected = _PLANES | _SPACE_PLANES
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            if sum(item.file_size for item in archive.infolist()) > _MOST_BYTES:
                raise DataError(
                    f"expected at most {_MOST_BYTES} bytes in {path}, it has more: check the file"
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                planes = {name: arrays[name] for name in expected}
    except DataError:
        raise
    except Exception as exc:  # of zip and NumPy: whatever damaged bytes lead to
        said = " ".join(f"{type(exc).__name__}: {exc}".split())
        raise DataError(
            f"expected a saved volume in {path}, reading failed ({said:.200}): restore it"
        ) from exc
    for name, (dtype, shape) in expected.items():
        plane, first = planes[name], planes["coords" if name in _PLANES else "space_coords"]
        count = len(first) if first.ndim else 0
        if plane.dtype != dtype or plane.shape != (count, *shape):
            raise DataError(
                f"expected {name} of {np.dtype(dtype)} and shape {(count, *shape)} in {path}, got "
                f"{plane.dtype} and {plane.shape}: restore it"
            )
    return planes


def _cannot_write(path: Path, exc: OSError) -> OutputError:
    return OutputError(f"cannot write {path} ({exc.strerror}): free the disk or choose another place")
