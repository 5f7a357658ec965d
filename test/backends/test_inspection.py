from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.backends.inspection import OnnxFile
from recon3d_ros.errors import ArtifactError
from test.published import Graph

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def patches(path: Path, step: int, shape: tuple) -> Path:
    """A network that looks at patches, and crops what is no multiple of them, as a ViT does."""
    graph = Graph()
    h = onnx.helper
    weights = graph.constant(np.full((1, 3, step, step), 1 / (3 * step * step)))
    small = graph.op("Conv", "image", weights, strides=[step, step])
    scales = graph.constant([1.0, 1.0, float(step), float(step)])
    graph.nodes.append(h.make_node("Resize", [small, "", scales], ["depth"], mode="nearest"))
    info = h.make_tensor_value_info
    graph.save(path, [info("image", 1, list(shape))], [info("depth", 1, [1, 1, "a", "b"])])
    return path


@pytest.mark.parametrize("step", [1, 8, 14, 32])
def test_the_step_that_a_network_does_not_crop(tmp_path: Path, step: int) -> None:
    found = OnnxFile(patches(tmp_path / "x.onnx", step, (1, 3, "h", "w")))
    assert found.multiple_of == step
    assert None not in found.signature.outputs[0].shape and None in found.outputs[0].shape


def test_a_fixed_size_is_run_once_for_the_shapes(tmp_path: Path) -> None:
    found = OnnxFile(patches(tmp_path / "x.onnx", 14, (1, 3, 28, 42)))
    assert found.multiple_of is None and found.signature.outputs[0].shape == (1, 1, 28, 42)


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"none")
    with pytest.raises(ArtifactError, match=r"ONNX Runtime cannot load .*x.onnx"):
        OnnxFile(tmp_path / "x.onnx")
