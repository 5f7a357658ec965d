"""Normals of the surfaces in a depth map."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.camera import PinholeCamera

_WINDOW_PX = 5  # of the gradient: less is noise, more rounds the corners


def surface_normals(
    depth: NDArray[np.float32], camera: PinholeCamera
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
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
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where((depth > 0) & np.isfinite(depth), 1 / depth, np.float32(np.nan))
    scale = 1 / 128.0  # Sobel's 5x5 sums 16 * 8 slopes
    border = cv2.BORDER_CONSTANT
    slope_u = cv2.Sobel(inverse, cv2.CV_32F, 1, 0, ksize=_WINDOW_PX, scale=scale, borderType=border)
    slope_v = cv2.Sobel(inverse, cv2.CV_32F, 0, 1, ksize=_WINDOW_PX, scale=scale, borderType=border)
    cut = _WINDOW_PX // 2
    for edge in (slope_u[:cut], slope_u[-cut:], slope_u[:, :cut], slope_u[:, -cut:]):
        edge[...] = np.nan
    height, width = depth.shape
    columns = (np.arange(width) - camera.cx).astype(np.float32)
    rows = (np.arange(height) - camera.cy).astype(np.float32)[:, None]
    toward = inverse - columns * slope_u - rows * slope_v
    slope_u *= np.float32(camera.fx)
    slope_v *= np.float32(camera.fy)
    length = np.sqrt(slope_u * slope_u + slope_v * slope_v + toward * toward)
    np.divide(-1, length, out=length)
    slope_u *= length
    slope_v *= length
    toward *= length
    return slope_u, slope_v, toward
