from __future__ import annotations

import copy
import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from recon3d_ros.errors import ArtifactError, ManifestError, OutputError
from recon3d_ros.files.yaml_document import MAX_BYTES
from recon3d_ros.model_zoo.manifest import Golden
from recon3d_ros.model_zoo.manifest_file import (
    dump_manifest,
    load_manifest,
    manifest_from_dict,
)

SHA = "0" * 64
FULL: dict[str, Any] = {
    "name": "both",
    "task": "stereo_disparity",
    "description": "one line",
    "artifacts": [{"file": "both.onnx", "precision": "fp32", "sha256": SHA}],
    "input": {
        "names": ["left", "right"],
        "layout": "NHWC",
        "dtype": "float32",
        "color": "bgr",
        "scale": 0.00392157,
        "mean": [0.4, 0.5, 0.6],
        "std": 0.2,
        "multiple_of": 32,
        "max_size_wh": [640, 480],
        "fit": "stretch",
    },
    "output": {"name": "disparity", "unit": "px", "scale": -1, "confidence": None, "max_disparity_px": 192},
    "licence": {"weights": "Apache-2.0", "sources": [{"name": "procedural world", "licence": "Apache-2.0"}]},
    "origin": "somewhere",
    "accuracy": [{"data": "kitti2012", "metrics": {"epe_px": 2.0}, "note": "all pixels"}],
    "golden": {"file": "both.npz", "sha256": SHA},
}


def changed(dotted_key: str, value: Any) -> dict[str, Any]:
    """FULL with one value replaced; the value ``...`` removes the key."""
    data = copy.deepcopy(FULL)
    *path, key = (int(part) if part.isdigit() else part for part in dotted_key.split("."))
    inner: Any = data
    for part in path:
        inner = inner[part]
    if value is ...:
        del inner[key]
    else:
        inner[key] = value
    return data


def test_everything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(yaml.safe_dump(FULL))
    manifest = load_manifest(path)
    assert manifest.is_stereo
    assert manifest.input.names == ("left", "right")
    assert manifest.input.mean == (0.4, 0.5, 0.6)
    assert manifest.input.std == (0.2, 0.2, 0.2)
    assert manifest.input.max_size_wh == (640, 480)
    assert manifest.output.scale == -1.0 and manifest.output.confidence is None
    assert manifest.licence.sources[0].name == "procedural world"
    assert manifest.accuracy[0].metrics == {"epe_px": 2.0}
    assert manifest.golden == Golden(file="both.npz", sha256=SHA)
    assert manifest.file_path(manifest.artifact().file) == tmp_path / "both.onnx"
    with pytest.raises(ArtifactError, match="model both has no int8 artifact, its manifest lists fp32"):
        manifest.artifact("int8")


def test_auto_takes_fp32_or_what_there_is() -> None:
    data = changed(
        "artifacts", [{"file": f"{p}.onnx", "precision": p, "sha256": SHA} for p in ("int8", "fp16")]
    )
    assert manifest_from_dict(data).artifact().precision == "int8"
    data["artifacts"].append({"file": "fp32.onnx", "sha256": SHA})
    assert manifest_from_dict(data).artifact().file == "fp32.onnx"
    assert manifest_from_dict(data).artifact("fp16").file == "fp16.onnx"


def test_outputs_beside_the_value() -> None:
    data = changed("output", {"name": "disparity", "unit": "px", "confidence": "sure", "sigma": "spread"})
    assert manifest_from_dict(data).output.names == ("disparity", "sure", "spread")
    assert manifest_from_dict(FULL).output.names == ("disparity",)


def test_dump_and_load_are_inverse(tmp_path: Path) -> None:
    manifest = manifest_from_dict(FULL)
    dump_manifest(manifest, tmp_path / "both.yaml")
    assert load_manifest(tmp_path / "both.yaml") == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["both.yaml"]
    bare = dataclasses.replace(manifest, accuracy=(), golden=None, origin="", artifacts=())
    dump_manifest(bare, tmp_path / "both.yaml")
    assert load_manifest(tmp_path / "both.yaml") == bare


