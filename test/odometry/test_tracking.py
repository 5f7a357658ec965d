from __future__ import annotations

import cv2
import numpy as np

from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.odometry.sampling import DepthSampler
from recon3d_ros.odometry.tracking import Features, describe, follow, match

SHIFT = np.array([[1, 0, 6.25], [0, 1, -3.5]])


def picture(height=161, width=241):
    rng = np.random.default_rng(4)
    noise = rng.integers(0, 255, (height // 6 + 1, width // 6 + 1), np.uint8)
    return cv2.GaussianBlur(np.kron(noise, np.ones((6, 6), np.uint8))[:height, :width], (0, 0), 1.2)


IMAGE = picture()
MOVED = cv2.warpAffine(IMAGE, SHIFT, (241, 161), borderMode=cv2.BORDER_REFLECT)


def test_tracks_follow_a_shift_and_those_that_leave_are_lost():
    uv = np.array([[100.0, 80.0], [60.5, 40.25], [238.0, 80.0]])
    found, good = follow(IMAGE, uv, MOVED, np.full((3, 2), np.nan))
    np.testing.assert_allclose(found[:2], uv[:2] + SHIFT[:, 2], atol=0.1)
    assert good.tolist() == [True, True, False]
    assert follow(IMAGE, uv[:0], MOVED, uv[:0])[0].shape == (0, 2)


def test_features_of_a_shifted_image_match():
    camera = PinholeCamera.simple(241, 161, 200.0)
    depth = np.full((161, 241), 2.0, np.float32)
    depth[:, :60] = np.nan
    sampler = DepthSampler(DepthMap(depth, camera), None, 0)
    first, second = (describe(image, sampler, 300, None) for image in (IMAGE, MOVED))
    here, there = match(first, second)
    shift = second.points.uv[there] - first.points.uv[here]
    assert len(here) > 30 and np.isfinite(first.points.q[here]).all()
    assert (np.abs(shift - SHIFT[:, 2]).max(axis=1) < 1).mean() > 0.9


def test_an_empty_image_has_no_features():
    camera = PinholeCamera.simple(61, 41, 50.0)
    sampler = DepthSampler(DepthMap(np.ones((41, 61), np.float32), camera), None, 0)
    empty = describe(np.zeros((41, 61), np.uint8), sampler, 100, np.ones((41, 61), bool))
    assert isinstance(empty, Features) and empty.descriptors.shape == (0, 128)
    assert [len(each) for each in match(empty, empty)] == [0, 0]
