"""Mono depth that fits is filled in and marked; one that does not is refused."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.estimation.mono_fill import filled
from recon3d_ros.geometry import DepthMap, PinholeCamera

CAMERA = PinholeCamera.simple(121, 91, 100.0)
V, U = np.mgrid[:91, :121]
EXACT = (1.5 + 0.02 * U + 0.5 * np.sin(V / 9)).astype(np.float32)
KNOWN = U < 70


def of_motion(known=KNOWN, confidence=0.9) -> DepthMap:
    depth = np.where(known, EXACT, np.float32(np.nan)).astype(np.float32)
    sure = np.where(known, np.float32(confidence), np.float32(0))
    return DepthMap(depth, CAMERA, None, sure, 0.02 * depth)


def of_mono(inverse) -> DepthMap:
    return DepthMap((1 / inverse).astype(np.float32), CAMERA, None, np.full(EXACT.shape, 0.8, np.float32))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.6, 0.05), (1.7, 0.2)])
def test_scale_and_shift_of_inverse_depth_are_found(scale, shift):
    rng = np.random.default_rng(1)
    inverse = (scale / EXACT + shift) * (1 + rng.normal(0, 0.02, EXACT.shape))
    found, why = filled(of_motion(), of_mono(inverse))
    assert why == ""
    new = ~KNOWN & found.valid
    assert new.sum() > 0.9 * (~KNOWN).sum()
    assert np.median(np.abs(found.depth[new] / EXACT[new] - 1)) < 0.06
    assert (found.confidence[new] <= 0.45).all() and (found.confidence[new] > 0.4).all()
    assert np.median(found.sigma_m[new] / found.depth[new]) == pytest.approx(0.03, abs=0.03)
    np.testing.assert_array_equal(found.depth[KNOWN], EXACT[KNOWN])
    np.testing.assert_array_equal(found.confidence[KNOWN], np.float32(0.9))


def test_relative_inverse_depth_will_do():
    unknown = np.full(EXACT.shape, np.nan, np.float32)
    mono = DepthMap(unknown, CAMERA, relative_depth=(30 / EXACT - 2).astype(np.float32))
    found, why = filled(of_motion(), mono)
    assert why == "" and np.abs(found.depth / EXACT - 1).max() < 0.01


def test_outliers_of_motion_do_not_matter():
    motion = of_motion()
    depth = motion.depth.copy()
    depth[20:40, 10:40] *= 2
    found, why = filled(
        DepthMap(depth, CAMERA, None, motion.confidence, motion.sigma_m), of_mono(0.7 / EXACT)
    )
    assert why == ""
    assert np.abs(found.depth[:, 75:] / EXACT[:, 75:] - 1).max() < 0.02


def test_what_does_not_fit_is_refused():
    rng = np.random.default_rng(2)
    for mono, words in (
        (of_mono(rng.uniform(0.2, 1, EXACT.shape)), "fit|decrease"),
        (of_mono(1.2 - 1 / EXACT), "decrease|fit|same depth"),
    ):
        motion = of_motion()
        found, why = filled(motion, mono)
        assert found is motion
        assert any(word in why for word in words.split("|")), why
    few = of_motion((U < 20) & (V < 20))
    assert filled(few, of_mono(1 / EXACT)) == (few, "too few pixels have depth from motion")
    unsure = of_motion(confidence=0.3)
    assert filled(unsure, of_mono(1 / EXACT))[0] is unsure


def test_far_beyond_what_both_know_it_stays_unknown():
    exact = np.where(U < 90, EXACT, np.float32(60)).astype(np.float32)
    found, why = filled(of_motion(), of_mono(1 / exact))
    assert why == "" and np.isnan(found.depth[:, 95:]).all() and (found.confidence[:, 95:] == 0).all()
