from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.networks.mono_contract import CANONICAL_FOCAL_PX
from recon3d_ros.training.samples.augment import CropWindow
from recon3d_ros.training.samples.augment_view import (
    collage,
    cut_view,
    draw_view_window,
    photometric,
    roll,
    view_crop,
)
from recon3d_ros.training.samples.store import pack_view, unpack_view


def plane_view(fx: float = 300.0, size_wh: tuple[int, int] = (160, 121)) -> np.ndarray:
    """A wall that is 2 m away, seen by a camera of a focal length."""
    width, height = size_wh
    image = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return pack_view(image, np.full((height, width), 2.0, np.float32), fx)


def test_stored_depth_is_canonical_and_unknown_stays_unknown():
    depth = np.array([[1.0, np.nan, np.inf, 0.0, 3.0005, 70.0]], np.float32)
    image, canonical = unpack_view(pack_view(np.zeros((1, 6, 3), np.uint8), depth, 520.0))
    assert image.shape == (1, 6, 3)
    half = CANONICAL_FOCAL_PX / 520.0
    expected = [[half, np.nan, np.nan, np.nan, 3.0005 * half, 70 * half]]
    np.testing.assert_allclose(canonical, expected, atol=6e-4)
    grey = pack_view(np.full((2, 3), 7, np.uint8), np.ones((2, 3), np.float32), 260.0)
    assert (unpack_view(grey)[0] == 7).all() and (unpack_view(grey)[1] == 1.0).all()


@settings(max_examples=40)
@given(
    st.floats(120.0, 900.0),
    st.integers(0, 60),
    st.integers(0, 40),
    st.integers(40, 100),
    st.integers(40, 80),
    st.tuples(st.integers(33, 200), st.integers(33, 200)),
)
def test_a_window_keeps_the_metres_of_its_camera(focal, x, y, width, height, size_wh):
    """Canonical depth times the focal length of the crop is the depth that was put in."""
    _, depth = cut_view(plane_view(focal), CropWindow(x, y, width, height), size_wh)
    camera = PinholeCamera.simple(160, 121, focal).cropped(x, y, width, height).scaled(size_wh)
    np.testing.assert_allclose(depth * camera.fy / CANONICAL_FOCAL_PX, 2.0, rtol=3e-3)


def test_a_thing_twice_as_far_through_a_lens_twice_as_long_is_the_same_picture():
    near = pack_view(np.zeros((40, 60, 3), np.uint8), np.full((40, 60), 1.5, np.float32), 200.0)
    far = pack_view(np.zeros((40, 60, 3), np.uint8), np.full((40, 60), 3.0, np.float32), 400.0)
    np.testing.assert_array_equal(near, far)


def test_half_of_the_windows_have_the_aspect_of_the_image_and_all_lie_inside():
    aspects, sides = [], []
    for seed in range(400):
        window = draw_view_window((467, 627), np.random.default_rng(seed))
        assert 0 <= window.x and window.x + window.width <= 627
        assert 0 <= window.y and window.y + window.height <= 467
        aspect = window.width / window.height
        aspects.append(aspect)
        sides.append(window.height / min(467, 627 / aspect))
    own = np.abs(np.array(aspects) - 627 / 467) < 0.01
    assert 0.4 < own.mean() < 0.6
    assert 0.74 < min(aspects) < 0.85 and 1.65 < max(aspects) < 1.79
    assert min(sides) < 0.62 and max(sides) > 0.97
    assert 0.4 < np.mean(np.array(sides) > 0.89) < 0.75


@pytest.mark.parametrize("shape_hw", [(1, 1), (3, 200), (200, 3), (37, 41)])
def test_windows_of_any_image_lie_inside(shape_hw):
    for seed in range(50):
        window = draw_view_window(shape_hw, np.random.default_rng(seed))
        assert window.width >= 1 and 0 <= window.x and window.x + window.width <= shape_hw[1]
        assert window.height >= 1 and 0 <= window.y and window.y + window.height <= shape_hw[0]


def test_mirrored_and_rolled_crops_keep_image_and_depth_together():
    """Depth is painted into the image, so both can be compared wherever they went."""
    height, width = 90, 120
    v, u = np.mgrid[:height, :width]
    level = np.clip(40 + u + v // 2, 0, 255).astype(np.uint8)
    packed = pack_view(np.repeat(level[..., None], 3, axis=2), level / np.float32(50.0), CANONICAL_FOCAL_PX)
    mirrored = rolled = 0
    for seed in range(40):
        image, depth = view_crop(packed, (64, 48), np.random.default_rng(seed))
        known = np.isfinite(depth)
        mirrored += image[:, -1].mean() < image[:, 0].mean()
        rolled += not known.all()
        factor = np.median(depth[known] / image[..., 0][known])
        np.testing.assert_allclose(depth[known], image[..., 0][known] * factor, rtol=0.06)
    assert 10 < mirrored < 30 and 4 < rolled < 25


def test_roll_turns_about_the_centre():
    image = np.zeros((41, 61, 3), np.uint8)
    image[20, 50] = 255
    turned, depth = roll(image, np.ones((41, 61), np.float32), 90.0)
    assert turned[0, 30].max() == 255 and np.isnan(depth[20, 0])


def test_roll_of_a_stretched_image_is_the_stretched_roll():
    """What is twice as far off in columns lies on the same circle where pixels are half as wide."""
    image = np.zeros((41, 81, 3), np.uint8)
    image[20, 72] = 255
    turned, _ = roll(image, np.ones((41, 81), np.float32), 90.0, stretch=0.5)
    assert turned[4, 40].max() == 255


def test_photometry_leaves_a_picture():
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    drawn = [photometric(image, np.random.default_rng(seed)) for seed in range(60)]
    assert all(part.shape == (3, 48, 64) and part.dtype == np.float32 for part in drawn)
    assert all(0.0 <= part.min() and part.max() <= 1.0 for part in drawn)
    grey = sum(bool(np.ptp(part, axis=0).max() < 1e-4) for part in drawn)
    assert 1 <= grey <= 15


def test_a_collage_has_a_part_of_the_second_image_in_its_own_place():
    image, other = (np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8) for i in (0, 1))
    for seed in range(20):
        both = collage(image, other, np.random.default_rng(seed))
        changed = (both != image).any(axis=2)
        np.testing.assert_array_equal(both[changed], other[changed])
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        assert 10 <= np.ptp(rows) + 1 <= 36 and 14 <= np.ptp(columns) + 1 <= 48
        assert changed.mean() == pytest.approx(
            (np.ptp(rows) + 1) * (np.ptp(columns) + 1) / (48 * 64), abs=0.01
        )
