from __future__ import annotations

import numpy as np

from recon3d_ros.geometry import DepthMap, PinholeCamera, StereoRig
from recon3d_ros.odometry.sampling import DepthSampler, corners

CAMERA = PinholeCamera.simple(61, 41, 50.0)


def plane(**planes):
    depth = np.full((41, 61), 2.0, np.float32)
    depth[:, 30:] = 3.0
    depth[5, 10] = np.nan
    return DepthMap(depth, CAMERA, **planes)


def test_depth_between_surfaces_outside_and_of_low_confidence_is_unknown():
    confidence = np.full((41, 61), 0.9, np.float32)
    confidence[20, 50] = 0.1
    sampler = DepthSampler(plane(confidence=confidence), None, 0.5)
    points = sampler.at(
        np.array([[15.2, 20.0], [29.0, 20.0], [50.0, 20.0], [10.0, 5.0], [-3.0, 8.0], [60.0, 8.0]])
    )
    np.testing.assert_allclose(points.q, [0.5, np.nan, np.nan, np.nan, np.nan, np.nan])
    assert np.isinf(points.sigma_q[1:]).all()


def test_sigma_is_that_of_the_model_but_no_better_than_the_baseline_allows():
    sigma_m = np.full((41, 61), 0.2, np.float32)
    at = np.array([[15.0, 20.0]])
    np.testing.assert_allclose(
        DepthSampler(plane(sigma_m=sigma_m), None, 0).at(at).sigma_q, 0.2 / 4, rtol=1e-6
    )
    rig = StereoRig.simple(61, 41, 50.0, 0.1)
    tiny = np.full((41, 61), 1e-6, np.float32)
    np.testing.assert_allclose(DepthSampler(plane(sigma_m=tiny), rig, 0).at(at).sigma_q, 0.3 / 5)


def test_corners_have_depth_and_lie_where_the_camera_saw():
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 255, (11, 16)), np.ones((4, 4)))[:41, :61].astype(np.uint8)
    seen = np.ones((41, 61), bool)
    seen[:, :20] = False
    found = corners(image, DepthSampler(plane(), None, 0), 40, seen)
    assert 5 < len(found) <= 40 and np.isfinite(found.q).all() and (found.uv[:, 0] >= 20).all()
    assert len(corners(np.zeros((41, 61), np.uint8), DepthSampler(plane(), None, 0), 40, None)) == 0
