from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from recon3d_ros.errors import CalibrationError
from recon3d_ros.geometry import PinholeCamera, StereoRig
from recon3d_ros.geometry.rig import require_side_by_side

rigs = st.builds(
    StereoRig.simple,
    width=st.integers(16, 2000),
    height=st.integers(16, 2000),
    fx=st.floats(20, 3000),
    baseline_m=st.floats(0.01, 2),
    doffs_px=st.floats(-50, 50),
)
depths = arrays(np.float32, array_shapes(min_dims=1, max_dims=2), elements=st.floats(0.25, 100, width=32))


@given(rigs, depths)
def test_depth_to_disparity_and_back(rig, depth):
    """Also with unequal principal points; the error is what float32 leaves of the disparity."""
    disparity = rig.disparity_from_depth(depth)
    assert disparity.dtype == np.float32 and disparity.shape == depth.shape
    back = rig.depth_from_disparity(disparity)
    step_px = np.spacing(np.abs(disparity) + abs(rig.doffs_px), dtype=np.float32)
    allowed = depth * (1e-6 + 2 * step_px * depth / (rig.fx * rig.baseline_m))
    assert (np.abs(back - depth) <= allowed).all()


@given(rigs, st.floats(-1, 1), st.floats(-1, 1), st.floats(0.5, 50))
def test_disparity_is_what_the_two_projections_say(rig, x, y, z):
    point = np.array([x, y, z, 1.0])
    (u_left, v_left, w), (u_right, v_right, _) = rig.left.p @ point, rig.right.p @ point
    disparity = rig.disparity_from_depth(np.array([z]))[0]
    assert disparity == pytest.approx((u_left - u_right) / w, rel=1e-5, abs=1e-3)
    assert v_left == v_right


def test_infinity_and_the_unknown():
    rig = StereoRig.simple(64, 48, 50.0, 0.1, doffs_px=2.0)
    disparity = np.array([np.nan, 2.0, 1.0, -np.inf, 7.0, np.inf, 2.5], np.float32)
    depth = rig.depth_from_disparity(disparity)
    assert depth.tolist()[1:] == [np.inf, np.inf, np.inf, 1.0, 0.0, 10.0] and np.isnan(depth[0])
    assert np.isnan(disparity[0]), "the input is left alone"
    disparity = rig.disparity_from_depth(np.array([np.nan, 0.0, -1.0, np.inf, 1.0], np.float32))
    assert np.isnan(disparity[:3]).all() and disparity[3:].tolist() == [2.0, 7.0]


def test_minus_zero_is_infinitely_far():
    rig = StereoRig.simple(64, 48, 50.0, 0.1)
    assert rig.depth_from_disparity(np.array([-0.0, 0.0], np.float32)).tolist() == [np.inf, np.inf]


@given(rigs, st.integers(8, 500), st.integers(8, 500))
def test_a_resized_rig_sees_the_same_depth(rig, width, height):
    scaled = rig.scaled((width, height))
    assert scaled.baseline_m == pytest.approx(rig.baseline_m)
    ratio = width / rig.left.width
    disparity = np.array([rig.doffs_px + 3.0, rig.doffs_px + 40.0])
    assert np.allclose(
        scaled.depth_from_disparity(disparity * ratio), rig.depth_from_disparity(disparity), rtol=1e-3
    )


def test_binned_rig_measures_on_the_binned_grid():
    rig = StereoRig.simple(64, 48, 50.0, 0.1, doffs_px=2.0)
    binned = StereoRig(*(replace(camera, binning_x=2, binning_y=2) for camera in (rig.left, rig.right)))
    assert (binned.fx, binned.doffs_px) == (25.0, 1.0)
    assert binned.folded().fx == 25.0
    assert binned.as_rectified().left.image_size_wh == (32, 24)
    assert binned.depth_from_disparity(np.array([3.5]))[0] == rig.depth_from_disparity(np.array([7.0]))[0]


def with_p(camera: PinholeCamera, row: int, column: int, value: float) -> PinholeCamera:
    p = camera.p.copy()
    p[row, column] = value
    return replace(camera, p=p)


def test_what_is_no_rig_is_refused():
    rig = StereoRig.simple(64, 48, 50.0, 0.1)
    left, right = rig.left, rig.right
    for pair, says in (
        ((right, left), "swapped"),
        ((left, with_p(right, 0, 3, 5.0)), "swapped"),
        ((left, left), "not calibrated as stereo"),
        ((left, right.scaled((64, 47))), "one size"),
        ((left, with_p(right, 0, 0, 52.0)), "equal fx"),
        ((left, with_p(right, 1, 1, 52.0)), "equal fy"),
        ((left, with_p(right, 1, 2, 30.0)), "rows"),
    ):
        with pytest.raises(CalibrationError, match=says) as caught:
            StereoRig(*pair)
        assert "\n" not in str(caught.value)


