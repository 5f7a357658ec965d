"""Tiny ONNX models whose answer is known exactly: a weighted sum of the channels of their inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

# Of the left and the right image (a mono model has the first row), in the channel order of the tensor.
WEIGHTS = ((0.5, 0.3, 0.2), (0.06, 0.05, 0.04))
_ELEMENTS = {"float32": onnx.TensorProto.FLOAT, "uint8": onnx.TensorProto.UINT8}


class Graph:
    """Collects the nodes of an ONNX graph; every call returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.array(value), name))
        return name

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"t{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(op, inputs, [output], **attributes))
        return output


def build(inputs: dict[str, Any], output: dict[str, Any], images: int, factor: float, shrink: int) -> bytes:
    """Return an ONNX file: factor * sum of weight * channel, averaged over shrink x shrink pixels."""
    graph = Graph()
    channels = 1 if inputs["color"] == "mono" else 3
    per_name = channels * images // len(inputs["names"])
    width, height = inputs.get("size_wh", ("w", "h"))
    planar = inputs["layout"] == "NCHW"
    shape = (1, per_name, height, width) if planar else (1, height, width, per_name)
    weights = np.array([row[:channels] for row in WEIGHTS[:images]], np.float32)
    terms = []
    for name, part in zip(inputs["names"], weights.reshape(len(inputs["names"]), per_name)):
        tensor = name if planar else graph.add("Transpose", name, perm=[0, 3, 1, 2])
        tensor = graph.add("Cast", tensor, to=onnx.TensorProto.FLOAT)
        tensor = graph.add("Mul", tensor, graph.constant(part.reshape(1, -1, 1, 1)))
        terms.append(graph.add("ReduceSum", tensor, graph.constant(np.array([1]))))
    value = graph.add("Mul", graph.add("Sum", *terms), graph.constant(np.float32(factor)))
    if shrink > 1:
        value = graph.add("AveragePool", value, kernel_shape=[shrink] * 2, strides=[shrink] * 2)
    if output["layout"] == "NHWC":
        value = graph.add("Transpose", value, perm=[0, 2, 3, 1])
    elif output["layout"] != "NCHW":
        axes = {"NHW": [1], "HW": [0, 1]}[output["layout"]]
        value = graph.add("Squeeze", value, graph.constant(np.array(axes)))
    graph.add("Cast", value, output=output["name"], to=_ELEMENTS[output["dtype"]])
    info = onnx.helper.make_tensor_value_info
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "tiny",
            [info(name, _ELEMENTS[inputs["dtype"]], shape) for name in inputs["names"]],
            [info(output["name"], _ELEMENTS[output["dtype"]], [None] * len(output["layout"]))],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


TASKS = {
    "px": "stereo_disparity",
    "m": "mono_metric_depth",
    "cm": "mono_metric_depth",
    "relative_inverse_depth": "mono_relative_inverse_depth",
}


@pytest.fixture
def tiny_model(tmp_path: Path) -> Callable[..., Path]:
    """Write a model and its manifest, return the path of the manifest.

    ``given`` and ``promised`` are the sections input and output of the manifest, completed by defaults;
    ``factor`` and ``shrink`` are built into the network; ``edit`` may spoil the manifest.
    """

    def write(
        given: dict[str, Any] | None = None,
        promised: dict[str, Any] | None = None,
        *,
        factor: float = 1.0,
        shrink: int = 1,
        edit: Callable[[dict[str, Any]], None] | None = None,
    ) -> Path:
        output = {"name": "answer", "unit": "px", "layout": "NCHW", "dtype": "float32", **(promised or {})}
        stereo = output["unit"] == "px"
        inputs = {"names": ["left", "right"] if stereo else ["image"], "layout": "NCHW", **(given or {})}
        inputs = {"dtype": "float32", "color": "rgb", **inputs}
        if "size_wh" not in inputs:
            inputs.setdefault("multiple_of", 8)
        content = build(inputs, output, 2 if stereo else 1, factor, shrink)
        (tmp_path / "tiny.onnx").write_bytes(content)
        manifest = {
            "name": "tiny",
            "task": TASKS[output["unit"]],
            "artifacts": [{"file": "tiny.onnx", "sha256": hashlib.sha256(content).hexdigest()}],
            "input": inputs,
            "output": output,
            "licence": {"weights": "Apache-2.0"},
        }
        if edit:
            edit(manifest)
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(manifest))
        return path

    return write
