"""Tasks of one method on one set give the rows of one evaluation of all."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed (.[ray])")

import fsspec

from recon3d_ros.config import ModelConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.evaluation import Degradation, open_sets, score_set, to_rows
from recon3d_ros.evaluation.records import from_record
from recon3d_ros.evaluation.runs import EvaluationRun, opened_method
from recon3d_ros.fleet.evaluations import EvaluateJob, plan_evaluations
from recon3d_ros.fleet.work import run_task

MODEL = ModelConfig(threads=1, backend="fake")


@pytest.fixture
def rgbd(tmp_path):
    """Folders of colour and depth: rgbd(name, metres)."""

    def make(name, metres=2.0):
        folder = tmp_path / name
        for part in ("rgb", "depth"):
            (folder / part).mkdir(parents=True)
        np.savetxt(folder / "K.txt", [[100, 0, 65], [0, 100, 45], [0, 0, 1]])
        for i in range(3):
            image = np.random.default_rng(i).integers(0, 255, (91, 131, 3), np.uint8)
            cv2.imwrite(str(folder / "rgb" / f"{i:04d}.png"), image)
            cv2.imwrite(str(folder / "depth" / f"{i:04d}.png"), np.full((91, 131), 1000 * metres, np.uint16))
        return folder

    return make


def without_times(rows):
    return [{key: value for key, value in row.items() if key != "median_ms"} for row in rows]


def test_the_rows_are_those_of_one_evaluation(tmp_path, rgbd):
    places = [str(rgbd("a")), str(rgbd("b", 3.0))]
    job = EvaluateJob(str(tmp_path / "out"), MODEL, formats=("json", "pictures", "html"))
    tasks = plan_evaluations(
        [f"{tmp_path}/[ab]"], job, ("fake_mono", "none", ""), ((1.0, 1.5), (Degradation(),), ("none",))
    )
    assert [task.name for task in tasks] == [
        "a/fake_mono-auto",
        "a_x1.5/fake_mono-auto",
        "b/fake_mono-auto",
        "b_x1.5/fake_mono-auto",
    ]
    outcomes = [run_task(task) for task in tasks]
    assert [(one.error, one.frames) for one in outcomes] == [("", 3)] * 4
    with opened_method(EvaluationRun("fake_mono", "auto"), MODEL) as method:
        sets = open_sets(",".join(places), zooms=(1.0, 1.5))
        expected = [score_set(method.estimator, one, (method.name, method.precision)).score for one in sets]
    found = [
        from_record(json.loads((tmp_path / "out" / task.name / "scores.json").read_text())).score
        for task in tasks
    ]
    assert without_times(to_rows(found)) == without_times(to_rows(expected))
    assert (tmp_path / "out" / tasks[0].name / "report.html").is_file()
    assert list((tmp_path / "out" / tasks[0].name / "pictures").glob("*.jpg"))
    assert all(run_task(task).skipped for task in tasks)


def test_named_sets_are_known_by_their_content_and_methods_need_what_they_need(data_dir, tmp_path):
    told = []
    job = EvaluateJob(str(tmp_path), MODEL, str(data_dir), limit=1)
    methods = ("fake_stereo,fake_mono", "sgbm", "")
    tasks = plan_evaluations(["kitti2012", "hololens", "world_indoor"], job, methods, tell=told.append)
    assert [task.name for task in tasks] == [
        "kitti2012/fake_stereo-auto", "world_indoor/fake_stereo-auto", "kitti2012/fake_mono-auto",
        "hololens/fake_mono-auto", "world_indoor/fake_mono-auto", "kitti2012/sgbm", "world_indoor/sgbm",
    ]  # fmt: skip
    assert told == ["fake_stereo needs pairs and hololens has none: left out"]
    prints = {task.source: job.fingerprint(task) for task in tasks}
    assert prints["world_indoor"] == "" and len(prints["kitti2012"]) == len(prints["hololens"]) == 64
    assert job.fingerprint(tasks[0]) == prints["kitti2012"]
    outcome = run_task(tasks[5])
    assert outcome.error == "" and from_record(outcome.result).score.method == "sgbm"
    with pytest.raises(ConfigError, match="mono model"):
        plan_evaluations(["hololens"], job, ("fake_stereo", "sgbm", ""))


def test_a_set_of_an_object_store_and_one_that_cannot_be_opened(tmp_path, rgbd):
    memory = fsspec.filesystem("memory")
    try:
        for path in rgbd("a").rglob("*"):
            if path.is_file():
                memory.pipe_file(f"/sets/{path.relative_to(tmp_path)}", path.read_bytes())
        (tmp_path / "broken").mkdir()
        job = EvaluateJob("memory://scores", MODEL)
        tasks = plan_evaluations(
            ["memory://sets/*[0:2]", str(tmp_path / "broken")], job, ("fake_mono", "none", "")
        )
        assert [bool(task.fault) for task in tasks] == [False, True]
        outcome = run_task(tasks[0])
        assert (outcome.error, outcome.frames) == ("", 2)
        assert from_record(outcome.result).score.data == "memory:///sets/a[0:2]"
        assert run_task(tasks[0]).skipped
    finally:
        memory.store.clear()
