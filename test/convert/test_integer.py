"""Which nodes stay in float is found by measuring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.convert.integer import Quantizer, to_int8

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime", minversion="1.20")


@pytest.fixture
def frames() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [{name: rng.random((1, 3, 32, 64), np.float32) for name in ("left", "right")} for _ in range(2)]


def quantised(file: Path) -> set[str]:
    """Names of the convolutions whose weights are integers."""
    model = onnx.load(file)
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    return {
        n.name
        for n in model.graph.node
        if n.op_type == "Conv" and makers.get(n.input[1]) == "DequantizeLinear"
    }


def test_nodes_without_names_get_one(three_convs: Callable[..., Path], frames: list) -> None:
    source = three_convs().with_suffix(".onnx")
    quantizer = Quantizer(source, frames)
    assert len(set(quantizer.nodes)) == 4  # the one that reads both images is one for each
    target = source.with_name("part.onnx")
    quantizer.write(target, quantizer.nodes[1:2])
    assert quantised(target) == {quantizer.nodes[1]}


def test_all_nodes_when_that_does_no_harm(three_convs: Callable[..., Path], frames: list) -> None:
    source = three_convs().with_suffix(".onnx")
    target = source.with_name("all.onnx")
    assert to_int8(source, target, frames, lambda file, count: 0.01, 0.01) == ()
    assert len(quantised(target)) == 4


def test_the_one_that_harms_stays_in_float(three_convs: Callable[..., Path], frames: list) -> None:
    source = three_convs().with_suffix(".onnx")
    target = source.with_name("one.onnx")
    delicate = Quantizer(source, frames).nodes[1]

    def error(file: Path, count: int) -> float:
        return 0.5 if delicate in quantised(file) else 0.001

    assert to_int8(source, target, frames, error, 0.01) == (delicate,)
    assert quantised(target) == set(Quantizer(source, frames).nodes) - {delicate}


def test_it_gives_up_at_half_of_the_nodes(three_convs: Callable[..., Path], frames: list) -> None:
    source = three_convs().with_suffix(".onnx")
    assert len(to_int8(source, source.with_name("no.onnx"), frames, lambda file, count: 1.0, 0.01)) == 2
