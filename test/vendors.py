"""Stand-ins for a vendor and a device: engines are text, device memory is the host's, the rest is real."""

from __future__ import annotations

import contextlib
import ctypes
import json
import shutil
import sys
import threading
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from recon3d_ros.backends import open_backend
from recon3d_ros.backends.base import device_of_backend
from recon3d_ros.backends.engine_store import EngineStore
from recon3d_ros.backends.gpu import Gpu
from recon3d_ros.cuda.context import Device
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.manifest_file import dump_manifest, load_manifest
from recon3d_ros.model_zoo.registry import find_model

GOOD, WRONG = "good", "wrong"


class _Dtype:
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"DataType.{self.name}"


class _Context:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine, self.shapes, self.addresses, self.profile = engine, {}, {}, -1

    def is_stream_capturable(self, stream: int) -> bool:
        return self.engine.module.capturable

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self.profile = index
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = tuple(shape)
        return self.engine.profiles[self.profile][name] == list(shape)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        left = self.shapes["left"]
        return self.shapes.get(name, (1, 1, *left[2:]))

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if self.engine.module.dies:
            self.engine.module.loggers[-1].log(0, "cudaError 719: unspecified launch failure")
            return False
        arrays = {n: _array(at, self.get_tensor_shape(n)) for n, at in self.addresses.items()}
        self.engine.module.put(stream, lambda: self._answer(arrays))
        return True

    def _answer(self, arrays: dict[str, np.ndarray]) -> None:
        answers = self.engine.module.network({n: arrays[n] for n in ("left", "right")})
        for name in self.engine.names[2:]:
            arrays[name][...] = answers[name]
        arrays["disparity"][...] += 50.0 if self.engine.kind == WRONG else 0.0


class FakeEngine:
    def __init__(self, module: Any, kind: str, profiles: list[dict[str, list[int]]], output: str) -> None:
        self.module, self.kind, self.profiles = module, kind, profiles
        self.names = ["left", "right", output, "confidence", "sigma_px"]
        self.num_io_tensors = len(self.names)

    def get_tensor_name(self, i: int) -> str:
        return self.names[i]

    def get_tensor_mode(self, name: str) -> str:
        return "IN" if name in ("left", "right") else "OUT"

    def get_tensor_dtype(self, name: str) -> _Dtype:
        return _Dtype("FLOAT")

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, 3, -1, -1) if name in ("left", "right") else (-1, 1, -1, -1)

    def create_execution_context(self) -> _Context:
        return _Context(self)


def engine_bytes(profiles: Any, kind: str = GOOD, output: str = "disparity") -> bytes:
    """An engine of the fake vendor."""
    return json.dumps({"kind": kind, "profiles": profiles, "output": output}).encode()


def fake_vendor(network: Any, version: str = "10.7.0") -> Any:
    """A module like `tensorrt`, whose engines answer as `network` does.

    `dies` makes them fail; `capturable` is what they say of themselves; `put` brings
    their work into a stream: at once, unless there is a real one.
    """
    module: Any = ModuleType("tensorrt")
    module.__version__, module.network, module.dies, module.loggers = version, network, False, []
    module.put, module.capturable = lambda stream, work: work(), True

    class ILogger:
        Severity = SimpleNamespace(INFO=3)

        def __init__(self) -> None:
            module.loggers.append(self)

    class Runtime:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def deserialize_cuda_engine(self, content: bytes) -> FakeEngine | None:
            try:
                words = json.loads(content)
            except ValueError:
                self.logger.log(1, "Error Code 1: Serialization (... magic tag does not match)")
                return None
            return FakeEngine(module, words["kind"], words["profiles"], words["output"])

    module.ILogger, module.Runtime = ILogger, Runtime
    module.TensorIOMode = SimpleNamespace(INPUT="IN", OUTPUT="OUT")
    return module


class _Allocation:
    def __init__(self, size: int) -> None:
        self.buffer = (ctypes.c_char * size)()

    def __int__(self) -> int:
        return ctypes.addressof(self.buffer)


