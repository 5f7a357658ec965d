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
        "name of a model, or path of its manifest (.yaml); auto = our model for the task and the backend "
        "(see target_rate_hz)",
        path=True,
    )
    precision: str = option(
        "auto",
        "precision of the model; auto = fp32 (tensorrt: fp16 if the model has it)",
        choices=("auto", "fp32", "fp16", "int8"),
    )
    backend: str = option(
        "auto",
        "runtime that executes the model; auto = tensorrt if there are a GPU and TensorRT, otherwise the "
        "faster one of onnxruntime and openvino, if that is installed, as measured at the first start",
        choices=("auto", "onnxruntime", "onnxruntime_cuda", "openvino", "tensorrt", "fake"),
    )
    openvino_precision: str = option(
        "auto",
        "what OpenVINO computes floats in; auto = the fastest that the processor has: bf16, f16 or f32",
        choices=("auto", "bf16", "f16", "f32"),
    )
    target_rate_hz: float = option(
        8.0,
        "model auto, pairs, on a CPU with OpenVINO: recon3d_stereo if it reaches this rate, as measured at "
        "the first start, otherwise recon3d_stereo_light",
        unit="Hz",
        minimum=0.0,
        maximum=1000.0,
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
    input_scale: float = option(
        1.0,
        "how many times their size a model of any input size sees the images: 0.5 takes a quarter of the "
        "time; 1.5 sees thinner things in 2.25 times the time, its largest disparity 1.5 times less",
        minimum=0.25,
        maximum=4.0,
    )
    align_rows: bool = option(
        True,
        "stereo pairs: measure how far the rows of left and right are off, and align them before they are "
        "matched if it is more than half a pixel",
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
