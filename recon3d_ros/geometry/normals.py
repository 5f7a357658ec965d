"""Normals of the surfaces in a depth map."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.camera import PinholeCamera

_WINDOW_PX = 5  # of the gradient: less is noise, more rounds the corners
_MARGIN = _WINDOW_PX // 2
_SCALE = 1 / 128.0  # Sobel's 5x5 sums 16 * 8 slopes
_BLOCK_PX = 1 << 16
Plane = NDArray[np.float32]


def surface_normals(depth: Plane, camera: PinholeCamera) -> tuple[Plane, Plane, Plane]:
    """Normals of the surfaces, facing the camera.

    The inverse depth w of a plane is affine in u and v, so its gradient gives the normal,
    n ~ -(fx w_u, fy w_v, w - (u - cx) w_u - (v - cy) w_v): the cross product of the tangents in u and v up to
    a positive factor, without its cancellation. It faces the camera by itself: n . (x, y, z) = -z w < 0.

    Args:
        depth: (H, W) float32 m; what is not finite and positive is no surface.
        camera: Of that grid; its rectified projection P is used.

    Returns:
        x, y and z of the unit normals, (H, W) float32 each; NaN where a pixel of the 5x5 around is no
        surface, and so at the outermost two rows and columns.
    """
    height, width = depth.shape
    normals = tuple(np.full(depth.shape, np.nan, np.float32) for _ in range(3))
    columns = (np.arange(width) - camera.cx).astype(np.float32)
    rows = (np.arange(height) - camera.cy).astype(np.float32)[:, None]
    count = max(1, _BLOCK_PX // width)
    for top in range(_MARGIN, height - _MARGIN, count):  # in blocks, whose scratch stays in the cache
        block = slice(top, min(top + count, height - _MARGIN))
        inverse = _inverse(depth[top - _MARGIN : block.stop + _MARGIN])
        out = tuple(axis[block] for axis in normals)
        _normals_of_rows(inverse, columns, rows[block], (camera.fx, camera.fy), out)
    for axis in normals:
        axis[:, :_MARGIN] = axis[:, width - min(width, _MARGIN) :] = np.nan
    return normals  # type: ignore[return-value]  # three of them


def surface_curvature(depth: Plane, camera: PinholeCamera, normals: tuple[Plane, Plane, Plane]) -> Plane:
    """Curvature as PCL's NormalEstimation has it: how much of the scatter of points is along the normal.

    That is lambda_0 / (lambda_0 + lambda_1 + lambda_2) of the covariance C of the points in the 5x5 around
    (Pauly et al., Efficient Simplification of Point-Sampled Surfaces, 2002), with n C n for its smallest
    eigenvalue lambda_0.

    Args:
        depth: (H, W) float32 m.
        camera: Of that grid.
        normals: Of `surface_normals`.

    Returns:
        (H, W) float32, 0 for a plane to 1/3 for scatter without direction; NaN where the normals are.
    """
    known = np.isfinite(normals[0])
    z = np.where(np.isfinite(depth), depth, 0).astype(np.float64)
    height, width = depth.shape
    x = z * ((np.arange(width) - camera.cx) / camera.fx)
    y = z * ((np.arange(height) - camera.cy)[:, None] / camera.fy)
    points = (x, y, z)
    # Sums in float64: the variance of a few mm in metres would cancel out in float32.
    means = [cv2.blur(axis, (_WINDOW_PX, _WINDOW_PX)) for axis in points]
    along, total = np.zeros(depth.shape), np.zeros(depth.shape)
    for i in range(3):
        for j in range(i, 3):
            scatter = cv2.blur(points[i] * points[j], (_WINDOW_PX, _WINDOW_PX)) - means[i] * means[j]
            along += (1 if i == j else 2) * normals[i] * normals[j] * scatter
            if i == j:
                total += scatter
    share = np.divide(along, total, out=np.full(depth.shape, np.nan), where=known & (total > 0))
    curvature: Plane = np.clip(share, 0.0, 1.0 / 3.0).astype(np.float32)
    return curvature


def _inverse(depth: Plane) -> Plane:
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.divide(1, depth, dtype=np.float32)
        np.copyto(inverse, np.nan, where=~((inverse > 0) & np.isfinite(inverse)))
    return inverse


def _normals_of_rows(
    inverse: Plane, columns: Plane, rows: Plane, focal_px: tuple[float, float], out: tuple[Plane, ...]
) -> None:
    """Fill the normals of all but the outermost rows of `inverse`, the inverse depth."""
    slope_u, slope_v, toward = out
    inner = slice(_MARGIN, len(inverse) - _MARGIN)
    for slope, order in ((slope_u, (1, 0)), (slope_v, (0, 1))):
        slope[...] = cv2.Sobel(inverse, cv2.CV_32F, *order, ksize=_WINDOW_PX, scale=_SCALE)[inner]
    np.multiply(columns, slope_u, out=toward)
    np.subtract(inverse[inner], toward, out=toward)
    toward -= rows * slope_v
    slope_u *= np.float32(focal_px[0])
    slope_v *= np.float32(focal_px[1])
    length = slope_u * slope_u
    length += slope_v * slope_v
    length += toward * toward
    np.sqrt(length, out=length)
    np.divide(-1, length, out=length)
    for axis in out:
        axis *= length
