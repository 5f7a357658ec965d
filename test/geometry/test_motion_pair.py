"""Two views of exact planes: the rows of the pair match, and exact depth comes back exactly."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recon3d_ros.errors import CalibrationError, ParallaxError
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera
from recon3d_ros.geometry.motion_pair import MotionPair, parallax
from recon3d_ros.geometry.rotations import matrices_of

CAMERA = PinholeCamera.simple(161, 117, 140.0, cx=77.0, cy=60.5, fy=141.0)
NORMAL, DISTANCE = np.array([0.25, -0.3, -0.92]) / np.linalg.norm([0.25, -0.3, -0.92]), 2.0
numbers = st.floats(-1, 1)


def rays(camera):
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    return np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)])


def plane_depth(camera, turn, centre):
    """Depth of the plane n . p = -distance from a place; `turn` takes rays of the world to the camera's."""
    directions = np.tensordot(turn.T, rays(camera), 1)
    with np.errstate(divide="ignore"):
        depth = -(DISTANCE + NORMAL @ centre) / np.tensordot(NORMAL, directions, 1)
    return depth, centre[:, None, None] + depth * directions


def painted(points):
    """A smooth picture on the plane, so that it can be compared between pixels."""
    x, y, z = 5 * points
    return np.rint(128 + 50 * np.sin(x + 0.4 * z) + 50 * np.cos(1.3 * y - 0.2 * x)).astype(np.uint8)


def view(pose):
    depth, points = plane_depth(CAMERA, pose[:3, :3].T, pose[:3, 3])
    if (depth < 0.3).any() or (depth > 20).any():
        assume(False)
    return Frame(5, painted(points), CAMERA, name="view"), depth.astype(np.float32)


def pose_of(axis, angle, place):
    pose = np.eye(4)
    pose[:3, :3] = matrices_of(np.array([[*np.multiply(axis, np.sin(angle / 2)), np.cos(angle / 2)]]))[0]
    pose[:3, 3] = place
    return pose


@st.composite
def motions(draw):
    """Poses of another view: any direction of motion, turned by up to 12 degrees."""
    axis = np.array([draw(numbers), draw(numbers), draw(numbers)])
    place = 0.25 * np.array([draw(numbers), draw(numbers), draw(numbers)])
    assume(np.linalg.norm(axis) > 0.1 and np.hypot(*place[:2]) > 0.03)
    return pose_of(axis / np.linalg.norm(axis), draw(st.floats(-0.2, 0.2)), place)


def pair_of(pose):
    try:
        return MotionPair.between(CAMERA, np.linalg.inv(pose))
    except ParallaxError:
        return None


@given(motions())
def test_rows_match_and_disparity_is_that_of_the_depth(pose):
    pair = pair_of(pose)
    assume(pair is not None)
    (one, _), (other, _) = view(np.eye(4)), view(pose)
    frame = pair.frame(one, other)
    depth, _ = plane_depth(pair.rig.left, pair.turn, np.zeros(3))
    assert frame.image.shape == pair.rig.left.image_shape_hw
    disparity = pair.rig.disparity_from_depth(depth.astype(np.float32))
    height, width = disparity.shape
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    match = cv2.remap(frame.right, u - disparity, v, cv2.INTER_LINEAR)
    inner = cv2.erode(frame.right_valid.astype(np.uint8), np.ones((3, 3)), borderValue=0) > 0
    seen = replace(frame, right_valid=inner).seen(disparity)
    assert np.abs(match.astype(int) - frame.image)[seen].max(initial=0) <= 12
    assert np.abs(match.astype(int) - frame.image)[seen].mean() < 2 or not seen.any()
    if abs(pose[0, 3]) > 1.01 * abs(pose[1, 3]):  # networks know upright images
        assert pair.turn[1, 1] > 0


@given(motions())
def test_exact_depth_comes_back_exactly(pose):
    pair = pair_of(pose)
    assume(pair is not None)
    _, exact = view(np.eye(4))
    depth, _ = plane_depth(pair.rig.left, pair.turn, np.zeros(3))
    depth = np.where(depth > 0, depth, np.nan).astype(np.float32)
    sure = np.full_like(depth, 0.75)
    turned = DepthMap(depth, pair.rig.left, pair.rig.disparity_from_depth(depth), sure, 0.1 * depth)
    found = pair.back(turned)
    assert found.camera is CAMERA
    known = np.isfinite(found.depth)
    off = np.abs(found.depth[known] / exact[known] - 1)
    assert (off > 1e-3).mean() < 0.03  # at the end of what is known the nearest pixel is taken
    assert off.max(initial=0) < 0.02
    np.testing.assert_allclose(found.sigma_m[known], 0.1 * exact[known], rtol=0.1)  # the nearest pixel's
    assert (found.confidence == np.where(known, np.float32(0.75), 0)).all()
    expected = parallax(CAMERA, np.linalg.inv(pose), 2.0, CAMERA.image_size_wh)
    shown = (expected.seen & expected.across).reshape(exact.shape)
    assert known[shown].mean() > 0.8 or shown.mean() < 0.05


