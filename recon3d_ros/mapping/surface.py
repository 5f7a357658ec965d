"""The surface in blocks of voxels, as a mesh of triangles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError
from recon3d_ros.mapping.blocks import DISTANCE_STEPS, SIDE, WEIGHT_STEPS, BlockStore
from recon3d_ros.system import lazy

_TILE = 8  # blocks of one call of marching cubes
_ON_CORNER = 1e-4  # of an edge: a vertex this near to a voxel is at it


Tile = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_], NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with coloured corners.

    Attributes:
        vertices: (V, 3) float32 m, in the world.
        faces: (F, 3) int32, counter-clockwise seen from the free side.
        colours: (V, 3) uint8 RGB.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colours: NDArray[np.uint8]

    def cropped(self, low: tuple[float, ...], high: tuple[float, ...]) -> Mesh:
        """The faces with all corners in a box, m."""
        box = np.array([low, high], np.float32)
        inside = ((self.vertices >= box[0]) & (self.vertices <= box[1])).all(axis=1)
        return self.of_faces(inside[self.faces].all(axis=1))

    def of_faces(self, kept: NDArray[np.bool_]) -> Mesh:
        """Some of the faces, (F,), and the vertices they need."""
        faces = self.faces[kept]
        used = np.zeros(len(self.vertices), np.bool_)
        used[faces] = True
        number = np.cumsum(used) - 1
        return Mesh(self.vertices[used], number[faces].astype(np.int32), self.colours[used])


def require_mesher() -> Any:
    """The library that makes meshes; asked for before hours of fusion, too.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    return lazy.require("skimage.measure", extra="mapping")


def extract_mesh(
    store: BlockStore, voxel_m: float, min_weight: float, shell_voxels: float | None = None
) -> Mesh:
    """The zero crossing of the signed distance, by marching cubes (Lewiner 2003, of scikit-image).

    Neighbouring triangles share vertices, over the borders of blocks too. Cells with a corner that was
    observed with less than `min_weight` make none, so what nobody saw stays open.

    Args:
        store: The blocks.
        voxel_m: Edge of a voxel, m.
        min_weight: Least sum of weights.
        shell_voxels: Instead the watertight hull of what is nearer to the surface than this.

    Raises:
        DataError: There is no surface.
        MissingDependencyError: scikit-image is not installed.
    """
    pieces = [
        _piece(dense, voxel_m, shell_voxels)
        for tile in np.unique(tiles_beside(store.coords, _TILE), axis=0)
        if (dense := _dense(store, tile, _TILE, max(min_weight, 1 / WEIGHT_STEPS))) is not None
    ]
    mesh = _joined([piece for piece in pieces if piece is not None])
    if mesh is None:
        raise DataError(
            "expected a surface in the depth maps, found none: lower min_weight, raise map_max_depth_m, or "
            "check that poses and images belong together"
        )
    return mesh


