"""Subscribes to the topics of a camera as the depth node would, and to what else the checks need."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import LoggingSeverity
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from recon3d_ros.config.camera_topics import image_topics, info_topic
from recon3d_ros.config.doctor import DoctorConfig
from recon3d_ros.ros.bridge.conversions import stamp_to_ns
from recon3d_ros.ros.bridge.runtime import transported
from recon3d_ros.ros.doctor.frames import TfTree
from recon3d_ros.ros.doctor.topic_monitor import CameraMonitor, TopicMonitor

SNAPSHOTS = 8
NAME = "recon3d_doctor"
_PATIENCE_S = 0.05
_DISCOVERY_S = 2.0


class GraphMonitor:
    """A node that subscribes, and keeps a few snapshots of the messages.

    Args:
        config: which topics.
        context: an initialised one.

    Attributes:
        pair: left and right camera, subscribed to whatever the mode.
        single: the topics of a single camera.
        snapshots: messages of one moment: (left, right) or (image,).
        clock_ns: times of /clock; empty without simulated time.
        clock_jumps_ms: by how much the system's clock was set.
        tf: the frames of /tf and /tf_static.
        statuses: the newest diagnostics by name.
    """

    def __init__(self, config: DoctorConfig, context: Context) -> None:
        self.config = config
        self.node = node = Node(
            NAME,
            context=context,
            namespace=config.namespace,
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
        node.get_logger().set_level(LoggingSeverity.ERROR)  # publishers that do not match are no news here
        left, right, single = (
            topic for stereo in (True, False) for topic in image_topics(stereo, config.rectify)
        )
        self.pair = [
            self._camera(config.left_image or left, config.left_info or info_topic(left)),
            self._camera(config.right_image or right, config.right_info or info_topic(right)),
        ]
        self.single = self._camera(config.image or single, config.camera_info or info_topic(single))
        self.snapshots: dict[str, list[tuple[Any, ...]]] = {"stereo": [], "mono": []}
        self.clock_ns: list[int] = []
        self.clock_jumps_ms: list[float] = []
        self.tf = TfTree()
        self.statuses: dict[str, DiagnosticStatus] = {}
        self._offset_s = time.time() - time.monotonic()
        self._subscribe()

    @property
    def mode(self) -> str:
        """Stereo or mono, by the configuration or by what is there."""
        if self.config.mode != "auto":
            return self.config.mode
        alone = self.single.published and not any(camera.published for camera in self.pair)
        return "mono" if alone else "stereo"

    @property
    def cameras(self) -> list[CameraMonitor]:
        """Those of the mode."""
        return self.pair if self.mode == "stereo" else [self.single]

    @property
    def discovered(self) -> bool:
        """Whether messages of a whole pair, or of a single camera, have come; cheap, it asks no graph."""
        came = [bool(camera.image.count and camera.info.count) for camera in (*self.pair, self.single)]
        return came[2] or all(came[:2])

    def take_snapshot(self) -> None:
        """Keep the newest messages of one moment, and notice whether the system's clock was set."""
        for mode, cameras in (("stereo", self.pair), ("mono", [self.single])):
            first = cameras[0].image
            if not first.recent:
                continue
            msg = first.recent[-1]
            stamp_ns = stamp_to_ns(msg.header.stamp)
            self.snapshots[mode].append((msg, *(c.image.nearest(stamp_ns) for c in cameras[1:])))
        offset_s = time.time() - time.monotonic()
        if abs(offset_s - self._offset_s) > 0.1:
            self.clock_jumps_ms.append((offset_s - self._offset_s) * 1e3)
        self._offset_s = offset_s

    def _camera(self, image: str, info: str) -> CameraMonitor:
        transport = self.config.image_transport
        kind = CompressedImage if transport == "compressed" else Image
        return CameraMonitor(
            TopicMonitor(self.node, transported(self.node, image, transport), kind),
            TopicMonitor(self.node, info, CameraInfo),
            TopicMonitor(self.node, info, CameraInfo, latched=True),
        )

    def _subscribe(self) -> None:
        node = self.node
        node.create_subscription(Clock, "/clock", self._on_clock, qos_profile_sensor_data)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 20)
        try:
            tf_message = importlib.import_module("tf2_msgs.msg").TFMessage
        except ImportError:  # pip's ROS has none; then the names of the frames have to do
            return
        latched = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(tf_message, "/tf", self._on_tf, 100)
        node.create_subscription(tf_message, "/tf_static", self._on_tf, latched)

    def _on_tf(self, msg: Any) -> None:
        self.tf.add(msg.transforms)

    def _on_clock(self, msg: Clock) -> None:
        self.clock_ns.append(stamp_to_ns(msg.clock))

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        self.statuses.update({status.name: status for status in msg.status})


def observe(monitors: Sequence[GraphMonitor], context: Context, seconds: float) -> None:
    """Spin the monitors for `seconds` once their topics are discovered; each takes `SNAPSHOTS` snapshots."""
    executor = SingleThreadedExecutor(context=context)
    for monitor in monitors:
        executor.add_node(monitor.node)
    try:
        begin = time.monotonic()
        while time.monotonic() < begin + _DISCOVERY_S and not all(monitor.discovered for monitor in monitors):
            executor.spin_once(timeout_sec=_PATIENCE_S)
        begin = time.monotonic()
        for i in range(SNAPSHOTS):
            until = begin + seconds * (i + 1) / SNAPSHOTS
            while time.monotonic() < until:
                # Always the same timeout: with another one rclpy begins anew and starves all but the first.
                executor.spin_once(timeout_sec=_PATIENCE_S)
            for monitor in monitors:
                monitor.take_snapshot()
    finally:
        executor.shutdown()
