"""Whole frames on the GPU by TensorRT: real stages and backend, stand-ins for driver and vendor."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.pipeline import Pipeline, Result

WIDTH, HEIGHT = 160, 96


@pytest.fixture
def gpu(fake_gpu, pycuda, monkeypatch):
    fake_gpu.use_stages(monkeypatch, pycuda)
    return fake_gpu


def frame_of(seed: int, height: int = HEIGHT) -> Frame:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, WIDTH // 8, 3), np.uint8)
    left = cv2.resize(coarse, (WIDTH, height))
    rig = StereoRig.simple(WIDTH, height, fx=100.0, baseline_m=0.1)
    return Frame(seed, left, rig.left, np.roll(left, -5, axis=1), rig)


def pipeline_of(gpu, backend: str = "tensorrt", **options) -> Pipeline:
    config = ModelConfig(model=gpu.path, backend=backend, engine_sizes=("160x96",), threads=1, **options)
    estimator = Estimator.open(config, fall_back=True)
    return Pipeline(estimator, PipelineConfig(max_edge_jump=0.1))


def assert_same(got: Result, expected: Result) -> None:
    for name in ("depth", "disparity", "confidence", "sigma_m"):
        ours, theirs = (getattr(result.depth_map, name) for result in (got, expected))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got.cloud.xyz, expected.cloud.xyz, rtol=1e-4)


@pytest.mark.parametrize("path", ["graph", "stages", "inference"])
def test_clouds_are_those_of_onnx_runtime(gpu, pycuda, path, warned):
    engine, cpu = pipeline_of(gpu, gpu_path=path), pipeline_of(gpu, "onnxruntime")
    for seed in range(4):
        assert_same(engine.process(frame_of(seed)), cpu.process(frame_of(seed)))
    assert engine.estimator.backend_name == "tensorrt" and warned == []
    assert (
        set(engine.estimator.timings_ms)
        == {
            "graph": {"graph"},
            "stages": {"upload", "preprocess", "infer", "postprocess", "download"},
            "inference": {"preprocess", "infer", "postprocess"},
        }[path]
    )
    engine.estimator.close()
    assert pycuda.allocated == {} and pycuda.balanced


def test_who_answered_is_told_under_a_graph_too(gpu):
    engine, answered = pipeline_of(gpu), []
    for seed, height in enumerate([HEIGHT, HEIGHT, HEIGHT, 64, HEIGHT]):
        engine.process(frame_of(seed, height))
        answered.append((engine.estimator.backend_name, engine.estimator.precision))
    fast, slow = ("tensorrt", "fp16"), ("onnxruntime", "fp32")
    assert answered == [fast, fast, fast, slow, fast]
    assert set(engine.estimator.timings_ms) == {"graph"}


def test_an_engine_that_says_it_cannot_be_captured_is_not(gpu, pycuda, warned):
    gpu.module.capturable = False
    engine = pipeline_of(gpu)
    for seed in range(3):
        engine.process(frame_of(seed))
    assert "infer" in engine.estimator.timings_ms and pycuda.library.standin_graphs() == 0
    assert warned == [] and engine.estimator.backend_name == "tensorrt"


def test_an_engine_that_cannot_be_captured_stays_in_use(gpu, pycuda, warned):
    """TensorRT refuses to be captured where its engine has loops; that does not make it a bad one."""
    engine, cpu = pipeline_of(gpu), pipeline_of(gpu, "onnxruntime")
    for seed in range(4):
        # The second frame is taken twice: call by call, and for the capture.
        pycuda.library.standin_fail(b"cuStreamEndCapture", 900)
        assert_same(engine.process(frame_of(seed)), cpu.process(frame_of(seed)))
    assert engine.estimator.backend_name == "tensorrt"
    assert len(warned) == 1 and "without a CUDA graph" in warned[0]
    engine.estimator.close()
    assert pycuda.allocated == {} and pycuda.balanced


@pytest.mark.parametrize("path", ["stages", "inference"])
@pytest.mark.parametrize("when", [1, 3])
def test_an_engine_that_fails_costs_no_frame(gpu, pycuda, when, path, warned):
    engine, cpu = pipeline_of(gpu, gpu_path=path), pipeline_of(gpu, "onnxruntime")
    for seed in range(5):
        gpu.module.dies = seed >= when
        assert_same(engine.process(frame_of(seed)), cpu.process(frame_of(seed)))
    assert engine.estimator.backend_name == "onnxruntime"
    assert "the GPU failed" in warned[0] and "ONNX Runtime is used instead" in warned[0]
    assert len(warned) == (2 if path == "stages" else 1)
    engine.estimator.close()
    assert pycuda.balanced and pycuda.allocated == {}


def test_an_engine_that_fails_outside_its_graph_leaves_nothing(gpu, pycuda, warned):
    """Raw answers go by `infer`, while the stages hold a graph and memory."""
    engine = pipeline_of(gpu)
    for seed in range(3):
        engine.process(frame_of(seed))
    assert pycuda.library.standin_graphs() == 1
    gpu.module.dies = True
    engine.estimator.estimate_raw(frame_of(3))
    gpu.module.dies = False
    engine.process(frame_of(4))
    assert engine.estimator.backend_name == "onnxruntime" and len(warned) == 1
    engine.estimator.close()
    assert pycuda.library.standin_graphs() == 0 and pycuda.allocated == {} and pycuda.balanced
