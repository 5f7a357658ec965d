"""What a second sensor knows of a frame: pixels whose depth is known; and how its data become such pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d_ros.errors import ConfigError, ImageError
from recon3d_ros.geometry import PinholeCamera

# A depth image has far more pixels than the fit can use; a grid of so many columns and rows is taken.
_GRID_WH = (40, 30)
_MIN_DEPTH_M = 1e-3


@dataclass(frozen=True, eq=False)
class Anchors:
    """Pixels of one frame whose depth is known from one source; can be empty.

    Attributes:
        source: Its name, one of `recon3d_ros.config.SENSOR_SOURCES`, or "floor".
        u: (N,) float32 px, columns on the grid of the rectified image.
        v: (N,) float32 px, rows.
        depth: (N,) float32 m along the optical axis, positive and finite.
        sigma_m: (N,) float32 m, standard deviation of the independent error of each `depth`.
        common: Relative standard deviation of the common error, which averaging does not reduce: the
            calibration of a sensor, the height of a mount.
        radius_px: An anchor is the nearest surface within so many pixels; 0 = the surface at the pixel.
        dropped: How many readings gave no anchor: not finite, behind the camera, outside the image.

    Raises:
        ImageError: At construction, when the arrays are not of one length, or a depth is no positive number.
    """

    source: str
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    depth: NDArray[np.float32]
    sigma_m: NDArray[np.float32]
    common: float = 0.0
    radius_px: float = 0.0
    dropped: int = 0

    def __post_init__(self) -> None:
        for name in ("u", "v", "depth", "sigma_m"):
            array = np.array(getattr(self, name), np.float32)  # a copy: nobody may change it later
            if array.ndim != 1 or array.shape != np.shape(self.u):
                raise ImageError(
                    f"expected {name} of the anchors of {self.source} of shape {np.shape(self.u)}, "
                    f"got {array.shape}: give one number for each anchor"
                )
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        good = np.isfinite(self.u) & np.isfinite(self.v) & np.isfinite(self.depth) & (self.depth > 0)
        if not (good & (self.sigma_m >= 0)).all():
            raise ImageError(
                f"expected finite anchors with positive depth and sigma_m from {self.source}, "
                "got others: leave them out"
            )

    def __len__(self) -> int:
        return self.u.size


def from_points(
    source: str,
    points: NDArray[np.floating],
    camera: PinholeCamera,
    sigma_m: ArrayLike = 0.03,
    common: float = 0.01,
) -> Anchors:
    """Anchors of the points of a scan or a sparse cloud.

    Args:
        source: Name of the source.
        points: (N, 3) m in the camera's optical frame (REP 103); those that are not finite (REP 117), behind
            the camera or outside the image are dropped and counted.
        camera: The rectified one of the frame.
        sigma_m: One standard deviation of the depth, m: one number, or (N,).
        common: See `Anchors`.

    Raises:
        ImageError: `points` is not (N, 3).
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ImageError(f"expected points of shape (N, 3) from {source}, got {points.shape}: reshape them")
    x, y, z = points.T
    height, width = camera.image_shape_hw
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u, v = camera.cx + camera.fx * x / z, camera.cy + camera.fy * y / z
        seen = np.isfinite(points).all(axis=1) & (z > _MIN_DEPTH_M)
        seen &= (u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5)
    sigma = np.broadcast_to(np.asarray(sigma_m, np.float64), z.shape)
    dropped = int(seen.size - np.count_nonzero(seen))
    return Anchors(source, u[seen], v[seen], z[seen], sigma[seen], common, dropped=dropped)


def from_depth_image(
    source: str,
    depth: NDArray[np.float32],
    camera: PinholeCamera,
    depth_camera: PinholeCamera | None = None,
    t_optical_source: NDArray[np.float64] | None = None,
    relative_sigma: float = 0.02,
    common: float = 0.01,
) -> Anchors:
    """Anchors of a second depth image, on a grid of at most 40 x 30 of its pixels.

    Args:
        source: Name of the source.
        depth: (H, W) float32 m; NaN, Inf and 0 are no depth, and are counted.
        camera: The rectified one of the frame.
        depth_camera: The rectified one of the depth image; None = `camera`, the images are registered.
        t_optical_source: (4, 4), maps points of the depth camera's optical frame into the frame's; None =
            they are the same.
        relative_sigma: One standard deviation of the depth, relative to it.
        common: See `Anchors`.

    Raises:
        ImageError: The depth image is not of its camera's size.
    """
    own = camera if depth_camera is None else depth_camera
    if depth.shape != own.image_shape_hw:
        raise ImageError(
            f"expected a depth image of shape {own.image_shape_hw} from {source}, got {depth.shape}: "
            "give the camera_info that belongs to it"
        )
    columns, rows = (spread(count, 0, size) for count, size in zip(_GRID_WH, own.image_size_wh))
    z = depth[np.ix_(rows, columns)].astype(np.float64)
    z[~(np.isfinite(z) & (z > 0))] = np.nan
    x, y = (columns - own.cx) / own.fx * z, (rows[:, None] - own.cy) / own.fy * z
    points = np.stack([x, y, z], axis=2).reshape(-1, 3)
    if t_optical_source is not None:
        points = points @ t_optical_source[:3, :3].T + t_optical_source[:3, 3]
    return from_points(source, points, camera, np.nan_to_num(relative_sigma * z.ravel()), common)


def spread(count: int, first: int, end: int) -> NDArray[np.int64]:
    """At most `count` pixels of one axis from `first` on, before `end`, evenly spaced, each once."""
    return np.unique((first + (np.arange(count) + 0.5) * (end - first) / count).astype(np.int64))


def from_range(
    range_m: float,
    camera: PinholeCamera,
    origin: ArrayLike,
    axis: ArrayLike,
    field_of_view: float,
    limits_m: tuple[float, float],
    sigma_m: float = 0.03,
    common: float = 0.01,
    source: str = "range",
) -> Anchors:
    """The anchor of one reading of a sensor that reports the nearest surface in a cone (sensor_msgs/Range).

    REP 117: +Inf is nothing within its range, -Inf is too near, NaN is an error; none of them is an anchor,
    nor is a reading outside the limits.

    Args:
        range_m: The reading, m from the origin.
        camera: The rectified one of the frame.
        origin: (3,) m, the sensor in the camera's optical frame.
        axis: (3,), the middle of the cone, of any length but 0.
        field_of_view: Full angle of the cone, rad; the nearest surface within it is reported.
        limits_m: Least and greatest range of the sensor.
        sigma_m: One standard deviation of the reading, m.
        common: See `Anchors`.
        source: Name of the source.

    Raises:
        ConfigError: The axis has no direction, or the angle is no angle of a cone.
    """
    axis = np.asarray(axis, np.float64)
    length = float(np.linalg.norm(axis))
    if not (math.isfinite(length) and length > 0 and 0 <= field_of_view < math.pi):
        raise ConfigError(
            f"expected an axis with a direction and a field of view from 0 to pi rad for {source}, "
            f"got {axis.tolist()} and {field_of_view}: correct the message or its transform"
        )
    known = math.isfinite(range_m) and limits_m[0] <= range_m <= limits_m[1]
    point = np.asarray(origin, np.float64) + axis / length * (range_m if known else math.nan)
    at = from_points(source, point[None], camera, sigma_m, common)
    if not len(at):
        return at
    radius_px = camera.fx * math.tan(field_of_view / 2) * range_m / float(point[2])
    return Anchors(source, at.u, at.v, at.depth, at.sigma_m, common, radius_px)
