"""From images to depth, by one model."""

from __future__ import annotations

from pathlib import Path

from recon3d_ros.config import ModelConfig
from recon3d_ros.estimation.estimator import Estimator

__all__ = ["Estimator", "load_model"]


def load_model(
    model: Path | str = "auto",
    *,
    stereo: bool = True,
    backend: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> Estimator:
    """Open a model by its name or by the path of its manifest: the short way to an `Estimator`.

    The files of the model are verified, and its golden output is checked. Use it in a `with` statement, or
    call :meth:`Estimator.close`.

    Args:
        model: A name that `recon3d models` lists, or the path of a `.yaml` beside an ONNX file; ``auto``
            selects our model for the task.
        stereo: Which one ``auto`` selects: True for pairs, False for single images.
        backend: See `ModelConfig.backend`.
        precision: See `ModelConfig.precision`.
        threads: CPU threads, 0 = all cores.

    Raises:
        ConfigError, ModelError, MissingDependencyError, BackendError: See :meth:`Estimator.open`.
    """
    config = ModelConfig(model=str(model), backend=backend, precision=precision, threads=threads)
    return Estimator.open(config, stereo=stereo)
