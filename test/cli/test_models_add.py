"""From an ONNX file to a model that is served, by the command line alone."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from recon3d_ros.cli.main import main
from recon3d_ros.errors import PartialResultError
from recon3d_ros.model_zoo.registry import find_model, verify
from test.external_model import with_external_data
from test.published import HALF, UNIT, Published, write

pytest.importorskip("onnxruntime")
IMAGE = {"image": (1, 3, "h", "w")}
PAIR = {"left": (1, 3, "h", "w"), "right": (1, 3, "h", "w")}


def test_with_a_template_it_is_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.onnx"
    write(Published(IMAGE, {"depth": "NHW"}), file)
    assert main(["models", "add", str(file), "--as", "depth_anything_v2_metric_indoor"]) == 0
    said = capsys.readouterr().out
    assert "input: image float32 [1, 3, ?, ?]" in said and "mine_look.png" in said and "next: " in said
    manifest = find_model(file)
    verify(manifest)
    assert manifest.input.short_side == 518 and manifest.output.layout == "NHW"
    picture = cv2.imread(str(tmp_path / "mine_look.png"))
    assert picture is not None and picture.shape[1] == 3 * 640
    assert main(["models", "show", str(file)]) == 0
    assert "depth in metres" in capsys.readouterr().out


def test_names_of_one_network_need_no_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.onnx"
    write(Published({"input": (1, 6, 240, 320)}, {"reference_output_disparity": "NHWC"}, norm=UNIT), file)
    assert main(["models", "add", str(file), "--name", "hit", "--licence", "Apache-2.0"]) == 0
    assert "recognised by its tensors: hitnet" in capsys.readouterr().out
    manifest = find_model(tmp_path / "hit.yaml")
    assert manifest.output.layout == "NHWC" and manifest.licence.weights == "Apache-2.0"


def test_what_is_not_known_is_asked_and_the_answers_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command is repeated, each time with another answer; the last time the model is served."""
    file = tmp_path / "own.onnx"
    write(Published({"x": (1, 3, 60, 84)}, {"y": "NCHW"}, norm=HALF), file)
    assert main(["models", "add", str(file)]) == PartialResultError.exit_code
    said = capsys.readouterr()
    assert "a first try, taken as inverse depth: rank correlation" in said.out and said.err == ""
    there, *asked, what_to_do = said.out.partition(f"{tmp_path / 'own.yaml'} is there with ")[2].splitlines()
    assert {"input.names", "input.size_wh", "output.layout", "artifacts"} <= set(re.split("[,;] ", there))
    assert "input.mean" not in there and there.endswith("4 answers to be given:") and "??? in" in what_to_do
    assert [line.split(":")[0].strip() for line in asked] == [
        "task", "input.color", "input.scale", "output.unit"
    ]  # fmt: skip
    assert main(["models", "--models-dir", str(tmp_path), "--verify"]) == 5
    assert main(["models", "add", str(file), "--task", "mono_metric_depth", "--pixels", "half"]) == 11
    said = capsys.readouterr()
    assert "what it says is kept" in said.out and "  task:" not in said.out and "2 answers" in said.out
    assert main(["models", "add", str(file), "--set", "output.unit=m", "--set", "input.color=rgb"]) == 0
    assert "licence of the weights: not stated" in capsys.readouterr().out
    assert find_model(file).input.mean == (0.5, 0.5, 0.5)


def test_edited_by_hand_it_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "own.onnx"
    write(Published(IMAGE, {"depth": "NCHW"}), file)
    assert main(["models", "add", str(file), "--as", "glpn"]) == 0
    path = tmp_path / "own.yaml"
    document = yaml.safe_load(path.read_text())
    document["output"]["scale"] = 0.25
    path.write_text(yaml.safe_dump(document))
    write(Published(IMAGE, {"depth": "NCHW"}, norm=UNIT), file)  # exported again
    assert main(["models", "add", str(file)]) == 0
    manifest = find_model(file)
    verify(manifest)
    assert manifest.output.scale == 0.25


