"""A mesh through the points of an object, by Open3D, as STL for printing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError
from recon3d_ros.files.disk import write_atomically
from recon3d_ros.system import lazy

METHODS = ("ball_pivoting", "poisson")
# Neighbours that make a normal; radii of the balls in mean distances of neighbours; depth of Poisson's tree.
_NEIGHBOURS, _BALLS, _TREE_DEPTH = 16, (1.5, 2.5, 4.0, 7.0), 7
# Of Poisson's vertices, those of the least density are far from any point.
_THIN_SHARE = 0.02
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def shape_mesh(points: NDArray[np.floating], method: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Triangles through points.

    Args:
        points: (N, 3).
        method: `ball_pivoting` (Bernardini et al., TVCG 1999) goes through the points, with holes where they
            are far apart; `poisson` (Kazhdan and Hoppe, TOG 2013) is a smooth surface that is mostly closed.

    Returns:
        Vertices (V, 3) float32, and (T, 3) int64, their corners.

    Raises:
        DataError: The points are too few, or no surface can be laid through them.
        MissingDependencyError: Open3D is not installed.
    """
    open3d = lazy.require("open3d", extra="view")
    if len(points) <= _NEIGHBOURS:
        raise DataError(f"expected more than {_NEIGHBOURS} points for a mesh, got {len(points)}")
    try:
        cloud = _with_normals(open3d, points)
        mesh = _pivoted(open3d, cloud) if method == "ball_pivoting" else _poisson(open3d, cloud)
    except RuntimeError as exc:  # of Open3D and what it calls, for points in one place or plane
        raise DataError(
            f"expected points that a surface can be laid through, got {' '.join(str(exc).split()):.120}: use "
            "another object"
        ) from exc
    corners = np.asarray(mesh.triangles).astype(np.int64)
    if not len(corners):
        raise DataError("expected a surface through the points, got none: they are too far apart")
    return np.asarray(mesh.vertices).astype(np.float32), corners


def _with_normals(open3d: Any, points: NDArray[np.floating]) -> Any:
    """The cloud with normals that agree with each other."""
    exact = points.astype(np.float64)
    # Qhull refuses points on one sphere or circle: a ten-thousandth of their extent is enough to part them.
    extent = float(np.ptp(exact, axis=0).max())
    apart = np.random.default_rng(0).normal(0, 1e-4 * extent, exact.shape)
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(exact + apart))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(_NEIGHBOURS))
    cloud.orient_normals_consistent_tangent_plane(_NEIGHBOURS)
    return cloud


def _pivoted(open3d: Any, cloud: Any) -> Any:
    spacing = float(np.median(cloud.compute_nearest_neighbor_distance()))
    radii = open3d.utility.DoubleVector([spacing * ball for ball in _BALLS])
    return open3d.geometry.TriangleMesh.create_from_point_cloud_ball_pivoting(cloud, radii)


def _poisson(open3d: Any, cloud: Any) -> Any:
    create = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson
    mesh, density = create(cloud, depth=_TREE_DEPTH, n_threads=1)
    density = np.asarray(density)
    mesh.remove_vertices_by_mask(density < np.quantile(density, _THIN_SHARE))
    return mesh


def write_shape_mesh(path: Path, points: NDArray[np.floating], method: str) -> None:
    """Write the mesh of `shape_mesh` as binary STL, in the unit of the points.

    Raises:
        DataError: As `shape_mesh`.
        MissingDependencyError: Open3D is not installed.
        OutputError: It cannot be written.
    """
    vertices, corners = shape_mesh(points, method)
    facets = np.zeros(len(corners), _FACET)
    facets["corners"] = vertices[corners]
    a, b, c = (facets["corners"][:, k] for k in range(3))
    normals = np.cross(b - a, c - a)
    facets["normal"] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    head = b"recon3d: guessed shape of an object".ljust(80, b" ") + np.uint32(len(facets)).tobytes()
    write_atomically(path, head, facets.tobytes())
