"""How a camera hangs over the floor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.config import ScaleConfig
from recon3d_ros.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Mount:
    """Height and direction of a camera over a flat floor.

    Attributes:
        height_m: Of the optical centre over the floor, m.
        down: (3,) float64, the direction of gravity in the optical frame (x right, y down, z ahead), made a
            unit vector; (0, 1, 0) for a camera that looks at the horizon.
        height_sigma_m: One standard deviation of the height, m.
        tilt_sigma_deg: One standard deviation of the direction, degrees.

    Raises:
        ConfigError: At construction: no positive height, or no direction.
    """

    height_m: float
    down: NDArray[np.float64]
    height_sigma_m: float = 0.01
    tilt_sigma_deg: float = 1.0

    def __post_init__(self) -> None:
        down = np.array(self.down, np.float64)
        length = float(np.linalg.norm(down)) if down.shape == (3,) else math.nan
        if not (math.isfinite(self.height_m) and self.height_m > 0):
            raise ConfigError(
                f"expected a camera above the floor, got a height of {self.height_m:g} m: "
                "set camera_height_m, or correct the transform to the floor"
            )
        if not (math.isfinite(length) and length > 0):
            raise ConfigError(
                f"expected three numbers that point down, got {down.tolist()}: give the gravity direction"
            )
        down /= length
        down.setflags(write=False)
        object.__setattr__(self, "down", down)

    @classmethod
    def of(cls, config: ScaleConfig) -> Mount | None:
        """The mount that a configuration tells; None when it has no height."""
        if not config.camera_height_m:
            return None
        return cls(config.camera_height_m, down_of(config.camera_pitch_deg, config.camera_roll_deg))


def down_of(pitch_deg: float, roll_deg: float) -> NDArray[np.float64]:
    """Gravity in the optical frame of a camera that looks `pitch_deg` down and is rolled clockwise.

    Returns:
        (3,) float64 unit vector: pitched by 90 degrees it is (0, 0, 1), rolled by 180 it is (0, -1, 0); in
        the image of a camera that is turned clockwise everything turns the other way.
    """
    pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
    return np.array([math.sin(roll) * math.cos(pitch), math.cos(roll) * math.cos(pitch), math.sin(pitch)])
