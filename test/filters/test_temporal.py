from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.filters.temporal import TemporalFilter

HEIGHT, WIDTH = 33, 47
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def step(past, depth, image=IMAGE):
    result = depth.copy()
    past.apply(result, image)
    return result


depths = st.floats(0.125, 60, width=32) | st.sampled_from([np.nan, np.inf])


@given(
    arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 11)), elements=depths),
    st.floats(0.01, 0.95),
    st.floats(0, 1),
    st.booleans(),
)
def test_a_static_scene_stays_exactly_as_it_is(depth, weight, jump, grey):
    image = np.full((*depth.shape, *(() if grey else (3,))), 99, np.uint8)
    past = TemporalFilter(weight, jump)
    for _ in range(4):
        np.testing.assert_array_equal(step(past, depth, image), depth)


@given(
    arrays(np.float32, (3, 7, 9), elements=depths),
    st.floats(0.01, 0.95),
    st.floats(0.0, 0.5),
)
def test_nothing_is_invented_and_every_pixel_stays_near_its_depth(frames, weight, jump):
    past = TemporalFilter(weight, jump)
    for depth in frames:
        result = step(past, depth, IMAGE[:7, :9])
        np.testing.assert_array_equal(np.isnan(result), np.isnan(depth))
        np.testing.assert_array_equal(np.isinf(result), np.isinf(depth))
        seen = np.isfinite(depth)
        assert (np.abs(depth[seen] / result[seen] - 1) <= jump * weight + 1e-5).all()


def test_noise_of_a_static_scene_fades_as_the_formula_says():
    """The variance of an exponential mean is (1 - w) / (1 + w) of that of one frame."""
    rng, weight = np.random.default_rng(1), 0.8
    past = TemporalFilter(weight, 0.2)
    for _ in range(60):
        noisy = 1 / (0.25 + rng.normal(0, 0.004, (HEIGHT, WIDTH)))
        result = step(past, noisy.astype(np.float32))
    assert np.std(1 / result) == pytest.approx(0.004 * np.sqrt((1 - weight) / (1 + weight)), rel=0.1)
    assert np.mean(1 / result) == pytest.approx(0.25, rel=0.002)


def test_what_moves_leaves_no_ghost_and_does_not_lag():
    past = TemporalFilter(0.9, 0.05)
    for left in range(0, 30, 3):
        depth = np.full((HEIGHT, WIDTH), 4.0, np.float32)
        depth[10:20, left : left + 12] = 1.5
        np.testing.assert_array_equal(step(past, depth), depth)


def test_where_the_image_changes_the_past_is_forgotten():
    """An object that stays at nearly the same depth, but is seen to change."""
    past = TemporalFilter(0.9, 0.05)
    step(past, np.full((HEIGHT, WIDTH), 2.0, np.float32))
    changed = IMAGE.copy()
    changed[:, :20] = 255 - changed[:, :20] // 4
    result = step(past, np.full((HEIGHT, WIDTH), 2.06, np.float32), changed)
    assert (result[:, :15] == np.float32(2.06)).all()
    assert (result[:, 25:] < 2.01).all()


def test_a_slow_drift_lags_by_less_than_the_jump():
    past, jump = TemporalFilter(0.95, 0.04), 0.04
    z = 5.0
    for _ in range(100):
        z *= 0.995
        result = step(past, np.full((HEIGHT, WIDTH), z, np.float32))
        assert (np.abs(result / z - 1) < jump).all()


def test_noise_of_the_camera_is_no_change():
    rng, past = np.random.default_rng(2), TemporalFilter(0.5, 0.1)
    step(past, np.full((HEIGHT, WIDTH), 2.0, np.float32))
    noisy = np.clip(IMAGE + rng.normal(0, 3, IMAGE.shape), 0, 255).astype(np.uint8)
    result = step(past, np.full((HEIGHT, WIDTH), 2.1, np.float32), noisy)
    assert (result < 2.06).mean() > 0.99


def test_reset_and_another_size_start_anew():
    past = TemporalFilter(0.9, 0.5)
    step(past, np.full((HEIGHT, WIDTH), 2.0, np.float32))
    past.reset()
    depth = np.full((HEIGHT, WIDTH), 2.2, np.float32)
    np.testing.assert_array_equal(step(past, depth), depth)
    small = np.full((HEIGHT, WIDTH - 1), 2.4, np.float32)
    np.testing.assert_array_equal(step(past, small, IMAGE[:, 1:]), small)
