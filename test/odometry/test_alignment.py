from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.odometry.alignment import Points, align, exponential, inverse, logarithm, project

CAMERA = PinholeCamera.simple(131, 91, 110.0, cx=62.0, cy=47.0, fy=104.0)


def scene(seed, pose, count=60):
    """Points of a source view and the same in a target view, exact."""
    rng = np.random.default_rng(seed)
    uv = rng.uniform((5, 5), (125, 85), (count, 2))
    source = Points(uv, 1 / rng.uniform(1.5, 9, count), np.full(count, 0.004))
    x = source.rays(CAMERA) / source.q[:, None] @ pose[:3, :3].T + pose[:3, 3]
    return source, Points(project(pose, source, CAMERA), 1 / x[:, 2], np.full(count, 0.004))


@given(
    seed=st.integers(0, 1000),
    turn=st.tuples(*[st.floats(-0.2, 0.2)] * 3),
    shift=st.tuples(*[st.floats(-0.6, 0.6)] * 3),
)
def test_exact_points_give_the_exact_pose(seed, turn, shift):
    pose = exponential(np.array([*turn, *shift]))
    found = align(*scene(seed, pose), CAMERA)
    assert found is not None and found.inlier.all()
    np.testing.assert_allclose(found.T_target_source, pose, atol=1e-5)
    np.testing.assert_allclose(logarithm(inverse(inverse(pose))), [*turn, *shift], atol=1e-9)


def test_wrong_tracks_and_unknown_depths_do_not_move_it():
    pose = exponential(np.array([0.05, -0.1, 0.02, 0.3, -0.1, 0.2]))
    source, target = scene(3, pose)
    uv, q = target.uv.copy(), target.q.copy()
    uv[:20] += (25, -14)
    q[20:40] = np.nan
    found = align(source, Points(uv, q, target.sigma_q), CAMERA)
    assert not found.inlier[:20].any() and found.inlier[20:].all()
    np.testing.assert_allclose(found.T_target_source, pose, atol=2e-3)


def test_information_is_the_inverse_of_the_scatter():
    """Poses from noisy points scatter as their information says, within a factor of two."""
    pose, rng = exponential(np.array([0.0, 0.1, 0.0, 0.4, 0.0, 0.1])), np.random.default_rng(0)
    source, target = scene(5, pose, 200)
    errors, told = [], []
    for _ in range(60):
        noisy = Points(source.uv, source.q + rng.normal(0, 0.004, 200), source.sigma_q)
        seen = Points(
            target.uv + rng.normal(0, 0.7, (200, 2)), target.q + rng.normal(0, 0.004, 200), target.sigma_q
        )
        found = align(noisy, seen, CAMERA)
        errors.append(logarithm(found.T_target_source @ inverse(pose)))
        told.append(np.sqrt(np.diag(np.linalg.inv(found.information))))
    ratio = np.std(errors, axis=0) / np.mean(told, axis=0)
    assert (ratio > 0.5).all() and (ratio < 2).all(), ratio


@pytest.mark.parametrize("count", [0, 5])
def test_too_few_points_give_no_pose(count):
    assert align(*scene(1, np.eye(4), count), CAMERA) is None


def test_points_that_agree_on_nothing_give_no_pose():
    rng = np.random.default_rng(2)
    source, target = scene(1, np.eye(4))
    noise = Points(rng.uniform(0, 90, (60, 2)), target.q, target.sigma_q)
    found = align(source, noise, CAMERA)
    assert found is None or found.inlier.sum() < 20
