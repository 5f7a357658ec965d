"""Adding an observation to blocks of voxels: in NumPy, the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.mapping.blocks import DISTANCE_STEPS, SIDE, VOXELS, WEIGHT_STEPS, BlockStore

_CHUNK = 48  # blocks of scratch at a time, so that it stays in the processor's cache
_COLOUR_MEMORY = np.float32(12)  # of observations, since colours are rounded to whole steps
_OFFSETS = np.stack(np.meshgrid(*[np.arange(SIDE)] * 3, indexing="ij"), axis=-1).reshape(VOXELS, 3) + 0.5
Plane = NDArray[np.float32]


def integrate(
    store: BlockStore,
    slots: NDArray[np.int64],
    planes: Plane,
    image: NDArray[np.uint8],
    size_wh: tuple[int, int],
    projection: tuple[float, float, float, float],
    t_camera_world: NDArray[np.float64],
    voxel_m: float,
    max_weight: float,
) -> None:
    """Average an observation into the blocks of some slots.

    A voxel is compared with the pixel that it projects to. In front of the surface by more than the
    truncation it is free, behind it by more it is unseen and stays as it is.

    Args:
        store: Its arrays are changed.
        slots: (M,) int64, each once.
        planes: See `Observation`.
        image: (H * W, 3) uint8.
        size_wh: Of the image.
        projection: fx, fy, cx, cy in px.
        t_camera_world: (4, 4) float64.
        voxel_m: Edge of a voxel, m.
        max_weight: Upper limit of the sum of weights.
    """
    rotation = t_camera_world[:3, :3]
    offsets = (_OFFSETS @ (voxel_m * rotation).T).astype(np.float32)
    origins = store.coords[slots] @ (SIDE * voxel_m * rotation).T + t_camera_world[:3, 3]
    distance, weight = store.distance.reshape(-1, VOXELS), store.weight.reshape(-1, VOXELS)
    colour = store.colour.reshape(-1, VOXELS, 3)
    for first in range(0, len(slots), _CHUNK):
        chunk = slots[first : first + _CHUNK]
        points = origins[first : first + _CHUNK].astype(np.float32)[:, None] + offsets
        where, pixel = _pixels(points.reshape(-1, 3), size_wh, projection)
        depth, slant, new, truncation = np.take(planes, pixel, axis=0).T
        z = points.reshape(-1, 3)[where, 2]
        signed = (depth - z) * slant
        with np.errstate(invalid="ignore"):
            used = np.flatnonzero((signed >= -truncation) & (new > 0))
        rows, voxels = chunk[where[used] // VOXELS], where[used] % VOXELS
        near = np.minimum(signed[used], np.abs(truncation[used])) * np.float32(DISTANCE_STEPS / voxel_m)
        old = weight[rows, voxels] * np.float32(1 / WEIGHT_STEPS)
        new = new[used]
        total = old + new
        distance[rows, voxels] = np.rint((distance[rows, voxels] * old + near * new) / total)
        weight[rows, voxels] = np.rint(np.minimum(total, np.float32(max_weight)) * np.float32(WEIGHT_STEPS))
        shown = signed[used] <= truncation[used]
        rows, voxels, old, new = rows[shown], voxels[shown], old[shown], new[shown]
        old = np.minimum(old, _COLOUR_MEMORY)[:, None]
        seen = image[pixel[used[shown]]]
        share = new[:, None] / (old + new[:, None])
        past = colour[rows, voxels].astype(np.float32)
        share[~past.any(axis=1)] = 1  # black is no colour yet: while it was free a voxel got weight alone
        colour[rows, voxels] = np.rint(past + (seen - past) * share)


def _pixels(
    points: Plane, size_wh: tuple[int, int], projection: tuple[float, float, float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of (N, 3) points in the optical frame the image shows, and in which pixel, v * width + u."""
    (width, height), (fx, fy, cx, cy) = size_wh, (np.float32(number) for number in projection)
    x, y, z = points.T
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(z > 1e-3, 1 / z, np.float32(np.inf))
        u, v = x * scale * fx + cx + np.float32(0.5), y * scale * fy + cy + np.float32(0.5)
        inside = np.flatnonzero((u >= 0) & (u < width) & (v >= 0) & (v < height))
    pixel = v[inside].astype(np.int64) * width + u[inside].astype(np.int64)
    return inside, pixel
