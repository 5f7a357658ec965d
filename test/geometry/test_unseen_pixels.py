"""What no camera saw: the validity of rectified images, held against rays projected into the raw ones."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d_ros.errors import DataError, ImageError
from recon3d_ros.geometry import (
    DepthMap,
    Frame,
    FrameRectifier,
    PinholeCamera,
    Rectifier,
    StereoRig,
    stereo_rectified_pair,
)
from recon3d_ros.geometry.unseen_pixels import nearest_seen
from test.raw_cameras import SIZE_WH, barrel_rig, raw_cameras


def projected(camera: PinholeCamera, rays: np.ndarray) -> np.ndarray:
    """Where rays (N, 3) of the raw camera's frame appear in its image, (N, 2) px, by OpenCV's own model."""
    zero = np.zeros(3)
    if camera.distortion_model == "equidistant":
        return cv2.fisheye.projectPoints(rays[:, None], zero, zero, camera.k, camera.d)[0][:, 0]
    return cv2.projectPoints(rays[:, None], zero, zero, camera.k, camera.d)[0][:, 0]


def raw_rays(camera: PinholeCamera) -> np.ndarray:
    """(H * W, 3), the rays of all rectified pixels in the frame of the raw camera."""
    v, u = np.mgrid[: camera.height, : camera.width]
    pixels = np.stack([u.ravel(), v.ravel(), np.ones(u.size)]).astype(float)
    return (camera.r.T @ np.linalg.inv(camera.p[:, :3]) @ pixels).T


@settings(max_examples=60)
@given(raw_cameras())
def test_a_pixel_is_valid_exactly_where_its_ray_hits_the_raw_image(camera):
    valid = Rectifier(camera).valid
    some = np.random.default_rng(0).permutation(camera.width * camera.height)[:200]
    rays = raw_rays(camera)[some]
    seen = np.ones(some.size, bool) if valid is None else valid.ravel()[some]
    u, v = projected(camera, rays).T
    width, height = SIZE_WH
    # How far inside the raw image, px: those within a pixel of its edge may go either way.
    inside = np.min([u + 0.5, width - 0.5 - u, v + 0.5, height - 0.5 - v], axis=0)
    assert not seen[inside < -1].any()
    # A lens model that has turned back shows the inside once more: from the axis outwards to the ray, its
    # image must have moved outwards all the way. Tangential terms blur the place where it turns.
    ways = rays * [1, 1, 0] * np.linspace(0, 1, 40)[:, None, None] + rays * [0, 0, 1]
    axis = projected(camera, np.array([[0.0, 0.0, 1.0]]))
    radii = np.linalg.norm(projected(camera, ways.reshape(-1, 3)).reshape(40, -1, 2) - axis, axis=2)
    assert not seen[radii[-1] < radii.max(axis=0) - 3].any()
    with np.errstate(invalid="ignore"):  # a rational lens may send a ray to infinity
        grows = (np.diff(radii, axis=0) > 0.4 * radii[-1] / 40).all(axis=0)
    assert seen[(inside > 1) & grows].all()


def test_a_bouguet_pair_at_alpha_0_saw_everything():
    k = np.array([[110.0, 0, 65], [0, 111, 48], [0, 0, 1]])
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array([0.01, -0.02, 0.01]))[0]
    T[0, 3] = -0.1
    rig = stereo_rectified_pair(k, [-0.2, 0.05, 0, 0], k, [-0.22, 0.06, 0, 0], T, SIZE_WH)
    assert Rectifier(rig.left).valid is None and Rectifier(rig.right).valid is None


def test_what_is_rectified_already_was_seen_everywhere():
    assert Rectifier(PinholeCamera.simple(*SIZE_WH, fx=100.0)).valid is None


def test_rays_behind_the_camera_are_not_seen():
    turned = cv2.Rodrigues(np.array([0.0, np.pi, 0.0]))[0]
    camera = PinholeCamera(*SIZE_WH, np.array([[100.0, 0, 65], [0, 100, 48], [0, 0, 1]]), r=turned)
    valid = Rectifier(camera).valid
    assert valid is not None and not valid.any()


def test_a_rectified_pair_carries_what_both_cameras_saw():
    image = np.full((SIZE_WH[1], SIZE_WH[0], 3), 200, np.uint8)
    frame = FrameRectifier(barrel_rig()).frame(image, image, 5, "a")
    assert (frame.stamp_ns, frame.name) == (5, "a")
    assert frame.valid is not None and frame.right_valid is not None
    assert 0.1 < frame.valid.mean() < 0.9 and frame.doubts == ()
    assert (frame.image == 200).all()  # no edge for a network to see


@settings(max_examples=30)
@given(raw_cameras(), st.booleans(), st.integers(0, 2**32 - 1))
def test_images_that_others_rectified_are_as_if_we_had(camera, colour, seed):
    """Nothing black is left of what image_proc does not show, and what was seen stays as it is."""
    size_hw = (SIZE_WH[1], SIZE_WH[0])
    raw = np.random.default_rng(seed).integers(90, 256, (*size_hw, 3) if colour else size_hw, np.uint8)
    ours, others = Rectifier(camera), Rectifier(camera, images_rectified=True)
    maps = ours._maps
    given = raw if maps is None else cv2.remap(raw, *maps, cv2.INTER_LINEAR)
    kept = given.copy()
    image = others.rectify(given)
    np.testing.assert_array_equal(given, kept)
    valid = others.valid
    if valid is None:
        assert ours.valid is None and image is given
        return
    np.testing.assert_array_equal(valid, ours.valid)
    whole = cv2.erode(valid.astype(np.uint8), np.ones((3, 3)), borderValue=1) > 0
    if whole.any():
        np.testing.assert_array_equal(image[whole], given[whole])
        assert image.min() >= 88 or (given[whole] < 88).any()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_what_stands_in_for_a_pixel_is_the_nearest_that_was_seen(seed, share):
    valid = np.random.default_rng(seed).random((7, 11)) < share
    if not valid.any():
        return
    unseen, nearest = nearest_seen(valid)
    whole = np.ones(valid.shape, bool)
    whole.ravel()[unseen] = False
    assert not whole[~valid].any() and whole.ravel()[nearest].all()
    v, u = np.nonzero(whole)
    for pixel, other in zip(unseen, nearest):
        distances = np.hypot(v - pixel // 11, u - pixel % 11)
        mine = np.hypot(other // 11 - pixel // 11, other % 11 - pixel % 11)
        assert mine <= distances.min() * 1.05  # OpenCV's 5x5 distance is 2 % off at most


def test_a_camera_that_saw_next_to_nothing_of_its_images_is_doubted():
    """K of the full size under images of half the size, rectified by others."""
    k = np.array([[200.0, 0, 131], [0, 200, 97], [0, 0, 1]])
    p = np.hstack([np.array([[100.0, 0, 65], [0, 100, 48], [0, 0, 1]]), np.zeros((3, 1))])
    camera = PinholeCamera(*SIZE_WH, k, np.array([-0.1, 0, 0, 0]), p=p)
    image = np.zeros((SIZE_WH[1], SIZE_WH[0]), np.uint8)
    (doubt,) = FrameRectifier(camera, images_rectified=True).frame(image).doubts
    assert "K, D and R" in doubt and "of another size" in doubt
    assert FrameRectifier(camera.as_rectified(), images_rectified=True).frame(image).doubts == ()


def test_one_image_for_a_rig_is_refused():
    image = np.zeros((SIZE_WH[1], SIZE_WH[0]), np.uint8)
    with pytest.raises(DataError, match="as many images as cameras"):
        FrameRectifier(barrel_rig()).frame(image)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_a_match_that_the_right_camera_did_not_see_is_not_seen(seed):
    rng = np.random.default_rng(seed)
    height, width = 13, 31
    rig = StereoRig.simple(width, height, 40.0, 0.1)
    images = np.zeros((2, height, width), np.uint8)
    valid, right_valid = rng.random((2, height, width)) > 0.3
    frame = Frame(0, images[0], rig.left, images[1], rig, valid=valid, right_valid=right_valid)
    disparity = rng.integers(0, width + 5, (height, width)).astype(np.float32)
    disparity[rng.random((height, width)) < 0.1] = np.nan
    seen = frame.seen(disparity)
    for v in range(height):
        for u in range(width):
            known = not np.isnan(disparity[v, u])
            match = int(u - disparity[v, u]) if known else -1
            want = valid[v, u] and known and match >= 0 and right_valid[v, match]
            assert seen[v, u] == want


def test_planes_of_another_size_or_kind_are_refused():
    image = np.zeros((13, 31), np.uint8)
    camera = PinholeCamera.simple(31, 13, 40.0)
    for plane in (np.ones((31, 13), bool), np.ones((13, 31), np.uint8)):
        with pytest.raises(ImageError, match="valid of shape"):
            Frame(0, image, camera, valid=plane)


def test_a_restricted_depth_map_knows_nothing_elsewhere():
    camera = PinholeCamera.simple(4, 3, 40.0)
    ones = np.ones((3, 4), np.float32)
    depth = np.where(np.arange(12).reshape(3, 4) % 2, np.float32(np.inf), ones)
    whole = DepthMap(depth, camera, ones, ones, ones, ones)
    valid = np.zeros((3, 4), bool)
    valid[1] = True
    part = whole.restricted(valid)
    for name in ("depth", "disparity", "sigma_m", "relative_depth"):
        assert np.isnan(getattr(part, name)[~valid]).all()
        np.testing.assert_array_equal(getattr(part, name)[valid], getattr(whole, name)[valid])
    assert not part.confidence[~valid].any() and part.confidence[valid].all()
    assert whole.restricted(None) is whole


def test_a_frame_is_restricted_to_what_both_planes_leave(tmp_path):
    image = np.zeros((4, 6, 3), np.uint8)
    rig = StereoRig.simple(6, 4, fx=5.0, baseline_m=0.1)
    first, second = np.ones((4, 6), bool), np.ones((4, 6), bool)
    first[0], second[:, 0] = False, False
    frame = Frame(0, image, rig.left, image, rig).restricted(first)
    assert frame.right_valid is None
    frame = frame.restricted(second, second)
    np.testing.assert_array_equal(frame.valid, first & second)
    np.testing.assert_array_equal(frame.right_valid, second)
    assert frame.restricted(None).valid is frame.valid
    with pytest.raises(ImageError, match="expected valid of shape"):
        frame.restricted(np.ones((3, 6), bool))


def test_rays_whose_numbers_overflow_were_not_seen():
    """A focal length of 1e-300 is no calibration, and says so by what was seen: nothing."""
    camera = PinholeCamera.simple(64, 48, 50.0)
    p = camera.p.copy()
    p[0, 0] = 1e-306
    rectifier = Rectifier(replace(camera, d=np.array([0.1, 0, 0, 0, 0]), p=p))
    assert rectifier.valid is not None and rectifier.valid.sum() <= camera.height
