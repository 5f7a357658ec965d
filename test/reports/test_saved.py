"""Results on disk become a recording of Rerun with the entities of a frame."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from recon3d_ros.cli.main import main
from recon3d_ros.errors import ConfigError, DataError, MissingDependencyError
from recon3d_ros.files import write_image, write_ply
from recon3d_ros.geometry import UnorganizedCloud
from recon3d_ros.reports.rerun_log import RerunLog
from recon3d_ros.reports.saved import log_saved
from recon3d_ros.system.installing import how_to_install
from recon3d_ros.world import WorldCamera

FRAME = {"/camera/image", "/right/image", "/camera/depth", "/points"}


def entities(path):
    """What a recording holds, as Rerun's own tool lists it."""
    pytest.importorskip("rerun", reason="rerun-sdk is not installed (.[rerun])")
    words = [sys.executable, "-m", "rerun", "rrd", "print", str(path)]
    text = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    return {word.rstrip(",:;)") for word in text.replace("(", " ").split() if word.startswith("/")}


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of `recon3d run` with one pair, and the recording that it wrote itself."""
    pytest.importorskip("rerun", reason="rerun-sdk is not installed (.[rerun])")
    import cv2

    frame = WorldCamera(size_wh=(96, 64)).sample(0).frame
    for side, image in (("left", frame.image), ("right", frame.right)):
        cv2.imwrite(str(tmp_path / f"{side}.png"), image[..., ::-1])
    words = ["--left", f"{tmp_path}/left.png", "--right", f"{tmp_path}/right.png", "--fx", "80"]
    words += ["--baseline-m", "0.1", "--model", "fake_stereo", "--no-view", "--out", f"{tmp_path}/out"]
    assert main(["run", *words, "--rerun", f"{tmp_path}/run.rrd"]) == 0
    return tmp_path


def test_a_run_writes_a_recording_and_its_folder_becomes_one(results):
    assert entities(results / "run.rrd") >= FRAME
    assert main(["view", str(results / "out"), "--save", str(results / "view.rrd")]) == 0
    assert entities(results / "view.rrd") >= {"/camera/depth", "/points"}
    assert not list(results.glob(".*.tmp"))


def test_clouds_of_a_bag_are_on_the_timeline_of_their_stamps(tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed (.[rerun])")
    cloud = UnorganizedCloud(np.ones((5, 4), np.float32))
    for number in range(3):
        write_ply(tmp_path / f"{number:06d}_{1_700_000_000_000_000_000 + number}.ply", cloud)
    log = RerunLog(file=tmp_path / "view.rrd")
    assert log_saved(log, tmp_path) == 3
    log.close()
    assert "/points" in entities(tmp_path / "view.rrd")


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["{}/none"], DataError, "found none"),
        (["{}"], DataError, "results of recon3d run"),
        (["{}/odd.txt"], DataError, ".ply"),
        ([], ConfigError, "--live"),
        (["{}", "--live"], ConfigError, "give one of them"),
    ],
)
def test_what_is_nothing_to_view_is_one_sentence(tmp_path, capsys, words, error, message):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed (.[rerun])")
    (tmp_path / "odd.txt").write_text("")
    words = [word.format(tmp_path) for word in words]
    assert main(["view", *words, "--save", str(tmp_path / "view.rrd")]) == error.exit_code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "view.rrd").exists() and not list(tmp_path.glob(".*.tmp"))


def test_a_recording_is_there_when_it_is_complete(tmp_path):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed (.[rerun])")
    for end, left in ((RerunLog.abort, []), (RerunLog.close, ["a.rrd"])):
        log = RerunLog(file=tmp_path / "a.rrd")
        log.at(0)
        log.points(np.ones((3, 3), np.float32), np.zeros((3, 3), np.uint8))
        assert not (tmp_path / "a.rrd").exists()
        end(log)
        assert [path.name for path in tmp_path.iterdir()] == left


def test_without_the_library_it_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rerun", None)
    words = ["view", str(tmp_path), "--save", str(tmp_path / "view.rrd")]
    assert main(words) == MissingDependencyError.exit_code
    assert how_to_install("rerun") in capsys.readouterr().err


def test_an_interrupt_in_the_beginning_leaves_no_draft(tmp_path, monkeypatch):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed (.[rerun])")

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(RerunLog, "_layout", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RerunLog(file=tmp_path / "a.rrd")
    assert not list(tmp_path.iterdir())


def test_a_run_whose_model_does_not_open_leaves_no_draft(tmp_path, monkeypatch):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed (.[rerun])")

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    write_image(tmp_path / "image.png", np.zeros((48, 64, 3), np.uint8))
    monkeypatch.setattr("recon3d_ros.cli.run._opened", interrupted)
    words = ["run", "--image", f"{tmp_path}/image.png", "--model", "fake_mono", "--fx", "50", "--no-view"]
    assert main([*words, "--out", f"{tmp_path}/out", "--rerun", f"{tmp_path}/a.rrd"]) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.png", "out"]
