"""Left-right consistency on a scene whose two disparities are known."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros import world
from recon3d_ros.evaluation.consistency import consistency_metrics, left_right_gap, mirrored
from recon3d_ros.geometry import Frame, StereoRig


def test_a_slanted_plane_agrees_where_both_see_it():
    height, width = 5, 40
    u = np.arange(width, dtype=np.float32)
    left = np.tile(4 + 0.1 * u, (height, 1)).astype(np.float32)
    # x_right = u - 4 - 0.1 u, so u = (x_right + 4) / 0.9
    right = np.tile(4 + 0.1 * (u + 4) / 0.9, (height, 1)).astype(np.float32)
    gap = left_right_gap(left, right)
    outside = u - left[0] < 0
    assert outside.sum() == 5 and np.isnan(gap[:, outside]).all()
    assert gap[:, ~outside].max() < 1e-5
    assert consistency_metrics(left, right)["consistent_px_1"] == pytest.approx(35 / 40)
    off = consistency_metrics(left, right + np.float32(2.0))
    assert off["consistent_px_1"] == 0.0 and off["consistent_px_3"] == pytest.approx(35 / 40)


def test_no_answer_is_not_consistent():
    left = np.full((4, 9), 2.0, np.float32)
    right = left.copy()
    right[:2] = np.nan
    left[3] = np.nan
    assert consistency_metrics(left, right)["consistent_px_3"] == pytest.approx(1 / 4 * 7 / 9)


@pytest.mark.parametrize("width", [1, 2])
def test_tiny_images(width):
    plane = np.zeros((3, width), np.float32)
    assert consistency_metrics(plane, plane)["consistent_px_1"] == 1.0


def test_the_mirror_swaps_the_cameras_and_keeps_the_disparity():
    """In the mirror x becomes W - 1 - x, so the right camera stands to the left and d stays d."""
    rng = np.random.default_rng(0)
    rig = StereoRig.simple(12, 7, 30.0, 0.2, cx=4.0, cy=3.0, doffs_px=1.5)
    left, right = rng.integers(0, 255, (2, 7, 12, 3), np.uint8)
    seen = mirrored(Frame(5, left, rig.left, right, rig, "f"))
    np.testing.assert_array_equal(seen.image, right[:, ::-1])
    np.testing.assert_array_equal(seen.right, left[:, ::-1])
    assert seen.rig.doffs_px == pytest.approx(1.5) and seen.rig.baseline_m == pytest.approx(0.2)
    assert seen.rig.left.cx == pytest.approx(11 - 2.5) and seen.camera is seen.rig.left
    disparity = np.full((7, 12), 6.0, np.float32)
    np.testing.assert_allclose(seen.rig.depth_from_disparity(disparity), rig.depth_from_disparity(disparity))


def test_true_disparity_of_a_scene_agrees_with_that_of_its_mirror():
    """The world renders the mirrored pair's disparity from the right camera's side: SGBM must like it too."""
    from recon3d_ros.evaluation import SgbmEstimator

    frame = world.training_sample(930_000, (240, 160), 40.0).frame
    sgbm = SgbmEstimator()
    left, right = sgbm.estimate(frame).disparity, sgbm.estimate(mirrored(frame)).disparity[:, ::-1]
    answered = np.isfinite(left).mean()
    assert consistency_metrics(left, right)["consistent_px_1"] > 0.6 * answered
    assert consistency_metrics(left, right[:, ::-1])["consistent_px_1"] < 0.3 * answered
