from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import DataError
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.geometry.unit_frame import ObjectView, UnitFrame, near_middle, towards, visible_frame

CAMERA = PinholeCamera.simple(161, 97, 150.0, 70.0, 45.0, fy=140.0)


def test_a_frame_goes_there_and_back():
    rng = np.random.default_rng(0)
    frame = UnitFrame(towards(np.array([0.3, -0.2, 1.0])), np.array([1.0, 2.0, 5.0]), 0.7)
    points = rng.normal(size=(50, 3)).astype(np.float32)
    np.testing.assert_allclose(frame.to_metres(frame.to_unit(points)), points, atol=1e-5)
    assert np.linalg.norm(frame.to_unit(frame.origin[None])) < 1e-6


def test_axes_look_along_the_direction_and_keep_x_level():
    for way in ([0.0, 0.0, 2.0], [0.4, 0.3, 1.0], [-2.0, 0.5, 1.0]):
        axes = towards(np.array(way))
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(axes[2], np.array(way) / np.linalg.norm(way))
        assert np.linalg.det(axes) == pytest.approx(1.0) and abs(axes[0, 1]) < 1e-12 and axes[1, 1] > 0


def test_the_square_of_a_view_reaches_from_minus_one_to_one():
    box = (40.0, 20.0, 51.0, 31.0)  # its middle is the pixel 65, 35
    view = ObjectView.of_box(CAMERA, box, margin=1.0)
    frame = view.frame(4.0)
    ray = np.array([(65 - 70) / 150, (35 - 45) / 140, 1.0])
    np.testing.assert_allclose(frame.to_unit(4.0 * (ray / np.linalg.norm(ray))[None])[0], 0.0, atol=1e-6)
    side = np.array([(40 - 0.5 - 70) / 150, (35 - 45) / 140, 1.0])
    seen = frame.to_unit((4.0 / (side @ view.rotation[2]) * side)[None])[0]
    assert seen[0] == pytest.approx(-1.0, abs=0.02) and abs(seen[2]) < 1e-5


def test_a_crop_shows_a_pixel_where_the_unit_frame_has_its_ray():
    image = np.zeros((97, 161, 3), np.uint8)
    image[30:33, 80:83] = 255
    view = ObjectView.of_box(CAMERA, (50.0, 10.0, 60.0, 50.0))
    crop = view.crop(image, CAMERA, 64)
    v, u = (float(np.mean(axis)) for axis in np.nonzero(crop[..., 0] > 127))
    ray = view.rotation @ np.array([(81 - 70) / 150, (31 - 45) / 140, 1.0])
    expected = (ray[:2] / ray[2] / view.half_tan + 1) / 2 * 64 - 0.5
    assert (u, v) == pytest.approx(tuple(expected), abs=0.6)


def test_a_large_box_is_shrunk_without_aliases_and_what_is_outside_is_grey():
    image = np.indices((970, 1610)).sum(axis=0).astype(np.uint8) % 2 * 255
    camera = PinholeCamera.simple(1610, 970, 1500.0)
    view = ObjectView.of_box(camera, (-200.0, 0.0, 1200.0, 900.0))
    crop = view.crop(image.astype(np.uint8), camera, 48, outside=9)
    assert crop.shape == (48, 48) and crop[24, 40] in range(110, 145) and (crop[:, 0] == 9).all()


def test_the_frame_of_a_visible_part_ignores_the_background_at_its_outline():
    rng = np.random.default_rng(1)
    ball = rng.normal(size=(800, 3))
    ball = 0.5 * ball / np.linalg.norm(ball, axis=1, keepdims=True) + [0.2, 0.1, 3.0]
    behind = np.column_stack([rng.uniform(-0.3, 0.6, (20, 2)) * 3, np.full(20, 9.0)])
    points = np.concatenate([ball, behind])
    kept = near_middle(points)
    assert kept[:800].all() and not kept[800:].any()
    frame = visible_frame(points[kept])
    np.testing.assert_allclose(frame.origin, [0.2, 0.1, 3.0], atol=0.05)
    assert frame.scale == pytest.approx(0.5, rel=0.08)


def test_a_part_without_extent_and_a_box_without_area_are_refused():
    with pytest.raises(DataError, match="at least 3 points"):
        visible_frame(np.ones((2, 3)))
    with pytest.raises(DataError, match="in several places"):
        visible_frame(np.ones((9, 3)))
    with pytest.raises(DataError, match="draw it around the object"):
        ObjectView.of_box(CAMERA, (3.0, 3.0, 0.0, 5.0))
