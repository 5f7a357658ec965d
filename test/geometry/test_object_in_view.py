from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.geometry.object_in_view import ObjectInView, box_of


def test_the_box_is_that_of_the_mask():
    mask = np.zeros((7, 11), bool)
    mask[2:5, 3] = mask[4, 3:9] = True
    assert box_of(mask) == (3.0, 2.0, 6.0, 3.0)
    with pytest.raises(ImageError, match="one of zeros"):
        box_of(np.zeros((7, 11), bool))


def test_a_sample_that_shows_no_object_is_refused():
    camera = PinholeCamera.simple(11, 7, 10.0)
    image, points = np.zeros((7, 11, 3), np.uint8), np.ones((4, 3), np.float32)
    mask = np.ones((7, 11), bool)
    good = ObjectInView(image, mask, camera, points, points[:0])
    assert good.box == (0.0, 0.0, 11.0, 7.0)
    for wrong in (
        (image, ~mask, points),
        (image[:, :5], mask, points),
        (image, mask, points[:0]),
        (image, mask, points[:, :2]),
    ):
        with pytest.raises(ImageError, match="mask that shows an object"):
            ObjectInView(wrong[0], wrong[1], camera, wrong[2], points)
