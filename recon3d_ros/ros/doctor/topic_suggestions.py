"""What to do where nobody publishes a topic: which of the topics that are there was likely meant."""

from __future__ import annotations

from difflib import SequenceMatcher

from rclpy.node import Node

from recon3d_ros.ros.output.outputs import TYPES

_SHOWN = 4  # names in one message
_OUTPUTS = tuple(f"/{name}" for name in TYPES)


def suggest(node: Node, topic: str, type_name: str) -> str:
    """Say what to do for a topic (full name) and type (such as sensor_msgs/msg/Image) without publisher."""
    same = [name for name, types in node.get_topic_names_and_types() if type_name in types]
    others = [name for name in same if name != topic and node.get_publishers_info_by_topic(name)]
    packed = f"{topic}/compressed"
    if node.get_publishers_info_by_topic(packed):
        return f"{packed} is published, so set image_transport to compressed"
    above, _, word = topic.rpartition("/")
    raw = f"{above}/image_raw"
    if word in ("image_rect", "image") and raw in others:
        return f"{raw} is published, so set rectify to true, or run image_proc"
    cameras = [name for name in others if not (_is_depth(name) or _is_other_side(name, topic))]
    if not cameras:
        return "start the camera driver (and check ROS_DOMAIN_ID and the network)"
    near = sorted(cameras, key=lambda name: _likeness(name, topic), reverse=True)[:_SHOWN]
    return f"start the camera driver, or remap it to one of {', '.join(near)}"


def _is_depth(name: str) -> bool:
    """Whether it comes from a depth node, or from something else that has depth already."""
    return name.endswith(_OUTPUTS) or "depth" in name.split("/")


def _likeness(a: str, b: str) -> tuple[float, int]:
    """How many words of two names are the same, and how many letters they begin with."""
    words = SequenceMatcher(None, a.split("/"), b.split("/")).ratio()
    letters = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return words, letters


def _is_other_side(a: str, b: str) -> bool:
    """Whether one is left and one right: two images of one side have no depth."""
    words = {*a.split("/")}, {*b.split("/")}
    return any("left" in words[i] and "right" in words[1 - i] for i in (0, 1))
