from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.errors import ConfigError, ImageError
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.scale import Anchors, from_depth_image, from_points, from_range

CAMERA = PinholeCamera.simple(61, 47, fx=50.0, cx=28.0, cy=25.0, fy=55.0)
PIXELS = st.tuples(st.floats(0, 60), st.floats(0, 46), st.floats(0.1, 30))


def point(u: float, v: float, z: float, camera: PinholeCamera = CAMERA) -> list[float]:
    return [(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z]


@given(st.lists(PIXELS, min_size=1, max_size=9))
def test_points_come_back_to_their_pixels(pixels):
    anchors = from_points("scan", np.array([point(*one) for one in pixels]), CAMERA)
    expected = np.array(pixels)
    np.testing.assert_allclose(np.stack([anchors.u, anchors.v], axis=1), expected[:, :2], atol=1e-3)
    np.testing.assert_allclose(anchors.depth, expected[:, 2], rtol=1e-6)
    assert anchors.dropped == 0 and len(anchors) == len(pixels)


def test_what_is_behind_outside_or_not_finite_is_counted():
    points = np.array(
        [
            point(10, 20, 2.0),
            point(10, 20, -2.0),
            point(80, 20, 2.0),
            point(10, -3, 2.0),
            [0, 0, 0],
            [math.nan, 0, 2],
            [0, 0, math.inf],
        ]
    )
    anchors = from_points("points", points, CAMERA, sigma_m=np.arange(7.0))
    assert len(anchors) == 1 and anchors.dropped == 6 and anchors.sigma_m[0] == 0.0
    nothing = from_points("points", points[1:], CAMERA)
    assert len(nothing) == 0 and nothing.dropped == 6


def test_anchors_are_checked_and_cannot_be_changed():
    u = np.zeros(2, np.float32)
    good = Anchors("scan", u, u, u + 1, u)
    with pytest.raises(ValueError, match="read-only"):
        good.depth[0] = 3
    with pytest.raises(ImageError, match="positive depth"):
        Anchors("scan", u, u, u, u)
    with pytest.raises(ImageError, match=r"depth of the anchors of scan of shape \(2,\), got \(3,\)"):
        Anchors("scan", u, u, np.ones(3, np.float32), u)
    with pytest.raises(ImageError, match=r"points of shape \(N, 3\)"):
        from_points("scan", np.zeros((3, 2)), CAMERA)


def test_a_depth_image_of_another_camera_lands_where_its_points_are():
    """A wall at 3 m, seen by a camera 0.2 m to the right and 0.5 m behind: 3.5 m away from there."""
    other = PinholeCamera.simple(80, 50, fx=40.0)
    motion = np.eye(4)
    motion[:3, 3] = 0.2, 0.0, -0.5
    depth = np.full((50, 80), 3.5, np.float32)
    depth[:10], depth[10:20], depth[20:22] = np.nan, 0.0, np.inf
    anchors = from_depth_image("depth_image", depth, CAMERA, other, motion, relative_sigma=0.01)
    np.testing.assert_allclose(anchors.depth, 3.0, rtol=1e-6)
    np.testing.assert_allclose(anchors.sigma_m, 0.035, rtol=1e-5)
    rows = (anchors.v - CAMERA.cy) / CAMERA.fy * 3.0 / 3.5 * other.fy + other.cy
    assert rows.min() > 19.5 and anchors.dropped > 0 and len(anchors) > 100
    registered = from_depth_image("depth_image", np.full((47, 61), 2.0, np.float32), CAMERA)
    assert len(registered) == 40 * 30 and registered.dropped == 0
    np.testing.assert_allclose(registered.u, np.rint(registered.u), atol=1e-6)
    with pytest.raises(ImageError, match=r"of shape \(50, 80\) from depth_image, got \(47, 61\)"):
        from_depth_image("depth_image", np.ones((47, 61), np.float32), CAMERA, other)


@pytest.mark.parametrize("reading", [math.nan, math.inf, -math.inf, 0.1, 9.0])
def test_a_range_without_a_surface_is_no_anchor(reading):
    anchors = from_range(reading, CAMERA, (0, 0, 0), (0, 0, 1), 0.3, (0.2, 8.0))
    assert len(anchors) == 0 and anchors.dropped == 1


def test_a_range_answers_along_its_axis_and_within_its_cone():
    anchors = from_range(2.0, CAMERA, (0.1, 0.0, 0.5), (0, 0, 7.0), 0.2, (0.2, 8.0))
    assert anchors.depth[0] == pytest.approx(2.5)
    assert anchors.u[0] == pytest.approx(28 + 50 * 0.1 / 2.5) and anchors.v[0] == pytest.approx(25)
    assert anchors.radius_px == pytest.approx(50 * math.tan(0.1) * 2.0 / 2.5)
    slanted = from_range(2.0, CAMERA, (0, 0, 0), (0.3, 0, 1), 0.0, (0.2, 8.0))
    assert slanted.depth[0] == pytest.approx(2 / math.hypot(0.3, 1)) and slanted.radius_px == 0
    with pytest.raises(ConfigError, match="axis with a direction"):
        from_range(2.0, CAMERA, (0, 0, 0), (0, 0, 0), 0.2, (0.2, 8.0))
