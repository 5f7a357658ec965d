"""A depth node as a process of its own, and a probe in this one that plays camera and consumer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from recon3d_ros.ros.bridge.conversions import cloud_from_msg, ns_to_stamp, stamp_to_ns

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 30.0


def start(module: str, parameters: dict[str, Any], log: Path) -> subprocess.Popen:
    """Start a node of recon3d_ros.ros; what it says is appended to the log."""
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    code = f"import sys; from recon3d_ros.ros.{module} import main; sys.exit(main(sys.argv))"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    with open(log, "ab") as file:
        return subprocess.Popen(
            [sys.executable, "-c", code, "--ros-args", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
        )


class Robot:
    """One node process and one probe; pictures go in, clouds come out.

    Args:
        parameters: of the node.
        folder: for its log.
    """

    def __init__(self, parameters: dict[str, Any], folder: Path):
        self._parameters, self.log = parameters, folder / "node.log"
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context)
        self.probe = Node("probe", context=self.context)
        self.clouds: list[PointCloud2] = []
        self.statuses: list[Any] = []
        self._publishers: dict[str, Any] = {}
        self.probe.create_subscription(PointCloud2, "points", self.clouds.append, 5)
        self.probe.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 5)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.probe)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self.start_node()

    def start_node(self) -> None:
        self.node = start("node.depth_node", self._parameters, self.log)

    def close(self) -> None:
        self.node.terminate()
        try:
            self.node.wait(15)
        except subprocess.TimeoutExpired:
            self.node.kill()
            self.node.wait()
        rclpy.shutdown(context=self.context)
        self._thread.join()
        self.probe.destroy_node()

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def publish(self, topic: str, msg: Any) -> None:
        if topic not in self._publishers:
            self._publishers[topic] = self.probe.create_publisher(type(msg), topic, 5)
        self._publishers[topic].publish(msg)

    def heard_by(self, topic: str) -> int:
        return self._publishers[topic].get_subscription_count() if topic in self._publishers else 0

    def send(self, images: dict[str, Any], infos: dict[str, Any]) -> int:
        """Publish camera_info and images under the stamp of now; return it."""
        stamp_ns = time.time_ns()
        for topic, msg in (infos | images).items():
            msg.header.stamp = ns_to_stamp(stamp_ns)
            self.publish(topic, msg)
        return stamp_ns

    def expect_cloud(
        self, images: dict[str, Any], infos: dict[str, Any], picture: np.ndarray, what: str = ""
    ) -> PointCloud2:
        """Send frames until one comes out; its colours are those of the picture and its points are there."""
        stamps: set[int] = set()

        def found() -> PointCloud2 | None:
            if not stamps or time.monotonic() - last[0] > 0.1:
                last[0] = time.monotonic()
                stamps.add(self.send(images, infos))
            return next((m for m in reversed(self.clouds) if stamp_to_ns(m.header.stamp) in stamps), None)

        last = [0.0]
        msg = self.wait(found, f"no cloud {what}")
        cloud = cloud_from_msg(msg)
        np.testing.assert_array_equal(cloud.rgb, picture)
        assert cloud.valid.mean() > 0.9
        del self.clouds[:-1]
        return msg

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for a condition while the node lives; return its value."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            assert self.node.poll() is None, (
                f"the node ended with {self.node.returncode}: {self.said()[-2000:]}"
            )
            if value := condition():
                return value
            time.sleep(0.005)
        raise AssertionError(f"{what} within {DEADLINE_S} s; {self.statuses[-1:]}\n{self.said()[-2000:]}")

    def status(self) -> tuple[int, str, dict[str, str]]:
        """The newest level, message and values."""
        status = self.wait(lambda: self.statuses, "no diagnostics")[-1]
        return status.level[0], status.message, {pair.key: pair.value for pair in status.values}

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        self.statuses += [s for s in msg.status if any(pair.key == "frames_in" for pair in s.values)]
        del self.statuses[:-10]

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass


@pytest.fixture(scope="module")
def start_process() -> Callable[..., subprocess.Popen]:
    """`start`, for tests that need a process beside the node."""
    return start


@pytest.fixture(scope="module")
def make_robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Robot]]:
    """Make a robot; an older one ends first, as all of them use the same topics."""
    robots: list[Robot] = []

    def make(**parameters: Any) -> Robot:
        while robots:
            robots.pop().close()
        robots.append(Robot({"model": "fake_stereo", **parameters}, tmp_path_factory.mktemp("robot")))
        return robots[-1]

    yield make
    for robot in robots:
        robot.close()
