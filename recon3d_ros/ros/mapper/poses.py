"""Where the camera of an image was, in the fixed frame of the map: by tf, or by its own odometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config.odometry import OdometryConfig
from recon3d_ros.errors import CalibrationError, PoseError
from recon3d_ros.geometry import DepthMap, Frame
from recon3d_ros.geometry.back_projection import back_project
from recon3d_ros.geometry.level import find_level, level_transform
from recon3d_ros.odometry import VisualOdometry
from recon3d_ros.odometry.alignment import inverse
from recon3d_ros.ros.bridge.transforms import TransformSource

_UP = np.array([0.0, -1.0, 0.0])  # of a camera that is level
_STEP_PX = 4  # of the pixels in which the floor is looked for
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CameraPose:
    """A pose and what it belongs to.

    Attributes:
        T_map_camera: (4, 4) float64 m.
        part: Poses of different parts cannot be compared.
    """

    T_map_camera: Matrix
    part: int = 0


class PoseSource(Protocol):
    """Says where the camera was."""

    def pose(self, frame: Frame, depth_map: DepthMap, stamp_ns: int) -> CameraPose:
        """The pose of the optical frame.

        Raises:
            FrameError: It is not known; a PoseError if the images do not tell it.
        """

    def forget(self) -> None:
        """Time has jumped: what was seen before says nothing of what comes."""

    def configure(self, config: OdometryConfig) -> None:
        """Take other options."""


class TfPoses:
    """Poses that somebody else publishes.

    Args:
        transforms: Where they are looked up.
        map_frame: The fixed frame.
    """

    def __init__(self, transforms: TransformSource, map_frame: str) -> None:
        self._transforms, self._map_frame = transforms, map_frame

    def pose(self, frame: Frame, depth_map: DepthMap, stamp_ns: int) -> CameraPose:
        """See `PoseSource`."""
        return CameraPose(self._transforms.lookup(self._map_frame, frame.frame_id, stamp_ns))

    def forget(self) -> None:
        """The transforms know by themselves."""

    def configure(self, config: OdometryConfig) -> None:
        """There are no options."""


class OdometryPoses:
    """Poses from the images and their depth; every submap is a part, which begins level at the origin.

    Up is found from the floor in view, without one the camera is taken as level.

    Args:
        config: Of the odometry.
        transforms: Where `base_frame` is looked up.
        base_frame: The robot begins at the origin instead of the camera; empty = the camera.
    """

    def __init__(self, config: OdometryConfig, transforms: TransformSource, base_frame: str) -> None:
        self._config, self._transforms, self._base_frame = config, transforms, base_frame
        self._odometry = VisualOdometry(config, remember=False)
        self._first_part = 0
        self._part = -1
        self._T_map_submap: Matrix = np.eye(4)

    def pose(self, frame: Frame, depth_map: DepthMap, stamp_ns: int) -> CameraPose:
        """See `PoseSource`."""
        try:
            step = self._odometry.track(frame, depth_map)
        except CalibrationError:  # another camera: tracks across it say nothing
            self.forget()
            step = self._odometry.track(frame, depth_map)
        if step.T_map_camera is None:
            raise PoseError(f"expected enough texture with depth to tell the motion, got {step.reason}")
        part = self._first_part + step.submap
        if part != self._part:
            begin = self._beginning(frame, depth_map, stamp_ns)
            self._T_map_submap, self._part = begin @ inverse(step.T_map_camera), part
        return CameraPose(self._T_map_submap @ step.T_map_camera, part)

    def forget(self) -> None:
        """Begin anew at the origin."""
        self._first_part = self._part + 1
        self._odometry = VisualOdometry(self._config, remember=False)

    def configure(self, config: OdometryConfig) -> None:
        """Take other options from the next image on."""
        self._config = self._odometry.config = config

    def _beginning(self, frame: Frame, depth_map: DepthMap, stamp_ns: int) -> Matrix:
        """T_map_camera of the first image of a part."""
        if self._base_frame:
            return self._transforms.lookup(self._base_frame, frame.frame_id, stamp_ns)
        found = find_level(_points(depth_map))
        return level_transform(_UP, 0.0) if found is None else found


def _points(depth_map: DepthMap) -> NDArray[np.float64]:
    """Some of the points of a depth map, (N, 3) m in the optical frame."""
    first = _STEP_PX // 2
    v, u = (at * _STEP_PX + first for at in np.nonzero(depth_map.valid[first::_STEP_PX, first::_STEP_PX]))
    return back_project(depth_map.camera, u, v, depth_map.depth[v, u].astype(np.float64))
