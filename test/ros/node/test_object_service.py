"""`~/complete_object`: what a network makes of the object in a box, on its own topic, or why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from recon3d_ros import world
from recon3d_ros.config import NodeConfig
from recon3d_ros.errors import ConfigError
from recon3d_ros.geometry.object_in_view import box_of
from recon3d_ros.ros.bridge.conversions import camera_to_info, cloud_from_msg, image_to_msg
from recon3d_ros.ros.node import object_service

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A network that was never trained, in the real runtime."""
    from recon3d_ros.training.config import TrainConfig
    from recon3d_ros.training.export.export import export
    from recon3d_ros.training.run.state import start_run

    folder = tmp_path_factory.mktemp("models")
    config = TrainConfig(network="completion", out=str(folder / "run"), device="cpu", threads=1)
    run = start_run(config, {"point": (8, 16), "latent": 16, "coarse": 12, "kept": 8})
    run.save()
    export(run.path, folder, name="mine")
    return folder / "mine.yaml"


class Pair:
    """A stereo camera of the world that sees one object; H != W."""

    def __init__(self) -> None:
        self.one = world.object_sample(20, (225, 161))

    @property
    def box(self) -> str:
        return ",".join(map(str, box_of(self.one.mask)))

    def infos(self):
        rig = self.one.sample.frame.rig
        sides = (("left", rig.left), ("right", rig.right))
        return {f"{side}/camera_info": camera_to_info(cam, 0, f"{side}_optical") for side, cam in sides}

    def images(self):
        frame = self.one.sample.frame
        return {
            f"{side}/image_rect": image_to_msg(pixels, 0, f"{side}_optical", "rgb8")
            for side, pixels in (("left", frame.image), ("right", frame.right))
        }


@pytest.fixture(scope="module")
def scene() -> Pair:
    return Pair()


@pytest.fixture(scope="module")
def bench(make_bench, model, scene):
    parameters = {
        "model": "recon3d_stereo_light",
        "completion_model": str(model),
        "object_box": scene.box,
        "threads": 1,
    }
    return make_bench(parameters, "/objects", outputs=())


def ask(bench):
    client = bench.probe.create_client(Trigger, "/objects/depth_node/complete_object")
    assert client.wait_for_service(30)
    return client.call_async(Trigger.Request())


def answer(bench, scene):
    future = ask(bench)
    bench.wait(future.done, lambda: bench.send(scene.images(), scene.infos()), "an answer")
    return future.result()


def test_the_object_is_published_and_marked_as_guessed(bench, scene):
    said = answer(bench, scene)
    assert said.success, said.message
    assert "160 guessed, on /objects/points_object" in said.message
    got: list[PointCloud2] = []
    kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    # Who subscribes after the call gets it, too.
    listener = bench.probe.create_subscription(PointCloud2, "/objects/points_object", got.append, kept)
    bench.wait(lambda: got)
    bench.probe.destroy_subscription(listener)
    cloud = cloud_from_msg(got[0])
    assert cloud.fields == ("x", "y", "z", "guessed")
    seen = cloud.data.reshape(-1, 4)[cloud["guessed"].ravel() == 0]
    assert len(seen) > 300 and (cloud["guessed"] == 1).sum() == 160
    assert np.isfinite(cloud.data).all() and got[0].header.frame_id == "left_optical"


def test_a_box_without_depth_and_missing_parameters_are_told(bench, scene):
    good = bench.node.get_parameter("object_box").value
    assert bench.set_parameters(object_box="900,900,5,5")[0].successful
    said = answer(bench, scene)
    assert not said.success and "expected at least 32 points of an object" in said.message
    assert bench.set_parameters(object_box="")[0].successful
    said = answer(bench, scene)
    assert not said.success and "set both parameters" in said.message
    refused = bench.set_parameters(object_box="1,2,3")[0]
    assert not refused.successful and "x,y,width,height" in refused.reason
    assert bench.set_parameters(object_box=good)[0].successful
    assert answer(bench, scene).success


def test_a_model_that_is_none_is_the_reason_and_the_node_goes_on(bench, scene, model):
    assert bench.set_parameters(completion_model="recon3d_point_labels")[0].successful
    said = answer(bench, scene)
    assert not said.success and "expected a model that completes objects" in said.message
    assert bench.set_parameters(completion_model=str(model))[0].successful
    assert answer(bench, scene).success


def test_a_frame_can_be_saved_meanwhile(bench, scene, tmp_path):
    assert bench.set_parameters(save_folder=str(tmp_path))[0].successful
    saving = bench.probe.create_client(Trigger, "/objects/depth_node/save")
    assert saving.wait_for_service(30)
    both = ask(bench), saving.call_async(Trigger.Request())
    again = ask(bench)
    bench.wait(again.done)
    assert not again.result().success and "already" in again.result().message
    bench.wait(lambda: all(one.done() for one in both), lambda: bench.send(scene.images(), scene.infos()))
    assert all(one.result().success for one in both), [one.result().message for one in both]


def test_silence_is_told_after_a_while(bench, monkeypatch):
    monkeypatch.setattr(object_service, "PATIENCE_S", 0.3)
    for _ in range(10):  # frames of the test before may still be on their way
        future = ask(bench)
        bench.wait(future.done)
        if not future.result().success:
            break
    assert not future.result().success and "/objects/left/image_rect" in future.result().message


def test_a_box_is_four_numbers():
    assert NodeConfig().object_box_px is None
    assert NodeConfig(object_box=" 1, 2.5,30,40 ").object_box_px == (1.0, 2.5, 30.0, 40.0)
    for wrong in ("1,2,3", "1,2,0,4", "a,b,c,d", "1,2,inf,4", "nan,1,2,3"):
        with pytest.raises(ConfigError, match="x,y,width,height in px"):
            NodeConfig(object_box=wrong)
