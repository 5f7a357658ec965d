"""Another model while the node runs: opened and checked beside the old one, switched between two frames."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.ros.bridge.conversions import cloud_from_msg
from recon3d_ros.ros.node import worker
from test.endless_model import endless_model

MODELS = Path(__file__).resolve().parents[3] / "models"
REAL = "recon3d_stereo"


@pytest.fixture(scope="module")
def bench(make_bench):
    return make_bench({"model": "fake_stereo", "threads": 1}, "/switch", outputs=("points",))


@pytest.fixture(autouse=True)
def back_to_the_fake(bench):
    yield
    assert bench.set_parameters(model="fake_stereo", backend="auto", precision="auto")[0].successful
    bench.wait(lambda: bench.status()["model"] == "fake_stereo" and "model_loading" not in bench.status())
    bench.node._status.notice("")


def value(bench, name):
    return bench.node.get_parameter(name).value


def test_the_old_model_serves_until_the_new_one_is_ready(bench, scene, held_opening):
    before = bench.expect("points", scene.images(), scene.infos())
    publishers = [p.endpoint_gid for p in bench.probe.get_publishers_info_by_topic("/switch/points")]
    begun, go_on = held_opening(REAL)
    assert bench.set_parameters(model=REAL)[0].successful  # at once: the answer does not wait for the model
    assert begun.wait(30)
    bench.expect("points", scene.images(), scene.infos())  # else the silent camera is what is told
    status = bench.wait(lambda: s if "model_loading" in (s := bench.status()) else None)
    assert REAL in status["model_loading"] and status["model"] == "fake_stereo"
    meanwhile = bench.expect("points", scene.images(), scene.infos())
    assert meanwhile.data == before.data
    go_on.set()
    bench.wait(
        lambda: bench.status()["model"] == REAL, lambda: bench.send(scene.images(), scene.infos()), "a switch"
    )
    bench.expect("points", scene.images(), scene.infos())
    assert bench.wait(lambda: [log for log in bench.logs() if f"now using {REAL} on onnxruntime" in log])
    assert bench.status()["dropped_model"] == bench.status()["dropped_internal"] == "0"
    same = [p.endpoint_gid for p in bench.probe.get_publishers_info_by_topic("/switch/points")]
    assert same == publishers
    assert cloud_from_msg(bench.received["points"][-1]).shape_hw == (48, 64)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "no_such_model"}, "no_such_model"),
        ({"model": "fake_mono"}, "set parameter mode to mono"),
        ({"backend": "abacus"}, "backend must be one of"),
        ({"threads": -1}, "range"),
        ({"models_dir": "/tmp"}, "read-only"),
    ],
)
def test_what_cannot_be_is_refused_at_once(bench, values, words):
    result = bench.set_parameters(**values)[0]
    assert not result.successful and words in result.reason
    assert value(bench, "model") == "fake_stereo" and bench.status()["model"] == "fake_stereo"


def truncated_copy(folder):
    for path in MODELS.glob(f"{REAL}.*"):
        shutil.copy(path, folder)
    onnx = folder / f"{REAL}.onnx"
    onnx.write_bytes(onnx.read_bytes()[:1000])
    return str(folder / f"{REAL}.yaml")


def test_a_model_that_does_not_open_is_given_up_and_the_parameter_goes_back(bench, scene, tmp_path):
    broken = truncated_copy(tmp_path)
    assert bench.set_parameters(model=broken)[0].successful  # its manifest is in order
    bench.wait(lambda: value(bench, "model") == "fake_stereo", what="the old value")
    status = bench.wait(
        lambda: s if "cannot change to" in (s := bench.status())["message"] else None,
        lambda: bench.send(scene.images(), scene.infos()),  # else the silent camera is what is told
    )
    assert status["level"] == "1" and "sha256" in status["message"] and status["model"] == "fake_stereo"
    assert any("cannot change to" in log and "keeping fake_stereo" in log for log in bench.logs())
    bench.expect("points", scene.images(), scene.infos())


def test_of_many_requests_the_last_one_wins_and_one_is_opened_at_a_time(
    bench, scene, monkeypatch, held_opening
):
    opened, threads = [], threading.active_count()
    begun, go_on = held_opening(REAL)
    slow = Estimator.open

    def counted(cls, config, **kwargs):
        opened.append(config.threads)
        return slow(config, **kwargs)

    monkeypatch.setattr(Estimator, "open", classmethod(counted))
    assert bench.set_parameters(model=REAL)[0].successful
    assert begun.wait(30)
    for threads_of_model in range(2, 12):
        assert bench.set_parameters(threads=threads_of_model)[0].successful
    assert bench.set_parameters(model="fake_stereo")[0].successful
    assert threading.active_count() == threads + 1
    go_on.set()
    bench.wait(lambda: "model_loading" not in bench.status() and threading.active_count() == threads)
    assert opened == [1, 11] and value(bench, "threads") == 11
    bench.expect("points", scene.images(), scene.infos())
    assert bench.set_parameters(threads=1)[0].successful


def test_a_request_that_is_taken_back_while_it_loads_changes_nothing(bench, scene, held_opening):
    begun, go_on = held_opening(REAL)
    assert bench.set_parameters(model=REAL)[0].successful and begun.wait(30)
    assert bench.set_parameters(model="fake_stereo")[0].successful
    go_on.set()
    bench.wait(lambda: "model_loading" not in bench.status())
    assert bench.status()["model"] == "fake_stereo"
    bench.expect("points", scene.images(), scene.infos())


def test_filters_that_change_while_a_model_loads_hold_for_it_too(bench, scene, held_opening):
    begun, go_on = held_opening(REAL)
    assert bench.set_parameters(model=REAL)[0].successful and begun.wait(30)
    assert bench.set_parameters(border_px=10)[0].successful
    go_on.set()
    bench.wait(lambda: bench.status()["model"] == REAL)
    cloud = cloud_from_msg(bench.expect("points", scene.images(), scene.infos()))
    assert not cloud.valid[:10].any() and not cloud.valid[:, :10].any()
    assert bench.set_parameters(border_px=0)[0].successful


def test_a_model_without_an_end_holds_up_no_later_change(bench, scene, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "FINISH_S", 0.5)
    name = str(endless_model(tmp_path, stereo=True))
    assert bench.set_parameters(model=name)[0].successful
    bench.wait(lambda: bench.status()["model"] == "endless")
    received = int(bench.status()["frames_in"])
    bench.wait(
        lambda: int(bench.status()["frames_in"]) > received, lambda: bench.send(scene.images(), scene.infos())
    )
    assert bench.set_parameters(model=REAL)[0].successful
    bench.expect("points", scene.images(), scene.infos())
    assert bench.status()["model"] == REAL