def test_at_an_edge_there_is_no_depth_between_two_surfaces():
    pair = MotionPair.between(CAMERA, np.linalg.inv(pose_of([0.6, 0, 0.8], 0.1, [0.2, 0.07, -0.1])))
    depth = np.full(pair.rig.left.image_shape_hw, 4.0, np.float32)
    depth[30:80, 50:100] = 1.5
    depth[40, 60] = np.nan
    found = pair.back(DepthMap(depth, pair.rig.left, pair.rig.disparity_from_depth(depth)))
    turned = found.depth * np.tensordot(pair.turn[2], rays(CAMERA), 1)  # along the axis of the turned view
    known = np.isfinite(turned)
    assert known.mean() > 0.5
    either = np.minimum(np.abs(turned - 4.0), np.abs(turned - 1.5))
    assert either[known].max() < 1e-3
    assert (np.abs(turned - 1.5) < 1e-3).sum() > 500


def test_what_a_view_does_not_show_is_not_valid():
    one, _ = view(np.eye(4))
    masked = Frame(5, one.image, CAMERA, valid=np.arange(161) < 80 + 0 * np.arange(117)[:, None])
    pair = MotionPair.between(CAMERA, np.linalg.inv(pose_of([0, 1, 0], 0.05, [0.2, 0.0, 0.0])))
    frame, whole = pair.frame(masked, one), pair.frame(one, one)
    assert 0.2 < frame.valid.mean() < 0.7 * whole.valid.mean()
    assert (frame.right_valid == whole.right_valid).all()
    assert not (frame.valid & ~whole.valid).any()


@pytest.mark.parametrize(
    "place", [(0.2, 0.0, 0.0), (0.0, -0.2, 0.05), (0.05, 0.02, 0.2), (-0.02, 0.0, -0.06)]
)
def test_beside_what_a_view_shows_are_its_nearest_pixels(place):
    """Grey is that of the column; the rays beside the image show its first or its last column."""
    grey = np.tile(np.linspace(100, 250, CAMERA.width), (CAMERA.height, 1)).astype(np.uint8)
    one = Frame(5, grey, CAMERA)
    pair = MotionPair.between(CAMERA, np.linalg.inv(pose_of([0, 1, 0.2], 0.3, place)))
    frame = pair.frame(one, one)
    for image, valid, turn in (
        (frame.image, frame.valid, pair.turn),
        (frame.right, frame.right_valid, pair.turn_other),
    ):
        x, _, z = np.tensordot(turn.T, rays(pair.rig.left), 1)
        u = np.where(z > 1e-3, CAMERA.fx * x / np.maximum(z, 1e-3) + CAMERA.cx, np.copysign(1e4, x))
        expected = np.interp(u, np.arange(CAMERA.width), grey[0])
        assert not valid.all()
        assert np.abs(image - expected).max() <= 2


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.3), (0.0, 0.0, -0.3), (0.01, 0.005, 0.4)])
def test_forward_motion_is_refused(place):
    there = np.linalg.inv(pose_of([0, 1, 0], 0.0, place))
    if not any(place[:2]):
        with pytest.raises(ParallaxError, match="along"):
            MotionPair.between(CAMERA, there)
    found = parallax(CAMERA, there, 2.0)
    assert found.seen.mean() > 0.5
    assert found.across.mean() < 0.15


def test_other_motions_without_depth_are_refused():
    with pytest.raises(ParallaxError, match="one place"):
        MotionPair.between(CAMERA, pose_of([0, 1, 0], 0.1, [0, 0, 0]))
    with pytest.raises(ParallaxError, match="apart"):
        MotionPair.between(CAMERA, np.linalg.inv(pose_of([1, 0, 0], 1.5, [0.3, 0, 0])))
    for matrix in (np.diag([1, 1, 2, 1]), np.full((4, 4), np.nan), np.eye(3)):
        with pytest.raises(CalibrationError, match="rigid"):
            MotionPair.between(CAMERA, matrix)


def test_parallax_is_the_shift_of_the_picture():
    found = parallax(CAMERA, np.linalg.inv(pose_of([0, 1, 0], 0.0, [0.1, 0, 0])), 2.0)
    assert np.abs(found.px - 7.0).max() < 2.0  # 140 * 0.1 / 2, less aside
    assert found.seen.mean() > 0.9
    assert found.across.all()
    away = parallax(CAMERA, np.linalg.inv(pose_of([0, 1, 0], 3.1, [0.1, 0, 0])), 2.0)
    assert not away.seen.any()
