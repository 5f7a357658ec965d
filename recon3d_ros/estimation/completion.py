"""The whole of an object from the points of its visible part, by a network, and which points those are.

What it says of the side that nobody sees is guessed: it is never part of a depth map, nor of free space, and
clouds carry the field `guessed`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends import Backend
from recon3d_ros.errors import DataError
from recon3d_ros.estimation.cpu_model import CpuModel
from recon3d_ros.geometry import XYZ, PinholeCamera, UnorganizedCloud
from recon3d_ros.geometry.back_projection import back_project
from recon3d_ros.geometry.cloud import GUESSED
from recon3d_ros.geometry.level import find_level
from recon3d_ros.geometry.object_in_view import Box
from recon3d_ros.geometry.unit_frame import near_middle, visible_frame
from recon3d_ros.model_zoo.manifest import Manifest

Points = NDArray[np.float32]
# Of an object's visible points, to make anything of them.
LEAST_POINTS = 32
# Of points in a box: as near to the middle of its depth as the box is wide, times this; and over the floor by
# this share of that width.
_REACH, _FLOOR_SHARE = 0.75, 0.04
# Points of an image that are searched for the floor.
_FLOOR_POINTS = 5000
_SEED = 0


class ObjectCompleter(CpuModel):
    """An open model of the task `completion`. Not thread-safe.

    Args:
        manifest: Of the model.
        backend: In which it is open.
    """

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        super().__init__(manifest, backend)
        self._input, self._output = manifest.completion_contracts

    @staticmethod
    def require_task(manifest: Manifest) -> None:
        """See `CpuModel.require_task`."""
        manifest.completion_contracts  # noqa: B018 - refuses a model of another task

    def unit_points(self, partial: Points) -> Points:
        """The whole of a visible part in its unit frame, (M, 3) float32.

        Args:
            partial: (count, 3) float32 in the frame of `visible_frame`, as many as the network takes.

        Raises:
            BackendError: The runtime failed.
        """
        outputs = self._backend.infer({self._input.names[0]: np.ascontiguousarray(partial[None], np.float32)})
        points: Points = outputs[self._output.name][0]
        return points

    def complete(self, points: NDArray[np.floating]) -> Points:
        """The whole object of which these points are seen.

        Args:
            points: (N, 3) m in the optical frame of a camera, finite; of the object alone.

        Returns:
            (M, 3) float32 m in the same frame: all of it, the visible part included, guessed.

        Raises:
            DataError: There are hardly any points.
            BackendError: The runtime failed.
        """
        seen = np.asarray(points, np.float32)
        seen = seen[near_middle(seen)] if len(seen) else seen
        if len(seen) < LEAST_POINTS:
            raise DataError(
                f"expected at least {LEAST_POINTS} points of an object, got {len(seen)}: choose a larger "
                "box, or come closer"
            )
        frame = visible_frame(seen)
        # In random order: a network may keep the first ones.
        order = np.resize(np.random.default_rng(_SEED).permutation(len(seen)), self._input.count)
        return frame.to_metres(self.unit_points(frame.to_unit(seen[order])))


def guessed_cloud(guessed: Points, measured: Points | None = None, frame_id: str = "") -> UnorganizedCloud:
    """A cloud of x, y, z and guessed: 0 of the measured points, which come first, and 1 of the others."""
    first = np.empty((0, 3), np.float32) if measured is None else measured
    marks = np.concatenate([np.zeros(len(first), np.float32), np.ones(len(guessed), np.float32)])
    data = np.column_stack([np.concatenate([first, guessed]), marks]).astype(np.float32)
    return UnorganizedCloud(np.ascontiguousarray(data), (*XYZ, GUESSED), frame_id)


def object_points(
    depth: NDArray[np.float32], camera: PinholeCamera, box: Box, mask: NDArray[np.bool_] | None = None
) -> Points:
    """The visible points of the object in a box of a depth image, (N, 3) float32 m in the optical frame.

    With a mask those of its pixels. Without one, those about as near as the middle of the box, over the floor
    where one is found.

    Args:
        depth: (H, W) float32 m, NaN = unknown.
        camera: Of the depth image.
        box: x, y, width, height, px.
        mask: (H, W) bool.
    """
    x, y, w, h = box
    inside = np.zeros(depth.shape, bool)
    inside[max(0, round(y)) : max(0, round(y + h)), max(0, round(x)) : max(0, round(x + w))] = True
    if mask is not None:
        inside &= mask
    known = np.isfinite(depth)
    points = _points(depth, camera, inside & known)
    if mask is not None or not len(points):
        return points
    v, u = np.nonzero(inside & known)
    central = (np.abs(u - x - w / 2) < w / 6) & (np.abs(v - y - h / 2) < h / 6)
    middle = float(np.median(points[central, 2] if central.any() else points[:, 2]))
    across = max(w / camera.fx, h / camera.fy) * middle
    kept = np.abs(points[:, 2] - middle) < _REACH * across
    step = max(1, int(np.sqrt(depth.size / _FLOOR_POINTS)))
    sparse = np.zeros(depth.shape, bool)
    sparse[::step, ::step] = True
    level = find_level(_points(depth, camera, sparse & known).astype(np.float64))
    if level is not None:
        kept &= points @ level[2, :3] + level[2, 3] > _FLOOR_SHARE * across
    chosen: Points = points[kept]
    return chosen


def _points(depth: NDArray[np.float32], camera: PinholeCamera, chosen: NDArray[np.bool_]) -> Points:
    v, u = np.nonzero(chosen)
    return back_project(camera, u, v, depth[v, u]).astype(np.float32)
