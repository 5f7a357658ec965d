"""Image and depth on one grid: a plane seen at two resolutions stays that plane, with the K of the result."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d_ros.datasets.rgbd.aligner import RgbdAligner, on_one_grid
from recon3d_ros.errors import CalibrationError, DataError, ImageError
from recon3d_ros.geometry import PinholeCamera, Rectifier

CAMERA = PinholeCamera.simple(96, 72, 80.0, cx=46.0, cy=37.5, fy=81.0)
NORMAL, OFFSET_M = np.array([0.2, -0.3, 1.0]), 3.0


def rays(camera):
    """(H, W, 3) of z = 1 by the K of the pixels."""
    height, width = camera.image_shape_hw
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1)


def plane_depth(camera):
    """Depth of a slanted plane, exact at the centre of every pixel."""
    return (OFFSET_M / (rays(camera) @ NORMAL)).astype(np.float32)


def stripes(camera):
    """An image whose brightness is a smooth function of the ray."""
    x, y, _ = np.moveaxis(rays(camera), -1, 0)
    return np.rint(127 + 60 * np.sin(6 * x) + 50 * np.cos(5 * y)).astype(np.uint8)


def slope(depth):
    """Largest change to a neighbour, m."""
    return max(np.abs(np.diff(depth, axis=axis)).max() for axis in (0, 1))


@settings(max_examples=40)
@given(st.integers(24, 200), st.floats(0.996, 1.004))
def test_depth_of_another_resolution_gets_the_k_of_the_coarser_grid(width, squeeze):
    size_wh = (width, max(1, round(width * 72 / 96 * squeeze)))
    if abs(width / 96 / (size_wh[1] / 72) - 1) > 0.01:
        return
    depth = plane_depth(CAMERA.scaled(size_wh))
    sample = RgbdAligner(CAMERA).sample("a", 0, stripes(CAMERA), depth, "a")
    camera = sample.frame.camera
    coarser = size_wh if width <= 96 else (96, 72)
    assert camera == CAMERA.scaled(coarser)
    # Nearest sampling is off by half a pixel of the finer grid at most, across and down.
    tolerance = 1e-5 if width <= 96 else 1.1 * slope(depth)
    np.testing.assert_allclose(sample.depth, plane_depth(camera), atol=tolerance)
    wanted = stripes(camera).astype(int)
    assert np.abs(sample.frame.image.astype(int) - wanted).mean() < 3


def test_the_same_size_changes_nothing():
    image, depth = stripes(CAMERA), plane_depth(CAMERA)
    sample = RgbdAligner(CAMERA).sample("a", 5, image, depth, "a")
    assert sample.frame.image is image and sample.depth is depth and sample.frame.stamp_ns == 5


@settings(max_examples=30)
@given(
    st.floats(0.9, 1.1), st.floats(0.9, 1.1), st.floats(-3, 3), st.floats(-3, 3), st.sampled_from([1, 2, 3])
)
def test_two_calibrations_of_one_place_meet_on_the_depths_grid(fx, fy, cx, cy, finer):
    depth_camera = PinholeCamera.simple(96, 72, 80 * fx, 46 + cx, 37.5 + cy, 81 * fy)
    camera = CAMERA.scaled((96 * finer, 72 * finer))
    depth = plane_depth(depth_camera)
    image, seen, result = on_one_grid(stripes(camera), camera, depth, depth_camera)
    assert result == depth_camera
    known = np.isfinite(seen)
    assert known.mean() > 0.7  # a shorter lens of the depth camera sees beyond the image
    np.testing.assert_array_equal(seen[known], depth[known])  # truth is not touched
    # What the colour image does not show has no truth, and only that: its edge is half a pixel outside.
    u = rays(depth_camera)[..., 0] * camera.fx + camera.cx
    v = rays(depth_camera)[..., 1] * camera.fy + camera.cy
    inside = (u > -0.4) & (v > -0.4) & (u < 96 * finer - 0.6) & (v < 72 * finer - 0.6)
    assert known[inside].all()
    error = np.abs(image.astype(int) - stripes(depth_camera))[known]
    assert error.mean() < 2 and error.max() < 25


def test_finer_depth_with_its_own_k_comes_to_the_images_grid():
    depth_camera = PinholeCamera.simple(300, 230, 250.0, 152.0, 118.0)
    depth = plane_depth(depth_camera)
    image, moved, camera = on_one_grid(stripes(CAMERA), CAMERA, depth, depth_camera)
    assert camera == CAMERA and np.isfinite(moved).mean() > 0.95
    known = np.isfinite(moved)
    np.testing.assert_allclose(moved[known], plane_depth(CAMERA)[known], atol=1.1 * slope(depth))
    assert image.shape == (72, 96)


RAW = PinholeCamera(
    96,
    72,
    np.array([[80.0, 0, 46], [0, 81, 37.5], [0, 0, 1]]),
    np.array([-0.25, 0.08, 1e-3, -1e-3, 0.0]),
)


def raw_plane_depth(camera):
    """Depth of the plane at each pixel of a distorted camera."""
    height, width = camera.image_shape_hw
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    points = np.stack([u, v], axis=-1).reshape(-1, 1, 2)
    xy = cv2.undistortPointsIter(
        points, camera.k, camera.d, np.eye(3), np.eye(3), (cv2.TERM_CRITERIA_COUNT, 50, 0)
    ).reshape(height, width, 2)
    ones = np.ones((height, width, 1))
    return (OFFSET_M / (np.concatenate([xy, ones], axis=-1) @ NORMAL)).astype(np.float32)


@pytest.mark.parametrize("size_wh", [(96, 72), (48, 36), (192, 144)])
def test_a_raw_image_and_its_depth_are_both_rectified(size_wh):
    depth = raw_plane_depth(RAW.scaled(size_wh))
    sample = RgbdAligner(RAW).sample("a", 0, stripes(CAMERA), depth, "a")
    camera = sample.frame.camera
    assert camera.rectified and camera.image_size_wh == min(size_wh, (96, 72))
    known = np.isfinite(sample.depth)
    assert 0.8 < known.mean() <= 1
    error = np.abs(sample.depth - plane_depth(camera))[known]
    assert error.max() < 1.2 * slope(raw_plane_depth(RAW.scaled(camera.image_size_wh)))
    assert np.median(error) < 0.3 * slope(plane_depth(camera))
    unrectified = np.abs(depth - plane_depth(RAW.scaled(size_wh).as_rectified()))
    assert np.median(error) < 0.6 * np.median(unrectified)


def test_a_camera_that_is_turned_gets_depth_along_its_own_axis():
    turn = cv2.Rodrigues(np.array([0.05, -0.08, 0.03]))[0]  # from the raw into the rectified frame
    raw = PinholeCamera(96, 72, RAW.k, RAW.d, r=turn)
    rectifier = Rectifier(raw)
    turned = rectifier.rectify_depth(raw_plane_depth(raw))
    # In the turned frame the plane has the normal R n and the same distance.
    wanted = OFFSET_M / (rays(rectifier.camera) @ (turn @ NORMAL))
    known = np.isfinite(turned)
    assert known.mean() > 0.7
    error = np.abs(turned - wanted)[known]
    assert error.max() < 1.5 * slope(raw_plane_depth(raw)) and np.median(error) < 0.01


def test_rectifying_depth_takes_values_and_makes_none():
    depth = np.where(np.indices((72, 96)).sum(axis=0) % 2, np.float32(1), np.float32(9))
    rectified = Rectifier(RAW).rectify_depth(depth)
    assert set(np.unique(rectified[np.isfinite(rectified)])) == {1.0, 9.0}
    same = Rectifier(CAMERA).rectify_depth(depth)
    assert same is depth
    with pytest.raises(ImageError, match="depth of shape"):
        Rectifier(RAW).rectify_depth(depth[:-1])


def test_what_does_not_belong_together_is_one_sentence():
    image, depth = stripes(CAMERA), plane_depth(CAMERA)
    aligner = RgbdAligner(CAMERA)
    with pytest.raises(ImageError, match=r"expected depth of 96x72.*got 96x60 in x\.png"):
        aligner.sample("a", 0, image, depth[:60], "x.png")
    with pytest.raises(DataError, match=r"every pixel of it is unknown.*leave this frame out"):
        aligner.sample("a", 0, image, np.full_like(depth, np.nan), "x.png")
    with pytest.raises(CalibrationError, match="a: the calibration says 96x72, the image is 96x71"):
        aligner.sample("a", 0, image[:71], depth, "x.png")
    own = RgbdAligner(CAMERA, CAMERA.scaled((48, 36)))
    with pytest.raises(ImageError, match="expected depth of 48x36"):
        own.sample("a", 0, image, depth, "x.png")
