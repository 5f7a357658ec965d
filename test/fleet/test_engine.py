"""Real local Ray: bags side by side, a worker that dies, a cluster of two nodes that loses one."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from dataclasses import replace

import pytest

if importlib.util.find_spec("ray") is None:  # not imported: the engine makes a token before
    pytest.skip("ray is not installed (.[ray])", allow_module_level=True)

from recon3d_ros.cli.main import main
from recon3d_ros.errors import ConfigError, PartialResultError
from recon3d_ros.fleet import engine
from recon3d_ros.fleet.bags import plan_bags
from recon3d_ros.fleet.engine import Resources, run_tasks
from recon3d_ros.fleet.tasks import Outcome, Task


@pytest.mark.slow
def test_good_bags_are_done_bad_ones_counted_and_nothing_is_done_twice(tmp_path, record, capsys):
    for seed, name in enumerate(("a", "b", "c")):
        record(tmp_path / f"{name}.mcap", seed=seed)
    damaged = tmp_path / "b.mcap"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    words = ["process", "--bags", f"{tmp_path}/*.mcap", "--out", f"{tmp_path}/out", "--model", "fake_stereo"]
    assert main([*words, "--workers", "2"]) == PartialResultError.exit_code
    out, err = capsys.readouterr()
    assert "b: expected a whole bag" in err and out.count("failed") == 1
    rows = {row["name"]: row for row in json.loads((tmp_path / "out" / "summary.json").read_text())["tasks"]}
    assert rows["a"]["written"] == rows["c"]["written"] == 6 and rows["b"]["error"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("[ac]/points.mcap")}
    damaged.write_bytes(whole)
    assert main(words) == 0
    assert capsys.readouterr().out.count("done before") == 2
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (tmp_path / "out" / "b" / "points.mcap").is_file()


@pytest.mark.slow
def test_sigterm_stays_ours(monkeypatch):
    def ours(number, frame):
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, ours)
    seen = []
    monkeypatch.setattr(
        engine, "_outcomes", lambda *args: seen.append(signal.getsignal(signal.SIGTERM)) or iter(())
    )
    try:
        assert list(run_tasks([], resources=Resources(workers=1))) == []
        assert seen == [ours] and signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, former)


def killing(folder):
    """A task whose worker is killed at the first two tries."""

    def work(task: Task, version: str, resume: bool) -> Outcome:
        tries = len(list(folder.iterdir()))
        (folder / str(tries)).write_text("")
        if tries < 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(task.name, frames=tries)

    return work


def dying():
    """A task that no worker survives, unless it is a piece; inside, so that the worker needs no import."""

    def work(task: Task, version: str, resume: bool) -> Outcome:
        if task.part == (None, None):
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(task.name, frames=7)

    return work


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_the_others_go_on(tmp_path, record, job, monkeypatch):
    tries = tmp_path / "tries"
    tries.mkdir()
    (task,) = plan_bags([str(record(tmp_path / "a.mcap"))], job)
    monkeypatch.setattr(engine, "run_task", killing(tries))
    (outcome,) = run_tasks([task], resources=Resources(workers=1))
    assert outcome.frames == 2 and not outcome.error

    monkeypatch.setattr(engine, "run_task", dying())
    monkeypatch.setattr(engine, "RETRIES", 1)
    other = replace(task, name="a2", part=(0, None))
    outcomes = {one.name: one for one in run_tasks([task, other])}
    assert "ended again and again" in outcomes["a"].error and outcomes["a2"].frames == 7


@pytest.mark.slow
def test_a_cluster_of_two_machines_that_loses_one(tmp_path, record, job):
    import ray
    from ray.cluster_utils import Cluster

    recordings = [str(record(tmp_path / f"{name}.mcap", seed=i)) for i, name in enumerate("abcdef")]
    tasks = list(plan_bags(recordings, job))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        outcomes = []
        for outcome in run_tasks(tasks, cluster.address, Resources(workers=2)):
            outcomes.append(outcome)
            if len(outcomes) == 1:
                cluster.remove_node(second, allow_graceful=False)
        assert [outcome.error for outcome in outcomes] == [""] * 6
        assert {path.name for path in (tmp_path / "out").iterdir()} == set("abcdef")
        assert all(outcome.written == 6 for outcome in outcomes)
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.slow
def test_no_cluster_and_no_room_are_one_sentence(tmp_path, record, job):
    (task,) = plan_bags([str(record(tmp_path / "a.mcap"))], job)
    with pytest.raises(ConfigError, match="ray start --head"):
        list(run_tasks([task], "auto"))
    with pytest.raises(ConfigError, match="at most 0 "):
        list(run_tasks([task], resources=Resources(gpus=1.0)))
