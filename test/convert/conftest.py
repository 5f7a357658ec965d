"""A small stereo network of three convolutions, as an ONNX file with its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from recon3d_ros.convert import images


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight scenes to calibrate and two to compare, small: rendering is most of the time."""
    monkeypatch.setattr(images, "CALIBRATION_SEEDS", range(910_000, 910_008))
    monkeypatch.setattr(images, "COMPARISON_SEEDS", range(920_000, 920_002))
    monkeypatch.setattr(images, "CALIBRATION_SIZE_WH", (96, 64))
    monkeypatch.setattr(images, "SIZES_WH", ((128, 64), (64, 96)))


def network(gain: float) -> bytes:
    """conv -> relu -> conv -> relu -> conv of the stacked images, then times `gain` and a mean of shifts."""
    import onnx  # the test modules skip themselves without it

    rng = np.random.default_rng(5)
    names, constants = iter(range(100)), []

    def constant(value: np.ndarray) -> str:
        constants.append(onnx.numpy_helper.from_array(value, f"c{next(names)}"))
        return constants[-1].name

    node = onnx.helper.make_node
    nodes, at = [node("Concat", ["left", "right"], ["both"], axis=1)], "both"
    for i, (cin, cout) in enumerate(((6, 8), (8, 8), (8, 1))):
        weight = constant(np.abs(rng.normal(0, 1 / (9 * cin), (cout, cin, 3, 3))).astype(np.float32))
        bias = constant(rng.uniform(0, 0.1, cout).astype(np.float32))
        # without names: files of others have none either
        nodes += [
            node("Conv", [at, weight, bias], [f"conv{i}"], pads=[1] * 4),
            node("Relu", [f"conv{i}"], [f"r{i}"]),
        ]
        at = f"r{i}"
    nodes += [
        node("Mul", [at, constant(np.float32(gain))], ["large"]),
        node("Mul", ["large", constant(np.float32(15.0 / gain))], ["scaled"]),
        node("Sqrt", ["scaled"], ["root"]),
        node("Mul", ["root", "root"], ["disparity"]),
    ]
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    inputs = [info(name, kind, ["n", 3, "h", "w"]) for name in ("left", "right")]
    graph = onnx.helper.make_graph(
        nodes, "three", inputs, [info("disparity", kind, ["n", 1, "h", "w"])], constants
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture
def three_convs(tmp_path: Path) -> Callable[..., Path]:
    """Write the network and its manifest, return the path of the manifest."""

    def write(gain: float = 15.0) -> Path:
        content = network(gain)
        (tmp_path / "three.onnx").write_bytes(content)
        manifest = {
            "name": "three",
            "task": "stereo_disparity",
            "artifacts": [{"file": "three.onnx", "sha256": hashlib.sha256(content).hexdigest()}],
            "input": {"names": ["left", "right"], "scale": 1 / 255, "multiple_of": 32},
            "output": {"name": "disparity", "unit": "px"},
            "licence": {"weights": "Apache-2.0"},
        }
        (tmp_path / "three.yaml").write_text(yaml.safe_dump(manifest))
        return tmp_path / "three.yaml"

    return write
