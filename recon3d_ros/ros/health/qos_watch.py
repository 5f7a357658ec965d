"""Publishers and subscriptions that cannot hear each other, in words and with the remedy."""

from __future__ import annotations

from collections.abc import Iterator

from rclpy.node import Node
from rclpy.qos import (
    QoSCompatibility,
    QoSDurabilityPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.topic_endpoint_info import TopicEndpointInfo

_BUILT_IN = ("/parameter_events", "/rosout", "/clock")


class QosWatch:
    """Compares a node's topics with the graph.

    The middleware reports a mismatch once, as an event, and never that it is over; and every event handler
    costs each turn of rclpy's executor. So the graph is asked about once a second: what it says holds now.

    Args:
        node: whose publishers and subscriptions are watched.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def problems(self) -> list[str]:
        """Return one sentence for every endpoint of another node that does not match."""
        topics = dict.fromkeys(entity.topic_name for entity in self._node.subscriptions)
        topics |= dict.fromkeys(entity.topic_name for entity in self._node.publishers)
        return [said for topic in topics if topic not in _BUILT_IN for said in self._of(topic)]

    def _of(self, topic: str) -> Iterator[str]:
        publishers = self._node.get_publishers_info_by_topic(topic)
        subscriptions = self._node.get_subscriptions_info_by_topic(topic)
        for publisher in publishers:
            for subscription in subscriptions:
                ours = self._is_own(publisher), self._is_own(subscription)
                if any(ours) and not _fit(publisher.qos_profile, subscription.qos_profile):
                    yield _said(topic, publisher, subscription, subscribed=ours[1])

    def _is_own(self, endpoint: TopicEndpointInfo) -> bool:
        names = (endpoint.node_name, endpoint.node_namespace)
        return names == (self._node.get_name(), self._node.get_namespace())


def _fit(publisher: QoSProfile, subscription: QoSProfile) -> bool:
    compatibility, _ = qos_check_compatible(publisher, subscription)
    return compatibility != QoSCompatibility.ERROR


def _said(topic: str, publisher: TopicEndpointInfo, subscription: TopicEndpointInfo, subscribed: bool) -> str:
    policy, offered, asked = _difference(publisher.qos_profile, subscription.qos_profile)
    if subscribed:
        return (
            f"nothing arrives from {endpoint_name(publisher)} on {topic}: it offers {policy} {offered}, this "
            f"node requests {asked}; set qos_overrides.{topic}.subscription.{policy} to {offered}"
        )
    return (
        f"{endpoint_name(subscription)} gets nothing from {topic}: it requests {policy} {asked}, this node "
        f"offers {offered}; set qos_overrides.{topic}.publisher.{policy} to {asked}, or subscribe "
        f"with {offered}"
    )


def _difference(publisher: QoSProfile, subscription: QoSProfile) -> tuple[str, str, str]:
    """The policy that differs, what is offered and what is asked for."""
    if (publisher.reliability, subscription.reliability) == (
        QoSReliabilityPolicy.BEST_EFFORT,
        QoSReliabilityPolicy.RELIABLE,
    ):
        return "reliability", "best_effort", "reliable"
    if (publisher.durability, subscription.durability) == (
        QoSDurabilityPolicy.VOLATILE,
        QoSDurabilityPolicy.TRANSIENT_LOCAL,
    ):
        return "durability", "volatile", "transient_local"
    if publisher.liveliness != subscription.liveliness:
        return "liveliness", publisher.liveliness.name.lower(), subscription.liveliness.name.lower()
    return "deadline", f"{publisher.deadline}", f"{subscription.deadline}"


def endpoint_name(endpoint: TopicEndpointInfo) -> str:
    """The node of an endpoint, with its namespace."""
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
