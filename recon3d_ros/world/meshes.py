"""Meshes as scenes of triangles: what others have modelled, before our cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.world.rendering.visibility import View, cast
from recon3d_ros.world.scenes import vessels
from recon3d_ros.world.scenes.scene import TRIANGLE, Material, Scene, SceneBuilder
from recon3d_ros.world.textures.atlas import texture_atlas

# A scene's primitives are cast one by one: a mesh of more triangles loses its finest parts.
MOST_TRIANGLES = 12_000
_FINEST, _COARSER = 256, 0.8


class TriangleBuilder(SceneBuilder):
    """A builder that also takes triangles."""

    def triangle(self, corners: np.ndarray, material: Material) -> None:
        """Add a triangle (3, 3), m, that is seen from both sides; one without area is left out."""
        sides = np.linalg.norm(corners[[1, 2, 0]] - corners, axis=1)
        a, b, top = np.roll(corners, -int(sides.argmax()), axis=0)  # the longest side is the base
        base = float(sides.max())
        if base < 1e-9:
            return
        u = (b - a) / base
        foot = float((top - a) @ u)
        upright = top - a - foot * u
        tall = float(np.linalg.norm(upright))
        if tall < 1e-6 * base:
            return
        v = upright / tall
        turn = np.stack([u, v, np.cross(u, v)], axis=1)
        place = a + u * base / 2 + v * tall / 2, turn, (base / 2, tall / 2, 0.0)
        self._add(TRIANGLE, place, material, quadric=((0, 0, 0), 2 * foot / base - 1))


def mesh_builder(
    vertices: NDArray[np.floating], faces: NDArray[np.integer], rng: np.random.Generator
) -> SceneBuilder:
    """A builder with the triangles of a mesh, of one random material.

    Args:
        vertices: (V, 3) m, z up.
        faces: (T, 3), their corners.
        rng: Where the material comes from.
    """
    b, material = TriangleBuilder(), vessels.glaze(rng)
    vertices, faces = simplified(vertices, faces)
    for corners in vertices[faces].astype(np.float64):
        b.triangle(corners, material)
    return b


def simplified(
    vertices: NDArray[np.floating], faces: NDArray[np.integer]
) -> tuple[NDArray[np.floating], NDArray[np.integer]]:
    """At most `MOST_TRIANGLES`: vertices in one cell of a grid become one (Rossignac and Borrel, 1993)."""
    low = vertices.min(axis=0)
    size = max(float((vertices.max(axis=0) - low).max()), 1e-9)
    cells = float(_FINEST)
    coarse_vertices, coarse_faces = vertices, faces
    while len(coarse_faces) > MOST_TRIANGLES:
        grid = np.floor((vertices - low) / size * cells).astype(np.int64)
        _, first, label = np.unique(grid, axis=0, return_index=True, return_inverse=True)
        merged = label.reshape(-1)[faces]
        apart = (merged != np.roll(merged, 1, axis=1)).all(axis=1)
        coarse_vertices = vertices[first]
        coarse_faces = np.unique(np.sort(merged[apart], axis=1), axis=0)
        cells *= _COARSER
    return coarse_vertices, coarse_faces


def visible_depth(
    scene: Scene, T_world_camera: NDArray[np.float64], k: NDArray[np.float64], size_wh: tuple[int, int]
) -> NDArray[np.float32]:
    """What a camera measures of a scene without noise: (H, W) float32 m, NaN where it sees nothing.

    Args:
        scene: The scene.
        T_world_camera: (4, 4) pose of the optical frame.
        k: (3, 3) px.
        size_wh: Of the image.
    """
    xs = ((np.arange(size_wh[0]) - k[0, 2]) / k[0, 0]).astype(np.float32)
    ys = ((np.arange(size_wh[1]) - k[1, 2]) / k[1, 1]).astype(np.float32)
    view = View(T_world_camera[:3, :3], T_world_camera[:3, 3], xs, ys, 1.0 / float(k[0, 0]))
    inverse, index, _ = cast(scene, view, texture_atlas())
    with np.errstate(divide="ignore"):
        return np.where(index >= 0, 1.0 / inverse, np.nan).astype(np.float32)
