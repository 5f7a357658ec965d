from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d_ros.config import PipelineConfig, options
from recon3d_ros.filters import DepthFilters
from recon3d_ros.geometry import DepthMap, Frame, PinholeCamera, StereoRig

WIDTH, HEIGHT = 19, 13
CAMERA = PinholeCamera.simple(WIDTH, HEIGHT, 20.0)
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
FRAME = Frame(0, IMAGE, CAMERA)


def test_only_the_limits_are_on_by_default():
    assert [name for name, _ in DepthFilters(PipelineConfig()).steps] == ["limits"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("border", {"border_px": 1}),
        ("confidence", {"min_confidence": 0.1}),
        ("texture", {"min_texture": 0.1}),
        ("edges", {"max_edge_jump": 0.1}),
        ("speckle", {"speckle_px": 1}),
        ("temporal", {"temporal_weight": 0.1}),
    ],
)
def test_each_is_turned_on_by_its_own_option(name, values):
    assert [step for step, _ in DepthFilters(PipelineConfig(**values)).steps] == ["limits", name]


def test_confidence_is_asked_of_models_that_answer_it():
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    filters = DepthFilters(PipelineConfig(min_confidence=0.6))
    assert np.isfinite(filters.apply(DepthMap(depth, CAMERA), FRAME).depth).all()
    unsure = DepthMap(depth, CAMERA, confidence=np.full_like(depth, 0.5))
    assert np.isnan(filters.apply(unsure, FRAME).depth).all()


def test_the_depth_that_limits_cut_out_is_no_patch_and_no_edge():
    """Order matters: what is out of range is +Inf before patches are counted."""
    depth = np.full((HEIGHT, WIDTH), 30.0, np.float32)
    depth[2:4, 2:4] = 2.0
    depth[8, 8] = 29.0  # with the far wall it is sky, and no patch of its own
    result = DepthFilters(PipelineConfig(speckle_px=4)).apply(DepthMap(depth, CAMERA), FRAME).depth
    assert np.isnan(result[2:4, 2:4]).all() and np.isnan(result).sum() == 4
    assert result[8, 8] == np.inf


def test_nothing_is_copied_where_nothing_changes():
    estimate = DepthMap(np.full((HEIGHT, WIDTH), 2.0, np.float32), CAMERA)
    assert DepthFilters(PipelineConfig()).apply(estimate, FRAME) is estimate
    assert DepthFilters(PipelineConfig(border_px=1)).apply(estimate, FRAME) is not estimate
    estimate.depth[3, 4] = np.nan
    assert DepthFilters(PipelineConfig()).apply(estimate, FRAME) is not estimate


depths = st.floats(0.125, 60, width=32) | st.sampled_from([np.nan, np.inf])
configs = st.builds(
    PipelineConfig,
    min_depth_m=st.floats(0, 1),
    max_depth_m=st.floats(2, 100),
    border_px=st.integers(0, 3),
    min_confidence=st.floats(0, 1),
    min_texture=st.sampled_from([0.0, 20.0, 80.0]),
    max_edge_jump=st.sampled_from([0.0, 0.01, 0.3]),
    speckle_px=st.integers(0, 9),
    temporal_weight=st.sampled_from([0.0, 0.7]),
)


@given(arrays(np.float32, (2, HEIGHT, WIDTH), elements=depths, fill=st.just(np.float32(3.0))), configs)
def test_no_filter_invents_depth_and_disparity_goes_along(frames, config):
    rig = StereoRig.simple(WIDTH, HEIGHT, 20.0, 0.3, doffs_px=1.5)
    frame = Frame(0, IMAGE, rig.left, IMAGE, rig)
    confidence = np.linspace(0, 1, WIDTH * HEIGHT, dtype=np.float32).reshape(HEIGHT, WIDTH)
    filters = DepthFilters(config)
    for depth in frames:
        before = depth.copy()
        estimate = DepthMap(depth, rig.left, rig.disparity_from_depth(depth), confidence)
        result = filters.apply(estimate, frame)
        np.testing.assert_array_equal(depth, before)
        kept = np.isfinite(result.depth)
        assert np.isfinite(depth[kept]).all()
        assert (np.isinf(result.depth) <= (depth > np.float32(config.max_depth_m))).all()
        moved = np.abs(result.depth[kept] / depth[kept] - 1)
        assert (moved <= (config.temporal_jump if config.temporal_weight else 0)).all()
        np.testing.assert_array_equal(np.isnan(result.disparity), np.isnan(result.depth))
        np.testing.assert_allclose(
            rig.depth_from_disparity(result.disparity[kept]), result.depth[kept], rtol=1e-3
        )


def test_the_page_about_filters_names_every_option():
    page = (Path(__file__).parents[2] / "docs" / "filters.md").read_text(encoding="utf-8")
    missing = [spec.name for spec in options(PipelineConfig) if f"`{spec.name}`" not in page]
    assert not missing
