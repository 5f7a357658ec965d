"""A convolution over concatenated channels as the sum of one for each part, each with a range of its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d_ros.backends.inference_limit import InferenceLimit
from recon3d_ros.convert.graph import order_nodes
from recon3d_ros.system.lazy import require

_CHANNELS = 1


def split_concats(model: Any, feed: Mapping[str, NDArray[Any]]) -> int:
    """Replace each Conv of a Concat of channels by one Conv for each of its inputs, and their sum.

    The result is the same but for rounding. In int8 the parts need not share one scale, and OpenVINO 2026.4
    gives wrong values for a Concat of signed int8 tensors.

    Args:
        model: An ONNX model with named nodes; changed in place.
        feed: Inputs of any valid size, by which the channels of the parts are counted.

    Returns:
        How many convolutions it replaced.

    Raises:
        MissingDependencyError: onnx or onnxruntime is not installed.
    """
    onnx = require("onnx", extra="convert")
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    found = [
        (conv, makers[conv.input[0]])
        for conv in graph.node
        if conv.op_type == "Conv"
        and conv.input[1] in weights
        and conv.input[0] in makers
        and _joins_channels(makers[conv.input[0]])
        and _groups(conv) == 1
    ]
    counts = _channels(model, sorted({name for _, concat in found for name in concat.input}), feed)
    for conv, concat in found:
        sizes = [counts[name] for name in concat.input]
        kernel = onnx.numpy_helper.to_array(weights[conv.input[1]])
        parts = np.split(kernel, np.cumsum(sizes)[:-1], axis=1)
        _replace(onnx, graph, conv, list(concat.input), parts)
    if found:
        order_nodes(model)
    return len(found)


def _replace(onnx: Any, graph: Any, conv: Any, inputs: list[str], kernels: list[NDArray[Any]]) -> None:
    bias, last = list(conv.input[2:]), len(inputs) - 1
    total = ""
    for i, (name, kernel) in enumerate(zip(inputs, kernels, strict=True)):
        weight = f"{conv.name}_part_{i}_weight"
        graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(kernel), weight))
        part = type(conv)()
        part.CopyFrom(conv)
        part.name = f"{conv.name}_part_{i}"
        del part.input[:]
        part.input.extend([name, weight, *(bias if i == 0 else [])])
        part.output[0] = f"{part.name}_output"
        graph.node.append(part)
        if i == 0:
            total = part.output[0]
            continue
        together = conv.output[0] if i == last else f"{conv.name}_sum_{i}"
        graph.node.append(
            onnx.helper.make_node("Add", [total, part.output[0]], [together], f"{conv.name}_add_{i}")
        )
        total = together
    graph.node.remove(conv)


def _channels(model: Any, names: list[str], feed: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Number of channels of tensors, found by one inference."""
    if not names:
        return {}
    vendor: Any = require("onnxruntime", extra="convert")
    asked = type(model)()
    asked.CopyFrom(model)
    known = {output.name for output in asked.graph.output}
    for name in names:
        if name not in known:
            asked.graph.output.add().name = name
    options = vendor.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions too
    session = vendor.InferenceSession(asked.SerializeToString(), options, providers=["CPUExecutionProvider"])
    with closing(InferenceLimit()) as limit:
        values = limit.run(lambda options: session.run(names, dict(feed), options), vendor.RunOptions())
    return {name: value.shape[_CHANNELS] for name, value in zip(names, values)}


def _joins_channels(node: Any) -> bool:
    axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
    return node.op_type == "Concat" and axes == [_CHANNELS] and len(node.input) > 1


def _groups(conv: Any) -> int:
    return next((int(attribute.i) for attribute in conv.attribute if attribute.name == "group"), 1)
