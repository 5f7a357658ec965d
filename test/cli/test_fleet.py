"""`process --bags`, `reconstruct --inputs` and `evaluate --out` as a user types them, on real Ray."""

from __future__ import annotations

import importlib.util
import json

import cv2
import numpy as np
import pytest

from recon3d_ros.cli.fleet import require_success, to_text
from recon3d_ros.cli.main import main
from recon3d_ros.errors import ConfigError, PartialResultError, Recon3dError
from recon3d_ros.fleet.tasks import Outcome


@pytest.fixture
def recordings(tmp_path):
    """Three folders of colour, depth and poses; the last one has no image that can be read."""
    for name in ("a", "b", "c"):
        for part in ("rgb", "depth"):
            (tmp_path / "in" / name / part).mkdir(parents=True)
        np.savetxt(tmp_path / "in" / name / "K.txt", [[100, 0, 65], [0, 100, 45], [0, 0, 1]])
        for i in range(3):
            depth = tmp_path / "in" / name / "depth" / f"{i:04d}.png"
            cv2.imwrite(str(depth), np.full((91, 131), 1200, np.uint16))
            image = np.full((91, 131, 3), (10, 20, 240), np.uint8)
            cv2.imwrite(str(depth.parents[1] / "rgb" / depth.name), image)
        poses = "".join(f"1 0 0 {0.1 * i} 0 1 0 0 0 0 1 0\n" for i in range(3))
        (tmp_path / "in" / name / "poses.txt").write_text(poses)
    for path in (tmp_path / "in" / "c" / "rgb").iterdir():
        path.write_bytes(b"no image")
    return tmp_path / "in"


def _require_ray():
    pytest.importorskip("fsspec")
    if importlib.util.find_spec("ray") is None:  # not imported: the engine makes a token before
        pytest.skip("ray is not installed (.[ray])")


@pytest.mark.slow
def test_recordings_become_models_side_by_side(recordings, tmp_path, capsys):
    pytest.importorskip("skimage")
    _require_ray()
    words = ["reconstruct", "--inputs", f"{recordings}/*", "--out", str(tmp_path / "out"), "--workers", "2"]
    assert main(words) == PartialResultError.exit_code
    out, err = capsys.readouterr()
    assert "c: " in err and "1 of 3 failed, first: c" in err and out.count("failed") == 1
    rows = {row["name"]: row for row in json.loads((tmp_path / "out" / "summary.json").read_text())["tasks"]}
    assert rows["a"]["written"] == rows["b"]["written"] == 3 and rows["c"]["error"]
    assert (tmp_path / "out" / "b" / "mesh.ply").is_file() and not (tmp_path / "out" / "c").exists()
    assert main([*words, "--inputs", f"{recordings}/[ab]"]) == 0
    assert capsys.readouterr().out.count("done before") == 2


@pytest.mark.slow
def test_methods_are_scored_side_by_side_and_compared_in_one_table(recordings, tmp_path, capsys):
    _require_ray()
    words = ["evaluate", "--data", f"{recordings}/*", "--model", "fake_mono", "--baseline", "none"]
    words += ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "many.json"), "--backend", "fake"]
    assert main(words) == PartialResultError.exit_code
    assert "1 of 3 failed, first: c/fake_mono" in capsys.readouterr().err
    many = json.loads((tmp_path / "many.json").read_text())["rows"]
    sets = ["--data", f"{recordings}/a,{recordings}/b", "--json", str(tmp_path / "one.json")]
    assert main(["evaluate", *sets, *words[3:7], "--backend", "fake"]) == 0
    one = json.loads((tmp_path / "one.json").read_text())["rows"]
    for row in (*many, *one):
        row.pop("median_ms")
    assert many == one


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["process", "--bags", "x"], "--out"),
        (["process", "bag.mcap", "--bags", "x", "--out", "y"], "none of BAG"),
        (["process", "--bags", "x", "--out", "y", "--formats", "pdf"], "bag, ply, html"),
        (["process", "--bags", "x", "--out", "y", "--cpus", "0"], "above 0"),
        (["process", "--bags", "x", "--out", "y", "--piece-s", "-1"], "from 0"),
        (["process"], "got none"),
        (["process", "x", "--out-ply", "y", "--workers", "2"], "--bags with --workers"),
        (["reconstruct", "x", "--inputs", "x", "--out", "y"], "got both"),
        (["reconstruct", "x", "--out", "y", "--cluster", "auto"], "--inputs with --cluster"),
        (["reconstruct", "--out", "y"], "got none"),
        (["reconstruct", "--inputs", "x", "--out", "y", "--poses", "/p.txt"], "inside each recording"),
        (["evaluate", "--data", "kitti2012", "--no-resume"], "--out with --no-resume"),
        (["evaluate", "--data", "kitti2012", "--out", "x", "--html", "y"], "has --formats"),
        (["evaluate", "--data", "kitti2012", "--out", "x", "--formats", "pdf"], "json, pictures, html"),
        (["evaluate", "--trajectory", "x", "--truth", "y", "--out", "z"], "no --out"),
    ],
)
def test_wrong_words_are_one_sentence(words, message, capsys):
    assert main(words) == ConfigError.exit_code
    assert message in capsys.readouterr().err


def test_the_table_says_what_was_lost():
    outcomes = [
        Outcome("a", frames=10, written=7, dropped={"image": 3}, unmatched=2, seconds=2.0, worker="host:1"),
        Outcome("b", error="broken"),
        Outcome("c", frames=4, written=4, skipped=True, valid_share=0.5, seconds=1.0),
    ]
    lines = [line.split() for line in to_text(outcomes).splitlines()[1:]]
    assert lines[0] == ["a", "10", "7", "3", "2", "-", "2.0", "5.0", "host:1"]
    assert lines[1][-1] == "failed" and lines[2][-2:] == ["done", "before"] and lines[2][5] == "50.0"


def test_a_summary_of_failures_alone_is_no_partial_result():
    with pytest.raises(PartialResultError, match="1 of 2 are incomplete"):
        require_success([Outcome("a"), Outcome("b", dropped={"image": 1})])
    with pytest.raises(Recon3dError, match="all 1 failed") as caught:
        require_success([Outcome("a", error="broken")])
    assert not isinstance(caught.value, PartialResultError)
    require_success([Outcome("a"), Outcome("b", skipped=True)])
