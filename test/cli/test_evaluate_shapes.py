from __future__ import annotations

import json

import pytest

from recon3d_ros.cli.main import main

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("trimesh")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from recon3d_ros.training.config import TrainConfig
    from recon3d_ros.training.export.export import export
    from recon3d_ros.training.run.state import start_run

    folder = tmp_path_factory.mktemp("models")
    config = TrainConfig(
        network="point_set", out=str(folder / "run"), width=64, height=64, device="cpu", threads=1
    )
    run = start_run(config, {"channels": (4, 8, 8, 8, 8), "latent": 16, "free": 64})
    run.save()
    export(run.path, folder, name="mine")
    return folder / "mine.yaml"


def test_objects_of_the_world_are_scored_beside_the_baselines(model, tmp_path, capsys):
    words = ["evaluate", "--model", str(model), "--data", "world_objects", "--limit", "5", "--library", "6"]
    assert main([*words, "--json", str(tmp_path / "a.json"), "--pictures", str(tmp_path / "pictures")]) == 0
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert [row["model"] for row in rows] == [
        "mine",
        "mine with mask",
        "mean shape",
        "nearest image",
        "nearest mask",
    ]
    assert all(row["objects"] == 5 and 0 < row["chamfer"] < 2 for row in rows)
    assert len(list((tmp_path / "pictures").iterdir())) == 2  # of two shapes
    assert "chamfer x 1000" in capsys.readouterr().out


def test_meshes_of_a_folder_are_scored(model, tmp_path, capsys):
    import trimesh

    trimesh.creation.box(extents=(0.3, 0.4, 0.5)).export(tmp_path / "box.obj")
    words = ["evaluate", "--model", str(model), "--data", f"meshes:{tmp_path}", "--limit", "2"]
    assert main([*words, "--baseline", "none"]) == 0
    assert "mine with mask" in capsys.readouterr().out


def test_sets_without_objects_and_models_of_other_tasks_are_refused(model, capsys):
    assert main(["evaluate", "--model", str(model), "--data", "nyuv2"]) != 0
    assert "expected sets of objects, world_objects" in capsys.readouterr().err
    both = f"{model},recon3d_point_labels"
    assert main(["evaluate", "--model", both, "--data", "world_objects"]) != 0
    assert "expected models of one task, got point_labels, point_set" in capsys.readouterr().err
