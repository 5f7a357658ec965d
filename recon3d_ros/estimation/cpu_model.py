"""What models that take or give points have in common: ONNX Runtime on the CPU serves them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TypeVar

from recon3d_ros.backends import Backend
from recon3d_ros.model_zoo.manifest import Manifest
from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.serving import open_on_cpu

M = TypeVar("M", bound="CpuModel")


class CpuModel(ABC):
    """An open model. Not thread-safe.

    Args:
        manifest: Of the model.
        backend: In which it is open.
    """

    def __init__(self, manifest: Manifest, backend: Backend) -> None:
        self.manifest = manifest
        self._backend = backend

    @staticmethod
    @abstractmethod
    def require_task(manifest: Manifest) -> None:
        """Refuse a model of another task, before it is opened.

        Raises:
            ManifestError: It is one.
        """

    @classmethod
    def open(cls: type[M], model: Path | str, models_dir: Path | str = "", threads: int = 0) -> M:
        """Find a model, verify its files, open it in ONNX Runtime and check its golden output.

        Args:
            model: A name, or the path of a manifest.
            models_dir: Folder of the manifests; empty = of the installation.
            threads: CPU threads, 0 = all cores.

        Raises:
            ModelError: No such model, one of another task, or a file is not what the manifest promises.
            MissingDependencyError: ONNX Runtime is not installed.
            BackendError: The runtime failed.
        """
        manifest = find_model(model, models_dir)
        cls.require_task(manifest)
        return cls(manifest, open_on_cpu(manifest, threads))

    def close(self) -> None:
        """Release the model."""
        self._backend.close()

    def __enter__(self: M) -> M:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
