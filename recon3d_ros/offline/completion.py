"""Objects of a map completed by a network: what stands in a box of the world, as a camera saw it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError
from recon3d_ros.estimation.completion import ObjectCompleter, guessed_cloud
from recon3d_ros.geometry import UnorganizedCloud
from recon3d_ros.mapping.surface import Mesh
from recon3d_ros.mapping.trajectory import Trajectory

# Lower and upper corner in the world, m.
Box = tuple[float, ...]


def complete_boxes(
    mesh: Mesh, path: Trajectory, boxes: Sequence[Box], completer: ObjectCompleter
) -> UnorganizedCloud:
    """The objects in boxes of a map: its own vertices there, and what a network makes of each.

    Args:
        mesh: The map.
        path: Poses of the optical frames that saw it.
        boxes: Lower and upper corner of each, m: around one object, above what it stands on.
        completer: The open model.

    Returns:
        x, y, z in m in the world, and guessed: 0 of the vertices, which come first, and 1 of the others.

    Raises:
        DataError: There is hardly anything in a box.
        BackendError: The runtime failed.
    """
    measured, guessed = [], []
    for box in boxes:
        low, high = np.array(box[:3], np.float32), np.array(box[3:], np.float32)
        points = mesh.vertices[((mesh.vertices >= low) & (mesh.vertices <= high)).all(axis=1)]
        pose = best_view(path, (low + high) / 2)
        try:
            whole = completer.complete((points - pose[:3, 3]) @ pose[:3, :3])
        except DataError as exc:
            raise DataError(f"box {','.join(f'{side:g}' for side in box)}: {exc}") from exc
        measured.append(points)
        guessed.append((whole @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32))
    return guessed_cloud(np.concatenate(guessed), np.concatenate(measured), "world")


def best_view(path: Trajectory, place: NDArray[np.floating]) -> NDArray[np.float64]:
    """The pose (4, 4) of a trajectory that looks most directly at a place, of several alike the nearest."""
    ways = place - path.positions
    distance = np.maximum(np.linalg.norm(ways, axis=1), 1e-6)
    ahead = (ways * path.T_world_camera[:, :3, 2]).sum(axis=1) / distance
    order = np.lexsort((distance, -np.round(ahead, 1)))
    pose: NDArray[np.float64] = path.T_world_camera[order[0]]
    return pose
