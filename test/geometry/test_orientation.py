from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.geometry import Frame, PinholeCamera, upright, upright_frame

CAMERA = PinholeCamera.simple(31, 17, 40.0, 14.0, 9.5, 42.0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_turns_with_the_pixels(orientation):
    """A pixel keeps its angle to the axis, and its validity."""
    v, u = np.mgrid[:17, :31]
    image = np.stack([u, v, 0 * u], axis=2).astype(np.uint8)
    valid = (u + v) % 3 > 0
    frame = upright_frame(Frame(3, image, CAMERA, valid=valid, name="a"), orientation)
    assert frame.name == "a" and frame.stamp_ns == 3
    rows, columns = np.indices(frame.image.shape[:2])
    turned = np.stack(
        [(columns - frame.camera.cx) / frame.camera.fx, (rows - frame.camera.cy) / frame.camera.fy]
    )
    stored_u, stored_v = frame.image[..., 0].astype(int), frame.image[..., 1].astype(int)
    stored = np.stack([(stored_u - 14.0) / 40.0, (stored_v - 9.5) / 42.0])
    np.testing.assert_allclose(np.hypot(*turned), np.hypot(*stored), atol=1e-9)
    np.testing.assert_array_equal(frame.valid, valid[stored_v, stored_u])


def test_what_is_upright_stays_the_same():
    image = np.zeros((4, 5), np.uint8)
    assert upright(image, 1) is image
