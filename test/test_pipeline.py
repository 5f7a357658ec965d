from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from recon3d_ros.backends import open_backend
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.contract import OutputContract
from recon3d_ros.errors import ConfigError
from recon3d_ros.estimator import Estimator
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.zoo import BUILT_IN

WIDTH, HEIGHT = 61, 47
HEAVY = ("rclpy", "torch", "tensorrt", "onnxruntime", "onnx", "pycuda", "open3d", "rosbags")


@pytest.fixture
def frame() -> Frame:
    """The fake answers disparities of about 1.2 to 6.5 px for it: depths of about 1 to 5 m."""
    left, right = np.random.default_rng(0).integers(0, 255, (2, HEIGHT, WIDTH, 3), np.uint8)
    rig = StereoRig.simple(WIDTH, HEIGHT, fx=50.0, baseline_m=0.13)
    return Frame(7, left, rig.left, right, rig)


@pytest.fixture
def estimator() -> Estimator:
    return Estimator.open(ModelConfig(model="fake_stereo"))


def test_importing_the_core_loads_nothing_heavy() -> None:
    """Also with a model open: the fake needs none of them either."""
    code = (
        "import sys, recon3d_ros.pipeline as p;"
        "from recon3d_ros.config import ModelConfig, PipelineConfig;"
        "p.Pipeline(p.Estimator.open(ModelConfig(model='fake_stereo')), PipelineConfig());"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cloud_lies_where_the_depth_says(frame: Frame, estimator: Estimator) -> None:
    result = Pipeline(estimator, PipelineConfig()).process(frame)
    depth, camera = result.depth_map.depth, frame.camera
    assert np.isfinite(depth).all()
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    expected = np.stack(
        [(u - camera.cx) / camera.fx * depth, (v - camera.cy) / camera.fy * depth, depth], axis=2
    )
    np.testing.assert_allclose(result.cloud.xyz, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(result.cloud.rgb, frame.image)
    assert list(result.timings_ms) == ["estimate", "filter", "cloud"]
    assert all(time >= 0 for time in result.timings_ms.values())


def test_depth_limits_and_border(frame: Frame, estimator: Estimator) -> None:
    plain = estimator.estimate(frame)
    config = PipelineConfig(min_depth_m=1.5, max_depth_m=2.5, border_px=3)
    result = Pipeline(estimator, config).process(frame)
    depth = result.depth_map.depth
    inner = np.zeros((HEIGHT, WIDTH), bool)
    inner[3:-3, 3:-3] = True
    near, far = plain.depth < 1.5, plain.depth > 2.5
    for part in (inner & near, inner & far, inner & ~near & ~far):
        assert part.any()
    np.testing.assert_array_equal(np.isnan(depth), ~inner | near)
    np.testing.assert_array_equal(np.isposinf(depth), inner & far)
    kept = inner & ~near & ~far
    np.testing.assert_array_equal(depth[kept], plain.depth[kept])
    np.testing.assert_array_equal(result.cloud.valid, kept)
    # the disparity is missing where the depth is invalid, and stays where it is only far
    np.testing.assert_array_equal(
        result.depth_map.disparity, np.where(~inner | near, np.nan, plain.disparity)
    )


def test_cloud_goes_into_the_given_memory_or_is_left_out(frame: Frame, estimator: Estimator) -> None:
    pipeline = Pipeline(estimator, PipelineConfig())
    message = bytearray(HEIGHT * WIDTH * 16)
    into = np.frombuffer(message, np.float32).reshape(HEIGHT, WIDTH, 4)
    result = pipeline.process(frame, cloud_into=into)
    assert result.cloud.data is into and into[20, 30, 2] == result.depth_map.depth[20, 30]
    without = pipeline.process(frame, want_cloud=False)
    assert without.cloud is None and list(without.timings_ms) == ["estimate", "filter"]


def test_camera_may_change_between_frames(frame: Frame, estimator: Estimator) -> None:
    pipeline = Pipeline(estimator, PipelineConfig())
    first = pipeline.process(frame).cloud.xyz
    rig = StereoRig.simple(WIDTH, HEIGHT, fx=50.0, baseline_m=0.13, cx=20.0)
    moved = pipeline.process(dataclasses.replace(frame, camera=rig.left, rig=rig)).cloud.xyz
    assert not np.allclose(moved[..., 0], first[..., 0])
    np.testing.assert_allclose(moved[20, 20, 0], 0.0, atol=1e-6)
    np.testing.assert_array_equal(pipeline.process(frame).cloud.xyz, first)


def test_model_without_metres_is_refused_at_once() -> None:
    manifest = dataclasses.replace(
        BUILT_IN["fake_mono"],
        task="mono_relative_inverse_depth",
        output=OutputContract("relative", "relative_inverse_depth"),
    )
    with pytest.raises(ConfigError, match="use a metric or a stereo model"):
        Pipeline(Estimator(manifest, open_backend("fake", manifest)), PipelineConfig())
