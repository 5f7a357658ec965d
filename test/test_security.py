"""What docs/security.md promises: models are data, and nothing is loaded that could run."""

from __future__ import annotations

import ast
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from recon3d_ros.errors import ArtifactError, ManifestError
from recon3d_ros.model_zoo.manifest_file import load_manifest
from recon3d_ros.model_zoo.registry import verify

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "recon3d_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")])
OUTSIDE = ("../secret", "a/../../secret", "/etc/passwd", "..", "..\\\\secret", "C:\\\\secret")
FORBIDDEN = ("eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "yaml.full_load")
YAML = """
name: borrowed
task: mono_metric_depth
artifacts: [{{file: '{file}', sha256: {sha256}}}]
golden: {{file: '{golden}', sha256: {sha256}}}
input: {{names: [image], multiple_of: 8}}
output: {{name: depth, unit: m}}
licence: {{weights: MIT}}
"""


def write(folder: Path, file: str = "m.onnx", golden: str = "g.npz", content: bytes = b"x") -> Path:
    path = folder / "borrowed.yaml"
    sha256 = hashlib.sha256(content).hexdigest()
    path.write_text(YAML.format(file=file, golden=golden, sha256=sha256))
    return path


@pytest.mark.parametrize("field", ["file", "golden"])
@pytest.mark.parametrize(
    "file",
    [
        "../secret",
        "a/../../secret",
        "/etc/passwd",
        "..",
        "..\\\\secret",
        "C:\\\\secret",
        "a/b/../../../secret",
    ],
)
def test_a_manifest_cannot_name_files_outside_its_folder(tmp_path, field, file):
    with pytest.raises(ManifestError, match="beside the manifest"):
        load_manifest(write(tmp_path, **{field: file}))


def test_files_beside_it_and_below_are_its_own(tmp_path):
    (tmp_path / "deeper").mkdir()
    for name in ("m..onnx", "deeper/m.onnx"):
        (tmp_path / name).write_bytes(b"x")
        manifest = load_manifest(write(tmp_path, name, name))
        verify(manifest)
        assert manifest.file_path(name) == tmp_path / name


def test_weights_in_other_files_are_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    values = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [64, 64]) for n in ("x", "y")]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:], [weights]))
    path = tmp_path / "m.onnx"
    (tmp_path / "g.npz").write_bytes(b"")
    for external in (False, True):
        onnx.save(model, path, save_as_external_data=external, size_threshold=0, location="elsewhere.bin")
        (tmp_path / "g.npz").write_bytes(path.read_bytes())
        manifest = load_manifest(write(tmp_path, content=path.read_bytes()))
        if not external:
            verify(manifest)
            continue
        assert (tmp_path / "elsewhere.bin").stat().st_size == 64 * 64 * 4
        with pytest.raises(ArtifactError, match="weights in other files"):
            verify(manifest)


def calls():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path.relative_to(ROOT), node, ast.unparse(node.func)


def test_nothing_that_is_read_can_run():
    found = list(calls())
    names = {name for _, _, name in found}
    assert {"json.loads", "np.load"} <= names  # the walk sees what is there
    for path, node, name in found:
        where = f"{path}:{node.lineno} {name}"
        words = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert name not in (
            "eval",
            "exec",
            "compile",
            "os.system",
            "os.popen",
            "yaml.load",
            "yaml.full_load",
        ), where
        assert not re.match(r"(pickle|dill|joblib|marshal|shelve)\.", name), where
        assert not re.match(r"yaml\.(unsafe_|full_)", name), where
        # argcomplete's function takes the name of a shell
        assert name == "argcomplete.shellcode" or words.get("shell") in (None, "False"), where
        assert words.get("allow_pickle") in (None, "False"), where
        if name == "torch.load":
            assert words.get("weights_only") == "True", where


def test_pickles_are_refused_where_arrays_are_read(tmp_path):
    np.savez(tmp_path / "bad.npz", a=np.array([object()], dtype=object))
    with np.load(tmp_path / "bad.npz") as content, pytest.raises(ValueError, match="allow_pickle"):
        content["a"]
