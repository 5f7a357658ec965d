from __future__ import annotations

import math
from array import array
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.errors import CalibrationError, ImageError
from recon3d_ros.geometry import PinholeCamera

sizes = st.tuples(st.integers(1, 1000), st.integers(1, 1000))


@st.composite
def cameras(draw):
    width, height = draw(st.integers(8, 1000)), draw(st.integers(8, 1000))
    fx, fy = draw(st.floats(5, 3000)), draw(st.floats(5, 3000))
    cx, cy = draw(st.floats(0, width)), draw(st.floats(0, height))
    camera = PinholeCamera.simple(width, height, fx, cx, cy, fy)
    p = camera.p.copy()
    p[0, 3] = draw(st.floats(-500, 0))
    d = draw(st.lists(st.floats(-0.5, 0.5), min_size=5, max_size=5))
    r = cv2.Rodrigues(np.array(draw(st.tuples(*[st.floats(-0.1, 0.1)] * 3))))[0]
    return replace(camera, k=camera.k * [[1.1], [1.1], [1]], p=p, d=np.array(d), r=r)


def project(p, point):
    """Column and row of a point (3,) m in the rectified image."""
    u, v, w = p @ np.append(point, 1)
    return np.array([u / w, v / w])


def blob(size_wh, centre_uv, sigma=3.0):
    """A float image of one Gaussian spot, exact to the sub-pixel."""
    u, v = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    return np.exp(-((u - centre_uv[0]) ** 2 + (v - centre_uv[1]) ** 2) / (2 * sigma**2))


def centroid(image):
    v, u = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(u * image).sum(), (v * image).sum()]) / image.sum()


@pytest.mark.parametrize("size_wh", [(80, 60), (113, 77), (320, 60), (81, 240), (401, 301)])
def test_scaled_camera_fits_the_resized_image(size_wh):
    """A point drawn by P and resized with its image lands where the scaled P puts it, whatever the aspect."""
    camera = PinholeCamera.simple(160, 120, 150.0, 83.3, 55.1, 140.0)
    point = np.array([0.11, -0.07, 2.0])
    image = blob(camera.image_size_wh, project(camera.p, point))
    resized = cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR)
    scaled = camera.scaled(size_wh)
    assert scaled.image_size_wh == size_wh
    assert np.allclose(centroid(resized), project(scaled.p, point), atol=0.02)
    assert np.array_equal(scaled.k, scaled.p[:, :3])


def test_cropped_camera_fits_the_cropped_image():
    camera = PinholeCamera.simple(161, 121, 150.0, 83.3, 55.1)
    point = np.array([0.05, 0.02, 1.5])
    image = blob(camera.image_size_wh, project(camera.p, point))[13:110, 7:150]
    cropped = camera.cropped(7, 13, 143, 97)
    assert cropped.image_shape_hw == image.shape
    assert np.allclose(centroid(image), project(cropped.p, point), atol=1e-6)


@given(cameras(), sizes)
def test_scaling_back_gives_the_same_camera(camera, size_wh):
    back = camera.scaled(size_wh).scaled(camera.image_size_wh)
    assert np.allclose(back.k, camera.k) and np.allclose(back.p, camera.p)
    assert camera.scaled(camera.image_size_wh) == camera


@given(cameras(), sizes)
def test_a_resize_keeps_baseline_and_field_of_view(camera, size_wh):
    scaled = camera.scaled(size_wh)
    assert math.isclose(scaled.p[0, 3] / scaled.fx, camera.p[0, 3] / camera.fx, abs_tol=1e-12)
    assert math.isclose(scaled.width / scaled.fx, camera.width / camera.fx)
    # the outer edge of the first pixel is the same ray
    assert math.isclose((-0.5 - scaled.cx) / scaled.fx, (-0.5 - camera.cx) / camera.fx, abs_tol=1e-9)


