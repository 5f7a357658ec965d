from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry import DepthMap, PinholeCamera

CAMERA = PinholeCamera.simple(5, 4, 10.0)
PLANE = np.ones((4, 5), np.float32)


def test_valid_is_finite_and_positive():
    depth = PLANE.copy()
    depth[0] = [np.nan, np.inf, 0.0, -1.0, 2.0]
    assert DepthMap(depth, CAMERA).valid[0].tolist() == [False, False, False, False, True]
    assert DepthMap(depth, CAMERA).valid[1:].all()


@pytest.mark.parametrize("name", ["depth", "disparity", "confidence", "sigma_m"])
@pytest.mark.parametrize("plane", [PLANE.T, PLANE[:3], PLANE.astype(np.float64), PLANE[..., None]])
def test_every_plane_is_on_the_grid_of_the_camera(name, plane):
    DepthMap(PLANE, CAMERA, PLANE, PLANE, PLANE)
    with pytest.raises(ImageError, match=name):
        DepthMap(**({"depth": PLANE, "camera": CAMERA} | {name: plane}))