def test_dump_into_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*both\.yaml"):
        dump_manifest(manifest_from_dict(FULL), tmp_path / "missing" / "both.yaml")


def test_failed_dump_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "both.yaml").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*both\.yaml"):
        dump_manifest(manifest_from_dict(FULL), tmp_path / "both.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["both.yaml"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("artefacts", [], "unknown key artefacts, the nearest known key is artifacts"),
        ("input.layuot", "NCHW", "unknown key input.layuot, the nearest known key is input.layout"),
        (
            "artifacts.0.sha",
            SHA,
            r"unknown key artifacts\[0\].sha, the nearest known key is artifacts\[0\].sha256",
        ),
        ("path", "x", "unknown key path"),
        ("task", ..., "key task is missing"),
        ("artifacts.0.sha256", ..., r"key artifacts\[0\].sha256 is missing, get it with sha256sum"),
        ("artifacts.0.sha256", "12", "sha256 of both.onnx must be 64 hexadecimal digits, got '12'"),
        ("artifacts", {"file": "a"}, "artifacts must be a list"),
        ("input", ["left"], "input must be a mapping"),
        ("task", "flow", "task must be one of stereo_disparity, mono_metric_depth"),
        ("name", 7, "name must be a text, got 7"),
        ("origin", ["a"], "origin must be a text"),
        ("input.names", ["a", "b", "c"], "input.names must be one tensor name or two different ones"),
        ("input.names", ["a", "a"], "input.names must be one tensor name or two different ones"),
        ("input.layout", "NWHC", "input.layout must be one of NCHW, NHWC, CHW, HWC, NSCHW, got 'NWHC'"),
        ("input.dtype", "int8", "input.dtype must be one of float32, float16, float64, uint8"),
        ("input.dtype", "uint8", "a uint8 input needs scale 1, mean 0 and std 1"),
        ("input.color", "yuv", "input.color must be one of rgb, bgr, mono"),
        ("input.scale", "1/255", "got '1/255': YAML does not compute, write 0.00392156862745098"),
        ("input.short_side", 16, "input.short_side must be at least multiple_of 32"),
        ("input.image_scale", 0, "input.image_scale must be positive"),
        ("input.padding", "center", "input.padding and input.pad_value are only for fit: pad"),
        ("input.batch", 0, "input.batch must be a whole number from 1 to 16384, got 0"),
        (
            "input.extra",
            [{"name": "left", "role": "K"}],
            "every input needs one entry, got left, right, left",
        ),
        ("input.extra", [{"name": "k", "role": "k"}], "extra.role must be one of left_half, right_half"),
        ("output.invalid", {"name": "sky"}, "invalid needs either above: NUMBER or below: NUMBER"),
        ("output.channel", -1, "output.channel must be a whole number from 0 on, got -1"),
        ("output.unit", "mm", "got 'mm': write unit: m and scale: 0.001"),
        ("input.mean", [1, 2], "input.mean must be one finite number, or one for each of the 3 channels"),
        ("input.std", [1, 0, 1], "input.std must not contain 0"),
        ("input.size_wh", [640, 480], "either size_wh: .W, H. .fixed. or multiple_of"),
        ("input.multiple_of", ..., "either size_wh: .W, H. .fixed. or multiple_of"),
        ("input.multiple_of", 0, "input.multiple_of must be a whole number from 1 to 16384, got 0"),
        ("input.multiple_of", 10**20, "input.multiple_of must be a whole number from 1 to 16384, got 1000"),
        (
            "input.max_size_wh",
            [640, 10**20],
            "input.max_size_wh must be .width, height. from 1 to 16384 in px",
        ),
        ("input.max_size_wh", [640], r"input.max_size_wh must be \[width, height\]"),
        ("input.max_size_wh", [640, 16], "input.max_size_wh must be at least multiple_of 32"),
        (
            "output",
            {"name": "depth", "unit": "m"},
            "output.unit of a stereo_disparity model must be px or width, got m",
        ),
        (
            "output.unit",
            "px/2",
            "output.unit must be one of px, width, m, cm, inverse_m, relative_inverse_depth, got 'px/2'",
        ),
        ("output.scale", 0, "output.scale and output.confidence_scale must not be 0"),
        ("output.sigma", 3, "output.sigma must be a text, got 3"),
        ("output.confidence", "disparity", "output needs one tensor each, got disparity, disparity"),
        ("artifacts.0.precision", "fp8", "precision must be one of fp32, fp16, int8, got 'fp8'"),
        ("golden.share", 2, "golden.share must be between 0 and 1, got 2.0"),
        ("output.focal_px", 200.0, "output.focal_px must be positive, and is only for the units m, cm"),
        ("output.max_disparity_px", -1, "output.max_disparity_px must be positive"),
        (
            "accuracy.0.metrics",
            {"epe_px": "2"},
            "accuracy.metrics of kitti2012 must map names to finite numbers",
        ),
    ],
)
def test_wrong_manifest_is_one_sentence(tmp_path: Path, key: str, value: Any, message: str) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(yaml.safe_dump(changed(key, value)))
    with pytest.raises(ManifestError, match=message) as caught:
        load_manifest(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    data = copy.deepcopy(FULL)
    data["input"] |= {"layout": "NWHC", "color": "yuv", "scale": "1/255", "colour": "rgb"}
    data["output"] = {"name": "disparity", "unit": "mm", "layuot": "NHW"}
    data["unit"], data["task"] = "px", "flow"
    data["artifacts"][0]["sha256"] = "12"
    del data["licence"]
    with pytest.raises(ManifestError) as caught:
        manifest_from_dict(data)
    told = str(caught.value).split("; ")
    for fault in (
        "unknown key unit, which belongs under output",
        "key licence is missing",
        "task must be one of",
        "unknown key input.colour, the nearest known key is input.color",
        "input.layout must be one of",
        "input.color must be one of",
        "input.scale must be a finite number, got '1/255': YAML does not compute, write 0.0039",
        "unknown key output.layuot, the nearest known key is output.layout",
        "got 'mm': write unit: m and scale: 0.001",
        "sha256 of both.onnx must be 64",
    ):
        assert sum(fault in sentence for sentence in told) == 1, fault
    assert len(told) == 10


def test_mono_model_takes_one_image() -> None:
    data = changed("task", "mono_metric_depth")
    data["output"] = {"name": "depth", "unit": "cm"}
    with pytest.raises(ManifestError, match=r"takes one image, but input.names has two"):
        manifest_from_dict(data)
    data["input"]["names"] = "image"
    assert manifest_from_dict(data).input.names == ("image",)


def test_relative_depth_has_no_sigma() -> None:
    data = changed("task", "mono_relative_inverse_depth")
    data["input"]["names"] = "image"
    data["output"] = {"name": "depth", "unit": "relative_inverse_depth", "sigma": "spread"}
    with pytest.raises(ManifestError, match=r"output.sigma is for px, width, m and cm"):
        manifest_from_dict(data)


def test_name_must_equal_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump(FULL))
    with pytest.raises(ManifestError, match="expected other, got both"):
        load_manifest(path)


@pytest.mark.parametrize("content", ["a: [1", "just text", "", "\x00", "origin: 2020-99-99"])
def test_not_a_manifest(tmp_path: Path, content: str) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(content)
    with pytest.raises(ManifestError, match=str(path)) as caught:
        load_manifest(path)
    assert "\n" not in str(caught.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="expected the manifest of a model"):
        load_manifest(tmp_path / "none.yaml")
    (tmp_path / "both.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ManifestError, match="expected the manifest of a model"):
        load_manifest(tmp_path / "both.yaml")


def test_a_manifest_is_a_regular_file_of_bounded_size_and_depth(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "deep.yaml").write_text("[" * 20_000)
    (tmp_path / "digits.yaml").write_text(yaml.safe_dump(changed("input.scale", 10**400)))
    whys = {"pipe": "regular file", "large": "at most", "deep": "is not YAML", "digits": "many digits"}
    for name, why in whys.items():
        with pytest.raises(ManifestError, match=why):
            load_manifest(tmp_path / f"{name}.yaml")
