from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.filters.evidence import require_confidence, require_texture


def test_less_confident_depth_goes_and_so_does_a_doubtful_sky():
    depth = np.array([[1, 2, np.inf, np.inf, 3, np.nan]], np.float32)
    confidence = np.array([[0.5, 0.49, 0.9, 0.1, np.nan, 1.0]], np.float32)
    require_confidence(depth, confidence, 0.5)
    np.testing.assert_array_equal(depth, [[1, np.nan, np.inf, np.nan, np.nan, np.nan]])


@given(arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 33))), st.floats(0.5, 100))
def test_texture_is_the_mean_difference_along_the_rows(image, min_texture):
    """Away from the border, where OpenCV's and this mirror differ."""
    depth = np.full(image.shape, 2.0, np.float32)
    require_texture(depth, image, min_texture)
    change = np.zeros(image.shape)
    change[:, 1:] = np.abs(np.diff(image.astype(int), axis=1))
    for v in range(5, image.shape[0] - 5):
        for u in range(5, image.shape[1] - 5):
            mean = change[v - 5 : v + 6, u - 5 : u + 6].sum() / 121
            assert np.isnan(depth[v, u]) == (mean < min_texture)


@pytest.mark.parametrize("colour", [False, True])
def test_blank_surfaces_go_and_so_do_edges_along_the_rows(colour):
    image = np.full((60, 95), 120, np.uint8)
    image[:, 30:60] += np.random.default_rng(0).integers(0, 40, (60, 30), np.uint8)
    image[30:, 65:] = 200  # one long edge along a row tells nothing of disparity
    if colour:
        image = np.repeat(image[..., None], 3, axis=2)
    depth = np.full((60, 95), 2.0, np.float32)
    depth[:, 90:] = np.inf
    require_texture(depth, image, 2.0)
    assert np.isfinite(depth[:, 33:57]).all()
    assert np.isnan(depth[:, :24]).all() and np.isnan(depth[:, 72:]).all()
