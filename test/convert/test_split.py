"""A convolution of joined channels as a sum gives what it gave."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d_ros.convert.split import split_concats

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def network(channels: tuple[int, ...], groups: int = 1, axis: int = 1):
    """Inputs of any size, joined and convolved; the joined tensor is read by another node, too."""
    make, info, rng = onnx.helper.make_node, onnx.helper.make_tensor_value_info, np.random.default_rng(0)
    total = sum(channels) if axis == 1 else channels[0]
    kernel = rng.normal(size=(4, total // groups, 3, 3)).astype(np.float32)
    names = [f"x{i}" for i in range(len(channels))]
    nodes = [
        make("Concat", names, ["all"], name="join", axis=axis),
        make("Conv", ["all", "w", "b"], ["conv"], name="mix", pads=[1] * 4, group=groups),
        make("ReduceMean", ["all"], ["mean"], name="mean", axes=[2, 3]),
        make("Add", ["conv", "bias2"], ["out"], name="end"),
    ]
    constants = {"w": kernel, "b": rng.normal(size=4).astype(np.float32), "bias2": np.float32(2)}
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [info(name, onnx.TensorProto.FLOAT, [1, "c", "h", "w"]) for name in names],
        [info(name, onnx.TensorProto.FLOAT, [None] * 4) for name in ("out", "mean")],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    feed = {n: rng.normal(size=(1, c, 7, 10)).astype(np.float32) for n, c in zip(names, channels)}
    return model, feed


def run(model, feed) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["out", "mean"], feed)


@pytest.mark.parametrize("channels", [(3, 5), (2, 1, 6)])
def test_the_sum_of_the_parts_is_the_whole(channels) -> None:
    model, feed = network(channels)
    before = run(model, feed)
    assert split_concats(model, feed) == 1
    onnx.checker.check_model(model)
    for got, expected in zip(run(model, feed), before):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") == len(channels) and kinds.count("Concat") == 1  # which ReduceMean reads
    assert "w" not in {tensor.name for tensor in model.graph.initializer}


@pytest.mark.parametrize("changed", [{"groups": 2}, {"axis": 2}])
def test_what_is_no_sum_stays(changed) -> None:
    model, feed = network((4, 4), **changed)
    before = model.SerializeToString()
    assert split_concats(model, feed) == 0 and model.SerializeToString() == before
