"""Many posed depth maps, one surface: a truncated signed distance in blocks of voxels.

After Curless and Levoy (SIGGRAPH 1996) and, for the blocks, Niessner et al. (SIGGRAPH Asia 2013). Own code,
as stereo depth needs a weight for each pixel, which Open3D's integration does not take.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.mapping import MappingConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.geometry.back_projection import back_project
from recon3d_ros.mapping import integrate_numba, integrate_numpy
from recon3d_ros.mapping.blocks import BYTES_PER_BLOCK, SIDE, WEIGHT_STEPS, BlockStore, keys_of
from recon3d_ros.mapping.observation import Observation, observe

ENGINES: dict[str, Callable[..., None]] = {
    "numba": integrate_numba.integrate,
    "numpy": integrate_numpy.integrate,
}
_STRIDE_PX = 4  # of the pixels whose blocks are made
_KEPT_WHEN_FULL = 0.75
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class FusionStats:
    """What a fusion did so far.

    Attributes:
        frames: Number of depth maps.
        blocks: Number of blocks now.
        megabytes: Their memory, MB.
        dropped_blocks: Blocks given up because the memory was full.
        imprecise: Share of the pixels with a surface whose sigma is so far above a voxel that they changed
            nothing.
    """

    frames: int = 0
    blocks: int = 0
    megabytes: float = 0.0
    dropped_blocks: int = 0
    imprecise: float = 0.0


class Fusion:
    """A surface that grows with each posed depth map. The same maps in the same order give the same bytes.

    Not thread-safe.

    Args:
        config: Voxels, limits and memory.
        engine: A key of `ENGINES`, or "auto": Numba where it is installed. The two differ by rounding.

    Attributes:
        config: May be replaced between two depth maps by one with the same `voxel_m`.
        store: The blocks; to be replaced, too, by those of another map with the same voxels.
        changed: (M, 3) int32, places of the blocks that the last call may have changed or has dropped.

    Raises:
        ConfigError: Unknown engine.
    """

    def __init__(self, config: MappingConfig | None = None, engine: str = "auto") -> None:
        self.config = config or MappingConfig()
        if engine == "auto":
            engine = "numba" if importlib.util.find_spec("numba") else "numpy"
        if engine not in ENGINES:
            raise ConfigError(f"expected an engine of auto, {', '.join(ENGINES)}, got {engine!r}: choose one")
        self.engine = engine
        self.store = BlockStore()
        self.changed: NDArray[np.int32] = np.empty((0, 3), np.int32)
        self._stats = FusionStats()
        self._pixels = self._weightless = 0

    @property
    def stats(self) -> FusionStats:
        """What was done so far."""
        imprecise = self._weightless / max(self._pixels, 1)
        return replace(
            self._stats, blocks=len(self.store), megabytes=self.store.megabytes, imprecise=imprecise
        )

    def add(self, depth_map: DepthMap, image: NDArray[np.uint8], t_world_camera: Matrix) -> None:
        """Fuse a depth map.

        Pixels that are NaN say nothing, +Inf and what is beyond `map_max_depth_m` clears what is in front.

        Args:
            depth_map: Depth in m; its `sigma_m`, else its confidence, weighs the pixels.
            image: (H, W, 3) RGB or (H, W) uint8 on the same grid.
            t_world_camera: (4, 4) float64, pose of the optical frame.

        Raises:
            ImageError: The image is none.
            CalibrationError: It has another size than the depth.
            DataError: Surfaces more than a million blocks from the origin.
            MissingDependencyError: The engine is "numba", and Numba is not installed.
        """
        depth_map.camera.check_image(image)
        config, camera = self.config, depth_map.camera
        seen = observe(depth_map, image, config.voxel_m, config.truncation_voxels, config.map_max_depth_m)
        weightless = seen.surface.ravel() & (seen.planes[:, 2] < 0.5 / WEIGHT_STEPS)
        self._pixels += int(np.count_nonzero(seen.surface))
        self._weightless += int(np.count_nonzero(weightless))
        self.store.add(_touched(seen, t_world_camera, config.voxel_m))
        t_camera_world = np.asarray(np.linalg.inv(t_world_camera), np.float64)
        slots = self._in_view(camera, t_camera_world)
        ENGINES[self.engine](
            self.store,
            slots,
            seen.planes,
            seen.image,
            camera.image_size_wh,
            (camera.fx, camera.fy, camera.cx, camera.cy),
            t_camera_world,
            config.voxel_m,
            config.max_weight,
        )
        self._stats = replace(self._stats, frames=self._stats.frames + 1)
        self.changed = self.store.coords[slots]
        self._bound(t_world_camera[:3, 3])

    def keep_within(self, position: NDArray[np.float64], radius_m: float) -> None:
        """Drop the blocks whose centres are farther than `radius_m` from a position, (3,) m."""
        self._keep(self._distances(position) <= radius_m)

    def _in_view(self, camera: PinholeCamera, t_camera_world: Matrix) -> NDArray[np.int64]:
        """Slots of the blocks that the image may show, up to the depth that is fused."""
        size = SIDE * self.config.voxel_m
        centres = (self.store.coords + 0.5) * size @ t_camera_world[:3, :3].T + t_camera_world[:3, 3]
        reach = size * 0.87  # half its diagonal
        z = np.maximum(centres[:, 2], 1e-6)
        u = centres[:, 0] / z * camera.fx + camera.cx
        v = centres[:, 1] / z * camera.fy + camera.cy
        pixels = reach / np.maximum(z - reach, 1e-3) * max(camera.fx, camera.fy) * 1.5
        seen = (centres[:, 2] > -reach) & (centres[:, 2] < self.config.map_max_depth_m + reach)
        inside = (np.abs(u - camera.width / 2) < camera.width / 2 + pixels) & (
            np.abs(v - camera.height / 2) < camera.height / 2 + pixels
        )
        return np.flatnonzero(seen & (inside | (centres[:, 2] < 2 * reach)))

    def _distances(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        centres = (self.store.coords + 0.5) * SIDE * self.config.voxel_m
        return np.asarray(np.linalg.norm(centres - position, axis=1), np.float64)

    def _bound(self, position: NDArray[np.float64]) -> None:
        most = int(self.config.max_mb * 1e6 / BYTES_PER_BLOCK)
        if len(self.store) <= most:
            return
        nearest = np.argsort(self._distances(position), kind="stable")[: int(most * _KEPT_WHEN_FULL)]
        kept = np.zeros(len(self.store), np.bool_)
        kept[nearest] = True
        self._keep(kept)

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        if kept.all():
            return
        self.changed = np.concatenate([self.changed, self.store.coords[~kept]])
        dropped = self._stats.dropped_blocks + int(np.count_nonzero(~kept))
        self.store.keep(kept)
        self._stats = replace(self._stats, dropped_blocks=dropped)


def _touched(seen: Observation, t_world_camera: Matrix, voxel_m: float) -> NDArray[np.int32]:
    """Places of the blocks near the surfaces of an observation, (M, 3), in the order of their keys."""
    camera = seen.camera
    first = _STRIDE_PX // 2
    some = seen.surface[:, first::_STRIDE_PX]
    depth, slant = (
        seen.planes[:, plane].reshape(camera.image_shape_hw)[:, first::_STRIDE_PX] for plane in (0, 1)
    )
    # Where neighbouring pixels lie far apart on the surface, as on a floor, each row is needed.
    sparse = depth * np.float32(_STRIDE_PX) > slant * np.float32(camera.fy * SIDE * voxel_m / 2)
    sparse[first::_STRIDE_PX] = True
    v, u = np.nonzero(some & sparse)
    u = u * _STRIDE_PX + first
    found = seen.planes[v * camera.width + u]
    kept = found[:, 2] > 0
    z = found[kept, 0].astype(np.float64)
    u, v = u[kept], v[kept]
    points = back_project(camera, u, v, z)
    rays = points / np.linalg.norm(points, axis=1, keepdims=True)
    normals = seen.normals[v, u].astype(np.float64)
    across = np.where(np.isfinite(normals), normals, rays) * found[kept, 3:]
    places = np.concatenate([points, points - across, points + across])
    places = places @ t_world_camera[:3, :3].T + t_world_camera[:3, 3]
    coords = np.floor(places / (SIDE * voxel_m)).astype(np.int32)
    _, chosen = np.unique(keys_of(coords), return_index=True)
    return coords[chosen]
