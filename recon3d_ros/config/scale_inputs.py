"""Options of where a node gets the metres of a mono model's scale from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import SENSOR_SOURCES, ScaleConfig
from recon3d_ros.config.options import Config, option
from recon3d_ros.errors import ConfigError

# REP 103: the optical frame looks along z with y down, a body along x with z up.
_OPTICAL_FROM_BODY = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True)
class ScaleInputConfig(Config):
    """How the messages that tell metres come in, and where their sensors are."""

    scale_tolerance_ms: float = option(
        50.0,
        "largest stamp difference between an image and a sensor message for its scale",
        unit="ms",
        minimum=0.0,
    )
    scale_depth_transport: str = option(
        "raw",
        "transport of scale/depth/image (source depth_image); compressedDepth = PNG, of image_transport",
        choices=("raw", "compressedDepth"),
    )
    scale_poses: tuple[str, ...] = option(
        (),
        "poses of the sensors relative to the camera, each 'source x y z roll pitch yaw' in m and rad (x "
        "forward, y left, z up), such as 'scan 0 0 -0.1 0 0 0'; other sensors are looked up in tf",
    )
    floor_frame: str = option(
        "",
        "tf frame with z up from which floor gets height and tilt of the camera, such as base_footprint; "
        "together with camera_height_m any level frame; empty = only the parameters",
    )

    def validate(self) -> None:
        """Check that each pose names a sensor and is six numbers."""
        self.poses()

    def poses(self) -> dict[str, NDArray[np.float64]]:
        """`scale_poses` by source: (4, 4) float64 T_optical_sensor, m.

        The points of a depth image are in an optical frame, those of the others in axes of a body.

        Raises:
            ConfigError: an entry is no sensor with six finite numbers, or a sensor comes twice.
        """
        found: dict[str, NDArray[np.float64]] = {}
        for entry in self.scale_poses:
            source, *words = entry.split() or [""]
            try:
                numbers = [float(word) for word in words]
            except ValueError:
                numbers = []
            if source not in SENSOR_SOURCES or len(numbers) != 6 or not all(map(math.isfinite, numbers)):
                raise ConfigError(
                    f"scale_poses must be one of {', '.join(SENSOR_SOURCES)} and six numbers each, such as "
                    f"'scan 0 0 -0.1 0 0 0', got {entry!r}"
                )
            if source in found:
                raise ConfigError(f"scale_poses must name a source once, got {source} twice")
            found[source] = _optical_from_sensor(numbers, optical=source == "depth_image")
        return found


@dataclass(frozen=True)
class ScalePlan:
    """Where a node's scale comes from: the sources and their inputs together.

    Raises:
        ConfigError: At construction: the floor is asked for, and nothing tells how high the camera is.
    """

    config: ScaleConfig
    inputs: ScaleInputConfig

    def __post_init__(self) -> None:
        if "floor" in self.config.scale_sources and not (
            self.config.camera_height_m or self.inputs.floor_frame
        ):
            raise ConfigError(
                "scale_sources floor needs the height of the camera, got camera_height_m 0 and no "
                "floor_frame: set one of them"
            )

    @cached_property
    def poses(self) -> dict[str, NDArray[np.float64]]:
        """See `ScaleInputConfig.poses`."""
        return self.inputs.poses()

    @property
    def sensors(self) -> tuple[str, ...]:
        """The sources that come as messages."""
        return tuple(source for source in self.config.scale_sources if source in SENSOR_SOURCES)

    @property
    def floor_frame(self) -> str:
        """Frame that tells how the camera hangs; empty when nobody asks."""
        return self.inputs.floor_frame if "floor" in self.config.scale_sources else ""

    @property
    def needs_tf(self) -> bool:
        """Whether a frame has to be looked up."""
        return bool(self.floor_frame or set(self.sensors) - self.poses.keys())

    @property
    def recovery(self) -> ScaleConfig:
        """What the pipeline gets: no mount where tf gives it, or it would be used when tf is silent."""
        return replace(self.config, camera_height_m=0.0) if self.floor_frame else self.config


UNSCALED = ScalePlan(ScaleConfig(), ScaleInputConfig())


def _optical_from_sensor(numbers: list[float], optical: bool) -> NDArray[np.float64]:
    """T_optical_sensor of x, y, z, roll, pitch, yaw as URDF has them: R = Rz(yaw) Ry(pitch) Rx(roll)."""
    (sr, sp, sy), (cr, cp, cy) = np.sin(numbers[3:]), np.cos(numbers[3:])
    rotation = np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )
    pose = np.eye(4)
    pose[:3, :3] = _OPTICAL_FROM_BODY @ rotation @ (_OPTICAL_FROM_BODY.T if optical else np.eye(3))
    pose[:3, 3] = _OPTICAL_FROM_BODY @ numbers[:3]
    return pose