def test_negative_disparities_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "raft.onnx"
    network = Published(PAIR, {"flow_up": "NCHW"}, answer=lambda graph, value: graph.times(value, -1.0))
    write(network, file)
    assert main(["models", "add", str(file)]) == 11
    assert "repeat with --set output.scale=-1" in capsys.readouterr().out
    words = ["--pixels", "imagenet", "--set", "input.color=rgb", "--set", "output.unit=px"]
    assert main(["models", "add", str(file), *words, "--set", "output.scale=-1"]) == 0
    assert "--left LEFT --right RIGHT --fx FX --baseline-m BASELINE --out OUT" in capsys.readouterr().out


def integers(path: Path, dtype: str = "UINT8") -> Path:
    """A network that quantizes and dequantizes: the mean of the colours, a step is 0.05."""
    onnx = pytest.importorskip("onnx")
    h, kind = onnx.helper, getattr(onnx.TensorProto, dtype)
    numpy_dtype = np.dtype(dtype.lower())
    constants = [
        onnx.numpy_helper.from_array(np.asarray(value), name)
        for name, value in (("one", np.float32(1)), ("zero", numpy_dtype.type(0)))
    ]
    nodes = [
        h.make_node("DequantizeLinear", ["image", "one", "zero"], ["pixels"]),
        h.make_node("ReduceMean", ["pixels"], ["grey"], axes=[3]),
        h.make_node("QuantizeLinear", ["grey", "one", "zero"], ["steps"]),
    ]
    info = h.make_tensor_value_info
    ends = [info("image", kind, [1, 60, 84, 3])], [info("steps", kind, [1, 60, 84, 1])]
    model = h.make_model(
        h.make_graph(nodes, "g", *ends, constants), opset_imports=[h.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(model, path)
    return path


def test_integers_are_asked_what_a_step_is_and_named_int8(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ["models", "add", str(integers(tmp_path / "steps.onnx"))]
    given = ["--task", "mono_metric_depth", "--set", "input.color=rgb", "--set", "output.unit=m"]
    assert main([*add, *given]) == 11
    said = capsys.readouterr().out
    assert "1 answer to be given:\n  output.scale: the output is integers: the size of one step" in said
    assert main([*add, "--pixels", "unit"]) == 5
    assert "no --pixels for an input of uint8" in capsys.readouterr().err
    assert main([*add, "--as", "fastdepth"]) == 5
    assert "leave --as out and answer what is asked" in capsys.readouterr().err
    assert main([*add, "--set", "output.scale=0.05"]) == 0
    manifest = find_model(tmp_path / "steps.onnx")
    assert manifest.artifact().precision == "int8" and manifest.output.scale == 0.05
    assert main(["models", "--models-dir", str(tmp_path)]) == 0
    assert re.search(r"^steps +mono_metric_depth +int8 ", capsys.readouterr().out, re.MULTILINE)


def test_an_input_of_signed_integers_is_refused_with_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "add", str(integers(tmp_path / "steps.onnx", "INT8"))]) == 5
    assert "expected an image of floats or uint8, got image int8 [1, 60, 84, 3]" in capsys.readouterr().err


def test_weights_beside_the_file_are_listed(tmp_path: Path) -> None:
    path = with_external_data(tmp_path)
    path.unlink()
    file = tmp_path / "ext.onnx"
    assert main(["models", "add", str(file), "--as", "fastdepth"]) == 0
    manifest = find_model(path)
    verify(manifest)
    assert [item.file for item in manifest.artifact().external] == ["ext.data"]
    (tmp_path / "ext.data").unlink()
    assert main(["models", "add", str(file)]) == 5


def test_a_network_that_crops_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its patches are of 14, the template says 32."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    weights = onnx.numpy_helper.from_array(np.full((1, 3, 14, 14), 1 / 588, np.float32), "w")
    scales = onnx.numpy_helper.from_array(np.array([1, 1, 14, 14], np.float32), "s")
    nodes = [
        h.make_node("Conv", ["image", "w"], ["small"], strides=[14, 14]),
        h.make_node("Resize", ["small", "", "s"], ["depth"], mode="nearest"),
    ]
    info = h.make_tensor_value_info
    graph = h.make_graph(
        nodes,
        "g",
        [info("image", 1, [1, 3, "h", "w"])],
        [info("depth", 1, [1, 1, "a", "b"])],
        [weights, scales],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "x.onnx")
    main(["models", "add", str(tmp_path / "x.onnx"), "--as", "glpn"])
    assert "crops what is no multiple of 14, the template has 32" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["none.onnx"], 7, "does not exist"),
        (["x.onnx", "--as", "glpm"], 5, "the nearest is glpn"),
        (["x.onnx", "--as", "raft_stereo"], 5, "expected 2 input images"),
        (["x.onnx", "--set", "unit"], 5, "expected --set KEY=VALUE"),
    ],
)
def test_mistakes(tmp_path: Path, capsys, words: list[str], code: int, told: str) -> None:  # type: ignore[no-untyped-def]
    write(Published(IMAGE, {"depth": "NHW"}), tmp_path / "x.onnx")
    assert main(["models", "add", str(tmp_path / words[0]), *words[1:]]) == code
    assert told in capsys.readouterr().err


