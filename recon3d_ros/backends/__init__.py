"""Runtimes that execute a model file. They know named tensors, not depth; each loads when it is asked for."""

from __future__ import annotations

from recon3d_ros.backends.base import Backend, batch_is_free
from recon3d_ros.backends.engine_store import EngineOptions
from recon3d_ros.errors import ConfigError
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.tensor_spec import TensorSpec
from recon3d_ros.system.lazy import load

__all__ = [
    "BACKENDS",
    "ENGINE_BACKENDS",
    "Backend",
    "EngineOptions",
    "TensorSpec",
    "batch_is_free",
    "device_of",
    "open_backend",
]

BACKENDS = {
    "onnxruntime": "recon3d_ros.backends.onnxruntime:OnnxRuntimeBackend",
    "onnxruntime_cuda": "recon3d_ros.backends.onnxruntime_cuda:OnnxRuntimeCudaBackend",
    "openvino": "recon3d_ros.backends.openvino:OpenVinoBackend",
    "tensorrt": "recon3d_ros.backends.tensorrt:TensorRtBackend",
    "fake": "recon3d_ros.backends.fake:FakeBackend",
}
# Those that need a GPU; all others are for every machine.
GPU_BACKENDS = frozenset({"onnxruntime_cuda", "tensorrt"})
# Those that execute engines, which are built first.
ENGINE_BACKENDS = frozenset({"tensorrt"})
# Those that keep what they compile in the cache of engines.
_CACHING_BACKENDS = ENGINE_BACKENDS | {"openvino"}


def device_of(name: str) -> str:
    """Return ``gpu`` or ``cpu``: where the backend of this name computes (``auto``: on the CPU)."""
    return "gpu" if name in GPU_BACKENDS else "cpu"


def open_backend(
    name: str,
    manifest: Manifest,
    *,
    threads: int = 0,
    precision: str = "auto",
    engine: EngineOptions | None = None,
) -> Backend:
    """Open a model in the runtime of this name; ``auto`` takes the best one of the CPU.

    ``auto`` gives the fake to the built-in models alone. ``threads`` is the number of CPU threads, 0 for all;
    ``precision`` names the artifact, ``auto`` the most accurate one; ``engine`` is for the
    backends that build or compile one.

    Raises:
        ConfigError: no such backend.
        MissingDependencyError: the runtime is not installed.
        ArtifactError: the manifest names no file the backend can run, or the file is no model.
        ContractError: the file does not keep what the manifest promises.
    """
    if name == "auto":
        # A manifest that forgot its file must not give made-up depth: only what is built in is faked.
        name = "fake" if manifest.path is None and not manifest.artifacts else "onnxruntime"
    if name not in BACKENDS:
        raise ConfigError(f"backend must be one of auto, {', '.join(BACKENDS)}, got {name!r}")
    more = (engine,) if name in _CACHING_BACKENDS else ()
    backend: Backend = load(BACKENDS[name])(manifest, threads, precision, *more)
    return backend
