"""Subscriptions of `recon3d doctor`: stamps, arrivals, bytes and the last messages of a topic."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CameraInfo

from recon3d_ros.ros.bridge.conversions import stamp_to_ns

_RECENT = 4


class TopicMonitor:
    """A subscription that every publisher matches, and statistics of its messages.

    Args:
        node: who subscribes.
        topic: its name, relative ones in the node's namespace.
        msg_type: messages with a header.
        latched: ask for what was sent before, which only transient-local publishers keep.

    Attributes:
        topic: the full name.
        stamps_ns: of the messages, in the order of their arrival.
        arrivals_s: when they came, monotonic.
        ages_ms: the system's time at the arrival minus the stamp.
        frame_ids: all that were seen, in that order.
        recent: the last messages.
    """

    def __init__(self, node: Node, topic: str, msg_type: type, latched: bool = False) -> None:
        self._node, self.msg_type = node, msg_type
        self.topic = node.resolve_topic_name(topic)
        self.stamps_ns: list[int] = []
        self.arrivals_s: list[float] = []
        self.ages_ms: list[float] = []
        self.frame_ids: list[str] = []
        self.recent: deque[Any] = deque(maxlen=_RECENT)
        self._bytes = 0
        qos = QoSProfile(
            history=QoSHistoryPolicy.KEEP_LAST,
            depth=5,
            # Fast DDS hands nothing of the past to best-effort readers.
            reliability=QoSReliabilityPolicy.RELIABLE if latched else QoSReliabilityPolicy.BEST_EFFORT,
            durability=QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE,
        )
        node.create_subscription(msg_type, topic, self._on_message, qos)

    def _on_message(self, msg: Any) -> None:
        stamp_ns = stamp_to_ns(msg.header.stamp)
        self.stamps_ns.append(stamp_ns)
        self.arrivals_s.append(time.monotonic())
        self.ages_ms.append((time.time_ns() - stamp_ns) / 1e6)
        if msg.header.frame_id not in self.frame_ids:
            self.frame_ids.append(msg.header.frame_id)
        self._bytes += len(getattr(msg, "data", ()))
        self.recent.append(msg)

    @property
    def count(self) -> int:
        """Messages so far."""
        return len(self.stamps_ns)

    @property
    def rate_hz(self) -> float:
        """By arrival; 0 of less than two messages."""
        span_s = self.arrivals_s[-1] - self.arrivals_s[0] if self.count > 1 else 0.0
        return (self.count - 1) / span_s if span_s > 0 else 0.0

    @property
    def message_bytes(self) -> float:
        """Mean size of the pixels of a message."""
        return self._bytes / self.count if self.count else 0.0

    @property
    def megabytes_per_s(self) -> float:
        """Of pixels."""
        return self.message_bytes * self.rate_hz / 1e6

    @property
    def steps_ns(self) -> NDArray[np.int64]:
        """Differences of one stamp to the next."""
        stamps_ns = np.array(self.stamps_ns, np.int64)
        return stamps_ns[1:] - stamps_ns[:-1]

    @property
    def period_ns(self) -> float:
        """The usual step; NaN of less than two messages."""
        forward = self.steps_ns[self.steps_ns > 0]
        return float(np.median(forward)) if len(forward) else float("nan")

    @property
    def publishers(self) -> list[TopicEndpointInfo]:
        """Who publishes on the topic now, messages of whatever type."""
        return list(self._node.get_publishers_info_by_topic(self.topic))

    @property
    def subscribers(self) -> list[TopicEndpointInfo]:
        """Who else subscribes to the topic now."""
        everyone = self._node.get_subscriptions_info_by_topic(self.topic)
        return [endpoint for endpoint in everyone if endpoint.node_name != self._node.get_name()]

    @property
    def type_name(self) -> str:
        """As graph tools write it, for example sensor_msgs/msg/Image."""
        return f"{self.msg_type.__module__.split('.')[0]}/msg/{self.msg_type.__name__}"

    def nearest(self, stamp_ns: int) -> Any:
        """The recent message whose stamp is nearest; None before the first."""
        return min(self.recent, key=lambda msg: abs(stamp_to_ns(msg.header.stamp) - stamp_ns), default=None)


@dataclass(frozen=True)
class CameraMonitor:
    """The topics of one camera; `latched` is camera_info as late subscribers get it."""

    image: TopicMonitor
    info: TopicMonitor
    latched: TopicMonitor

    @property
    def newest_info(self) -> CameraInfo | None:
        """What camera_info said last, however it came."""
        return next((monitor.recent[-1] for monitor in (self.info, self.latched) if monitor.recent), None)

    @property
    def published(self) -> bool:
        """Whether anybody publishes or waits for either topic."""
        return any(monitor.publishers or monitor.subscribers for monitor in (self.image, self.info))
