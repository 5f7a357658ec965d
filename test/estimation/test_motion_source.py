"""Depth from motion as an estimator: what is blind is empty and told, and a pipeline takes it as any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.config.motion import MotionConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimation.motion_source import MotionEstimator
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.world.rendering.render import build_lighting, render_stereo
from recon3d_ros.world.scenes.indoor import look_at
from recon3d_ros.world.scenes.showcase import living_room

SIZE_WH = (240, 176)
RIG = StereoRig.simple(*SIZE_WH, 0.82 * SIZE_WH[0], 0.1)
MODEL = ModelConfig(model="recon3d_stereo_light", backend="onnxruntime")


@pytest.fixture(scope="module")
def views():
    """Three images of a camera that moves to the right by 0.3 m each, and their depth."""
    place = living_room(3)
    lighting = build_lighting(place.scene)
    start, found = look_at(place.path.centre, place.path.target), []
    for i in range(3):
        pose = start.copy()
        pose[:3, 3] += 0.3 * i * start[:3, 0]
        sample = render_stereo(place.scene, RIG, pose, gain=place.gain, lighting=lighting)
        frame = Frame(i, sample.frame.image, RIG.left, name=f"view {i}", T_world_camera=pose)
        found.append((frame, sample.depth))
    return found


def test_a_pipeline_goes_on_where_there_is_no_depth(views):
    estimator = MotionEstimator.open(MODEL, MotionConfig(motion_parallax_px=25.0))
    pipeline = Pipeline(estimator, PipelineConfig())
    results = [pipeline.process(frame) for frame, _ in views]
    unposed = pipeline.process(replace(views[0][0], name="lost", T_world_camera=None))
    estimator.close()
    for blind in (results[0], unposed):
        assert np.isnan(blind.depth_map.depth).all() and not blind.depth_map.confidence.any()
    assert list(estimator.blind) == ["view 0", "lost"]
    assert estimator.summary.startswith("2 of 4 frames have no depth from motion, first view 0: expected")
    assert "a pose of the image" in estimator.blind["lost"]
    for result, (_, exact) in zip(results[1:], views[1:]):
        sure = result.depth_map.confidence > 0.9
        assert sure.mean() > 0.3
        assert np.median(np.abs(result.depth_map.depth[sure] / exact[sure] - 1)) < 0.03
        assert np.isfinite(result.cloud.points().xyz).all()


def test_mono_depth_fills_what_motion_does_not_show(views):
    maps = {}
    for fill in ("", "auto"):
        estimator = MotionEstimator.open(MODEL, MotionConfig(motion_parallax_px=25.0, motion_fill=fill))
        for frame, _ in views:
            maps[fill] = estimator.estimate(frame)
        assert not estimator.unfilled or fill
        estimator.close()
    plain, filled = maps[""], maps["auto"]
    new = ~plain.valid & filled.valid
    assert new.mean() > 0.05
    assert filled.confidence[new].max() <= 0.45
    np.testing.assert_array_equal(filled.depth[plain.valid], plain.depth[plain.valid])
    exact = views[-1][1]
    finite = new & np.isfinite(exact)
    assert np.median(np.abs(filled.depth[finite] / exact[finite] - 1)) < 0.3


def test_a_mono_model_is_refused():
    with pytest.raises(ConfigError, match="stereo model"):
        MotionEstimator.open(ModelConfig(model="recon3d_mono"), MotionConfig())
