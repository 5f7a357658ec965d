"""fp16 and int8 of a small network, with real converters and a real runtime."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.backends import open_backend
from recon3d_ros.convert import METHODS, convert, folder_images, to_text
from recon3d_ros.convert import conversion as module
from recon3d_ros.convert.images import split_images
from recon3d_ros.errors import ArtifactError, BackendError, DataError, ManifestError
from recon3d_ros.files import write_image
from recon3d_ros.model_zoo.contract import InputContract, OutputContract
from recon3d_ros.model_zoo.manifest import Artifact, ExternalFile, Licence, Manifest
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.model_zoo.onnx_file import external_files
from recon3d_ros.model_zoo.registry import find_model, sha256_of, verify
from recon3d_ros.system.progress import Progress

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime", minversion="1.20")

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def test_both_files_lie_beside_the_manifest_and_answer_as_fp32(three_convs: Callable[..., Path]) -> None:
    path = three_convs()
    said: list[str] = []

    class Heard(Progress):
        def update(self, stage: str, share: float | None = None) -> None:
            said.append(stage)

    done = convert(load_manifest(path), progress=Heard())
    again = load_manifest(path)
    assert again == done.manifest
    verify(again)  # the sums of all three
    assert [a.precision for a in again.artifacts] == ["fp32", *METHODS]
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "three.onnx",
        "three.yaml",
        "three_fp16.onnx",
        "three_int8.onnx",
    ]
    assert [row.precision for row in done.rows] == ["fp32", *METHODS]
    assert done.rows[0].off_share == 0.0 and max(row.off_share for row in done.rows) < 0.05
    assert 0 < done.rows[0].metrics["epe_px"] == pytest.approx(done.rows[1].metrics["epe_px"], rel=1e-2)
    assert {line.partition(":")[0] for line in said} == set(METHODS)
    rng = np.random.default_rng(0)
    feed = {name: rng.random((2, 3, 32, 64), np.float32) for name in ("left", "right")}
    expected = open_backend("onnxruntime", again, precision="fp32").infer(feed)["disparity"]
    for precision in METHODS:
        backend = open_backend("onnxruntime", again, precision=precision)
        assert backend.precision == precision
        assert {spec.dtype for spec in (*backend.inputs, *backend.outputs)} == {"float32"}
        got = backend.infer(feed)["disparity"]
        np.testing.assert_allclose(got, expected, atol=1.0)
        assert np.abs(got - expected).max() > 1e-6  # another precision indeed


def test_the_bulk_is_half_and_what_is_delicate_stays_float(three_convs: Callable[..., Path]) -> None:
    path = three_convs()
    convert(load_manifest(path), ["fp16"])
    model = onnx.shape_inference.infer_shapes(onnx.load(path.parent / "three_fp16.onnx"))
    onnx.checker.check_model(model, full_check=True)
    types = {info.name: info.type.tensor_type.elem_type for info in model.graph.value_info}
    of = [(node.op_type, types.get(node.output[0])) for node in model.graph.node]
    assert [kind for op, kind in of if op == "Conv"] == [HALF] * 3
    assert [kind for op, kind in of if op == "Relu"] == [HALF, HALF, FLOAT]  # the last one is regression
    assert ("Sqrt", FLOAT) in of and ("Sqrt", HALF) not in of
    large = {array.name: array.data_type for array in model.graph.initializer if len(array.dims) == 4}
    assert len(large) == 3 and set(large.values()) == {HALF}


def test_large_numbers_after_the_last_convolution_survive_half_precision(
    three_convs: Callable[..., Path],
) -> None:
    done = convert(load_manifest(three_convs(gain=3e6)), ["fp16"])
    assert done.rows[1].off_share < 0.001


def test_int8_is_between_q_and_dq_and_smaller(three_convs: Callable[..., Path]) -> None:
    path = three_convs()
    convert(load_manifest(path), ["int8"])
    model = onnx.load(path.parent / "three_int8.onnx")
    kinds = [node.op_type for node in model.graph.node]
    assert "QuantizeLinear" in kinds and "DequantizeLinear" in kinds and "QLinearConv" not in kinds
    arrays = {array.name: onnx.numpy_helper.to_array(array) for array in model.graph.initializer}
    weights = [a for a in arrays.values() if a.ndim == 4]
    assert len(weights) == 4 and all(a.dtype == np.int8 for a in weights)
    points = [array for name, array in arrays.items() if "zero_point" in name]
    assert points and not any(np.any(array) for array in points)  # symmetric: TensorRT takes nothing else


def test_what_is_too_far_off_is_refused_and_leaves_nothing(
    three_convs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = three_convs()
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}

    def spoil(source: Path, target: Path) -> tuple[str, ...]:
        model = onnx.load(source)
        next(a for a in model.graph.initializer if len(a.dims) == 4).raw_data = bytes(8 * 6 * 9 * 4)
        target.write_bytes(model.SerializeToString())
        return ()

    monkeypatch.setattr(module, "to_fp16", spoil)
    with pytest.raises(
        BackendError, match=r"expected fp16 of model three to differ from fp32 in at most .* got \d"
    ):
        convert(load_manifest(path), ["fp16"])
    assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == before


def test_converting_again_replaces(three_convs: Callable[..., Path]) -> None:
    path = three_convs()
    convert(load_manifest(path), ["fp16"])
    convert(load_manifest(path), ["int8"])
    done = convert(load_manifest(path), ["fp16"])
    assert [a.precision for a in done.manifest.artifacts] == ["fp32", "fp16", "int8"]
    verify(load_manifest(path))


def test_models_without_an_fp32_file_are_refused(three_convs: Callable[..., Path]) -> None:
    with pytest.raises(ManifestError, match="fake_stereo is built in and has no file"):
        convert(find_model("fake_stereo"))
    manifest = load_manifest(three_convs())
    halves = tuple(dataclasses.replace(a, precision="fp16") for a in manifest.artifacts)
    with pytest.raises(ArtifactError, match="no fp32 artifact, its manifest lists fp16"):
        convert(dataclasses.replace(manifest, artifacts=halves))


def test_calibration_images_of_a_folder_get_one_size(tmp_path: Path) -> None:
    stereo, rng = find_model("fake_stereo"), np.random.default_rng(1)
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for name, shape in (("a", (40, 70, 3)), ("b", (50, 60, 3))):
            write_image(tmp_path / side / f"{name}.png", rng.integers(0, 255, shape, np.uint8))
    pairs = folder_images(stereo, tmp_path)
    assert [[image.shape for image in pair] for pair in pairs] == [[(40, 60, 3)] * 2] * 2
    assert [len(images) for images in folder_images(find_model("fake_mono"), tmp_path / "left", limit=1)] == [
        1
    ]
    with pytest.raises(DataError, match=r"expected left/ and right/ in .* for a stereo model"):
        folder_images(stereo, tmp_path / "left")


def test_every_second_image_of_the_robot_finds_ranges_and_the_others_compare(
    three_convs: Callable[..., Path],
) -> None:
    path, rng = three_convs(), np.random.default_rng(3)
    pairs = [[rng.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(2)] for _ in range(5)]
    found, compared = split_images(load_manifest(path), pairs)
    assert [frame[0] is pairs[i][0] for i, frame in zip((0, 2, 4), found)] == [True] * 3
    assert [frame.images[1] is pairs[i][1] for i, frame in zip((1, 3), compared)] == [True] * 2
    done = convert(load_manifest(path), ["int8"], pairs)
    assert done.rows[1].off_share < 0.05 and done.rows[1].metrics == {}  # nobody knows their depth
    assert to_text(done.rows).splitlines()[0].split() == ["precision", "MB", "off", "%", "float"]
    with pytest.raises(DataError, match=r"expected at least two images, .* got one"):
        convert(load_manifest(path), ["int8"], pairs[:1])


def test_the_table_has_a_line_per_precision(three_convs: Callable[..., Path]) -> None:
    lines = to_text(convert(load_manifest(three_convs()), ["fp16"]).rows).splitlines()
    assert lines[0].split() == "precision MB off % epe_px bad_px_1 % bad_px_2 % bad_px_3 % float".split()
    assert [line.split()[0] for line in lines[1:]] == ["fp32", "fp16"]
    assert len({len(line) for line in lines}) == 1


def branching(path: Path) -> None:
    """A network with an If and a Loop around convolutions, its weights in another file."""
    h, kind = onnx.helper, onnx.TensorProto.FLOAT
    rng = np.random.default_rng(0)
    shapes = {"w": (8, 3, 3, 3), "inner": (8, 8, 3, 3), "last": (1, 8, 3, 3)}
    values = {name: rng.uniform(0, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
    values |= {"two": np.float32(2), "times": np.int64(2), "yes": np.bool_(True)}
    constants = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    planes = [1, 8, "h", "w"]

    def info(name: str, shape: list, dtype: int = kind):  # type: ignore[no-untyped-def]
        return h.make_tensor_value_info(name, dtype, shape)

    body = h.make_graph(
        [
            h.make_node("Identity", ["go"], ["again"]),
            h.make_node("Conv", ["x", "inner"], ["y"], pads=[1] * 4),
            h.make_node("Add", ["y", "e"], ["x_out"]),
        ],
        "body",
        [info("i", [], 7), info("go", [], 9), info("x", planes)],
        [info("again", [], 9), info("x_out", planes)],
    )
    branches = [
        h.make_graph([h.make_node(op, ["f", "e"], [name])], name, [], [info(name, planes)])
        for name, op in (("a", "Mul"), ("b", "Add"))
    ]
    nodes = [
        h.make_node("Exp", ["two"], ["e"]),  # only a body and branches use it
        h.make_node("Sub", ["left", "right"], ["d"]),
        h.make_node("Conv", ["d", "w"], ["c"], pads=[1] * 4),
        h.make_node("Loop", ["times", "yes", "c"], ["f"], body=body),
        h.make_node("ReduceMax", ["f"], ["m"], keepdims=0),
        h.make_node("Greater", ["m", "two"], ["large"]),
        h.make_node("If", ["large"], ["g"], then_branch=branches[0], else_branch=branches[1]),
        h.make_node("Conv", ["g", "last"], ["o"], pads=[1] * 4),
        h.make_node("Relu", ["o"], ["p"]),
        h.make_node("Add", ["p", "two"], ["disparity"]),
    ]
    inputs = [info(name, [1, 3, "h", "w"]) for name in ("left", "right")]
    graph = h.make_graph(nodes, "branching", inputs, [info("disparity", [1, 1, "h", "w"])], constants)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, save_as_external_data=True, location="branching.data", size_threshold=0)


def test_branches_loops_and_weights_in_another_file(tmp_path: Path) -> None:
    path = tmp_path / "branching.onnx"
    branching(path)
    external = tuple(ExternalFile(name, sha256_of(tmp_path / name)) for name in external_files(path))
    manifest = Manifest(
        "branching",
        "stereo_disparity",
        InputContract(("left", "right"), scale=1 / 255, multiple_of=8),
        OutputContract("disparity", "px"),
        Licence("none"),
        artifacts=(Artifact(path.name, sha256_of(path), external=external),),
        path=tmp_path / "branching.yaml",
    )
    done = convert(manifest)
    assert [row.precision for row in done.rows] == ["fp32", "fp16", "int8"]
    assert done.rows[0].size_mb > (tmp_path / "branching.data").stat().st_size / 1e6
    verify(load_manifest(tmp_path / "branching.yaml"))


def test_a_graph_that_the_converter_cannot_take_is_one_sentence(
    three_convs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("node\nof a kind\nthat is new")

    monkeypatch.setattr("recon3d_ros.convert.conversion.to_fp16", fails)
    with pytest.raises(BackendError, match=r"can be converted to fp16, got one that cannot \(node of a kind"):
        convert(load_manifest(three_convs()), ["fp16"])
