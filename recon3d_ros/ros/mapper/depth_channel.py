"""One camera of the map node: its topics, and which image, depth and weights belong together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from recon3d_ros.config.camera_topics import LEFT, RIGHT, image_topics, info_topic
from recon3d_ros.config.mapper import MapNodeConfig
from recon3d_ros.messages.image_cdr import ImageView
from recon3d_ros.messages.intake import Intake, RawFrame, StereoSync
from recon3d_ros.messages.kinds import stamp_to_ns
from recon3d_ros.ros.bridge.runtime import subscribe, transported
from recon3d_ros.ros.bridge.serialized import InfoReader, image_of
from recon3d_ros.ros.health.health import Health
from recon3d_ros.ros.health.outcome import Cause, FrameOutcome, guarded
from recon3d_ros.ros.health.throttle import ChangeThrottle

DEPTH, DEPTH_INFO = "depth/image", "depth/camera_info"
WEIGHTS = {"sigma": "depth/sigma", "confidence": "confidence"}
_WAITING = 40  # images that wait for their depth, which a slow model makes a second later
_UNANSWERED = 5  # depth images without weights, until it is not waited for any more
_INFO_LOG_PERIOD_S = 5.0


@dataclass(frozen=True, eq=False)
class DepthMessages:
    """What one camera saw at one time, not decoded yet.

    Attributes:
        raw: The image, and the camera of both.
        depth: 32FC1 or 16UC1.
        weights: 32FC1, sigma in m or confidence; None where nobody publishes it.
    """

    raw: RawFrame
    depth: ImageView | Image
    weights: ImageView | Image | None

    @property
    def stamp_ns(self) -> int:
        """Of the depth."""
        return stamp_to_ns(self.depth.header.stamp)


class DepthChannel:
    """Callbacks pair messages and put them into the mailbox; methods belong to the executor's thread.

    Args:
        node: who subscribes.
        name: namespace of the camera's topics, empty for the node's own.
        config: which images, and how they come in.
        submit: hands messages that belong together to the worker; returns whether others were replaced.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        config: MapNodeConfig,
        submit: Callable[[DepthMessages], bool],
    ) -> None:
        self.name, self._node, self._submit = name, node, submit
        prefix = f"{name}/" if name else ""
        image = image_topics(config.mode == "stereo", config.rectify, prefix)[LEFT]
        self._image = transported(node, image, config.image_transport)
        self._image_type = CompressedImage if config.image_transport == "compressed" else Image
        self._depth = prefix + DEPTH
        self._weights_topic = prefix + WEIGHTS[config.weights] if config.weights in WEIGHTS else ""
        # raw images come with a camera of their own, others have the pixels of the depth
        self._info = info_topic(image) if config.rectify else prefix + DEPTH_INFO
        resolved = node.resolve_topic_name(self._info)
        self.topics = [node.resolve_topic_name(topic) for topic in (self._image, self._depth)]
        self.health = Health(node.get_logger().warning, f"{' and '.join(self.topics)} with equal stamps")
        self._info_topic = resolved
        self._info_reader = InfoReader()
        self._intake = Intake((resolved,), config.rectify)
        self._pairs = StereoSync(config.sync_tolerance_ns, _WAITING)
        self._weights = StereoSync(capacity=_UNANSWERED)
        self._unanswered = 0
        self._info_logs = ChangeThrottle(_INFO_LOG_PERIOD_S)
        self._subscriptions: list[Subscription] = []

    def activate(self) -> None:
        """Subscribe.

        Raises:
            ConfigError: a QoS override is no value of its policy.
        """
        group = MutuallyExclusiveCallbackGroup()
        topics: list[tuple[Any, str, Callable[[Any], None]]] = [
            (CameraInfo, self._info, self._on_info),  # first: of what is ready at once it is taken first
            (self._image_type, self._image, self._on_image),
            (Image, self._depth, self._on_depth),
        ]
        if self._weights_topic:
            topics.append((Image, self._weights_topic, self._on_weights))
        try:
            for msg_type, topic, callback in topics:
                raw, callback = msg_type is not CompressedImage, guarded(callback, self.record)
                self._subscriptions.append(
                    subscribe(self._node, msg_type, topic, callback, callback_group=group, raw=raw)
                )
        except BaseException:
            self.deactivate()
            raise
        self.health.idle(False)

    def deactivate(self) -> None:
        """Subscribe to nothing."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
        self._pairs.clear()
        self._weights.clear()
        self._intake.restart()
        self.health.idle(True, "the node is not active")

    def configure(self, config: MapNodeConfig) -> None:
        """Take what may change while running."""
        self._pairs.tolerance_ns = config.sync_tolerance_ns

    def record(self, outcome: FrameOutcome) -> None:
        """Take what became of a frame; any thread."""
        if outcome.error is None or self._node.context.ok():
            self.health.record(outcome)

    def now_ns(self) -> int:
        """The node's clock; any thread."""
        return int(self._node.get_clock().now().nanoseconds)

    def _on_info(self, serialized: bytes) -> None:
        msg = self._info_reader.read(serialized)
        size, new = f"{msg.width}x{msg.height}", self._intake.add_info(self._info_topic, msg)
        if new and self._info_logs.is_due(self._info_topic, size, time.monotonic()):
            self._node.get_logger().info(f"camera_info on {self._info_topic}: {size}")

    def _on_image(self, received: bytes | CompressedImage) -> None:
        msg = image_of(received) if isinstance(received, bytes) else received
        self._on_pair(self._pairs.add(LEFT, stamp_to_ns(msg.header.stamp), msg))

    def _on_depth(self, serialized: bytes) -> None:
        msg = image_of(serialized)
        self._on_pair(self._pairs.add(RIGHT, stamp_to_ns(msg.header.stamp), msg))

    def _on_pair(self, pair: tuple[Any, Any] | None) -> None:
        if pair is None:
            return
        if not self._waits_for_weights():
            self._accept(pair, None)
            return
        self._unanswered += 1
        self._on_weighted(self._weights.add(LEFT, stamp_to_ns(pair[RIGHT].header.stamp), pair))
        if self._unanswered == _UNANSWERED:
            self._weights.clear()
            topic = self._node.resolve_topic_name(self._weights_topic)
            self._node.get_logger().info(f"no messages on {topic}: all pixels of the depth weigh alike")

    def _on_weights(self, serialized: bytes) -> None:
        self._unanswered = 0
        msg = image_of(serialized)
        self._on_weighted(self._weights.add(RIGHT, stamp_to_ns(msg.header.stamp), msg))

    def _on_weighted(self, found: tuple[Any, Any] | None) -> None:
        if found is not None:
            self._unanswered = 0
            self._accept(*found)

    def _waits_for_weights(self) -> bool:
        """Whether somebody publishes it; models without it have the topic, and never a message."""
        if not self._weights_topic:
            return False
        topic = self._node.resolve_topic_name(self._weights_topic)
        return self._unanswered < _UNANSWERED and self._node.count_publishers(topic) > 0

    def _accept(self, pair: tuple[Any, Any], weights: ImageView | Image | None) -> None:
        messages = self._intake.add_image(LEFT, pair[LEFT])
        assert messages is not None  # of one camera
        self.health.received()
        raw = self._intake.raw_frame(messages)
        if self._submit(DepthMessages(raw, pair[RIGHT], weights)):
            self.record(FrameOutcome(cause=Cause.BUSY))
