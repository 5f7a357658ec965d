"""ONNX Runtime on a GPU: its real bindings, to memory of the stand-in for the driver, in place of CUDA's."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.backends import onnxruntime_cuda, open_backend
from recon3d_ros.backends.base import device_of_backend
from recon3d_ros.backends.gpu import Gpu
from recon3d_ros.backends.onnxruntime_cuda import OnnxRuntimeCudaBackend
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.errors import BackendError, MissingDependencyError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.pipeline import Pipeline

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate provider")  # CUDA's place is taken by the CPU's


@pytest.fixture
def on_stand_in(pycuda, monkeypatch):
    """Its computing is put into the stream, where CUDA's would be; answers a way to make it fail."""
    monkeypatch.setattr(onnxruntime_cuda, "find_gpu", lambda: Gpu("Stand-in", "8.7", "580", "13.0"))
    monkeypatch.setattr(onnxruntime_cuda, "_PROVIDER", "CPUExecutionProvider")
    monkeypatch.setattr(onnxruntime_cuda, "_MEMORY", "cpu")
    real = OnnxRuntimeCudaBackend._start
    fails: list[Exception] = []

    def start(self, binding, options) -> None:
        if fails:
            raise fails[0]
        pycuda.put(self.device.stream_handle, lambda: real(self, binding, options))

    monkeypatch.setattr(OnnxRuntimeCudaBackend, "_start", start)
    return fails


def frame_of(seed: int, width: int = 64, height: int = 48) -> Frame:
    left, right = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), np.uint8)
    rig = StereoRig.simple(width, height, fx=50.0, baseline_m=0.1)
    return Frame(seed, left, rig.left, right, rig)


def pipeline_of(path, backend: str) -> Pipeline:
    config = ModelConfig(model=str(path), backend=backend, threads=1)
    return Pipeline(Estimator.open(config, fall_back=True), PipelineConfig())


@pytest.mark.parametrize("shrink", [1, 2])
def test_frames_stay_on_the_gpu(on_stand_in, pycuda, tiny_model, shrink, warned):
    path = tiny_model(factor=0.1, shrink=shrink)
    gpu, cpu = (pipeline_of(path, name) for name in ("onnxruntime_cuda", "onnxruntime"))
    for seed, size in enumerate([(64, 48), (64, 48), (64, 48), (96, 40), (64, 48)]):
        got, expected = (pipeline.process(frame_of(seed, *size)) for pipeline in (gpu, cpu))
        np.testing.assert_allclose(got.depth_map.depth, expected.depth_map.depth, rtol=1e-5)
        assert set(got.timings_ms) == {"estimate", "finish"}
        assert "infer" in gpu.estimator.timings_ms  # no graph: its memory moves
    assert gpu.estimator.backend_name == "onnxruntime_cuda" and warned == []
    gpu.estimator.close()
    assert pycuda.allocated == {} and pycuda.balanced and pycuda.library.standin_graphs() == 0


def test_it_computes_in_the_stream_of_the_frame(on_stand_in, pycuda, tiny_model, monkeypatch):
    backend = open_backend("onnxruntime_cuda", load_manifest(tiny_model()))
    stream = str(backend.device.stream_handle)
    assert backend._providers()[0] == (
        onnxruntime_cuda._PROVIDER,
        {"device_id": "0", "user_compute_stream": stream},
    )
    seen = []
    monkeypatch.setattr(backend, "_start", lambda binding, options: seen.append(options))
    with backend.device.active():
        shapes = {name: (1, 3, 16, 24) for name in ("left", "right")}
        memory = {name: pycuda.driver.mem_alloc(4 * 3 * 16 * 24) for name in (*shapes, "answer")}
        backend.bind(shapes)
        backend.enqueue({name: int(at) for name, at in memory.items()}, backend.device.stream_handle)
        assert seen[0].get_run_config_entry("disable_synchronize_execution_providers") == "1"
        with pytest.raises(BackendError, match="not captured"):
            backend.capture({}, backend.device.stream_handle)
    del memory
    backend.close()


def test_a_pycuda_that_cannot_be_used_is_as_good_as_none(on_stand_in, pycuda, tiny_model, monkeypatch):
    monkeypatch.setattr(pycuda.driver, "get_driver_version", lambda: 11040)
    backend = open_backend("onnxruntime_cuda", load_manifest(tiny_model()))
    assert backend.device is None
    backend.close()


def test_without_pycuda_inference_alone_is_on_the_gpu(on_stand_in, tiny_model, monkeypatch):
    monkeypatch.setattr(onnxruntime_cuda.importlib.util, "find_spec", lambda name: None)
    manifest = load_manifest(tiny_model())
    backend = open_backend("onnxruntime_cuda", manifest)
    assert device_of_backend(backend) is None
    feed = {name: np.ones((1, 3, 16, 24), np.float32) for name in ("left", "right")}
    expected = open_backend("onnxruntime", manifest).infer(feed)["answer"]
    np.testing.assert_array_equal(backend.infer(feed)["answer"], expected)
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(feed)


def test_a_gpu_that_fails_costs_no_frame(on_stand_in, pycuda, tiny_model, warned):
    path = tiny_model(factor=0.1)
    gpu, cpu = (pipeline_of(path, name) for name in ("onnxruntime_cuda", "onnxruntime"))
    for seed in range(4):
        if seed == 2:
            on_stand_in.append(RuntimeError("CUDA failure 700:\n an illegal memory access"))
        got, expected = (pipeline.process(frame_of(seed)) for pipeline in (gpu, cpu))
        np.testing.assert_allclose(got.depth_map.depth, expected.depth_map.depth, rtol=1e-5)
    assert gpu.estimator.backend_name == "onnxruntime"
    assert "CUDA failure 700: an illegal" in warned[0] and "ONNX Runtime is used instead" in warned[0]
    gpu.estimator.close()
    assert pycuda.allocated == {} and pycuda.balanced


def test_the_package_without_cuda_is_named(tiny_model, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        MissingDependencyError,
        match=r"onnxruntime-gpu.*-m pip uninstall onnxruntime, then .*cuda",
    ):
        open_backend("onnxruntime_cuda", load_manifest(tiny_model()))


def test_a_cuda_that_does_not_start_is_no_slow_success(on_stand_in, tiny_model, monkeypatch, warned):
    """ONNX Runtime would go on with the CPU, as it does for a provider whose libraries are missing."""
    monkeypatch.setattr(OnnxRuntimeCudaBackend, "_providers", lambda self: ["CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime_cuda, "_PROVIDER", "AzureExecutionProvider")
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["AzureExecutionProvider"])
    path = tiny_model()
    with pytest.raises(MissingDependencyError, match="could not start CUDA"):
        open_backend("onnxruntime_cuda", load_manifest(path))
    pipeline = pipeline_of(path, "onnxruntime_cuda")
    assert pipeline.estimator.backend_name == "onnxruntime"
    assert (
        len(warned) == 1 and "could not start CUDA" in warned[0] and "on the CPU is used instead" in warned[0]
    )


def test_without_a_gpu(on_stand_in, tiny_model, monkeypatch):
    monkeypatch.setattr(onnxruntime_cuda, "find_gpu", lambda: None)
    with pytest.raises(BackendError, match="nvidia-smi"):
        open_backend("onnxruntime_cuda", load_manifest(tiny_model()))
