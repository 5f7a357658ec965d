"""Which way is up: images, and their cameras, as the tag `orientation` of a photograph says."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.camera import PinholeCamera
from recon3d_ros.geometry.frame import Frame

Pixel = TypeVar("Pixel", bound=np.generic)


def exchanges_sides(orientation: int) -> bool:
    """Whether rows become columns."""
    return orientation >= 5


def upright(image: NDArray[Pixel], orientation: int) -> NDArray[Pixel]:
    """Turn an image, or a plane on its grid, so that its first row is the top of the scene.

    Args:
        image: (H, W, ...) as stored.
        orientation: 1 to 8, as in EXIF (CIPA DC-008, tag 0x0112). 5 to 8 exchange rows and columns.

    Returns:
        (H, W, ...) or (W, H, ...), contiguous; the very same array for 1.
    """
    if orientation == 1:
        return image
    if exchanges_sides(orientation):
        image = np.swapaxes(image, 0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def upright_frame(frame: Frame, orientation: int) -> Frame:
    """Turn the frame of one camera, with its calibration.

    Args:
        frame: Of the stored pixels, one image.
        orientation: See `upright`.
    """
    if orientation == 1:
        return frame
    valid = None if frame.valid is None else upright(frame.valid, orientation)
    camera = upright_camera(frame.camera, orientation)
    return replace(frame, image=upright(frame.image, orientation), camera=camera, valid=valid)


def upright_camera(camera: PinholeCamera, orientation: int) -> PinholeCamera:
    """Turn the rectified camera of the stored pixels, see `upright`."""
    (width, height), focal_px, center_px = (
        camera.image_size_wh,
        (camera.fx, camera.fy),
        (camera.cx, camera.cy),
    )
    if exchanges_sides(orientation):
        width, height, focal_px, center_px = height, width, focal_px[::-1], center_px[::-1]
    cx, cy = center_px
    if orientation in (3, 4, 7, 8):
        cy = height - 1 - cy
    if orientation in (2, 3, 6, 7):
        cx = width - 1 - cx
    return PinholeCamera.simple(width, height, focal_px[0], cx, cy, focal_px[1])
