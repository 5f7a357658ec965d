"""`recon3d view --live` records what a node publishes, and ends with Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("rerun", reason="rerun-sdk is not installed (.[rerun])")

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from recon3d_ros.geometry import PinholeCamera, PointPacker
from recon3d_ros.ros.bridge.conversions import camera_to_info, depth_to_msg, image_to_msg
from recon3d_ros.ros.bridge.runtime import advertise
from recon3d_ros.ros.output.cloud_message import CloudMessages
from recon3d_ros.ros.viewer.live import LiveView

WIDTH, HEIGHT = 64, 48


def messages(camera, stamp_ns):
    """Images of H != W, a depth and its cloud."""
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[:5] = np.nan
    cloud, points = CloudMessages().take((HEIGHT, WIDTH), stamp_ns, "optical")
    PointPacker(camera).pack(depth, image, points)
    info = camera_to_info(camera, stamp_ns, "optical")
    return {
        "left/camera_info": info,
        "depth/camera_info": info,
        "left/image_rect": image_to_msg(image, stamp_ns, "optical"),
        "depth/image": depth_to_msg(depth, stamp_ns, "optical"),
        "confidence": depth_to_msg(np.full((HEIGHT, WIDTH), 0.5, np.float32), stamp_ns, "optical"),
        "points": cloud,
    }


class Collector:
    """Stands in for Rerun: remembers what is logged."""

    def __init__(self):
        self.shapes = []

    def at(self, frame, stamp_ns):
        self.stamp_ns = stamp_ns

    def images(self, camera, image, right):
        self.shapes.append(image.shape)


def test_a_wrong_message_is_a_warning_and_the_next_one_is_shown():
    rclpy.init(args=[])
    try:
        log = Collector()
        view, stage = LiveView(log), Node("stage")
        topics = messages(PinholeCamera.simple(WIDTH, HEIGHT, fx=60.0), 7)
        info, good, bad = topics["left/camera_info"], topics["left/image_rect"], Image(encoding="nonsense")
        publishers = (
            advertise(stage, CameraInfo, "left/camera_info"),
            advertise(stage, Image, "left/image_rect"),
        )
        deadline = time.monotonic() + 60
        while not log.shapes and time.monotonic() < deadline:
            for publisher, msg in ((publishers[0], info), (publishers[1], bad), (publishers[1], good)):
                publisher.publish(msg)
                rclpy.spin_once(view, timeout_sec=0.2)
        assert log.shapes[0] == (HEIGHT, WIDTH, 3) and log.stamp_ns in (0, 7)
        view.destroy_node()
        stage.destroy_node()
    finally:
        rclpy.try_shutdown()


def test_what_a_node_publishes_is_recorded(tmp_path):
    path = tmp_path / "live.rrd"
    words = [
        sys.executable,
        "-m",
        "recon3d_ros",
        "view",
        "--live",
        "--namespace",
        "/eye",
        "--save",
        str(path),
    ]
    viewer = subprocess.Popen(words, env=os.environ, stderr=subprocess.PIPE, text=True)
    rclpy.init(args=[])
    node = Node("stage", namespace="/eye")
    try:
        camera = PinholeCamera.simple(WIDTH, HEIGHT, fx=60.0)
        kinds = {
            "image_rect": Image,
            "image": Image,
            "confidence": Image,
            "points": PointCloud2,
            "camera_info": CameraInfo,
        }
        topics = messages(camera, 1)
        publishers = {
            topic: advertise(node, kinds.get(topic.split("/")[-1], Image), topic) for topic in topics
        }
        deadline = time.monotonic() + 60
        while not all(publisher.get_subscription_count() for publisher in publishers.values()):
            assert time.monotonic() < deadline and viewer.poll() is None
            time.sleep(0.1)
        for _ in range(15):
            for topic, msg in messages(camera, time.time_ns()).items():
                publishers[topic].publish(msg)
            time.sleep(0.1)
        viewer.send_signal(signal.SIGINT)
        assert viewer.wait(30) == 0, viewer.stderr.read()
    finally:
        viewer.kill()
        viewer.wait()
        viewer.stderr.close()
        node.destroy_node()
        rclpy.try_shutdown()
    listed = subprocess.run(
        [sys.executable, "-m", "rerun", "rrd", "print", str(path)], capture_output=True, text=True, timeout=60
    )
    for entity in ("/camera/image", "/camera/depth", "/camera/confidence", "/points"):
        assert entity in listed.stdout