def extract_tile(
    store: BlockStore, tile: NDArray[np.int32], side: int, voxel_m: float, min_weight: float
) -> Mesh | None:
    """The part of `extract_mesh` in one cube; None where it has no surface.

    Args:
        store: The blocks.
        tile: (3,) place of the cube in cubes.
        side: Edge of a cube in blocks.
        voxel_m: Edge of a voxel, m.
        min_weight: Least sum of weights.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    dense = _dense(store, tile, side, max(min_weight, 1 / WEIGHT_STEPS))
    piece = None if dense is None else _piece(dense, voxel_m, None)
    return None if piece is None else _joined([piece])


def tiles_beside(coords: NDArray[np.int32], side: int) -> NDArray[np.int32]:
    """The cubes of `side` blocks whose surface (M, 3) blocks are a part of, (8 M, 3), with repetitions.

    Cells between two cubes belong to the lower one, which may have no block of its own.
    """
    return np.concatenate([np.floor_divide(coords - step, side) for step in np.ndindex(2, 2, 2)])


_Piece = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8], NDArray[np.int64]]


def _piece(dense: Tile, voxel_m: float, shell_voxels: float | None) -> _Piece | None:
    """Keys, positions and colours of vertices, and triangles of one dense piece."""
    measure = require_mesher()
    origin, distance, known, colour = dense
    if shell_voxels is not None:
        distance, known = np.abs(distance) - np.float32(shell_voxels), np.ones_like(known)
    if not (distance.min() < 0 < distance.max()):
        return None
    vertices, triangles, _, _ = measure.marching_cubes(distance, 0.0, allow_degenerate=False)
    corners = [known[_shifted(i)] for i in np.ndindex(2, 2, 2)]
    cells = np.logical_and.reduce(corners)
    cell = np.floor(vertices[triangles].mean(axis=1)).astype(int)
    triangles = triangles[cells[tuple(np.minimum(cell, np.array(cells.shape) - 1).T)]]
    used, triangles = np.unique(triangles, return_inverse=True)
    vertices = vertices[used]
    positions = (vertices + origin + 0.5).astype(np.float64) * voxel_m
    keys, colours = _edge_keys(vertices, origin), _colours(vertices, colour, known)
    return keys, positions, colours, triangles.reshape(-1, 3)


def _joined(pieces: Sequence[_Piece]) -> Mesh | None:
    """One mesh in which pieces share the vertices on their borders; None without a triangle."""
    firsts = np.cumsum([0, *(len(piece[1]) for piece in pieces)])
    if not firsts[-1]:
        return None
    keys, positions, colours = (np.concatenate([piece[i] for piece in pieces]) for i in range(3))
    faces = np.concatenate([piece[3] + first for piece, first in zip(pieces, firsts)])
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    welded = inverse.reshape(-1)[faces]
    proper = (welded != np.roll(welded, 1, axis=1)).all(axis=1)
    return Mesh(
        positions[first].astype(np.float32),
        welded[proper].astype(np.int32),
        colours[first],
    )


def _shifted(step: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(1, None) if one else slice(None, -1) for one in step)


def _dense(store: BlockStore, tile: NDArray[np.int32], side: int, min_weight: float) -> Tile | None:
    """A cube of blocks with one layer of the next ones; None where there are no blocks.

    Returns:
        origin (voxels), distance (voxels), known, colour.
    """
    steps = np.array(list(np.ndindex((side + 1,) * 3)), np.int32)
    slots = store.find(np.asarray(tile * side + steps, np.int32))
    if (slots < 0).all():
        return None
    size = side * SIDE
    shape = (size + SIDE,) * 3
    distance = np.full(shape, 8, np.float32)
    known, colour = np.zeros(shape, np.bool_), np.zeros((*shape, 3), np.uint8)
    for at, slot in zip(steps[slots >= 0] * SIDE, slots[slots >= 0]):
        part = tuple(slice(start, start + SIDE) for start in at)
        seen = store.weight[slot] >= min_weight * WEIGHT_STEPS
        known[part] = seen
        distance[part] = np.where(seen, store.distance[slot] / np.float32(DISTANCE_STEPS), np.float32(8))
        colour[part] = store.colour[slot]
    inner = (slice(size + 1),) * 3  # with the one layer of voxels
    return tile.astype(np.int64) * size, distance[inner], known[inner], colour[inner]


def _edge_keys(vertices: NDArray[np.float32], origin: NDArray[np.int64]) -> NDArray[np.int64]:
    """(V, 4) whole numbers: the voxel and the axis of the edge a vertex is on, equal for all pieces.

    A vertex inside a cell, which some ambiguous cases have, is known by its place in 1/1024 voxels.
    """
    nearest = np.rint(vertices)
    off = np.abs(vertices - nearest)
    axis = np.argmax(off, axis=1)
    rows = np.arange(len(vertices))
    keys = np.empty((len(vertices), 4), np.int64)
    keys[:, :3] = nearest + origin
    keys[rows, axis] = np.floor(vertices[rows, axis]) + origin[axis]
    keys[:, 3] = axis
    corner = off.max(axis=1) < _ON_CORNER
    keys[corner, :3], keys[corner, 3] = nearest[corner] + origin, 3
    inside = (off > _ON_CORNER).sum(axis=1) > 1
    keys[inside, :3], keys[inside, 3] = np.rint((vertices[inside] + origin) * 1024), 4
    return keys


def _colours(
    vertices: NDArray[np.float32], colour: NDArray[np.uint8], known: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Of the two voxels beside each vertex, by their nearness."""
    low = np.floor(vertices).astype(int)
    high = np.minimum(np.ceil(vertices).astype(int), np.array(known.shape) - 1)
    share = (vertices - low).max(axis=1, keepdims=True)
    mixed = colour[tuple(low.T)] * (1 - share) + colour[tuple(high.T)] * share
    return np.rint(mixed).astype(np.uint8)
