"""Options of the model: which one, and how it is executed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from recon3d_ros.config.options import Config, option
from recon3d_ros.errors import ConfigError


@dataclass(frozen=True)
class ModelConfig(Config):
    """Which model is used, and how it is executed."""

    model: str = option(
        "auto",
        "name of a model, or path of its manifest (.yaml); auto = our model for the task and the backend",
        path=True,
    )
    precision: str = option(
        "auto",
        "precision of the model; auto = fp32 (tensorrt: fp16 if the model has it)",
        choices=("auto", "fp32", "fp16", "int8"),
    )
    backend: str = option(
        "auto",
        "runtime that executes the model; auto = tensorrt if there are a GPU and TensorRT, otherwise "
        "onnxruntime",
        choices=("auto", "onnxruntime", "onnxruntime_cuda", "tensorrt", "fake"),
    )
    tensorrt_flavour: str = option(
        "auto",
        "TensorRT flavour; auto = tensorrt if installed, otherwise tensorrt_rtx",
        choices=("auto", "tensorrt", "tensorrt_rtx"),
    )
    engine_sizes: tuple[str, ...] = option(
        (), "image sizes to build engines for, such as 640x480; empty = the sizes of the incoming images"
    )
    gpu_path: str = option(
        "graph",
        "what runs on the GPU, for backends that use one; inference = only the network, stages = "
        "everything from pixels to depth, graph = the same as one CUDA graph",
        choices=("graph", "stages", "inference"),
    )
    threads: int = option(0, "CPU threads for inference, 0 = all cores", minimum=0, maximum=1024)
    models_dir: str = option(
        "", "folder of model manifests; empty = the included models", read_only=True, path=True
    )

    @property
    def engine_sizes_wh(self) -> tuple[tuple[int, int], ...]:
        """`engine_sizes` as numbers."""
        return tuple((int(width), int(height)) for width, height in (s.split("x") for s in self.engine_sizes))

    def validate(self) -> None:
        """Check `engine_sizes`."""
        for size in self.engine_sizes:
            if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", size):
                raise ConfigError(f"engine_sizes must be sizes such as 640x480, got {size!r}")
