"""Every frame of a bag is accounted for, and pieces of a bag give what the bag gives."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed (.[ray])")

import fsspec

from recon3d_ros.datasets.bags.reader import Bag
from recon3d_ros.fleet.bags import plan_bags
from recon3d_ros.fleet.work import run_task

TOPICS = ("/points", "/depth/image", "/depth/camera_info")


def raw_messages(path):
    """Topic, time and content of everything in a bag."""
    with Bag(path) as bag:
        return [(m.topic, m.logged_ns, bytes(m.msg.data) if hasattr(m.msg, "data") else m.msg.k.tobytes())
                for m in bag.messages(TOPICS)]  # fmt: skip


def test_pieces_give_what_the_whole_gives(tmp_path, record, job):
    recording = str(record(tmp_path / "a.mcap", frames=12))
    (whole,) = plan_bags([recording], job)
    assert run_task(whole).written == 12
    expected = raw_messages(tmp_path / "out" / "a" / "points.mcap")
    pieces = list(
        plan_bags([recording], replace(job, out=str(tmp_path / "pieces"), piece_s=0.35, warm_up_s=0.2))
    )
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


def test_every_image_is_accounted_for_whole_and_in_pieces(tmp_path, record, job):
    """Of 12 pairs, two lack an image, one has a wrong size, and nothing was recorded for a second."""
    recording = str(record(tmp_path / "a.mcap", frames=12, alone=(3, 7), broken=(5,), pause_after=8))
    whole = run_task(*plan_bags([recording], replace(job, formats=("bag", "html"))))
    assert (whole.images, whole.unmatched, whole.frames, whole.written) == (22, 2, 10, 9)
    assert whole.dropped == {"camera_info": 1} and "size" in whole.reasons["camera_info"]
    assert "1 of 10 frames were dropped, first of camera_info: " in whole.complaint
    assert len(list(raw_messages(tmp_path / "out" / "a" / "points.mcap"))) == 9 * len(TOPICS)
    pieces = replace(job, out=str(tmp_path / "pieces"), piece_s=0.35, formats=("bag", "html"))
    outcomes = [run_task(piece) for piece in plan_bags([recording], pieces)]
    assert [one.error for one in outcomes] == [""] * len(outcomes)
    assert any(one.images == 0 for one in outcomes)  # in the pause
    for count in ("images", "unmatched", "frames", "written", "lost"):
        assert sum(getattr(one, count) for one in outcomes) == getattr(whole, count)
    done = json.loads((tmp_path / "out" / "a" / "done.json").read_text())["outcome"]
    assert done["dropped"] == {"camera_info": 1} and done["unmatched"] == 2


def test_a_bag_without_depth_says_so(tmp_path, record, job):
    (task,) = plan_bags(
        [str(record(tmp_path / "a.mcap"))],
        replace(job, pipeline=replace(job.pipeline, min_depth_m=900.0, max_depth_m=1000.0)),
    )
    outcome = run_task(task)
    assert outcome.error == "" and "expected depth in the frames, got none in 6" in outcome.complaint


def test_bags_of_one_name_get_folders_of_their_own_and_one_that_cannot_be_cut_is_a_fault(
    tmp_path, record, job
):
    recordings = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        recordings.append(str(record(tmp_path / folder / "bag.mcap")))
    assert [task.name for task in plan_bags(recordings, job)] == ["bag", "bag_2"]
    (tmp_path / "one" / "bag.mcap").write_bytes(b"\x89MCAP0\r\n")
    tasks = list(plan_bags(recordings, replace(job, piece_s=0.35)))
    assert [bool(task.fault) for task in tasks] == [True, False, False]


def test_bags_and_results_of_an_object_store(tmp_path, record, job):
    memory = fsspec.filesystem("memory")
    try:
        memory.pipe_file("/bags/a.mcap", record(tmp_path / "a.mcap").read_bytes())
        here = run_task(*plan_bags([str(tmp_path / "a.mcap")], job))
        there = replace(job, out="memory://results")
        (task,) = plan_bags(["memory://bags/a.mcap"], there)
        outcome = run_task(task)
        assert (outcome.error, outcome.written) == ("", here.written)
        for path in (tmp_path / "out" / "a").rglob("*"):
            if path.is_file() and path.name != "done.json":
                assert memory.cat_file(f"/results/{path.relative_to(tmp_path / 'out')}") == path.read_bytes()
        assert run_task(task).skipped
    finally:
        memory.store.clear()
