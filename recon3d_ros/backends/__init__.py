"""Runtimes that execute a model file. They know named tensors, not depth; each loads when it is asked for."""

from __future__ import annotations

from recon3d_ros.backends.base import Backend, TensorSpec
from recon3d_ros.errors import ConfigError
from recon3d_ros.lazy import load
from recon3d_ros.manifest import Manifest

__all__ = ["BACKENDS", "Backend", "TensorSpec", "open_backend"]

BACKENDS = {
    "onnxruntime": "recon3d_ros.backends.onnxruntime:OnnxRuntimeBackend",
    "fake": "recon3d_ros.backends.fake:FakeBackend",
}


def open_backend(name: str, manifest: Manifest, *, threads: int = 0) -> Backend:
    """Open a model in the runtime of this name; ``auto`` takes the best one that can.

    ``auto`` gives the fake to the built-in models alone. ``threads`` is the number of CPU threads, 0 for all.

    Raises:
        ConfigError: no such backend.
        MissingDependencyError: the runtime is not installed.
        ArtifactError: the manifest names no file the backend can run, or the file is no model.
        ContractError: the file does not keep what the manifest promises.
    """
    if name == "auto":
        # A manifest that forgot its file must not answer with made-up depth: only what is built in is faked.
        name = "fake" if manifest.path is None and not manifest.artifacts else "onnxruntime"
    if name not in BACKENDS:
        raise ConfigError(f"backend must be one of auto, {', '.join(BACKENDS)}, got {name!r}")
    backend: Backend = load(BACKENDS[name])(manifest, threads)
    return backend
