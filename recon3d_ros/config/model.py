"""Options of the model that answers."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d_ros.config.options import Config, option


@dataclass(frozen=True)
class ModelConfig(Config):
    """Which model answers, and how it is executed."""

    model: str = option(
        "auto", "name of a model, or path to its manifest (.yaml), auto = the stereo model for the backend"
    )
    precision: str = option(
        "auto",
        "which file of the model is executed, auto = fp32",
        choices=("auto", "fp32", "fp16", "int8"),
    )
    backend: str = option(
        "auto",
        "runtime that executes the model",
        choices=("auto", "onnxruntime", "fake"),
    )
    threads: int = option(0, "CPU threads for inference, 0 = all cores", minimum=0, maximum=1024)
    models_dir: str = option(
        "", "folder of model manifests, empty = those of the installation", read_only=True
    )
