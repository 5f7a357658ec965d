from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.geometry import PinholeCamera, Rectifier, StereoRig, stereo_rectified_pair

LENSES = {
    "plumb_bob": ([-0.28, 0.07, 2e-4, -3e-4, 0.0], [-0.26, 0.06, -1e-4, 2e-4, 0.01]),
    "rational_polynomial": (
        [0.4, -0.2, 1e-4, 2e-4, 0.05, 0.7, -0.1, 0.02],
        [0.35, -0.15, -2e-4, 1e-4, 0.04, 0.65, -0.08, 0.01],
    ),
    "equidistant": ([-0.01, 0.03, -0.02, 0.004], [-0.012, 0.028, -0.018, 0.003]),
}
SIZE_WH = (431, 317)


def verged_pair(model):
    """A pair with turned cameras, unequal focal lengths and lenses."""
    k_left = np.array([[260.0, 0, 213], [0, 262, 155], [0, 0, 1]])
    k_right = np.array([[265.0, 0, 217], [0, 263, 160], [0, 0, 1]])
    T_right_left = np.eye(4)
    T_right_left[:3, :3] = cv2.Rodrigues(np.array([0.012, -0.02, 0.015]))[0]
    T_right_left[:3, 3] = [-0.11, 0.004, -0.003]
    d_left, d_right = LENSES[model]
    rig = stereo_rectified_pair(k_left, d_left, k_right, d_right, T_right_left, SIZE_WH, model)
    return rig, T_right_left


def see(camera, points):
    """Where a raw camera sees points (N, 3) of its own frame: (N, 2) px, by OpenCV's forward model."""
    zero = np.zeros(3)
    if camera.distortion_model == "equidistant":
        pixels, _ = cv2.fisheye.projectPoints(points[:, None], zero, zero, camera.k, camera.d)
    else:
        pixels, _ = cv2.projectPoints(points[:, None], zero, zero, camera.k, camera.d)
    return pixels[:, 0]


def spots(pixels):
    """An image of bright spots."""
    u, v = np.meshgrid(np.arange(SIZE_WH[0]), np.arange(SIZE_WH[1]))
    image = np.zeros(SIZE_WH[::-1])
    for pu, pv in pixels:
        image += 250 * np.exp(-((u - pu) ** 2 + (v - pv) ** 2) / (2 * 2.0**2))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def spot_near(image, u, v):
    """Centroid of the spot around (u, v)."""
    u0, v0 = round(u), round(v)
    window = image[v0 - 9 : v0 + 10, u0 - 9 : u0 + 10].astype(float)
    dv, du = np.mgrid[-9:10, -9:10]
    return u0 + (du * window).sum() / window.sum(), v0 + (dv * window).sum() / window.sum()


@pytest.mark.parametrize("model", LENSES)
def test_points_of_a_distorted_pair_land_on_one_row_at_their_depth(model):
    rig, T_right_left = verged_pair(model)
    x, y = np.meshgrid([-0.5, -0.17, 0.17, 0.5], [-0.33, 0.0, 0.33])
    z = np.linspace(1.2, 3.0, x.size)
    points_left = np.stack([x.ravel() * z, y.ravel() * z, z], axis=1)
    points_right = points_left @ T_right_left[:3, :3].T + T_right_left[:3, 3]
    left = Rectifier(rig.left).rectify(spots(see(rig.left, points_left)))
    right = Rectifier(rig.right).rectify(spots(see(rig.right, points_right)))
    assert left.shape == SIZE_WH[::-1]
    seen = 0
    for point in points_left @ rig.left.r.T:
        at_left, at_right = (camera.p @ np.append(point, 1) / point[2] for camera in (rig.left, rig.right))
        at = np.array([at_left[:2], at_right[:2]])
        if (at < 12).any() or (at > np.subtract(SIZE_WH, 13)).any():
            continue
        seen += 1
        (u_left, v_left), (u_right, v_right) = spot_near(left, *at[0]), spot_near(right, *at[1])
        assert abs(v_left - v_right) < 0.1
        assert np.allclose([u_left, v_left], at[0], atol=0.1)
        measured = rig.depth_from_disparity(np.array([u_left - u_right]))[0]
        assert measured == pytest.approx(point[2], rel=0.15 / (rig.fx * rig.baseline_m / point[2]))
    assert seen >= 6


