"""What a rectified image shows that the raw camera never saw, and what stands in for it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.camera import PinholeCamera

_WIDEST_TANGENT = 100.0  # 89.4 degrees: no rectified image needs more


def seen_by(
    camera: PinholeCamera, maps: tuple[NDArray[np.int16], NDArray[np.uint16]]
) -> NDArray[np.bool_] | None:
    """Where a rectified image shows what the raw camera saw.

    A pixel was seen when most of it comes from the raw image, its ray runs ahead of the raw camera, and the
    lens model still distinguishes such rays: a distortion polynomial turns back somewhere outside the field
    of view, and from there on shows the inside of the image once more.

    Args:
        camera: The raw camera, folded.
        maps: Of cv2.initUndistortRectifyMap for it, fixed-point.

    Returns:
        (H, W) bool; None = everywhere.
    """
    width, height = camera.image_size_wh
    inside = cv2.remap(np.full((height, width), 255, np.uint8), *maps, cv2.INTER_LINEAR) > 127
    u, v = np.arange(width), np.arange(height)[:, None]
    # Numbers of a calibration that is none may overflow: such rays are not seen.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y_rect = (v - camera.p[1, 2]) / camera.p[1, 1]
        x_rect = (u - camera.p[0, 2] - camera.p[0, 1] * y_rect) / camera.p[0, 0]
        x, y, z = (camera.r[0, i] * x_rect + camera.r[1, i] * y_rect + camera.r[2, i] for i in range(3))
        tangent = np.where(z > 0, np.hypot(x, y) / z, np.inf)  # of the angle to the raw camera's axis
    inside &= tangent <= _largest_tangent(camera, float(tangent[np.isfinite(tangent)].max(initial=0.0)))
    return None if inside.all() else inside


def nearest_seen(valid: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Flat indices of the pixels to be filled, and of those seen whole that lie nearest to each.

    A pixel on the border of what was seen may be interpolated with black: it gives no colour, and gets one.

    Args:
        valid: (H, W) bool, where the image was seen; somewhere it must be.

    Returns:
        Two arrays (N,) of indices into the image's pixels, row by row.
    """
    whole = cv2.erode(valid.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    if not whole.any():
        whole = valid.astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(1 - whole, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    seen, unseen = np.flatnonzero(whole), np.flatnonzero(1 - whole)
    pixel_of_label = np.zeros(labels.max() + 1, np.intp)
    pixel_of_label[labels.ravel()[seen]] = seen
    return unseen, pixel_of_label[labels.ravel()[unseen]]


def _largest_tangent(camera: PinholeCamera, widest: float) -> float:
    """Up to which tangent of the angle to the axis a lens model grows; looked for up to `widest`."""
    tangents = np.linspace(0.0, min(widest, _WIDEST_TANGENT), 4096)
    d = np.pad(camera.d, (0, max(0, 8 - camera.d.size)))
    if camera.distortion_model == "equidistant":
        angle = np.arctan(tangents)
        square = angle**2
        image_radius = angle * (1 + square * (d[0] + square * (d[1] + square * (d[2] + square * d[3]))))
    else:
        square = tangents**2
        above = 1 + square * (d[0] + square * (d[1] + square * d[4]))
        below = 1 + square * (d[5] + square * (d[6] + square * d[7]))
        with np.errstate(divide="ignore", invalid="ignore"):
            image_radius = np.where(below > 0, tangents * above / below, 0.0)
    back = np.flatnonzero(~(np.diff(image_radius) > 0))
    return float(tangents[back[0]]) if back.size else float("inf")
