"""One camera's channel: lazy subscriptions, time that jumps, calibrations that change; over real DDS."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2

from recon3d_ros.geometry import StereoRig
from recon3d_ros.messages.camera_info import CalibrationCache
from recon3d_ros.pipeline import Pipeline
from recon3d_ros.ros.bridge.conversions import camera_to_info, cloud_from_msg, image_to_msg, ns_to_stamp
from recon3d_ros.ros.node import channel

NS_PER_S = 1_000_000_000


@pytest.fixture(autouse=True, scope="module")
def impatient():
    linger_s, channel.LINGER_S = channel.LINGER_S, 0.2
    yield
    channel.LINGER_S = linger_s


def subscribed(bench):
    """The topics the node listens to, without its namespace."""
    namespace = bench.node.get_namespace()
    return {
        s.topic_name.removeprefix(f"{namespace}/")
        for s in bench.node.subscriptions
        if s.topic_name.startswith(f"{namespace}/")
    }


INFOS = {"left/camera_info", "right/camera_info"}
IMAGES = {"left/image_rect", "right/image_rect"}


@pytest.fixture(scope="module")
def lazy(make_bench):
    return make_bench({"model": "fake_stereo"}, "/lazy", outputs=())


def test_without_a_reader_only_camera_info_is_subscribed_to(lazy, scene, monkeypatch):
    calls, refine = [], Pipeline.refine

    def counted(self, frame, estimate, into, requested, *others):
        calls.append(requested.cloud)
        return refine(self, frame, estimate, into, requested, *others)

    monkeypatch.setattr(Pipeline, "refine", counted)
    lazy.wait(lambda: subscribed(lazy) == INFOS)
    lazy.wait(lambda: lazy.status()["message"] == "idle: nobody subscribes")
    assert lazy.status()["level"] == "0"
    received = lazy.status()["frames_in"]
    for topic, msg in scene.infos().items():
        lazy.publish(topic, msg)  # the first reader must not wait for the calibration
    lazy.wait(lambda: all(any(t in log and "64x48" in log for log in lazy.logs()) for t in INFOS))
    # What comes later is heard too, though camera_info is looked at only now and then.
    infos = scene.infos()
    infos["left/camera_info"].width = 66
    lazy.wait(lambda: any("66x48" in log for log in lazy.logs()), lambda: lazy.send({}, infos))
    lazy.wait(
        lambda: sum("left/camera_info: 64x48" in log for log in lazy.logs()) == 2,
        lambda: lazy.send({}, scene.infos()),
    )
    # One that changes all the time is not told every time.
    for _ in range(20):
        infos["left/camera_info"].width = 67
        infos["left/camera_info"].k[0] += 1.0
        lazy.send({}, infos)
    lazy.wait(lambda: any("67x48" in log for log in lazy.logs()), lambda: lazy.send({}, infos))
    lazy.wait(
        lambda: sum("left/camera_info: 64x48" in log for log in lazy.logs()) == 3,
        lambda: lazy.send({}, scene.infos()),
    )
    assert sum("67x48" in log for log in lazy.logs()) == 1
    # Only depth: the cloud is not packed.
    began_s = time.monotonic()
    reader = lazy.listen("depth/image")
    lazy.wait(lambda: subscribed(lazy) == INFOS | IMAGES)
    lazy.expect("depth/image", scene.images(), {})
    assert time.monotonic() - began_s < 5.0  # 0.1 to 0.3 s on an idle machine
    assert calls and not any(calls)
    lazy.silence(reader)
    lazy.wait(lambda: subscribed(lazy) == INFOS)
    lazy.wait(lambda: lazy.status()["message"] == "idle: nobody subscribes")
    assert int(lazy.status()["frames_in"]) > int(received)


def test_idle_most_camera_info_is_not_even_taken(lazy, scene, monkeypatch):
    lazy.wait(lambda: lazy.status()["message"] == "idle: nobody subscribes" and subscribed(lazy) == INFOS)
    taken, update = [], CalibrationCache.update
    monkeypatch.setattr(CalibrationCache, "update", lambda *args: (taken.append(1), update(*args))[1])
    for _ in range(100):
        lazy.send({}, scene.infos())
        time.sleep(0.02)
    assert 0 < len(taken) < 100  # of 200


def test_silence_is_no_fault_before_and_one_after_somebody_subscribes(lazy):
    lazy.wait(lambda: lazy.status()["message"] == "idle: nobody subscribes")
    reader = lazy.listen("points")
    lazy.wait(lambda: lazy.status()["level"] != "0" and "expected frames" in lazy.status()["message"])
    lazy.silence(reader)
    lazy.wait(lambda: lazy.status()["level"] == "0")


def test_a_side_that_could_not_be_subscribed_to_is_tried_again(lazy, scene, monkeypatch):
    lazy.wait(lambda: subscribed(lazy) == INFOS)
    subscribe, failed = channel.subscribe, []

    def fails_once(node, msg_type, topic, callback, **options):
        if topic == "right/image_rect" and not failed:
            failed.append(topic)
            raise ZeroDivisionError("a bug of this test")
        return subscribe(node, msg_type, topic, callback, **options)

    monkeypatch.setattr(channel, "subscribe", fails_once)
    reader = lazy.listen("points")
    lazy.wait(lambda: failed and any(topic.endswith("right/image_rect") for topic in subscribed(lazy)))
    lazy.expect("points", scene.images(), scene.infos())
    lazy.silence(reader)
    lazy.wait(lambda: subscribed(lazy) == INFOS)


def test_readers_come_and_go_in_batches_of_twenty(lazy, scene):
    lazy.wait(lambda: subscribed(lazy) == INFOS)
    threads = threading.active_count()
    for _ in range(10):
        got: list[list[PointCloud2]] = [[] for _ in range(20)]
        readers = [lazy.probe.create_subscription(PointCloud2, "points", one.append, 10) for one in got]
        lazy.wait(
            lambda got=got: all(got),
            lambda: lazy.send(scene.images(), scene.infos()),
            "a cloud for everybody",
        )
        for reader in readers:
            lazy.silence(reader)
    lazy.wait(lambda: subscribed(lazy) == INFOS)
    assert threading.active_count() == threads
    assert int(lazy.status()["dropped_internal"]) == 0


@pytest.fixture(scope="module")
def smooth(make_bench):
    """A node that remembers: what was seen before has a part in what is seen now."""
    parameters = {"model": "fake_stereo", "temporal_weight": 0.5, "max_age_ms": 5000.0}
    return make_bench(parameters, "/smooth", outputs=("points",))


def send_at(bench, scene, stamp_ns):
    for topic, msg in (scene.infos() | scene.images()).items():
        msg.header.stamp = ns_to_stamp(stamp_ns)
        bench.publish(topic, msg)


def resets(bench, monkeypatch):
    """Count how often the pipeline was told to forget."""
    seen, reset = [], Pipeline.reset
    monkeypatch.setattr(Pipeline, "reset", lambda self: (seen.append(time.monotonic()), reset(self))[1])
    return seen


def test_a_bag_that_starts_over_is_followed_and_the_past_forgotten(smooth, scene, monkeypatch):
    smooth.expect("points", scene.images(), scene.infos())
    forgotten = resets(smooth, monkeypatch)
    begin = smooth.new_stamp_ns() - NS_PER_S
    for lap in range(3):
        stamps = [begin + i * 10_000_000 for i in range(5)]
        for stamp_ns in stamps:
            smooth.received["points"].clear()  # every lap has the stamps of the one before
            send_at(smooth, scene, stamp_ns)
            smooth.wait(lambda at=stamp_ns: smooth.received_at("points", {at}), what=f"a cloud of lap {lap}")
        assert len(forgotten) == lap + 1  # once for each jump, not for frames that follow each other
    assert any("stamps went back" in log for log in smooth.logs())
    assert smooth.status()["dropped_too_old"] == "0"


def test_simulated_time_that_jumps_back(make_bench, scene, monkeypatch):
    bench = make_bench(
        {"model": "fake_stereo", "use_sim_time": True, "max_age_ms": 1000.0}, "/sim", outputs=("points",)
    )
    forgotten = resets(bench, monkeypatch)
    clock = bench.probe.create_publisher(Clock, "/clock", 1)

    def play(now_ns):
        bench.wait(
            lambda: bench.node.get_clock().now().nanoseconds == now_ns,
            lambda: clock.publish(Clock(clock=ns_to_stamp(now_ns))),
            "simulated time",
        )
        send_at(bench, scene, now_ns)
        bench.wait(lambda: bench.received_at("points", {now_ns}), what=f"a cloud at {now_ns}")

    play(1000 * NS_PER_S)
    forgotten.clear()  # the first frame of all
    play(1000 * NS_PER_S + 100_000_000)
    assert not forgotten
    play(10 * NS_PER_S)  # back
    assert len(forgotten) == 1
    assert any("the clock jumped by -990.1" in log for log in bench.logs())
    play(5000 * NS_PER_S)  # far forward
    # An image from before the jump is too old now, and one of the new time works.
    drops = int(bench.status()["dropped_too_old"])
    bench.wait(
        lambda: int(bench.status()["dropped_too_old"]) > drops, lambda: send_at(bench, scene, 10 * NS_PER_S)
    )
    bench.wait(lambda: bench.status()["message"])
    play(5001 * NS_PER_S)


def test_the_camera_changes_its_resolution(smooth, scene):
    smooth.expect("points", scene.images(), scene.infos())
    rig = StereoRig.simple(80, 36, fx=40.0, baseline_m=0.1)
    rng = np.random.default_rng(1)
    images = {
        f"{side}/image_rect": image_to_msg(rng.integers(0, 256, (36, 80, 3), np.uint8), 0, "left_optical")
        for side in ("left", "right")
    }
    infos = {
        f"{side}/camera_info": camera_to_info(camera, 0, "left_optical")
        for side, camera in (("left", rig.left), ("right", rig.right))
    }
    # Images of the new size before their camera_info: dropped and counted, not guessed.
    drops = int(smooth.status()["dropped_camera_info"])
    smooth.wait(
        lambda: int(smooth.status()["dropped_camera_info"]) > drops,
        lambda: smooth.send(images, scene.infos()),
    )
    msg = smooth.expect("points", images, infos)
    assert (msg.height, msg.width) == (36, 80)
    assert cloud_from_msg(msg).shape_hw == (36, 80)
    msg = smooth.expect("points", scene.images(), scene.infos())
    assert (msg.height, msg.width) == (48, 64)


def test_simulated_time_can_be_switched_on_and_off(smooth, scene):
    smooth.expect("points", scene.images(), scene.infos())
    for value in (True, False):
        assert smooth.node.set_parameters([Parameter("use_sim_time", value=value)])[0].successful
    smooth.expect("points", scene.images(), scene.infos())