@pytest.mark.parametrize("model", LENSES)
def test_rectified_pair_is_a_rig_of_the_known_baseline(model):
    rig, T_right_left = verged_pair(model)
    assert rig.baseline_m == pytest.approx(np.linalg.norm(T_right_left[:3, 3]), rel=1e-6)
    assert rig.left.distortion_model == model and not rig.left.rectified
    assert rig.as_rectified().left.rectified
    assert Rectifier(rig.left).camera == rig.left.as_rectified()


@pytest.mark.parametrize("model", LENSES)
def test_no_distortion_leaves_pixels_alone(model):
    size_wh = (64, 47)
    k = [[50.0, 0, 31], [0, 50, 23], [0, 0, 1]]
    T = np.eye(4)
    T[0, 3] = -0.1
    rig = stereo_rectified_pair(k, [], k, [], T, size_wh, model)
    image = np.random.default_rng(0).integers(0, 255, (47, 64), np.uint8)
    camera = replace(rig.left, p=np.hstack([rig.left.k, np.zeros((3, 1))]))
    assert np.array_equal(Rectifier(camera).rectify(image), image)


def test_a_rectified_camera_costs_nothing():
    image = np.zeros((48, 64, 3), np.uint8)
    assert Rectifier(PinholeCamera.simple(64, 48, 50.0)).rectify(image) is image


def test_colour_and_mono_agree():
    rig, _ = verged_pair("plumb_bob")
    rectifier = Rectifier(rig.left)
    mono = np.random.default_rng(0).integers(0, 255, SIZE_WH[::-1], np.uint8)
    assert np.array_equal(rectifier.rectify(np.dstack([mono] * 3))[..., 2], rectifier.rectify(mono))


def test_binned_and_cropped_images_are_rectified_like_the_full_one():
    """The centre of a ROI, binned, shows the same world as the full rectified image does there."""
    rig, _ = verged_pair("plumb_bob")
    full = replace(rig.left, r=np.eye(3))
    noise = np.random.default_rng(0).uniform(0, 1, SIZE_WH[::-1])
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 9), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    camera = replace(full, roi=(20, 10, 400, 300), binning_x=2, binning_y=2)
    # image_geometry's rule puts the centre of a binned pixel at its first pixel: decimate
    binned = Rectifier(camera).rectify(np.ascontiguousarray(smooth[10:310:2, 20:420:2]))
    expected = Rectifier(full).rectify(smooth)[10:310:2, 20:420:2]
    inside = (slice(30, -30), slice(30, -30))
    assert np.abs(binned[inside].astype(int) - expected[inside]).max() <= 4


def test_wrong_images_are_refused():
    rectifier = Rectifier(verged_pair("equidistant")[0].left)
    with pytest.raises(CalibrationError, match="431x317"):
        rectifier.rectify(np.zeros(SIZE_WH, np.uint8))
    with pytest.raises(ImageError):
        rectifier.rectify(np.zeros(SIZE_WH[::-1], np.float32))


def test_what_is_no_pair_is_refused():
    k = [[50.0, 0, 31], [0, 50, 23], [0, 0, 1]]
    swapped, above = np.eye(4), np.eye(4)
    swapped[0, 3] = 0.1
    above[1, 3] = 0.1
    for T, says in (
        (swapped, "swapped"),
        (above, "of a vertical pair left is the upper camera"),
        (np.eye(4) * np.nan, "finite"),
        (np.eye(3), "4x4"),
        (np.diag([2.0, 2.0, 2.0, 1.0]), "rotation"),
    ):
        with pytest.raises(CalibrationError, match=says):
            stereo_rectified_pair(k, [], k, [], T, (64, 48))


def test_euroc_like_numbers_give_its_baseline():
    """The public calibration of EuRoC's VI sensor (raw, verged by a hair): 11 cm."""
    T_right_left = np.eye(4)
    T_right_left[:3, 3] = [-0.11007, 0.0004, -0.0008]
    k = [[458.654, 0, 367.215], [0, 457.296, 248.375], [0, 0, 1]]
    d = [-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05]
    rig = stereo_rectified_pair(k, d, k, d, T_right_left, (752, 480))
    assert isinstance(rig, StereoRig)
    assert rig.baseline_m == pytest.approx(0.1101, abs=1e-3)
    assert abs(rig.doffs_px) < 1e-6