def test_rigs_compare_and_hash_by_value():
    a, b = (StereoRig.simple(64, 48, 50.0, 0.1, doffs_px=1) for _ in range(2))
    assert a == b and hash(a) == hash(b)
    assert a != StereoRig.simple(64, 48, 50.0, 0.11, doffs_px=1)


def in_a_third_frame(rig, offset_m):
    """The rig with both cameras in the frame of another one, as KITTI and DepthAI give it."""
    cameras = []
    for camera in (rig.left, rig.right):
        p = camera.p.copy()
        p[0, 3] += offset_m * p[0, 0]
        cameras.append(replace(camera, p=p))
    return StereoRig(*cameras)


@given(rigs, st.floats(-1, 1))
def test_the_baseline_is_the_distance_of_the_cameras_wherever_their_frame_is(rig, offset_m):
    moved = in_a_third_frame(rig, offset_m)
    assert moved.left.p[0, 3] == pytest.approx(0, abs=1e-9)
    assert moved.baseline_m == pytest.approx(rig.baseline_m, rel=1e-6, abs=1e-12)
    again = StereoRig(moved.left, moved.right)
    assert again == moved and moved.as_rectified().baseline_m == pytest.approx(moved.baseline_m)


def vertical_rig(width=64, height=48, fx=50.0, fy=52.0, baseline_m=0.12, doffs_px=1.5, sign=-1):
    left = PinholeCamera.simple(width, height, fx, 30.0, 25.0, fy)
    right = PinholeCamera.simple(width, height, fx, 30.0, 25.0 - doffs_px, fy)
    p = right.p.copy()
    p[1, 3] = sign * fy * baseline_m
    return StereoRig(left, replace(right, p=p))


def test_a_vertical_pair_is_called_one():
    rig = vertical_rig()
    assert rig.is_vertical and rig.baseline_m == pytest.approx(0.12)
    assert (rig.fx, rig.doffs_px) == (52.0, 1.5)
    with pytest.raises(CalibrationError, match=r"vertical pair: .* 0.12 m below"):
        require_side_by_side(rig)
    with pytest.raises(CalibrationError, match="left is the upper camera"):
        vertical_rig(sign=1)
    again = in_a_third_frame(StereoRig.simple(64, 48, 50.0, 0.1), 0.3)
    assert not again.is_vertical


def test_a_vertical_pair_sees_after_a_quarter_turn_what_it_saw():
    """Points project into the turned images where numpy.rot90 puts their pixels."""
    rig = vertical_rig()
    turned = rig.turned()
    assert not turned.is_vertical and turned.left.image_size_wh == (48, 64)
    assert turned.baseline_m == pytest.approx(rig.baseline_m) and turned.doffs_px == rig.doffs_px
    for point in np.random.default_rng(0).uniform((-0.5, -0.4, 1), (0.5, 0.4, 4), (20, 3)):
        v_of = {}
        for name in ("left", "right"):
            u, v, w = getattr(rig, name).p @ np.append(point, 1)
            column, row, scale = getattr(turned, name).p @ (point[1], -point[0], point[2], 1)
            assert column / scale == pytest.approx(v / w) and row / scale == pytest.approx(63 - u / w)
            v_of[name] = v / w
        disparity = np.array([v_of["left"] - v_of["right"]], np.float32)
        assert rig.depth_from_disparity(disparity) == pytest.approx(point[2], rel=1e-4)


def rig_of(x, y, fx_right=50.0, x_left=0.0):
    """Whose P[0, 3] and P[1, 3] of the right camera are these."""
    left, right = (PinholeCamera.simple(64, 48, fx, 30.0, 25.0) for fx in (50.0, fx_right))
    p_left, p_right = left.p.copy(), right.p.copy()
    p_left[0, 3] = x_left
    p_right[0, 3], p_right[1, 3] = x, y
    return StereoRig(replace(left, p=p_left), replace(right, p=p_right))


@pytest.mark.parametrize("residue", [-1e-6, 0.0, 1e-6])
def test_a_rounding_residue_does_not_choose_the_axis(residue):
    assert rig_of(residue, -5.0).is_vertical and not rig_of(-5.0, residue).is_vertical
    assert rig_of(residue, -5.0).baseline_m == pytest.approx(rig_of(-5.0, residue).baseline_m)


def test_a_vertical_pair_in_the_frame_of_a_third_camera():
    rig = rig_of(-25.005, -5.001, fx_right=50.01, x_left=-25.0)
    assert rig.is_vertical and rig.baseline_m == pytest.approx(0.1, rel=1e-4)
    assert abs(rig.right.p[0, 3]) < 1e-6


@pytest.mark.parametrize("y", [-5.0, 5.0, -1.0])
def test_a_diagonal_pair_is_refused(y):
    with pytest.raises(CalibrationError, match="along the rows or along the columns"):
        rig_of(-5.0, y)


def test_kittis_colour_cameras_are_side_by_side():
    rig = rig_of(-33.41081, 0.2330660)
    assert not rig.is_vertical and rig.baseline_m == pytest.approx(0.6682162)
