from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.filters.speckle import drop_speckles

HEIGHT, WIDTH = 41, 67


def filtered(depth, speckle_px=20, jump=0.05):
    result = depth.copy()
    drop_speckles(result, speckle_px, jump)
    return result


@pytest.mark.parametrize("patch", [0.5, 1.8, 4.0, 15.0, np.inf])
@pytest.mark.parametrize(("rows", "columns", "goes"), [(4, 5, True), (3, 7, False), (1, 1, True)])
def test_small_patches_go_and_what_is_larger_stays(patch, rows, columns, goes):
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[10 : 10 + rows, 20 : 20 + columns] = patch
    result = filtered(depth)
    gone = np.isnan(result)
    assert gone.sum() == (rows * columns if goes else 0)
    np.testing.assert_array_equal(result[~gone], depth[~gone])


@pytest.mark.parametrize("scale", [0.1, 1.0, 25.0])
def test_a_jump_is_relative(scale):
    for step, goes in ((1.03, False), (1.07, True)):
        depth = np.full((HEIGHT, WIDTH), scale, np.float32)
        depth[5:8, 5:8] *= np.float32(step)
        assert np.isnan(filtered(depth)).any() == goes


def test_holes_cut_patches_off():
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[9:15, 19:25] = np.nan
    depth[10:14, 20:24] = 2.0
    assert np.isnan(filtered(depth)[9:15, 19:25]).all()


def test_a_slanted_floor_hangs_together():
    v = np.arange(HEIGHT, dtype=np.float32)[:, None]
    depth = (30 / (v + 2) * np.ones(WIDTH)).astype(np.float32)  # its first rows are 33 % apart
    np.testing.assert_array_equal(filtered(depth, speckle_px=60), depth)


depths = st.floats(0.0009765625, 1e6, width=32) | st.sampled_from([np.nan, np.inf, 0.0])


@given(
    arrays(np.float32, st.tuples(st.integers(1, 13), st.integers(1, 17)), elements=depths),
    st.integers(1, 300),
    st.floats(0.005, 1),
)
def test_nothing_is_invented(depth, speckle_px, jump):
    result = filtered(depth, speckle_px, jump)
    kept = ~np.isnan(result)
    np.testing.assert_array_equal(result[kept], depth[kept])
    if speckle_px >= depth.size:
        assert not kept.any()


@pytest.mark.parametrize("jump", [0.005, 0.05, 0.3])
@pytest.mark.parametrize("base_m", [0.3, 0.97, 1.0, 1.02, 40.0])
def test_the_jump_that_ends_a_patch_is_the_same_at_every_depth(jump, base_m):
    for share, stays in ((0.9, True), (1.1, False)):
        depth = np.full((20, 30), base_m, np.float32)
        depth[8:11, 5:9] = base_m * (1 + jump) ** share
        drop_speckles(depth, 50, jump)
        assert np.isfinite(depth[8:11, 5:9]).all() == stays
