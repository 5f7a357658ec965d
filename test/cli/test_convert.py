"""`recon3d convert` from its words to its table."""

from __future__ import annotations

import pytest

from recon3d_ros.cli.main import main

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime", minversion="1.20")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["fake_stereo"], 5, "fake_stereo is built in"),
        (["no_such_model"], 5, "no model 'no_such_model'"),
        (["fake_stereo", "--precision", "fp8"], 2, "--precision must be of fp16, int8, got 'fp8'"),
        (["fake_stereo", "--precision", ","], 2, "--precision must be of fp16, int8"),
        (["fake_stereo", "--images", "/nowhere"], 7, "/nowhere"),
    ],
)
def test_wrong_words_are_one_sentence_and_a_code(capsys, words, code, message):
    assert main(["convert", *words]) == code
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("recon3d: error: ") and message in err


@pytest.mark.slow
def test_the_shipped_model_becomes_half(tmp_path, capsys, monkeypatch):
    """The real network, on few scenes; int8's search takes longer than a test may."""
    import shutil

    from recon3d_ros.convert import images
    from recon3d_ros.model_zoo.manifest_file import load_manifest
    from recon3d_ros.model_zoo.registry import find_model, verify

    monkeypatch.setattr(images, "CALIBRATION_SEEDS", range(910_000, 910_001))
    monkeypatch.setattr(images, "COMPARISON_SEEDS", range(920_000, 920_002))
    shipped = find_model("recon3d_stereo")
    for name in (shipped.path.name, shipped.artifact("fp32").file, shipped.golden.file):
        shutil.copy(shipped.path.with_name(name), tmp_path)
    for artifact in shipped.artifacts:
        shutil.copy(shipped.path.with_name(artifact.file), tmp_path)
    path = tmp_path / shipped.path.name
    assert main(["convert", str(path), "--precision", "fp16"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in out[1:3]] == ["fp32", "fp16"]
    off_percent = float(out[2].split()[2])
    assert off_percent < 0.5
    manifest = load_manifest(path)
    verify(manifest)
    sizes = [path.with_name(manifest.artifact(p).file).stat().st_size for p in ("fp16", "fp32")]
    assert sizes[0] < 1.05 * sizes[1]  # whose weights are stored in half precision, too
    # The fp32 file casts its weights to float first; here convolutions take them as they are.
    onnx = pytest.importorskip("onnx", reason="reads the graph")
    kinds = {}
    for precision in ("fp16", "fp32"):
        graph = onnx.load(str(path.with_name(manifest.artifact(precision).file))).graph
        stored = {tensor.name: tensor.data_type for tensor in graph.initializer}
        kinds[precision] = {stored.get(node.input[1]) for node in graph.node if node.op_type == "Conv"}
    assert kinds == {"fp16": {onnx.TensorProto.FLOAT16}, "fp32": {None}}