def test_folding_is_the_rule_of_image_geometry():
    camera = replace(
        PinholeCamera.simple(640, 480, 500.0, 300.0, 200.0), roi=(100, 60, 401, 301), binning_x=2, binning_y=3
    )
    assert camera.image_size_wh == (200, 100)
    assert not camera.rectified
    folded = camera.folded()
    assert folded.image_size_wh == (200, 100) == (folded.width, folded.height)
    assert (folded.fx, folded.fy) == (250, pytest.approx(500 / 3))
    assert (folded.cx, folded.cy) == (100, pytest.approx(140 / 3))
    assert np.allclose(folded.k, folded.p[:, :3])
    assert folded.folded() is folded
    assert camera.as_rectified() == folded


@given(cameras(), st.integers(1, 4), st.integers(1, 4))
def test_folding_commutes_with_taking_the_region_first(camera, binning_x, binning_y):
    roi = (1, 2, camera.width - 3, camera.height - 4)
    binned = replace(camera, roi=roi, binning_x=binning_x, binning_y=binning_y)
    by_hand = replace(camera.cropped(*roi), binning_x=binning_x, binning_y=binning_y)
    assert np.allclose(binned.folded().p, by_hand.folded().p)
    assert binned.image_size_wh == by_hand.image_size_wh
    # a ray of the full image meets the binned pixel that holds it
    point = np.array([0.3, -0.2, 4.0])
    full, small = project(camera.p, point), project(binned.folded().p, point)
    assert np.allclose(small, (full - roi[:2]) / (binning_x, binning_y))


@pytest.mark.parametrize("roi", [None, (0, 0, 0, 0), (0, 0, 64, 48)])
def test_zeros_and_the_full_image_are_no_region(roi):
    camera = replace(PinholeCamera.simple(64, 48, 50.0), roi=roi, binning_x=0, binning_y=0)
    assert camera.rectified and camera.folded() is camera and camera.image_size_wh == (64, 48)


@given(cameras())
def test_yaml_round_trip_is_exact(camera):
    camera = replace(camera, roi=(1, 1, 6, 5), binning_x=2)
    assert PinholeCamera.from_dict(yaml.safe_load(yaml.safe_dump(camera.to_dict()))) == camera


@given(cameras())
def test_rectified_camera_keeps_only_p(camera):
    rectified = camera.as_rectified()
    assert rectified.rectified and rectified.as_rectified() is rectified
    assert np.array_equal(rectified.p, camera.p)
    assert (rectified.fx, rectified.cx) == (camera.fx, camera.cx)


def test_cameras_compare_and_hash_by_value():
    a, b = (PinholeCamera.simple(64, 48, 50.0, d) for d in (31.0, 31.0))
    assert a == b and hash(a) == hash(b) and a is not b
    assert a != PinholeCamera.simple(64, 48, 50.0, 31.1)
    assert a != replace(a, d=np.array([0.1, 0, 0, 0]))
    assert a != "camera"


def test_arrays_are_copied_and_read_only():
    k = np.array([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]])
    camera = PinholeCamera(64, 48, k)
    k[0, 0] = 1
    assert camera.fx == 50
    with pytest.raises(ValueError, match="read-only"):
        camera.k[0, 0] = 1


def test_flat_ros_arrays_are_taken_once_reshaped():
    camera = PinholeCamera(
        64, 48, np.reshape(array("d", [50, 0, 32, 0, 50, 24, 0, 0, 1]), (3, 3)), array("d")
    )
    assert camera.rectified


K = np.array([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"k": np.zeros((3, 3))}, "focal"),
        ({"k": K * np.nan}, "finite numbers in K"),
        ({"k": K[:2]}, "shape"),
        ({"k": [["a"] * 3] * 3}, "numbers in K"),
        ({"k": K + np.array([[0], [0], [1]])}, "last row"),
        ({"p": np.zeros((3, 4))}, "focal lengths in P"),
        ({"p": np.full((3, 4), np.inf)}, "finite numbers in P"),
        ({"r": np.zeros((3, 3))}, "rotation"),
        ({"r": -np.eye(3)}, "rotation"),
        ({"d": np.array([np.nan] * 5)}, "finite numbers in D"),
        ({"d": np.zeros(3)}, "numbers in D"),
        ({"d": np.array([0.1] * 5), "distortion_model": "equidistant"}, "0 or 4 numbers"),
        ({"d": np.array([0.1] * 5), "distortion_model": "brown"}, "'brown'"),
        ({"d": np.array([0.1] * 5), "distortion_model": ""}, "distortion model"),
        ({"width": 0}, "0x48"),
        ({"binning_x": 100}, "0x48"),
        ({"roi": (0, 0, 65, 48)}, "ROI"),
        ({"roi": (-1, 0, 10, 10)}, "ROI"),
        ({"roi": (5, 5, 0, 10)}, "ROI"),
    ],
)
def test_unusable_calibration_is_refused_in_one_sentence(wrong, says):
    with pytest.raises(CalibrationError, match=says) as caught:
        PinholeCamera(**({"width": 64, "height": 48, "k": K} | wrong))
    assert "\n" not in str(caught.value)


