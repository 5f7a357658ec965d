"""Frames saved for bug reports: complete, replayable, all or nothing."""

from __future__ import annotations

import os
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
import yaml

from recon3d_ros import files
from recon3d_ros.cli.main import main
from recon3d_ros.config import ModelConfig, PipelineConfig
from recon3d_ros.datasets import folder_frames
from recon3d_ros.errors import OutputError
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import Frame, PinholeCamera, StereoRig
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.ros.bridge.conversions import camera_to_info
from recon3d_ros.ros.node import save_service
from recon3d_ros.ros.node.save_service import save_frame

WIDTH, HEIGHT = 61, 47
STAMP_NS = 1_700_000_000_123_456_789
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def frame():
    left, right = np.random.default_rng(0).integers(0, 255, (2, HEIGHT, WIDTH, 3), np.uint8)
    rig = StereoRig.simple(WIDTH, HEIGHT, fx=50.0, baseline_m=0.13, cx=29.0, cy=24.0, doffs_px=0.5)
    return Frame(STAMP_NS, left, rig.left, right, rig, frame_id="left_optical")


@pytest.fixture(scope="module")
def result(frame):
    return Pipeline(Estimator.open(ModelConfig(model="fake_stereo")), PipelineConfig()).process(frame)


@pytest.fixture
def infos(frame):
    cameras = {"left_optical": frame.rig.left, "right_optical": frame.rig.right}
    return [camera_to_info(camera, STAMP_NS, frame_id) for frame_id, camera in cameras.items()]


PARAMETERS = {"max_depth_m": 8.0, "model": "fake_stereo", "cameras": ["a", "b"], "rectify": False}
EMPTY = {"engine_sizes": (), "roi_mask": ""}


def test_everything_is_there_and_the_frame_can_be_computed_again(tmp_path, frame, result, infos, capsys):
    frame = replace(frame, frame_id="robot/left_optical")
    path = save_frame(tmp_path / "new", frame, result, infos, PARAMETERS)
    assert path == tmp_path / "new" / f"robot_left_optical_{STAMP_NS}"
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name]  # no draft is left

    (again,) = folder_frames(path)
    assert again.stamp_ns == STAMP_NS and again.rig == frame.rig
    np.testing.assert_array_equal(again.image, frame.image)
    np.testing.assert_array_equal(again.right, frame.right)

    words = [
        "run",
        "--input",
        str(path),
        "--model",
        "fake_stereo",
        "--out",
        str(tmp_path / "run"),
        "--no-view",
    ]
    assert main(words) == 0, capsys.readouterr()
    (depth_file,) = (tmp_path / "run").glob("*_depth.pfm")
    np.testing.assert_array_equal(files.read_pfm(depth_file), result.depth_map.depth)


def test_results_parameters_calibration_and_versions(tmp_path, frame, result, infos):
    path = save_frame(tmp_path, frame, result, infos, PARAMETERS | EMPTY)
    np.testing.assert_array_equal(files.read_pfm(path / "result" / "depth.pfm"), result.depth_map.depth)
    np.testing.assert_array_equal(
        files.read_pfm(path / "result" / "disparity.pfm"), result.depth_map.disparity
    )
    assert files.read_ply(path / "result" / "cloud.ply").frame_id == "left_optical"
    points, colours = files.read_ply_points(path / "result" / "cloud.ply")
    np.testing.assert_array_equal(points, result.cloud.xyz[result.cloud.valid])
    np.testing.assert_array_equal(colours, frame.image[result.cloud.valid])
    assert (path / "result" / "depth.png").is_file() and (path / "result" / "depth_colour.png").is_file()
    parameters = yaml.safe_load((path / "parameters.yaml").read_text())
    assert parameters == {"/**": {"ros__parameters": PARAMETERS | {"roi_mask": ""}}}
    saved = yaml.safe_load((path / "camera_info.yaml").read_text())
    assert list(saved) == ["left", "right"]
    assert saved["right"]["p"] == list(infos[1].p) and saved["right"]["frame_id"] == "right_optical"
    about = (path / "versions.txt").read_text()
    assert "numpy: " in about and "estimate_ms: " in about and f"stamp_ns: {STAMP_NS}" in about
    assert "frame_id: left_optical" in about


