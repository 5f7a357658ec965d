from __future__ import annotations

import numpy as np

from recon3d_ros.files.shape_picture import draw_shape


def test_each_cloud_has_a_row_of_three_views():
    rng = np.random.default_rng(0)
    wide = rng.uniform(-1, 1, (400, 3)) * [1.0, 0.2, 0.5]
    picture = draw_shape(np.full((40, 60, 3), 90, np.uint8), [("one", wide), ("two", wide)], side_px=100)
    assert picture.shape == (200, 400, 3) and picture.dtype == np.uint8
    drawn = (picture[:88] < 255).any(axis=2)
    seen, side, above = (drawn[:, 100 * k : 100 * (k + 1)] for k in (1, 2, 3))
    heights, widths = ([int(view.any(axis=a).sum()) for view in (seen, side, above)] for a in (1, 0))
    assert widths[0] > 1.5 * widths[1] and heights[2] > 1.5 * heights[0]
    assert (picture[:100, :100] == 90).all(axis=2).sum() > 3000


def test_near_points_are_red_and_measured_ones_grey():
    cloud = np.array([[-0.5, 0, 0.0], [0.5, 0, 1.0]] * 20)
    picture = draw_shape(
        np.zeros((9, 9, 3), np.uint8), [("", cloud)], side_px=80, measured=cloud + [0, 0.4, 0]
    )
    tile = picture[:, 80:160].astype(int)
    inked = np.ptp(tile, axis=2) > 5
    red, blue = inked & (tile[..., 0] > tile[..., 2]), inked & (tile[..., 2] > tile[..., 0])
    assert red.any() and blue.any() and np.nonzero(red)[1].mean() < np.nonzero(blue)[1].mean()
    assert (tile == 60).all(axis=2).any()