def test_no_distortion_needs_no_model_name():
    assert PinholeCamera(64, 48, K, np.zeros(5), "").distortion_model == "plumb_bob"


@pytest.mark.parametrize(
    "rectangle", [(-1, 0, 4, 4), (0, 0, 65, 4), (60, 0, 5, 4), (0, 46, 4, 3), (0, 0, 0, 4)]
)
def test_a_crop_stays_inside(rectangle):
    with pytest.raises(CalibrationError):
        PinholeCamera(64, 48, K).cropped(*rectangle)


def test_only_images_of_its_size_pass():
    camera = PinholeCamera(64, 48, K)
    camera.check_image(np.zeros((48, 64), np.uint8))
    camera.check_image(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(CalibrationError, match="says 64x48, the image is 48x64"):
        camera.check_image(np.zeros((64, 48), np.uint8))
    for image in (
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 64), np.float32),
        np.zeros((0, 64), np.uint8),
    ):
        with pytest.raises(ImageError):
            camera.check_image(image)


@pytest.mark.parametrize("model", ["", "none", "None", "pinhole", "rectilinear"])
@pytest.mark.parametrize("length", [0, 4, 5])
def test_a_lens_without_distortion_may_have_any_name_for_it(model, length):
    camera = PinholeCamera(64, 48, K, np.zeros(length), model)
    assert (camera.distortion_model, camera.d.size) == ("plumb_bob", 0)


@pytest.mark.parametrize(
    ("said", "model"),
    [
        ("fisheye", "equidistant"),
        ("Kannala_Brandt", "equidistant"),
        ("radtan", "plumb_bob"),
        ("radial-tangential", "plumb_bob"),
        ("brown_conrady", "plumb_bob"),
    ],
)
def test_a_distortion_model_has_the_names_of_other_tools(said, model):
    camera = PinholeCamera(64, 48, K, [0.1, 0.01, 0.0, 0.0], said)
    assert camera.distortion_model == model and camera.d.tolist() == [0.1, 0.01, 0.0, 0.0]


def test_zeros_behind_the_coefficients_of_a_model_are_none():
    camera = PinholeCamera(64, 48, K, np.array([0.1, 0.02, 0.0, 0.003, 0.0]), "equidistant")
    assert camera.d.tolist() == [0.1, 0.02, 0.0, 0.003]
    with pytest.raises(CalibrationError, match="0 or 4 numbers"):
        PinholeCamera(64, 48, K, np.array([0.1, 0.02, 0.0, 0.003, 0.1]), "equidistant")


def test_a_size_that_binning_or_a_region_explains_is_explained():
    image = np.zeros((48, 64), np.uint8)
    with pytest.raises(CalibrationError, match=r"says 32x24 \(binning of 2x2 in 64x48\), the image is 64x48"):
        PinholeCamera(64, 48, K, binning_x=2, binning_y=2).check_image(image)
    with pytest.raises(CalibrationError, match=r"says 63x47 \(a ROI of 63x47 at 1, 0 in 64x48\)"):
        PinholeCamera(64, 48, K, roi=(1, 0, 63, 47)).check_image(image)


@pytest.mark.parametrize("huge", [3.0, 1e200, -1e308])
def test_an_r_of_huge_numbers_is_refused_without_an_overflow(huge):
    camera = PinholeCamera.simple(64, 48, 50.0)
    with pytest.raises(CalibrationError, match="rotation in R"):
        replace(camera, r=np.diag([1.0, huge, 1.0]))
