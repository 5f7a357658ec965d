"""The real pycuda, on a GPU or on the stand-in for its driver; run by test_device.py in a process of its own.

RECON3D_STAND_IN says that libcuda.so.1 is the stand-in. RECON3D_DEVICE_FRAMES is how many frames the test of
memory takes.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import resource
import sys
import threading

import numpy as np
import pytest

from recon3d_ros.backends.gpu import find_gpu
from recon3d_ros.config import PipelineConfig
from recon3d_ros.cuda.context import Device
from recon3d_ros.errors import BackendError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, StereoRig
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.registry import BUILT_IN
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.pipeline import Pipeline

STAND_IN = "RECON3D_STAND_IN" in os.environ
if STAND_IN:  # it has not all that pycuda could call; which is imported with the first device
    sys.setdlopenflags(os.RTLD_LAZY)
FRAMES = int(os.environ.get("RECON3D_DEVICE_FRAMES", "200"))
stand_in_only = pytest.mark.skipif(not STAND_IN, reason="fails calls on purpose, which a GPU does not")

INPUT = InputContract(
    ("left", "right"), scale=1 / 255, mean=(-0.1, 0.0, -0.2), std=(0.5, 1.0, 4.0), multiple_of=16
)
MANIFEST = dataclasses.replace(
    BUILT_IN["fake_stereo"],
    input=INPUT,
    output=OutputContract("d", "px", confidence="c", sigma="s", scale=16.0),
)


class Planes:
    """A network whose answers are the planes of the left tensor: by NumPy."""

    name, precision = "planes", "fp32"
    inputs = tuple(TensorSpec(name, "float32", (1, 3, None, None)) for name in INPUT.names)
    outputs = tuple(TensorSpec(name, "float32", (1, 1, None, None)) for name in "dcs")

    def infer(self, feed):
        return {name: feed["left"][:, i : i + 1].copy() for i, name in enumerate("dcs")}

    def close(self) -> None:
        pass


class DevicePlanes(Planes):
    """The same on a GPU, by copies from there to there."""

    can_capture = True

    def __init__(self) -> None:
        self.device = Device()

    def bind(self, inputs):
        *_, self._height, self._width = inputs["left"]
        return {name: TensorSpec(name, "float32", (1, 1, self._height, self._width)) for name in "dcs"}

    def enqueue(self, pointers, stream: int) -> None:
        assert stream == self.device.stream_handle
        size = 4 * self._height * self._width
        for i, name in enumerate("dcs"):
            self.device.driver.memcpy_dtod_async(
                pointers[name], pointers["left"] + i * size, size, self.device.stream
            )

    capture = enqueue

    def close(self) -> None:
        self.device.close()


def frame_of(width: int, height: int, seed: int, grey: bool = False) -> Frame:
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, 255, (2, height, width) if grey else (2, height, width, 3), np.uint8)
    rig = StereoRig.simple(width, height, fx=0.8 * width, baseline_m=0.12, doffs_px=-2.0)
    return Frame(7, left, rig.left, right, rig)


@pytest.fixture
def held():
    """What the stand-in holds before a test it holds after it."""
    if not STAND_IN:
        yield None
        return
    library = ctypes.CDLL("libcuda.so.1")
    library.standin_held.restype = ctypes.c_char_p
    library.standin_forget()
    yield library
    assert library.standin_held() == b""


def test_the_gpu_has_a_name():
    gpu, device = find_gpu(), Device()
    assert gpu is not None and gpu.name == device.name
    assert gpu.compute_capability == "{}.{}".format(*device.compute_capability)
    device.close()


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("path", ["graph", "stages", "inference"])
@pytest.mark.parametrize(("width", "height"), [(64, 48), (61, 47), (208, 96)])
def test_frames_are_those_of_the_cpu(held, width, height, path, grey, warned):
    """In a thread of its own, as the node's worker."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            _compare([frame_of(width, height, seed, grey) for seed in range(5)], path, warned)
        except BaseException as exc:
            failed.append(exc)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    if failed:
        raise failed[0]