def test_one_camera_and_a_cloud_that_nobody_wanted(tmp_path):
    image = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH), np.uint8)
    frame = Frame(5, image, PinholeCamera.simple(WIDTH, HEIGHT, fx=50.0))
    pipeline = Pipeline(Estimator.open(ModelConfig(model="fake_mono")), PipelineConfig())
    result = pipeline.process(frame)
    lean = save_service.Result(result.depth_map, None, timings_ms={})
    path = save_frame(tmp_path, frame, lean, [camera_to_info(frame.camera, 5, "")], {})
    assert path.name == "frame_5"
    (again,) = folder_frames(path)
    np.testing.assert_array_equal(again.image, image)
    assert again.stamp_ns == 5 and again.camera == frame.camera
    points, _ = files.read_ply_points(path / "result" / "cloud.ply")
    np.testing.assert_array_equal(points, result.cloud.xyz[result.cloud.valid])


def test_what_no_camera_saw_has_no_depth_when_the_folder_is_run_again(tmp_path, frame, capsys):
    valid, right_valid = (np.ones(frame.image.shape[:2], bool) for _ in range(2))
    valid[:, :9], right_valid[-7:] = False, False
    seen = replace(frame, valid=valid, right_valid=right_valid)
    pipeline = Pipeline(Estimator.open(ModelConfig(model="fake_stereo")), PipelineConfig())
    result = pipeline.process(seen)
    path = save_frame(tmp_path, seen, result, [], {})
    (again,) = folder_frames(path)
    np.testing.assert_array_equal(again.valid, valid)
    np.testing.assert_array_equal(again.right_valid, right_valid)
    words = ["run", "--input", str(path), "--model=fake_stereo", "--out", f"{tmp_path}/out", "--no-view"]
    assert main(words) == 0
    (depth,) = (tmp_path / "out").glob("*_depth.pfm")
    np.testing.assert_array_equal(files.read_pfm(depth), result.depth_map.depth)
    assert np.isnan(files.read_pfm(depth)[:, :9]).all()


def test_bad_calibration_is_saved_as_it_came(tmp_path, frame, result, infos):
    infos[0].k[0] = float("nan")
    infos[0].distortion_model = "unheard_of"
    path = save_frame(tmp_path, frame, result, infos, {})
    saved = yaml.safe_load((path / "camera_info.yaml").read_text())["left"]
    assert np.isnan(saved["k"][0]) and saved["distortion_model"] == "unheard_of"


def test_the_same_frame_twice_gets_a_folder_each(tmp_path, frame, result, infos):
    first, second = (save_frame(tmp_path, frame, result, infos, {}) for _ in range(2))
    assert second.name == f"{first.name}_2"
    assert len(folder_frames(second)) == 1


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (Usage(10e9, 9.6e9, 0.4e9), "at least 500 MB free"),
        (Usage(100e9, 96e9, 4e9), "at least 5000 MB free"),
    ],
)
def test_a_disk_that_is_nearly_full_is_left_alone(tmp_path, frame, result, infos, monkeypatch, usage, words):
    monkeypatch.setattr(save_service.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match=words):
        save_frame(tmp_path, frame, result, infos, {})
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, frame, result, infos, monkeypatch):
    def full(path, plane):
        raise OutputError(f"cannot write {path} (No space left on device): free the disk")

    monkeypatch.setattr(files, "write_pfm", full)
    with pytest.raises(OutputError, match="No space left"):
        save_frame(tmp_path, frame, result, infos, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "read_only", "proc"])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, frame, result, infos, kind):
    folder = {"file": tmp_path / "file" / "x", "read_only": tmp_path / "locked", "proc": "/proc/nowhere"}[
        kind
    ]
    (tmp_path / "file").write_text("")
    (tmp_path / "locked").mkdir(mode=0o500)
    if kind == "read_only" and os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    with pytest.raises(OutputError, match="choose another"):
        save_frame(folder, frame, result, infos, {})
