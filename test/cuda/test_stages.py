"""A frame on the GPU, with kernels run as host code: through the estimator, as the node drives it."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recon3d_ros.backends import open_backend
from recon3d_ros.backends.base import device_of_backend
from recon3d_ros.config import PipelineConfig, ScaleConfig
from recon3d_ros.cuda.context import Device
from recon3d_ros.cuda.kernels import Kernels
from recon3d_ros.errors import BackendError, ConfigError, ContractError, MissingDependencyError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.files import write_image
from recon3d_ros.geometry import Frame, FrameRectifier, StereoRig
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.registry import BUILT_IN
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.pipeline import Pipeline, RequestedOutputs
from recon3d_ros.scale import ScaleRecovery
from test.raw_cameras import SIZE_WH, raw_rigs


def frame_of(width: int, height: int, seed: int = 0, grey: bool = False) -> Frame:
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, 255, (2, height, width) if grey else (2, height, width, 3), np.uint8)
    rig = StereoRig.simple(width, height, fx=0.8 * width, baseline_m=0.12, doffs_px=-2.0)
    return Frame(7, left, rig.left, right, rig)


class GpuBackend:
    """The fake backend, behind device addresses."""

    def __init__(self, manifest, pycuda) -> None:
        self._inner, self._pycuda, self._manifest = open_backend("fake", manifest), pycuda, manifest
        self.device: Device | None = Device()
        self.name, self.precision, self.can_capture = "gpu", "fp32", True
        self.inputs, self.outputs = self._inner.inputs, self._inner.outputs
        self.inferred = self.enqueued = self.captured = 0
        self.refuses: Exception | None = None
        self.refuses_capture: Exception | None = None
        self.captures_as: float | None = 1.0

    def bind(self, inputs):
        self._shapes = dict(inputs)
        zeros = {name: np.zeros(shape, self.inputs[0].dtype) for name, shape in inputs.items()}
        answers = self._inner.infer(zeros)
        return {name: TensorSpec(name, array.dtype.name, array.shape) for name, array in answers.items()}

    def enqueue(self, pointers, stream) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.enqueued += 1
        self._put(pointers, stream)

    def capture(self, pointers, stream) -> None:
        if self.refuses_capture is not None:
            raise self.refuses_capture
        self.captured += 1
        if self.captures_as is not None:
            self._put(pointers, stream, self.captures_as)

    def _put(self, pointers, stream, factor: float = 1.0) -> None:
        assert stream == self.device.stream_handle and self._pycuda.depth
        shapes = dict(self._shapes)

        def run() -> None:
            feed = {name: self._view(pointers[name], shape) for name, shape in shapes.items()}
            for name, array in self._inner.infer(feed).items():
                self._view(pointers[name], array.shape)[...] = array * factor

        self._pycuda.put(stream, run)

    def infer(self, feed):
        self.inferred += 1
        return self._inner.infer(feed)

    def close(self) -> None:
        if self.device is not None:
            self.device.close()

    def _view(self, address: int, shape) -> np.ndarray:
        count = int(np.prod(shape))
        assert self._pycuda.allocated[address] == 4 * count
        return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)


def manifest_of(**changes):
    manifest = BUILT_IN["fake_stereo"]
    contract = InputContract(
        ("left", "right"), scale=1 / 255, mean=(0.4, 0.5, 0.45), std=(0.2, 0.25, 0.3), color="bgr",
        multiple_of=16, max_size_wh=(96, 64),
    )  # fmt: skip
    output = OutputContract("d", "px", confidence="c", sigma="s", scale=0.5)
    return dataclasses.replace(manifest, input=contract, output=output, **changes)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(("width", "height"), [(61, 47), (201, 97)])
def test_the_same_depth_map_as_on_the_cpu(pycuda, width, height, grey, warned):
    manifest = manifest_of()
    backend = GpuBackend(manifest, pycuda)
    gpu, cpu = (
        Estimator(manifest, backend),
        Estimator(manifest, open_backend("fake", manifest)),
    )
    for seed in (1, 2, 3, 4):  # in the same memory; from the third one on by a CUDA graph
        frame = frame_of(width, height, seed, grey)
        got, expected = gpu.estimate(frame), cpu.estimate(frame)
        for name in ("depth", "disparity", "confidence", "sigma_m"):
            # The fake answers by the mean of its inputs, which cv2 rounds to whole levels.
            np.testing.assert_allclose(getattr(got, name), getattr(expected, name), rtol=2e-3)
    assert (backend.enqueued, backend.captured, backend.inferred, warned) == (2, 1, 0, [])
    assert pycuda.calls.count("compile") == 1 and pycuda.calls.count("prepare") == 3
    assert gpu.timings_ms == {"graph": 1.0}
    gpu.close()
    assert pycuda.allocated == {} and pycuda.balanced


def same_where_certain(got, expected, frame: Frame, mask: np.ndarray) -> None:
    """Two results of one frame; only where the match lies halfway between two pixels may one know more.

    The fake answers by the mean of its inputs, which cv2 rounds to whole levels: disparities of GPU and CPU
    differ by up to 0.2 %.
    """
    ours, theirs = got.depth_map, expected.depth_map
    plain = np.nan_to_num(theirs.disparity, nan=np.nan_to_num(ours.disparity))
    disparity = np.where(np.isnan(plain), 0, plain).astype(np.float32)
    either = [frame.seen(disparity * np.float32(share)) for share in (0.997, 0.9985, 1, 1.0015, 1.003)]
    certain = np.ones(mask.shape, bool)
    if either[0] is not None:
        certain = np.all(either, axis=0) | ~np.any(either, axis=0)
    for name in ("depth", "disparity", "confidence", "sigma_m"):
        mine, other = (getattr(each, name)[certain] for each in (ours, theirs))
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(other))
        np.testing.assert_allclose(mine, other, rtol=2e-3)
    unseen = (mask == 0) if frame.valid is None else (mask == 0) | ~frame.valid
    assert np.isnan(ours.depth[unseen]).all() and not got.cloud.valid[unseen].any()
    assert not ours.confidence[unseen].any()


def test_what_no_camera_saw_goes_over_the_gpu_too(pycuda, tmp_path, warned):
    """And so does the region of interest: both are planes of the frame; frames with and without alternate."""
    manifest = manifest_of()
    gpu, cpu = (
        Estimator(manifest, GpuBackend(manifest, pycuda)),
        Estimator(manifest, open_backend("fake", manifest)),
    )
    mask = np.full((47, 61), 255, np.uint8)
    mask[30:, :20] = 0
    write_image(tmp_path / "mask.png", mask)
    config = PipelineConfig(roi_mask=str(tmp_path / "mask.png"), max_depth_m=1.5)
    pipelines = Pipeline(gpu, config), Pipeline(cpu, config)
    rng = np.random.default_rng(0)
    for seed in range(6):
        frame = frame_of(61, 47, seed)
        if seed % 2:
            frame = frame.restricted(*(rng.random((2, 47, 61)) > 0.2))
        got, expected = (pipeline.process(frame) for pipeline in pipelines)
        assert set(got.timings_ms) == {"estimate", "finish"}
        same_where_certain(got, expected, frame, mask)
    assert warned == []
    gpu.close()
    assert pycuda.allocated == {} and pycuda.balanced


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rig=raw_rigs(), seed=st.integers(0, 2**32 - 1))
def test_no_calibration_lets_out_on_the_gpu_what_was_not_seen(pycuda, tmp_path, rig, seed):
    """Behind any lenses, any P and any mask."""
    rng, (width, height) = np.random.default_rng(seed), SIZE_WH
    mask = np.full((height, width), 255, np.uint8)
    u, v = rng.integers(0, width), rng.integers(0, height)
    mask[v : v + 30, u : u + 40] = 0
    write_image(tmp_path / "mask.png", mask)
    frame = FrameRectifier(rig).frame(*rng.integers(0, 250, (2, height, width, 3), np.uint8))
    config = PipelineConfig(roi_mask=str(tmp_path / "mask.png"), max_depth_m=3.0)
    manifest = manifest_of()
    gpu, cpu = (
        Estimator(manifest, GpuBackend(manifest, pycuda)),
        Estimator(manifest, open_backend("fake", manifest)),
    )
    got, expected = (Pipeline(estimator, config).process(frame) for estimator in (gpu, cpu))
    assert set(got.timings_ms) == {"estimate", "finish"}
    same_where_certain(got, expected, frame, mask)
    gpu.close()


@pytest.mark.parametrize("cameras", [2, 3])
def test_frames_of_several_cameras_each_go_over_the_gpu(pycuda, cameras, warned):
    """With a model that takes a batch of any size; the planes of what each camera saw are its own."""
    manifest = manifest_of()
    backend = GpuBackend(manifest, pycuda)
    gpu, cpu = Estimator(manifest, backend), Estimator(manifest, open_backend("fake", manifest))
    assert gpu.batches
    rng = np.random.default_rng(1)
    everywhere = np.full((47, 61), 255, np.uint8)
    for turn in range(3):
        frames = [
            frame_of(61, 47, 10 * turn + i).restricted(*(rng.random((2, 47, 61)) > 0.2))
            for i in range(cameras)
        ]
        for frame, got, expected in zip(frames, gpu.estimate_many(frames), cpu.estimate_many(frames)):
            results = (Pipeline(cpu).refine(frame, each) for each in (got, expected))
            same_where_certain(*results, frame, everywhere)
    assert backend.inferred == 0 and warned == []
    gpu.close()
    assert pycuda.allocated == {} and pycuda.balanced


def test_memory_is_allocated_once_for_a_size(pycuda):
    manifest = manifest_of()
    estimator = Estimator(manifest, GpuBackend(manifest, pycuda))
    answers, counts = [], []
    for seed in (1, 2, 3):
        answers.append(estimator.estimate(frame_of(61, 47, seed)).depth)
        counts.append(pycuda.calls.count("mem_alloc"))
    assert counts[0] == counts[1] == counts[2]
    assert not np.array_equal(answers[0], answers[1])  # they belong to the caller
    for width in range(62, 70):
        estimator.estimate(frame_of(width, 47))
    assert len(pycuda.allocated) <= 4 * counts[0]
    estimator.close()
    assert pycuda.allocated == {} and pycuda.balanced


def test_the_order_of_a_frame(pycuda):
    manifest = manifest_of()
    estimator = Estimator(manifest, GpuBackend(manifest, pycuda), gpu_path="stages")
    estimator.estimate(frame_of(61, 47))
    del pycuda.calls[:]
    estimator.estimate(frame_of(61, 47))
    assert [name for name in pycuda.calls if name != "record"] == [
        "push", "memcpy_htod_async", "memcpy_htod_async", "prepare", "restore",
        *["memcpy_dtoh_async"] * 4, "synchronize", "pop",
    ]  # fmt: skip
    assert list(estimator.timings_ms) == ["upload", "preprocess", "infer", "postprocess", "download"]
    assert all(took == 1.0 for took in estimator.timings_ms.values())


def test_a_frame_of_a_graph_is_one_call(pycuda):
    manifest = manifest_of()
    estimator = Estimator(manifest, GpuBackend(manifest, pycuda))
    for seed in (1, 2):
        estimator.estimate(frame_of(61, 47, seed))
    del pycuda.calls[:]
    estimator.estimate(frame_of(61, 47, 3))
    assert pycuda.calls == ["push", "record", "record", "synchronize", "pop"]
    assert pycuda.library.standin_graphs() == 1
    estimator.close()
    assert pycuda.library.standin_graphs() == 0


def test_every_camera_has_its_graph(pycuda, warned):
    """The camera is part of what is captured, and a rig that changes with every frame is never captured."""
    manifest = manifest_of()
    backend = GpuBackend(manifest, pycuda)
    gpu, cpu = (
        Estimator(manifest, backend),
        Estimator(manifest, open_backend("fake", manifest)),
    )
    frames = [
        dataclasses.replace(
            frame_of(61, 47, seed), rig=StereoRig.simple(61, 47, fx=50.0 + lens, baseline_m=0.12)
        )
        for seed, lens in enumerate([0, 1, 0, 1, 0, 1, *range(2, 22), 0, 1, 0])
    ]
    for frame in frames:
        np.testing.assert_allclose(gpu.estimate(frame).depth, cpu.estimate(frame).depth, rtol=2e-3)
    assert (backend.captured, warned) == (3, [])  # the first two gave way to the many, one came back twice
    assert pycuda.library.standin_graphs() == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("engine", r"cannot be captured \(the engine waits\)"),
        ("begin", "cannot be captured .*cuStreamBeginCapture_v2 failed: operation not supported"),
        ("end", "cannot be captured .*cuStreamEndCapture failed: operation not permitted"),
        ("make", "cannot be captured .*cuGraphInstantiateWithFlags failed: out of memory"),
        ("memory", "cannot be captured .*operation not permitted"),
        ("nothing", "gives another .*depth"),
        ("answer", "gives another .*depth"),
        ("launch", "cannot be started .*cuGraphLaunch failed: out of memory"),
    ],
)
def test_without_a_graph_frames_go_on_call_by_call(pycuda, monkeypatch, wrong, words, warned):
    manifest = manifest_of()
    backend = GpuBackend(manifest, pycuda)
    estimator = Estimator(manifest, backend)
    calls = {"begin": (b"cuStreamBeginCapture", 801), "end": (b"cuStreamEndCapture", 900)}
    calls |= {"make": (b"cuGraphInstantiate", 2), "launch": (b"cuGraphLaunch", 2)}
    if wrong == "engine":
        backend.refuses_capture = BackendError("the engine waits")
    elif wrong == "memory":
        monkeypatch.setattr(backend, "capture", lambda pointers, stream: pycuda.driver.mem_alloc(64))
    elif wrong in ("answer", "nothing"):
        backend.captures_as = 1.5 if wrong == "answer" else None
    else:
        pycuda.library.standin_fail(*calls[wrong])
    config = PipelineConfig(max_edge_jump=0.02)
    gpu, cpu = (
        Pipeline(one, config) for one in (estimator, Estimator(manifest, open_backend("fake", manifest)))
    )
    for seed in range(6):
        frame = frame_of(61, 47, seed)
        got, expected = gpu.process(frame), cpu.process(frame)
        np.testing.assert_allclose(got.depth_map.depth, expected.depth_map.depth, rtol=2e-3)
        np.testing.assert_allclose(got.cloud.xyz, expected.cloud.xyz, rtol=2e-3)
    assert backend.enqueued >= 6 and pycuda.library.standin_graphs() == 0
    assert len(warned) == 1 and re.search(f"without a CUDA graph: it {words}", warned[0])
    estimator.close()
    assert pycuda.allocated == {} and pycuda.balanced


def test_a_capture_that_failed_once_is_tried_again(pycuda, warned):
    """Another thread that waits for the whole GPU ends it."""
    manifest = manifest_of()
    estimator = Estimator(manifest, GpuBackend(manifest, pycuda))
    pycuda.library.standin_fail(b"cuStreamEndCapture", 901)
    for seed in range(3):
        estimator.estimate(frame_of(61, 47, seed))
    pycuda.library.standin_fail(b"cuStreamEndCapture", 0)
    estimator.estimate(frame_of(61, 47, 3))
    assert pycuda.library.standin_graphs() == 1 and warned == []


def test_nothing_is_captured_while_an_engine_loads(pycuda):
    manifest, loads, loaded = manifest_of(), threading.Event(), threading.Event()

    def load() -> None:
        with Device.alone:
            loads.set()
            loaded.wait(30)

    thread = threading.Thread(target=load)
    thread.start()
    assert loads.wait(30)
    backend = GpuBackend(manifest, pycuda)
    estimator = Estimator(manifest, backend)
    for seed in range(3):
        estimator.estimate(frame_of(61, 47, seed))  # which does not wait
    assert backend.captured == 0
    loaded.set()
    thread.join()
    estimator.estimate(frame_of(61, 47, 3))
    assert backend.captured == 1 and pycuda.library.standin_graphs() == 1


def test_a_graph_that_fails_later_is_left_alone(pycuda, warned):
    manifest = manifest_of()
    backend = GpuBackend(manifest, pycuda)
    estimator = Estimator(manifest, backend)
    frame = frame_of(61, 47)
    first, _ = estimator.estimate(frame), estimator.estimate(frame)
    pycuda.library.standin_fail(b"cuGraphLaunch", 719)
    np.testing.assert_allclose(estimator.estimate(frame).depth, first.depth, rtol=2e-3)
    assert backend.inferred == 1 and len(warned) == 1 and "cuGraphLaunch failed" in warned[0]
    assert "Xid" in warned[0] and pycuda.balanced


def test_inference_alone_on_the_gpu(pycuda):
    manifest = manifest_of()
    backend = GpuBackend(manifest, pycuda)
    estimator = Estimator(manifest, backend, gpu_path="inference")
    result = Pipeline(estimator, PipelineConfig()).process(frame_of(61, 47))
    assert (backend.enqueued, backend.inferred) == (0, 1)
    assert list(estimator.timings_ms) == ["preprocess", "infer", "postprocess"]
    assert list(result.timings_ms) == ["estimate", "filter", "cloud"]


@pytest.mark.parametrize("where", ["mem_alloc", "compile", "synchronize", "engine"])
def test_a_gpu_that_fails_is_left_alone(pycuda, where, warned):
    manifest = manifest_of()
    backend = GpuBackend(manifest, pycuda)
    estimator = Estimator(manifest, backend)
    failure = pycuda.driver.CompileError("no nvcc") if where == "compile" else None
    pycuda.fail[where] = failure or pycuda.driver.MemoryError("cuMemAlloc failed: out of memory")
    if where == "engine":
        backend.refuses = BackendError("the engine failed")
    frame = frame_of(61, 47)
    expected = Estimator(manifest, open_backend("fake", manifest)).estimate(frame)
    for _ in range(2):
        np.testing.assert_array_equal(estimator.estimate(frame).depth, expected.depth)
    assert backend.inferred == 2 and len(warned) == 1 and "CPU" in warned[0]
    assert pycuda.balanced


def test_a_size_the_engine_does_not_take_is_for_the_cpu_alone(pycuda, warned):
    manifest = manifest_of()
    backend = GpuBackend(manifest, pycuda)
    estimator = Estimator(manifest, backend)
    backend.refuses = ContractError("not built for this size")
    estimator.estimate(frame_of(61, 47))
    backend.refuses = None
    estimator.estimate(frame_of(61, 47))
    assert (backend.inferred, backend.enqueued, warned) == (1, 1, [])


def test_a_single_image_for_a_stereo_model_is_refused(pycuda):
    manifest = manifest_of()
    estimator = Estimator(manifest, GpuBackend(manifest, pycuda))
    pair = frame_of(61, 47)
    with pytest.raises(ConfigError, match="stereo pair"):
        estimator.estimate(Frame(0, pair.image, pair.camera))


def test_a_backend_without_a_gpu_offers_none():
    assert device_of_backend(open_backend("fake", BUILT_IN["fake_stereo"])) is None


def test_without_nvcc_the_toolkit_is_named(pycuda):
    pycuda.fail["compile"] = OSError("nvcc not found")
    device = Device()
    with pytest.raises(MissingDependencyError, match=r"nvcc is needed.*sm_87.*toolkit"), device.active():
        Kernels(device)
    assert pycuda.balanced


@pytest.mark.parametrize("decimation", [1, 3])
@pytest.mark.parametrize("fields", ["xyzrgb", "xyzi"])
def test_the_pipeline_finishes_on_the_gpu(pycuda, decimation, fields):
    manifest = manifest_of()
    backend, frame = GpuBackend(manifest, pycuda), frame_of(61, 47)
    estimator = Estimator(manifest, backend)
    config = PipelineConfig(
        max_depth_m=1.5, border_px=2, max_edge_jump=0.02, decimation=decimation, point_fields=fields
    )
    estimate = estimator.estimate(frame)
    cpu = Pipeline(Estimator(manifest, open_backend("fake", manifest)), config).refine(frame, estimate)
    pipeline = Pipeline(estimator, config)
    shape_hw, names = pipeline.cloud_layout(frame)
    into = np.full((*shape_hw, len(names)), 7, np.float32)
    gpu = pipeline.refine(frame, estimate, into)
    assert set(gpu.timings_ms) == {"finish"} and gpu.cloud.data is into
    np.testing.assert_array_equal(gpu.depth_map.depth, cpu.depth_map.depth)
    np.testing.assert_array_equal(gpu.depth_map.disparity, cpu.depth_map.disparity)
    np.testing.assert_array_equal(into[..., :3], cpu.cloud.data[..., :3])
    np.testing.assert_array_equal(into[..., 3].view(np.uint32), cpu.cloud.data[..., 3].view(np.uint32))
    assert np.isfinite(gpu.depth_map.depth).any() and np.isinf(gpu.depth_map.depth).any()
    unseen = pipeline.refine(frame, estimate, requested=RequestedOutputs(cloud=False))
    assert unseen.cloud is None and set(unseen.timings_ms) == {"finish"}
    estimator.close()
    assert pycuda.allocated == {} and pycuda.balanced


@pytest.mark.parametrize(
    "options", [dict(speckle_px=9), dict(temporal_weight=0.5), dict(point_sigma=True), dict(voxel_m=0.1)]
)
def test_what_has_no_kernel_is_for_the_cpu(pycuda, options):
    manifest = manifest_of()
    pipeline = Pipeline(Estimator(manifest, GpuBackend(manifest, pycuda)), PipelineConfig(**options))
    assert set(pipeline.process(frame_of(61, 47)).timings_ms) == {"estimate", "filter", "cloud"}


def test_an_estimate_that_left_the_gpu_is_for_the_cpu(pycuda):
    manifest = manifest_of()
    estimator = Estimator(manifest, GpuBackend(manifest, pycuda))
    pipeline, frames = Pipeline(estimator, PipelineConfig()), [frame_of(61, 47, seed) for seed in (1, 2)]
    first, second = (estimator.estimate(frame) for frame in frames)
    stages = [set(pipeline.refine(f, e).timings_ms) for f, e in zip(frames, (first, second), strict=True)]
    assert stages == [{"filter", "cloud"}, {"finish"}]


def test_an_estimate_that_was_scaled_is_for_the_cpu(pycuda):
    """What the GPU still holds has the model's own scale."""
    contract = InputContract(("image",), scale=1 / 255, multiple_of=16)
    mono = dataclasses.replace(BUILT_IN["fake_mono"], input=contract, output=OutputContract("depth", "m"))
    estimator = Estimator(mono, GpuBackend(mono, pycuda))
    stereo = frame_of(61, 47)
    frame = Frame(7, stereo.image, stereo.camera)
    follow = ScaleRecovery(ScaleConfig(scale_sources=("fixed",), scale_factor=2.0))
    plain = Pipeline(estimator, PipelineConfig()).process(frame)
    scaled = Pipeline(estimator, PipelineConfig(), follow).process(frame)
    assert set(plain.timings_ms) == {"estimate", "finish"}
    assert set(scaled.timings_ms) == {"estimate", "scale", "filter", "cloud"}
    np.testing.assert_allclose(scaled.depth_map.depth, 2 * plain.depth_map.depth, rtol=1e-6)
    np.testing.assert_array_equal(scaled.cloud.xyz[..., 2], scaled.depth_map.depth)


def test_a_gpu_that_fails_while_finishing(pycuda, warned):
    manifest = manifest_of()
    estimator, frame = Estimator(manifest, GpuBackend(manifest, pycuda)), frame_of(61, 47)
    estimate = estimator.estimate(frame)
    pycuda.fail["finish"] = pycuda.driver.LaunchError("cuLaunchKernel failed: launch failed")
    result = Pipeline(estimator, PipelineConfig()).refine(frame, estimate)
    assert set(result.timings_ms) == {"filter", "cloud"} and len(warned) == 1
    assert pycuda.balanced
