"""What `recon3d doctor` can say of topics and of the middleware, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo

from recon3d_ros.ros.doctor.stream import Stream, endpoint_name
from recon3d_ros.ros.health.health import Level
from recon3d_ros.ros.output.outputs import TYPES

_SHOWN = 4  # names in one message
_OUTPUTS = tuple(f"/{name}" for name in TYPES)
LOST_SHARE = 0.05
# Stamps farther from this computer's time than that belong to a bag, or to a clock that is off.
MAX_AGE_MS, MAX_AHEAD_MS = 1000.0, 50.0


@dataclass(frozen=True)
class Symptom:
    """Something that is wrong.

    Attributes:
        level: WARN, or ERROR when the node cannot answer, or answers wrongly.
        kind: one word for scripts; docs/diagnostics.md lists them.
        topic: where it was seen; empty for the computer as a whole.
        message: what was expected, what came and what to do.
    """

    level: Level
    kind: str
    topic: str
    message: str


def warn(kind: str, topic: str, message: str) -> Symptom:
    """Something to look after."""
    return Symptom(Level.WARN, kind, topic, message)


def error(kind: str, topic: str, message: str) -> Symptom:
    """Something that keeps the node from answering, or from answering rightly."""
    return Symptom(Level.ERROR, kind, topic, message)


def of_publishers(node: Node, stream: Stream, is_image: bool) -> Iterator[Symptom]:
    """Nobody, somebody else or too many publish; they are silent, or a reader does not match them."""
    topic, publishers = stream.topic, stream.publishers
    fitting = [p for p in publishers if p.topic_type == stream.type_name]
    for other in publishers:
        if other not in fitting:
            yield error(
                "wrong_type",
                topic,
                f"expected {stream.type_name}, got {other.topic_type} from {endpoint_name(other)}; name "
                "another topic, or set image_transport (compressed for CompressedImage)",
            )
    if not publishers:
        yield error(
            "missing",
            topic,
            f"expected a publisher of {stream.type_name}, found none; {_instead(node, stream)}",
        )
    elif fitting and not stream.count:
        names = _names(fitting)
        yield error(
            "silent",
            topic,
            f"expected messages from {names}, got none; start its stream (a lazy driver may wait for a "
            f"subscriber of {'camera_info' if is_image else 'the image'} too), and "
            "see what is said of Fast DDS",
        )
    if len(fitting) > 1:
        yield warn(
            "several_publishers",
            topic,
            f"expected one publisher, got {len(fitting)} ({_names(fitting)}), whose messages mix; stop "
            "or remap all but one",
        )
    yield from of_qos(topic, publishers, stream.subscribers)


def of_qos(
    topic: str, publishers: Sequence[TopicEndpointInfo], subscribers: Sequence[TopicEndpointInfo]
) -> Iterator[Symptom]:
    """Readers that the publishers of the topic do not match."""
    for publisher in publishers:
        for subscriber in subscribers:
            fit, reason = qos_check_compatible(publisher.qos_profile, subscriber.qos_profile)
            if publisher.topic_type != subscriber.topic_type or fit != QoSCompatibility.ERROR:
                continue
            why = reason.removeprefix("ERROR: ").rstrip("; ").lower()
            yield error(
                "qos",
                topic,
                f"expected {endpoint_name(subscriber)} to hear {endpoint_name(publisher)}, but their "
                f"QoS does not match ({why}); give both the same, for the depth node by "
                f"qos_overrides.{topic}.subscription.reliability (or .durability; .publisher. for outputs)",
            )


def of_latched(live: Stream, latched: Stream) -> Iterator[Symptom]:
    """camera_info that was sent once and is kept for late subscribers, which the node's default is not."""
    if live.count or not latched.count:
        return
    if any(fits_latched(reader) for reader in live.subscribers):
        return
    yield error(
        "latched",
        live.topic,
        "expected camera_info with every image, got one kept for late subscribers (transient local) and "
        f"never again; set the node's qos_overrides.{live.topic}.subscription.durability to transient_local",
    )


def fits_latched(reader: TopicEndpointInfo) -> bool:
    """Whether a reader asks for what was sent before it came."""
    return reader.qos_profile.durability.name == "TRANSIENT_LOCAL"


def of_stamps(stream: Stream, simulated: bool) -> Iterator[Symptom]:
    """Stamps that are missing, go back, leave gaps or belong to another time."""
    if not stream.count:
        return
    if not any(stream.stamps_ns):
        yield warn(
            "stamps",
            stream.topic,
            "expected the time of acquisition in header.stamp, got 0; let the driver fill it, tf and "
            "synchronisation need it",
        )
        return
    back_ns = stream.steps_ns.min(initial=0)
    if back_ns < 0:
        yield warn(
            "clock_jump",
            stream.topic,
            f"expected stamps that grow, got a step back of {-back_ns / 1e6:.0f} ms; is a bag looping, a "
            "clock being set, or do two publishers mix? (the node goes on after a jump)",
        )
    yield from _of_gaps(stream)
    age_ms = float(np.median(stream.ages_ms))
    if not simulated and not -MAX_AHEAD_MS <= age_ms <= MAX_AGE_MS:
        way = "old" if age_ms > 0 else "ahead"
        yield warn(
            "clock",
            stream.topic,
            f"expected stamps of this computer's time, got them {abs(age_ms) / 1e3:.3g} s {way}; synchronise "
            "the clocks (chrony, PTP), or play a bag with --clock and use_sim_time:=true",
        )


def _of_gaps(stream: Stream) -> Iterator[Symptom]:
    forward = stream.steps_ns[stream.steps_ns > 0]
    if len(forward) < 5:
        return
    period_ns = float(np.percentile(forward, 20))  # not the median: of every second image lost it is double
    missing = float(np.sum(np.rint(forward / period_ns) - 1))
    share = missing / (missing + len(forward) + 1)
    if share > LOST_SHARE:
        yield warn(
            "gaps",
            stream.topic,
            f"expected an image every {period_ns / 1e6:.0f} ms, got gaps where {share:.0%} of them "
            "are missing; give the publisher the Fast DDS profile (docs/diagnostics.md), or lower its "
            "rate or size",
        )


def _instead(node: Node, stream: Stream) -> str:
    """Which cameras' topics of that type there are."""
    topic = stream.topic
    same = [name for name, types in node.get_topic_names_and_types() if stream.type_name in types]
    others = [name for name in same if name != topic and node.get_publishers_info_by_topic(name)]
    packed = f"{topic}/compressed"
    if node.get_publishers_info_by_topic(packed):
        return f"{packed} is published, so set image_transport to compressed"
    above, _, word = topic.rpartition("/")
    raw = f"{above}/image_raw"
    if word in ("image_rect", "image") and raw in others:
        return f"{raw} is published, so set rectify to true, or run image_proc"
    cameras = [name for name in others if not (_is_depth(name) or _of_other_side(name, topic))]
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


def _of_other_side(a: str, b: str) -> bool:
    """Whether one is left and one right: two images of one side have no depth."""
    words = {*a.split("/")}, {*b.split("/")}
    return any("left" in words[i] and "right" in words[1 - i] for i in (0, 1))


def _names(endpoints: Sequence[TopicEndpointInfo]) -> str:
    return ", ".join(dict.fromkeys(endpoint_name(endpoint) for endpoint in endpoints))
