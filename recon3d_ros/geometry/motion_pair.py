"""Two views of one moving camera as a rectified stereo pair, and depth back on the grid of the first view.

After Fusiello, Trucco and Verri (2000): both views are turned about their optical centres until their rows
lie along the baseline. Turning moves no centre, so that depth comes back by an exact map. Where the camera
moves forward, the turned views look far to the side; rays close to the baseline, which have little parallax,
are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import CalibrationError, ParallaxError
from recon3d_ros.geometry.camera import PinholeCamera
from recon3d_ros.geometry.checks import is_rotation
from recon3d_ros.geometry.depth_map import DepthMap
from recon3d_ros.geometry.frame import Frame
from recon3d_ros.geometry.rig import StereoRig

# Rays farther than this from the axis of the turned view are left out: there an image is stretched 4 times
# along the baseline, and the parallax is half of what it is across the baseline.
_WIDEST_TANGENT = 2.5
_FORWARD = 1e-3  # sine of the angle between the baseline and the axis
_MARGIN = 0.2  # of the width of the view, for what the other one shows beside it
_BORDER_WH = (24, 18)  # pixels whose rays bound a view
_ONE_SURFACE_PX = 1.0  # neighbours whose disparities differ by more are not interpolated
_ALONG = "expected a camera that moved across its axis, got one that moved along it: there is no parallax"
_UNSURE_PX = 4  # beside what a view does not show a match is often wrong, a third of them in rooms
_OUTSIDE = np.float32(1e4)  # px, outside of every image
Matrix = NDArray[np.float64]
Plane = NDArray[np.float32]


class Parallax(NamedTuple):
    """What two views show of a scene at one depth; arrays of (N,) pixels of a grid.

    Attributes:
        seen: bool, the other view shows it.
        across: bool, the ray is so far from the baseline that the turned view shows it.
        px: Angle between the rays of both views, times the focal length.
    """

    seen: NDArray[np.bool_]
    across: NDArray[np.bool_]
    px: Matrix


@dataclass(frozen=True, eq=False)
class MotionPair:
    """The rectification of a view and another one of the same camera.

    Attributes:
        camera: The rectified camera of both views.
        rig: Of the turned views; the left one is `turn` of the view that depth is wanted for.
        turn: (3, 3) float64, from rays of the view to rays of the left turned view. Where the other view lies
            to the left it mirrors, so that every pair is one of left and right.
        turn_other: (3, 3) float64, the same of the other view.
    """

    camera: PinholeCamera
    rig: StereoRig
    turn: Matrix
    turn_other: Matrix

    @classmethod
    def between(cls, camera: PinholeCamera, T_other_view: Matrix) -> MotionPair:
        """Rectify two views.

        Args:
            camera: Rectified, of both views.
            T_other_view: (4, 4) m, maps points of the view into the other one.

        Raises:
            CalibrationError: The camera is raw, or the matrix is no rigid transform.
            ParallaxError: The views have one place, look apart, or the camera moved along its axis.
        """
        rotation, centre = _motion(camera, T_other_view)
        baseline_m = float(np.linalg.norm(centre))
        turn = _turn(centre, baseline_m)
        turn_other = turn @ rotation.T
        width, height = camera.image_size_wh
        size_wh = (width, height) if _sideways(turn[0]) else (height, width)
        focal, cx, cy = _virtual(camera, turn, turn_other, size_wh)
        left = PinholeCamera.simple(*size_wh, focal, cx, cy)
        p = left.p.copy()
        p[0, 3] = -focal * baseline_m
        return cls(camera, StereoRig(left, replace(left, p=p)), turn, turn_other)

    def frame(self, view: Frame, other: Frame) -> Frame:
        """The rectified pair of the images of both views; what they do not show is not valid."""
        left, left_valid = self._shown(view, self.turn)
        right, right_valid = self._shown(other, self.turn_other)
        return Frame(
            stamp_ns=view.stamp_ns,
            image=left,
            camera=self.rig.left,
            right=right,
            rig=self.rig,
            name=view.name,
            frame_id=view.frame_id,
            valid=left_valid,
            right_valid=right_valid,
        )

    def _shown(self, frame: Frame, turn: Matrix) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The turned image, and where it surely shows what the camera saw; elsewhere are the nearest pixels.

        Black there would be an edge to a network, which drags along the depth beside it; see `Rectifier`.
        """
        maps = _pixels_in(self.camera, self.rig.left, turn.T)
        seen = np.full(self.camera.image_shape_hw, 255, np.uint8)
        if frame.valid is not None:
            seen[~frame.valid] = 0
        image = cv2.remap(frame.image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        shown = (cv2.remap(seen, *maps, cv2.INTER_LINEAR) > 254).astype(np.uint8)
        sure = cv2.erode(shown, np.ones((2 * _UNSURE_PX + 1,) * 2, np.uint8))
        return image, sure > 0  # type: ignore[return-value]

    def back(self, depth_map: DepthMap) -> DepthMap:
        """A depth map of the left turned view on the grid of the view.

        Args:
            depth_map: On the grid of `rig.left`, with disparity.

        Returns:
            Depth, confidence and sigma on the grid of `camera`; NaN, 0 and NaN where the turned view does not
            show it. Between neighbours of one surface inverse depth is interpolated, at edges the nearest is
            taken.
        """
        u, v = _pixels_in(self.rig.left, self.camera, self.turn)
        with np.errstate(divide="ignore"):
            inverse = np.divide(1, depth_map.depth, dtype=np.float32)
        step = np.float32(_ONE_SURFACE_PX / (self.rig.fx * self.rig.baseline_m))
        # A ray (x, y, 1) of the view has this z in the turned one.
        along = _along(self.camera, self.turn)
        found = _sampled(inverse, u, v, step)
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = (1 / (found * along)).astype(np.float32)

        def nearest(plane: Plane | None, instead: float) -> Plane | None:
            if plane is None:
                return None
            return cv2.remap(plane, u, v, cv2.INTER_NEAREST, borderValue=instead)  # type: ignore[return-value]

        sigma = nearest(depth_map.sigma_m, np.nan)
        if sigma is not None:
            sigma = (sigma / along).astype(np.float32)
        moved = DepthMap(depth, self.camera, None, nearest(depth_map.confidence, 0.0), sigma)
        return moved.restricted(np.isfinite(found) & (along > 0))


def parallax(
    camera: PinholeCamera, T_other_view: Matrix, depth_m: float, grid_wh: tuple[int, int] = (16, 12)
) -> Parallax:
    """What a pair of views would show of a scene that is all at one depth.

    Args:
        camera: Rectified, of both views.
        T_other_view: (4, 4) m, maps points of the view into the other one.
        depth_m: Of the scene, m.
        grid_wh: Pixels to look at.

    Raises:
        CalibrationError: The camera is raw, or the matrix is no rigid transform.
    """
    rotation, centre = _motion(camera, T_other_view)
    width, height = camera.image_size_wh
    u = (np.arange(grid_wh[0]) + 0.5) / grid_wh[0] * width - 0.5
    v = (np.arange(grid_wh[1]) + 0.5) / grid_wh[1] * height - 0.5
    points = depth_m * _rays_of(camera, u, v).reshape(3, -1)
    x, y, z = rotation @ (points - centre[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        column, row = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
        seen = (z > 0) & (np.abs(column - width / 2) < width / 2) & (np.abs(row - height / 2) < height / 2)
    angle = np.arctan2(
        np.linalg.norm(np.cross(points, centre[:, None], axis=0), axis=0),
        np.einsum("in,in->n", points, points - centre[:, None]),
    )
    try:
        turned = _turn(centre, float(np.linalg.norm(centre))) @ points
        across = (turned[2] > 0) & (np.abs(turned[:2]) < _WIDEST_TANGENT * turned[2]).all(axis=0)
    except ParallaxError:
        across = np.zeros_like(seen)
    return Parallax(seen, across, angle * camera.fx)


def _motion(camera: PinholeCamera, T_other_view: Matrix) -> tuple[Matrix, Matrix]:
    """Rotation of the motion, and where the other view stands in the frame of the view."""
    T = np.asarray(T_other_view, np.float64)
    rigid = T.shape == (4, 4) and bool(np.isfinite(T).all()) and is_rotation(T[:3, :3])
    if not (rigid and camera.rectified):
        raise CalibrationError(
            f"expected a rectified camera and a rigid 4x4 T_other_view, got rectified={camera.rectified} and "
            f"{T.tolist()}: rectify the images and check the poses"
        )
    return T[:3, :3], -T[:3, :3].T @ T[:3, 3]


def _turn(centre: Matrix, baseline_m: float) -> Matrix:
    """(3, 3): x along the baseline, z across it and near the optical axis, y downwards if that is across."""
    if baseline_m == 0:
        raise ParallaxError("expected a camera that moved, got two views of one place: take others")
    b = centre / baseline_m
    z = np.array([0.0, 0.0, 1.0]) - b[2] * b
    if np.linalg.norm(z) < _FORWARD:
        raise ParallaxError(_ALONG)
    z /= np.linalg.norm(z)
    y = np.cross(z, b)
    # A network knows upright images: from a view to the left comes a mirrored pair, not one upside down.
    return np.stack([b, -y if _sideways(b) and y[1] < 0 else y, z])


def _sideways(b: Matrix) -> bool:
    """Whether rows along the baseline are near the rows of the image; else they are near its columns."""
    return bool(abs(b[0]) >= abs(b[1]))


def _window(camera: PinholeCamera, turn: Matrix) -> tuple[Matrix, Matrix]:
    """Least and largest tangents (x, y) of a turned view, as far as it is kept."""
    u = np.linspace(0, camera.width - 1, _BORDER_WH[0])
    v = np.linspace(0, camera.height - 1, _BORDER_WH[1])
    rays = turn @ _rays_of(camera, u, v).reshape(3, -1)
    ahead = rays[2] > 1e-3
    tangents = rays[:2, ahead] / rays[2, ahead]
    tangents = tangents[:, (np.abs(tangents) < _WIDEST_TANGENT).all(axis=0)]
    if not tangents.size:
        raise ParallaxError(_ALONG)
    return tangents.min(axis=1), tangents.max(axis=1)


def _virtual(
    camera: PinholeCamera, turn: Matrix, turn_other: Matrix, size_wh: tuple[int, int]
) -> tuple[float, float, float]:
    """Focal length and principal point of both turned views, px: what both show, no finer than the camera."""
    low, high = _window(camera, turn)
    other_low, other_high = _window(camera, turn_other)
    margin = _MARGIN * (high[0] - low[0])  # matches lie to the left
    x = max(min(low[0], other_low[0]), low[0] - margin), min(high[0], other_high[0] + margin)
    y = max(low[1], other_low[1]), min(high[1], other_high[1])
    if x[1] <= x[0] or y[1] <= y[0]:
        raise ParallaxError("expected views that overlap, got two that look apart: take others")
    width, height = size_wh
    focal = min(camera.fx, (width - 1) / (x[1] - x[0]), (height - 1) / (y[1] - y[0]))
    return float(focal), (width - 1 - focal * sum(x)) / 2, (height - 1 - focal * sum(y)) / 2


def _rays_of(camera: PinholeCamera, u: NDArray[Any], v: NDArray[Any]) -> Matrix:
    """(3, V, U): (x, y, 1) of the pixels of these columns and rows."""
    x, y = np.meshgrid((u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy)
    return np.stack([x, y, np.ones_like(x)])


def _pixels_in(source: PinholeCamera, target: PinholeCamera, turn: Matrix) -> tuple[Plane, Plane]:
    """Where the turned rays of the pixels of `target` meet `source`: u and v, (H, W) each.

    Rays that run beside or behind it are outside of its image, on the side they point to.
    """
    size_wh = target.image_size_wh
    u, v = cv2.initUndistortRectifyMap(
        source.p[:, :3], np.zeros(4), turn.T, target.p[:, :3], size_wh, cv2.CV_32FC1
    )
    u, v = (np.clip(plane, -_OUTSIDE, _OUTSIDE).astype(np.float32) for plane in (u, v))
    behind = _along(target, turn) <= 1e-3
    if behind.any():
        for plane, axis in ((u, 0), (v, 1)):
            plane[behind] = np.copysign(_OUTSIDE, _along(target, turn, axis)[behind])
    return u, v


def _along(camera: PinholeCamera, turn: Matrix, axis: int = 2) -> Plane:
    """(H, W): z, or another coordinate, that a ray (x, y, 1) of each pixel has after the turn."""
    x = (np.arange(camera.width) - camera.cx) / camera.fx
    y = (np.arange(camera.height) - camera.cy) / camera.fy
    part: Plane = (turn[axis, 0] * x + (turn[axis, 1] * y + turn[axis, 2])[:, None]).astype(np.float32)
    return part


def _sampled(plane: Plane, u: Plane, v: Plane, step: float) -> Plane:
    """Value between pixels: linear where the four neighbours differ by less than `step`, else the nearest."""
    corners = np.stack([plane[:-1, :-1], plane[1:, :-1], plane[:-1, 1:], plane[1:, 1:]])
    one_surface = np.zeros(plane.shape, np.uint8)
    with np.errstate(invalid="ignore"):
        one_surface[:-1, :-1] = corners.max(axis=0) - corners.min(axis=0) < step  # False with NaN
    smooth = cv2.remap(one_surface, np.floor(u), np.floor(v), cv2.INTER_NEAREST) > 0
    linear = cv2.remap(plane, u, v, cv2.INTER_LINEAR, borderValue=np.nan)
    nearest = cv2.remap(plane, u, v, cv2.INTER_NEAREST, borderValue=np.nan)
    return np.where(smooth, linear, nearest)
