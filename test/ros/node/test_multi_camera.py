"""Several cameras in one process with one model: apart, fair, batched, each with its health."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.geometry import StereoRig
from recon3d_ros.ros.bridge.conversions import camera_to_info, cloud_from_msg, image_to_msg, stamp_to_ns
from recon3d_ros.ros.node import save_service
from recon3d_ros.ros.node.channel import CameraChannel
from recon3d_ros.ros.node.node_status import NodeStatus

CAMERAS = ("front", "rear", "arm/left")
SIZES_WH = {"front": (64, 48), "rear": (64, 48), "arm/left": (32, 40)}


def topics_of(camera, size_wh, seed):
    """Messages of one pair: images and camera_info by topic."""
    width, height = size_wh
    rig = StereoRig.simple(width, height, fx=50.0, baseline_m=0.1)
    rng = np.random.default_rng(seed)
    images, infos = {}, {}
    for side, model in (("left", rig.left), ("right", rig.right)):
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        images[f"{camera}/{side}/image_rect"] = image_to_msg(pixels, 0, f"{camera}_optical")
        infos[f"{camera}/{side}/camera_info"] = camera_to_info(model, 0, f"{camera}_optical")
    return images, infos


@pytest.fixture(scope="module")
def bench(make_bench):
    bench = make_bench({"model": "fake_stereo", "cameras": list(CAMERAS)}, "/robot", outputs=())
    for camera in CAMERAS:
        bench.listen(f"{camera}/points", PointCloud2)
    return bench


def test_every_camera_has_its_own_topics_frame_and_size(bench):
    for seed, camera in enumerate(CAMERAS):
        images, infos = topics_of(camera, SIZES_WH[camera], seed)
        msg = bench.expect(f"{camera}/points", images, infos)
        assert msg.header.frame_id == f"{camera}_optical"
        width, height = SIZES_WH[camera]
        cloud = cloud_from_msg(msg)
        assert cloud.shape_hw == (height, width)
        left = np.frombuffer(images[f"{camera}/left/image_rect"].data, np.uint8).reshape(height, width, 3)
        np.testing.assert_array_equal(cloud.rgb, left)


def test_every_camera_has_its_own_diagnostics(bench):
    images, infos = topics_of("front", (64, 48), 0)
    infos["front/left/camera_info"].k[0] = 0.0
    bench.wait(
        lambda: int(bench.status("front")["dropped_camera_info"]) > 0, lambda: bench.send(images, infos)
    )
    assert "K[0] = 0" in bench.status("front")["message"]
    assert bench.status("rear")["dropped_camera_info"] == "0"
    assert bench.status("rear")["model"] == "fake_stereo"
    bench.expect("front/points", *topics_of("front", (64, 48), 0))


def test_a_camera_that_nobody_reads_is_not_subscribed_to(bench, make_bench):
    pair = make_bench({"model": "fake_stereo", "cameras": ["a", "b"]}, "/half", outputs=())
    pair.listen("a/points", PointCloud2)
    pair.wait(lambda: "idle" in pair.status("b")["message"] and "idle" not in pair.status("a")["message"])
    pair.wait(
        lambda: not any("/b/" in s.topic_name and "image" in s.topic_name for s in pair.node.subscriptions)
    )
    pair.expect("a/points", *topics_of("a", (64, 48), 1))


def test_a_camera_whose_turn_fails_costs_the_others_nothing(make_bench, monkeypatch):
    pair = make_bench({"model": "fake_stereo", "cameras": ["a", "b"]}, "/broken", outputs=())
    pair.wait(lambda: "idle" in pair.status("b")["message"])
    tick, publish = CameraChannel.tick, NodeStatus.publish

    def broken(self, *args):
        if self.name == "a":
            raise ZeroDivisionError("a bug of this test")
        tick(self, *args)

    def unpublished(self, *args):
        raise ZeroDivisionError("another bug")

    monkeypatch.setattr(CameraChannel, "tick", broken)
    monkeypatch.setattr(NodeStatus, "publish", unpublished)
    pair.listen("b/points", PointCloud2)
    pair.expect("b/points", *topics_of("b", (64, 48), 1))
    monkeypatch.setattr(NodeStatus, "publish", publish)
    pair.wait(lambda: any("a bug of this test" in log for log in pair.logs()))


@pytest.fixture
def held(monkeypatch):
    """Let the model answer one call at a time; `sizes` are the numbers of frames of each call."""
    entered, go_on, sizes = threading.Semaphore(0), threading.Semaphore(0), []
    original = Estimator.estimate_many

    def slow(self, frames):
        sizes.append(len(frames))
        entered.release()
        assert go_on.acquire(timeout=20)
        return original(self, frames)

    monkeypatch.setattr(Estimator, "estimate_many", slow)
    yield entered, go_on, sizes
    for _ in range(1000):
        go_on.release()


def overload(bench, held, calls):
    """Send frames of all cameras all the time, while the worker may do one call after the other."""
    entered, go_on, _ = held
    messages = [topics_of(camera, SIZES_WH[camera], seed) for seed, camera in enumerate(CAMERAS)]
    received = {camera: int(bench.status(camera)["frames_in"]) for camera in CAMERAS}
    for call in range(calls):
        wanted = {camera: count + 2 * (call + 1) for camera, count in received.items()}

        def all_have_more(wanted=wanted):
            return all(int(bench.status(camera)["frames_in"]) >= wanted[camera] for camera in CAMERAS)

        bench.wait(all_have_more, lambda: [bench.send(*message) for message in messages], "frames of all")
        assert entered.acquire(timeout=20)
        go_on.release()


def test_no_camera_starves_when_the_model_is_too_slow(bench, held, monkeypatch):
    monkeypatch.setattr(Estimator, "batches", False)
    before = {camera: int(bench.status(camera)["frames_out"]) for camera in CAMERAS}
    overload(bench, held, calls=9)
    monkeypatch.undo()
    for _ in range(1000):
        held[1].release()

    def gained():
        return [int(bench.status(camera)["frames_out"]) - before[camera] for camera in CAMERAS]

    bench.wait(lambda: sum(gained()) >= 9)
    assert max(gained()) - min(gained()) <= 2, gained()
    assert all(int(bench.status(camera)["dropped_busy"]) > 0 for camera in CAMERAS)


def test_what_is_there_at_once_is_answered_at_once(bench, held):
    overload(bench, held, calls=4)
    assert max(held[2]) == len(CAMERAS)  # the fake takes batches
    newest = {camera: len(bench.received[f"{camera}/points"]) for camera in CAMERAS}
    for _ in range(1000):
        held[1].release()
    bench.wait(lambda: all(len(bench.received[f"{c}/points"]) > newest[c] for c in CAMERAS))


def test_a_bad_frame_in_a_batch_costs_only_its_own_camera(bench, monkeypatch):
    original = Estimator.estimate_many

    def fails_for_front(self, frames):
        if any(frame.image[0, 0, 0] == 13 for frame in frames):
            raise ValueError("a picture that the model does not like")
        return original(self, frames)

    monkeypatch.setattr(Estimator, "estimate_many", fails_for_front)
    images, infos = topics_of("front", (64, 48), 0)
    images["front/left/image_rect"].data[0] = 13
    rear = topics_of("rear", (64, 48), 1)
    before = int(bench.status("front")["dropped_internal"])
    stamps = set()

    def send():
        bench.send(images, infos)
        stamps.add(bench.send(*rear))

    bench.wait(lambda: int(bench.status("front")["dropped_internal"]) > before, send)
    msg = bench.wait(lambda: bench.received_at("rear/points", stamps), send)
    assert stamp_to_ns(msg.header.stamp) in stamps
    assert bench.status("rear")["dropped_internal"] == "0"
    monkeypatch.undo()
    bench.expect("front/points", *topics_of("front", (64, 48), 0))


def test_save_names_the_camera_whose_frame_it_could_not_get(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(save_service, "PATIENCE_S", 1.0)
    assert bench.set_parameters(save_folder=str(tmp_path))[0].successful
    messages = [topics_of(camera, SIZES_WH[camera], 0) for camera in CAMERAS]
    messages[1][0]["rear/right/image_rect"].encoding = "unheard_of"

    def send():
        for images, infos in messages:
            bench.send(images, infos)

    answer = bench.call(Trigger, "save", Trigger.Request(), send)
    assert not answer.success
    assert "/robot/rear/left/image_rect and /robot/rear/right/image_rect within" in answer.message
    assert "front" not in answer.message and "arm" not in answer.message
