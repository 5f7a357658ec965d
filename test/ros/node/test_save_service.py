"""`~/save`: the next frame of the running node in a folder, or the reason why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from std_srvs.srv import Trigger

from recon3d_ros.config.parameters import DEPTH_NODE, parameters
from recon3d_ros.ros.node import save_service
from recon3d_ros.ros.node.depth_node import DepthNode


@pytest.fixture(scope="module")
def bench(make_bench, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    parameters = {"model": "fake_stereo", "save_folder": str(folder)}
    return make_bench(parameters, "/saves", outputs=())


def ask(bench):
    client = bench.probe.create_client(Trigger, "/saves/depth_node/save")
    assert client.wait_for_service(30)
    return client.call_async(Trigger.Request())


def test_the_next_frame_is_saved_without_any_reader(bench, scene):
    future = ask(bench)
    bench.wait(future.done, lambda: bench.send(scene.images(), scene.infos()), "an answer")
    answer = future.result()
    assert answer.success, answer.message
    folder = Path(answer.message)
    assert folder.parent == Path(bench.node.get_parameter("save_folder").value)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"camera.yaml", "result/cloud.ply"} <= names, names
    text = "\n".join(path.read_text() for path in folder.rglob("*.yaml"))
    assert "fake_stereo" in text  # the parameters are there
    about = yaml.safe_load((folder / "versions.txt").read_text())
    assert {"rectify_ms", "estimate_ms", "filter_ms"} <= about.keys()


def test_another_node_starts_with_the_saved_parameters(bench, scene):
    future = ask(bench)
    bench.wait(future.done, lambda: bench.send(scene.images(), scene.infos()), "an answer")
    file = Path(future.result().message) / "parameters.yaml"
    words = ["--ros-args", "--params-file", str(file)]
    again = DepthNode(context=bench.context, namespace="/again", cli_args=words)
    try:
        names = list(parameters(DEPTH_NODE))
        assert len(names) > 40
        for name in names:
            assert again.get_parameter(name).value == bench.node.get_parameter(name).value, name
    finally:
        again.destroy_node()


def test_a_second_call_while_one_waits_is_refused(bench, scene):
    first = ask(bench)
    second = ask(bench)
    bench.wait(second.done)
    assert not second.result().success and "already" in second.result().message
    bench.wait(first.done, lambda: bench.send(scene.images(), scene.infos()))
    assert first.result().success


def test_silence_is_told_after_a_while(bench, monkeypatch):
    monkeypatch.setattr(save_service, "PATIENCE_S", 0.3)
    future = ask(bench)
    bench.wait(future.done)
    assert not future.result().success and "/saves/left/image_rect" in future.result().message


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/version").exists(), reason="needs /proc")
def test_a_folder_that_cannot_be_made_is_the_reason_and_the_node_goes_on(bench, scene):
    good = bench.node.get_parameter("save_folder").value
    assert bench.set_parameters(save_folder="/proc/version/no_folder")[0].successful
    future = ask(bench)
    bench.wait(future.done, lambda: bench.send(scene.images(), scene.infos()))
    assert not future.result().success and "/proc/version" in future.result().message
    assert bench.set_parameters(save_folder=good)[0].successful
    bench.listen("points")
    bench.expect("points", scene.images(), scene.infos())


def test_a_home_that_nobody_has_is_the_reason_and_the_node_goes_on(bench, scene):
    good = bench.node.get_parameter("save_folder").value
    assert bench.set_parameters(save_folder="~nobody-of-this-name/frames")[0].successful
    future = ask(bench)
    bench.wait(future.done, what="no answer")
    assert not future.result().success and "save_folder" in future.result().message
    assert bench.set_parameters(save_folder=good)[0].successful
    bench.wait((again := ask(bench)).done, lambda: bench.send(scene.images(), scene.infos()))
    assert again.result().success


def test_a_node_that_is_not_active_says_so(make_bench):
    bench = make_bench({"model": "fake_stereo", "autostart": False}, "/asleep", outputs=())
    answer = bench.call(Trigger, "save", Trigger.Request())
    assert not answer.success and "not active" in answer.message
