from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.filters.edges import drop_flying_pixels

HEIGHT, WIDTH = 47, 61


def filtered(depth, max_jump=0.02):
    result = depth.copy()
    drop_flying_pixels(result, max_jump)
    return result


@given(
    st.floats(-0.02, 0.02), st.floats(-0.02, 0.02), st.floats(0.02, 1.0), st.floats(0.002, 0.1), st.booleans()
)
def test_planes_of_any_slant_keep_their_points(a, b, c, max_jump, holes):
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    inverse = a * u + b * v + c
    inverse -= min(0.0, inverse.min() - 0.005)
    assume(inverse.min() > 0)
    depth = (1 / inverse).astype(np.float32)
    if holes:
        depth[np.random.default_rng(0).random(depth.shape) < 0.1] = np.nan
    np.testing.assert_array_equal(filtered(depth, max_jump), depth)


def test_a_floor_stays_up_to_the_horizon():
    """0.4 m below a wide camera the floor changes by up to 8 % from row to row."""
    v = np.arange(HEIGHT)[:, None] - 3.0
    depth = np.where(v > 0, 0.4 * 120 / np.maximum(v, 1e-3), np.inf) * np.ones(WIDTH)
    depth = np.where(depth > 8, np.inf, depth).astype(np.float32)
    assert np.nanmax(-np.diff(depth[:, 0][np.isfinite(depth[:, 0])]) / 8) > 0.05
    np.testing.assert_array_equal(filtered(depth), depth)


def test_a_floor_that_meets_a_wall_stays():
    v = np.arange(HEIGHT)[:, None] + np.zeros(WIDTH)
    depth = np.minimum(40 / np.maximum(v - 5, 0.1), 3.0).astype(np.float32)
    np.testing.assert_array_equal(filtered(depth), depth)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("ramp", [1, 2, 3, 4, 5])
def test_the_ramp_between_two_surfaces_goes_and_the_surfaces_stay(ramp, transposed):
    u = np.arange(WIDTH)
    share = np.clip((u - 30) / (ramp + 1), 0, 1)
    depth = np.tile(1 / (0.5 + share * (0.2 - 0.5)), (HEIGHT, 1)).astype(np.float32)
    between = np.tile((share > 0) & (share < 1), (HEIGHT, 1))
    if transposed:
        depth, between = np.ascontiguousarray(depth.T), between.T
    result = filtered(depth)
    np.testing.assert_array_equal(np.isnan(result), between)


@pytest.mark.parametrize("background", [6.0, np.inf, np.nan])
def test_clean_steps_and_thin_poles_stay(background):
    depth = np.full((HEIGHT, WIDTH), background, np.float32)
    depth[5:40, 10:30] = 1.5
    depth[:, 40] = depth[:, 50:52] = 2.0
    np.testing.assert_array_equal(filtered(depth), depth)


def test_a_ramp_to_the_sky_goes():
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[:, 30:] = np.inf
    depth[:, 28], depth[:, 29] = 1 / 0.34, 1 / 0.17
    result = filtered(depth)
    assert np.isnan(result[:, 28:30]).all() and np.isinf(result[:, 30:]).all()
    assert np.isnan(result).sum() == 2 * HEIGHT


depths = st.floats(0.125, 60, width=32) | st.sampled_from([np.nan, np.inf])


@given(arrays(np.float32, st.tuples(st.integers(1, 19), st.integers(1, 23)), elements=depths))
def test_nothing_is_invented_and_the_sky_stays(depth):
    result = filtered(depth)
    kept = ~np.isnan(result)
    np.testing.assert_array_equal(result[kept], depth[kept])
    np.testing.assert_array_equal(np.isinf(result), np.isinf(depth))


def test_blocks_of_rows_join_without_a_seam():
    rng = np.random.default_rng(0)
    tall = np.repeat(rng.uniform(1, 9, (331, 20)), 20, axis=1).astype(np.float32)
    tall[rng.random(tall.shape) < 0.2] = np.nan
    whole = filtered(tall, 0.01)
    for top in (100, 163, 164, 200):  # a part of the image is filtered as the same part of the whole
        part = filtered(np.ascontiguousarray(tall[top - 50 : top + 50]), 0.01)
        np.testing.assert_array_equal(part[7:-7], whole[top - 43 : top + 43])
