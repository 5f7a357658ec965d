"""A camera that walks down a corridor without end: exact depth and images at any time, for soaks of a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.ros.bridge.transforms import PATIENCE_S

FRAME, MAP_FRAME = "camera_optical", "odom"
START_NS = 1_000_000_000_000
SPEED_MPS = 1.0
SIZE_WH = (96, 72)
_LOW, _HIGH = np.array([-np.inf, -1.5, 0.0]), np.array([np.inf, 1.5, 2.4])
_PILLAR_M, _EVERY_M, _REACH_M = 0.4, 3.0, 12.0
_HEIGHT_M, _TILT = 1.0, np.radians(15)  # of the camera, which looks down
_SWAY_M, _LOOK, _TURN_S = 0.3, np.radians(35), 7.0  # to both sides, in so many seconds
_CELL_M = 0.12  # of the pattern of all surfaces
PERIOD_S = 42.0  # after which all is the same, but 42 m farther
# Optical axes (x right, y down, z forward) in a world with x forward, y left, z up.
_LEVEL = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
Matrix = NDArray[np.float64]


class CorridorPoses:
    """The camera's poses as a `TransformSource`: all that a node asks for, without tf."""

    def start(self) -> None:
        """There is nothing to listen to."""

    def lookup(
        self, target_frame: str, source_frame: str, stamp_ns: int, patience_s: float = PATIENCE_S
    ) -> Matrix:
        """T_odom_camera, (4, 4) m, at a time since `START_NS`."""
        return pose_at((stamp_ns - START_NS) / 1e9)


def pose_at(seconds: float) -> Matrix:
    """T_odom_camera, (4, 4) m: ahead along x, swaying and looking to both sides."""
    phase = 2 * np.pi * seconds / _TURN_S
    yaw = _LOOK * np.sin(phase)
    turn, tilt = np.eye(4), np.eye(4)
    turn[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    turn[:3, 3] = SPEED_MPS * seconds, _SWAY_M * np.cos(phase / 2), _HEIGHT_M
    tilt[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(_TILT), np.sin(_TILT), -np.sin(_TILT), np.cos(_TILT)
    pose: Matrix = turn @ tilt @ _LEVEL
    return pose


class Corridor:
    """What the camera sees; pillars stand at both walls in turn.

    Args:
        size_wh: Of the images.

    Attributes:
        camera: Rectified.
    """

    def __init__(self, size_wh: tuple[int, int] = SIZE_WH) -> None:
        self.camera = PinholeCamera.simple(*size_wh, 0.7 * size_wh[0])
        cam = self.camera
        u, v = np.meshgrid(np.arange(cam.width), np.arange(cam.height))
        self._rays = np.stack([(u - cam.cx) / cam.fx, (v - cam.cy) / cam.fy, np.ones(u.shape)], axis=-1)

    def view(self, pose: Matrix) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Depth (H, W) m and the image (H, W, 3) RGB of a pose."""
        rays, origin = self._rays @ pose[:3, :3].T, pose[:3, 3]
        depth = _slabs(origin, rays, _LOW, _HIGH)[1]
        first = int(np.floor((origin[0] - _REACH_M) / _EVERY_M))
        for i in range(first, first + int(2 * _REACH_M / _EVERY_M) + 1):
            low = np.array([i * _EVERY_M, _HIGH[1] - _PILLAR_M if i % 2 else _LOW[1], 0.0])
            near, far = _slabs(origin, rays, low, low + np.array([_PILLAR_M, _PILLAR_M, _HIGH[2]]))
            depth = np.where((near < far) & (near > 0) & (near < depth), near, depth)
        depth = np.minimum(depth, 1e3)  # far down the corridor
        return depth.astype(np.float32), _pattern(origin + rays * depth[..., None])


def _slabs(origin: Matrix, rays: Matrix, low: Matrix, high: Matrix) -> tuple[Matrix, Matrix]:
    """Where rays enter and leave a box, by the method of slabs."""
    with np.errstate(divide="ignore", invalid="ignore"):
        one, other = (low - origin) / rays, (high - origin) / rays
    return np.fmin(one, other).max(axis=-1), np.fmax(one, other).min(axis=-1)


def _pattern(points: Matrix) -> NDArray[np.uint8]:
    """Colours that are a function of the place: cells of random grey."""
    cells = np.floor(points / _CELL_M).astype(np.int64)
    cells[..., 0] %= round(PERIOD_S * SPEED_MPS / _CELL_M)
    mixed = cells[..., 0] * 73856093 ^ cells[..., 1] * 19349663 ^ cells[..., 2] * 83492791
    grey = 60 + (mixed * 2654435761 >> 7) % 160
    return np.stack([grey, grey, np.clip(grey + 20, 0, 255)], axis=-1).astype(np.uint8)
