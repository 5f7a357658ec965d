"""A task leaves a whole result or none; pieces of a bag give what the bag gives; nothing is done twice."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed (.[ray])")

from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.errors import DataError
from recon3d_ros.fleet.tasks import plan
from recon3d_ros.fleet.work import finished, run_task

TOPICS = ("/points", "/depth/image", "/depth/camera_info")


def raw_messages(path):
    """Topic, time and content of everything in a bag."""
    with Bag(path) as bag:
        return [(m.topic, m.logged_ns, bytes(m.msg.data) if hasattr(m.msg, "data") else m.msg.k.tobytes())
                for m in bag.messages(TOPICS)]  # fmt: skip


def test_a_bag_is_processed_once_and_then_recognised(tmp_path, record, job):
    (task,) = plan([str(record(tmp_path / "a.mcap"))], job)
    assert finished(task) is None
    outcome = run_task(task)
    assert (outcome.error, outcome.frames, outcome.written, outcome.name) == ("", 6, 6, "a")
    assert 0.5 < outcome.valid_share <= 1.0
    assert len(list((tmp_path / "out" / "a" / "ply").iterdir())) == 6
    again = finished(task)
    assert again is not None and again.skipped and again.valid_share == pytest.approx(outcome.valid_share)
    for changed in (
        replace(job, formats=("ply",)),
        replace(job, pipeline=replace(job.pipeline, border_px=2)),
    ):
        (other,) = plan([task.recording], changed)
        assert finished(other) is None
    record(tmp_path / "b.mcap", seed=1)
    (tmp_path / "b.mcap").replace(tmp_path / "a.mcap")
    (other,) = plan([task.recording], job)
    assert finished(other) is None


def test_pieces_give_what_the_whole_gives(tmp_path, record, job):
    recording = str(record(tmp_path / "a.mcap", frames=12))
    (whole,) = plan([recording], job)
    assert run_task(whole).written == 12
    expected = raw_messages(tmp_path / "out" / "a" / "points.mcap")
    pieces = list(plan([recording], replace(job, out=str(tmp_path / "pieces"), piece_s=0.35, warm_up_s=0.2)))
    assert len(pieces) == 4 and len({piece.key for piece in pieces}) == 4
    outcomes = [run_task(piece) for piece in pieces]
    assert [outcome.error for outcome in outcomes] == [""] * 4
    assert sum(outcome.written for outcome in outcomes) == 12
    found = []
    for piece in sorted((tmp_path / "pieces" / "a").iterdir()):
        found += raw_messages(piece / "points.mcap")
    assert found == expected
    clouds = {path.name.split("_")[1]: path.read_bytes() for path in (tmp_path / "pieces").rglob("*.ply")}
    for path in (tmp_path / "out").rglob("*.ply"):
        assert clouds.pop(path.name.split("_")[1]) == path.read_bytes()
    assert clouds == {}


def test_a_damaged_bag_is_an_outcome_and_leaves_nothing(tmp_path, record, job):
    path = record(tmp_path / "a.mcap")
    (task,) = plan([str(path)], job)
    path.write_bytes(path.read_bytes()[:5000])
    outcome = run_task(task)
    assert "whole bag" in outcome.error and outcome.written == 0
    assert not (tmp_path / "out" / "a").exists() and not list((tmp_path / "out").glob(".*"))


def test_another_version_refuses(tmp_path, record, job):
    (task,) = plan([str(record(tmp_path / "a.mcap"))], job)
    assert "install the same version" in run_task(task, "0.0.9").error


def test_a_result_of_half_a_file_is_done_again(tmp_path, record, job):
    (task,) = plan([str(record(tmp_path / "a.mcap"))], job)
    run_task(task)
    done = tmp_path / "out" / "a" / "done.json"
    for text in ("{", "[]", json.dumps({"key": task.key}), json.dumps({"key": task.key, "outcome": 3})):
        done.write_text(text)
        assert finished(task) is None


def test_bags_of_one_name_get_folders_of_their_own(tmp_path, record, job):
    recordings = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        recordings.append(str(record(tmp_path / folder / "bag.mcap")))
    assert [task.name for task in plan(recordings, job)] == ["bag", "bag_2"]
    with pytest.raises(DataError):
        list(plan([str(tmp_path / "none.mcap")], job))
