"""A map that is read while it grows: what changed of the surface, the grid, and the way of the cameras."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.mapping import GridConfig, MappingConfig
from recon3d_ros.errors import DataError
from recon3d_ros.geometry import DepthMap
from recon3d_ros.mapping.blocks import SIDE, BlockStore, keys_of
from recon3d_ros.mapping.fusion import Fusion
from recon3d_ros.mapping.observed_space import ObservedSpace
from recon3d_ros.mapping.occupancy import (
    OccupancyGrid,
    keeps_the_axes,
    map_from_world,
    occupancy_grid,
    surface_points,
)
from recon3d_ros.mapping.surface import Mesh, extract_mesh, extract_tile, tiles_beside
from recon3d_ros.mapping.trajectory import Trajectory

TILE_SIDE = 4  # blocks: at 3 cm a cube of 96 cm, and a few thousand triangles
MOST_POSES = 20_000  # per camera; then every second one is given up
_COUNT_NS = 200_000_000  # between two depth maps of a camera that count for the empty space
_RADIUS_STEP = 0.05  # of the radius, that the camera moves until blocks outside of it are dropped again
_SAME_VOXELS = 0.05  # a vertex that moves by less did not move
_SAME_COLOUR = 12  # of 255
Matrix = NDArray[np.float64]
Place = tuple[int, int, int]


class CameraPath:
    """The poses of one camera in the order of their stamps; of very many every second one is dropped."""

    def __init__(self) -> None:
        self._stamps: list[int] = []
        self._poses: list[Matrix] = []

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, stamp_ns: int, pose: Matrix) -> None:
        """Append a pose; those with stamps that are not before it are given up, as time began anew."""
        while self._stamps and self._stamps[-1] >= stamp_ns:
            self._stamps.pop()
            self._poses.pop()
        if len(self._stamps) >= MOST_POSES:
            self._stamps, self._poses = self._stamps[::2], self._poses[::2]
        self._stamps.append(stamp_ns)
        self._poses.append(pose)

    def sampled(self, most: int = 200) -> Matrix:
        """At most so many of the poses, (N, 4, 4), from the whole way."""
        return np.array(self._poses[:: -(-len(self) // most)])

    @property
    def trajectory(self) -> Trajectory:
        """All of them.

        Raises:
            DataError: There is none.
        """
        return Trajectory(np.array(self._stamps, np.int64), np.array(self._poses).reshape(-1, 4, 4))


class LiveMap:
    """A surface that grows by posed depth maps and is read piece by piece. Not thread-safe.

    Args:
        config: Voxels, limits and memory.
        radius_m: Blocks farther from the camera are dropped, m; 0 = none.
        engine: See `Fusion`.

    Attributes:
        fusion: The volume.
        space: What was seen to be empty, for the grid.
        paths: Poses of the fused depth maps, by the name of their camera.
        meshes: The surface of each cube as it was read last, by its place in cubes of `TILE_SIDE` blocks.
    """

    def __init__(
        self, config: MappingConfig | None = None, radius_m: float = 0.0, engine: str = "auto"
    ) -> None:
        self.fusion = Fusion(config, engine)
        self.space = self._no_space()
        self.radius_m = radius_m
        self.paths: dict[str, CameraPath] = {}
        self.meshes: dict[Place, Mesh] = {}
        self._changed: dict[Place, None] = {}  # in the order of their changes
        self._bounded_at = np.full(3, np.inf)
        self._counted_ns: dict[str, int] = {}

    @property
    def tile_m(self) -> float:
        """Edge of a cube, m."""
        return TILE_SIDE * SIDE * self.fusion.config.voxel_m

    def add(
        self,
        depth_map: DepthMap,
        image: NDArray[np.uint8],
        t_world_camera: Matrix,
        stamp_ns: int,
        camera: str = "",
    ) -> None:
        """Fuse a depth map; see `Fusion.add`, also for what it raises.

        Args:
            depth_map: Depth in m.
            image: (H, W, 3) RGB or (H, W) uint8 on the same grid.
            t_world_camera: (4, 4) float64.
            stamp_ns: Time of the image.
            camera: Name of the camera.
        """
        fusion = self.fusion
        fusion.add(depth_map, image, t_world_camera)
        if not 0 <= stamp_ns - self._counted_ns.get(camera, stamp_ns - _COUNT_NS) < _COUNT_NS:
            self.space.add(depth_map, t_world_camera)
            self._counted_ns[camera] = stamp_ns
        self.paths.setdefault(camera, CameraPath()).add(stamp_ns, t_world_camera)
        position = t_world_camera[:3, 3]
        moved = float(np.linalg.norm(position - self._bounded_at))
        if self.radius_m > 0 and not moved < _RADIUS_STEP * self.radius_m:
            fusion.keep_within(position, self.radius_m)
            self.space.keep_within(position, self.radius_m)
            self._bounded_at = position.copy()
            self._forget_beyond(position)
        self._note(fusion.changed)

    def mesh_changes(self, seconds: float = np.inf) -> Iterator[tuple[Place, Mesh | None]]:
        """The cubes whose surface is not what was read before, None where there is none any more.

        The longest unread come first; what there is no time for comes with the next call.

        Args:
            seconds: After this no further cube is looked at.

        Raises:
            MissingDependencyError: scikit-image is not installed.
        """
        config, until = self.fusion.config, time.monotonic() + seconds
        while self._changed and time.monotonic() < until:
            place = next(iter(self._changed))
            tile = np.array(place, np.int32)
            new = extract_tile(self.fusion.store, tile, TILE_SIDE, config.voxel_m, config.min_weight)
            del self._changed[place]
            old = self.meshes.get(place)
            if (new is None and old is None) or _alike(old, new, _SAME_VOXELS * config.voxel_m):
                continue
            if new is None:
                del self.meshes[place]
            else:
                self.meshes[place] = new
            yield place, new

    def mesh(self) -> Mesh:
        """The whole surface; see `extract_mesh`, also for what it raises."""
        config = self.fusion.config
        return extract_mesh(self.fusion.store, config.voxel_m, config.min_weight)

    def points(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Vertices (N, 3) m, and their colours, (N, 3) RGB, of the cubes as they were read last."""
        meshes = [self.meshes[place] for place in sorted(self.meshes)]
        if not meshes:
            return np.empty((0, 3), np.float32), np.empty((0, 3), np.uint8)
        return (
            np.concatenate([mesh.vertices for mesh in meshes]),
            np.concatenate([mesh.colours for mesh in meshes]),
        )

    def grid(self, config: GridConfig) -> OccupancyGrid:
        """The map for driving; see `occupancy_grid`.

        Raises:
            DataError: Nothing was fused, there is no floor, it is not level in the world, or nothing is at
                the height of the robot.
        """
        points = surface_points(self.fusion.store, self.fusion.config.voxel_m, self.fusion.config.min_weight)
        T_map_world = map_from_world(points, self._some_poses())
        if not keeps_the_axes(T_map_world):  # Nav2 knows only level grids
            raise DataError(
                "expected a floor that is level in the fixed frame, whose z axis is up, found one that is "
                "tilted by more than 3 degrees: show the floor, and check the poses"
            )
        return occupancy_grid(points, T_map_world, config, self.space)

    def configure(self, config: MappingConfig, radius_m: float) -> None:
        """Take other options from the next depth map on; other voxels only while the map is empty."""
        former = self.fusion.config
        if config.min_weight != self.fusion.config.min_weight:
            self._note(self.fusion.store.coords)
        self.fusion.config, self.radius_m = config, radius_m
        if (config.voxel_m, config.map_max_depth_m) != (former.voxel_m, former.map_max_depth_m):
            space, self.space = self.space, self._no_space()
            if space.edge_m == self.space.edge_m:
                self.space.restore(space.coords, space.counts)
        self._bounded_at = np.full(3, np.inf)

    def replace(
        self, store: BlockStore, paths: dict[str, CameraPath], space: ObservedSpace | None = None
    ) -> None:
        """Take the blocks, the poses and the empty space of another map with the same voxels, or of none."""
        self._note(self.fusion.store.coords)  # what is gone is read as gone
        self.fusion = Fusion(self.fusion.config, self.fusion.engine)
        self.fusion.store, self.paths, self.space = store, paths, space or self._no_space()
        self._counted_ns = {}
        self._note(store.coords)
        self._bounded_at = np.full(3, np.inf)

    def _some_poses(self) -> Trajectory:
        poses = [path.sampled() for path in self.paths.values() if len(path)]
        if not poses:
            raise DataError("expected depth maps with a pose in the map, got none yet: wait for the first")
        together = np.concatenate(poses)
        return Trajectory(np.arange(len(together)), together, key="order")

    def _forget_beyond(self, position: Matrix) -> None:
        """Look no more at cubes that are gone and nobody read: a robot may drive far without a viewer."""
        reach = self.radius_m + 2 * self.tile_m
        unread = [place for place in self._changed if place not in self.meshes]
        distance = np.linalg.norm((np.array(unread).reshape(-1, 3) + 0.5) * self.tile_m - position, axis=1)
        for i in np.flatnonzero(distance > reach).tolist():
            del self._changed[unread[i]]

    def _no_space(self) -> ObservedSpace:
        return ObservedSpace(self.fusion.config.voxel_m, self.fusion.config.map_max_depth_m)

    def _note(self, coords: NDArray[np.int32]) -> None:
        """Remember whose surface has to be read again."""
        places = tiles_beside(coords, TILE_SIDE)
        _, first = np.unique(keys_of(places), return_index=True)
        for place in places[first].tolist():
            self._changed.setdefault(tuple(place))


def _alike(old: Mesh | None, new: Mesh | None, distance_m: float) -> bool:
    """Whether two meshes look the same."""
    if old is None or new is None or old.vertices.shape != new.vertices.shape:
        return False
    if not np.array_equal(old.faces, new.faces):
        return False
    moved = np.abs(old.vertices - new.vertices).max(initial=0.0)
    recoloured = np.abs(old.colours.astype(np.int16) - new.colours).max(initial=0)
    return bool(moved < distance_m and recoloured <= _SAME_COLOUR)
