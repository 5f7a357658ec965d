from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d_ros.scale.fits import (
    NETWORK_SIGMA,
    Correspondences,
    Unobservable,
    fit_affine,
    fit_factor,
    grid_cells,
)


def correspondences(value, depth, sigma=0.01, cell=None) -> Correspondences:
    n = len(value)
    cell = np.arange(n) % 48 if cell is None else cell
    return Correspondences(
        np.asarray(value, float), np.asarray(depth, float), np.full(n, sigma), cell, np.zeros(n, int)
    )


@given(st.floats(0.01, 100), st.integers(1, 60), st.integers(0, 999))
def test_a_factor_is_found_and_scales_with_the_answer(factor, count, seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 8, count)
    value = depth / factor * np.exp(rng.normal(0, 0.05, count))
    fit = fit_factor(correspondences(value, depth))
    assert abs(fit.log_factor - np.log(factor)) < 5 * 0.05 / np.sqrt(count) + 1e-9
    doubled = fit_factor(correspondences(2 * value, depth))
    assert doubled.log_factor == pytest.approx(fit.log_factor - np.log(2), abs=1e-9)
    assert doubled.variance == pytest.approx(fit.variance, rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_third_of_wrong_anchors_does_not_move_the_factor(seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 6, 30)
    value = depth / 1.4 * np.exp(rng.normal(0, 0.1, 30))
    depth[:9] = rng.uniform(8, 20, 9)  # all to one side: the worst case
    fit = fit_factor(correspondences(value, depth))
    assert abs(fit.log_factor - np.log(1.4)) < 0.08
    assert fit.inliers[9:].mean() > 0.9 and fit.inliers[:9].sum() <= 2


def test_two_halves_far_apart_give_one_of_both_not_their_middle():
    depth = np.array([1.0, 1, 1, 1, 9, 9, 9, 9])
    assert abs(fit_factor(correspondences(np.ones(8), depth)).log_factor) in (
        0,
        pytest.approx(np.log(9)),
    )


def test_the_variance_knows_number_patches_and_spread():
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 6, 48)

    def sigma(spread: float, count: int = 48, cell=None) -> float:
        value = depth[:count] * np.exp(rng.normal(0, spread, count))
        return fit_factor(correspondences(value, depth[:count], cell=cell)).variance ** 0.5

    one = sigma(0.1, 1)
    assert one == pytest.approx(NETWORK_SIGMA, rel=0.15), "a single anchor has the error of the network"
    assert sigma(0.1) < one / 5
    assert sigma(0.2) > 1.3 * sigma(0.05)
    same_patch = sigma(0.1, cell=np.zeros(48, int))
    assert same_patch > 5 * sigma(0.1), "48 anchors of one patch are one"


def test_the_variance_is_honest():
    """Over many frames of independent errors, errors in standard deviations have about the size of 1."""
    errors = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        depth = rng.uniform(1, 6, 16)
        cell = rng.permutation(48)[:16]
        fit = fit_factor(correspondences(depth * np.exp(rng.normal(0, 0.15, 16)), depth, cell=cell))
        errors.append(fit.log_factor / fit.variance**0.5)
    assert 0.8 < np.std(errors) < 1.2


@settings(max_examples=50)
@given(st.floats(0.3, 3), st.floats(-0.5, 0.1), st.integers(0, 999), st.booleans())
def test_scale_and_shift_are_found_with_a_third_of_wrong_anchors(a, b, seed, wrong):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.7, 6, 40)
    x = (1 / depth * np.exp(rng.normal(0, 0.01, 40)) - b) / a
    if wrong:
        depth[:13] = rng.uniform(0.3, 12, 13)
    fit = fit_affine(x, correspondences(x, depth))
    error = np.abs(fit.theta - [b, a])
    # some of the wrong ones lie within what a network may err, and are not told from right ones
    assert (error < (0.4 if wrong else 0.05) * max(a, 1)).all()
    assert (error < 6 * np.sqrt(np.diag(fit.covariance)) + 1e-6).all()
    assert fit.inliers[13:].mean() > 0.75


def test_one_depth_tells_no_shift():
    flat = correspondences(np.full(20, 0.5), np.full(20, 2.0))
    with pytest.raises(Unobservable, match="nearly the same depth"):
        fit_affine(flat.value, flat)
    with pytest.raises(Unobservable, match="two anchors, got 1"):
        fit_affine(np.ones(1), correspondences([0.5], [2.0]))
    upside_down = correspondences(np.linspace(1, 2, 20), np.linspace(1, 4, 20))
    with pytest.raises(Unobservable, match=r"cannot be determined|does not decrease"):
        fit_affine(upside_down.value, upside_down)


def test_cells_cover_the_image():
    v, u = np.mgrid[:47, :61].astype(np.float32)
    cell = grid_cells(u.ravel(), v.ravel(), (47, 61)).reshape(47, 61)
    assert sorted(set(cell.ravel())) == list(range(48))
    assert (np.diff(cell[0]) >= 0).all() and cell[0, 0] == 0 and cell[-1, -1] == 47
