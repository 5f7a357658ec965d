"""Every key of a contract is served by the kernels of the GPU, or named as the reason why it is not."""

from __future__ import annotations

import dataclasses

import pytest

from recon3d_ros.backends.fake import FakeBackend
from recon3d_ros.estimation.gpu_support import why_not_on_gpu
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.contract_parts import ExtraInput, Invalid
from recon3d_ros.model_zoo.manifest import Licence, Manifest
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

# What the kernels compute, see cuda/layout.py; a new key of a contract belongs here or into LACKING.
SERVED_INPUT = {
    "names", "layout", "dtype", "color", "scale", "mean", "std", "size_wh", "multiple_of", "max_size_wh",
    "short_side", "image_scale", "fit",
}  # fmt: skip
SERVED_OUTPUT = {
    "name", "unit", "layout", "dtype", "scale", "confidence", "confidence_max", "sigma", "max_disparity_px",
    "focal_px",
}  # fmt: skip
LACKING_INPUT = {
    "layout": "CHW",
    "padding": "center",
    "pad_value": 0.0,
    "interpolation": "cubic",
    "batch": 2,
    "extra": (ExtraInput("K", "K"),),
}
LACKING_OUTPUT = {
    "layout": "CHW",
    "unit": "inverse_m",
    "channel": 1,
    "offset": 1.0,
    "transform": "exp",
    "confidence_kind": "error",
    "confidence_scale": 2.0,
    "invalid": Invalid("sky", above=0.3),
    "focal_axis": "x",
}

PLAIN: dict = {"name": "depth", "unit": "m", "focal_px": 100.0, "confidence": "c"}


def why(given: dict | None = None, output: dict | None = None) -> str:
    manifest = Manifest(
        "m",
        "mono_metric_depth",
        InputContract(**{"names": ("image",), "multiple_of": 8} | (given or {})),
        OutputContract(
            **{"name": "depth", "unit": "m", "focal_px": 100.0, "confidence": "c"} | (output or {})
        ),
        Licence("none"),
    )
    return why_not_on_gpu(manifest, FakeBackend(manifest))


def test_every_key_is_one_or_the_other() -> None:
    names = {field.name for field in dataclasses.fields(InputContract)}
    assert names == SERVED_INPUT | set(LACKING_INPUT)
    names = {field.name for field in dataclasses.fields(OutputContract)}
    assert names == SERVED_OUTPUT | set(LACKING_OUTPUT)


def test_a_plain_contract_is_served() -> None:
    assert why() == ""
    assert why({"layout": "NHWC", "color": "bgr"}, {"layout": "NHWC", "channel": 0}) == ""


@pytest.mark.parametrize("key", LACKING_INPUT)
def test_an_input_that_is_for_the_cpu(key: str) -> None:
    assert why({key: LACKING_INPUT[key]}).startswith(f"input.{key} is ")


@pytest.mark.parametrize("key", LACKING_OUTPUT)
def test_an_output_that_is_for_the_cpu(key: str) -> None:
    assert why(output={key: LACKING_OUTPUT[key]}).startswith(f"output.{key} is ")


def test_tensors_of_the_file_count_too() -> None:
    manifest = Manifest(
        "m",
        "mono_metric_depth",
        InputContract(("image",), multiple_of=8),
        OutputContract("depth", "m", confidence="c"),
        Licence("none"),
    )
    backend = FakeBackend(manifest)
    backend.outputs = (TensorSpec("depth", "float64", (1, 1, None, None)), backend.outputs[1])
    assert why_not_on_gpu(manifest, backend) == "the tensor 'depth' is float64"
    backend.outputs = (
        TensorSpec("depth", "float32", (1, 1, None, None)),
        TensorSpec("c", "float32", (None,) * 3),
    )
    assert why_not_on_gpu(manifest, backend) == "the output 'c' has other axes than NCHW"
