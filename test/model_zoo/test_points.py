from __future__ import annotations

import pytest
import yaml

from recon3d_ros.errors import ManifestError
from recon3d_ros.model_zoo.manifest_file import dump_manifest, load_manifest

POINTS = {
    "name": "labels",
    "task": "point_labels",
    "input": {"count": 512, "grid": {"rows": 8, "columns": 12, "members": 4, "range_m": [0.5, 30]}},
    "output": {"classes": ["ground", "obstacle"]},
    "licence": {"weights": "Apache-2.0"},
}


def load(tmp_path, **changes):
    path = tmp_path / "labels.yaml"
    path.write_text(yaml.safe_dump({**POINTS, **changes}))
    return load_manifest(path)


def test_a_manifest_of_points_comes_back(tmp_path):
    manifest = load(tmp_path)
    given, said = manifest.point_contracts
    assert given.names == ("points", "cells", "members") and given.count == 512
    assert given.grid.range_m == (0.5, 30.0) and given.grid.azimuth_deg == 60.0
    assert said.labels == (1, 3)
    dump_manifest(manifest, tmp_path / "labels.yaml")
    assert load_manifest(tmp_path / "labels.yaml") == manifest
    keys = yaml.safe_load((tmp_path / "labels.yaml").read_text())
    assert "layout" not in keys["input"] and "unit" not in keys["output"]


@pytest.mark.parametrize(
    ("section", "value", "said"),
    [
        ("input", {"layout": "NCHW"}, "unknown key input.layout"),
        ("input", {"names": ["a", "a", "b"]}, "three tensors"),
        ("input", {"fields": ["x", "y"]}, "input.fields must be"),
        ("input", {"count": 0}, "input.count must be"),
        ("input", {"grid": 3}, "input.grid must be a mapping"),
        ("input", {"grid": {"rows": 0}}, "input.grid.rows"),
        ("input", {"grid": {"range_m": [3, 1]}}, "input.grid.range_m"),
        ("input", {"grid": {"azimuth_deg": 200}}, "input.grid.azimuth_deg"),
        ("output", {"classes": ["obstacle"]}, "output.classes must be ground"),
        ("output", {"classes": ["ground", "cat"]}, "output.classes must be ground"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, section, value, said):
    with pytest.raises(ManifestError, match=said):
        load(tmp_path, **{section: value})


def test_models_of_depth_and_of_points_are_not_confused(tmp_path):
    from recon3d_ros.model_zoo.registry import BUILT_IN

    with pytest.raises(ManifestError, match="expected a model that labels points, got fake_mono"):
        BUILT_IN["fake_mono"].point_contracts  # noqa: B018
    with pytest.raises(ManifestError, match="expected a model of depth, got labels"):
        load(tmp_path).require_depth()
