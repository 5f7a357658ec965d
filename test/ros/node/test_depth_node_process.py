"""The depth node as a process of its own: clouds between processes, signals, exit codes, lean imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from recon3d_ros.geometry import StereoRig
from recon3d_ros.ros.bridge.conversions import camera_to_info, cloud_from_msg, image_to_msg, stamp_to_ns

ROOT = Path(__file__).resolve().parents[3]
RUN = [
    sys.executable,
    "-c",
    "import sys; from recon3d_ros.ros.node.depth_node import main; sys.exit(main(sys.argv))",
]


def start(*parameters: str, run: list[str] = RUN) -> subprocess.Popen:
    flags = [flag for parameter in parameters for flag in ("-p", parameter)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [*run, "--ros-args", *flags],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.fixture
def probe():
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = Node("probe", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    node.spin_for = lambda seconds: executor.spin_once(timeout_sec=seconds)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def publishers_of(probe, rig, image):
    """(publisher, message) of the four topics of a pair."""
    topics = {}
    for side, camera in (("left", rig.left), ("right", rig.right)):
        topics[f"{side}/camera_info"] = camera_to_info(camera, 0, side)
        topics[f"{side}/image_rect"] = image_to_msg(image, 0, side, "bgr8")
    return [(probe.create_publisher(type(msg), topic, 2), msg) for topic, msg in topics.items()]


def send_until(done, probe, publishers, process):
    """Publish a frame every 0.2 s until it is done, the process ended, or 20 s are over."""
    deadline = time.monotonic() + 60
    while not done() and time.monotonic() < deadline and process.poll() is None:
        stamp = probe.get_clock().now().to_msg()
        for publisher, msg in publishers:
            msg.header.stamp = stamp
            publisher.publish(msg)
        pause = time.monotonic() + 0.2
        while not done() and time.monotonic() < pause:
            probe.spin_for(0.05)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_vga_cloud_between_processes_and_a_clean_end(probe, stop):
    rig = StereoRig.simple(640, 480, fx=400.0, baseline_m=0.1)
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    clouds = []
    probe.create_subscription(PointCloud2, "points", clouds.append, 2)
    publishers = publishers_of(probe, rig, image)
    process = start("model:=fake_stereo")
    try:
        send_until(lambda: clouds, probe, publishers, process)
        process.send_signal(stop)
        out, err = process.communicate(timeout=15)
    finally:
        process.kill()
    assert clouds, err
    assert process.returncode == 0, err
    assert "Traceback" not in err and out == ""
    cloud = cloud_from_msg(clouds[0])
    assert cloud.shape_hw == (480, 640) and cloud.valid.all()
    np.testing.assert_array_equal(cloud.rgb, image)
    assert stamp_to_ns(clouds[0].header.stamp) > 0


SLOW = """
import atexit, os, sys, time
from recon3d_ros.estimation.estimator import Estimator
from recon3d_ros.ros.node.depth_node import main

def slow(*args, **kwargs):
    print("opening", flush=True)
    print("all said", end="")
    time.sleep(60)

Estimator.open = slow
atexit.register(os.write, 1, b"finalizing")
sys.exit(main(sys.argv))
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_is_stopped_waits_for_no_model_and_takes_none_down_with_python(stop):
    """As C++ aborts the process when its thread comes back into a Python that goes down."""
    process = start("model:=fake_stereo", run=[sys.executable, "-c", SLOW])
    try:
        begun = os.read(process.stdout.fileno(), 100).decode()  # a readline would keep what follows
        process.send_signal(stop)
        out, err = process.communicate(timeout=15)
    finally:
        process.kill()
    assert (process.returncode, begun + out, err) == (0, "opening\nall said", "")


def test_save_is_answered_by_the_executor_that_robots_run(probe, tmp_path):
    publishers = publishers_of(
        probe, StereoRig.simple(64, 48, fx=50.0, baseline_m=0.1), np.full((48, 64, 3), 90, np.uint8)
    )
    probe.create_subscription(
        PointCloud2, "points", lambda msg: None, 2
    )  # so that nothing else wakes the node
    process = start("model:=fake_stereo", f"save_folder:={tmp_path}")
    try:
        client = probe.create_client(Trigger, "/depth_node/save")
        assert client.wait_for_service(20)
        answer = client.call_async(Trigger.Request())
        send_until(answer.done, probe, publishers, process)
    finally:
        process.kill()
        process.communicate()
    assert answer.done() and answer.result().success
    assert (Path(answer.result().message) / "result" / "cloud.ply").is_file()


@pytest.mark.parametrize(
    ("parameters", "code", "words"),
    [
        (["model:=no_such_model"], 5, "no_such_model"),
        (["mode:=mono", "model:=fake_stereo"], 2, "set parameter mode to stereo"),
        (["model"], 2, "--ros-args"),
    ],
)
def test_a_failed_start_is_one_sentence_and_an_exit_code(parameters, code, words):
    process = start(*parameters)
    _, err = process.communicate(timeout=30)
    fatal = [line for line in err.splitlines() if "[FATAL]" in line]
    assert process.returncode == code, err
    assert len(fatal) == 1 and words in fatal[0]
    assert err.count(fatal[0].rpartition("]: ")[2]) == 1  # a launch repeats what is said with every start
    assert "Traceback" not in err


def test_the_node_runs_without_tf2_message_filters_and_sensor_msgs_py():
    heavy = ("tf2_ros", "message_filters", "sensor_msgs_py", "cv_bridge", "torch")
    code = f"import sys, recon3d_ros.ros.node.depth_node; print([m for m in {heavy} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.stdout.strip() == "[]", result.stderr