def test_an_onnx_file_without_a_manifest_names_the_command(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    write(Published(IMAGE, {"depth": "NHW"}), tmp_path / "x.onnx")
    assert main(["models", "show", str(tmp_path / "x.onnx")]) == 5
    assert f"recon3d models add {tmp_path / 'x.onnx'}" in capsys.readouterr().err


def test_the_templates_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "templates"]) == 0
    assert "foundation_stereo " in capsys.readouterr().out


def test_a_model_with_operators_of_a_plugin_is_described_and_asks_for_a_golden_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ESS: ONNX Runtime cannot run it, so its tensors are read from the file."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    names = ("input_left", "input_right"), ("output_left", "output_conf")
    inputs = [helper.make_tensor_value_info(name, kind, [1, 3, 96, 160]) for name in names[0]]
    outputs = [helper.make_tensor_value_info(name, kind, [1, 1, 96, 160]) for name in names[1]]
    node = helper.make_node("CostVolume", names[0], names[1], domain="trt.plugins")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("trt.plugins", 1)]
    graph = helper.make_graph([node], "g", inputs, outputs)
    file, library = tmp_path / "stereo.onnx", tmp_path / "plugins" / "lib.so"
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    file.write_bytes(model.SerializeToString())
    library.parent.mkdir()
    library.write_bytes(b"\x7fELF" + bytes(14) + (183).to_bytes(2, "little"))
    assert main(["models", "add", str(file), "--plugin", str(library)]) == PartialResultError.exit_code
    said = capsys.readouterr().out
    assert "input: input_left float32 [1, 3, 96, 160]" in said and "recognised by its tensors: ess" in said
    assert (
        "not tried: expected operators that ONNX Runtime knows" in said and "trt.plugins:CostVolume" in said
    )
    assert "it is served only with a golden output" in said
    (plugin,) = find_model(file).plugins
    assert (plugin.file, plugin.machine) == ("plugins/lib.so", "aarch64")
    assert main(["models", "show", str(file)]) == 0
    assert "plug-in of TensorRT: plugins/lib.so (aarch64)" in capsys.readouterr().out
    words = ["run", "--model", str(file), "--left", "l.png", "--right", "r.png", "--fx", "90"]
    for name in ("l.png", "r.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((96, 160, 3), np.uint8))
    words[4], words[6] = str(tmp_path / "l.png"), str(tmp_path / "r.png")
    assert main([*words, "--baseline-m", "0.1", "--out", str(tmp_path / "out")]) == 5
    assert "set backend to tensorrt on a computer with an NVIDIA GPU" in capsys.readouterr().err
    for wrong, message in ((file, "expected a shared library"), (Path("/bin/ls"), "it is elsewhere")):
        assert main(["models", "add", str(file), "--plugin", str(wrong)]) == 5
        assert message in capsys.readouterr().err


def test_what_a_manifest_does_not_use_or_cannot_say_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    write(Published(PAIR, {"disp": "NCHW", "uncertainty": "NCHW"}), tmp_path / "sure.onnx")
    assert main(["models", "add", str(tmp_path / "sure.onnx")]) == PartialResultError.exit_code
    assert "not used: the output uncertainty; if it tells how sure" in capsys.readouterr().out
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    image, depth = (helper.make_tensor_value_info(name, kind, [2, 3, 48, 64]) for name in ("image", "depth"))
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["depth"])], "g", [image], [depth])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "pair.onnx").write_bytes(model.SerializeToString())
    assert main(["models", "add", str(tmp_path / "pair.onnx")]) == PartialResultError.exit_code
    assert "image takes two images in its batch" in capsys.readouterr().out
