"""Faults between real processes: whatever is killed, deleted or full, the next good frame comes out right."""

from __future__ import annotations

import resource
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import yaml
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from std_srvs.srv import Trigger

from recon3d_ros.model_zoo.registry import find_model
from recon3d_ros.ros.bench.soak import process_sample


def call(robot, kind, name, request, send=lambda: None):
    client = robot.probe.create_client(kind, name)
    assert client.wait_for_service(30.0)
    future = client.call_async(request)

    def done():
        send()
        return future.done()

    robot.wait(done, f"no answer of {name}")
    robot.probe.destroy_client(client)
    return future.result()


def folder_of_pairs(folder: Path, scene) -> Path:
    for side in ("left", "right"):
        (folder / side).mkdir(parents=True)
        for i in range(2):
            picture = scene.picture(7 * (side == "right"))[..., ::-1]
            cv2.imwrite(str(folder / side / f"{i}.png"), picture)
    cameras = {"left": scene.rig.left.to_dict(), "right": scene.rig.right.to_dict()}
    (folder / "camera.yaml").write_text(yaml.safe_dump(cameras))
    return folder


def test_a_camera_that_is_killed_and_comes_back(make_robot, start_process, scene, tmp_path):
    robot = make_robot()
    source = {"source": folder_of_pairs(tmp_path / "pairs", scene), "loop": "true", "rate_hz": 20.0}
    camera = start_process("player.image_source", source, tmp_path / "camera.log")
    try:
        robot.wait(lambda: robot.clouds, "no cloud of the first camera")
        camera.kill()
        camera.wait()
        robot.wait(lambda: robot.status()[0] > 0, "a silent camera is no state to be OK in")
        assert "left/image_rect" in robot.status()[1]
        robot.clouds.clear()
        camera = start_process("player.image_source", source, tmp_path / "camera.log")
        robot.wait(lambda: robot.clouds, "no cloud of the second camera")
        robot.wait(lambda: robot.status()[0] == 0, "diagnostics do not recover")
    finally:
        camera.kill()
        camera.wait()


def test_a_node_that_is_killed_serves_again_when_a_supervisor_restarts_it(make_robot, scene):
    robot = make_robot()
    frame = scene.images(), scene.infos(), scene.picture(0)
    for _ in range(2):
        robot.expect_cloud(*frame)
        robot.node.kill()  # nothing of it can clean up
        robot.node.wait()
        robot.start_node()
        robot.clouds.clear()
    robot.expect_cloud(*frame)


def set_model(robot, model: Path):
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=str(model))
    request = SetParametersAtomically.Request(parameters=[ParameterMsg(name="model", value=value)])
    name = "/depth_node/set_parameters_atomically"
    return call(robot, SetParametersAtomically, name, request).result


def test_model_files_that_vanish_or_change_while_they_serve(make_robot, scene, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    shipped = find_model("recon3d_stereo")
    for name in ("recon3d_stereo.yaml", shipped.golden.file, *(one.file for one in shipped.artifacts)):
        shutil.copy(shipped.file_path(name), folder)
    manifest, weights = folder / "recon3d_stereo.yaml", folder / "recon3d_stereo.onnx"
    whole = weights.read_bytes()
    robot = make_robot(model=manifest, backend="onnxruntime", threads=1)
    images, infos, picture = scene.images(), scene.infos(), scene.picture(0)

    def serves(what):
        """The cloud as it is, sky and all: colours and stamp say that the frame went through."""
        robot.clouds.clear()
        stamps = set()

        def found():
            stamps.add(robot.send(images, infos))
            time.sleep(0.1)
            return robot.clouds

        (msg, *_) = robot.wait(found, f"no cloud {what}")
        np.testing.assert_array_equal(
            np.frombuffer(msg.data, np.uint8).reshape(48, 64, 16)[..., 14:11:-1], picture
        )

    serves("of the whole model")
    weights.unlink()
    serves("after its file was deleted")
    for content, name in (
        (whole[: len(whole) // 2], "truncated"),
        (b"something else", "replaced"),
        (b"", "emptied"),
    ):
        weights.write_bytes(content)
        serves(f"after its file was {name}")
        other = tmp_path / name
        shutil.copytree(folder, other)
        before = robot.said().count("cannot change to")
        answer = set_model(robot, other / "recon3d_stereo.yaml")
        if answer.successful:  # it is opened beside the one that serves, and given up
            robot.wait(
                lambda n=before: robot.said().count("cannot change to") > n, "the bad file was not told"
            )
            assert "sha256" in robot.said()
        else:
            assert "sha256" in answer.reason
        serves(f"after a {name} model was refused")
    weights.write_bytes(whole)
    good = tmp_path / "again"
    shutil.copytree(folder, good)
    assert set_model(robot, good / "recon3d_stereo.yaml").successful
    robot.wait(lambda: "now using" in robot.said(), "the good model was not taken")
    serves("of the second model")


def test_a_full_disk_fails_a_save_and_nothing_else(make_robot, scene, tmp_path):
    folder = tmp_path / "saved"
    robot = make_robot(save_folder=folder)
    frame = scene.images(), scene.infos(), scene.picture(0)
    robot.expect_cloud(*frame)

    def send():
        robot.send(*frame[:2])
        time.sleep(0.05)

    def save():
        return call(robot, Trigger, "/depth_node/save", Trigger.Request(), send)

    # Files may not grow beyond 1000 bytes: as if there were no room, for this process alone.
    limits = resource.prlimit(robot.node.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(robot.node.pid, resource.RLIMIT_FSIZE, (1000, limits[1]))
    answer = save()
    assert not answer.success and "cannot write" in answer.message, answer
    assert not folder.exists() or not list(folder.iterdir())  # no half of a frame
    robot.expect_cloud(*frame)
    resource.prlimit(robot.node.pid, resource.RLIMIT_FSIZE, limits)
    answer = save()
    assert answer.success and Path(answer.message).is_dir(), answer
    robot.expect_cloud(*frame)
    assert process_sample(robot.node.pid, 0)["rss_mb"] < 1000
