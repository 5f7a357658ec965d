"""A mesh from two sides, as pictures, drawn without a graphics driver."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.mapping.surface import Mesh

_BACKGROUND_RGB = (52, 56, 64)
_MARGIN = 1.05
_POINTS_PER_PX = 1.7  # along each axis, so that few gaps are left between them
_SEED = 11


def draw_mesh(
    mesh: Mesh, forward: NDArray[np.float64], up: NDArray[np.float64], size_wh: tuple[int, int] = (1200, 900)
) -> NDArray[np.uint8]:
    """Draw a mesh in parallel projection; faces whose back is seen are left out, so ceilings hide nothing.

    Args:
        mesh: At least one face.
        forward: (3,) direction in which the viewer looks.
        up: (3,) direction that is up in the picture, not parallel to `forward`.
        size_wh: Columns and rows.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, up)
    right = right / np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward])
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    facing = -(normals @ forward) / np.maximum(areas, 1e-12)
    seen = facing > 0.02
    width, height = size_wh
    picture = np.full((height * width, 3), _BACKGROUND_RGB, np.uint8)
    if seen.any():
        projected = corners[seen] @ axes.T
        low, high = np.percentile(projected[..., :2].reshape(-1, 2), (0.3, 99.7), axis=0)
        px_per_m = min(np.array(size_wh) / np.maximum(high - low, 1e-6)) / _MARGIN
        share, face = _spread(areas[seen] / 2 * px_per_m**2 * _POINTS_PER_PX**2)
        points = np.einsum("ni,nij->nj", share, projected[face])
        colours = np.einsum("ni,nij->nj", share, mesh.colours[mesh.faces[seen][face]].astype(np.float64))
        colours *= (0.55 + 0.45 * facing[seen][face])[:, None]
        place = np.floor((points[:, :2] - (low + high) / 2) * px_per_m + np.array(size_wh) / 2).astype(int)
        inside = ((place >= 0) & (place < size_wh)).all(axis=1)
        order = np.argsort(-points[inside, 2], kind="stable")  # the nearest last, over the others
        pixel = (place[inside, 1] * width + place[inside, 0])[order]
        picture[pixel] = np.clip(colours[inside][order], 0, 255).astype(np.uint8)
    drawn = picture.reshape(height, width, 3)
    empty = (drawn == _BACKGROUND_RGB).all(axis=-1)
    # single pixels that no point fell into take the median around them; at outlines that is the background
    return np.asarray(np.where(empty[..., None], cv2.medianBlur(drawn, 3), drawn), np.uint8)


def _spread(counts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points over triangles: barycentric weights (N, 3), and the number of each one's triangle, (N,)."""
    number = np.maximum(np.ceil(counts), 1).astype(np.int64)
    face = np.repeat(np.arange(len(number)), number)
    rng = np.random.default_rng(_SEED)
    a, b = rng.random((2, len(face)))
    a, b = np.where(a + b > 1, 1 - a, a), np.where(a + b > 1, 1 - b, b)
    return np.stack([1 - a - b, a, b], axis=1), face
