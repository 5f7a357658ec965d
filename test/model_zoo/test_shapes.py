from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recon3d_ros.errors import ManifestError
from recon3d_ros.model_zoo.contract import InputContract
from recon3d_ros.model_zoo.manifest import Licence, Manifest
from recon3d_ros.model_zoo.manifest_file import dump_manifest, load_manifest
from recon3d_ros.model_zoo.shapes import PartialInputContract, ShapeOutputContract
from recon3d_ros.model_zoo.words import describe

IMAGE = InputContract(("image",), scale=1 / 255, size_wh=(96, 96), fit="stretch")


def model(task: str) -> Manifest:
    given = IMAGE if task == "point_set" else PartialInputContract(("part",), count=500)
    return Manifest("mine", task, given, ShapeOutputContract("shape", count=77), Licence("mine"))


@pytest.mark.parametrize("task", ["point_set", "completion"])
def test_a_manifest_of_shapes_goes_there_and_back(task, tmp_path: Path):
    path = tmp_path / "mine.yaml"
    dump_manifest(model(task), path)
    again = load_manifest(path)
    assert again == model(task) and again.gives_shape and not again.gives_depth
    assert again.takes_points == (task == "completion") and again.shape_contract.count == 77
    text = "\n".join(describe(again))
    assert "77 points of the whole object" in text
    assert ("500 points of the visible part" if again.takes_points else "always 96x96") in text
    with pytest.raises(ManifestError, match=f"expected a model of depth, got mine, a {task} model"):
        again.require_depth()
    with pytest.raises(ManifestError, match="expected a model that labels points"):
        again.point_contracts  # noqa: B018


def test_each_task_has_its_own_contracts():
    model("point_set").require_point_set()
    assert model("completion").completion_contracts[0].count == 500
    with pytest.raises(ManifestError, match="makes an object of an image, got mine, a completion model"):
        model("completion").require_point_set()
    with pytest.raises(ManifestError, match="completes objects, got mine, a point_set model"):
        model("point_set").completion_contracts  # noqa: B018
    with pytest.raises(ManifestError, match="must be a square"):
        replace(model("point_set"), input=replace(IMAGE, size_wh=(96, 64))).require_point_set()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("count: 500", "count: 0"),
        ("count: 77", "count: many"),
        ("- x", "- y"),
        ("- part", "- part\n  - other"),
    ],
)
def test_what_is_wrong_is_named(line, fault, tmp_path: Path):
    path = tmp_path / "mine.yaml"
    dump_manifest(model("completion"), path)
    text = path.read_text()
    assert line in text
    path.write_text(text.replace(line, fault, 1))
    with pytest.raises(ManifestError, match=r"input\.|output\."):
        load_manifest(path)
