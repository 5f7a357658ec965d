"""Subscribes to a running depth node and its camera, and hands everything to a `RerunLog`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from recon3d_ros.config.camera_topics import info_topic
from recon3d_ros.errors import Recon3dError
from recon3d_ros.geometry import DepthMap, PinholeCamera
from recon3d_ros.messages.encodings import message_view
from recon3d_ros.reports.rerun_log import RerunLog
from recon3d_ros.ros.bridge.conversions import (
    cloud_from_msg,
    depth_from_msg,
    info_to_camera,
    msg_to_image,
    stamp_to_ns,
)
from recon3d_ros.ros.bridge.logs import forward_logs
from recon3d_ros.ros.bridge.runtime import run_node, subscribe
from recon3d_ros.system.printable import printable


class LiveView(Node):
    """Logs images, depth, confidence and clouds as they come; a wrong message is one warning.

    Args:
        log: where to.
        namespace: of the node and its cameras.
        image: topic of the (left) image, below the namespace.
    """

    def __init__(self, log: RerunLog, namespace: str = "", image: str = "left/image_rect") -> None:
        super().__init__("viewer", namespace=namespace)
        forward_logs(self)
        self._view, self._frames = log, 0
        self._cameras: dict[str, PinholeCamera] = {}
        self._listen(CameraInfo, info_topic(image), partial(self._on_info, "image"))
        self._listen(CameraInfo, "depth/camera_info", partial(self._on_info, "depth"))
        self._listen(Image, image, self._on_image)
        self._listen(Image, "depth/image", self._on_depth)
        self._listen(Image, "confidence", self._on_confidence)
        self._listen(PointCloud2, "points", self._on_cloud)
        self._listen(PointCloud2, "points_free", self._on_free)

    def _listen(self, msg_type: type, topic: str, callback: Callable[[Any], None]) -> None:
        def guarded(msg: Any) -> None:
            try:
                callback(msg)
            except Recon3dError as exc:
                self.get_logger().warning(printable(str(exc)), throttle_duration_sec=5.0)

        subscribe(self, msg_type, topic, guarded)

    def _on_info(self, which: str, msg: CameraInfo) -> None:
        self._cameras[which] = info_to_camera(msg, rectified=True).as_rectified()

    def _on_image(self, msg: Image) -> None:
        self._at(msg)
        if camera := self._cameras.get("image"):
            self._view.images(camera, msg_to_image(msg), None)

    def _on_depth(self, msg: Image) -> None:
        self._at(msg)
        if camera := self._cameras.get("depth"):
            self._view.depth_map(DepthMap(depth_from_msg(msg), camera))

    def _on_confidence(self, msg: Image) -> None:
        self._at(msg)
        self._view.confidence(message_view(msg, "f4", 1))

    def _on_cloud(self, msg: PointCloud2) -> None:
        self._at(msg)
        self._frames += 1
        self._view.cloud(cloud_from_msg(msg))

    def _on_free(self, msg: PointCloud2) -> None:
        self._at(msg)
        self._view.cloud(cloud_from_msg(msg), "free")

    def _at(self, msg: Any) -> None:
        self._view.at(self._frames, stamp_to_ns(msg.header.stamp))


def show_live(log: RerunLog, namespace: str = "", image: str = "left/image_rect") -> int:
    """Log what a running node publishes until Ctrl-C; the exit code of the node.

    Args:
        log: where to.
        namespace: of the node and its cameras.
        image: topic of the (left) image, below the namespace.
    """
    return run_node(lambda: LiveView(log, namespace, image), [])
