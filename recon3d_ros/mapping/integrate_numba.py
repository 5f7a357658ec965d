"""Adding an observation to blocks of voxels: compiled by Numba, equal to NumPy's but for rounding."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.mapping.blocks import DISTANCE_STEPS, SIDE, WEIGHT_STEPS, BlockStore
from recon3d_ros.system import lazy

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
    """As `integrate_numpy.integrate`.

    Raises:
        MissingDependencyError: Numba is not installed.
    """
    axes = (voxel_m * t_camera_world[:3, :3]).astype(np.float32)
    origins = store.coords[slots] @ (SIDE * voxel_m * t_camera_world[:3, :3]).T + t_camera_world[:3, 3]
    origins += axes.sum(axis=1) / 2  # the centre of the first voxel
    _kernel()(
        store.distance,
        store.weight,
        store.colour,
        slots,
        origins.astype(np.float32),
        axes,
        planes,
        image,
        *size_wh,
        np.array(projection, np.float32),
        np.float32(DISTANCE_STEPS / voxel_m),
        np.float32(max_weight),
    )


@cache
def _kernel() -> Any:
    numba: Any = lazy.require("numba", extra="fast")
    return numba.njit(cache=True, nogil=True, error_model="numpy")(_add)


def _add(
    distance: Any,
    weight: Any,
    colour: Any,
    slots: Any,
    origins: Any,
    axes: Any,
    planes: Any,
    image: Any,
    width: int,
    height: int,
    projection: Any,
    steps: Any,
    max_weight: Any,
) -> None:  # long: one loop over voxels, in the subset of Python that Numba compiles
    fx, fy, cx, cy = projection[0], projection[1], projection[2], projection[3]
    half, one, memory = np.float32(0.5), np.float32(1.0), np.float32(12.0)
    weight_steps = np.float32(WEIGHT_STEPS)
    for i in range(len(slots)):
        slot = slots[i]
        for a in range(SIDE):
            for b in range(SIDE):
                x0 = origins[i, 0] + a * axes[0, 0] + b * axes[0, 1]
                y0 = origins[i, 1] + a * axes[1, 0] + b * axes[1, 1]
                z0 = origins[i, 2] + a * axes[2, 0] + b * axes[2, 1]
                for c in range(SIDE):
                    z = np.float32(z0 + c * axes[2, 2])
                    if z <= np.float32(1e-3):
                        continue
                    scale = one / z
                    u = np.float32(x0 + c * axes[0, 2]) * scale * fx + cx + half
                    v = np.float32(y0 + c * axes[1, 2]) * scale * fy + cy + half
                    if not (u >= 0 and u < width and v >= 0 and v < height):
                        continue
                    pixel = int(v) * width + int(u)
                    new, truncation = planes[pixel, 2], planes[pixel, 3]
                    signed = (planes[pixel, 0] - z) * planes[pixel, 1]
                    if not (signed >= -truncation and new > 0):  # NaN, too
                        continue
                    old = weight[slot, a, b, c] / weight_steps
                    total = old + new
                    near = min(signed, abs(truncation)) * steps
                    distance[slot, a, b, c] = np.int16(
                        np.rint((distance[slot, a, b, c] * old + near * new) / total)
                    )
                    weight[slot, a, b, c] = np.uint16(np.rint(min(total, max_weight) * weight_steps))
                    if signed <= truncation:
                        share = new / (min(old, memory) + new)
                        red, green, blue = colour[slot, a, b, c]
                        if red == 0 and green == 0 and blue == 0:  # no colour yet, see NumPy's
                            share = one
                        for k in range(3):
                            past = np.float32(colour[slot, a, b, c, k])
                            colour[slot, a, b, c, k] = np.uint8(
                                np.rint(past + (np.float32(image[pixel, k]) - past) * share)
                            )
