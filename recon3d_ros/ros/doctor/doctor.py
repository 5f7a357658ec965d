"""Examines a live graph: why there is no depth, or why it is bad, each finding with its remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from sensor_msgs.msg import Image

from recon3d_ros.config.doctor import DoctorConfig
from recon3d_ros.ros.doctor.checks import (
    check_calibration,
    check_image_quality,
    check_latched,
    check_publishers,
    check_qos,
    check_stamps,
    check_synchronisation,
    decode,
)
from recon3d_ros.ros.doctor.finding import Finding, error, warn
from recon3d_ros.ros.doctor.frames import check_frames
from recon3d_ros.ros.doctor.graph_monitor import NAME, GraphMonitor, observe
from recon3d_ros.ros.doctor.shared_memory import check_profile, check_segments
from recon3d_ros.ros.doctor.topic_monitor import TopicMonitor
from recon3d_ros.ros.health.health import Level
from recon3d_ros.ros.health.qos_watch import endpoint_name
from recon3d_ros.ros.output.outputs import TYPES

# Exit codes of the command, apart from those of errors (1 to 11): nothing found, warnings only, errors.
HEALTHY, WARNINGS, ERRORS = 0, 20, 21
_CLOUD_POINT_BYTES = 16
_LOST = ("silent", "gaps")


@dataclass(frozen=True)
class TopicSummary:
    """One topic in numbers; size and encoding are empty for camera_info and compressed images."""

    topic: str
    type: str
    publishers: tuple[str, ...]
    messages: int
    rate_hz: float
    megabytes_per_s: float
    size: str
    encoding: str
    frame_id: str


@dataclass(frozen=True)
class Diagnosis:
    """What was seen, and what is wrong, the worst first."""

    mode: str
    seconds: float
    topics: tuple[TopicSummary, ...]
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """0 nothing found, 20 warnings, 21 errors."""
        levels = {finding.level for finding in self.findings}
        return ERRORS if Level.ERROR in levels else WARNINGS if Level.WARN in levels else HEALTHY


def examine(config: DoctorConfig, environ: Mapping[str, str] = os.environ) -> Diagnosis:
    """Listen for `config.seconds` to the topics of one camera or pair.

    Args:
        config: which topics, and for how long.
        environ: of the shell; whether it has a Fast DDS profile.
    """
    context = Context()
    rclpy.init(args=[], context=context)
    try:
        graph = GraphMonitor(config, context)
        try:
            observe([graph], context, config.seconds)
            return diagnose(graph, environ)
        finally:
            graph.node.destroy_node()
    finally:
        context.try_shutdown()


def diagnose(graph: GraphMonitor, environ: Mapping[str, str] = os.environ) -> Diagnosis:
    """Run all checks on what a monitor has received; the graph is asked now."""
    findings = [*_check_topics(graph), *_check_cameras(graph), *_check_clocks(graph), *_check_nodes(graph)]
    findings += _check_middleware(graph, environ, findings)
    monitors = [monitor for camera in graph.cameras for monitor in (camera.image, camera.info)]
    return Diagnosis(
        graph.mode,
        graph.config.seconds,
        tuple(_summary(monitor) for monitor in monitors),
        tuple(sorted(findings, key=lambda finding: -finding.level.value)),
    )


def _check_topics(graph: GraphMonitor) -> Iterator[Finding]:
    for camera in graph.cameras:
        yield from check_publishers(graph.node, camera.image, is_image=True)
        latched = list(check_latched(camera.info, camera.latched))
        yield from latched
        for finding in check_publishers(graph.node, camera.info, is_image=False):
            if not (latched and finding.kind == "silent"):
                yield finding
    node = graph.node
    for name in TYPES:
        topic = node.resolve_topic_name(name)
        readers = node.get_subscriptions_info_by_topic(topic)
        yield from check_qos(topic, node.get_publishers_info_by_topic(topic), readers)


def _check_cameras(graph: GraphMonitor) -> Iterator[Finding]:
    cameras, config = graph.cameras, graph.config
    for camera in cameras:
        yield from check_stamps(camera.image, simulated=bool(graph.clock_ns))
    if len(cameras) == 2:
        yield from check_synchronisation(cameras[0].image, cameras[1].image, config.sync_tolerance_ns / 1e6)
    yield from check_frames(cameras[0], graph.tf)
    decoded, failures = decode(graph.snapshots[graph.mode], cameras)
    yield from failures
    calibration, findings = check_calibration(cameras, decoded[-1] if decoded else None, config.rectify)
    yield from findings
    yield from check_image_quality(decoded, cameras, calibration)


def _check_clocks(graph: GraphMonitor) -> Iterator[Finding]:
    for jump_ms in graph.clock_jumps_ms:
        words = (
            f"expected a continuous system clock, it was set by {jump_ms:+.0f} ms; configure chrony to "
            "adjust it gradually, or set it before the robot starts"
        )
        yield warn("clock_jump", "", words)
    steps = [after - before for before, after in zip(graph.clock_ns, graph.clock_ns[1:])]
    if any(step < 0 for step in steps):
        words = (
            f"expected simulated time that grows, got a step back of {-min(steps) / 1e6:.0f} ms; does a "
            "bag start over, or are there two publishers of /clock?"
        )
        yield warn("clock_jump", "/clock", words)


def _check_nodes(graph: GraphMonitor) -> Iterator[Finding]:
    """What depth nodes that listen to these cameras say of themselves."""
    readers = {endpoint_name(reader) for camera in graph.cameras for reader in camera.info.subscribers}
    for name, status in graph.statuses.items():
        node = name.partition(":")[0]
        if node not in readers or status.level not in (DiagnosticStatus.WARN, DiagnosticStatus.ERROR):
            continue
        make = warn if status.level == DiagnosticStatus.WARN else error
        yield make("node", name, status.message)


def _check_middleware(
    graph: GraphMonitor, environ: Mapping[str, str], findings: Sequence[Finding]
) -> list[Finding]:
    biggest = max((_largest_bytes(camera.image) for camera in graph.cameras), default=0.0)
    lossy = any(finding.kind in _LOST for finding in findings)
    found = list(check_profile(environ, rclpy.get_rmw_implementation_identifier(), biggest))
    if "fastrtps" in rclpy.get_rmw_implementation_identifier():
        found += check_segments(biggest, lossy)
    return found


def _largest_bytes(monitor: TopicMonitor) -> float:
    """Of an image and of the cloud that it makes."""
    msg = monitor.recent[-1] if monitor.recent else None
    if not isinstance(msg, Image):
        return monitor.message_bytes
    return float(max(len(msg.data), msg.width * msg.height * _CLOUD_POINT_BYTES))


def _summary(monitor: TopicMonitor) -> TopicSummary:
    msg = monitor.recent[-1] if monitor.recent else None
    pixels = msg if isinstance(msg, Image) else None
    names = [endpoint_name(publisher) for publisher in monitor.publishers]
    return TopicSummary(
        topic=monitor.topic,
        type=monitor.type_name,
        publishers=tuple(dict.fromkeys(name for name in names if not name.endswith(f"/{NAME}"))),
        messages=monitor.count,
        rate_hz=monitor.rate_hz,
        megabytes_per_s=monitor.megabytes_per_s,
        size=f"{pixels.width}x{pixels.height}" if pixels else "",
        encoding=pixels.encoding if pixels else "",
        frame_id=monitor.frame_ids[-1] if monitor.frame_ids else "",
    )
