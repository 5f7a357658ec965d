"""A node beside a probe, in a context and a thread of their own, over real DDS."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node


class NodeBench:
    """What the benches of the nodes have in common; each has a `wait(condition, what=...)` of its own.

    Args:
        make_node: makes the node in a context.
        namespace: of both; keeps nodes of one test process apart.
    """

    def __init__(self, make_node: Callable[[rclpy.Context], Any], namespace: str) -> None:
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context)
        try:
            self.node = make_node(self.context)
        except BaseException:
            rclpy.shutdown(context=self.context)
            raise
        self.probe = Node("probe", context=self.context, namespace=namespace)
        self.received: dict[str, list[Any]] = defaultdict(list)
        self._publishers: dict[str, Any] = {}
        for topic, kind in (("/diagnostics", DiagnosticArray), ("/rosout", Log)):
            self.probe.create_subscription(kind, topic, self.received[topic].append, 100)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._executor.add_node(self.probe)
        self._thread = threading.Thread(target=self._spin)

    def start(self) -> None:
        """Let both turn; the probe subscribes before."""
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
        except Exception:  # the context may go away in the middle of a turn
            if self.context.ok():
                raise

    def close(self) -> None:
        rclpy.shutdown(context=self.context)
        self._thread.join()
        self.node.destroy_node()
        self.probe.destroy_node()

    def publish(self, topic: str, msg: Any) -> None:
        """Publish at once; the publisher is made and matched at its first use."""
        if topic not in self._publishers:
            self._publishers[topic] = self.probe.create_publisher(type(msg), topic, 10)
            self.wait(
                lambda: self._publishers[topic].get_subscription_count() > 0, what=f"no one hears {topic}"
            )
        self._publishers[topic].publish(msg)

    def newest_status(self, camera: str = "depth") -> dict[str, str]:
        """The newest diagnostics of a camera, with `level` and `message`; empty before the first."""
        name = f"{self.node.get_fully_qualified_name()}: {camera}"
        for array in reversed(self.received["/diagnostics"]):
            for status in array.status:
                if status.name == name:
                    values = {pair.key: pair.value for pair in status.values}
                    return {"level": str(status.level[0]), "message": status.message, **values}
        return {}

    def logs(self) -> list[str]:
        """What the node logged so far, of any level."""
        name = self.node.get_logger().name
        return [log.msg for log in self.received["/rosout"] if log.name == name]