class FakeDevice:
    """As `cuda.context.Device`; its driver copies within the host."""

    alone = threading.RLock()

    def __init__(self, index: int = 0) -> None:
        self.stream, self.stream_handle, self.closed = "stream", 7, False
        self.driver = SimpleNamespace(
            mem_alloc=_Allocation,
            pagelocked_empty=lambda shape, dtype: np.empty(shape, dtype),
            memcpy_htod_async=lambda at, host, stream: ctypes.memmove(int(at), host.ctypes.data, host.nbytes),
            memcpy_dtoh_async=lambda host, at, stream: ctypes.memmove(host.ctypes.data, int(at), host.nbytes),
        )

    @contextlib.contextmanager
    def active(self, doing: str = ""):
        assert not self.closed
        yield

    def synchronize(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def _array(address: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), shape)


class FakeGpu:
    """A computer with a GPU, TensorRT and pycuda, none of them real; its engines answer as ONNX Runtime does.

    Attributes:
        module: the vendor; `dies` makes running engines fail.
        built: precision and profiles of every build.
        kinds: by precision, what a build gives: GOOD, WRONG, or an exception to raise.
        gate: a build waits for it, telling its progress meanwhile.
    """

    def __init__(self, monkeypatch: Any, folder: Path) -> None:
        self.folder, self.built, self.kinds, self.gate = folder, [], {}, threading.Event()
        self.gate.set()
        self.manifest = self._model()
        self._reference = open_backend("onnxruntime", self.manifest, threads=1)
        self.module = fake_vendor(self._reference.infer)
        for name, module in (("tensorrt", self.module), ("pycuda", ModuleType("pycuda"))):
            module.__spec__ = ModuleSpec(name, None)
            monkeypatch.setitem(sys.modules, name, module)
        gpu = Gpu("Fake Orin", "8.7", "540.3.0", "12.6")
        for where in ("backends.vendor", "backends.engine_spec", "backends.tensorrt", "serving.opening"):
            monkeypatch.setattr(f"recon3d_ros.{where}.find_gpu", lambda: gpu)
        monkeypatch.setattr("recon3d_ros.backends.tensorrt.Device", FakeDevice)
        monkeypatch.setattr("recon3d_ros.backends.engine_spec.build_in_child", self._build)
        # Kernels need more of a device, see `use_stages`: images are prepared on the CPU here.
        monkeypatch.setattr("recon3d_ros.estimation.gpu_stages.device_of_backend", lambda backend: None)
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

    def use_stages(self, monkeypatch: Any, pycuda: Any) -> None:
        """Bring back the GPU's stages and the real device, over a `FakePycuda` that was made after this."""
        monkeypatch.setattr("recon3d_ros.backends.tensorrt.Device", Device)
        monkeypatch.setattr("recon3d_ros.estimation.gpu_stages.device_of_backend", device_of_backend)
        self.module.put = pycuda.put

    @property
    def path(self) -> str:
        """Of the manifest, which has all precisions, in one and the same file."""
        return str(self.manifest.path)

    @property
    def store(self) -> EngineStore:
        return EngineStore(self.folder / "cache" / "recon3d_ros" / "engines")

    def _model(self) -> Manifest:
        shipped = find_model("recon3d_stereo")
        for name in ("recon3d_stereo.onnx", "recon3d_stereo.golden.npz"):
            shutil.copy(shipped.file_path(name), self.folder)
        artifacts = tuple(replace(shipped.artifact("fp32"), precision=p) for p in ("fp32", "fp16", "int8"))
        golden = replace(shipped.golden, share=None)
        dump_manifest(
            replace(shipped, name="net", artifacts=artifacts, golden=golden), self.folder / "net.yaml"
        )
        return load_manifest(self.folder / "net.yaml")

    def _build(self, flavour: str, manifest: Any, artifact: Any, profiles: Any, progress: Any) -> bytes:
        self.built.append((artifact.precision, profiles))
        progress.update("building", 0.40)
        while not self.gate.wait(0.05):
            progress.update("building", 0.41)
        kind = self.kinds.get(artifact.precision, GOOD)
        if isinstance(kind, Exception):
            raise kind
        return engine_bytes(profiles, kind)
