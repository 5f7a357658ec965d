from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros import metrics

NAN, INF = np.nan, np.inf


def test_disparity_metrics_by_hand():
    truth = np.array([[10.0, 20.0, 0.0], [NAN, 30.0, INF]], np.float32)
    estimate = np.array([[11.5, 20.0, NAN], [5.0, 33.5, 7.0]], np.float32)
    scores = metrics.disparity_metrics(estimate, truth)
    # scored 10, 20, 0, 30: errors 1.5, 0, missing, 3.5
    assert scores["pixels"] == 4
    assert scores["coverage"] == 3 / 4
    assert scores["epe_px"] == pytest.approx(5 / 3)
    assert [scores[f"bad_px_{t}"] for t in (1, 2, 3)] == [3 / 4, 2 / 4, 2 / 4]
    assert [scores[f"bad_px_{t}_answered"] for t in (1, 2, 3)] == pytest.approx([2 / 3, 1 / 3, 1 / 3])


def test_threshold_itself_is_not_bad():
    assert metrics.bad_px(np.array([3.0]), np.array([0.0]), 3) == 0
    assert metrics.bad_px(np.array([3.0001]), np.array([0.0]), 3) == 1


def test_depth_metrics_by_hand():
    truth = np.array([[1.0, 2.0, 4.0, 8.0], [NAN, INF, 0.0, 50.0]], np.float32)
    estimate = np.array([[1.2, 1.0, INF, 0.0], [1.0, 1.0, 1.0, 1.0]], np.float32)
    scores = metrics.depth_metrics(estimate, truth, min_m=0.5, max_m=10)
    # scored 1, 2, 4, 8; answered 1 (off 0.2) and 2 (off 1.0)
    assert scores["pixels"] == 4
    assert scores["coverage"] == 2 / 4
    assert scores["abs_rel"] == pytest.approx((0.2 + 0.5) / 2)
    assert scores["rmse_m"] == pytest.approx(math.sqrt((0.04 + 1.0) / 2))
    assert scores["delta_1"] == 1 / 2


def test_nothing_to_score_is_nan_not_zero():
    unknown = np.full((2, 3), NAN, np.float32)
    for scores in (
        metrics.disparity_metrics(unknown, unknown),
        metrics.depth_metrics(np.ones((2, 3), np.float32), unknown, 0.1, 10),
    ):
        assert scores.pop("pixels") == 0
        assert all(math.isnan(value) for value in scores.values())


def test_no_answer_at_all_is_all_bad():
    scores = metrics.disparity_metrics(np.full((2, 3), NAN), np.ones((2, 3)))
    assert scores["bad_px_3"] == 1
    assert scores["coverage"] == 0
    assert math.isnan(scores["epe_px"])


planes = arrays(
    np.float32, (5, 7), elements=st.floats(0.125, 200, width=32) | st.sampled_from([NAN, INF, -INF, 0.0])
)


@given(planes, planes)
def test_relations_that_always_hold(estimate, truth):
    scores = metrics.disparity_metrics(estimate, truth)
    if scores["pixels"]:
        assert 0 <= scores["bad_px_3"] <= scores["bad_px_2"] <= scores["bad_px_1"] <= 1
        answered = scores["bad_px_1_answered"] * scores["coverage"] if scores["coverage"] else 0
        assert scores["bad_px_1"] == pytest.approx(answered + 1 - scores["coverage"])
    depth = metrics.depth_metrics(truth, truth, 0.0, np.inf)
    if depth["pixels"]:
        assert (depth["abs_rel"], depth["rmse_m"], depth["delta_1"], depth["coverage"]) == (0, 0, 1, 1)


@given(planes, planes, st.floats(0.5, 2))
def test_abs_rel_and_delta_are_free_of_units(estimate, truth, unit):
    metres, other = (metrics.depth_metrics(estimate * u, truth * u) for u in (1.0, float(unit)))
    assert other["abs_rel"] == pytest.approx(metres["abs_rel"], rel=1e-4, nan_ok=True)
    assert other["rmse_m"] == pytest.approx(metres["rmse_m"] * unit, rel=1e-4, nan_ok=True)


def test_shapes_are_compared_from_both_sides():
    ours, theirs = np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.array([[0.0, 0, 0.03], [1.0, 0.5, 0], [1, 0, 0]])
    there, back = metrics.nearest_distances(ours, theirs)
    np.testing.assert_allclose(there, [0.03, 0.0], atol=1e-6)
    np.testing.assert_allclose(back, [0.03, 0.5, 0.0], atol=1e-6)
    scores = metrics.shape_metrics(ours, theirs)
    assert scores["chamfer"] == pytest.approx((0.015 + 0.53 / 3) / 2)
    assert scores["f_score"] == pytest.approx(2 * 1.0 * (2 / 3) / (1 + 2 / 3))


def test_many_points_are_compared_in_parts():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(1300, 3)), rng.normal(size=(700, 3))
    there, back = metrics.nearest_distances(ours, theirs)
    every = np.linalg.norm(ours[:, None] - theirs[None], axis=2)
    np.testing.assert_allclose(there, every.min(axis=1), atol=2e-3)
    np.testing.assert_allclose(back, every.min(axis=0), atol=2e-3)
