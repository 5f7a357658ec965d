from __future__ import annotations

import hashlib

import pytest
import yaml

from recon3d_ros.cli.main import main
from recon3d_ros.model_zoo.registry import BUILT_IN, list_models


@pytest.fixture
def models_dir(tmp_path):
    """One stereo model, whose file need not be a network to be listed and verified."""
    content = b"weights" * 300_000
    (tmp_path / "mine.onnx").write_bytes(content)
    manifest = {
        "name": "mine",
        "task": "stereo_disparity",
        "artifacts": [
            {"file": "mine.onnx", "precision": "fp32", "sha256": hashlib.sha256(content).hexdigest()}
        ],
        "input": {"names": ["left", "right"], "multiple_of": 32},
        "output": {"name": "disparity", "unit": "px"},
        "licence": {"weights": "Apache-2.0"},
        "accuracy": [{"data": "kitti2012", "metrics": {"bad_px_3": 0.1234, "epe_px": 1.5, "pixels": 9}}],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(manifest))
    return tmp_path


def test_the_table_says_what_the_manifest_says(models_dir, capsys):
    assert main(["models", "--models-dir", str(models_dir)]) == 0
    header, mine, *others = capsys.readouterr().out.splitlines()
    assert header.startswith("name")
    for cell in (
        "mine",
        "stereo_disparity",
        "fp32",
        "2.1 MB",
        "Apache-2.0",
        "kitti2012 bad_px_3=0.123 epe_px=1.5",
    ):
        assert cell in mine
    assert [line.split()[0] for line in others] == list(BUILT_IN)
    # columns stand below their headers
    assert mine.index("Apache") == header.index("licence")


def test_metrics_of_another_task_are_shown_too(models_dir, capsys):
    path = models_dir / "mine.yaml"
    document = yaml.safe_load(path.read_text())
    document["accuracy"] = [{"data": "world", "metrics": {"ground_iou": 0.7041, "accuracy": 0.5}}]
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    assert main(["models", "--models-dir", str(models_dir)]) == 0
    assert "world ground_iou=0.704 accuracy=0.5" in capsys.readouterr().out


def test_a_missing_file_shows_in_the_table(models_dir, capsys):
    (models_dir / "mine.onnx").unlink()
    assert main(["models", "--models-dir", str(models_dir)]) == 0
    assert "missing" in capsys.readouterr().out


def test_verify_names_the_wrong_file_and_goes_on(models_dir, capsys):
    assert main(["models", "--verify", "--models-dir", str(models_dir)]) == 0
    assert "mine: ok" in capsys.readouterr().out
    (models_dir / "mine.onnx").write_bytes(b"other")
    assert main(["models", "--verify", "--models-dir", str(models_dir)]) == 5
    mine, *others = capsys.readouterr().out.splitlines()
    assert mine.startswith("mine: ") and "sha256" in mine
    assert len(others) == len(BUILT_IN)


def test_verify_finds_a_manifest_that_forgot_its_file(models_dir, capsys):
    manifest = yaml.safe_load((models_dir / "mine.yaml").read_text())
    del manifest["artifacts"]
    (models_dir / "mine.yaml").write_text(yaml.safe_dump(manifest))
    assert main(["models", "--verify", "--models-dir", str(models_dir)]) == 5
    assert "mine: model mine has no fp32 artifact" in capsys.readouterr().out


def test_the_models_of_the_repository_are_whole(capsys):
    assert main(["models", "--verify"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(list_models()[0])


def test_a_wrong_folder_is_one_sentence(tmp_path, capsys):
    assert main(["models", "--models-dir", str(tmp_path / "absent")]) == 7
    assert "absent" in capsys.readouterr().err


@pytest.mark.parametrize("verify", [(), ("--verify",)])
def test_a_broken_manifest_hides_no_other(models_dir, capsys, verify):
    (models_dir / "broken.yaml").write_text("name: [")
    assert main(["models", "--models-dir", str(models_dir), *verify]) == 5
    said = capsys.readouterr()
    assert [line.split()[0].rstrip(":") for line in said.out.splitlines()][-3:] == ["mine", *BUILT_IN]
    assert len(said.err.splitlines()) == 1 and "broken.yaml is not YAML" in said.err
