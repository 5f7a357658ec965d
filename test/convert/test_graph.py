"""Questions to graphs, and what is left of the converter's casts."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.convert.graph import (
    drop_casts,
    half_weights,
    load,
    name_nodes,
    regression,
    weighted_nodes,
)
from recon3d_ros.convert.half import to_fp16

onnx = pytest.importorskip("onnx")

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def model(*nodes: tuple[str, str, str]) -> onnx.ModelProto:
    """Nodes as (op, inputs, output), names parted by blanks; from x to y."""
    made = []
    for op, inputs, output in nodes:
        kind, _, to = op.partition(":")
        more = {"to": int(to)} if to else {}
        made.append(onnx.helper.make_node(kind, inputs.split(), [output], name=f"{inputs}_node", **more))
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(made, "g", [info("x", FLOAT, [2])], [info("y", FLOAT, [2])])
    return onnx.helper.make_model(graph)


def test_every_node_gets_a_name_of_its_own() -> None:
    graph = model(("Relu", "x", "a"), ("Conv", "a w", "b"), ("Gemm", "b w", "y"))
    for node in graph.graph.node:
        node.name = "same"
    name_nodes(graph)
    assert len({node.name for node in graph.graph.node}) == 3
    assert weighted_nodes(graph) == [node.name for node in graph.graph.node[1:]]


def test_regression_is_what_follows_the_last_weights() -> None:
    graph = model(("Relu", "x", "a"), ("Conv", "a w", "b"), ("Softmax", "b", "c"), ("Mul", "b c", "y"))
    name_nodes(graph)
    names = [node.name for node in graph.graph.node]
    assert regression(graph) == sorted(names[2:])


def test_float_nodes_in_a_row_lose_the_casts_between_them() -> None:
    graph = model(
        (f"Cast:{HALF}", "x", "h"),
        (f"Cast:{FLOAT}", "h", "h_cast_to_fp32"),
        (f"Cast:{FLOAT}", "h", "h_cast_to_fp32"),  # once more, under the same name
        ("Sqrt", "h_cast_to_fp32", "s_cast_to_fp16"),
        ("Mul", "s_cast_to_fp32 h_cast_to_fp32", "m_cast_to_fp16"),
        (f"Cast:{HALF}", "m_cast_to_fp16", "m"),
        (f"Cast:{FLOAT}", "m", "y"),
        (f"Cast:{HALF}", "s_cast_to_fp16", "s"),
        (f"Cast:{FLOAT}", "s", "s_cast_to_fp32"),
    )
    drop_casts(graph)
    assert [(node.op_type, *node.input, *node.output) for node in graph.graph.node] == [
        ("Cast", "x", "h"),  # a cast of the network itself, or of its input
        ("Cast", "h", "h_cast_to_fp32"),
        ("Sqrt", "h_cast_to_fp32", "s_cast_to_fp16"),
        ("Mul", "s_cast_to_fp16", "h_cast_to_fp32", "y"),
    ]
    onnx.checker.check_model(graph)


def test_what_only_a_branch_uses_stays_and_comes_before_it() -> None:
    """A branch takes names from around it, which are no inputs of its node."""
    h = onnx.helper
    info = h.make_tensor_value_info
    branches = {
        name: h.make_graph([h.make_node(op, ["a", "late"], [name])], name, [], [info(name, FLOAT, [2])])
        for name, op in (("then", "Mul"), ("els", "Add"))
    }
    choose = h.make_node("If", ["c"], ["y"], then_branch=branches["then"], else_branch=branches["els"])
    nodes = [h.make_node(op, [x], [y]) for op, x, y in (("Relu", "x", "a"), ("Exp", "x", "late"))]
    graph = h.make_graph(
        [*nodes, h.make_node("Exp", ["x"], ["unused"]), choose],
        "g",
        [info("x", FLOAT, [2]), info("c", onnx.TensorProto.BOOL, [])],
        [info("y", FLOAT, [2])],
    )
    whole = h.make_model(graph)
    drop_casts(whole)
    assert [node.op_type for node in whole.graph.node] == ["Relu", "Exp", "If"]
    onnx.checker.check_model(whole)


def test_a_branch_and_a_loop_behind_the_last_weights_become_half(tmp_path):
    """They share a constant with a node that stays in float."""
    runtime = pytest.importorskip("onnxruntime")
    h, numpy_helper, kind = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT
    info = h.make_tensor_value_info
    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["again"]), h.make_node("Mul", ["v", "one"], ["v_out"])],
        "body",
        [info("i", 7, []), info("go", 9, []), info("v", kind, None)],
        [info("again", 9, []), info("v_out", kind, None)],
    )
    branches = [
        h.make_graph([h.make_node(op, ["looped", "one"], [name])], name, [], [info(name, kind, None)])
        for name, op in (("then", "Add"), ("else", "Sub"))
    ]
    nodes = [
        h.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        h.make_node("Loop", ["times", "yes", "c"], ["looped"], body=body),
        h.make_node("ReduceMean", ["looped"], ["mean"], keepdims=0),
        h.make_node("Greater", ["mean", "one"], ["large"]),
        h.make_node("If", ["large"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    values = {"w": np.full((1, 3, 3, 3), 0.1, np.float32), "one": np.float32(1.5)}
    values |= {"times": np.int64(3), "yes": np.bool_(True)}
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    graph = h.make_graph(
        nodes, "g", [info("x", kind, [1, 3, 24, 32])], [info("y", kind, [1, 1, 24, 32])], constants
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    source, target = tmp_path / "a.onnx", tmp_path / "b.onnx"
    onnx.save(model, source)
    to_fp16(source, target)
    feed = {"x": np.random.default_rng(0).random((1, 3, 24, 32), np.float32)}
    expected, got = (runtime.InferenceSession(str(path)).run(None, feed)[0] for path in (source, target))
    np.testing.assert_allclose(got, expected, rtol=2e-3)
    assert got.dtype == np.float32


def test_weights_in_half_precision_are_cast_once_and_come_back(tmp_path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    huge, bias = np.full((1, 4, 1, 1), 1e6, np.float32), np.full(4, 1 / 3, np.float32)
    info = onnx.helper.make_tensor_value_info
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv"),
        onnx.helper.make_node("Mul", ["c", "huge"], ["y"], "mul"),
    ]
    weights = [onnx.numpy_helper.from_array(a, n) for a, n in ((values, "w"), (huge, "huge"), (bias, "b"))]
    shapes = [1, 3, 6, 7], [1, 4, 4, 5]
    graph = onnx.helper.make_graph(
        nodes, "g", [info("x", FLOAT, shapes[0])], [info("y", FLOAT, shapes[1])], weights
    )
    full = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    half = onnx.ModelProto()
    half.CopyFrom(full)
    half_weights(half)
    onnx.checker.check_model(half)
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert kinds == {"w_half": HALF, "huge": FLOAT, "b": FLOAT}
    (tmp_path / "half.onnx").write_bytes(half.SerializeToString())
    x = np.random.default_rng(1).normal(size=shapes[0]).astype(np.float32)
    ort = pytest.importorskip("onnxruntime")
    said = [ort.InferenceSession(one.SerializeToString()).run(None, {"x": x})[0] for one in (full, half)]
    np.testing.assert_allclose(said[1], said[0], rtol=0, atol=3e-3 * np.abs(said[0]).max())
    again = load(str(tmp_path / "half.onnx"))
    assert [node.op_type for node in again.graph.node] == ["Conv", "Mul"]
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in again.graph.initializer}
    np.testing.assert_array_equal(stored["w"], values.astype(np.float16).astype(np.float32))
    assert sorted(stored) == ["b", "huge", "w"]
