"""Small graphs with the inputs and outputs of published networks, which read a value out of the colours.

What a graph undoes is what the original code does to its images, written down here from that code and not
from our templates: the order of the colours, their range, mean and standard deviation, where the padding is,
what the output means. So the value comes back only if the picture arrived as the original shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

IMAGENET = (255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = (255.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
UNIT = (255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
RAW = (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
# The value is the sum of the colours with these weights, R G B, of the left and the right image.
WEIGHTS = ((0.03, 0.012, 0.02), (0.008, 0.005, 0.004))
GREY = (0.299, 0.587, 0.114)
# Of the column and of the row in the network's input: padding elsewhere moves the value.
ALONG, DOWN = 0.02, 0.05
HALVES = 0.02  # of the red of both halves, where there are such inputs


@dataclass(frozen=True)
class Published:
    """One network as it is published.

    Attributes:
        inputs: Name and shape of each input; "h" and "w" are free sides.
        outputs: Name and layout of each output; the first is the value, the others are `constants`.
        norm: Range, mean and standard deviation of the original.
        order: Of the colours: rgb, bgr or mono.
        answer: Nodes from the value to the output: see `Graph`.
        padding: Columns left of and rows above the picture, of so many that are missing; None = stretched.
        constants: What the further outputs hold everywhere.
        metric: Whether the value is depth or disparity, not inverse depth.
        channels: Of the first output.
    """

    inputs: dict[str, tuple]
    outputs: dict[str, str]
    norm: tuple = IMAGENET
    order: str = "rgb"
    answer: Callable[[Graph, str], str] = lambda graph, value: value
    padding: Callable[[int, int], tuple[int, int]] | None = None
    constants: dict[str, float] = field(default_factory=dict)
    channels: int = 1


class Graph:
    """Nodes and constants of an ONNX graph that grows."""

    def __init__(self) -> None:
        self.onnx = pytest.importorskip("onnx")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def times(self, value: str, factor: float) -> str:
        return self.op("Mul", value, self.constant(factor))

    def over(self, value: str, factor: float = 1.0) -> str:
        """factor / value."""
        return self.op("Div", self.constant(factor), value)

    def weighted(self, image: str, weights: Sequence[float], norm: tuple) -> str:
        """The sum of the channels of an image, its normalisation undone, each times a weight."""
        span, mean, std = norm
        count = len(weights)
        gains = [w * s * span for w, s in zip(weights, std)]
        bias = sum(w * m * span for w, m in zip(weights, mean))
        kernel = self.constant(np.reshape(gains, (1, count, 1, 1)))
        return self.op("Conv", image, kernel, self.constant([bias]))

    def position(self, plane: str, axis: int) -> str:
        """1, 2, 3, ... along an axis of a (1, 1, h, w) tensor."""
        ones = self.op("Add", self.op("Mul", plane, self.constant(0.0)), self.constant(1.0))
        return self.op("CumSum", ones, self.constant(axis, np.int64))

    def save(self, path: Path, inputs: list, outputs: list) -> None:
        h = self.onnx.helper
        graph = h.make_graph(self.nodes, "published", inputs, outputs, self.constants)
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
        self.onnx.checker.check_model(model)
        self.onnx.save(model, path)


def write(network: Published, path: Path) -> None:
    """Write the graph of a network."""
    graph, kinds = Graph(), {"uint8": 2, "float32": 1}
    parts = []
    weights = [_in_order(w, network.order) for w in WEIGHTS]
    names = [name for name, shape in network.inputs.items() if len(shape) == 4 and name != "rays"]
    whole = [name for name in names if not name.startswith("init_")]
    for i, name in enumerate(whole):
        image = graph.op("Cast", name, to=1) if network.inputs[name][0] == "uint8" else name
        chosen = [weights[i]] if network.inputs[name][1] == len(weights[0]) else weights
        span, mean, std = network.norm
        count, size = len(chosen), len(weights[0])
        parts.append(graph.weighted(image, sum(chosen, ()), (span, mean[:size] * count, std[:size] * count)))
    for name in names:
        if name.startswith("init_"):
            red = graph.weighted(name, _in_order((HALVES, 0.0, 0.0), network.order), network.norm)
            scales = graph.constant([1.0, 1.0, 2.0, 2.0])
            parts.append(graph.op("Resize", red, "", scales, mode="linear"))
    if "rays" in network.inputs:  # a tenth of the slope to the right
        x, z = (graph.op("Gather", "rays", graph.constant([i], np.int64), axis=1) for i in (0, 2))
        parts.append(graph.times(graph.op("Div", x, z), 0.1))
    if network.padding is not None:
        for axis, step in ((3, ALONG), (2, DOWN)):
            parts.append(graph.times(graph.position(parts[0], axis), step))
    value = parts[0]
    for part in parts[1:]:
        value = graph.op("Add", value, part)
    answer = network.answer(graph, value)
    outputs = []
    for name, layout in network.outputs.items():
        if name in network.constants:
            source = graph.op("Add", graph.times(value, 0.0), graph.constant(network.constants[name]))
            outputs.append(_named(graph, source, name, layout, 1))
        else:
            outputs.append(_named(graph, answer, name, layout, network.channels))
    h = graph.onnx.helper
    inputs = [
        h.make_tensor_value_info(name, kinds["uint8" if shape[0] == "uint8" else "float32"], [1, *shape[1:]])
        for name, shape in network.inputs.items()
    ]
    graph.save(path, inputs, outputs)


def _named(graph: Graph, source: str, name: str, layout: str, channels: int) -> Any:
    """Give an output its name and its axes."""
    if layout == "NHWC":
        graph.nodes.append(graph.onnx.helper.make_node("Transpose", [source], [name], perm=[0, 2, 3, 1]))
        shape: list = [1, f"h_{name}", f"w_{name}", channels]
    elif layout == "NHW":
        axes = graph.constant([1], np.int64)
        graph.nodes.append(graph.onnx.helper.make_node("Squeeze", [source, axes], [name]))
        shape = [1, f"h_{name}", f"w_{name}"]
    else:
        graph.nodes.append(graph.onnx.helper.make_node("Identity", [source], [name]))
        shape = [1, channels, f"h_{name}", f"w_{name}"]
    return graph.onnx.helper.make_tensor_value_info(name, 1, shape)


def _in_order(weights: Sequence[float], order: str) -> tuple[float, ...]:
    if order == "mono":
        return (sum(weights),)
    return tuple(weights[::-1] if order == "bgr" else weights)


def expected(network: Published, images: Sequence[np.ndarray], network_wh: tuple[int, int]) -> np.ndarray:
    """The value of each pixel of the left image, (H, W): its colours, and its place in the network."""
    height, width = images[0].shape[:2]
    total = np.zeros((height, width))
    for image, weights in zip(images, WEIGHTS):
        rgb = image.astype(np.float64)
        if network.order == "mono":
            rgb = np.repeat((rgb @ GREY)[..., None], 3, axis=2)
        total += rgb @ np.array(weights)
    if any(name.startswith("init_") for name in network.inputs):
        total += HALVES * sum(image[..., 0].astype(np.float64) for image in images)
    if network.padding is not None:
        left, above = network.padding(network_wh[0] - width, network_wh[1] - height)
        u, v = np.meshgrid(np.arange(width), np.arange(height))
        total += ALONG * (u + left + 1) + DOWN * (v + above + 1)
    return total
