"""One posed depth map as the fusion needs it: for each pixel depth, slant, weight and truncation."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.geometry.normals import surface_normals

_MIN_SLANT = 0.08  # a surface seen under less than 5 degrees is as one seen under 5
_EDGE_BEND = 0.05  # of inverse depth, which bends nowhere on a plane: here are two surfaces
_MAX_TRUNCATION = 7.5  # voxels, what the blocks can store
Plane = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Observation:
    """A depth map prepared for fusion.

    Attributes:
        camera: Rectified.
        planes: (H * W, 4) float32, C-contiguous: depth (m, NaN = unknown, +Inf = free as far as one sees),
            slant (point-to-plane distance per metre of difference in depth), weight, truncation (m;
            negative = no surface, only what is in front of the depth by at least as much is free).
        normals: (H, W, 3) float32 in the optical frame, facing the camera; NaN where unknown.
        image: (H * W, 3) uint8 RGB.
        surface: (H, W) bool, where a surface is to be fused.
    """

    camera: PinholeCamera
    planes: Plane
    normals: Plane
    image: NDArray[np.uint8]
    surface: NDArray[np.bool_]


def observe(
    depth_map: DepthMap,
    image: NDArray[np.uint8],
    voxel_m: float,
    truncation_voxels: float,
    max_depth_m: float,
) -> Observation:
    """Weigh the pixels of a depth map.

    A pixel weighs s^2 / (s^2 + sigma_m^2) with s of half a voxel, so that what is measured better than the
    voxels are wide counts 1; without sigma the square of the confidence; without either 1. The truncation is
    two sigma, within `truncation_voxels` and 7.5 voxels. At jumps of depth no surface is fused; what is in
    front of the nearest pixel around is free there, or things that were there would never fade. The slant is
    -n . r of the normal n and the ray r = (x / z, y / z, 1): with it the difference in depth of a voxel and
    its pixel becomes the distance from the tangential plane, which stays right at grazing angles.

    Args:
        depth_map: (H, W), in metres.
        image: (H, W, 3) RGB or (H, W) uint8.
        voxel_m: Edge of a voxel, m.
        truncation_voxels: At least this, in voxels.
        max_depth_m: What is farther away is free space up to there, but no surface.
    """
    camera, depth = depth_map.camera, depth_map.depth
    far = depth > max_depth_m  # +Inf, too
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.divide(1, depth, dtype=np.float32)
        edge = np.abs(cv2.Laplacian(inverse, cv2.CV_32F, ksize=1)) > _EDGE_BEND * inverse
    surface = np.isfinite(depth) & (depth > 0) & ~far & ~edge
    normals = np.stack(surface_normals(np.where(surface, depth, np.float32(np.nan)), camera), axis=-1)
    columns = ((np.arange(camera.width) - camera.cx) / camera.fx).astype(np.float32)
    rows = ((np.arange(camera.height) - camera.cy) / camera.fy).astype(np.float32)[:, None]
    slant = -(normals[..., 0] * columns + normals[..., 1] * rows + normals[..., 2])
    slant = np.where(np.isfinite(slant), np.maximum(slant, _MIN_SLANT), np.float32(1))
    weight = np.ones_like(depth)
    truncation = np.full_like(depth, truncation_voxels * voxel_m)
    if depth_map.sigma_m is not None:
        half = np.float32(voxel_m / 2)
        sigma = np.nan_to_num(depth_map.sigma_m, nan=np.inf)
        with np.errstate(over="ignore"):  # near a disparity of 0 it has no bounds
            weight = half**2 / (half**2 + sigma * sigma)
            truncation = np.clip(2 * sigma, truncation, np.float32(_MAX_TRUNCATION * voxel_m))
    elif depth_map.confidence is not None:
        weight = np.square(depth_map.confidence)
    planes = np.empty((depth.size, 4), np.float32)
    jump = edge & np.isfinite(depth) & (depth > 0) & ~far
    nearest = cv2.erode(np.where(depth > 0, depth, np.float32(np.inf)), np.ones((3, 3), np.uint8))
    free = np.where(far, np.float32(np.inf), np.where(jump, nearest, np.float32(np.nan)))
    truncation = np.where(jump, -truncation, truncation)
    planes[:, 0] = np.where(surface, depth, free).ravel()
    for column, plane in enumerate((slant, weight, truncation), 1):
        planes[:, column] = plane.ravel()
    coloured = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)
    return Observation(camera, planes, normals, np.ascontiguousarray(coloured).reshape(-1, 3), surface)