def _compare(frames: list[Frame], path: str, warned: list[str]) -> None:
    estimator = Estimator(MANIFEST, DevicePlanes(), path)
    config = PipelineConfig(max_depth_m=9.0, border_px=2, max_edge_jump=0.2, min_confidence=0.3)
    gpu, cpu = Pipeline(estimator, config), Pipeline(Estimator(MANIFEST, Planes()), config)
    for i, frame in enumerate(frames):
        got, expected = gpu.process(frame), cpu.process(frame)
        for name in ("depth", "disparity", "confidence", "sigma_m"):
            ours, theirs = (getattr(result.depth_map, name) for result in (got, expected))
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, err_msg=f"{name} of frame {i}")
            assert np.isfinite(theirs).any()
        np.testing.assert_allclose(got.cloud.xyz, expected.cloud.xyz, rtol=1e-5)
        colours = (result.cloud.data[..., 3].view(np.uint32) for result in (got, expected))
        np.testing.assert_array_equal(*colours)
        stages = ["upload", "preprocess", "infer", "postprocess", "download"]
        wanted = {
            "inference": ["preprocess", "infer", "postprocess"],
            "graph": ["graph"] if i > 1 else stages,
        }
        assert list(estimator.timings_ms) == wanted.get(path, stages)
        assert set(got.timings_ms) == (
            {"estimate", "filter", "cloud"} if path == "inference" else {"estimate", "finish"}
        )
    assert warned == []
    estimator.close()


def test_memory_stays_as_it_is(held):
    estimator = Estimator(MANIFEST, backend := DevicePlanes())
    pipeline, frames = Pipeline(estimator, PipelineConfig()), [frame_of(208, 96, seed) for seed in range(3)]

    def used() -> tuple[int, int]:
        with backend.device.active():
            unused, total = backend.device.driver.mem_get_info()
        return total - unused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for i in range(FRAMES):
        pipeline.process(frames[i % 3])
        if i == FRAMES // 2:
            device_bytes, host_kib = used()
    # The GPU's memory is that of all its programs; the stand-in's is ours alone.
    assert used()[0] - device_bytes <= (0 if STAND_IN else 64 << 20)
    assert used()[1] - host_kib < 2048
    estimator.close()


@stand_in_only
@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (b"cuMemAlloc", 2, "out of memory.*close other GPU programs"),
        (b"cuMemHostAlloc", 2, "out of memory.*close other GPU programs"),
        (b"cuModuleLoadDataEx", 209, "no kernel image.*remove the compiled kernels"),
        (b"cuLaunchKernel", 719, "launch failure.*Xid"),
        (b"cuStreamSynchronize", 700, "Xid"),
        (b"cuMemcpyHtoDAsync", 214, "(?i)ecc.*defective"),
    ],
)
def test_what_the_driver_refuses_is_left_to_the_cpu(held, call, code, words, warned):
    estimator = Estimator(MANIFEST, DevicePlanes())
    held.standin_fail(call, code)
    frame = frame_of(64, 48, 0)
    for _ in range(2):
        expected = Estimator(MANIFEST, Planes()).estimate(frame)
        np.testing.assert_array_equal(estimator.estimate(frame).depth, expected.depth)
    assert len(warned) == 1 and re.search(words, warned[0]), warned
    held.standin_fail(call, 0)
    estimator.close()


@stand_in_only
@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (b"cuInit", 100, "no CUDA-capable.*nvidia-smi"),
        (b"cuStreamCreate", 2, "out of memory"),
        (b"cuInit", 803, "driver"),
    ],
)
def test_a_gpu_that_cannot_be_opened_says_why(held, call, code, words):
    held.standin_fail(call, code)
    with pytest.raises(BackendError, match=words):
        Device()
