"""Recordings become models, each in its folder, wherever they and their calibration lie."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed (.[ray])")
pytest.importorskip("skimage")

import fsspec

from recon3d_ros.config.mapping import GridConfig
from recon3d_ros.errors import ModelError
from recon3d_ros.fleet.reconstructions import ReconstructJob, plan_reconstructions
from recon3d_ros.fleet.work import run_task
from recon3d_ros.geometry import PinholeCamera
from recon3d_ros.mapping.mesh_files import read_mesh
from recon3d_ros.offline.reconstruct_options import ReconstructOptions


@pytest.fixture
def wall(tmp_path):
    """A wall some metres in front of a camera that moves to the right, with poses."""

    def make(name, metres=1.2, poses="groundtruth.txt", calibrated=True):
        folder = tmp_path / name
        for part in ("rgb", "depth"):
            (folder / part).mkdir(parents=True)
        if calibrated:
            np.savetxt(folder / "K.txt", [[100, 0, 65], [0, 100, 45], [0, 0, 1]])
        lines = []
        for i in range(3):
            depth = np.full((91, 131), 1000 * metres, np.uint16)
            cv2.imwrite(str(folder / "rgb" / f"{i:04d}.png"), np.full((91, 131, 3), (10, 20, 240), np.uint8))
            cv2.imwrite(str(folder / "depth" / f"{i:04d}.png"), depth)
            lines.append(f"1 0 0 {0.1 * i} 0 1 0 0 0 0 1 0\n")
        (folder / poses).write_text("".join(lines))
        return folder

    return make


@pytest.fixture
def job(tmp_path):
    """Depth that was recorded, coarse voxels."""
    return ReconstructJob(str(tmp_path / "out"), ReconstructOptions(depth="recorded", poses="poses.kitti"))


def test_each_becomes_a_model_of_its_own_and_is_recognised(tmp_path, wall, job):
    recordings = [str(wall(name, metres, "poses.kitti")) for name, metres in (("a", 1.2), ("b", 2.0))]
    tasks = list(plan_reconstructions(recordings, job))
    for task, metres in zip(tasks, (1.2, 2.0)):
        outcome = run_task(task)
        assert (outcome.error, outcome.frames, outcome.written, outcome.lost) == ("", 3, 3, 0)
        assert outcome.valid_share == 1.0 and outcome.result["path_m"] == pytest.approx(0.2)
        mesh = read_mesh(tmp_path / "out" / task.name / "mesh.ply")
        assert np.abs(mesh.vertices[:, 2] - metres).max() < 0.005
        assert (tmp_path / "out" / task.name / "report.html").is_file()
    assert [run_task(task).skipped for task in tasks] == [True, True]
    cv2.imwrite(str(tmp_path / "b" / "depth" / "0001.png"), np.full((91, 131), 1500, np.uint16))
    assert [run_task(task).skipped for task in tasks] == [True, False]
    other = plan_reconstructions(
        recordings, replace(job, options=replace(job.options, crop=(0, 0, 0, 1, 1, 1)))
    )
    assert {task.key for task in other}.isdisjoint(task.key for task in tasks)


def test_frames_that_are_left_out_and_a_missing_map_are_told(wall, job):
    folder = wall("a", poses="poses.kitti")
    cv2.imwrite(str(folder / "depth" / "0002.png"), np.zeros((91, 131), np.uint16))
    (task,) = plan_reconstructions([str(folder)], job)
    outcome = run_task(task)
    assert (outcome.error, outcome.frames, outcome.written, outcome.dropped) == ("", 3, 2, {"not used": 1})
    assert "every pixel of it is unknown" in outcome.complaint
    (task,) = plan_reconstructions(
        [str(folder)], replace(job, options=replace(job.options, grid=GridConfig()))
    )
    assert "no map: expected a floor" in run_task(task).complaint
    (folder / "rgb" / "0001.png").write_bytes(b"no image")
    (folder / "poses.kitti").unlink()
    assert run_task(task).error


def test_an_object_store_and_a_calibration_that_all_share(tmp_path, wall, job):
    memory = fsspec.filesystem("memory")
    try:
        folder = wall("a", poses="poses.kitti", calibrated=False)
        for path in folder.rglob("*"):
            if path.is_file():
                memory.pipe_file(f"/recordings/{path.relative_to(tmp_path)}", path.read_bytes())
        camera = json.dumps(PinholeCamera.simple(131, 91, 100.0).to_dict()).encode()
        options = replace(job.options, camera=("camera.yaml",))
        job = replace(job, out="memory://models", options=options, suffix="[0:2]")
        (task,) = plan_reconstructions(
            ["memory://recordings/a"], replace(job, calibration={"camera.yaml": camera})
        )
        outcome = run_task(task)
        assert (outcome.error, outcome.written) == ("", 2)
        assert {"/models/a/mesh.ply", "/models/a/done.json"} <= set(memory.find("/models"))
        assert run_task(task).skipped
        memory.pipe_file("/recordings/a/camera.yaml", camera)  # or each has its own
        (own,) = plan_reconstructions(["memory://recordings/a"], job)
        assert own.key != task.key and run_task(own).written == 2
    finally:
        memory.store.clear()


def test_a_model_that_is_not_there_is_told_before_the_first_task(wall, job):
    options = replace(job.options, model=replace(job.options.model, model="none_such"))
    with pytest.raises(ModelError, match="none_such"):
        list(plan_reconstructions([str(wall("a"))], replace(job, options=options)))
