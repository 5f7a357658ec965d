"""Smoothing, sharpening and warping on scenes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.datasets.stereo.synthesis import right_view, sharpen_edges, smooth_depth

HEIGHT, WIDTH, QUANTUM = 90, 140, 0.04


def test_terraces_become_slopes_and_edges_stay():
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    true = 1.5 + 0.002 * u + 0.004 * v
    true[30:60, 40:80] = 1.0 + 0.001 * u[30:60, 40:80]
    stored = (np.floor(true / QUANTUM) + 0.5) * QUANTUM
    smooth = smooth_depth(stored.astype(np.float32), QUANTUM)
    assert np.abs(smooth - stored).max() < 0.5 * QUANTUM + 0.01
    error, before = np.abs(smooth - true), np.abs(stored - true)
    assert error.mean() < 0.35 * before.mean()
    steps = np.abs(np.diff(smooth, axis=1))
    edges = np.abs(np.diff(true, axis=1)) > 0.2
    assert steps[edges].min() > 0.2  # nothing leaks through an edge
    assert np.percentile(steps[~edges], 99) < 0.5 * QUANTUM < np.abs(np.diff(stored, axis=1))[~edges].max()


def test_a_ramp_becomes_a_step_and_a_slope_stays():
    profile = np.concatenate([np.full(30, 1.0), np.linspace(1.0, 3.0, 6)[1:-1], np.full(30, 3.0)])
    depth = np.tile(profile, (20, 1)).astype(np.float32)
    sharp = sharpen_edges(depth)
    assert set(np.unique(sharp)) == {1.0, 3.0}
    slope = np.tile(np.linspace(2.0, 4.0, 100), (20, 1)).astype(np.float32)
    np.testing.assert_array_equal(sharpen_edges(slope), slope)


@pytest.mark.parametrize("slope", [-0.2, 0.0, 0.3])
def test_a_slanted_plane_lands_between_the_pixels_where_it_should(slope: float):
    u = np.arange(WIDTH, dtype=np.float32)
    disparity = np.tile(20.3 + slope * (u - WIDTH / 2), (HEIGHT, 1)).astype(np.float32)

    def brightness(x):
        return 127 + 100 * np.sin(x / 9)

    image = np.repeat(np.rint(np.tile(brightness(u), (HEIGHT, 1)))[..., None], 3, axis=2).astype(np.uint8)
    view = right_view(image, disparity)
    # x_right = x - 20.3 - slope (x - W / 2)
    x = (u + 20.3 - slope * WIDTH / 2) / (1 - slope)
    inside = (x >= 0) & (x <= WIDTH - 1)
    assert (~view.hole[:, inside]).all() and view.hole[:, (x < -1) | (x > WIDTH)].all()
    error = np.abs(view.image[:, inside, 1].astype(float) - brightness(x[inside]))
    assert error.max() < 2.0  # a shift by half a pixel would make 5
    np.testing.assert_array_equal(view.seen[0], (u - disparity[0] >= 0) & (u - disparity[0] <= WIDTH - 1))


def test_what_stands_in_front_hides_and_uncovers():
    disparity = np.full((HEIGHT, WIDTH), 10.0, np.float32)
    disparity[20:50, 60:90] = 30.0
    image = np.where(disparity > 20, 200, 50).astype(np.uint8)[..., None]
    view = right_view(image, disparity)
    row = 30
    assert (view.image[row, 31:59, 0] == 200).all()  # 60 - 30 to 90 - 30
    # what lands on columns 30 to 59 is behind it: left columns 40 to 69, of which 60 on are in front
    hidden = np.arange(40, 60)
    assert not view.seen[row, hidden[1:]].any() and view.seen[row, 60:90].all() and view.seen[row, 91:].all()
    # background left of 60 ends at 49, right of 89 begins at 80; 30 to 59 are covered
    assert view.hole[row, 62:79].all() and not view.hole[row, 80:129].any()
    assert view.hole[row, 132:].all()  # beyond the left image
    assert not view.seen[:, :10].any() and view.seen[0, 10:].all()
