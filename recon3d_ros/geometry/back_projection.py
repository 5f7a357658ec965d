"""Pixels with depth to points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.geometry.camera import PinholeCamera


def back_project(
    camera: PinholeCamera, u: NDArray[Any], v: NDArray[Any], z: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Points of pixels, for some of them; whole images go through `PointPacker`.

    Args:
        camera: Rectified.
        u: (N,) columns, px.
        v: (N,) rows, px.
        z: (N,) depth, m.

    Returns:
        (N, 3) float64 m in the optical frame (REP 103).
    """
    return np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=1)
