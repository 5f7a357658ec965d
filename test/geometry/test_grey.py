from __future__ import annotations

import numpy as np

from recon3d_ros.geometry.grey import to_grey


def test_colours_weigh_as_in_bt_601_and_grey_stays_as_it_is():
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0], image[0, 1], image[0, 2], image[1, 0] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)
    grey = to_grey(image)
    np.testing.assert_array_equal(grey, [[76, 150, 29], [90, 0, 0]])
    assert to_grey(grey) is grey
