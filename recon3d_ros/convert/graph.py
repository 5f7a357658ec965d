"""Questions to an ONNX graph, and small repairs of one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from recon3d_ros.system.lazy import require

# What carries weights: the bulk of a network's work, and what lower precision is for.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
_FLOAT, _HALF = 1, 10  # onnx.TensorProto
_LARGEST_HALF = 65504.0
# How the converter names the casts it puts after a node that stays in float; older ones the second way.
_ADDED = re.compile(r"_cast_to_fp16_node$|_output_cast\d+$")


def name_nodes(model: Any) -> None:
    """Give a name to every node that has none, or that of another one: lists of nodes go by names."""
    seen: set[str] = set()
    for i, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{i}"
        seen.add(node.name)


def weighted_nodes(model: Any) -> list[str]:
    """Names of the nodes with weights, in the order of the graph."""
    return [node.name for node in model.graph.node if node.op_type in WEIGHTED]


def regression(model: Any) -> list[str]:
    """Names of the nodes between the last ones with weights and the outputs: softmax, mean, upsampling.

    Numbers of a hundred pixels pass there, which half precision rounds to 1/16 px.
    """
    makers = {output: node for node in model.graph.node for output in node.output}
    stops = {*WEIGHTED, "MatMul"}
    found: set[str] = set()
    todo = [output.name for output in model.graph.output]
    while todo:
        node = makers.get(todo.pop())
        if node is not None and node.op_type not in stops and node.name not in found:
            if not any(_graphs(node)):  # branches and bodies are converted as the rest, whatever is said
                found.add(node.name)
            todo += [name for name in node.input if name]
    return sorted(found)


def drop_casts(model: Any) -> None:
    """Take out of a converted graph the casts from float to half and back that part neighbours in float.

    The converter puts one after and one before every node it leaves in float, and gives casts of one tensor
    to several such nodes one name.
    """
    nodes = model.graph.node
    outputs = {output.name for output in model.graph.output}
    casts = {node.output[0]: node for node in nodes if node.op_type == "Cast"}

    def source(name: str) -> str:
        """The float tensor that is this one before it became half and float again; else the name itself."""
        back = casts.get(name)
        if back is None or _target(back) != _FLOAT:
            return name
        down = casts.get(back.input[0])
        if down is None or _target(down) != _HALF or not _ADDED.search(down.name):
            return name  # a cast of the network itself may come from integers
        return down.input[0]

    renamed = {source(name): name for name in outputs if source(name) != name}
    kept: list[Any] = []
    made: set[str] = set()
    for node in nodes:
        if node.op_type == "Cast" and (node.output[0] in made or node.output[0] in renamed.values()):
            continue  # a second cast of one tensor, or the last one, whose source takes its name
        inputs = [source(name) for name in node.input]
        del node.input[:]
        node.input.extend(renamed.get(name, name) for name in inputs)
        for inner in _inner_nodes(node):  # what a branch or a loop takes from around it
            names = [renamed.get(name, name) for name in inner.input]
            del inner.input[:]
            inner.input.extend(names)
        names = [renamed.get(name, name) for name in node.output]
        del node.output[:]
        node.output.extend(names)
        made.update(names)
        kept.append(node)
    _replace_nodes(model, _ordered(_used(kept, outputs)))
    del model.graph.value_info[:]  # they speak of the tensors as they were


def _graphs(node: Any) -> Iterator[Any]:
    """The branches or the body of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def order_nodes(model: Any) -> None:
    """Sort the nodes; those on which no output depends go, and the values that none reads."""
    graph = model.graph
    _replace_nodes(model, _ordered(_used(list(graph.node), [output.name for output in graph.output])))
    read = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
    del graph.value_info[:]


def _target(cast: Any) -> int:
    return next(int(attribute.i) for attribute in cast.attribute if attribute.name == "to")


def _used(nodes: list[Any], outputs: Iterable[str]) -> list[Any]:
    """The nodes on which an output depends."""
    makers = {output: node for node in nodes for output in node.output}
    found: set[str] = set()
    todo = list(outputs)
    while todo:
        name = todo.pop()
        if name in makers and name not in found:
            found.update(makers[name].output)
            todo += _all_inputs(makers[name])
    return [node for node in nodes if not found.isdisjoint(node.output)]


def _ordered(nodes: list[Any]) -> list[Any]:
    """The nodes so that each comes after those it needs, which ONNX demands."""
    from graphlib import TopologicalSorter

    makers = {output: i for i, node in enumerate(nodes) for output in node.output}
    needs = {
        i: {makers[name] for name in _all_inputs(node) if name in makers} for i, node in enumerate(nodes)
    }
    return [nodes[i] for i in TopologicalSorter(needs).static_order()]


def _inner_nodes(node: Any) -> Iterator[Any]:
    """The nodes of the branches of an If and of the body of a Loop or Scan, however deep."""
    for graph in _graphs(node):
        for inner in graph.node:
            yield inner
            yield from _inner_nodes(inner)


def _all_inputs(node: Any) -> list[str]:
    """Its inputs, and names that its branches and bodies use, of which some may come from around it."""
    return [*node.input, *(name for inner in _inner_nodes(node) for name in inner.input)]


def _replace_nodes(model: Any, nodes: list[Any]) -> None:
    copies = []
    for node in nodes:
        copy = type(node)()
        copy.CopyFrom(node)
        copies.append(copy)
    del model.graph.node[:]
    model.graph.node.extend(copies)


def load(path: str) -> Any:
    """Read an ONNX file, its nodes named, its weights in float.

    Raises:
        MissingDependencyError: onnx is not installed.
    """
    model = require("onnx", extra="convert").load(path)
    name_nodes(model)
    float_weights(model)
    return model


def float_weights(model: Any) -> None:
    """Replace what `half_weights` left: weights in half precision that a cast makes float."""
    onnx: Any = require("onnx", extra="convert")
    weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == _HALF}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in weights and _target(node) == _FLOAT:
            values = onnx.numpy_helper.to_array(weights[node.input[0]]).astype("float32")
            model.graph.initializer.append(onnx.numpy_helper.from_array(values, node.output[0]))
        else:
            kept.append(node)
    if len(kept) < len(model.graph.node):
        _replace_nodes(model, kept)
        order_nodes(model)


def half_weights(model: Any) -> None:
    """Store weights in half precision, each with a cast to float: half the file, computed as before.

    Runtimes cast once, when they open the file. Biases and what else is small stay in float, and so does what
    half precision would make infinite.
    """
    onnx: Any = require("onnx", extra="convert")
    casts = []
    for tensor in list(model.graph.initializer):
        if tensor.data_type != _FLOAT or len(tensor.dims) < 2:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if not abs(values).max(initial=0.0) <= _LARGEST_HALF:
            continue
        half = onnx.numpy_helper.from_array(values.astype("float16"), f"{tensor.name}_half")
        casts.append(
            onnx.helper.make_node("Cast", [half.name], [tensor.name], f"{half.name}_cast", to=_FLOAT)
        )
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(half)
    _replace_nodes(model, [*casts, *model.graph.node])
