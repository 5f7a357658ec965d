"""The frames in which networks see single objects: turned towards them, about 1 from middle to end.

Axes are those of a camera that looks at the object: x right, y down, z away from it. The direction is that
of the ray through the object's middle, so that a shape looks alike wherever it stands in the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.errors import DataError
from recon3d_ros.geometry.camera import PinholeCamera
from recon3d_ros.geometry.object_in_view import Box

# Of the longer side of an object's box, the side of the square that a network sees.
MARGIN = 1.15
# Of the points that are seen, those beyond these percentiles do not count for the frame: they may be wrong.
_ENDS = (2.0, 98.0)


@dataclass(frozen=True)
class UnitFrame:
    """Where a unit frame is in another one.

    Attributes:
        rotation: (3, 3), rows are its axes in the other frame.
        origin: (3,) m, in the other frame.
        scale: Metres of one unit.
    """

    rotation: NDArray[np.float64]
    origin: NDArray[np.float64]
    scale: float

    def to_unit(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """(N, 3) m in the other frame -> (N, 3) float32 in this one."""
        turned = (points - self.origin) @ self.rotation.T
        return np.asarray(turned / self.scale, np.float32)

    def to_metres(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """(N, 3) in this frame -> (N, 3) float32 m in the other one."""
        return (points.astype(np.float64) * self.scale @ self.rotation + self.origin).astype(np.float32)


def towards(direction: NDArray[np.floating]) -> NDArray[np.float64]:
    """(3, 3) axes of a camera that looks along `direction` (any length) and keeps x of its old axes level."""
    z = np.asarray(direction, float) / np.linalg.norm(direction)
    x = np.cross([0.0, 1.0, 0.0], z)
    length = float(np.linalg.norm(x))
    x = x / length if length > 1e-6 else np.array([1.0, 0.0, 0.0])
    return np.stack([x, np.cross(z, x), z])


@dataclass(frozen=True)
class ObjectView:
    """A camera that looks at an object and sees no more than a square around it.

    Attributes:
        rotation: (3, 3), rows are its axes in the optical frame of the camera that took the image.
        half_tan: Tangent of half its angle of view.
    """

    rotation: NDArray[np.float64]
    half_tan: float

    @staticmethod
    def of_box(camera: PinholeCamera, box: Box, margin: float = MARGIN) -> ObjectView:
        """The view of a box.

        Args:
            camera: That of the image.
            box: x, y, width, height in px; may reach out of the image.
            margin: The side of the square over the longer side of the box.

        Raises:
            DataError: The box has no area.
        """
        x, y, width, height = box
        if not (width > 0 and height > 0):
            raise DataError(
                f"expected a box x y w h with a width and a height above 0 px, got {x:g} {y:g} {width:g} "
                f"{height:g}: draw it around the object"
            )
        ray = np.array(
            [
                (x + (width - 1) / 2 - camera.cx) / camera.fx,
                (y + (height - 1) / 2 - camera.cy) / camera.fy,
                1.0,
            ]
        )
        half = margin * max(width / camera.fx, height / camera.fy) / 2
        return ObjectView(towards(ray), float(half / np.linalg.norm(ray)))

    def crop(
        self, image: NDArray[np.uint8], camera: PinholeCamera, side_px: int, outside: int = 127
    ) -> NDArray[np.uint8]:
        """What this view shows of an image.

        Args:
            image: (H, W) or (H, W, 3) uint8; a mask of 0 and 255 becomes one with other values at its edge.
            camera: Of the image.
            side_px: Of the crop.
            outside: The grey level of what the image does not show.

        Returns:
            (side_px, side_px) or (side_px, side_px, 3) uint8.
        """
        height, width = image.shape[:2]
        shrink = min(1.0, side_px / (2.0 * self.half_tan * max(camera.fx, camera.fy)))
        size_wh = max(1, round(width * shrink)), max(1, round(height * shrink))
        if size_wh != (width, height):
            image = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        across, down = size_wh[0] / width, size_wh[1] / height
        pixels = np.array(
            [
                [camera.fx * across, 0.0, (camera.cx + 0.5) * across - 0.5],
                [0.0, camera.fy * down, (camera.cy + 0.5) * down - 0.5],
                [0.0, 0.0, 1.0],
            ]
        )
        focal, middle = side_px / (2.0 * self.half_tan), (side_px - 1) / 2
        seen = np.array([[focal, 0.0, middle], [0.0, focal, middle], [0.0, 0.0, 1.0]])
        matrix = seen @ self.rotation @ np.linalg.inv(pixels)
        return np.asarray(
            cv2.warpPerspective(
                image,
                matrix,
                (side_px, side_px),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=(outside,) * 3,
            ),
            np.uint8,
        )

    def frame(self, distance_m: float) -> UnitFrame:
        """The unit frame of an object whose middle is at this distance along the view's axis.

        At that distance the square reaches from -1 to 1 in x and y.
        """
        return UnitFrame(self.rotation, self.rotation[2] * distance_m, self.half_tan * distance_m)

    def middle_m(self, points: NDArray[np.floating]) -> float:
        """The distance of the middle between the nearest and the farthest of (N, 3) points, m."""
        along = np.asarray(points, float) @ self.rotation[2]
        return float(along.min() + along.max()) / 2


def near_middle(points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which points are no farther before or behind the middle one than they all are wide, (N,) bool.

    At an object's outline stereo mixes its depth with that of the background.

    Args:
        points: (N, 3) m in an optical frame.
    """
    turned = np.asarray(points, float) @ towards(np.median(points, axis=0)).T
    middle = np.median(turned[:, 2])
    low, high = np.percentile(turned[:, :2] / turned[:, 2:], _ENDS, axis=0)
    return np.asarray(np.abs(turned[:, 2] - middle) <= middle * float((high - low).max()))


def visible_frame(points: NDArray[np.floating]) -> UnitFrame:
    """The unit frame of an object of which these points are seen.

    Args:
        points: (N, 3) m in an optical frame, N at least 3; see `near_middle`.

    Raises:
        DataError: They are fewer, or all in one place.
    """
    if len(points) < 3:
        raise DataError(f"expected at least 3 points of an object, got {len(points)}: choose a larger box")
    rotation = towards(np.median(points, axis=0))
    low, high = np.percentile(np.asarray(points, float) @ rotation.T, _ENDS, axis=0)
    scale = float((high - low).max()) / 2
    if not scale > 0.0:
        raise DataError("expected points of an object in several places, got all in one: choose a larger box")
    return UnitFrame(rotation, (low + high) / 2 @ rotation, scale)
