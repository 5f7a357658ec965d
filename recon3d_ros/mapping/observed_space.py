"""Which space was seen to be empty, in coarse voxels: so that a map calls nothing free that was only guessed.

The signed distance of a fusion is stored near surfaces only, and thin things leave none: what is seen beside
and behind them clears them away. Here each depth map counts what its rays passed through, and where they
ended.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.geometry.back_projection import back_project
from recon3d_ros.mapping.blocks import SIDE, VOXELS, keys_of

_EDGE_M = 0.1  # of a voxel, at least; and
_EDGE_VOXELS = 2.0  # of those of the fusion
_REACH_VOXELS = 128  # up to which distance from the camera is counted
_CLEAR_SIGMAS = 3.0  # a ray is clear up to so many standard deviations before its end
_HITS_PER_PASS = 0.2  # a voxel is empty where at most this share of the depth maps ends in it
_HALF_DIAGONAL = 0.87
_STRIDE_PX = 2  # of the pixels whose ends are counted
_REMEMBERED = (
    250  # depth maps of a voxel; then both counts are halved, so that what was moved away is forgotten
)
_OFFSETS = np.stack(np.meshgrid(*[np.arange(SIDE)] * 3, indexing="ij"), axis=-1).reshape(VOXELS, 3) + 0.5
Matrix = NDArray[np.float64]


class ObservedSpace:
    """Counts, for each coarse voxel, the depth maps that saw through it and those that ended in it.

    Args:
        voxel_m: Of the fusion beside it, m; the voxels here are twice as wide, 10 cm at least.
        max_depth_m: What is farther away is not counted.
        max_mb: Memory; when it is full, the blocks farthest from the camera are dropped and unknown again.

    Attributes:
        edge_m: Of a voxel.
    """

    def __init__(self, voxel_m: float, max_depth_m: float, max_mb: float = 100.0) -> None:
        self.edge_m = max(_EDGE_M, _EDGE_VOXELS * voxel_m)
        self._reach_m = min(max_depth_m, _REACH_VOXELS * self.edge_m)
        self._most = max(1, int(max_mb * 1e6 / (VOXELS * 4)))
        self._keys = np.empty(0, np.int64)  # sorted; block i of them is in this slot of the other arrays,
        self._slot_of = np.empty(0, np.int64)
        self._coords = np.empty((0, 3), np.int32)  # which grow by doubling: a new block must not copy all
        self._counts = np.zeros((0, VOXELS, 2), np.uint16)  # seen through, ended in

    @property
    def coords(self) -> NDArray[np.int32]:
        """(N, 3) places of blocks of 8 x 8 x 8 voxels, in blocks."""
        return self._coords[: len(self._keys)]

    @property
    def counts(self) -> NDArray[np.uint16]:
        """(N, 512, 2) depth maps that saw through each voxel of the blocks, and that ended in it."""
        return self._counts[: len(self._keys)]

    def restore(self, coords: NDArray[np.int32], counts: NDArray[np.uint16]) -> None:
        """Take the counts of another one with the same voxels.

        Args:
            coords: See the property.
            counts: See the property.

        Raises:
            DataError: A place is there twice.
        """
        keys = keys_of(coords)
        order = np.argsort(keys, kind="stable")
        if len(np.unique(keys)) != len(keys):
            raise DataError("expected each block of a map once, got some twice: the file is damaged")
        self._keys, self._slot_of = keys[order], order
        self._coords, self._counts = coords.copy(), counts.copy()

    def add(self, depth_map: DepthMap, t_world_camera: Matrix) -> None:
        """Count a depth map, whose +Inf is free as far as is counted and whose NaN says nothing.

        Args:
            depth_map: In metres; with its sigma a ray is clear up to three of them before its end.
            t_world_camera: (4, 4) float64, pose of the optical frame.
        """
        camera = depth_map.camera
        coords = self._in_view(camera, t_world_camera)
        ends = self._ends(depth_map, t_world_camera)
        places = np.floor(ends / self.edge_m).astype(np.int32)
        slots = self._slots(np.concatenate([coords, places // SIDE]))
        passed = self._passed(self._coords[slots[: len(coords)]], depth_map, t_world_camera)
        through = self._counts[slots[: len(coords)], :, 0]
        self._counts[slots[: len(coords)], :, 0] = through + passed
        voxels = np.ravel_multi_index((places % SIDE).T, (SIDE,) * 3)
        hit = np.unique(slots[len(coords) :] * VOXELS + voxels)
        self._counts.reshape(-1, 2)[hit, 1] += 1
        touched = np.unique(slots)
        counts = self._counts[touched]
        counts[counts.max(axis=-1) >= _REMEMBERED] //= 2
        self._counts[touched] = counts
        self._bound(t_world_camera[:3, 3])

    def empty(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the voxels of points, (N, 3) m in the world, were seen through and hardly ended in."""
        places = np.floor(points / self.edge_m).astype(np.int32)
        if not len(self._keys):
            return np.zeros(len(points), np.bool_)
        keys = keys_of(places // SIDE)
        found = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        known, slots = self._keys[found] == keys, self._slot_of[found]
        voxels = np.ravel_multi_index((places % SIDE).T, (SIDE,) * 3)
        passed, ended = self._counts[slots, voxels].T.astype(np.float64)
        seen: NDArray[np.bool_] = known & (passed > 0) & (ended <= _HITS_PER_PASS * passed)
        return seen

    def keep_within(self, position: NDArray[np.float64], radius_m: float) -> None:
        """Drop the blocks that lie wholly farther than `radius_m` from a position, (3,) m: unknown again."""
        kept = self._distances(position) <= radius_m + _HALF_DIAGONAL * SIDE * self.edge_m
        if not kept.all():
            self.restore(self.coords[kept], self.counts[kept])

    def _in_view(self, camera: PinholeCamera, t_world_camera: Matrix) -> NDArray[np.int32]:
        """Places of the blocks that the image shows, (M, 3)."""
        size = SIDE * self.edge_m
        around = int(np.ceil(self._reach_m / size)) + 1
        steps = np.stack(np.meshgrid(*[np.arange(-around, around + 1)] * 3, indexing="ij"), axis=-1)
        coords = np.floor(t_world_camera[:3, 3] / size).astype(np.int32) + steps.reshape(-1, 3)
        x, y, z = (((coords + 0.5) * size - t_world_camera[:3, 3]) @ t_world_camera[:3, :3]).T
        reach = _HALF_DIAGONAL * size
        inside = (z > -reach) & (z < self._reach_m + reach)
        for along, focal, centre, length in (
            (x, camera.fx, camera.cx, camera.width),
            (y, camera.fy, camera.cy, camera.height),
        ):
            low, high = -centre / focal, (length - 1 - centre) / focal
            inside &= (along - low * z > -reach * np.hypot(1, low)) & (
                along - high * z < reach * np.hypot(1, high)
            )
        return coords[inside].astype(np.int32)

    def _passed(
        self, coords: NDArray[np.int32], depth_map: DepthMap, t_world_camera: Matrix
    ) -> NDArray[np.bool_]:
        """(M, 512): whether the rays of a depth map surely pass the voxels of blocks."""
        camera, near = depth_map.camera, depth_map.depth
        if depth_map.sigma_m is not None:
            with np.errstate(invalid="ignore"):
                near = near - np.float32(_CLEAR_SIGMAS) * depth_map.sigma_m
        near = np.where(depth_map.depth == np.inf, np.float32(np.inf), np.nan_to_num(near, nan=0.0))
        rotation = (self.edge_m * t_world_camera[:3, :3]).astype(np.float32)
        origins = (coords * (SIDE * self.edge_m) - t_world_camera[:3, 3]) @ t_world_camera[:3, :3]
        points = origins.astype(np.float32)[:, None] + (_OFFSETS.astype(np.float32) @ rotation)
        x, y, z = np.moveaxis(points, -1, 0)
        ahead = (z > 1e-3) & (z < self._reach_m)
        scale = np.where(ahead, 1 / np.where(ahead, z, 1), 0)
        u = np.floor(x * scale * np.float32(camera.fx) + np.float32(camera.cx + 0.5)).astype(np.int32)
        v = np.floor(y * scale * np.float32(camera.fy) + np.float32(camera.cy + 0.5)).astype(np.int32)
        ahead &= (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
        passed = np.zeros(ahead.shape, np.bool_)
        reach = np.float32(_HALF_DIAGONAL * self.edge_m)
        passed[ahead] = z[ahead] + reach < near[v[ahead], u[ahead]]
        return passed

    def _ends(self, depth_map: DepthMap, t_world_camera: Matrix) -> Matrix:
        """Where rays end, (N, 3) m in the world."""
        first = _STRIDE_PX // 2
        depth = depth_map.depth[first::_STRIDE_PX, first::_STRIDE_PX]
        v, u = np.nonzero(np.isfinite(depth) & (depth > 0) & (depth < self._reach_m))
        columns, rows = u * _STRIDE_PX + first, v * _STRIDE_PX + first
        optical = back_project(depth_map.camera, columns, rows, depth[v, u].astype(np.float64))
        points: Matrix = optical @ t_world_camera[:3, :3].T + t_world_camera[:3, 3]
        return points

    def _slots(self, coords: NDArray[np.int32]) -> NDArray[np.int64]:
        """Slots of blocks, which are made where there is none."""
        keys = keys_of(coords)
        new, first = np.unique(keys, return_index=True)
        missing = ~np.isin(new, self._keys)
        new, first = new[missing], first[missing]
        if len(new):
            count = len(self._keys)
            self._reserve(count + len(new))
            self._coords[count : count + len(new)] = coords[first]
            at = np.searchsorted(self._keys, new)
            self._keys = np.insert(self._keys, at, new)
            self._slot_of = np.insert(self._slot_of, at, np.arange(count, count + len(new)))
        return self._slot_of[np.searchsorted(self._keys, keys)]

    def _reserve(self, count: int) -> None:
        """Have room for so many blocks, of which those without a key are all 0."""
        if count <= len(self._coords):
            return
        used, room = len(self._keys), max(count, 2 * len(self._coords))
        coords, counts = np.zeros((room, 3), np.int32), np.zeros((room, VOXELS, 2), np.uint16)
        coords[:used], counts[:used] = self.coords, self.counts
        self._coords, self._counts = coords, counts

    def _bound(self, position: NDArray[np.float64]) -> None:
        if len(self._keys) <= self._most:
            return
        # Of equally distant ones the place decides, not the slot: the same images give the same map.
        kept = np.lexsort((keys_of(self.coords), self._distances(position)))[: max(1, self._most * 3 // 4)]
        self.restore(self.coords[kept], self.counts[kept])

    def _distances(self, position: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the middles of the blocks from a position, (N,) m."""
        return np.asarray(
            np.linalg.norm((self.coords + 0.5) * SIDE * self.edge_m - position, axis=1), np.float64
        )
