"""Which pixels are floor: the anchors that a known camera height gives.

On a flat floor the depth of a pixel is known without any network: z = height / (down . ray), where ray is the
direction of the pixel with z = 1. The network only has to say which pixels are floor. A hypothesis (a scale,
or scale and shift) puts every pixel of the lower image at some height; on the right one many of them lie at
the height of the floor, few at others near it, and hardly any below: that distinguishes a floor from a
table, below which one sees the floor, and from a wall, whose pixels spread over all heights.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.scale.anchors import Anchors, spread
from recon3d_ros.scale.fits import Unobservable
from recon3d_ros.scale.mount import Mount

# Of the lower half of the image a grid of so many pixels is looked at.
_GRID_WH = (36, 18)
_BAND = 0.1  # half width of the floor, relative to the height
_MOST_BELOW = 0.05  # of the pixels at the height of the floor
_LEAST_CONTRAST = 0.5  # of the pixels within three bands, those within one
_MOST_TILT_DEG = 15.0  # of the plane through them to the horizontal
_LEAST_DOWN = 0.1  # pixels whose rays sink less are too near the horizon
_HYPOTHESES = 100
_SEED = 0
# A network sees the floor nearer or farther than the rest of a scene: the spread of the one scale against the
# other, over the frames of HoloLens video in which FastDepth's floor was found (docs/scale.md).
_COMMON = 0.08


def floor_anchors(
    values: NDArray[np.float32], relative: bool, camera: PinholeCamera, mount: Mount, least_share: float
) -> Anchors:
    """Find the floor in the lower half of an image.

    Args:
        values: (H, W) float32: depth up to a factor, or with `relative` inverse depth up to scale and shift.
        relative: Which of both.
        camera: The rectified one of the image.
        mount: Height and direction of the camera.
        least_share: Of the lower half that must be floor.

    Raises:
        Unobservable: No floor is in view, or it cannot be distinguished from other surfaces.
    """
    u, v, ray = _lower_grid(camera)
    value = values[v, u].astype(np.float64)
    down = ray @ mount.down
    usable = np.isfinite(value) & (down > _LEAST_DOWN) & (relative | (value > 0))
    total = u.size
    if np.count_nonzero(usable) < max(least_share * total, 3):
        raise Unobservable(
            "no floor in view: the lower half of the image has no depth, or no rays that point down"
        )
    u, v, ray, value, down = u[usable], v[usable], ray[usable], value[usable], down[usable]
    inverse = _hypotheses(value, relative, down / mount.height_m)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.log(np.maximum(inverse, 0) * mount.height_m / down)  # log(height / height of the point)
    floor = _level(_floors(above, total, least_share), inverse, above, ray, mount)
    at = np.abs(above[floor]) < _BAND
    known = mount.height_m / down[at]
    slope = np.sqrt(np.maximum((ray[at] ** 2).sum(axis=1) - down[at] ** 2, 0)) / down[at]
    tilt = math.radians(mount.tilt_sigma_deg) * float(slope.mean())
    common = math.hypot(mount.height_sigma_m / mount.height_m, tilt, _COMMON)
    return Anchors("floor", u[at], v[at], known, np.zeros_like(known), common)


def _lower_grid(camera: PinholeCamera) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Columns and rows of a grid over the lower half, and their (N, 3) rays with z = 1."""
    height, width = camera.image_shape_hw
    columns, rows = spread(_GRID_WH[0], 0, width), spread(_GRID_WH[1], height // 2, height)
    u, v = (plane.ravel() for plane in np.meshgrid(columns, rows))
    ray = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.size)], axis=1)
    return u, v, ray


def _hypotheses(
    value: NDArray[np.float64], relative: bool, inverse_floor: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(M, N) inverse depth of the pixels: each pixel, or pair of them, would be floor (RANSAC)."""
    rng = np.random.default_rng(_SEED)
    if not relative:
        ratio = np.sort(value * inverse_floor)  # of the scales at which each pixel is floor
        inverse: NDArray[np.float64] = ratio[:: max(1, ratio.size // _HYPOTHESES), None] / value
        return inverse
    i, j = rng.integers(0, value.size, (2, 2 * _HYPOTHESES))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (inverse_floor[i] - inverse_floor[j]) / (value[i] - value[j])
    good = np.isfinite(slope) & (slope > 0)
    slope, shift = slope[good], (inverse_floor[i] - slope * value[i])[good]
    if not slope.size:
        raise Unobservable("no floor in view: depth does not decrease towards the bottom of the image")
    inverse = shift[:, None] + slope[:, None] * value
    return inverse


def _floors(above: NDArray[np.float64], total: int, least_share: float) -> NDArray[np.int64]:
    """The hypotheses that make a floor, the largest floor first."""
    at, near = ((np.abs(above) < band).sum(axis=1) for band in (_BAND, 3 * _BAND))
    below = (above < -1.5 * _BAND).sum(axis=1)
    good = at >= least_share * total
    if not good.any():
        raise Unobservable(
            f"no floor in view: at most {at.max() / total:.0%} of the lower half of the image is in one "
            f"plane, {least_share:.0%} needed"
        )
    good &= below <= _MOST_BELOW * at
    if not good.any():
        raise Unobservable(
            "no floor in view: too many pixels are below the largest level plane, as below a table"
        )
    good &= at >= _LEAST_CONTRAST * near
    if not good.any():
        raise Unobservable("no floor in view: the pixels of the lower half of the image have many heights")
    return np.argsort(np.where(good, -at, 1), kind="stable")[: np.count_nonzero(good)]


def _level(
    floors: NDArray[np.int64],
    inverse: NDArray[np.float64],
    above: NDArray[np.float64],
    ray: NDArray[np.float64],
    mount: Mount,
) -> int:
    """The first of these hypotheses whose floor, fitted without knowing gravity, is level."""
    at = np.abs(above[floors]) < _BAND
    points = ray * np.where(at, 1 / np.where(at, inverse[floors], 1), 0)[..., None]
    moments = np.swapaxes(points, 1, 2) @ points  # of the plane normal . point = 1, by least squares
    moments += np.eye(3) * 1e-9 * np.trace(moments, axis1=1, axis2=2)[:, None, None]
    normals = np.linalg.solve(moments, points.sum(axis=1)[..., None])[..., 0]
    cosine = normals @ mount.down / np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    tilts_deg = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    level = np.flatnonzero(tilts_deg <= _MOST_TILT_DEG)
    if not level.size:
        raise Unobservable(
            f"no floor in view: the lowest plane is tilted by {tilts_deg.min():.0f} degrees against gravity"
        )
    return int(floors[level[0]])
