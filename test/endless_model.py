"""A model whose network counts on and on: a `Loop` of 2^62 turns."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper


def endless_model(folder: Path, stereo: bool = False) -> Path:
    """Write the ONNX file and its manifest; return the path of the manifest."""
    values = {
        name: helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (
            ("turn", TensorProto.INT64, []),
            ("go", TensorProto.BOOL, []),
            ("go_on", TensorProto.BOOL, []),
            ("sum", TensorProto.FLOAT, None),
            ("more", TensorProto.FLOAT, None),
            ("image", TensorProto.FLOAT, [1, 6 if stereo else 3, "height", "width"]),
            ("depth", TensorProto.FLOAT, [1, 1, "height", "width"]),
        )
    }
    constants = {"one": np.float32(1), "turns": np.int64(2**62), "yes": np.array(True), "axes": np.int64([1])}
    tensors = {name: numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()}
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["sum", "one"], ["more"])],
        "body",
        [values["turn"], values["go"], values["sum"]],
        [values["go_on"], values["more"]],
        [tensors["one"]],
    )
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["grey"], axes=[1]),
        helper.make_node("Loop", ["turns", "yes", "grey"], ["depth"], body=body),
    ]
    graph = helper.make_graph(
        nodes, "endless", [values["image"]], [values["depth"]], [tensors["turns"], tensors["yes"]]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    (folder / "endless.onnx").write_bytes(content)
    manifest = {
        "name": "endless",
        "task": "stereo_disparity" if stereo else "mono_metric_depth",
        "artifacts": [{"file": "endless.onnx", "sha256": hashlib.sha256(content).hexdigest()}],
        "input": {"names": ["image"], "multiple_of": 8},
        "output": {"name": "depth", "unit": "px" if stereo else "m"},
        "licence": {"weights": "MIT"},
    }
    path = folder / "endless.yaml"
    path.write_text(yaml.safe_dump(manifest))
    return path
