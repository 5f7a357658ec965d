"""`recon3d evaluate` from its words to its table and JSON."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from recon3d_ros.cli.main import main

WIDTH, HEIGHT, DISPARITY = 96, 64, 8


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data folder with two stereo pairs of `kitti2012` (a plane at 8 px) and two frames of `hololens`."""
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH + DISPARITY), np.uint8), (0, 0), 1.0)
    truth = np.full((HEIGHT, WIDTH), DISPARITY * 256, np.uint16)
    truth[:, :DISPARITY] = 0
    scenes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file, image in (("left", texture[:, :WIDTH]), ("right", texture[:, DISPARITY:]), ("gt", truth)):
            cv2.imwrite(str(tmp_path / name / f"{file}.png"), image)
        files = {"left": f"{name}/left.png", "right": f"{name}/right.png", "gt": f"{name}/gt.png"}
        numbers = {"gt_to_px": 1 / 256, "gt_invalid": 0, "fx": 80.0, "baseline_m": 0.5, "doffs_px": 0.0}
        size = {"width": WIDTH, "height": HEIGHT, "cx": 48.0, "cy": 32.0}
        scenes.append({"id": name, "set": "kitti2012", **files, **numbers, **size})
    for i in range(2):
        cv2.imwrite(str(tmp_path / f"rgb{i}.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        cv2.imwrite(str(tmp_path / f"depth{i}.png"), np.full((HEIGHT, WIDTH), 2000, np.uint16))
    size = {"width": WIDTH, "height": HEIGHT, "fx": 80.0, "fy": 80.0, "cx": 48.0, "cy": 32.0}
    files = {"rgb": "rgb{i}.png", "depth": "depth{i}.png", "gt_to_m": 0.001, "gt_invalid": [0]}
    sequences = [{"id": "hololens", "n": 2, **files, **size}]
    index = {"stereo_scenes": scenes, "sequences": sequences}
    (tmp_path / "INDEX.json").write_text(json.dumps(index), encoding="utf-8")
    monkeypatch.delenv("RECON3D_DATA", raising=False)
    return tmp_path


def test_a_model_stands_beside_the_baseline(root, capsys):
    words = ["evaluate", "--data", "kitti2012", "--root", str(root), "--json", str(root / "scores.json")]
    assert main([*words, "--model", "fake_stereo", "--backend", "fake"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["kitti2012", "fake_stereo", "2"],
        ["kitti2012", "sgbm", "2"],
    ]
    model, sgbm = json.loads((root / "scores.json").read_text())["sets"]
    assert model["method"] == "fake_stereo" and [f["name"] for f in sgbm["per_frame"]] == ["one", "two"]
    assert sgbm["metrics"]["bad_px_1"] < 0.1 < model["metrics"]["bad_px_1"]
    assert sgbm["metrics"]["abs_rel"] < 0.02
    assert sgbm["time_ms_median"] > 0


def test_the_root_may_come_from_the_environment_and_limit_shortens(root, capsys, monkeypatch):
    monkeypatch.setenv("RECON3D_DATA", str(root))
    assert main(["evaluate", "--data", "kitti2012", "--model", "none", "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["kitti2012", "sgbm", "1"]


def test_one_camera_is_scored_in_metres_and_sgbm_is_left_out(root, capsys):
    words = ["evaluate", "--data", "hololens,kitti2012", "--root", str(root), "--backend", "fake"]
    assert main([*words, "--model", "fake_mono"]) == 0
    out, err = capsys.readouterr()
    rows = [line.split()[:2] for line in out.splitlines()[1:]]
    assert rows == [["hololens", "fake_mono"], ["kitti2012", "fake_mono"], ["kitti2012", "sgbm"]]
    assert "scaled: abs_rel" in out.splitlines()[0]
    assert "sgbm needs pairs and hololens has none" in err


def test_the_table_survives_a_json_that_cannot_be_written(root, capsys):
    words = ["evaluate", "--data", "kitti2012", "--root", str(root), "--model", "none"]
    assert main([*words, "--json", str(root / "nowhere" / "scores.json")]) == 8
    assert "kitti2012" in capsys.readouterr().out


def test_a_set_without_frames_is_one_sentence(root, capsys):
    index = json.loads((root / "INDEX.json").read_text())
    index["sequences"][0]["n"] = 0
    (root / "INDEX.json").write_text(json.dumps(index))
    assert main(["evaluate", "--data", "hololens", "--root", str(root), "--model", "fake_mono"]) == 7
    assert "expected frames in hololens, got none" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5"])
def test_the_limit_is_a_whole_number(limit, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--data", "kitti2012", "--limit", limit])
    assert stopped.value.code == 2
    assert f"expected a whole number of at least 1, got '{limit}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--data", "kiti2012"], 7, "did you mean kitti2012"),
        (["--data", "kitti2012", "--root", "/nowhere"], 7, "INDEX.json"),
        (["--data", ","], 2, "name a data set"),
        (["--data", "kitti2012", "--model", "none", "--baseline", "none"], 2, "name one"),
        (["--data", "kitti2012", "--model", "no_such_model"], 5, "no_such_model"),
        (["--data", "kitti2012", "--json", "/nowhere/scores.json"], 8, "/nowhere"),
    ],
)
def test_wrong_words_are_one_sentence_and_a_code(root, capsys, words, code, message):
    model = [] if "--model" in words else ["--model", "none"]
    folder = [] if "--root" in words else ["--root", str(root)]
    assert main(["evaluate", *words, *model, *folder]) == code
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("recon3d: error: ") and message in err
