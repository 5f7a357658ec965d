"""Closed, smooth paths of a camera through a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recon3d_ros.world.scenes.indoor import look_at

_EYE_M = 1.45  # height of the camera of a walk


class CameraPath(Protocol):
    """Where the camera is after a part of a turn."""

    def pose(self, part: float) -> np.ndarray:
        """Return the (4, 4) world pose of the optical frame, m, at `part` (0 to 1) of a turn."""


@dataclass(frozen=True, eq=False)
class Loop:
    """An ellipse from which the camera looks at one spot.

    Attributes:
        centre: (3,) m, middle of the path; radii: (3,) m, its half axes.
        target: (3,) m, what the camera looks at; target_radii: (3,) m, how far that wanders.
    """

    centre: np.ndarray
    radii: np.ndarray
    target: np.ndarray
    target_radii: np.ndarray

    def pose(self, part: float) -> np.ndarray:
        """See `CameraPath`."""
        phase = 2 * np.pi * part
        wave = np.array([np.cos(phase), np.sin(phase), np.sin(2 * phase)])
        look = np.array([np.sin(phase), np.sin(phase + 0.6), np.cos(phase)])
        return look_at(self.centre + self.radii * wave, self.target + self.target_radii * look)


@dataclass(frozen=True, eq=False)
class Walk:
    """A closed curve through points at the height of a hand (Catmull and Rom 1974), with its own gaze.

    Attributes:
        points: (N, 4): x and y (m), yaw and pitch (degrees, to the left and downwards). Yaw may go
            beyond 180, and grow by whole turns from the last to the first point.
    """

    points: np.ndarray

    def pose(self, part: float) -> np.ndarray:
        """See `CameraPath`."""
        count = len(self.points)
        at = (part % 1) * count
        first, t = int(at) % count, at % 1
        a, b, c, d = (self._point(first + step) for step in (-1, 0, 1, 2))
        curve = (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * (b - c) + d - a) * t**3) / 2
        x, y = curve[:2]
        yaw, pitch = np.radians(curve[2:])
        gaze = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
        place = np.array([x, y, _EYE_M])
        return look_at(place, place + gaze)

    def _point(self, index: int) -> np.ndarray:
        turns, index = divmod(index, len(self.points))
        gain = round((self.points[-1, 2] - self.points[0, 2]) / 360) * 360.0
        return np.asarray(self.points[index] + [0, 0, turns * gain, 0], float)
