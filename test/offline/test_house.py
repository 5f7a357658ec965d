"""A short walk through the procedural house, with the shipped network."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recon3d_ros.cli.main import main
from recon3d_ros.mapping.accuracy import score_trajectory
from recon3d_ros.mapping.mesh_files import read_mesh
from recon3d_ros.mapping.trajectory_files import read_trajectory
from recon3d_ros.offline.house import HouseWalk


def test_the_demo_ends_with_a_mesh_beside_the_exact_one(tmp_path, monkeypatch, capsys):
    pytest.importorskip("skimage")
    small = HouseWalk((160, 120), 6)
    monkeypatch.setattr("recon3d_ros.cli.demo_map.HouseWalk", lambda: small)
    words = ["demo", "--map", "--model", "recon3d_stereo_light", "--out", str(tmp_path)]
    assert main(words) == 0
    summary = json.loads((tmp_path / "reconstruction.json").read_text())
    assert summary["frames_used"] == 6 and summary["frames_skipped"] == 0
    # Six small images of two rooms show little of what exact depth shows in them.
    assert 0.03 < summary["f_score_0.05_m"] < summary["f_score_0.1_m"] < 1
    assert summary["precision_0.1_m"] > 0.3
    said = capsys.readouterr().out
    assert f"F-score {summary['f_score_0.05_m']:.2f} at 5 cm" in said
    assert (
        f"{summary['grid_free_cells']} free cells" in said
        and "map_exact" in (tmp_path / "report.html").read_text()
    )
    assert summary["grid_free_cells"] > 0 and 0 < summary["grid_missing"] < 1
    page = (tmp_path / "report.html").read_text()
    assert "above_exact" in page and "f_score_0.1_m" in page
    assert (tmp_path / "view_front_exact.png").stat().st_size > 1000
    path = read_trajectory(tmp_path / "trajectory.txt")
    assert len(path) == 6 and score_trajectory(path, small.trajectory(), aligned=False).ate_m < 1e-5
    low, high = (getattr(read_mesh(tmp_path / "mesh.ply").vertices, end)(axis=0) for end in ("min", "max"))
    assert np.all(low > [-9, -4, -1]) and np.all(high < [6, 6, 3.5])  # of both rooms, and a little outside


def test_the_map_of_the_demo_takes_no_images(tmp_path, capsys):
    for more in (["--input", "world_outdoor"], ["--camera", "c.yaml"]):
        assert main(["demo", "--map", "--out", str(tmp_path), *more]) == 2
        assert "recon3d reconstruct for images" in capsys.readouterr().err
    assert main(["demo", "--map", "--out", str(tmp_path), "--model", "recon3d_mono"]) == 2
    assert "a stereo model" in capsys.readouterr().err
