"""A task leaves a whole result or none, and nothing is done twice."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import replace

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed (.[ray])")

from recon3d_ros.fleet.bags import plan_bags
from recon3d_ros.fleet.work import run_task


def test_a_bag_is_processed_once_and_then_recognised(tmp_path, record, job):
    (task,) = plan_bags([str(record(tmp_path / "a.mcap"))], job)
    outcome = run_task(task)
    assert (outcome.error, outcome.frames, outcome.written, outcome.name) == ("", 6, 6, "a")
    assert not outcome.skipped and 0.5 < outcome.valid_share <= 1.0
    assert len(list((tmp_path / "out" / "a" / "ply").iterdir())) == 6
    again = run_task(task)
    assert again.skipped and again.valid_share == pytest.approx(outcome.valid_share)
    assert not run_task(task, resume=False).skipped
    record(tmp_path / "b.mcap", seed=1)
    (tmp_path / "b.mcap").replace(tmp_path / "a.mcap")
    assert not run_task(task).skipped


def test_what_decides_about_a_result_is_in_its_key(tmp_path, record, job, monkeypatch):
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"first")
    masked = replace(job, pipeline=replace(job.pipeline, roi_mask=str(mask)))
    recording = str(record(tmp_path / "a.mcap"))

    def key(job):
        (task,) = plan_bags([recording], job)
        return task.key

    keys = [
        key(job),
        key(replace(job, formats=("ply",))),
        key(replace(job, pipeline=replace(job.pipeline, border_px=2))),
        key(replace(job, model=replace(job.model, model="recon3d_stereo_light"))),
        key(masked),
    ]
    mask.write_bytes(b"other")
    keys.append(key(masked))
    assert len(set(keys)) == len(keys)
    assert key(job) == keys[0] == key(replace(job, out="elsewhere"))
    monkeypatch.setattr("recon3d_ros.fleet.tasks.__version__", "0.0.9")
    assert key(job) != keys[0]


def test_another_model_of_the_same_name_is_refused(tmp_path, record, job):
    (task,) = plan_bags([str(record(tmp_path / "a.mcap"))], job)
    other = replace(task, job=replace(task.job, identity="0" * 64))
    assert "install the same one on every machine" in run_task(other).error
    assert not (tmp_path / "out" / "a").exists()


def test_a_damaged_bag_is_an_outcome_and_leaves_nothing(tmp_path, record, job):
    path = record(tmp_path / "a.mcap")
    (task,) = plan_bags([str(path)], job)
    path.write_bytes(path.read_bytes()[:5000])
    outcome = run_task(task)
    assert "whole bag" in outcome.error and outcome.written == 0
    assert not (tmp_path / "out" / "a").exists() and not list((tmp_path / "out").glob(".*"))
    path.unlink()
    assert "cannot read" in run_task(task).error


def test_another_version_refuses(tmp_path, record, job):
    (task,) = plan_bags([str(record(tmp_path / "a.mcap"))], job)
    assert "install the same version" in run_task(task, "0.0.9").error


def test_a_result_of_half_a_file_is_done_again(tmp_path, record, job):
    (task,) = plan_bags([str(record(tmp_path / "a.mcap"))], job)
    run_task(task)
    done = tmp_path / "out" / "a" / "done.json"
    key = json.loads(done.read_text())["key"]
    for text in ("{", "[]", json.dumps({"key": key}), json.dumps({"key": key, "outcome": 3})):
        done.write_text(text)
        assert not run_task(task).skipped


def test_the_draft_of_a_killed_worker_goes_that_of_a_living_one_stays(tmp_path, record, job):
    (task,) = plan_bags([str(record(tmp_path / "a.mcap"))], job)
    dead, living = (tmp_path / "out" / f".a.{number}.tmp" for number in (1, 2))
    for draft in (dead, living):
        draft.mkdir(parents=True)
        (draft / "points.mcap").write_bytes(b"half")
    lock = os.open(living, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run_task(task).error == ""
        assert not dead.exists() and (living / "points.mcap").exists()
    finally:
        os.close(lock)
