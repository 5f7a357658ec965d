from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.filters import FreeSpace
from recon3d_ros.geometry import DepthMap, PinholeCamera

HEIGHT, WIDTH = 43, 61
CAMERA = PinholeCamera.simple(WIDTH, HEIGHT, 50.0, 28.0, 20.0)
GREY = np.full((HEIGHT, WIDTH), 100, np.uint8)


def seen(free_columns=slice(16, 40), confidence=None):
    """A wall at 2 m with an opening to beyond the limit."""
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[:, free_columns] = np.inf
    if confidence is not None:
        confidence = np.full((HEIGHT, WIDTH), confidence, np.float32)
    return DepthMap(depth, CAMERA, confidence=confidence)


def test_points_lie_at_the_limit_on_the_rays_of_the_opening():
    points = FreeSpace(1, 12.0, 0.0).update(seen(), GREY)
    assert points.dtype == np.float32 and points.shape == (3 * 5, 3)  # 24 columns, 40 whole rows
    assert (points[:, 2] == 12.0).all()
    pixels = points @ CAMERA.p[:, :3].T
    u, v = (pixels[:, :2] / pixels[:, 2:]).T
    np.testing.assert_allclose(sorted(set(u.round(3))), [20, 28, 36], atol=1e-3)
    np.testing.assert_allclose(sorted(set(v.round(3))), [4, 12, 20, 28, 36], atol=1e-3)


@given(st.lists(st.booleans(), min_size=1, max_size=20), st.integers(1, 5))
def test_a_ray_is_free_after_so_many_frames_in_a_row(history, frames):
    space, row = FreeSpace(frames, 10.0, 0.0), 0
    for is_open in history:
        row = row + 1 if is_open else 0
        points = space.update(seen() if is_open else seen(slice(0, 0)), GREY)
        assert len(points) == (15 if row >= frames else 0)


def test_the_count_does_not_run_over():
    space = FreeSpace(255, 10.0, 0.0)
    numbers = [len(space.update(seen(), GREY)) for _ in range(600)]
    assert numbers == [0] * 254 + [15] * 346


def test_reset_and_another_camera_start_anew():
    space = FreeSpace(2, 10.0, 0.0)
    space.update(seen(), GREY)
    space.reset()
    assert len(space.update(seen(), GREY)) == 0
    assert len(space.update(seen(), GREY)) == 15
    small = DepthMap(np.full((24, 33), np.inf, np.float32), PinholeCamera.simple(33, 24, 50.0))
    assert len(space.update(small, GREY[:24, :33])) == 0


@pytest.mark.parametrize(("value", "free"), [(249, True), (250, False), (255, False)])
def test_overexposed_pixels_are_never_free(value, free):
    grey = GREY.copy()
    grey[:, 16:40] = value
    assert len(FreeSpace(1, 10.0, 0.0).update(seen(), grey)) == (15 if free else 0)
    colour = np.dstack([grey, grey, grey])
    assert len(FreeSpace(1, 10.0, 0.0).update(seen(), colour)) == (15 if free else 0)
    colour[..., 2] = 200  # blue sky is not overexposed
    assert len(FreeSpace(1, 10.0, 0.0).update(seen(), colour)) == 15


@pytest.mark.parametrize(
    ("confidence", "least", "free"),
    [(None, 0.9, True), (0.49, 0.0, False), (0.5, 0.0, True), (0.7, 0.8, False), (0.8, 0.8, True)],
)
def test_a_doubtful_sky_is_not_free(confidence, least, free):
    points = FreeSpace(1, 10.0, float(np.float32(least))).update(seen(confidence=confidence), GREY)
    assert len(points) == (15 if free else 0)


@given(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.sampled_from([np.nan, 3.0]))
def test_one_pixel_that_is_not_far_takes_its_whole_block(v, u, value):
    depth = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    depth[v, u] = value
    points = FreeSpace(1, 10.0, 0.0).update(DepthMap(depth, CAMERA), GREY)
    assert len(points) == 5 * 7 - (v < 40 and u < 56)


def test_an_image_smaller_than_a_block_has_no_rays():
    tiny = DepthMap(np.full((7, 90), np.inf, np.float32), PinholeCamera.simple(90, 7, 50.0))
    assert FreeSpace(1, 10.0, 0.0).update(tiny, np.zeros((7, 90), np.uint8)).shape == (0, 3)
