from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from recon3d_ros.backends import TensorSpec, open_backend
from recon3d_ros.backends import onnxruntime as ours
from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ArtifactError, BackendError, ContractError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.system.machine import usable_cores

WriteModel = Callable[..., Path]


def tensors(width: int = 16, height: int = 8) -> dict[str, np.ndarray]:
    return {name: np.ones((1, 3, height, width), np.float32) for name in ("left", "right")}


def test_specs_of_the_file(tiny_model: WriteModel) -> None:
    backend = open_backend("auto", load_manifest(tiny_model()))
    assert backend.name == "onnxruntime"
    assert backend.inputs == tuple(TensorSpec(n, "float32", (1, 3, None, None)) for n in ("left", "right"))
    assert backend.outputs == (TensorSpec("answer", "float32", (1, 1, None, None)),)
    answer = backend.infer(tensors())["answer"]
    np.testing.assert_allclose(answer, np.full((1, 1, 8, 16), 1.15), rtol=1e-6)
    backend.close()
    with pytest.raises(BackendError, match="model tiny is closed"):
        backend.infer(tensors())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left": None}, "expected the inputs 'left', 'right', got 'right'"),
        ({"extra": np.ones(1)}, "expected the inputs 'left', 'right', got 'left', 'right', 'extra'"),
        (
            {"left": np.ones((1, 3, 8, 16), np.int16)},
            "expected the input 'left' as float32 [1, 3, ?, ?], got int16 [1, 3, 8, 16]",
        ),
        ({"left": np.ones((3, 8, 16), np.float32)}, "got float32 [3, 8, 16]"),
        ({"right": np.ones((1, 1, 8, 16), np.float32)}, "got float32 [1, 1, 8, 16]"),
    ],
)
def test_wrong_tensors_never_reach_the_vendor(
    tiny_model: WriteModel, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    backend = open_backend("onnxruntime", load_manifest(tiny_model()))

    class Vendor:
        def run(self, *_: Any) -> None:
            pytest.fail("the vendor was called")

    monkeypatch.setattr(backend, "_session", Vendor())
    feed = {name: tensor for name, tensor in {**tensors(), **change}.items() if tensor is not None}
    with pytest.raises(ContractError) as caught:
        backend.infer(feed)
    assert message in str(caught.value)


def renamed(section: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest[section].__setitem__(key, value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            renamed("input", "names", ["left", "rihgt"]),
            "model tiny: the manifest names the input 'rihgt', but the file has 'left', 'right'",
        ),
        (
            renamed("output", "name", "depth"),
            "model tiny: the manifest names the output 'depth', but the file has 'answer'",
        ),
        (renamed("output", "confidence", "sure"), "the manifest names the output 'sure'"),
        (
            renamed("input", "layout", "NHWC"),
            "'left' is float32 [1, ?, ?, 3] by the manifest, but float32 [1, 3, ?, ?] in the file",
        ),
        (
            renamed("input", "dtype", "uint8"),
            "'left' is uint8 [1, 3, ?, ?] by the manifest, but float32 [1, 3, ?, ?] in the file",
        ),
        (renamed("input", "color", "mono"), "'left' is float32 [1, 1, ?, ?] by the manifest"),
        (
            renamed("output", "dtype", "uint8"),
            "the output 'answer' is uint8 [?, ?, ?, ?] by the manifest, but float32",
        ),
        (renamed("output", "layout", "HW"), "the output 'answer' is float32 [?, ?] by the manifest"),
    ],
)
def test_manifest_and_file_that_differ(tiny_model: WriteModel, edit: Callable, message: str) -> None:
    path = tiny_model(edit=edit)
    with pytest.raises(ContractError) as caught:
        Estimator.open(ModelConfig(model=str(path)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_input_the_manifest_forgot(tiny_model: WriteModel) -> None:
    def forget(manifest: dict[str, Any]) -> None:
        manifest["task"] = "mono_metric_depth"
        manifest["input"]["names"] = ["left"]
        manifest["output"]["unit"] = "m"

    with pytest.raises(ContractError, match=r"the file wants the input 'right', which input.names"):
        Estimator.open(ModelConfig(model=str(tiny_model(edit=forget))))


def test_fixed_file_and_free_manifest(tiny_model: WriteModel) -> None:
    def free(manifest: dict[str, Any]) -> None:
        manifest["input"] = {"names": ["left", "right"], "multiple_of": 8}

    path = tiny_model({"size_wh": [32, 24]}, edit=free)
    with pytest.raises(ContractError, match=r"by the manifest, but float32 \[1, 3, 24, 32\] in the file"):
        Estimator.open(ModelConfig(model=str(path)))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08\x12\x04"])
def test_corrupt_file_with_the_right_sha256(tiny_model: WriteModel, content: bytes) -> None:
    path = tiny_model(edit=lambda m: m["artifacts"][0].update(sha256=hashlib.sha256(content).hexdigest()))
    (path.parent / "tiny.onnx").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"ONNX Runtime cannot load .*tiny\.onnx") as caught:
        Estimator.open(ModelConfig(model=str(path)))
    assert "\n" not in str(caught.value)


def test_truncated_file_is_refused_by_its_sha256(tiny_model: WriteModel) -> None:
    path = tiny_model()
    file = path.parent / "tiny.onnx"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="expected sha256"):
        Estimator.open(ModelConfig(model=str(path)))


def test_vendor_failure_is_translated(tiny_model: WriteModel, capfd: pytest.CaptureFixture[str]) -> None:
    """Left and right of different sizes pass the check of each, but cannot be added."""
    backend = open_backend("onnxruntime", load_manifest(tiny_model()))
    feed = {"left": np.ones((1, 3, 8, 16), np.float32), "right": np.ones((1, 3, 16, 8), np.float32)}
    with pytest.raises(BackendError, match=r"ONNX Runtime failed on tiny \(.*check size_wh") as caught:
        backend.infer(feed)
    assert caught.value.__cause__ is not None
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == "", "the runtime does not say it a second time"
    assert backend.infer(tensors())["answer"].shape == (1, 1, 8, 16)


@pytest.mark.parametrize(("threads", "expected"), [(0, None), (1, 1), (3, 3)])
def test_threads_sleep_between_frames(threads: int, expected: int | None) -> None:
    options = ours._session_options(onnxruntime, threads)
    assert options.intra_op_num_threads == (expected or usable_cores())
    assert options.inter_op_num_threads == 1
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
