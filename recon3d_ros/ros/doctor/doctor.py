"""Looks at a live graph and says in plain words what keeps depth from coming, each with its remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context
from sensor_msgs.msg import Image

from recon3d_ros.config.doctor import DoctorConfig
from recon3d_ros.ros.doctor.camera_symptoms import calibration_of, decode, of_frames, of_images, of_pair
from recon3d_ros.ros.doctor.shared_memory import of_profile, of_segments
from recon3d_ros.ros.doctor.stream import Stream, endpoint_name
from recon3d_ros.ros.doctor.symptoms import Symptom, error, of_latched, of_publishers, of_qos, of_stamps, warn
from recon3d_ros.ros.doctor.watch import NAME, Watch, observe
from recon3d_ros.ros.health.health import Level

# Exit codes of the command, apart from those of errors (1 to 10): nothing found, warnings only, errors.
HEALTHY, WARNINGS, ERRORS = 0, 20, 21
OUTPUTS = (
    "points",
    "points_free",
    "depth/image",
    "depth/camera_info",
    "depth/preview",
    "disparity",
    "confidence",
)
_CLOUD_POINT_BYTES = 16
_LOST = ("silent", "gaps")


@dataclass(frozen=True)
class Seen:
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
    topics: tuple[Seen, ...]
    symptoms: tuple[Symptom, ...]

    @property
    def exit_code(self) -> int:
        """0 nothing found, 20 warnings, 21 errors."""
        levels = {symptom.level for symptom in self.symptoms}
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
        watch = Watch(config, context)
        try:
            observe([watch], context, config.seconds)
            return diagnose(watch, environ)
        finally:
            watch.node.destroy_node()
    finally:
        context.try_shutdown()


def diagnose(watch: Watch, environ: Mapping[str, str] = os.environ) -> Diagnosis:
    """Sum up what a watch has seen; the graph is asked now."""
    symptoms = [*_of_topics(watch), *_of_cameras(watch), *_of_time(watch), *_of_nodes(watch)]
    symptoms += _of_middleware(watch, environ, symptoms)
    streams = [stream for camera in watch.cameras for stream in (camera.image, camera.info)]
    return Diagnosis(
        watch.mode,
        watch.config.seconds,
        tuple(_seen(stream) for stream in streams),
        tuple(sorted(symptoms, key=lambda symptom: -symptom.level.value)),
    )


def _of_topics(watch: Watch) -> Iterator[Symptom]:
    for camera in watch.cameras:
        yield from of_publishers(watch.node, camera.image, is_image=True)
        latched = list(of_latched(camera.info, camera.latched))
        yield from latched
        for symptom in of_publishers(watch.node, camera.info, is_image=False):
            if not (latched and symptom.kind == "silent"):
                yield symptom
    node = watch.node
    for name in OUTPUTS:
        topic = node.resolve_topic_name(name)
        readers = node.get_subscriptions_info_by_topic(topic)
        yield from of_qos(topic, node.get_publishers_info_by_topic(topic), readers)


def _of_cameras(watch: Watch) -> Iterator[Symptom]:
    cameras, config = watch.cameras, watch.config
    for camera in cameras:
        yield from of_stamps(camera.image, simulated=bool(watch.clock_ns))
    if len(cameras) == 2:
        yield from of_pair(cameras[0].image, cameras[1].image, config.sync_tolerance_ms)
    yield from of_frames(cameras[0], watch.tf)
    decoded, failures = decode(watch.snapshots[watch.mode], cameras)
    yield from failures
    calibration, symptoms = calibration_of(cameras, decoded[-1] if decoded else None, config.rectify)
    yield from symptoms
    yield from of_images(decoded, cameras, calibration)


def _of_time(watch: Watch) -> Iterator[Symptom]:
    for jump_ms in watch.clock_jumps_ms:
        words = (
            f"expected this computer's clock to run evenly, it was set by {jump_ms:+.0f} ms; let chrony slew "
            "it, and set it before the robot starts"
        )
        yield warn("clock_jump", "", words)
    steps = [after - before for before, after in zip(watch.clock_ns, watch.clock_ns[1:])]
    if any(step < 0 for step in steps):
        words = (
            f"expected simulated time that grows, got a step back of {-min(steps) / 1e6:.0f} ms; is a bag "
            "looping, or do two of them publish /clock?"
        )
        yield warn("clock_jump", "/clock", words)


def _of_nodes(watch: Watch) -> Iterator[Symptom]:
    """What depth nodes that listen to these cameras say of themselves."""
    readers = {endpoint_name(reader) for camera in watch.cameras for reader in camera.info.subscribers}
    for name, status in watch.statuses.items():
        node = name.partition(":")[0]
        if node not in readers or status.level not in (DiagnosticStatus.WARN, DiagnosticStatus.ERROR):
            continue
        make = warn if status.level == DiagnosticStatus.WARN else error
        yield make("node", name, status.message)


def _of_middleware(watch: Watch, environ: Mapping[str, str], symptoms: Sequence[Symptom]) -> list[Symptom]:
    biggest = max((_largest_bytes(camera.image) for camera in watch.cameras), default=0.0)
    lossy = any(symptom.kind in _LOST for symptom in symptoms)
    found = list(of_profile(environ, rclpy.get_rmw_implementation_identifier(), biggest))
    if "fastrtps" in rclpy.get_rmw_implementation_identifier():
        found += of_segments(biggest, lossy)
    return found


def _largest_bytes(stream: Stream) -> float:
    """Of an image and of the cloud that it makes."""
    msg = stream.recent[-1] if stream.recent else None
    if not isinstance(msg, Image):
        return stream.message_bytes
    return float(max(len(msg.data), msg.width * msg.height * _CLOUD_POINT_BYTES))


def _seen(stream: Stream) -> Seen:
    msg = stream.recent[-1] if stream.recent else None
    pixels = msg if isinstance(msg, Image) else None
    names = [endpoint_name(publisher) for publisher in stream.publishers]
    return Seen(
        topic=stream.topic,
        type=stream.type_name,
        publishers=tuple(dict.fromkeys(name for name in names if not name.endswith(f"/{NAME}"))),
        messages=stream.count,
        rate_hz=stream.rate_hz,
        megabytes_per_s=stream.megabytes_per_s,
        size=f"{pixels.width}x{pixels.height}" if pixels else "",
        encoding=pixels.encoding if pixels else "",
        frame_id=stream.frame_ids[-1] if stream.frame_ids else "",
    )
