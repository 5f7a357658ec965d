"""Both views of one image come out as they went in."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.errors import ImageError
from recon3d_ros.geometry.stereo_layout import split_views


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
@pytest.mark.parametrize(("layout", "axis"), [("side_by_side", 1), ("top_bottom", 0)])
def test_the_views_come_back(shape, layout, axis):
    rng = np.random.default_rng(0)
    left, right = (rng.integers(0, 256, shape, np.uint8) for _ in range(2))
    views = split_views(np.concatenate([left, right], axis), layout)
    for view, expected in zip(views, (left, right)):
        assert np.array_equal(view, expected) and view.flags.c_contiguous


@pytest.mark.parametrize(("layout", "said"), [("side_by_side", "columns"), ("top_bottom", "rows")])
def test_an_odd_size_is_refused(layout, said):
    with pytest.raises(ImageError, match=f"even number of {said}"):
        split_views(np.zeros((3, 5, 3), np.uint8), layout)
