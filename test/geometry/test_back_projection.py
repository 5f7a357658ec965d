"""Pixels with depth to points: projected again they are the pixels."""

from __future__ import annotations

import numpy as np

from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.geometry.back_projection import back_project


def test_points_are_seen_where_they_came_from():
    camera = PinholeCamera.simple(97, 61, 80.0)
    u, v, z = np.array([0, 96, 40]), np.array([0, 60, 33]), np.array([0.5, 2.0, 7.0], np.float32)
    points = back_project(camera, u, v, z)
    assert points.shape == (3, 3) and points.dtype == np.float64
    seen = camera.p @ np.column_stack([points, np.ones(3)]).T
    assert np.allclose(seen[:2] / seen[2], [u, v]) and np.allclose(seen[2], z)
    assert back_project(camera, u[:0], v[:0], z[:0]).shape == (0, 3)
