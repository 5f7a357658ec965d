"""Files that the library onnx writes, and what others may write to get at files that are not the model's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.backends.onnxruntime import tensors_of
from recon3d_ros.errors import ArtifactError
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.model_zoo.onnx_file import external_files, stored_precision, tensors_in
from recon3d_ros.model_zoo.registry import verify
from test.external_model import with_external_data

onnx = pytest.importorskip("onnx")
TWO = np.full(3, 2.0, np.float32)


def external(name: str, location: str):
    """A tensor whose values lie in another file."""
    tensor = onnx.numpy_helper.from_array(TWO, name)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "12")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def write(path: Path, *initializers, nodes=(), functions=()) -> Path:
    h = onnx.helper
    graph = h.make_graph(list(nodes), "g", [], [], list(initializers))
    model = h.make_model(graph, functions=list(functions))
    h.set_model_props(model, {"location": "a key of the user", "note": "location\x12\x03abc"})
    path.write_bytes(model.SerializeToString())
    return path


def test_every_place_where_a_graph_can_keep_a_tensor(tmp_path: Path) -> None:
    h = onnx.helper
    constant = h.make_node("Constant", [], ["c"], value=external("c", "constant.bin"))
    branch = h.make_graph([constant], "then", [], [], [external("t", "branch.bin")])
    node = h.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    many = h.make_node("Own", [], ["z"], domain="own", tensors=[external("l", "list.bin")])
    function = h.make_function("own", "F", [], ["c"], [constant], [h.make_opsetid("", 17)])
    function.node[0].attribute[0].t.external_data[0].value = "function.bin"
    path = write(
        tmp_path / "m.onnx", external("w", "w.bin"), external("v", "w.bin"), nodes=[node, many],
        functions=[function],
    )  # fmt: skip
    expected = {"w.bin", "branch.bin", "constant.bin", "list.bin", "function.bin"}
    names = external_files(path)
    assert set(names) == expected and len(names) == len(expected)


def test_a_sparse_tensor(tmp_path: Path) -> None:
    indices = onnx.numpy_helper.from_array(np.arange(3), "i")
    graph = onnx.helper.make_graph([], "g", [], [])
    graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(external("s", "s.bin"), indices, [9]))
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    assert external_files(path) == ("s.bin",)


def test_a_file_with_all_its_weights_names_none(tmp_path: Path) -> None:
    assert external_files(write(tmp_path / "m.onnx", onnx.numpy_helper.from_array(TWO, "w"))) == ()


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "..\\w.bin", "C:\\w.bin", "\\w"]
)
def test_no_file_outside_the_folder(tmp_path: Path, location: str) -> None:
    with pytest.raises(ArtifactError, match="not in its own folder or below"):
        external_files(write(tmp_path / "m.onnx", external("w", location)))


def test_no_file_outside_the_folder_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "w.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError, match=r"w.bin.*not in its own folder"):
        external_files(write(folder / "m.onnx", external("w", "w.bin")))


def test_damaged_files_end_the_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", external("w", "w.bin"))
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        external_files(path)  # whatever it finds; it ends, and raises nothing of its own
    path.write_bytes(b"")
    assert external_files(path) == ()


@pytest.mark.parametrize(
    ("dtypes", "ops", "precision"),
    [
        (["float32", "float32"], ["Conv"], "fp32"),
        (["float16", "float16", "float32"], ["Conv", "Cast"], "fp16"),
        (["float32", "float16", "int64"], ["Conv"], "fp32"),
        (["float32", "int8"], ["DequantizeLinear", "Conv", "QuantizeLinear"], "int8"),
        (["int8", "float32"], ["QLinearConv"], "int8"),
        (["float32"], ["DynamicQuantizeLinear", "ConvInteger"], "int8"),
        (["float32"], ["QLinear", "Quantize"], "fp32"),
    ],
)
def test_what_a_file_computes_in(tmp_path: Path, dtypes: list[str], ops: list[str], precision: str) -> None:
    tensors = [onnx.numpy_helper.from_array(np.ones(3, dtype), f"w{i}") for i, dtype in enumerate(dtypes)]
    nodes = [onnx.helper.make_node(op, [], [f"y{i}"], name="QLinearConv") for i, op in enumerate(ops)]
    assert stored_precision(write(tmp_path / "m.onnx", *tensors, nodes=nodes)) == precision


def test_the_precision_of_what_is_no_onnx_file_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\xff" * 40)
    assert stored_precision(tmp_path / "m.onnx") == "fp32"
    with pytest.raises(ArtifactError, match="cannot read"):
        stored_precision(tmp_path / "absent.onnx")


def test_weights_that_are_a_link_in_a_circle_are_one_error(tmp_path):
    manifest = load_manifest(with_external_data(tmp_path))
    (tmp_path / "ext.data").unlink()
    (tmp_path / "ext.data").symlink_to(tmp_path / "ext.data")
    with pytest.raises(ArtifactError, match=r"ext\.data"):
        verify(manifest)


def test_the_tensors_that_a_file_declares_are_those_of_the_runtime(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    h, kinds = onnx.helper, onnx.TensorProto
    info = h.make_tensor_value_info
    inputs = [info("image", kinds.FLOAT16, ["n", 3, None, 64]), info("w", kinds.FLOAT, [3])]
    outputs = [info("count", kinds.INT64, []), info("flag", kinds.BOOL, [1, 2])]
    nodes = [
        h.make_node("Size", ["image"], ["count"]),
        h.make_node("Constant", [], ["flag"], value=onnx.numpy_helper.from_array(np.ones((1, 2), bool))),
    ]
    graph = h.make_graph(nodes, "g", inputs, outputs, [onnx.numpy_helper.from_array(TWO, "w")])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    expected = tensors_of(runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"]), path)
    assert tensors_in(path) == expected
    assert [spec.shape for spec in expected[0]] == [(None, 3, None, 64)]  # w has its value in the file
    path.write_bytes(b"no onnx")
    assert tensors_in(path) == ((), ())
