"""A model whose weights lie in a file beside it, as torch.onnx.export leaves them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

YAML = """
name: ext
task: mono_metric_depth
artifacts: [{{file: ext.onnx, sha256: {model}, external: {external}}}]
input: {{names: [image], multiple_of: 8}}
output: {{name: depth, unit: m}}
licence: {{weights: MIT}}
"""


def with_external_data(folder: Path, listed: bool = True) -> Path:
    """Write the model `ext`, the mean of the colours plus a metre; returns the path of its manifest."""
    onnx = pytest.importorskip("onnx")
    h, kind = onnx.helper, onnx.TensorProto.FLOAT
    sides = [1, 3, "height", "width"]
    image = h.make_tensor_value_info("image", kind, sides)
    depth = h.make_tensor_value_info("depth", kind, [1, 1, *sides[2:]])
    weights = onnx.numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, np.float32), "weights")
    metre = onnx.numpy_helper.from_array(np.ones((1,), np.float32), "metre")
    nodes = [h.make_node("Conv", ["image", "weights", "metre"], ["depth"])]
    graph = h.make_graph(nodes, "ext", [image], [depth], [weights, metre])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "ext.onnx", save_as_external_data=True, location="ext.data", size_threshold=0)
    sums = [hashlib.sha256((folder / f"ext.{name}").read_bytes()).hexdigest() for name in ("onnx", "data")]
    external = f"[{{file: ext.data, sha256: {sums[1]}}}]" if listed else "[]"
    path = folder / "ext.yaml"
    path.write_text(YAML.format(model=sums[0], external=external))
    return path
