"""The bond with a lifecycle manager of Nav2: signs of life, as long as the node is active."""

from __future__ import annotations

import uuid
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.timer import Timer

from recon3d_ros.ros.bridge.runtime import advertise, reliable_qos

TOPIC = "bond"  # of the manager, too: it has to be in the namespace of the node
TIMEOUT_S = 4.0  # what bondcpp announces; the manager goes by its own bond_timeout
MISSING = (
    "expected the package bond for the signs of life that Nav2's lifecycle manager waits for, got none: "
    "install ros-<distribution>-bond with apt, or set bond_timeout of the manager to 0.0; the node works "
    "without it"
)


class Bond:
    """The half of the bond protocol (bondcpp, bondpy) that Nav2's lifecycle manager needs from a server.

    Nothing is read: a server of Nav2 never gives its manager up (`bond_disable_heartbeat_timeout`), and the
    heartbeats of all servers and of their managers on this one topic would each cost a turn of the executor.

    Args:
        node: who lives; its timers beat, so that a node that is stuck falls silent.
        period_s: time between two heartbeats, in seconds; 0 = no bond.
    """

    def __init__(self, node: Node, period_s: float) -> None:
        self._node, self._period_s = node, period_s
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)  # goes on while simulated time stands still
        self._publisher: Publisher | None = None
        self._timer: Timer | None = None
        self._instance_id = ""
        self._told_missing = False

    def start(self) -> None:
        """Begin to beat, as a new instance; without the package bond, say so once instead.

        Raises:
            ConfigError: an override of the QoS is no value of its policy.
        """
        if self._period_s <= 0 or self._timer is not None:
            return
        try:
            from bond.msg import Status
        except ImportError:
            if not self._told_missing:
                self._node.get_logger().info(MISSING)
            self._told_missing = True
            return
        self._status_type: Any = Status
        if self._publisher is None:
            self._publisher = advertise(self._node, Status, TOPIC, qos=reliable_qos(depth=5))
        self._instance_id = str(uuid.uuid4())
        self._timer = self._node.create_timer(self._period_s, self._beat, clock=self._clock)

    def stop(self) -> None:
        """Break the bond: tell the manager at once, instead of letting it wait for the next heartbeat."""
        if self._timer is None:
            return
        self._node.destroy_timer(self._timer)
        self._timer = None
        if self._node.context.ok():
            self._publish(active=False)

    def _beat(self) -> None:
        self._publish(active=True)

    def _publish(self, active: bool) -> None:
        assert self._publisher is not None
        status = self._status_type(
            id=self._node.get_name(),
            instance_id=self._instance_id,
            active=active,
            heartbeat_timeout=TIMEOUT_S,
            heartbeat_period=self._period_s,
        )
        status.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(status)
