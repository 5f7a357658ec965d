from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from recon3d_ros.errors import ManifestError
from recon3d_ros.model_zoo.draft import BLANK, PIXELS, blanks, draft, read_document, set_key, to_yaml
from recon3d_ros.model_zoo.manifest_file import manifest_from_dict
from recon3d_ros.model_zoo.signature import Signature
from recon3d_ros.model_zoo.tensor_spec import TensorSpec

IMAGE = TensorSpec("image", "float32", (1, 3, 64, 96))
DEPTH = TensorSpec("depth", "float32", (1, 1, 64, 96))


def named(name: str, *shape: int | None, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, dtype, shape)


def test_what_cannot_be_known_is_asked() -> None:
    found = draft(Signature((IMAGE,), (DEPTH,)), None, None)
    assert set(blanks(found)) == {"task", "input.color", "input.scale", "output.unit"}
    assert found["input"]["size_wh"] == [96, 64] and found["output"]["name"] == "depth"
    points = draft(Signature((IMAGE,), (named("points", 1, 64, 96, 3),)), None, "mono_metric_depth")
    assert set(blanks(points)) == {"input.color", "input.scale", "output.unit", "output.channel"}
    several = draft(Signature((IMAGE,), (named("a", 1, 64, 96), named("b", 1, 64, 96))), None, None)
    assert "output.name" in blanks(several)


def test_a_pair_and_its_sizes() -> None:
    pair = (named("left", 1, 3, None, None), named("right", 1, 3, None, None))
    found = draft(Signature(pair, (DEPTH,)), 32, None)
    assert found["task"] == "stereo_disparity" and found["input"]["multiple_of"] == 32
    assert draft(Signature(pair, (DEPTH,)), None, None)["input"]["multiple_of"] == BLANK
    grey = draft(Signature((named("x", 1, 2, 64, 96),), (DEPTH,)), None, None)
    assert (grey["task"], grey["input"]["color"]) == ("stereo_disparity", "mono")
    stacked = draft(Signature((named("x", 1, 6, 64, 96),), (DEPTH,)), None, None)
    assert stacked["task"] == "stereo_disparity" and stacked["input"]["names"] == ["x"]


def test_bytes_need_no_scale() -> None:
    found = draft(Signature((named("x", 1, 64, 96, 3, dtype="uint8"),), (DEPTH,)), None, None)
    assert "scale" not in found["input"] and found["input"]["layout"] == "NHWC"


@pytest.mark.parametrize(
    ("spec", "role"),
    [
        (named("K", 1, 3, 3), "K"),
        (named("inv_intrinsics", 1, 3, 3), "K_inverse"),
        (named("focal_length", 1), "focal_px"),
        (named("rays", 1, 3, 64, 96), "rays"),
        (named("flow_init", 1, 2, 32, 48), "constant"),
        (named("small_right", 1, 3, 32, 48), "right_half"),
        (named("what", 1), BLANK),
    ],
)
def test_roles_of_further_inputs(spec: TensorSpec, role: str) -> None:
    found = draft(Signature((IMAGE, spec), (DEPTH,)), None, "mono_metric_depth")
    assert found["input"]["extra"] == [{"name": spec.name, "role": role}]
    assert (f"input.extra.{spec.name}.role" in blanks(found)) is (role == BLANK)


def test_the_likely_output_is_taken() -> None:
    outputs = (named("confidence", 1, 1, 64, 96), named("disp", 1, 1, 64, 96), named("normals", 1, 3, 64, 96))
    assert draft(Signature((IMAGE,), outputs), None, None)["output"]["name"] == "disp"


def test_what_is_no_depth_network() -> None:
    with pytest.raises(ManifestError, match="expected an input of 1, 3, 2 or 6 channels, got x float32"):
        draft(Signature((named("x", 1, 10),), (DEPTH,)), None, None)
    with pytest.raises(ManifestError, match="expected an output with a value for each pixel"):
        draft(Signature((IMAGE,), (named("logits", 1, 1000),)), None, None)


def test_filled_in_it_is_a_manifest() -> None:
    found = draft(Signature((IMAGE,), (DEPTH,)), None, None) | {"name": "x", "licence": {"weights": "?"}}
    for text in ("task=mono_metric_depth", "input.color=rgb", "output.unit=m", "output.scale=0.5"):
        set_key(found, text)
    found["input"].update(PIXELS["imagenet"])
    manifest = manifest_from_dict(found)
    assert manifest.output.scale == 0.5 and manifest.input.mean[0] == 0.485 and not blanks(found)
    set_key(found, "input.multiple_of=14")
    assert manifest_from_dict(found).input.size_wh is None


def test_the_file_says_what_to_fill_in(tmp_path: Path) -> None:
    found = draft(Signature((IMAGE,), (DEPTH,)), None, None)
    text = to_yaml(found, ["a remark"])
    assert text.startswith("# a remark\ntask: ???  # one image in: mono_metric_depth, or")
    assert "\n  unit: ???  # px or width for disparity" in text and "\n  color: ???  # order of" in text
    assert yaml.safe_load(text) == found
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert read_document(path) == found
    with pytest.raises(ManifestError, match=r"input.color must be one of .*, got '\?\?\?'"):
        manifest_from_dict(found | {"name": "x", "licence": {"weights": "?"}})


@pytest.mark.parametrize("text", ["a: [", "- a", "input: 3", "\xff"])
def test_a_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ManifestError, match=r"give another --name"):
        read_document(tmp_path / "x.yaml")


@pytest.mark.parametrize("text", ["output.unit", "task.unit=m", "output.scale=["])
def test_settings_that_are_none(text: str) -> None:
    with pytest.raises(ManifestError, match="--set"):
        set_key(draft(Signature((IMAGE,), (DEPTH,)), None, None), text)
